"""What a population saves: M students side by side, against the same package one by one, and against plain torch.

    python tests/benchmarks/bench_population.py [--big] [--all] [--device cuda]

All three train M students (batch 64 of 1,200 digits, alpha 0.9, each with its own seed and temperature) for the same
number of steps: small and wider perceptrons, and little convolutional networks on the digits as they are and enlarged
to 14x14. On a CPU the figure is the processor's time of one thread; on a GPU it is the wall clock between
synchronisations. Every round times all three in turn, so that a busy machine slows all of them; the ratios are medians
over the rounds. Building the networks is not counted. It is torch's loop that is measured: what the compiled kernels
save beside it, bench_engines.py tells. Then: how the cost of a step grows with the students, their
width, and the data. Prints tables and writes results/population_<device>.json beside this file. --big adds 128 and 512
students; --all is --big and the ways of bench_convolution.py, the whole record in one command (about 7 minutes).
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from unittest.mock import patch

import click
import torch
import torch.nn.functional as F

from kdutils.cache import write_whole
from kdutils.datasets import load, split
from kdutils.networks import MLP, ConvNet, Population, Specification
from kdutils.objectives import distillation
from kdutils.results import provenance
from kdutils.training import Knobs, Recipe, Task, train

ALPHA, LR, BATCH = 0.9, 1e-2, 64


@dataclass(frozen=True)
class Part:
    """One kind of student: sizes of the population, more with --big, and how many times less is promised at a size."""

    network: Specification
    sizes: tuple[int, ...]
    big: tuple[int, ...]
    promised: dict[int, float]
    budget: int  # steps of all students together, roughly

    def __str__(self) -> str:
        return f"{self.network}{' at 14x14' if getattr(self.network, 'shape', ())[1:] == (14, 14) else ''}"


PARTS = (Part(MLP(64, (16,), 10), (8, 32, 64), (128, 512), {32: 8, 512: 10}, 3200),
         Part(MLP(64, (64,), 10), (8, 32), (128,), {32: 5}, 1600),
         Part(ConvNet((1, 8, 8), (8, 16), 10), (8, 32), (), {8: 3}, 480),
         Part(ConvNet((1, 14, 14), (8, 16), 10), (8, 32), (), {32: 2}, 320))


def images(network: Specification, device: str) -> torch.Tensor:
    """The digits (N, 1, s, s), enlarged to what the network takes."""
    inputs = load("digits", device).inputs
    shape = getattr(network, "shape", (1, 8, 8))
    return inputs if shape[1:] == (8, 8) else F.interpolate(inputs, shape[1:], mode="bilinear")


def made_task(network: Specification, members: int, device: str) -> tuple[Task, list[float]]:
    """A task for M students, each with its own pool and a made-up teacher of its split, and a temperature for each."""
    digits = load("digits", device)
    seeds = range(members)
    pools = torch.stack([split(digits, seed).pool for seed in seeds])
    noise = torch.randn(members, len(digits), 10, generator=torch.Generator().manual_seed(0))
    teacher = 5 * F.one_hot(digits.labels, 10) + noise.to(device)
    temperatures = [float(2 ** (seed % 5)) for seed in seeds]
    return Task(images(network, device), digits.labels, pools, tuple(seeds), {"logits": teacher}), temperatures


def side_by_side(network: Specification, task: Task, temperatures: list[float], n_steps: int) -> Callable[[], None]:
    """The population of all members."""
    population = Population(network, task.seeds, task.inputs.device)
    knobs = Knobs(temperature=temperatures, alpha=ALPHA)
    return lambda: drain(population, task, knobs, n_steps)


def one_by_one(network: Specification, task: Task, temperatures: list[float], n_steps: int) -> Callable[[], None]:
    """The same package: a population of one, M times."""
    alone = []
    for m, (seed, temperature) in enumerate(zip(task.seeds, temperatures, strict=True)):
        teacher = {"logits": task.teacher["logits"][m:m + 1]}
        alone.append((Population(network, [seed], task.inputs.device),
                      Task(task.inputs, task.labels, task.train[m:m + 1], (seed,), teacher),
                      Knobs(temperature=temperature, alpha=ALPHA), n_steps))
    return lambda: [drain(*arguments) for arguments in alone]


def recorded(network: Specification, task: Task, temperatures: list[float], n_steps: int) -> Callable[[], None]:
    """The population with its step recorded as a CUDA graph."""
    population = Population(network, task.seeds, task.inputs.device)
    knobs = Knobs(temperature=temperatures, alpha=ALPHA)
    return lambda: drain(population, task, knobs, n_steps, graph=True)


def drain(population: Population, task: Task, knobs: Knobs, n_steps: int, graph: bool = False) -> None:
    for _ in train(population, task, distillation, knobs, Recipe(n_steps, BATCH, LR), n_steps, graph):
        pass


def plain_torch(network: Specification, task: Task, temperatures: list[float], n_steps: int) -> Callable[[], None]:
    """Ordinary modules, torch.optim.Adam and torch's losses, one student after the other."""
    modules = [network.module(seed).to(task.inputs.device) for seed in task.seeds]

    def train(m: int, module: torch.nn.Module, temperature: float) -> None:
        adam = torch.optim.Adam(module.parameters(), lr=LR)
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, n_steps)
        pool, done = task.train[m], 0
        while done < n_steps:
            for index in pool[torch.randperm(len(pool), device=pool.device)].split(BATCH)[:len(pool) // BATCH]:
                logits, labels = module(task.inputs[index]), task.labels[index]
                teacher = task.teacher["logits"][m, index]
                soft = F.kl_div(F.log_softmax(logits / temperature, 1), F.softmax(teacher / temperature, 1),
                                reduction="batchmean")
                loss = ALPHA * temperature**2 * soft + (1 - ALPHA) * F.cross_entropy(logits, labels)
                adam.zero_grad()
                loss.backward()
                adam.step()
                cosine.step()
                done += 1
                if done == n_steps:
                    return

    return lambda: [train(m, module, temperatures[m]) for m, module in enumerate(modules)]


WAYS = {"population": side_by_side, "one by one": one_by_one, "plain torch": plain_torch}


def seconds(work: Callable[[], None], device: str) -> float:
    """Processor time on a CPU, synchronised wall time on a GPU."""
    if device == "cpu":
        start = time.process_time()
        work()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def measure(part: Part, members: int, device: str, rounds: int) -> dict:
    """Median seconds of each way and median ratios, over `rounds` rounds in which the ways take turns."""
    # Fewer steps for more members: one by one, 512 students would take minutes a round.
    n_steps = max(10, min(100, part.budget // members))
    task, temperatures = made_task(part.network, members, device)
    ways = WAYS | ({"recorded": recorded} if device != "cpu" else {})
    for way in ways.values():  # the first call pays for kernels, memory and imports
        way(part.network, *made_task(part.network, 2, device), 5)()
    took = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            took[name].append(seconds(way(part.network, task, temperatures, n_steps), device))
    ratio = {name: median(slow / fast for slow, fast in zip(took[name], took["population"], strict=True))
             for name in ways if name != "population"}
    return {"members": members, "steps": n_steps, "rounds": rounds,
            "seconds": {name: round(median(times), 4) for name, times in took.items()},
            "all_rounds": {name: [round(one, 4) for one in times] for name, times in took.items()},
            "ms_per_step": round(1e3 * median(took["population"]) / n_steps, 4),
            "times_less": {name: round(value, 2) for name, value in ratio.items()},
            "promised": part.promised.get(members)}


def report(part: Part, rows: list[dict], device: str) -> str:
    """The table a reader sees."""
    kind = "processor seconds, one thread" if device == "cpu" else "synchronised seconds"
    lines = [f"\n{part} students, batch {BATCH}; {kind}; medians of {rows[0]['rounds']} rounds",
             f"{'M':>5} {'steps':>6} {'population':>11} {'one by one':>11} {'plain torch':>12} "
             f"{'ms a step':>10} {'x one by one':>13} {'x plain torch':>14} {'promised':>9}"]
    for row in rows:
        s, x = row["seconds"], row["times_less"]
        lines.append(f"{row['members']:>5} {row['steps']:>6} {s['population']:>11.3f} {s['one by one']:>11.3f} "
                     f"{s['plain torch']:>12.3f} {row['ms_per_step']:>10.3f} {x['one by one']:>13.1f} "
                     f"{x['plain torch']:>14.1f} {row['promised'] or '':>9}"
                     + (f"   as a CUDA graph {s['recorded']:.3f} s" if "recorded" in s else ""))
    return "\n".join(lines)


def growth(device: str, rounds: int, big: bool) -> dict[str, list[dict]]:
    """Milliseconds of a population's step as one thing grows and the others stay: M 32, width 16, 1,200 images."""
    made = {"students": [step_cost(device, rounds, members=m) for m in (1, 4, 16, 64, 256, *((1024,) if big else ()))],
            "width": [step_cost(device, rounds, width=width) for width in (8, 16, 32, 64, 128, 256)],
            "images": [step_cost(device, rounds, n=n) for n in (100, 1_200, 12_000, 60_000)]}
    for name, rows in made.items():
        print(f"\nms a step as the {name} grow: " + ", ".join(f"{row[name]:,}: {row['ms']:.2f}" for row in rows))
    return made


def step_cost(device: str, rounds: int, members: int = 32, width: int = 16, n: int = 1_200) -> dict:
    """A step of a population on n made-up 8x8 images, seen by all, with a teacher each."""
    random = torch.Generator().manual_seed(0)
    inputs = torch.rand(n, 1, 8, 8, generator=random).to(device)
    labels = torch.randint(10, (n,), generator=random).to(device)
    teacher = torch.randn(1, n, 10, generator=random).to(device)
    task = Task(inputs, labels, torch.arange(n, device=device).expand(members, -1), tuple(range(members)),
                {"logits": teacher}, torch.zeros(members, dtype=torch.int64, device=device))
    n_steps = max(10, min(200, 6400 // members))  # enough for the drawing of an epoch's order to weigh what it does
    took = [seconds(side_by_side(MLP(64, (width,), 10), task, [4.0] * members, n_steps), device)
            for _ in range(rounds + 1)][1:]
    return {"students": members, "width": width, "images": n, "ms": round(1e3 * median(took) / n_steps, 4)}


@patch.dict(os.environ, {"KDUTILS_ENGINE": "torch"})
def compare(big: bool = False, device: str = "cpu", rounds: int = 5) -> dict[tuple[str, int], dict]:
    """Measure every part and size, print the tables and keep the figures: {(part, M): row}."""
    start, threads = time.perf_counter(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        parts = []
        for part in PARTS:
            rows = [measure(part, members, device, rounds) for members in (*part.sizes, *(part.big if big else ()))]
            print(report(part, rows, device), flush=True)
            parts.append({"network": str(part), "batch": BATCH, "rows": rows})
        grows = growth(device, rounds, big)
        made = provenance(device, time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    text = json.dumps({"benchmark": "population", "provenance": made, "parts": parts, "growth": grows}, indent=1)
    path = Path(__file__).parent / "results" / f"population_{device}.json"
    write_whole(path, lambda target: target.write_text(text + "\n"))
    return {(part["network"], row["members"]): row for part in parts for row in part["rows"]}


def test_populations_cost_the_part_of_their_members_that_is_promised():
    for (network, members), row in compare().items():
        if row["promised"]:
            assert row["times_less"]["one by one"] >= row["promised"], (network, members)


@click.command()
@click.option("--big", is_flag=True, help="Also 128 and 512 students.")
@click.option("--all", "everything", is_flag=True, help="--big, and the ways to convolve.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
def main(big: bool, everything: bool, device: str, rounds: int) -> None:
    """Population against one by one and plain torch."""
    compare(big or everything, device, rounds)
    if everything:
        import bench_convolution  # beside this file, which is started as a script here

        bench_convolution.compare(device, rounds)


if __name__ == "__main__":
    main()
