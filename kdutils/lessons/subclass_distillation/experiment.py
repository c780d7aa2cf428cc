"""Notebook 03: what can a teacher say when there are only two classes? (Müller, Kornblith, Hinton 2020)

Everything of one seed is paired: split, starts and batch orders are the same for every kind of teacher and every arm of
students. Accuracies and agreements are in percent, measured on the 597 test digits of the seed's split. The
click-through logs of the same notebook are an experiment of their own, `clicks`.
"""

import time
from collections.abc import Callable, Iterator

import pandas as pd
import torch
from torch import Tensor

from kdutils import metrics
from kdutils.cohorts import Splits, collect, table_rows
from kdutils.datasets import grouped
from kdutils.errors import whole
from kdutils.lessons.subclass_distillation.parameters import (
    ARMS,
    DEFAULT,
    FRESH,
    RACERS,
    SMOKE,
    Arm,
    SubclassDistillation,
)
from kdutils.lessons.subclass_distillation.students import Teachers, train_arms
from kdutils.lessons.subclass_distillation.teachers import (
    CERTAIN,
    clusters,
    discovered,
    enough_of_each,
    hidden_blocks,
    subclass_teachers,
    teacher_recipe,
    teachers,
)
from kdutils.results import Results, compared
from kdutils.training import Recipe

__all__ = ["ARMS", "DEFAULT", "FRESH", "SMOKE", "SubclassDistillation", "prepare", "run", "student_rows", "teachers",
           "train_arms"]


def prepare(params: SubclassDistillation) -> Splits:
    """The data; refuses what cannot be run before any training."""
    lab = Splits.of(grouped(params.data, params.device), params.seeds, params.seed)
    classes, pool = lab.data.n_classes, lab.pool.shape[1]
    for n in (*params.transfer_sizes, params.narrow_images, *params.speed_images):
        whole("transfer images", n, classes, pool, why="one for each class, at most the pool")
    enough_of_each(lab.data.labels[lab.pool], classes, max((params.subclasses, *params.sizes)))
    return lab


def run(params: SubclassDistillation, report: Callable[[str], None] = lambda line: None) -> Results:
    """A row per run and part. Columns that say which run it was, None where they do not apply:

    part         "discovery", "few" or "speed"
    method       in "discovery": "contrastive", "entropy", "no auxiliary loss" (beta 0), "k-means" (of the pixels of
                 each class), "oracle" and "two-class" (teachers told the hidden classes, or nothing); else an arm
    beta, t_aux, s (subclasses per class), transfer (examples), width (hidden units of a student), step, seed

    What was measured: accuracy (superclasses, by logsumexp; percent); of teachers also hungarian, purity, nmi and ari
    (each times 100) and used: the subclasses that are largest for at least 1% of the test images.
    """
    start = time.perf_counter()
    lab = prepare(params)
    return collect(_groups(lab, params, report), params, start, report)


def work(params: SubclassDistillation) -> list[float]:
    """What each part that is reported has to do, in shares of the whole at the default settings: for the time left."""
    students = {*((n, params.width) for n in params.transfer_sizes), (params.narrow_images, params.narrow)}
    return [14, 18, 8, *(8 for _ in students), *(5 for _ in params.speed_images)]


def first_result(lab: Splits, outputs: Teachers, params: SubclassDistillation) -> pd.DataFrame:
    """Students of the two-class and of the subclass teacher on 100 images: accuracy and the paired difference."""
    names = ("two-class", "subclass")
    ends = train_arms(lab, outputs, [arm for arm in ARMS if arm.name in names], lab.transfer(100), params.width, params,
                      Recipe(params.student_steps))
    right = {arm.name: 100 * metrics.accuracy(logits, lab.test_labels) for arm, _, logits in ends}
    return compared({"student": [right[name] for name in names]}, names)


def _groups(lab: Splits, params: SubclassDistillation, report) -> Iterator[list[dict]]:
    report(f"{params.seeds} teachers for each beta and T_aux, {params.subclasses} subclasses per class")
    yield _contrastive_rows(lab, params)
    report("teachers with the entropy form, with other numbers of subclasses, and k-means")
    yield _other_rows(lab, params)
    report("the teachers of the students")
    outputs = teachers(lab, params)
    yield _reference_rows(lab, outputs)
    students = [(n, params.width) for n in params.transfer_sizes] + [(params.narrow_images, params.narrow)]
    for n, width in dict.fromkeys(students):  # once, also where the narrow ones are as wide as the others
        report(f"students {lab.data.inputs[0].numel()}-{width} on {n} images, {len(ARMS)} arms")
        yield _few_rows(lab, outputs, n, width, params)
    for n in params.speed_images:
        report(f"how fast students learn on {n} images")
        yield _speed_rows(lab, outputs, n, params)


