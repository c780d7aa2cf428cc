"""Notebook 00: a first distillation. Teachers, then students with hard labels beside distilled ones."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from kdutils.cohorts import (
    HARD,
    TEACHER_RECIPE,
    Splits,
    cohort,
    collect,
    distilled,
    table_rows,
    teacher_recipe,
    teachers,
)
from kdutils.errors import positive, sound, whole
from kdutils.results import Effect, Results
from kdutils.training import Recipe


@dataclass(frozen=True)
class StartHere:
    """One number of images, one temperature: the curves of both methods."""

    seeds: int = 12  # teachers, and pairs of students
    transfer: int = 100  # images each student sees
    temperature: float = 4.0  # of the distilled students
    steps: int = 300  # of at most 64 images, of a student
    teacher_steps: int = TEACHER_RECIPE.steps  # of 64 images
    seed: int = 0  # the first seed
    device: str = "cpu"  # of torch

    def __post_init__(self):
        sound(self)
        whole("seeds", self.seeds, 1)
        whole("transfer images", self.transfer, 1)
        whole("steps", self.steps, 1)
        whole("teacher steps", self.teacher_steps, 1)
        positive("temperature", self.temperature)


DEFAULT = StartHere()


def prepare(params: StartHere) -> tuple[Splits, Tensor]:
    """The data and each seed's transfer set; refuses what cannot be run before anything is trained."""
    lab = Splits.open("digits", params.seeds, params.seed, params.device)
    return lab, lab.transfer(params.transfer)


def run(params: StartHere, report: Callable[[str], None] = lambda line: None) -> Results:
    """Test accuracy (percent) of teachers and students: a row per method, seed and step; teachers at the last step.

    An interrupt keeps the steps that were measured.
    """
    start = time.perf_counter()
    lab, transfer = prepare(params)
    return collect(_groups(lab, transfer, params, report), params, start, report)


def work(params: StartHere) -> list[float]:
    """What each part that is reported has to do, in shares of the whole at the default settings: for the time left."""
    return [6, 2]


def outcome(gain: Effect, params: StartHere) -> str:
    """What a paired gain says of this run, in a sentence."""
    setting = f"With {params.transfer:,} images at T = {params.temperature:g} the students of soft targets"
    if gain.n < 2:
        return f"{setting} end {gain.mean:+.1f} points from the others; one seed has no interval."
    if gain.low > 0:
        return f"{setting} end higher: {gain} points."
    if gain.high < 0:
        return f"{setting} end lower: {gain} points. Distillation does harm here."
    return f"{setting} end neither clearly higher nor clearly lower: {gain} points. The interval includes zero."


def _groups(lab: Splits, transfer: Tensor, params: StartHere, report) -> Iterator[list[dict]]:
    report(f"{params.seeds} teachers (from the cache if trained before)")
    logits = teachers(lab, lab.pool, recipe=teacher_recipe(params.teacher_steps))
    yield table_rows(lab, [{"method": "teacher", "temperature": None}], {"accuracy": lab.accuracy(logits)},
                     step=params.steps)
    report(f"{2 * params.seeds} students on {params.transfer} images each")
    students = cohort(lab, logits, transfer, [HARD, distilled(params.temperature)])
    for snapshot in students.train(Recipe(steps=params.steps), every=max(1, params.steps // 30)):
        yield students.rows({"accuracy": students.accuracy()}, step=snapshot.step)
