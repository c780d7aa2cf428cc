"""Image networks: our loop against a plain distillation loop on the same pair and data, and what bf16 does to accuracy.

    python tests/benchmarks/bench_images.py                    # speed on this CPU, two pairs
    python tests/benchmarks/bench_images.py --device cuda      # parity and speed on a GPU, three pairs
    python tests/benchmarks/bench_images.py --parity           # losses of every path against the plain loop's
    python tests/benchmarks/bench_images.py --accuracy         # bf16 against single precision over seeds

The plain loop is what the usual code bases do, written from its description: a DataLoader, augmentation of each image
with PIL, single precision, an eager teacher in the loop, loss and top-1 read back at every step. Every round times all
ways in turn, so that a busy machine slows all of them; ratios are medians over the rounds. Images per second are wall
clock; on a CPU the processor's seconds are kept beside them. Compilers and recordings work before the clock starts.
Results go to images_<device>.json, images_parity_<device>.json and images_bf16_<data>_<device>.json in results/.

The trainings themselves are an experiment. With KDUTILS_DATA where CIFAR-100 lies and KDUTILS_CACHE where the teacher
(9 MB for wrn-40-2) shall stay for the next command:

    python -c 'from kdutils.lessons.dark_knowledge.image_pairs import *
    run(ImagePairs(device="cuda", methods=()), print)'
    python -c 'from kdutils.lessons.dark_knowledge.image_pairs import *
    run(ImagePairs(device="cuda", methods=("distilled",)), print, lambda found: found.save("wrn-40-2_wrn-16-2.json"))'

The first trains the teacher alone, the second five students, each of which is in the file as soon as it is done; pair,
epochs, schedule, seed and seeds are parameters.
"""

import copy
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median

import click
import torch
from plain_loop import ALPHA, BATCH, TEMPERATURE, plain_loader, plain_steps
from torch import nn

from kdutils.cache import write_whole
from kdutils.datasets import Dataset
from kdutils.datasets.augment import Augmentation
from kdutils.lessons.dark_knowledge import image_pairs
from kdutils.networks import image_network
from kdutils.objectives import distillation
from kdutils.results import interval, provenance
from kdutils.training import CachedTeacher, ImageRecipe, ImageTask, Knobs, Pictures, Speedups, Teacher, image_steps
from kdutils.training.images import prepared, wait_for
from kdutils.training.switches import PLAIN, chosen, fast

CLASSES, SEED = 100, 7
PAIRS = {"cpu": ("resnet20:resnet8x4", "resnet32x4:resnet8x4"),
         "cuda": ("resnet56:resnet20", "wrn-40-2:wrn-16-2", "resnet32x4:resnet8x4")}
# Times the plain loop, by (pair, way).
PROMISED = {"cpu": {("resnet20:resnet8x4", "teacher in the loop"): 2,
                    ("resnet32x4:resnet8x4", "teacher in the loop"): 2,
                    ("resnet32x4:resnet8x4", "kept answers"): 5},
            "cuda": {(pair, "kept answers"): 10 for pair in PAIRS["cuda"]}}
IMAGES = {"cpu": 2_000, "cuda": 10_000}


def made_images(n: int) -> Dataset:
    """Made pictures: what they show does not change how long they take."""
    random = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n, 3, 32, 32), dtype=torch.uint8, generator=random)
    return Dataset("made", images, torch.randint(CLASSES, (n,), generator=random), tuple(map(str, range(CLASSES))))


def seasoned(name: str, pictures: Pictures) -> nn.Module:
    """An untrained network whose batch norms have seen some pictures, in evaluation mode."""
    network = image_network(name, CLASSES, seed=1).to(pictures.device)
    normalise = pictures.normalisation.on(pictures.device, 32)
    index = torch.arange(256, device=pictures.device)
    with torch.no_grad():
        for _ in range(4):
            network(normalise(pictures.windows.take(index, index % pictures.augmentation.views)))
    return network.eval()


# Ours


