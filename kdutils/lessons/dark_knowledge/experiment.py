"""Notebook 01: what soft targets carry. Temperature sweep, same-data control, omitted class (Hinton et al. 2015).

Every student is paired with the hard-label student of its seed: same split, same start, same batch order, same
number of steps. Accuracies and recalls are in percent of the 597 test digits of the seed's split.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from kdutils import metrics
from kdutils.cohorts import (
    HARD,
    TEACHER_RECIPE,
    Cohort,
    Setting,
    Splits,
    cohort,
    collect,
    distilled,
    teacher_recipe,
    teachers,
)
from kdutils.datasets import without_class
from kdutils.errors import different, positive, sound, whole
from kdutils.networks import MLP
from kdutils.results import Results
from kdutils.training import Recipe


@dataclass(frozen=True)
class DarkKnowledge:
    """Part "sweep" is about temperatures, "same labels" about teachers that know no more, "omitted" about a digit."""

    seeds: int = 20  # runs per setting
    transfer_sizes: tuple[int, ...] = (50, 100, 1200)  # images a student sees
    temperatures: tuple[float, ...] = (1, 2, 4, 8, 16, 32)  # of the sweep
    control_sizes: tuple[int, ...] = (50, 100)  # sizes at which a teacher that saw only those images is tried
    control_temperature: float = 4.0  # of its students
    omitted: int = 3  # the digit left out of the transfer set
    omitted_temperatures: tuple[float, ...] = (1, 4, 8)  # of the students that never see it
    hidden: int = 16  # hidden units of a student
    steps: int = 600  # of at most 64 images, of a student
    teacher_steps: int = TEACHER_RECIPE.steps  # of 64 images
    seed: int = 0  # the first seed
    device: str = "cpu"  # of torch

    def __post_init__(self):
        sound(self)
        whole("seeds", self.seeds, 1)
        whole("steps", self.steps, 1)
        whole("teacher steps", self.teacher_steps, 1)
        whole("hidden", self.hidden, 1)
        whole("omitted class", self.omitted, 0, 9)
        whole("number of temperatures", len(self.temperatures), 1)
        for temperature in (*self.temperatures, *self.omitted_temperatures, self.control_temperature):
            positive("temperature", temperature)
        for name in ("temperatures", "transfer_sizes", "control_sizes", "omitted_temperatures"):
            different(name, getattr(self, name))


DEFAULT = DarkKnowledge()


def prepare(params: DarkKnowledge) -> Splits:
    """The data; refuses what cannot be run before anything is trained."""
    lab = Splits.open("digits", params.seeds, params.seed, params.device)
    for n in (*params.transfer_sizes, *params.control_sizes):
        whole("transfer images", n, 1, lab.pool.shape[1], why="the pool of digits")
    return lab


def run(params: DarkKnowledge, report: Callable[[str], None] = lambda line: None) -> Results:
    """A row per run. Columns: part ("sweep", "same labels", "omitted"), transfer, method, temperature, seed, accuracy,
    nll (nats), and for the omitted digit recall, corrected_accuracy and corrected_recall.

    `report` is told each group before it starts. An interrupt keeps the groups that are finished.
    """
    start = time.perf_counter()
    lab = prepare(params)
    return collect(_groups(lab, params, report), params, start, report)


def work(params: DarkKnowledge) -> list[float]:
    """What each part that is reported has to do, in shares of the whole at the default settings: for the time left."""
    return [9, *(3 for _ in params.transfer_sizes), *(6 for _ in params.control_sizes), 2]


def _groups(lab: Splits, params: DarkKnowledge, report) -> Iterator[list[dict]]:
    report(f"{len(lab.seeds)} teachers, {lab.pool.shape[1]} labelled digits each (from the cache if trained before)")
    recipe = teacher_recipe(params.teacher_steps)
    logits = teachers(lab, lab.pool, recipe=recipe)
    yield [{"part": "teacher", "transfer": lab.pool.shape[1], "method": "teacher", "temperature": None, "seed": seed,
            "accuracy": value} for seed, value in zip(lab.seeds, lab.accuracy(logits).tolist(), strict=True)]
    for n in params.transfer_sizes:
        report(f"students on {n} images: hard labels and T = {', '.join(map('{:g}'.format, params.temperatures))}")
        arms = [HARD, *map(distilled, params.temperatures)]
        yield _measured(_train(lab, logits, lab.transfer(n), arms, params), part="sweep", transfer=n)
    for n in params.control_sizes:
        report(f"control: teachers that saw the same {n} labels as their students")
        shared = lab.transfer(n)
        arms = [HARD, distilled(params.control_temperature)]
        told_the_same = teachers(lab, shared, recipe=recipe)
        yield _measured(_train(lab, told_the_same, shared, arms, params), part="same labels", transfer=n)
    report(f"students that never see a {params.omitted}")
    transfer = _all_but(lab, params.omitted)
    students = _train(lab, logits, transfer, [HARD, *map(distilled, params.omitted_temperatures)], params)
    yield _measured(students, omitted=params.omitted, part="omitted", transfer=transfer.shape[1])


def _train(lab: Splits, logits: Tensor, transfer: Tensor, settings: list[Setting], params: DarkKnowledge) -> Cohort:
    return cohort(lab, logits, transfer, settings, MLP(64, (params.hidden,), 10)).fit(Recipe(steps=params.steps))


def _measured(students: Cohort, omitted: int | None = None, **same) -> list[dict]:
    logits, labels = students.test_logits()
    values = {"accuracy": 100 * metrics.accuracy(logits, labels), "nll": metrics.nll(logits, labels)}
    if omitted is not None:
        corrected = metrics.bias_corrected(logits, omitted)
        values |= {"recall": 100 * metrics.recall(logits, labels, omitted),
                   "corrected_accuracy": 100 * metrics.accuracy(corrected, labels),
                   "corrected_recall": 100 * metrics.recall(corrected, labels, omitted)}
    return students.rows(values, **same)


def _all_but(lab: Splits, label: int) -> Tensor:
    """(S, n) pool images of every other class; n is what a pool has that got every image of the class, so that each
    seed has as many, whichever seeds run beside it."""
    n = lab.pool.shape[1] - int((lab.data.labels == label).sum())
    return torch.stack([without_class(lab.data, pool, label)[:n] for pool in lab.pool])
