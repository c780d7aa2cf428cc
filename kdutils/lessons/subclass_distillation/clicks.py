"""The click-through experiment of notebook 03: subclasses where nobody knows the classes inside.

Each seed has a world of its own (`datasets.clicks`), so that a finding is not one of a single world; split, starts and
batch orders are paired within a seed as everywhere. beta, T_aux and the two temperatures are those of the students with
the least log-loss in the worlds of the seeds 1000-1007 (`choose.choose_clicks`), which this experiment never uses.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor

from kdutils import metrics
from kdutils.cohorts import Splits, collect, table_rows
from kdutils.datasets import clicks, usable_device
from kdutils.errors import NotMeasuredError, at_least, between, different, positive, sound, whole
from kdutils.lessons.subclass_distillation.parameters import ARMS, Arm
from kdutils.lessons.subclass_distillation.students import Terms, train_arms
from kdutils.lessons.subclass_distillation.teachers import (
    discovered,
    enough_of_each,
    hidden_blocks,
    label_teachers,
    subclass_teachers,
    teacher_recipe,
)
from kdutils.objectives import class_logits
from kdutils.results import Results
from kdutils.training import Recipe

HELD_OUT = 3000  # rows of each world that are measured on


@dataclass(frozen=True)
class Clicks:
    """Teachers see as many rows of a log as the largest of `rows` says, their students as many as each says."""

    seeds: int = 16  # worlds
    rows: tuple[int, ...] = (2000, 8000)  # of a log, that students see
    subclasses: tuple[int, ...] = (2, 5)  # s per class that are tried
    beta: float = 0.03  # weight of the auxiliary loss
    t_aux: float = 0.3  # its temperature
    temperature: float = 2.0  # of students that learn from subclasses
    two_class_temperature: float = 4.0  # of students that learn from class probabilities
    alpha: float = 0.5  # weight of the soft targets beside the labels
    width: int = 16  # hidden units of a student
    teacher_steps: int = 500  # of 128 rows
    student_steps: int = 300  # of at most 64 rows, at a constant learning rate
    every: int = 20  # steps between two measurements
    seed: int = 0  # the first world
    device: str = "cpu"  # of torch

    def __post_init__(self):
        sound(self)
        for name in ("seeds", "width", "teacher_steps", "student_steps", "every"):
            whole(name.replace("_", " "), getattr(self, name), 1)
        for size in self.subclasses:
            whole("subclasses of a class", size, 1, 20)
        whole("number of subclasses that are tried", len(self.subclasses), 1)
        whole("number of rows that are tried", len(self.rows), 1)
        for n in self.rows:
            whole("rows", n, 2)
        at_least("beta", self.beta, 0)
        for name in ("t_aux", "temperature", "two_class_temperature"):
            positive(name, getattr(self, name))
        between("alpha", self.alpha, 0, 1)
        for name in ("rows", "subclasses"):
            different(name, getattr(self, name))


DEFAULT = Clicks()
# Every setting of the default, so that every claim is measured, if badly: few seeds and steps.
SMOKE = Clicks(seeds=2, teacher_steps=40, student_steps=40)


def prepare(params: Clicks) -> Splits:
    """The logs; refuses what cannot be run before any training."""
    usable_device(params.device)
    logs = click_lab(params.seeds, params.seed, max(params.rows), HELD_OUT, params.device)
    enough_of_each(logs.data.labels[logs.pool], logs.data.n_classes, max(params.subclasses))
    return logs


def run(params: Clicks, report: Callable[[str], None] = lambda line: None) -> Results:
    """A row per run and part. Columns that say which run it was, None where they do not apply:

    part         "clicks" or "click teachers"
    method       an arm of students; of teachers "two-class", "oracle", "subclass", or "Bayes": the true probabilities
    s (subclasses per class), transfer (rows), step, seed

    What was measured: log_loss (nats) and auc (percent); of teachers also what `teachers.discovered` measures.
    """
    start = time.perf_counter()
    lab = prepare(params)
    return collect(_groups(lab, params, report), params, start, report)


def work(params: Clicks) -> list[float]:
    """What each part that is reported has to do, in shares of the whole at the default settings: for the time left."""
    return [10, *(9 for _ in params.rows)]


def _groups(lab: Splits, params: Clicks, report) -> Iterator[list[dict]]:
    report(f"clicks of {params.seeds} worlds: teachers of {max(params.rows):,} rows")
    heads, outputs = _teachers(lab, params)
    yield _teacher_rows(lab, heads, outputs)
    for n in params.rows:
        report(f"students of {n:,} rows")
        yield [row for asked, arms in _comparisons(params)
               for arm, step, logits in train_arms(lab, outputs, arms, lab.pool[:, :n], params.width, asked,
                                                   student_recipe(params), params.every)
               for row in student_rows(lab, arm, logits, transfer=n, step=step,
                                       s=asked.subclasses if arm.head == "subclasses" else None)]


def _teachers(lab: Splits, params: Clicks) -> tuple[dict[str, tuple[int, ...]], dict[str, dict[str, Tensor]]]:
    """The heads of the teachers, and their outputs, by name."""
    recipe, classes = teacher_recipe(params.teacher_steps), lab.data.n_classes
    truth, segments = hidden_blocks(lab)
    heads = {"two-class": (1,) * classes, "oracle": segments}
    outputs = {"two-class": label_teachers(lab, lab.pool, lab.data.labels, classes, recipe)[0],
               "oracle": label_teachers(lab, lab.pool, truth, sum(segments), recipe)[0]}
    for s in params.subclasses:
        heads[f"subclass {s}"] = (s,) * classes
        outputs[f"subclass {s}"] = subclass_teachers(lab, lab.pool, (s,) * classes, [(params.beta, params.t_aux)],
                                                     recipe=recipe)[0]
    return heads, {name: {"logits": logits} for name, logits in outputs.items()}


def _teacher_rows(lab: Splits, heads: Mapping[str, tuple[int, ...]], outputs: Mapping[str, Mapping[str, Tensor]]
                  ) -> list[dict]:
    rows = []
    for name, sizes in heads.items():
        logits = outputs[name]["logits"]
        method, s = name.split()[0], sizes[0] if name.startswith("subclass") else None
        found = discovered(lab, logits, sizes, "click teachers", method=method, s=s)
        measured = table_rows(lab, [{}], log_loss_and_auc(lab, class_logits(lab.tested(logits), sizes)))
        rows += [row | more for row, more in zip(found, measured, strict=True)]
    p = lab.data.probability[lab.test]
    best = -(p.xlogy(p) + (1 - p).xlogy(1 - p)).mean(-1)
    return rows + table_rows(lab, [{"part": "click teachers", "method": "Bayes"}], {"log_loss": best})


def _comparisons(params: Clicks) -> Iterator[tuple[Terms, list[Arm]]]:
    """What the students of each comparison are asked, and its arms."""
    most = max(params.subclasses)
    yield terms(params, most, params.two_class_temperature), [
        *(arm for arm in ARMS if arm.name in ("hard labels", "two-class")),
        Arm("two-class of subclass teacher", f"subclass {most}", "classes", "classes")]
    for s in params.subclasses:
        alone = [Arm("hard labels, larger head")] if s == most else []
        yield terms(params, s, params.temperature), [Arm("subclass", f"subclass {s}"), *alone]
    yield terms(params, most, params.temperature), [arm for arm in ARMS if arm.name == "oracle"]


def terms(params: Clicks, subclasses: int, temperature: float) -> Terms:
    """What students with this many subclasses are asked at this temperature."""
    return Terms(subclasses, temperature, params.alpha)


def student_recipe(params: Clicks) -> Recipe:
    """A constant rate, so that a curve's shape is not the schedule's."""
    return Recipe(params.student_steps, lr=3e-3, schedule="constant")


def student_rows(lab: Splits, arm: Arm, logits: Tensor, **same) -> list[dict]:
    """A row per seed for an arm with class logits (S, Q, 2) on the test rows."""
    return table_rows(lab, [arm.columns], log_loss_and_auc(lab, logits), part="clicks", **same)


def log_loss_and_auc(lab: Splits, logits: Tensor) -> dict[str, Tensor]:
    """Log-loss (nats) and AUC (percent) of class logits (S, Q, 2) on the test rows: {name: (S,)}."""
    labels = lab.test_labels
    return {"log_loss": metrics.nll(logits, labels), "auc": 100 * metrics.auc(logits, labels)}


def click_lab(seeds: int = 12, seed: int = 0, rows: int = 8000, held_out: int = 4000, device: str = "cpu") -> Splits:
    """The logs of one world per seed, one after the other in one table: `rows` to train on, `held_out` to measure.

    Each world's numbers are standardised by its own training rows.
    """
    chosen = tuple(range(seed, seed + whole("seeds", seeds, 1)))
    n = whole("rows", rows, 2) + whole("held out", held_out, 2)
    logs = [replace(clicks(one, n, world=one), test=torch.arange(held_out)).standardise() for one in chosen]
    columns = {name: torch.cat([getattr(log, name) for log in logs])
               for name in ("numeric", "categories", "labels", "hidden", "probability")}
    own = torch.arange(len(chosen) * n, device=device).view(-1, n)
    return Splits(replace(logs[0], test=None, **columns).to(device), chosen, own[:, held_out:], own[:, :held_out], own)


def steps_to_level(results: Results, this: Mapping, level_of: Mapping, metric: str = "log_loss") -> pd.Series:
    """First measured step at which each seed's run `this` is as good as the best of its run `level_of`, by seed.

    Good is low. The level is the best that the other run reaches at any measured step, which favours that run. A run
    that never gets there counts as one measuring interval behind its last step: too small a number, never too large.
    """
    curves, levels = (curves_of(results, metric, one) for one in (this, level_of))
    if not curves.index.equals(levels.index):
        raise NotMeasuredError(f"{this} and {level_of} were not measured on the same seeds.")
    reached = curves.le(levels.min(axis=1), axis=0)
    steps = curves.columns
    never = steps[-1] + (steps[-1] - steps[-2] if len(steps) > 1 else 1)
    return reached.idxmax(axis=1).where(reached.any(axis=1), never).astype(float)


def curves_of(results: Results, metric: str, run: Mapping) -> pd.DataFrame:
    """A run's values of a metric by seed (rows) and step (columns); NotMeasuredError if it was not measured."""
    return results.measured(metric, **run).pivot(index="seed", columns="step", values=metric)
