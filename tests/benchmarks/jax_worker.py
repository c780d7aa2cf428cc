"""The step of bench_engines.py in JAX (jit, vmap over members, scan over steps), started by it in JAX's environment.

Usage: python jax_worker.py TASK.npz THREADS. It compiles, prints the seconds that took, and then, for every line it
reads, trains all members from their start and prints the seconds: of the processor on one thread, else by the clock.
"""

import os
import sys
import time

THREADS = int(sys.argv[2])
if THREADS == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

given = np.load(sys.argv[1])
inputs, labels, images = (jnp.asarray(given[name]) for name in ("inputs", "labels", "images"))
teacher, temperature, positions, rates = (jnp.asarray(given[name]) for name in (
    "teacher", "temperature", "positions", "rates"))
ALPHA = float(given["alpha"])
start = [jnp.asarray(given[f"parameter{i}"]) for i in range(4)]


def loss(parameters, x, y, t, hot):
    w1, b1, w2, b2 = parameters
    z = jax.nn.relu(x @ w1.T + b1) @ w2.T + b2
    log_p, log_q = jax.nn.log_softmax(z / hot), jax.nn.log_softmax(t / hot)
    soft = hot**2 * (jnp.exp(log_q) * (log_q - log_p)).sum(-1).mean()
    hard = -jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1).mean()
    return ALPHA * soft + (1 - ALPHA) * hard


slopes = jax.vmap(jax.grad(loss))


def step(state, given):
    parameters, mean, square, count = state
    position, rate = given
    index = jnp.take_along_axis(images, position, 1)
    answers = jnp.take_along_axis(teacher, index[:, :, None], 1)
    slope = slopes(parameters, inputs[index], labels[index], answers, temperature)
    count = count + 1
    mean = [0.9 * m + 0.1 * g for m, g in zip(mean, slope, strict=True)]
    square = [0.999 * v + 0.001 * g * g for v, g in zip(square, slope, strict=True)]
    parameters = [p - rate / (1 - 0.9**count) * m / (jnp.sqrt(v / (1 - 0.999**count)) + 1e-8)
                  for p, m, v in zip(parameters, mean, square, strict=True)]
    return (parameters, mean, square, count), None


@jax.jit
def trained(parameters):
    zeros = [jnp.zeros_like(p) for p in parameters]
    return jax.lax.scan(step, (parameters, zeros, zeros, jnp.float32(0)), (positions, rates))[0][0]


def seconds(clock):
    begun = clock()
    ends = trained(start)
    jax.block_until_ready(ends)
    return clock() - begun, ends


print(seconds(time.perf_counter)[0], flush=True)
for _ in sys.stdin:
    took, ends = seconds(time.process_time if THREADS == 1 else time.perf_counter)
    print(took, float(jnp.abs(ends[2]).mean()), flush=True)
