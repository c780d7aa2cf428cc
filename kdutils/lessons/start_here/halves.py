"""What an interval over seeds covers: seeds of one half of the digits beside a half that shares no image with it.

Seeds cut their splits from the same examples and share most of these. Were new data drawn for every seed instead, would
results spread more? Cut the digits in two at random: a seed in one half and a seed in the other share nothing, two
seeds of one half overlap as the course's do.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from kdutils import rng
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
from kdutils.datasets import Dataset, load, split
from kdutils.errors import different, positive, sound, whole
from kdutils.results import Results
from kdutils.training import Recipe

TEST_SHARE = 597 / 1797  # of the examples, as in the course's splits


@dataclass(frozen=True)
class Halves:
    """Many ways to cut the digits in two, and the seeds of each half."""

    cuts: int = 40  # ways to cut
    seeds: int = 4  # of each half
    transfer_sizes: tuple[int, ...] = (50, 100)  # images a student sees
    temperature: float = 4.0  # of the distilled students
    steps: int = 300  # of at most 64 images, of a student
    teacher_steps: int = TEACHER_RECIPE.steps  # of 64 images
    seed: int = 0  # the first seed, of cuts too
    device: str = "cpu"  # of torch

    def __post_init__(self):
        sound(self)
        whole("cuts", self.cuts, 2)
        whole("seeds", self.seeds, 2)
        whole("steps", self.steps, 1)
        whole("teacher steps", self.teacher_steps, 1)
        positive("temperature", self.temperature)
        for n in self.transfer_sizes:
            whole("transfer images", n, 1, 590, why="the pool of half the digits")
        different("transfer_sizes", self.transfer_sizes)


DEFAULT = Halves()


def prepare(params: Halves) -> Dataset:
    """The digits, on the device; refuses one that is not there before anything is trained."""
    return load("digits", params.device)


def run(params: Halves, report: Callable[[str], None] = lambda line: None) -> Results:
    """A row per cut, half ("a", "b"), seed, method and number of images: test accuracy in percent.

    An interrupt keeps the cuts that are finished.
    """
    start = time.perf_counter()
    return collect(_groups(prepare(params), params, report), params, start, report)


def _groups(data: Dataset, params: Halves, report) -> Iterator[list[dict]]:
    for cut in range(params.seed, params.seed + params.cuts):
        report(f"cut {cut - params.seed + 1} of {params.cuts}: {params.seeds} seeds in each half")
        for half, index in zip("ab", in_two(data, cut), strict=True):
            yield _half(part_of(data, index, f"{data.name}, half {half}"), params, cut=cut, half=half)


def in_two(data: Dataset, cut: int) -> tuple[torch.Tensor, ...]:
    """The indices of two halves, cut at random."""
    order = torch.randperm(len(data), generator=rng.generator(cut, "halves"))
    return order.to(data.labels.device).tensor_split(2)


def part_of(data: Dataset, index: torch.Tensor, name: str) -> Dataset:
    """Some examples as a data set of their own."""
    return replace(data, name=name, images=data.images[index], labels=data.labels[index])


def _half(data: Dataset, params: Halves, **same) -> list[dict]:
    seeds = tuple(range(params.seed, params.seed + params.seeds))
    splits = [split(data, seed, round(TEST_SHARE * len(data))) for seed in seeds]
    lab = Splits(data, seeds, torch.stack([one.pool for one in splits]), torch.stack([one.test for one in splits]))
    logits = teachers(lab, lab.pool, recipe=teacher_recipe(params.teacher_steps))
    rows = table_rows(lab, [{"method": "teacher", "transfer": lab.pool.shape[1]}], {"accuracy": lab.accuracy(logits)},
                      **same)
    for n in params.transfer_sizes:
        students = cohort(lab, logits, lab.transfer(n), [HARD, distilled(params.temperature)])
        students.fit(Recipe(steps=params.steps))
        rows += students.rows({"accuracy": students.accuracy()}, transfer=n, **same)
    return rows


def spreads(results: Results, resamples: int = 2000) -> pd.DataFrame:
    """A row per quantity: standard deviations in points over seeds of one half, and between halves, and their ratio.

    Columns: quantity, seeds (pooled over halves), halves (of seeds that share no image: the root of half the mean
    squared difference), ratio, low, high (its 95% interval, a percentile bootstrap over cuts).
    """
    table = results.table.assign(arm=results.table.method + " " + results.table.transfer.astype(str))
    wide = table.pivot_table(index=["cut", "half", "seed"], columns="arm", values="accuracy")
    hard = sorted((arm for arm in wide if arm.startswith("hard labels")), key=lambda arm: int(arm.split()[-1]))
    (teacher,) = [arm for arm in wide if arm.startswith("teacher")]
    quantities = {"accuracy of the teacher": wide[teacher]}
    for arm in hard:
        n = arm.split()[-1]
        quantities[f"accuracy of hard labels, {n} images"] = wide[arm]
        quantities[f"gain of soft targets, {n} images"] = wide[f"distilled {n}"] - wide[arm]
    return pd.DataFrame([{"quantity": name} | _spread(values, resamples) for name, values in quantities.items()])


def _spread(values: pd.Series, resamples: int) -> dict:
    by_half = values.unstack("seed")  # a row per cut and half
    within = by_half.var(axis=1, ddof=1).groupby("cut").mean().to_numpy()
    apart = ((by_half.xs("a", level="half") - by_half.xs("b", level="half")) ** 2).mean(axis=1).to_numpy() / 2
    draws = np.random.default_rng(0).integers(len(within), size=(resamples, len(within)))
    ratios = np.sqrt(apart[draws].mean(1) / within[draws].mean(1))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return {"seeds": np.sqrt(within.mean()), "halves": np.sqrt(apart.mean()),
            "ratio": np.sqrt(apart.mean() / within.mean()), "low": low, "high": high}
