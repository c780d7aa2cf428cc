"""Checks of notebook 00."""

import math

import torch
from scipy import stats

from kdutils.course.checks import NotDone, Wrong, answer_of, compare, exercise
from kdutils.errors import whole

_HARD = torch.tensor([88.0, 90.0, 86.0, 89.0, 91.0]).double()
_SOFT = torch.tensor([92.0, 93.0, 91.0, 92.0, 93.0]).double()


@exercise("00.1")
def paired_gain(function) -> str:
    """paired_gain(distilled, hard): mean difference of the two students of each seed."""
    compare(answer_of(function, _SOFT, _HARD), (_SOFT - _HARD).mean(), {
        "The sign: a gain is what distillation adds, so distilled minus hard.": (_HARD - _SOFT).mean(),
        "That is the difference of each seed; the gain is their mean.": _SOFT - _HARD,
        "That is the sum over seeds; divide by their number.": (_SOFT - _HARD).sum()})
    return "The mean of the differences. It equals the difference of the means; what pairing changes is the interval."


@exercise("00.2")
def half_width(function) -> str:
    """half_width(differences): half the 95% Student-t interval."""
    d = _SOFT - _HARD
    n = len(d)
    sem = d.std() / math.sqrt(n)
    t = stats.t.ppf(0.975, n - 1)
    compare(answer_of(function, d), t * sem, {
        "That is the standard deviation of single seeds; a mean over n seeds varies less, by the square root of n.":
            t * d.std(),
        "That is the standard error; multiply it by the t quantile (2.78 for 5 seeds).": sem,
        "1.96 is right for many seeds; with 5 seeds Student's t is wider.": 1.96 * sem,
        "Use the sample's standard deviation, with n - 1 in the denominator.":
            t * d.std(correction=0) / math.sqrt(n),
        "Half the interval, not the whole width.": 2 * t * sem})
    return "Twelve seeds need 2.20 standard errors, five need 2.78: few seeds make wide intervals."


@exercise("00.3")
def how_many_seeds(answer) -> str:
    """How many seeds show a gain of 0.5 points, if single differences scatter with a standard deviation of 1.5?"""
    if answer is None:
        raise NotDone
    seeds = whole("the number of seeds", answer, 2, why="an interval needs two")
    half = stats.t.ppf(0.975, seeds - 1) * 1.5 / math.sqrt(seeds)
    if half >= 0.5:
        raise Wrong(f"With {seeds} seeds the interval is +0.5 ± {half:.2f}: it still includes zero.")
    if seeds > 60:
        raise Wrong(f"{seeds} seeds are enough (± {half:.2f}), but about half as many would do.")
    return f"With {seeds} seeds the interval is +0.5 ± {half:.2f}, just clear of zero. Small effects need many seeds."
