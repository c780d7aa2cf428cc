"""What a population saves: M students side by side, against the same package one by one, and against plain torch.

    python tests/benchmarks/bench_population.py [--big] [--device cuda]

All three train M students (64-16-10, batch 64 of 1,200 digits, alpha 0.9, each with its own seed and temperature) for
the same number of steps. On a CPU the figure is the processor's time of one thread; on a GPU it is the wall clock
between synchronisations. Every round times all three in turn, so that a busy machine slows all of them; the ratios
are medians over the rounds. Building the networks is not counted. Prints a table and writes
results/population_<device>.json beside this file.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
import torch.nn.functional as F
import typer

from kdutils.cache import write_whole
from kdutils.datasets import load, split
from kdutils.networks import MLP, Population
from kdutils.objectives import distillation
from kdutils.results import provenance
from kdutils.training import Knobs, Recipe, Task, steps

STUDENT = MLP(64, (16,), 10)
ALPHA, LR, BATCH = 0.9, 1e-2, 64
PROMISED = 8  # times less processor time for 64 students, against one by one


def made_task(members: int, device: str) -> tuple[Task, list[float]]:
    """A task for M students, each with its own pool and a made-up teacher of its split, and a temperature for each."""
    digits = load("digits", device)
    seeds = range(members)
    pools = torch.stack([split(digits, seed).pool for seed in seeds])
    noise = torch.randn(members, len(digits), 10, generator=torch.Generator().manual_seed(0))
    teacher = 5 * F.one_hot(digits.labels, 10) + noise.to(device)
    temperatures = [float(2 ** (seed % 5)) for seed in seeds]
    return Task(digits.inputs, digits.labels, pools, tuple(seeds), {"logits": teacher}), temperatures


def side_by_side(task: Task, temperatures: list[float], n_steps: int) -> Callable[[], None]:
    """The population of all members."""
    population = Population(STUDENT, task.seeds, task.inputs.device)
    knobs = Knobs(temperature=temperatures, alpha=ALPHA)
    return lambda: drain(population, task, knobs, n_steps)


def one_by_one(task: Task, temperatures: list[float], n_steps: int) -> Callable[[], None]:
    """The same package: a population of one, M times."""
    alone = []
    for m, (seed, temperature) in enumerate(zip(task.seeds, temperatures, strict=True)):
        teacher = {"logits": task.teacher["logits"][m:m + 1]}
        alone.append((Population(STUDENT, [seed], task.inputs.device),
                      Task(task.inputs, task.labels, task.train[m:m + 1], (seed,), teacher),
                      Knobs(temperature=temperature, alpha=ALPHA), n_steps))
    return lambda: [drain(*arguments) for arguments in alone]


def drain(population: Population, task: Task, knobs: Knobs, n_steps: int) -> None:
    for _ in steps(population, task, distillation, knobs, Recipe(n_steps, BATCH, LR), every=n_steps):
        pass


def plain_torch(task: Task, temperatures: list[float], n_steps: int) -> Callable[[], None]:
    """Ordinary modules, torch.optim.Adam and torch's losses, one student after the other."""
    modules = [STUDENT.module(seed).to(task.inputs.device) for seed in task.seeds]

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


def measure(members: int, device: str, rounds: int, n_steps: int) -> dict:
    """Median seconds of each way and median ratios, over `rounds` rounds in which the ways take turns."""
    task, temperatures = made_task(members, device)
    for way in WAYS.values():  # the first call pays for kernels, memory and imports
        way(*made_task(2, device), 5)()
    took = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, way in WAYS.items():
            took[name].append(seconds(way(task, temperatures, n_steps), device))
    ratio = {name: median(slow / fast for slow, fast in zip(took[name], took["population"], strict=True))
             for name in WAYS if name != "population"}
    return {"members": members, "steps": n_steps, "rounds": rounds,
            "seconds": {name: round(median(times), 4) for name, times in took.items()},
            "all_rounds": {name: [round(one, 4) for one in times] for name, times in took.items()},
            "ms_per_step": round(1e3 * median(took["population"]) / n_steps, 4),
            "times_less": {name: round(value, 2) for name, value in ratio.items()}}


def report(rows: list[dict], device: str) -> str:
    """The table a reader sees."""
    kind = "processor seconds, one thread" if device == "cpu" else "synchronised seconds"
    lines = [f"\n{STUDENT} students, batch {BATCH}; {kind}; medians of {rows[0]['rounds']} rounds",
             f"{'M':>5} {'steps':>6} {'population':>11} {'one by one':>11} {'plain torch':>12} "
             f"{'ms a step':>10} {'x one by one':>13} {'x plain torch':>14}"]
    for row in rows:
        s, x = row["seconds"], row["times_less"]
        lines.append(f"{row['members']:>5} {row['steps']:>6} {s['population']:>11.3f} {s['one by one']:>11.3f} "
                     f"{s['plain torch']:>12.3f} {row['ms_per_step']:>10.3f} {x['one by one']:>13.1f} "
                     f"{x['plain torch']:>14.1f}")
    return "\n".join(lines)


def compare(sizes: tuple[int, ...], device: str = "cpu", rounds: int = 5) -> list[dict]:
    """Measure every size, print the table and keep the figures."""
    start, threads = time.perf_counter(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        # Fewer steps for more members: one by one, 512 students would take minutes a round.
        rows = [measure(members, device, rounds, max(20, min(100, 3200 // members))) for members in sizes]
        made = provenance(device, time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    print(report(rows, device))
    text = json.dumps({"benchmark": "population", "network": str(STUDENT), "batch": BATCH, "provenance": made,
                       "rows": rows}, indent=1)
    path = Path(__file__).parent / "results" / f"population_{device}.json"
    write_whole(path, lambda target: target.write_text(text + "\n"))
    return rows


def test_a_population_of_64_costs_an_eighth_of_its_members():
    by_size = {row["members"]: row for row in compare((8, 32, 64))}
    assert by_size[64]["times_less"]["one by one"] >= PROMISED


def main(big: Annotated[bool, typer.Option(help="also 128 and 512 students")] = False,
         device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
         rounds: Annotated[int, typer.Option(min=1)] = 5) -> None:
    """Population against one by one and plain torch."""
    compare((8, 32, 64, *((128, 512) if big else ())), device, rounds)


if __name__ == "__main__":
    typer.run(main)
