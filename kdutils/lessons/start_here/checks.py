"""Checks of notebook 00."""

import math

import torch
from scipy import stats

from kdutils.course.checks import Case, NotDone, Wrong, answer_of, exercise, judge
from kdutils.errors import whole

# Two sets of seeds, so that no number that stands in the code instead of the tensors is right.
_PAIRS = [(torch.tensor(soft).double(), torch.tensor(hard).double()) for soft, hard in (
    ([92.0, 93.0, 91.0, 92.0, 93.0], [88.0, 90.0, 86.0, 89.0, 91.0]),
    ([95.0, 90.0, 94.0, 96.0, 91.0, 93.0, 97.0, 92.0], [94.0, 91.0, 90.0, 93.0, 90.0, 94.0, 92.0, 91.0]))]


@exercise("00.1")
def paired_gain(function) -> str:
    """paired_gain(distilled, hard): mean difference of the two students of each seed."""
    judge([Case(answer_of(function, soft, hard), (soft - hard).mean(), {
        "The sign: a gain is what distillation adds, so distilled minus hard.": (hard - soft).mean(),
        "That is the difference of each seed; the gain is their mean.": soft - hard,
        "That is the sum over seeds; divide by their number.": (soft - hard).sum(),
        "That is a ratio; a gain in points is a difference.": (soft / hard).mean(),
        "That is the distilled students alone: what would they have reached without?": soft.mean(),
        "You average the sizes of the differences; one that is negative has to count against the gain.":
            (soft - hard).abs().mean(),
        "That is the median; one seed in which it goes badly has to count.": (soft - hard).median()},
        {"the number of seeds": len(soft)}, f"{len(soft)} seeds") for soft, hard in _PAIRS],
        "For each seed subtract the hard-label student from the distilled one, then average.")
    return "The mean of the differences. It equals the difference of the means; what pairing changes is the interval."


@exercise("00.2")
def half_width(function) -> str:
    """half_width(differences): half the 95% Student-t interval."""
    cases = []
    for soft, hard in _PAIRS:
        d = soft - hard
        n, sem = len(d), d.std() / math.sqrt(len(d))
        t = stats.t.ppf(0.975, n - 1)
        cases.append(Case(answer_of(function, d), t * sem, {
            "That is the standard deviation of single seeds; a mean over n seeds varies less, by the square root of n.":
                t * d.std(),
            "That is the standard error; multiply it by the t quantile (2.78 for 5 seeds).": sem,
            "1.96 is right for many seeds; with 5 seeds Student's t is wider.": 1.96 * sem,
            "Use the sample's standard deviation, with n - 1 in the denominator.":
                t * d.std(correction=0) / math.sqrt(n),
            "Half the interval, not the whole width.": 2 * t * sem,
            "You divide by n; a mean over n seeds varies less by the square root of n.": t * d.std() / n,
            "You divide by the square root of n - 1; that one belongs to the standard deviation, which has it already.":
                t * d.std() / math.sqrt(n - 1),
            "That is the variance; its square root is in points.": t * d.var() / math.sqrt(n),
            "That is the 95% quantile, of an interval that leaves out 5% on each side; 2.5% on each side are meant.":
                stats.t.ppf(0.95, n - 1) * sem,
            "n differences leave n - 1 degrees of freedom.": stats.t.ppf(0.975, n) * sem,
            "That is the upper end; the half width alone is asked for.": d.mean() + t * sem},
            {"sqrt(n)": math.sqrt(n), "t": t}, f"{n} seeds"))
    judge(cases, "Three factors: the quantile t, the standard deviation s, and 1 over the square root of n.")
    return "Twelve seeds need 2.20 standard errors, five need 2.78: few seeds make wide intervals."


@exercise("00.3")
def how_many_seeds(answer) -> str:
    """How many seeds show a gain of 0.5 points, if single differences scatter with a standard deviation of 1.5?"""
    if answer is None:
        raise NotDone
    seeds = whole("the number of seeds", answer, 2, why="an interval needs two")
    half = stats.t.ppf(0.975, seeds - 1) * 1.5 / math.sqrt(seeds)
    if half >= 0.5:
        raise Wrong(f"With {seeds} seeds the interval is +0.5 ± {half:.3f}: it still includes zero.")
    if seeds > 60:
        fewer = "about half as many" if seeds < 100 else "far fewer"
        raise Wrong(f"{seeds:,} seeds are enough (± {half:.3f}), but {fewer} would do, and each costs two trainings.")
    return f"With {seeds} seeds the interval is +0.5 ± {half:.3f}, just clear of zero. Small effects need many seeds."