def our_steps(student: nn.Module, task: ImageTask, switches: Speedups, steps: int, lr: float = 0.05, every: int = 0):
    return image_steps(student, task, distillation, Knobs(temperature=TEMPERATURE, alpha=ALPHA),
                       ImageRecipe(steps=steps, batch=BATCH, lr=lr, schedule="constant"), switches, every or steps)


class Ways:
    """Everything that is timed on one pair: each way is a function of the number of steps that returns images/s."""

    def __init__(self, pair: str, data: Dataset, device: str, workers: int, compiled: bool):
        teacher, self.student = pair.split(":")
        self.device = torch.device(device)
        data = data.to(device)
        self.pictures = Pictures.of(data, torch.arange(len(data), device=device), Augmentation())
        network = seasoned(teacher, self.pictures)
        switches = fast(device) if device == "cuda" else fast(device, compiled)
        online = Teacher(network, self.pictures.normalisation, switches)
        kept = CachedTeacher(online, self.pictures)
        self.loader = plain_loader(data, self.pictures, workers)
        self.ways = {"plain loop": partial(self.plain, network),
                     "ours, all switches off": partial(self.ours, Teacher(network, self.pictures.normalisation), PLAIN),
                     "teacher in the loop": partial(self.ours, online, switches),
                     "kept answers": partial(self.ours, kept, switches)}
        if device == "cuda":
            bare = fast(device, compiled=False)
            self.ways["kept answers, not compiled"] = partial(self.ours, kept, bare)
            self.ways["teacher in the loop, not compiled"] = partial(
                self.ours, Teacher(network, self.pictures.normalisation, bare), bare)
        self.kept, self.warm_up = kept, {}

    def plain(self, network: nn.Module, steps: int, name: str) -> float:
        student = image_network(self.student, CLASSES, seed=SEED).to(self.device)
        run = plain_steps(student, copy.deepcopy(network), self.loader, 0.05, self.device)
        next(run)  # workers start
        start = time.perf_counter()
        for _ in range(steps):
            next(run)
        seconds = time.perf_counter() - start
        run.close()
        return steps * BATCH / seconds

    def ours(self, teacher, switches: Speedups, steps: int, name: str) -> float:
        student, task = image_network(self.student, CLASSES, seed=SEED), ImageTask(self.pictures, SEED, teacher)
        *_, last = our_steps(student, task, switches, steps + (4 if switches.cuda_graphs else 1))
        self.warm_up.setdefault(name, last.warm_up)  # the first of its kind pays for the compiler
        return last.images_per_second

    def first_pass(self, steps: int) -> dict:
        """What the teacher's answers to a training of so many steps cost, once."""
        pixels = self.pictures.windows.take(*torch.zeros(2, self.kept.chunk, dtype=torch.int64, device=self.device))
        with self.kept.teacher.switches.set():
            self.kept.teacher.of_many(pixels)  # kernels, memory
            wait_for(self.device)
            start = time.perf_counter()
            for _ in prepared(ImageTask(self.pictures, SEED, self.kept), ImageRecipe(batch=BATCH), steps):
                pass
            wait_for(self.device)
        seconds = time.perf_counter() - start
        return {"pictures": self.kept.asked, "seconds": round(seconds, 3),
                "pictures_per_second": round(self.kept.asked / seconds, 1)}


def measure(pair: str, data: Dataset, device: str, rounds: int, steps: int, workers: int, compiled: bool) -> dict:
    """Images per second of each way, and its medians and ratios, over rounds in which the ways take turns."""
    ways = Ways(pair, data, device, workers, compiled)
    filling = ways.first_pass(steps)
    for name, way in ways.ways.items():  # kernels, memory, compilers
        way(2, name)
    speed = {name: [] for name in ways.ways}
    seconds = {name: [] for name in ways.ways}
    for number in range(rounds):
        turns = torch.randperm(len(ways.ways), generator=torch.Generator().manual_seed(number))
        for name in (list(ways.ways)[turn] for turn in turns):
            start = time.process_time()
            speed[name].append(ways.ways[name](steps, name))
            seconds[name].append(time.process_time() - start)
            print(f"  round {number + 1} of {rounds}: {name} {speed[name][-1]:,.1f} images/s", flush=True)
    ratio = {name: median(mine / plain for mine, plain in zip(speed[name], speed["plain loop"], strict=True))
             for name in speed}
    used = {name: median(plain / mine for mine, plain in zip(seconds[name], seconds["plain loop"], strict=True))
            for name in seconds}
    return {"pair": pair, "steps": steps, "rounds": rounds, "workers": workers, "teacher_once": filling,
            "images_per_second": {name: round(median(values), 1) for name, values in speed.items()},
            "all_rounds": {name: [round(value, 1) for value in values] for name, values in speed.items()},
            "times_the_plain_loop": {name: round(value, 2) for name, value in ratio.items()},
            "processor_time_less": {name: round(value, 2) for name, value in used.items()} if device == "cpu" else None,
            "warm_up_seconds": {name: round(value, 1) for name, value in ways.warm_up.items() if value}}


