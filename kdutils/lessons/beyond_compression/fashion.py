"""The second scale: the nine methods on Fashion-MNIST, convolutional networks, 14x14 pixels.

Clothes at half their size, so that nine methods and five seeds take some twenty minutes of one core. Every network is
measured after its last step, on the first 5,000 of the official test images. Fetch the data: kdutils data get
fashion-mnist.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch.nn.functional import avg_pool2d

from kdutils.cohorts import Splits, collect
from kdutils.datasets import Dataset, load, power_law_counts, take
from kdutils.errors import between, positive, sound, whole
from kdutils.lessons.beyond_compression.experiment import (
    noisy_labels,
    race_rows,
    recalls,
    rows_of,
    tails,
)
from kdutils.lessons.beyond_compression.race import race, teach
from kdutils.networks import ConvNet
from kdutils.results import Results
from kdutils.training import Recipe

NETWORK = ConvNet((1, 14, 14), (8, 16))
POOL, TEST = 10_000, 5_000


@dataclass(frozen=True)
class NineOnClothes:
    seeds: int = 5                # runs per setting; a seed has its own images, starts and batches
    taught: int = 10_000          # images of the teacher in the clean race, of the first 10,000 of each seed
    images: int = 1000            # images of the students in the clean race and of all networks with wrong labels
    noise: float = 0.4            # share of labels drawn anew from all ten classes
    gamma: float = 0.2            # of the power-law profile
    most: int = 800               # images of the most frequent class
    fewest: int = 40              # images of the rarest class
    steps: int = 1000             # of a student, batches of 32
    teacher_steps: int = 1000     # of a teacher, batches of 64
    seed: int = 0                 # of the first run
    device: str = "cpu"  # of torch

    def __post_init__(self):
        sound(self)
        for name in ("seeds", "steps", "teacher_steps"):
            whole(name.replace("_", " "), getattr(self, name), 1)
        for name in ("taught", "images"):
            whole(name, getattr(self, name), 20, POOL)
        whole("fewest", self.fewest, 1, self.most - 1, why="less than the most")
        between("label noise", self.noise, 0, 1)
        positive("gamma", self.gamma)


DEFAULT = NineOnClothes()
SMOKE = NineOnClothes(seeds=2, taught=200, images=100, most=40, fewest=4, steps=5, teacher_steps=5)


def halved(data: Dataset) -> Dataset:
    """The same images at half their size: the mean of each 2x2 square, rounded."""
    return replace(data, images=avg_pool2d(data.images.float(), 2).round().to(torch.uint8))


def prepare(params: NineOnClothes) -> Splits:
    """The first 5,000 test images for all, and for each seed 10,000 of the first 20,000 others, at half their size."""
    whole_set = load("fashion-mnist", params.device)
    kept = torch.cat([torch.arange(2 * POOL, device=params.device), whole_set.test[:TEST]])
    data = replace(whole_set, images=whole_set.images[kept], labels=whole_set.labels[kept],
                   test=torch.arange(2 * POOL, 2 * POOL + TEST, device=params.device))
    lab = Splits.of(halved(data), params.seeds, params.seed)
    return replace(lab, pool=lab.pool[:, :POOL])


def run(params: NineOnClothes, report: Callable[[str], None] = lambda line: None) -> Results:
    """A row per run and part, "clean", "public weights", "noise" or "imbalance", with the columns of the digits' run.

    Each term has the weight at which its gradient is as large as that of the labels at the start; only in part "public
    weights", clean too, the weights are those of public codes.
    """
    start = time.perf_counter()
    return collect(_groups(prepare(params), params, report), params, start, report)


def _groups(lab: Splits, params: NineOnClothes, report) -> Iterator[list[dict]]:
    recipe, teaching = Recipe(params.steps, 32), Recipe(params.teacher_steps, 64, 5e-3)
    few = lab.transfer(params.images)
    report(f"clean: teachers of {params.taught:,} images, nine methods on {params.images:,}")
    yield _one_race(lab, lab.pool[:, :params.taught], few, None, teaching, recipe, part="clean")
    report("the same with the weights of public codes")
    yield _one_race(lab, lab.pool[:, :params.taught], few, None, teaching, recipe, balance=False, part="public weights")
    report(f"{params.noise:.0%} of the labels drawn anew, teachers and students on {params.images:,} images")
    yield _one_race(lab, few, few, noisy_labels(lab, params.noise), teaching, recipe, part="noise", noise=params.noise)
    counts = power_law_counts(params.most, params.fewest, 10, params.gamma)
    report(f"rare classes, gamma {params.gamma:g}: {', '.join(map(str, counts))} images")
    rare = tails(lab, counts)
    yield _one_race(lab, rare, rare, None, teaching, recipe, part="imbalance", profile=f"gamma {params.gamma:g}")


def _one_race(lab: Splits, taught, images, labels, teaching: Recipe, recipe: Recipe, balance: bool = True,
              **same) -> list[dict]:
    told = teach(lab, taught, NETWORK, teaching, labels, attacked=images)
    students = race(lab, told, images, spec=NETWORK, labels=labels)
    if balance:
        students.balance()
    students.run(recipe)
    same |= {"images": images.shape[1]}
    answers = students.predict(take(lab.data.inputs, lab.test))
    rows = race_rows(students, **same)
    found = {(method, seed): row for method, logits in answers.items()
             for seed, row in zip(lab.seeds, rows_of(lab, recalls(lab, logits)), strict=True)}
    right = rows_of(lab, {"accuracy": lab.accuracy(told.outputs["logits"])}, method="teacher", **same)
    return [found.get((row["method"], row["seed"]), {}) | row for row in rows] + right


# What others measured on CIFAR-100, top-1 accuracy (%): the source, its networks, the student alone, each method.
RANKINGS = (
    ("RepDistiller README", "WRN-40-2 to WRN-16-2", 73.26,
     {"KD": 74.92, "FitNets": 73.58, "AT": 74.08, "SP": 73.83, "RKD": 73.35, "FSP": 72.91}),
    ("Knowledge-Distillation-Zoo README, weights untuned", "resnet-110 to resnet-20", 68.92,
     {"KD": 70.06, "AT": 69.28, "FitNets": 69.81, "FSP": 69.78, "RKD": 69.36, "SP": 69.45, "BSS": 69.71, "DML": 70.29}),
    ("sseung0703 README, mean of five, last epoch", "ResNet32 to ResNet8", 71.76,
     {"KD": 71.79, "AT": 72.31, "FSP": 72.65, "FitNets": 72.74, "DML": 73.27, "RKD": 73.40}),
)
