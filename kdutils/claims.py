"""A statement of a paper as code: what is said, what is measured, and the verdict.

A claim has parts; each part is an effect (a mean over seeds with its interval, paired where two arms are compared)
and the range in which the statement says it lies. The verdict of a part:

    seen              the whole interval lies in the range;
    opposite          the whole interval lies outside, with the other sign;
    not seen          the whole interval lies outside;
    too noisy to say  the interval crosses the edge, or there is only one seed;
    not measured      the runs it needs are not in the results.

A claim is as good as its weakest part. Which claims there are is known to `lessons.catalog`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf, isnan

import pandas as pd

from kdutils.errors import ParameterError
from kdutils.results import Effect, Results

SEEN, NOT_SEEN, OPPOSITE, NOISY, MISSING = "seen", "not seen", "opposite", "too noisy to say", "not measured"
WEAKEST_FIRST = (MISSING, OPPOSITE, NOT_SEEN, NOISY, SEEN)


@dataclass(frozen=True)
class Part:
    """One measurable piece: `says` in words, the effect in `unit`, and the range (low, high) it is said to lie in."""

    says: str
    effect: Callable[[Results], Effect]
    low: float = -inf
    high: float = inf
    unit: str = "points"

    @property
    def rule(self) -> str:
        """The range in words."""
        if self.high == inf:
            return f"above {self.low:g}"
        return f"below {self.high:g}" if self.low == -inf else f"between {self.low:g} and {self.high:g}"


@dataclass(frozen=True)
class Claim:
    """A statement in our words; `experiment` is the name of the one that measures it.

    paper: what the paper did, with its number where we know it from a source we can name. why: why ours may differ.
    """

    id: str
    source: str
    statement: str
    experiment: str
    parts: tuple[Part, ...]
    paper: str
    why: str
    caveat: str = ""


@dataclass(frozen=True)
class Finding:
    """A part and what was measured of it; `effect` is None where the runs are missing."""

    part: Part
    effect: Effect | None
    verdict: str


def judge(effect: Effect | None, low: float, high: float) -> str:
    """The verdict on a statement that the effect lies between `low` and `high`."""
    if effect is None:
        return MISSING
    if isnan(effect.low):
        return NOISY
    if low < effect.low and effect.high < high:
        return SEEN
    if effect.high <= low or effect.low >= high:
        other_sign = effect.high < 0 <= low or effect.low > 0 >= high
        return OPPOSITE if other_sign else NOT_SEEN
    return NOISY


def findings(claim: Claim, results: Results) -> list[Finding]:
    """Each part of the claim, measured on these results."""
    measured = [_measure(part, results) for part in claim.parts]
    return [Finding(part, effect, judge(effect, part.low, part.high))
            for part, effect in zip(claim.parts, measured, strict=True)]


def verdict(claim: Claim, results: Results) -> str:
    """The verdict on the whole claim."""
    return min((finding.verdict for finding in findings(claim, results)), key=WEAKEST_FIRST.index)


def table(results: Results, claims: Iterable[Claim]) -> pd.DataFrame:
    """A row per part: claim, says, effect, mean, low, high, seeds, unit, rule, part's verdict and the claim's."""
    rows = []
    for claim in claims:
        whole = verdict(claim, results)
        for finding in findings(claim, results):
            effect = finding.effect or Effect(float("nan"), float("nan"), float("nan"), 0)
            rows.append({"claim": claim.id, "says": finding.part.says, "mean": effect.mean, "low": effect.low,
                         "high": effect.high, "seeds": effect.n, "unit": finding.part.unit, "rule": finding.part.rule,
                         "part verdict": finding.verdict, "verdict": whole})
    return pd.DataFrame(rows)


def _measure(part: Part, results: Results) -> Effect | None:
    try:
        return part.effect(results)
    except ParameterError:
        return None