def speed(device: str, rounds: int, steps: int, workers: int, compiled: bool) -> list[dict]:
    """Measure every pair, print the tables and keep the figures."""
    start, data, rows = time.perf_counter(), made_images(IMAGES[device]), []
    for pair in PAIRS[device]:
        print(f"\n{pair}, batch {BATCH}, {IMAGES[device]:,} images of 32x32, {steps} steps a round")
        rows.append(row := measure(pair, data, device, rounds, steps, workers, compiled))
        promised = PROMISED[device]
        for name, value in row["times_the_plain_loop"].items():
            goal = f"   promised: {promised[pair, name]}" if (pair, name) in promised else ""
            print(f"{name:34} {row['images_per_second'][name]:>10,.1f} images/s {value:>6.2f}x{goal}", flush=True)
        goals = [{"pair": pair, "way": way, "times": times} for (pair, way), times in promised.items()]
        write(f"images_{device}", {"benchmark": "images", "batch": BATCH, "images": IMAGES[device], "rows": rows,
                                   "switches": str(fast(device)), "promised": goals,
                                   "provenance": provenance(device, time.perf_counter() - start)})
    return rows


# Losses


@contextmanager
def without_tf32() -> Iterator[None]:
    """Convolutions in single precision are in single precision; afterwards as they were, which the plain loop needs."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@without_tf32()
def parity(device: str, steps: int = 50, lr: float = 0.05, pair: str = "resnet20:resnet8") -> dict:
    """Largest distance of each path's losses from the plain loop's, over the same pictures in the same order."""
    start = time.perf_counter()
    data = made_images(640).to(device)
    pictures = Pictures.of(data, torch.arange(640, device=device), Augmentation())
    teacher, student = pair.split(":")
    network = seasoned(teacher, pictures)
    rows = list(prepared(ImageTask(pictures, SEED), ImageRecipe(batch=BATCH), steps))
    order = [pair for row in rows for pair in zip(row["index"].tolist(), row["view"].tolist(), strict=True)]
    plain = plain_steps(image_network(student, CLASSES, seed=SEED).to(device), copy.deepcopy(network),
                        plain_loader(data, pictures, 0, order), lr, torch.device(device))
    expected = torch.tensor([next(plain) for _ in range(steps)])

    single = chosen("single precision", device)
    ways = {"all switches off": (PLAIN, None), "single precision": (single, None),
            "single precision, kept in float32": (single, "float32"),
            "single precision, kept in float16": (single, "float16"),
            "fast": (fast(device), None), "fast, kept in float16": (fast(device), "float16")}
    found = {}
    for name, (switches, kept) in ways.items():
        online = Teacher(network, pictures.normalisation, switches)
        task = ImageTask(pictures, SEED, CachedTeacher(online, pictures, kept) if kept else online)
        run = our_steps(image_network(student, CLASSES, seed=SEED), task, switches, steps, lr, every=1)
        losses = torch.cat([snapshot.loss for snapshot in run])[1:].cpu()
        apart = (losses - expected).abs()
        found[name] = {"switches": str(switches), "largest": apart.max().item(), "first_10": apart[:10].max().item(),
                       "last_loss": losses[-1].item()}
        print(f"{name:34} {apart[:10].max():.1e} over 10 steps, {apart.max():.1e} over {steps}; "
              f"last loss {losses[-1]:.4f}")
    result = {"benchmark": "losses against the plain loop", "pair": pair, "steps": steps, "lr": lr, "batch": BATCH,
              "plain_last_loss": expected[-1].item(), "ways": found,
              "provenance": provenance(device, time.perf_counter() - start)}
    write(f"images_parity_{device}", result)
    return result


# Accuracy


def accuracy(device: str, data: str, images: int, epochs: float, seeds: int) -> dict:
    """Final accuracy of students in bf16 and in single precision: is the difference within the seeds' spread?"""
    start = time.perf_counter()
    params = image_pairs.ImagePairs(data=data, pair="resnet20:resnet8", epochs=epochs, schedule="one-cycle", lr=0.1,
                                    images=images, seeds=seeds, device=device)
    columns = {}
    for name in ("single precision", "fast"):
        results = image_pairs.run(image_pairs.replace(params, switches=name), lambda line: print(line, flush=True))
        columns[name] = {method: results.per_seed("accuracy", method=method).tolist()
                         for method in (*image_pairs.METHODS, "teacher")}
    rows = []
    for method in image_pairs.METHODS:
        single, fast_ones = (columns[name][method] for name in ("single precision", "fast"))
        difference = interval([b - a for a, b in zip(single, fast_ones, strict=True)])
        spread = torch.tensor(single).std().item()
        rows.append({"method": method, "single precision": single, "fast": fast_ones, "seed_spread": spread,
                     "difference": vars(difference)})
        print(f"{method}: single precision {sum(single) / seeds:.2f}%, spread of the seeds {spread:.2f}, "
              f"fast minus single {difference}")
    result = {"benchmark": "bf16 against single precision", "params": asdict(params), "rows": rows,
              "teacher": {name: column["teacher"] for name, column in columns.items()}, "switches": str(fast(device)),
              "provenance": provenance(device, time.perf_counter() - start)}
    write(f"images_bf16_{data}_{device}", result)
    return result


