"""Notebook 04: is the teacher's confidence in the way? Capacity gap, temperature, ablation (Guo et al. 2020).

Everything of one seed is paired: split, start and batch order are the same for every teacher and every arm. Accuracy,
confidence (mean of the largest probability) and ECE are in percent, measured on the 597 test digits of the seed's split
after the last step; spread is the mean standard deviation of an answer's logits over the classes.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor

from kdutils import rng
from kdutils.cohorts import STUDENT, Splits, collect, teachers
from kdutils.datasets import Dataset, load, superclasses
from kdutils.lessons.spherical_distillation.parameters import (
    DEFAULT,
    OPTIMISERS,
    SMOKE,
    Arm,
    SphericalDistillation,
    teacher_recipe,
)
from kdutils.lessons.spherical_distillation.students import distil, student_rows, students_of, teacher_rows
from kdutils.networks import MLP
from kdutils.results import Results, compared
from kdutils.training import Recipe

__all__ = ["DEFAULT", "SMOKE", "SphericalDistillation", "run"]

HALVES = {"0-4": (0, 1, 2, 3, 4), "5-9": (5, 6, 7, 8, 9)}
ABLATION = ("KD", "teacher per image", "one scalar", "student only", "SKD", "per-sample scale",
            "normalised temperature")
TABLE = ("raw, spherical", "spherical, raw", "spherical, spherical")


def prepare(params: SphericalDistillation) -> Splits:
    """The digits' splits; refuses what cannot be run before anything is trained."""
    return Splits.open("digits", params.seeds, params.seed, params.device)


def run(params: SphericalDistillation, report: Callable[[str], None] = lambda line: None) -> Results:
    """A row per run. Columns that say which it was (those that do not apply are empty):

    part         "gap" (teachers and students by width and optimiser), "longer" (students with more steps), "confidence"
                 (noisy digits, on which small and large teachers are about equally good), "dial", "ablation", "table",
                 "two classes"
    method       "teacher" or the name of a form; in part "dial" also "SKD, m/T fixed", in part "ablation" also
                 "SKD, the teacher's m"
    optimiser, width (of the teacher), temperature, m, transfer (images), seed

    What was measured: accuracy, spread, confidence, ece. Confidence and ECE of a student that is trained at the scale m
    are those of its answers at that scale, and empty where the objective leaves the scale free; its spread is that of
    its raw logits.
    """
    start = time.perf_counter()
    lab = prepare(params)
    return collect(_groups(lab, params, report), params, start, report)


def work(params: SphericalDistillation) -> list[float]:
    """What each part that is reported has to do, in shares of the whole at the default settings: for the time left."""
    return [*(8 for _ in OPTIMISERS), 5, 3, 7, 6, 2, 2]


def first_result(lab: Splits, params: SphericalDistillation) -> pd.DataFrame:
    """Teachers of the smallest and the largest width, and their students at T = 4: accuracy and paired differences."""
    logits = teachers_by_width(lab, (params.widths[0], params.widths[-1]), "Adam", params.teacher_steps)
    accuracy = {"teacher": torch.stack([lab.accuracy(z) for z in logits])}
    for form in ("KD", "SKD"):
        students = students_of(lab, logits, lab.transfer(params.transfer), form,
                               [Arm(form, 4.0, params.m, teacher=teacher) for teacher in (0, 1)])
        for _ in distil(students, form, Recipe(steps=params.student_steps)):
            pass
        accuracy[f"student, {form}"] = students.accuracy()
    return compared(accuracy, (f"{params.widths[0]:,} units", f"{params.widths[-1]:,} units"))


def noisy(data: Dataset, sigma: float) -> Dataset:
    """The same images with Gaussian noise on every pixel, `sigma` of the full scale, cut off at black and white."""
    random = torch.randn(data.images.shape, generator=rng.generator(0, "pixel noise")).to(data.images.device)
    pixels = (data.inputs + sigma * random).clamp(0, 1)
    return replace(data, name=f"{data.name}, noisy", images=(255 * pixels).round().to(torch.uint8), full_scale=255)


def teachers_by_width(lab: Splits, widths: Sequence[int], optimiser: str = "Adam", steps: int = 600) -> Tensor:
    """Logits (W, S, N, C) of one teacher per width and seed for every image, trained on the pool; cached."""
    inputs, classes = lab.data.inputs[0].numel(), lab.data.n_classes
    return torch.stack([teachers(lab, lab.pool, MLP(inputs, (width,), classes), teacher_recipe(optimiser, steps))
                        for width in widths])


# ---- the parts ---------------------------------------------------------------------------------------------------

def _groups(lab: Splits, params: SphericalDistillation, report) -> Iterator[list[dict]]:
    widths = ", ".join(f"{width:,}" for width in params.widths)
    by_optimiser = {}
    for optimiser in OPTIMISERS:
        report(f"teachers of {widths} hidden units, {optimiser}, {params.seeds} of each (from the cache if trained "
               "before), and their students")
        by_optimiser[optimiser] = teachers_by_width(lab, params.widths, optimiser, params.teacher_steps)
        yield _gap_rows(lab, by_optimiser[optimiser], optimiser, params)
    logits = by_optimiser["Adam"]
    report(f"{params.patience} times as many steps for the students of the smallest and the largest teacher")
    yield _longer_rows(lab, logits, params)
    report(f"temperatures from {min(params.dial):g} to {max(params.dial):g}")
    yield _dial_rows(lab, logits, params)
    report("what does the work: direction, one scalar, or the norm of each answer")
    yield _ablation_rows(lab, logits, params)
    report("the table of raw and spherical terms, with labels")
    yield _table_rows(lab, logits, params)
    report("two classes")
    yield _two_class_rows(lab, params)
    report("noisy digits, on which small and large teachers are equally good")
    yield _confidence_rows(params)


