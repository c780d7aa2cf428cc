"""A statement of a paper as data: what is said, what is compared, and the verdict.

A claim has parts; each part is an effect (a mean over seeds with its interval, paired where two arms are compared),
the range in which the statement says it lies, and the smallest difference that would matter. The verdict of a part:

    seen                        the whole interval lies in the range;
    opposite                    the whole interval lies outside, with the other sign;
    not seen                    the whole interval lies outside;
    no difference that matters  the interval crosses the edge, and all of it lies within +-worth;
    too noisy to say            the interval crosses the edge, or there is only one seed;
    not measured                the runs it needs are not in the results.

The verdict of a part is that of its own 95% interval. A claim is as good as its weakest part, and the more parts it has
the more often one is decided by chance alone: so in the verdict on a whole claim a part counts as too noisy unless its
p, adjusted for the number of parts (Holm 1979, Scandinavian Journal of Statistics 6), is below 5%. ("Seen" asks for all
parts at once and would need no correction; "opposite" and "not seen", for which any one part is enough, do.)

Which claims there are is known to `lessons.catalog`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan, nan

import numpy as np
import pandas as pd
from scipy import stats

from kdutils.errors import NotMeasuredError, ParameterError, at_least
from kdutils.results import Effect, Results

SEEN, NOT_SEEN, OPPOSITE, NOISY, MISSING = "seen", "not seen", "opposite", "too noisy to say", "not measured"
NOTHING = "no difference that matters"
WEAKEST_FIRST = (MISSING, OPPOSITE, NOT_SEEN, NOTHING, NOISY, SEEN)
MARKS = {SEEN: "✓", NOT_SEEN: "✗", OPPOSITE: "⇄", NOTHING: "≈", NOISY: "?", MISSING: "–"}


@dataclass(frozen=True)
class Param:
    """A column's value that the experiment's parameters decide: value `index` of the list `name`, such as its last."""

    name: str
    index: int

    def value(self, results: Results):
        """The value in these results; ParameterError if the experiment had no such parameter."""
        if self.name not in results.params:
            raise ParameterError(f"these results have no parameter {self.name!r}; they have "
                                 f"{', '.join(results.params)}.")
        return results.params[self.name][self.index]

    def __str__(self) -> str:
        return f"{self.name}[{self.index}]"


@dataclass(frozen=True)
class Mean:
    """The mean over seeds of a metric of one setting, whose columns have the values of `of`; a Param is looked up."""

    metric: str
    of: Mapping

    def __call__(self, results: Results) -> Effect:
        return results.mean(self.metric, **settled(self.of, results))

    def __str__(self) -> str:
        return f"{self.metric} of {_words(self.of)}"


@dataclass(frozen=True)
class Paired:
    """The mean over seeds of a metric of `this` less that of `minus`, each seed compared with itself."""

    metric: str
    this: Mapping
    minus: Mapping

    def __call__(self, results: Results) -> Effect:
        return results.paired(self.metric, settled(self.this, results), settled(self.minus, results))

    def per_seed(self, results: Results) -> pd.Series:
        """The differences themselves, indexed by seed."""
        this, minus = (results.per_seed(self.metric, **settled(one, results)) for one in (self.this, self.minus))
        return this - minus

    def __str__(self) -> str:
        both = {name: value for name, value in self.this.items() if (name, value) in self.minus.items()}
        this, minus = ({name: value for name, value in one.items() if name not in both}
                       for one in (self.this, self.minus))
        return f"{self.metric} of {_words(this)} less that of {_words(minus)}" + bool(both) * f", both {_words(both)}"


@dataclass(frozen=True)
class Computed:
    """An effect that no mean and no difference of two settings is: `words` say what `function` computes."""

    words: str
    function: Callable[[Results], Effect]

    def __call__(self, results: Results) -> Effect:
        return self.function(results)

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class Part:
    """One measurable piece: `says` in words, the effect in `unit`, and the range (low, high) it is said to lie in.

    worth: the smallest difference that anybody would act on, in `unit` and >= 0. Half a point where nothing is given;
        in other units nothing is too small to matter unless the claim says what is.
    """

    says: str
    effect: Mean | Paired | Computed
    low: float = -inf
    high: float = inf
    unit: str = "points"
    worth: float | None = None

    def __post_init__(self) -> None:
        worth = (0.5 if self.unit == "points" else 0.0) if self.worth is None else self.worth
        object.__setattr__(self, "worth", at_least("worth", worth, 0))

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
    fresh: name of the results on seeds that nobody had looked at when they were named, where the claim is asked again.
    """

    id: str
    source: str
    statement: str
    experiment: str
    parts: tuple[Part, ...]
    paper: str
    why: str
    caveat: str = ""
    fresh: str = ""


@dataclass(frozen=True)
class Finding:
    """A part and what was measured of it; `effect` is None where the runs are missing.

    p: of the t-test that the verdict rests on, adjusted for the number of the claim's parts; NaN if there is none.
    """

    part: Part
    effect: Effect | None
    verdict: str
    p: float = nan

    @property
    def words(self) -> str:
        """The verdict, and whether a direction that was decided is one of a difference too small to matter."""
        directed = self.verdict == OPPOSITE or self.verdict == SEEN and not self.part.low < 0 < self.part.high
        small = directed and -self.part.worth < self.effect.low and self.effect.high < self.part.worth
        return f"{self.verdict}, by less than matters" if small else self.verdict