def write(name: str, result: dict) -> None:
    path = Path(__file__).parent / "results" / f"{name}.json"
    write_whole(path, lambda target: target.write_text(json.dumps(result, indent=1) + "\n"))
    print(f"wrote {path}")


@click.command()
@click.option("--device", default="cpu", type=click.Choice(["cpu", "cuda"]))
@click.option("--rounds", default=None, type=click.IntRange(1), help="Default 5, on a GPU 3.")
@click.option("--steps", default=None, type=click.IntRange(1), help="A round; default 20, on a GPU 150.")
@click.option("--workers", default=None, type=click.IntRange(0), help="Of the plain loop's loader; default by cores.")
@click.option("--threads", default=2, type=click.IntRange(1), help="Of torch, on a CPU.")
@click.option("--compiled", is_flag=True, help="torch.compile on the CPU too.")
@click.option("--parity", "losses", is_flag=True, help="Compare losses instead of speed.")
@click.option("--accuracy", "accuracies", is_flag=True, help="Compare bf16's accuracy instead of speed.")
@click.option("--data", default="fashion-mnist", help="For --accuracy.")
@click.option("--images", default=4_000, help="For --accuracy.")
@click.option("--epochs", default=8.0, help="For --accuracy.")
@click.option("--seeds", default=6, help="For --accuracy.")
def main(device, rounds, steps, workers, threads, compiled, losses, accuracies, data, images, epochs, seeds) -> None:
    """Our image loop against a plain one. On a GPU the losses are compared before the speed."""
    torch.set_num_threads(threads)
    if accuracies:
        accuracy(device, data, images, epochs, seeds)
        return
    if losses or device == "cuda":
        parity(device)
    if not losses:
        if workers is None:  # on two cores workers only get in the way of the training itself
            workers = 0 if os.cpu_count() <= 2 else min(8, os.cpu_count() // 2)
        rounds, steps = rounds or (5 if device == "cpu" else 3), steps or (20 if device == "cpu" else 150)
        speed(device, rounds, steps, workers, compiled)


if __name__ == "__main__":
    main()
