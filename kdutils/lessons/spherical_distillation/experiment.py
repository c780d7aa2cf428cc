"""Notebook 04: is the teacher's confidence in the way? Capacity gap, temperature, ablation (Guo et al. 2020).

Everything of one seed is paired: split, start and batch order are the same for every teacher and every arm. Accuracy,
confidence (mean of the largest probability) and ECE are in percent, measured on the 597 test digits of the seed's split
after the last step; spread is the mean standard deviation of an answer's logits over the classes.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from kdutils import metrics
from kdutils import seeds as rng
from kdutils.cohorts import STUDENT, Cohort, Lab, Setting, cohort, tabled, teachers
from kdutils.datasets import Dataset, load, superclasses
from kdutils.lessons.spherical_distillation.parameters import (
    DEFAULT,
    FORMS,
    OPTIMISERS,
    SMOKE,
    Arm,
    SphericalDistillation,
    teacher_recipe,
)
from kdutils.networks import MLP
from kdutils.objectives import mean_spread, on_sphere, softmax
from kdutils.results import Results
from kdutils.training import Recipe, steps

__all__ = ["DEFAULT", "SMOKE", "SphericalDistillation", "run"]

HALVES = {"0-4": (0, 1, 2, 3, 4), "5-9": (5, 6, 7, 8, 9)}
ABLATION = ("KD", "teacher per image", "one scalar", "student only", "SKD", "per-sample scale",
            "normalised temperature")
TABLE = ("raw, spherical", "spherical, raw", "spherical, spherical")


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
    lab = Lab.open("digits", params.seeds, params.seed, params.device)
    return tabled(_groups(lab, params, report), params, start, report)


def noisy(data: Dataset, sigma: float) -> Dataset:
    """The same images with Gaussian noise on every pixel, `sigma` of the full scale, cut off at black and white."""
    random = torch.randn(data.images.shape, generator=rng.generator(0, "pixel noise")).to(data.images.device)
    pixels = (data.inputs + sigma * random).clamp(0, 1)
    return replace(data, name=f"{data.name}, noisy", images=(255 * pixels).round().to(torch.uint8), full_scale=255)


def teachers_by_width(lab: Lab, widths: Sequence[int], optimiser: str = "Adam", steps: int = 600) -> Tensor:
    """Logits (W, S, N, C) of one teacher per width and seed for every image, trained on the pool; cached."""
    inputs, classes = lab.data.inputs[0].numel(), lab.data.n_classes
    return torch.stack([teachers(lab, lab.pool, MLP(inputs, (width,), classes), teacher_recipe(optimiser, steps))
                        for width in widths])


def students_of(lab: Lab, logits: Tensor, transfer: Tensor, form: str, arms: Sequence[Arm]) -> Cohort:
    """Students of one form, an arm per setting, ready to be trained by `train`; logits: (W, S, N, C) of teachers."""
    chosen = torch.stack([logits[arm.teacher] for arm in arms])  # (A, S, N, C)
    own = mean_spread(torch.stack([chosen[:, s, pool] for s, pool in enumerate(lab.pool)], 1))  # (A, S)
    m = torch.stack([own[a] if arm.m is None else torch.full_like(own[a], arm.m) for a, arm in enumerate(arms)])
    if form == "one scalar":
        chosen = chosen * (m / own)[..., None, None]
    settings = [Setting(form, float(arm.temperature), arm.alpha, a) for a, arm in enumerate(arms)]
    students = cohort(lab, chosen, transfer, settings, MLP(STUDENT.inputs, STUDENT.hidden, lab.data.n_classes))
    students.knobs.set(m=m.flatten())
    return students


def train(students: Cohort, form: str, recipe: Recipe, every: int | None = None) -> Iterator:
    """The training loop over students of a form."""
    return steps(students.population, students.task, FORMS[form].objective, students.knobs, recipe,
                 every or recipe.steps)


def measures(logits: Tensor, labels: Tensor, m: Tensor | None = None) -> dict[str, Tensor]:
    """What is measured of answers (M, Q, C) to test images (M, Q): {name: (M,)}. m: (M,) where they are read at it."""
    answers = logits if m is None else on_sphere(logits, m)
    return {"accuracy": 100 * metrics.accuracy(logits, labels), "spread": mean_spread(logits),
            "confidence": 100 * softmax(answers).amax(-1).mean(-1), "ece": 100 * metrics.ece(answers, labels)}


# ---- the parts ---------------------------------------------------------------------------------------------------

def _groups(lab: Lab, params: SphericalDistillation, report) -> Iterator[list[dict]]:
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


def _gap_rows(lab: Lab, logits: Tensor, optimiser: str, params: SphericalDistillation) -> list[dict]:
    """Teachers of every width, and their students at every temperature; one scalar for the usual optimiser only."""
    forms = ("KD", "SKD", "one scalar") if optimiser == "Adam" else ("KD", "SKD")
    temperatures = params.temperatures if optimiser == "Adam" else params.temperatures[:2]
    arms = [Arm(form, temperature, params.m, teacher=teacher) for form in forms for temperature in temperatures
            for teacher in range(len(params.widths))]
    same = {"part": "gap", "optimiser": optimiser}
    return _teacher_rows(lab, logits, params.widths, **same) + _student_rows(lab, logits, arms, params, params.widths,
                                                                            **same)


def _longer_rows(lab: Lab, logits: Tensor, params: SphericalDistillation) -> list[dict]:
    """The smallest and the largest teacher at T = 4 once more: is the gap only a matter of time?"""
    arms = [Arm(form, 4.0, params.m, teacher=teacher) for form in ("KD", "SKD") for teacher in (0, len(logits) - 1)]
    patient = replace(params, student_steps=params.student_steps * params.patience)
    return _student_rows(lab, logits, arms, patient, params.widths, part="longer", optimiser="Adam")


def _dial_rows(lab: Lab, logits: Tensor, params: SphericalDistillation) -> list[dict]:
    """The dial of temperature behind the second largest teacher: m fixed, and m / T fixed."""
    teacher = len(params.widths) - 2
    same = {"part": "dial", "optimiser": "Adam"}
    fixed = [Arm(form, t, params.m, teacher=teacher) for form in ("KD", "SKD") for t in params.dial]
    ratio = [Arm("SKD", t, params.ratio * t, teacher=teacher) for t in params.dial]
    return _student_rows(lab, logits, fixed, params, params.widths, **same) + _student_rows(
        lab, logits, ratio, params, params.widths, method="SKD, m/T fixed", **same)


def _ablation_rows(lab: Lab, logits: Tensor, params: SphericalDistillation) -> list[dict]:
    """Behind the largest teacher: which part of the sphere does the work, and students that hear labels alone."""
    last = len(params.widths) - 1
    same = {"part": "ablation", "optimiser": "Adam"}
    arms = [Arm(form, t, params.m, teacher=last) for form in ABLATION for t in params.temperatures]
    arms += [Arm(form, 1.0, params.m, 0.0, last) for form in ("hard labels", "hard labels on the sphere")]
    own = [Arm("SKD", t, None, teacher=last) for t in params.temperatures]
    return _student_rows(lab, logits, arms, params, params.widths, **same) + _student_rows(
        lab, logits, own, params, params.widths, method="SKD, the teacher's m", **same)


def _table_rows(lab: Lab, logits: Tensor, params: SphericalDistillation) -> list[dict]:
    """{KD term raw, spherical} x {labels raw, spherical} x m, behind the largest teacher, T = 4."""
    last = len(params.widths) - 1
    arms = [Arm("raw, raw", 4.0, params.m, params.alpha, last)]
    arms += [Arm(form, 4.0, m, params.alpha, last) for form in TABLE for m in params.scales]
    return [row for images in params.table_images for row in _student_rows(
        lab, logits, arms, replace(params, transfer=images), params.widths, part="table", optimiser="Adam")]


def _two_class_rows(lab: Lab, params: SphericalDistillation) -> list[dict]:
    """The digits 0-4 against 5-9: one teacher, and students that hear raw logits, or directions, or both ways."""
    two = Lab.of(superclasses(lab.data, HALVES), params.seeds, params.seed)
    widths = (128,)
    logits = teachers_by_width(two, widths, "Adam", params.teacher_steps)
    arms = [Arm("KD"), Arm("teacher per image"), Arm("SKD", m=params.m), Arm("hard labels", 1.0, alpha=0.0)]
    same = {"part": "two classes", "optimiser": "Adam"}
    return _teacher_rows(two, logits, widths, **same) + _student_rows(two, logits, arms, params, widths, **same)


def _confidence_rows(params: SphericalDistillation) -> list[dict]:
    """Small and large teachers of noisy digits, and their students."""
    lab = Lab.of(noisy(load("digits", params.device), params.noise), params.seeds, params.seed)
    logits = teachers_by_width(lab, params.noisy_widths, "Adam", params.teacher_steps)
    arms = [Arm(form, t, params.m, teacher=teacher) for form in ("KD", "SKD") for t in params.temperatures[:2]
            for teacher in range(len(params.noisy_widths))]
    same = {"part": "confidence", "optimiser": "Adam"}
    return _teacher_rows(lab, logits, params.noisy_widths, **same) + _student_rows(
        lab, logits, arms, params, params.noisy_widths, **same)


# ---- rows --------------------------------------------------------------------------------------------------------

def _teacher_rows(lab: Lab, logits: Tensor, widths: Sequence[int], **same) -> list[dict]:
    rows = []
    for width, z in zip(widths, logits, strict=True):
        picked = z.gather(1, lab.test[..., None].expand(-1, -1, z.shape[-1]))
        rows += _rows(lab, measures(picked, lab.data.labels[lab.test]), method="teacher", width=width,
                      transfer=lab.pool.shape[1], **same)
    return rows


def _student_rows(lab: Lab, logits: Tensor, arms: Sequence[Arm], params: SphericalDistillation,
                  widths: Sequence[int], **same) -> list[dict]:
    """Students of all arms, one population per form: their rows. `same` may rename the method."""
    rows, transfer = [], lab.transfer(params.transfer)
    for form in dict.fromkeys(arm.form for arm in arms):
        mine = [arm for arm in arms if arm.form == form]
        students = students_of(lab, logits, transfer, form, mine)
        for _ in train(students, form, Recipe(steps=params.student_steps)):
            pass
        scale = torch.tensor(students.knobs["m"], device=transfer.device)
        values = measures(*students.test_logits(), scale if FORMS[form].read == "m" else None)
        if FORMS[form].read is None:
            values = {name: values[name] for name in ("accuracy", "spread")}
        for a, arm in enumerate(mine):
            part = slice(a * len(lab.seeds), (a + 1) * len(lab.seeds))
            hears = arm.alpha > 0
            rows += _rows(lab, {name: value[part] for name, value in values.items()}, **{
                "method": form, "width": widths[arm.teacher] if hears else None,
                "temperature": float(arm.temperature) if hears else None,
                "m": arm.m if FORMS[form].needs_m else None, "alpha": arm.alpha,
                "transfer": transfer.shape[1]} | same)
    return rows


def _rows(lab: Lab, values: dict[str, Tensor], **same) -> list[dict]:
    """A row per seed."""
    listed = {name: value.tolist() for name, value in values.items()}
    return [same | {"seed": seed} | {name: column[i] for name, column in listed.items()}
            for i, seed in enumerate(lab.seeds)]
