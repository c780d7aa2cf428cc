"""What trains a population fastest: torch's loop, the compiled kernels, and, if it is at hand, JAX.

    python tests/benchmarks/bench_engines.py [--jax PYTHON] [--threads N]

M students (batch 64 of 1,200 digits, alpha 0.9, each with its own seed, teacher and temperature) train for the same
steps. Every round times all ways in turn; the ratios are medians over the rounds. On one thread the figures are
processor seconds; on more, wall clock, and torch's loop keeps one thread, with which it is fastest. JAX is the peer
that who knows population training would pick: jit, vmap over members and scan over steps, in a process of its own, with
the batch order ready-made (ours draw it inside the time), its compile time apart. PYTHON is the interpreter of an
environment in which JAX is installed; it is no dependency of the course. It is asked for perceptrons only: its mapped
convolutions take many times as long as torch's loop. Writes results/engines_<threads>.json, for README.md.
"""

import json
import math
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median

import bench_population
import click
import numpy as np
import torch

from kdutils.cache import write_whole
from kdutils.networks import MLP, ConvNet, Population, Specification
from kdutils.results import provenance
from kdutils.training.kernels import compiled
from kdutils.training.loop import batches

SIZES = (*((MLP(64, (width,), 10), members) for width in (16, 64) for members in (24, 32, 128, 512)),
         *((ConvNet((1, side, side), (8, 16), 10), 24) for side in (8, 14)))
# How many times less than torch's loop the kernels promise to take, by threads.
PROMISED = {1: {("64-16-10", 24): 3.3, ("64-16-10", 128): 1.7, ("64-16-10", 512): 1.5, ("64-64-10", 24): 1.9,
                ("conv8-16-10", 24): 2.5, ("conv8-16-10 at 14x14", 24): 2.2},
            2: {("64-16-10", 24): 4.5}}


class Jax:
    """The training in JAX: a process that waits for its turn."""

    def __init__(self, python: str, threads: int, network: MLP, task, temperatures: list[float], n_steps: int):
        population = Population(network, task.seeds)
        order = islice(batches(task.seeds, task.train.shape[1], bench_population.BATCH), n_steps)
        rates = [bench_population.LR * 0.5 * (1 + math.cos(math.pi * step / n_steps)) for step in range(n_steps)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "task.npz"
            np.savez(path, inputs=task.inputs.flatten(1), labels=task.labels, images=task.train,
                     teacher=task.teacher["logits"], temperature=np.float32(temperatures),
                     positions=torch.stack(list(order)), rates=np.float32(rates), alpha=bench_population.ALPHA,
                     **{f"parameter{i}": value for i, value in enumerate(population.parameters.values())})
            self._process = subprocess.Popen([python, Path(__file__).with_name("jax_worker.py"), path,
                                              str(threads)], text=True,
                                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.compiling = float(self._process.stdout.readline())

    def __call__(self) -> float:
        """Seconds of one training: of the processor's on one thread, else by the clock."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline().split()[0])

    def close(self) -> None:
        self._process.communicate(timeout=60)


def ours(engine: str, threads: int, *training) -> Callable[[], float]:
    """Seconds of one training by this engine."""

    def timed() -> float:
        os.environ["KDUTILS_ENGINE"] = engine
        work = bench_population.side_by_side(*training)
        if threads == 1:
            return bench_population.seconds(work, "cpu")
        torch.set_num_threads(threads if engine == "kernels" else 1)
        try:
            start = time.perf_counter()
            work()
            return time.perf_counter() - start
        finally:
            torch.set_num_threads(1)

    return timed


def measure(network: Specification, members: int, rounds: int, python: str | None, threads: int) -> dict:
    """Medians of milliseconds a step and of how many times less than torch's loop each way takes."""
    n_steps = max(20, min(200, 6400 // members)) if isinstance(network, MLP) else 10
    task, temperatures = bench_population.made_task(network, members, "cpu")
    training = network, task, temperatures, n_steps
    ways = {"torch": ours("torch", threads, *training), "kernels": ours("kernels", threads, *training)}
    jax = Jax(python, threads, *training) if python and isinstance(network, MLP) else None
    if jax:
        ways["JAX"] = jax
    took = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            took[name].append(way())
    if jax:
        jax.close()
    took = {name: times[1:] for name, times in took.items()}  # the first round pays for memory and imports

    def less(slow: str, fast: str) -> float:
        return round(median(a / b for a, b in zip(took[slow], took[fast], strict=True)), 2)

    name = f"{network}{' at 14x14' if getattr(network, 'shape', ())[1:] == (14, 14) else ''}"
    return {"network": name, "members": members, "compiling": jax and round(jax.compiling, 1),
            "ms": {way: round(1e3 * median(times) / n_steps, 3) for way, times in took.items()},
            "less than torch": {way: less("torch", way) for way in took},
            "less than JAX": jax and less("JAX", "kernels"),
            "promised": PROMISED.get(threads, {}).get((name, members))}


def line(row: dict) -> str:
    ms, less = row["ms"], row["less than torch"]
    text = (f"{row['network']}, {row['members']:>3} students: torch {ms['torch']:.2f} ms a step, kernels "
            f"{ms['kernels']:.2f} ({less['kernels']:.1f} times less, promised {row['promised']})")
    if row["compiling"]:
        text += (f", JAX {ms['JAX']:.2f} (kernels {row['less than JAX']:.2f} times less; it compiled "
                 f"{row['compiling']:.1f} s)")
    return text


@click.command()
@click.option("--jax", "python", help="Python of an environment with JAX.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1))
def main(python: str | None, rounds: int, threads: int) -> None:
    """Torch's loop, the kernels and JAX, side by side."""
    start = time.perf_counter()
    torch.set_num_threads(1)
    os.environ["KDUTILS_ENGINE"] = "kernels"
    for name in compiled.KERNELS:
        compiled.kernel(name)  # compiles it if nobody has
    rows = []
    for network, members in SIZES:
        rows.append(measure(network, members, rounds, python, threads))
        print(line(rows[-1]), flush=True)
    text = json.dumps({"rounds": rounds, "threads": threads, "rows": rows,
                       "provenance": provenance("cpu", time.perf_counter() - start)}, indent=1)
    path = Path(__file__).parent / "results" / f"engines_{threads}.json"
    write_whole(path, lambda target: target.write_text(text + "\n"))


if __name__ == "__main__":
    main()
