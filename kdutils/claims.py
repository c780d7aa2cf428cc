"""Every statement of a paper that the course teaches, as code: what is said, what is measured, and the verdict.

A claim has parts; each part is an effect (a mean over seeds with its interval, paired where two arms are compared)
and the range in which the statement says it lies. The verdict of a part:

    seen              the whole interval lies in the range;
    opposite          the whole interval lies outside, with the other sign;
    not seen          the whole interval lies outside;
    too noisy to say  the interval crosses the edge, or there is only one seed;
    not measured      the runs it needs are not in the results.

A claim is as good as its weakest part.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from math import inf, isnan
from pathlib import Path

import pandas as pd

from kdutils.errors import ParameterError, one_of
from kdutils.results import Effect, Results, interval

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
    """A statement in our words; `experiment` names the module of kdutils.experiments that measures it.

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


def select(ids: Iterable[str] = ()) -> list[Claim]:
    """The claims of these ids, all if none is named."""
    return [CLAIMS[one_of("claim", one, CLAIMS)] for one in ids] or list(CLAIMS.values())


def of(experiment: str) -> list[Claim]:
    """The claims that one experiment measures."""
    return [claim for claim in CLAIMS.values() if claim.experiment == experiment]


def recorded_at(experiment: str) -> Path:
    """Where the results committed with the course lie."""
    return Path(__file__).parent / "recorded" / f"{experiment}.json"


def recorded(experiment: str) -> Results:
    """The results committed with the course, with their provenance."""
    return Results.load(recorded_at(experiment))


def measure(experiment: str, report: Callable[[str], None] = print) -> Results:
    """Run an experiment anew with its default parameters (lecture scale)."""
    module = import_module(f"kdutils.experiments.{experiment}")
    return module.run(module.DEFAULT, report)


def _measure(part: Part, results: Results) -> Effect | None:
    try:
        return part.effect(results)
    except ParameterError:
        return None


# Hinton, Vinyals, Dean 2015: notebook 01 -------------------------------------------------------------------------

_HINTON = "Hinton, Vinyals, Dean 2015 (arXiv 1503.02531)"
_UNKNOWN = "its numbers are not available to us from a source we could check"


def _gain(n: int, temperature: float, part: str = "sweep") -> Callable[[Results], Effect]:
    """Accuracy of the distilled student less that of the hard-label student of the same seed."""
    same = {"part": part, "transfer": n}
    return lambda results: results.paired("accuracy", this=same | {"method": "distilled", "temperature": temperature},
                                          minus=same | {"method": "hard labels"})


def _between_temperatures(n: int, this: float, minus: float) -> Callable[[Results], Effect]:
    same = {"part": "sweep", "transfer": n, "method": "distilled"}
    return lambda results: results.paired("accuracy", same | {"temperature": this}, same | {"temperature": minus})


def _teacher_matters(n: int, temperature: float) -> Callable[[Results], Effect]:
    """Student of the teacher that saw all labels, less student of the teacher that saw the same n labels."""
    same = {"transfer": n, "method": "distilled", "temperature": temperature}
    return lambda results: results.paired("accuracy", same | {"part": "sweep"}, same | {"part": "same labels"})


def _omitted(metric: str, this: Mapping, minus: Mapping | None = None) -> Callable[[Results], Effect]:
    same = {"part": "omitted"}
    if minus is None:
        return lambda results: results.mean(metric, **same, **this)
    return lambda results: results.paired(metric, same | dict(this), same | dict(minus))


def _correction_helps(results: Results) -> Effect:
    """Corrected less plain recall of the same students, at T = 4."""
    plain, corrected = (results.per_seed(metric, part="omitted", **_AT_4) for metric in ("recall", "corrected_recall"))
    return interval(corrected - plain)


_AT_4 = {"method": "distilled", "temperature": 4.0}

CLAIMS: dict[str, Claim] = {claim.id: claim for claim in (
    Claim("H1", _HINTON,
          "With 50 or 100 transfer images, a distilled student beats a hard-label student by a wide margin.",
          "dark_knowledge", (
              Part("gain with 50 images, T = 4", _gain(50, 4), low=3),
              Part("gain with 100 images, T = 4", _gain(100, 4), low=3)),
          paper=f"A speech model distilled from 3% of the training data; {_UNKNOWN}.",
          why="Other data and networks; the direction agrees.",
          caveat="The teacher saw all 1,200 labels. H5 is the control in which it did not."),
    Claim("H2", _HINTON, "The gain grows from T = 1 to about T = 4, then it flattens.", "dark_knowledge", (
        Part("T = 4 against T = 1, 50 images", _between_temperatures(50, 4, 1), low=2),
        Part("T = 4 against T = 1, 100 images", _between_temperatures(100, 4, 1), low=2),
        Part("T = 16 against T = 4, 50 images", _between_temperatures(50, 16, 4), low=-2, high=2),
        Part("T = 16 against T = 4, 100 images", _between_temperatures(100, 16, 4), low=-2, high=2)),
          paper=f"The best temperature depends on the size of the student; {_UNKNOWN}.",
          why="One size of student here; past T = 4 the loss is nearly a squared distance of logits, whatever T is."),
    Claim("H3", _HINTON, "With all the data, distillation does not help here, and a large T hurts.", "dark_knowledge", (
        Part("gain with all 1,200 images, T = 1", _gain(1200, 1), high=0.5),
        Part("gain with all 1,200 images, T = 4", _gain(1200, 4), high=0.5),
        Part("gain with all 1,200 images, T = 32", _gain(1200, 32), high=0)),
          paper=f"Distillation at T = 20 helps a small network on MNIST; {_UNKNOWN}.",
          why="1,200 easy labels already teach our student (1,210 parameters) most of what it can hold.",
          caveat="A finding at our scale. The paper's gains with all data are for much larger problems."),
    Claim("H4", _HINTON,
          "A student that never saw a 3 recognises most 3s from soft targets, more after a bias correction.",
          "dark_knowledge", (
              Part("recall of the omitted digit, T = 4", _omitted("recall", _AT_4), low=50, unit="percent"),
              Part("what the correction adds, T = 4", _correction_helps, low=0),
              Part("corrected recall: T = 4 against hard labels",
                   _omitted("corrected_recall", _AT_4, {"method": "hard labels"}), low=20)),
          paper=f"MNIST without the 3, student distilled at T = 20, bias raised afterwards; {_UNKNOWN}.",
          why="8x8 digits; our correction uses the digit's frequency, theirs the test accuracy.",
          caveat="The hard-label student gets the same correction: without it, it would score 0 by construction."),
    Claim("H5", _HINTON, "A teacher that saw only the student's labels helps little.", "dark_knowledge", (
        Part("gain with 50 images, same-label teacher, T = 4", _gain(50, 4, "same labels"), high=3),
        Part("gain with 100 images, same-label teacher, T = 4", _gain(100, 4, "same labels"), high=3),
        Part("all-label against same-label teacher, 50 images", _teacher_matters(50, 4), low=3),
        Part("all-label against same-label teacher, 100 images", _teacher_matters(100, 4), low=3)),
          paper="Not a claim of the paper: our control for H1.",
          why="Not to be compared.",
          caveat="Much of what distillation gives with few images is the teacher's access to more labels."),
)}