def _gap_rows(lab: Splits, logits: Tensor, optimiser: str, params: SphericalDistillation) -> list[dict]:
    """Teachers of every width, and their students at every temperature; one scalar for the usual optimiser only."""
    forms = ("KD", "SKD", "one scalar") if optimiser == "Adam" else ("KD", "SKD")
    temperatures = params.temperatures if optimiser == "Adam" else params.temperatures[:2]
    arms = [Arm(form, temperature, params.m, teacher=teacher) for form in forms for temperature in temperatures
            for teacher in range(len(params.widths))]
    same = {"part": "gap", "optimiser": optimiser}
    return teacher_rows(lab, logits, params.widths, **same) + _student_rows(lab, logits, arms, params, params.widths,
                                                                            **same)


def _longer_rows(lab: Splits, logits: Tensor, params: SphericalDistillation) -> list[dict]:
    """The smallest and the largest teacher at T = 4 once more: is the gap only a matter of time?"""
    arms = [Arm(form, 4.0, params.m, teacher=teacher) for form in ("KD", "SKD") for teacher in (0, len(logits) - 1)]
    patient = replace(params, student_steps=params.student_steps * params.patience)
    return _student_rows(lab, logits, arms, patient, params.widths, part="longer", optimiser="Adam")


def _dial_rows(lab: Splits, logits: Tensor, params: SphericalDistillation) -> list[dict]:
    """The dial of temperature behind the second largest teacher: m fixed, and m / T fixed."""
    teacher = len(params.widths) - 2
    same = {"part": "dial", "optimiser": "Adam"}
    fixed = [Arm(form, t, params.m, teacher=teacher) for form in ("KD", "SKD") for t in params.dial]
    ratio = [Arm("SKD", t, params.ratio * t, teacher=teacher) for t in params.dial]
    return _student_rows(lab, logits, fixed, params, params.widths, **same) + _student_rows(
        lab, logits, ratio, params, params.widths, method="SKD, m/T fixed", **same)


def _ablation_rows(lab: Splits, logits: Tensor, params: SphericalDistillation) -> list[dict]:
    """Behind the largest teacher: which part of the sphere does the work, and students that hear labels alone."""
    last = len(params.widths) - 1
    same = {"part": "ablation", "optimiser": "Adam"}
    arms = [Arm(form, t, params.m, teacher=last) for form in ABLATION for t in params.temperatures]
    arms += [Arm(form, 1.0, params.m, 0.0, last) for form in ("hard labels", "hard labels on the sphere")]
    own = [Arm("SKD", t, None, teacher=last) for t in params.temperatures]
    return _student_rows(lab, logits, arms, params, params.widths, **same) + _student_rows(
        lab, logits, own, params, params.widths, method="SKD, the teacher's m", **same)


def _table_rows(lab: Splits, logits: Tensor, params: SphericalDistillation) -> list[dict]:
    """{KD term raw, spherical} x {labels raw, spherical} x m, behind the largest teacher, T = 4."""
    last = len(params.widths) - 1
    arms = [Arm("raw, raw", 4.0, params.m, params.alpha, last)]
    arms += [Arm(form, 4.0, m, params.alpha, last) for form in TABLE for m in params.scales]
    return [row for images in params.table_images for row in _student_rows(
        lab, logits, arms, replace(params, transfer=images), params.widths, part="table", optimiser="Adam")]


def _two_class_rows(lab: Splits, params: SphericalDistillation) -> list[dict]:
    """The digits 0-4 against 5-9: one teacher, and students that hear raw logits, or directions, or both ways."""
    two = Splits.of(superclasses(lab.data, HALVES), params.seeds, params.seed)
    widths = (128,)
    logits = teachers_by_width(two, widths, "Adam", params.teacher_steps)
    arms = [Arm("KD"), Arm("teacher per image"), Arm("SKD", m=params.m), Arm("hard labels", 1.0, alpha=0.0)]
    same = {"part": "two classes", "optimiser": "Adam"}
    return teacher_rows(two, logits, widths, **same) + _student_rows(two, logits, arms, params, widths, **same)


def _confidence_rows(params: SphericalDistillation) -> list[dict]:
    """Small and large teachers of noisy digits, and their students."""
    lab = Splits.of(noisy(load("digits", params.device), params.noise), params.seeds, params.seed)
    logits = teachers_by_width(lab, params.noisy_widths, "Adam", params.teacher_steps)
    arms = [Arm(form, t, params.m, teacher=teacher) for form in ("KD", "SKD") for t in params.temperatures[:2]
            for teacher in range(len(params.noisy_widths))]
    same = {"part": "confidence", "optimiser": "Adam"}
    return teacher_rows(lab, logits, params.noisy_widths, **same) + _student_rows(
        lab, logits, arms, params, params.noisy_widths, **same)


def _student_rows(lab: Splits, logits: Tensor, arms: Sequence[Arm], params: SphericalDistillation,
                  widths: Sequence[int], **same) -> list[dict]:
    """Students with the images and the steps of these parameters."""
    spec = MLP(STUDENT.inputs, STUDENT.hidden, lab.data.n_classes)
    return student_rows(lab, logits, lab.transfer(params.transfer), arms, Recipe(steps=params.student_steps), widths,
                        spec, **same)