def _contrastive_rows(lab: Splits, params: SubclassDistillation) -> list[dict]:
    grid = [(beta, t_aux) for beta in params.betas for t_aux in params.t_auxs]
    chosen = [(params.beta, params.t_aux)] if params.beta else []
    values = list(dict.fromkeys([(0.0, params.t_aux), *grid, *chosen]))
    sizes = (params.subclasses,) * lab.data.n_classes
    logits = subclass_teachers(lab, lab.pool, sizes, values, recipe=teacher_recipe(params.teacher_steps))
    rows = []
    for (beta, t_aux), one in zip(values, logits, strict=True):
        kind = {"method": "contrastive", "beta": beta, "t_aux": t_aux} if beta else {"method": "no auxiliary loss",
                                                                                     "beta": 0.0}
        rows += discovered(lab, one, sizes, **kind, s=params.subclasses)
    return rows


def _other_rows(lab: Splits, params: SubclassDistillation) -> list[dict]:
    recipe, classes, rows = teacher_recipe(params.teacher_steps), lab.data.n_classes, []
    logits = subclass_teachers(lab, lab.pool, (params.subclasses,) * classes,
                               [(beta, 1.0) for beta in params.entropy_betas], "entropy", recipe)
    for beta, one in zip(params.entropy_betas, logits, strict=True):
        rows += discovered(lab, one, (params.subclasses,) * classes, method="entropy", beta=beta, s=params.subclasses)
    others = [s for s in params.sizes if s != params.subclasses]
    for s in others:
        logits = subclass_teachers(lab, lab.pool, (s,) * classes, [(params.beta, params.t_aux)], recipe=recipe)[0]
        kind = {"method": "contrastive", "beta": params.beta, "t_aux": params.t_aux, "s": s}
        rows += discovered(lab, logits, (s,) * classes, **kind)
    for s in (params.subclasses, *others):
        found = clusters(lab, lab.pool, (s,) * classes)
        logits = torch.nn.functional.one_hot(found, s * classes).float() * CERTAIN
        rows += discovered(lab, logits, (s,) * classes, method="k-means", s=s)
    return rows


def _reference_rows(lab: Splits, outputs: Teachers) -> list[dict]:
    """The teachers told the hidden classes, and those with nothing but two outputs."""
    return (discovered(lab, outputs["oracle"]["logits"], hidden_blocks(lab)[1], method="oracle")
            + discovered(lab, outputs["two-class"]["logits"], (1,) * lab.data.n_classes, method="two-class", s=1))


def _few_rows(lab: Splits, outputs: Teachers, n: int, width: int, params: SubclassDistillation) -> list[dict]:
    train = lab.transfer(n)
    enough_of_each(lab.data.labels[train], lab.data.n_classes)
    return [row for arm, step, logits in train_arms(lab, outputs, ARMS, train, width, params,
                                                    Recipe(params.student_steps))
            for row in student_rows(lab, arm, logits, part="few", transfer=n, width=width, step=step)]


def _speed_rows(lab: Splits, outputs: Teachers, n: int, params: SubclassDistillation) -> list[dict]:
    """A constant rate, so that a curve's shape is not the schedule's."""
    recipe = Recipe(params.student_steps, lr=3e-3, schedule="constant")
    arms = [arm for arm in ARMS if arm.name in RACERS]
    same = {"part": "speed", "transfer": n, "width": params.width}
    return [row for arm, step, logits in train_arms(lab, outputs, arms, lab.transfer(n), params.width, params, recipe,
                                                    params.speed_every)
            for row in student_rows(lab, arm, logits, **same, step=step)]


def student_rows(lab: Splits, arm: Arm, logits: Tensor, **same) -> list[dict]:
    """A row per seed for an arm with class logits (S, Q, C) on the test examples."""
    return table_rows(lab, [arm.columns], {"accuracy": 100 * metrics.accuracy(logits, lab.test_labels)}, **same)
