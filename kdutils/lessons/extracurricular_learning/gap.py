"""How much of the gap to the teacher a way to ask closes: a ratio, with its interval and its three numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kdutils.errors import ParameterError
from kdutils.results import Results

DRAWS = 4000


@dataclass(frozen=True)
class Gap:
    """The share closed, in percent, with its 95% bootstrap interval; and the three means it is made of.

    base: students of the same inputs; student: those of the arm; teacher. n: seeds. NaN where there is no gap.
    """

    share: float
    low: float
    high: float
    base: float
    student: float
    teacher: float
    n: int

    def __str__(self) -> str:
        numbers = f"{self.base:.3g} to {self.student:.3g}, teacher {self.teacher:.3g}"
        if not np.isfinite(self.low):
            return f"no interval ({numbers})"
        return f"{self.share:z.0f}% [{self.low:z.0f}, {self.high:z.0f}] ({numbers})"


def gap_closed(results: Results, metric: str, arm: Mapping, base: Mapping, teacher: Mapping) -> Gap:
    """(arm - base) / (teacher - base) of the means over seeds; accuracies and errors alike.

    The interval is that of the percentile bootstrap over seeds, which are drawn whole: arm, base and teacher of a seed
    stay together. In draws where teacher and base nearly meet the ratio runs away, and the interval shows it. One seed
    has no interval.
    """
    values = np.stack([results.per_seed(metric, **one).sort_index().to_numpy(float) for one in (base, arm, teacher)])
    if not np.isfinite(values).all():
        raise ParameterError(f"the gap in {metric} needs finite values of the same seeds.")
    n = values.shape[1]
    share, (base_mean, arm_mean, teacher_mean) = _share(values.mean(1)), values.mean(1)
    low = high = np.nan
    if n > 1:
        picks = np.random.default_rng(0).integers(n, size=(DRAWS, n))
        low, high = np.percentile(_share(values[:, picks].mean(2)), [2.5, 97.5])
    return Gap(float(share), float(low), float(high), base_mean, arm_mean, teacher_mean, n)


def _share(means: np.ndarray) -> np.ndarray:
    base, arm, teacher = means
    with np.errstate(divide="ignore", invalid="ignore"):
        return 100 * (arm - base) / (teacher - base)