def settled(setting: Mapping, results: Results) -> dict:
    """A setting with the values of its Params."""
    return {name: value.value(results) if isinstance(value, Param) else value for name, value in setting.items()}


def judge(effect: Effect | None, low: float, high: float, worth: float = 0.0) -> str:
    """The verdict on a statement that the effect lies between `low` and `high`; within +-worth nobody would mind."""
    if effect is None:
        return MISSING
    if isnan(effect.low):
        return NOISY
    if low < effect.low and effect.high < high:
        return SEEN
    if effect.high <= low or effect.low >= high:
        other_sign = effect.high < 0 <= low or effect.low > 0 >= high
        return OPPOSITE if other_sign else NOT_SEEN
    return NOTHING if -worth < effect.low and effect.high < worth else NOISY


def p_value(effect: Effect | None, *edges: float) -> float:
    """Two-sided p of Student's t-test that the effect is none of `edges`: against the one nearest to the mean.

    effect: with its 95% interval, which leaves out all edges exactly where p < 0.05. NaN without an interval.
    """
    if effect is None or isnan(effect.low):
        return nan
    half, freedom = (effect.high - effect.low) / 2, effect.n - 1
    if half == 0:
        return 0.0
    nearest = min(abs(effect.mean - edge) for edge in edges)
    return float(2 * stats.t.sf(nearest / half * stats.t.ppf(0.975, freedom), freedom))


def holm(ps: Sequence[float]) -> list[float]:
    """p-values adjusted for their number by Holm's step-down method, in the order given; NaN counts, and stays NaN."""
    ps = np.asarray(ps, float)
    order = ps.argsort()  # NaN last
    adjusted = np.empty_like(ps)
    adjusted[order] = np.minimum(np.maximum.accumulate(ps[order] * np.arange(len(ps), 0, -1)), 1)
    return adjusted.tolist()


def findings(claim: Claim, results: Results) -> list[Finding]:
    """Each part of the claim, measured on these results.

    A setting that was not run is no error, a column that the results do not have is one: ParameterError.
    """
    effects = [_measure(part, results) for part in claim.parts]
    pairs = list(zip(claim.parts, effects, strict=True))
    verdicts = [judge(effect, part.low, part.high, part.worth) for part, effect in pairs]
    ps = [p_value(effect, *((-part.worth, part.worth) if found == NOTHING else (part.low, part.high)))
          for (part, effect), found in zip(pairs, verdicts, strict=True)]
    return [Finding(*one) for one in zip(claim.parts, effects, verdicts, holm(ps), strict=True)]


def verdict(claim: Claim, results: Results) -> str:
    """The verdict on the whole claim, corrected for the number of its parts."""
    counted = (finding.verdict if finding.verdict == MISSING or finding.p < 0.05 else NOISY
               for finding in findings(claim, results))
    return min(counted, key=WEAKEST_FIRST.index)


def table(results: Results, claims: Iterable[Claim]) -> pd.DataFrame:
    """A row per part: claim, says, mean, low, high, seeds, unit, rule, worth, p, part's verdict and the claim's."""
    rows = []
    for claim in claims:
        whole = verdict(claim, results)
        for finding in findings(claim, results):
            effect, part = finding.effect or Effect(nan, nan, nan, 0), finding.part
            rows.append({"claim": claim.id, "says": part.says, "mean": effect.mean, "low": effect.low,
                         "high": effect.high, "seeds": effect.n, "unit": part.unit, "rule": part.rule,
                         "worth": part.worth, "p": finding.p, "part verdict": finding.verdict, "verdict": whole})
    return pd.DataFrame(rows)


def plain(claim: Claim, results: Results | None) -> dict:
    """A claim, its verdict and its parts, JSON-simple; numbers are None where nothing was measured."""
    provenance = results.provenance if results else {}
    return {
        "id": claim.id, "source": claim.source, "statement": claim.statement, "caveat": claim.caveat,
        "verdict": verdict(claim, results) if results else MISSING,
        "device": provenance.get("device"), "date": provenance.get("date"),
        "parts": [_plain_part(finding) for finding in findings(claim, results)] if results else [],
    }


def _plain_part(finding: Finding) -> dict:
    effect, part = finding.effect, finding.part
    numbers = {name: getattr(effect, name, nan) for name in ("mean", "low", "high")} | {"p": finding.p}
    return {"says": part.says, "compares": str(part.effect), "verdict": finding.verdict, "words": finding.words,
            **{name: None if isnan(value) else float(value) for name, value in numbers.items()},  # JSON knows no NaN
            "seeds": getattr(effect, "n", 0), "unit": part.unit, "rule": part.rule, "worth": part.worth,
            "text": f"{effect} {part.unit}" if effect else "not measured"}


def _measure(part: Part, results: Results) -> Effect | None:
    try:
        return part.effect(results)
    except NotMeasuredError:
        return None


def _words(setting: Mapping) -> str:
    return ", ".join(f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
                     for name, value in setting.items())
