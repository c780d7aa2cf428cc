"""What trains a population fastest on one core: torch's loop, the compiled kernels, and, if it is at hand, JAX.

    python tests/benchmarks/bench_engines.py [--jax PYTHON]

M students 64-W-10 (batch 64 of 1,200 digits, alpha 0.9, each with its own seed, teacher and temperature) train for the
same steps. Every round times all ways in turn, in processor seconds of one thread; the ratios are medians over the
rounds. JAX is the peer that who knows population training would pick: jit, vmap over members and scan over steps, in a
process of its own, with the batch order ready-made (ours draw it inside the time), its compile time apart. PYTHON is
the interpreter of an environment in which JAX is installed; it is no dependency of the course.
"""

import math
import os
import subprocess
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median

import bench_population
import click
import numpy as np
import torch

from kdutils.networks import MLP, Population
from kdutils.training.kernels import compiled
from kdutils.training.loop import batches

SIZES = ((16, 24), (16, 32), (16, 128), (16, 512), (64, 24), (64, 32), (64, 128))


class Jax:
    """The training in JAX: a process that waits for its turn."""

    def __init__(self, python: str, network: MLP, task, temperatures: list[float], n_steps: int):
        population = Population(network, task.seeds)
        order = islice(batches(task.seeds, task.train.shape[1], bench_population.BATCH), n_steps)
        rates = [bench_population.LR * 0.5 * (1 + math.cos(math.pi * step / n_steps)) for step in range(n_steps)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "task.npz"
            np.savez(path, inputs=task.inputs.flatten(1), labels=task.labels, images=task.train,
                     teacher=task.teacher["logits"], temperature=np.float32(temperatures),
                     positions=torch.stack(list(order)), rates=np.float32(rates), alpha=bench_population.ALPHA,
                     **{f"parameter{i}": value for i, value in enumerate(population.parameters.values())})
            self._process = subprocess.Popen([python, Path(__file__).with_name("jax_worker.py"), path], text=True,
                                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.compiling = float(self._process.stdout.readline())

    def __call__(self) -> float:
        """Processor seconds of one training."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline().split()[0])

    def close(self) -> None:
        self._process.communicate(timeout=60)


def ours(engine: str, *training) -> Callable[[], float]:
    """Processor seconds of one training by this engine."""

    def timed() -> float:
        os.environ["KDUTILS_ENGINE"] = engine
        return bench_population.seconds(bench_population.side_by_side(*training), "cpu")

    return timed


def measure(width: int, members: int, rounds: int, python: str | None) -> dict:
    """Medians of milliseconds a step and of how many times less than torch's loop each way takes."""
    network, n_steps = MLP(64, (width,), 10), max(20, min(200, 6400 // members))
    task, temperatures = bench_population.made_task(network, members, "cpu")
    training = network, task, temperatures, n_steps
    ways = {"torch": ours("torch", *training), "kernels": ours("kernels", *training)}
    jax = Jax(python, *training) if python else None
    if jax:
        ways["JAX"] = jax
    took = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            took[name].append(way())
    if jax:
        jax.close()
    took = {name: times[1:] for name, times in took.items()}  # the first round pays for memory and imports
    return {"width": width, "members": members, "compiling": jax and jax.compiling,
            "ms": {name: 1e3 * median(times) / n_steps for name, times in took.items()},
            "less than torch": {name: median(slow / fast for slow, fast in zip(took["torch"], times, strict=True))
                                for name, times in took.items()},
            "kernels less than JAX": jax and median(
                slow / fast for slow, fast in zip(took["JAX"], took["kernels"], strict=True))}


def line(row: dict) -> str:
    ms, less = row["ms"], row["less than torch"]
    text = (f"64-{row['width']}-10, {row['members']:>3} students: torch {ms['torch']:.2f} ms a step, kernels "
            f"{ms['kernels']:.2f} ({less['kernels']:.1f} times less)")
    if row["compiling"]:
        text += (f", JAX {ms['JAX']:.2f} (kernels {row['kernels less than JAX']:.2f} times less; it compiled "
                 f"{row['compiling']:.1f} s)")
    return text


@click.command()
@click.option("--jax", "python", help="Python of an environment with JAX.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
def main(python: str | None, rounds: int) -> None:
    """Torch's loop, the kernels and JAX, side by side."""
    torch.set_num_threads(1)
    os.environ["KDUTILS_ENGINE"] = "kernels"
    compiled.kernel()  # compiles them if nobody has
    for width, members in SIZES:
        print(line(measure(width, members, rounds, python)), flush=True)


if __name__ == "__main__":
    main()
