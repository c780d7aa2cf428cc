"""Notebook 00: a first distillation. Teachers, then students with hard labels beside distilled ones."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import pandas as pd
from torch import Tensor

from kdutils.cohorts import HARD, Splits, cohort, distilled, teachers
from kdutils.errors import positive, whole
from kdutils.results import Results, provenance
from kdutils.training import Recipe


@dataclass(frozen=True)
class StartHere:
    """seeds: teachers and pairs of students; transfer: images each student sees; steps: of `batch` 64."""

    seeds: int = 12
    transfer: int = 100
    temperature: float = 4.0
    steps: int = 300
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self):
        whole("seeds", self.seeds, 1)
        whole("transfer images", self.transfer, 1)
        whole("steps", self.steps, 1)
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
    report(f"{params.seeds} teachers, then {2 * params.seeds} students on {params.transfer} images each")
    logits = teachers(lab, lab.pool)
    rows = [{"method": "teacher", "temperature": None, "step": params.steps, "seed": seed, "accuracy": value}
            for seed, value in zip(lab.seeds, lab.accuracy(logits).tolist(), strict=True)]
    complete = True
    try:
        for measured in _student_rows(lab, logits, transfer, params):
            rows += measured
    except KeyboardInterrupt:
        complete = False
        report("Interrupted: the steps measured so far are kept.")
    seconds = time.perf_counter() - start
    return Results(pd.DataFrame(rows), asdict(params), provenance(params.device, seconds), complete)


def _student_rows(lab: Splits, logits: Tensor, transfer: Tensor, params: StartHere) -> Iterator[list[dict]]:
    students = cohort(lab, logits, transfer, [HARD, distilled(params.temperature)])
    for snapshot in students.train(Recipe(steps=params.steps), every=max(1, params.steps // 30)):
        yield students.rows({"accuracy": students.accuracy()}, step=snapshot.step)
