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

from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path

from kdutils.claims import dark_knowledge, subclass_distillation, tolerant_teachers
from kdutils.claims.base import (
    MISSING,
    NOISY,
    NOT_SEEN,
    OPPOSITE,
    SEEN,
    Claim,
    Finding,
    Part,
    findings,
    judge,
    table,
    verdict,
)
from kdutils.errors import one_of
from kdutils.results import Results

__all__ = ["CLAIMS", "MISSING", "NOISY", "NOT_SEEN", "OPPOSITE", "SEEN", "Claim", "Finding", "Part", "findings",
           "judge", "measure", "of", "recorded", "recorded_at", "select", "table", "verdict"]

# One file per notebook.
CLAIMS: dict[str, Claim] = {claim.id: claim for notebook in (dark_knowledge, tolerant_teachers, subclass_distillation)
                            for claim in notebook.CLAIMS}


def select(ids: Iterable[str] = ()) -> list[Claim]:
    """The claims of these ids, all if none is named."""
    return [CLAIMS[one_of("claim", one, CLAIMS)] for one in ids] or list(CLAIMS.values())


def of(experiment: str) -> list[Claim]:
    """The claims that one experiment measures."""
    return [claim for claim in CLAIMS.values() if claim.experiment == experiment]


def recorded_at(experiment: str) -> Path:
    """Where the results committed with the course lie."""
    return Path(__file__).parents[1] / "recorded" / f"{experiment}.json"


def recorded(experiment: str) -> Results:
    """The results committed with the course, with their provenance."""
    return Results.load(recorded_at(experiment))


def measure(experiment: str, report: Callable[[str], None] = print) -> Results:
    """Run an experiment anew with its default parameters (lecture scale)."""
    module = import_module(f"kdutils.experiments.{experiment}")
    return module.run(module.DEFAULT, report)
