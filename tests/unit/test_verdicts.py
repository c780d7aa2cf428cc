"""Verdicts on every place an interval can lie, p-values, and their correction for many parts."""

from math import inf, isnan, nan

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_claim import RUNS
from scipy import stats

from kdutils import claims
from kdutils.claims import (
    MARKS,
    MISSING,
    NOISY,
    NOT_SEEN,
    NOTHING,
    OPPOSITE,
    SEEN,
    Claim,
    Computed,
    Finding,
    Part,
    holm,
    judge,
    p_value,
)
from kdutils.errors import NotMeasuredError
from kdutils.plots.style import VERDICT_COLOURS
from kdutils.results import Effect, Results, interval


@pytest.mark.parametrize("low, high, range_, verdict", [
    # "above 3"
    (3.1, 5.0, (3, inf), SEEN),
    (2.9, 5.0, (3, inf), NOISY),
    (-1.0, 5.0, (3, inf), NOISY),
    (1.0, 2.9, (3, inf), NOT_SEEN),
    (-1.0, 2.0, (3, inf), NOT_SEEN),
    (-2.0, -1.0, (3, inf), OPPOSITE),
    # "above 0"
    (0.1, 0.2, (0, inf), SEEN),
    (-0.1, 0.2, (0, inf), NOISY),
    (-0.2, -0.1, (0, inf), OPPOSITE),
    (0.0, 0.0, (0, inf), NOT_SEEN),
    (-1.0, 0.0, (0, inf), NOT_SEEN),
    # "below 0.5"
    (-5.0, 0.4, (-inf, 0.5), SEEN),
    (0.4, 0.6, (-inf, 0.5), NOISY),
    (0.6, 0.9, (-inf, 0.5), NOT_SEEN),
    # "below 0"
    (-2.0, -1.0, (-inf, 0), SEEN),
    (-1.0, 1.0, (-inf, 0), NOISY),
    (1.0, 2.0, (-inf, 0), OPPOSITE),
    # "below -1": a small negative effect has the claimed sign
    (-0.5, -0.1, (-inf, -1), NOT_SEEN),
    (0.1, 0.5, (-inf, -1), OPPOSITE),
    # "between -2 and 2"
    (-1.9, 1.9, (-2, 2), SEEN),
    (1.0, 3.0, (-2, 2), NOISY),
    (-3.0, 3.0, (-2, 2), NOISY),
    (-3.0, -1.0, (-2, 2), NOISY),
    (2.1, 3.0, (-2, 2), NOT_SEEN),
    (-3.0, -2.1, (-2, 2), NOT_SEEN),
    # edges belong to the outside
    (3.0, 4.0, (3, inf), NOISY),
    (2.0, 3.0, (3, inf), NOT_SEEN),
    (1.0, 2.0, (-2, 2), NOISY),
])
def test_the_verdict_is_where_the_interval_lies(low, high, range_, verdict):
    assert judge(Effect((low + high) / 2, low, high, 10), *range_) == verdict


def test_one_seed_is_too_noisy_and_no_run_is_not_measured():
    assert judge(Effect(9.0, nan, nan, 1), 3, inf) == NOISY
    assert judge(None, 3, inf) == MISSING


@pytest.mark.parametrize("low, high, range_, worth, verdict", [
    (-0.1, 0.1, (0, inf), 0.5, NOTHING),
    (-0.1, 0.1, (-inf, 0), 0.5, NOTHING),
    (-0.1, 0.1, (0, inf), 0.0, NOISY),       # nobody said what is too small to matter
    (-0.1, 0.5, (0, inf), 0.5, NOISY),       # it may be as large as what matters
    (-0.6, 0.1, (0, inf), 0.5, NOISY),
    # what is decided stays so, however small
    (0.1, 0.2, (0, inf), 0.5, SEEN),
    (-0.2, -0.1, (0, inf), 0.5, OPPOSITE),
    (-0.1, 0.1, (3, inf), 0.5, NOT_SEEN),
    (-0.4, 0.4, (-inf, 0.5), 0.5, SEEN),
    (-0.4, 0.4, (-1, 1), 0.5, SEEN),
    (0.0, 0.0, (0, inf), 0.5, NOT_SEEN),
])
def test_an_undecided_interval_within_what_matters_is_no_noise(low, high, range_, worth, verdict):
    assert judge(Effect((low + high) / 2, low, high, 10), *range_, worth) == verdict


def test_one_seed_is_no_proof_that_nothing_matters():
    assert judge(Effect(0.0, nan, nan, 1), 0, inf, 0.5) == NOISY


@pytest.mark.parametrize("low, high, range_, words", [
    (0.1, 0.2, (0, inf), "seen, by less than matters"),
    (-0.2, -0.1, (0, inf), "opposite, by less than matters"),
    (0.1, 0.6, (0, inf), "seen"),
    (-0.2, 0.2, (-1, 1), "seen"),            # no direction was claimed
    (-0.2, 0.2, (-inf, 0.4), "seen"),
    (0.1, 0.2, (3, inf), "not seen"),
])
def test_a_direction_that_is_decided_by_less_than_matters_says_so(low, high, range_, words):
    part, effect = Part("", None, *range_), Effect((low + high) / 2, low, high, 10)
    assert Finding(part, effect, judge(effect, *range_, part.worth)).words == words


def test_half_a_point_matters_and_other_units_say_what_does(refuses):
    assert Part("", None).worth == 0.5 and Part("", None, unit="steps").worth == 0
    assert Part("", None, worth=0.1).worth == 0.1 and Part("", None, unit="steps", worth=20).worth == 20
    with refuses("worth", ">= 0", "-1"):
        Part("", None, worth=-1)


VALUES = st.lists(st.floats(-10, 10), min_size=2, max_size=25).filter(lambda values: np.std(values) > 1e-3)


@given(VALUES, st.floats(-5, 5))
def test_the_p_of_an_edge_is_that_of_a_t_test(values, edge):
    assert p_value(interval(values), edge, inf) == pytest.approx(stats.ttest_1samp(values, edge).pvalue, rel=1e-6)


@given(VALUES, st.floats(0.1, 5))
def test_the_p_between_two_edges_is_that_of_two_one_sided_tests(values, edge):
    """Twice the larger of the two one-sided p, since a verdict of ours asks for 2.5% on each side."""
    above = stats.ttest_1samp(values, -edge, alternative="greater").pvalue
    below = stats.ttest_1samp(values, edge, alternative="less").pvalue
    if abs(np.mean(values)) < edge:
        assert p_value(interval(values), -edge, edge) == pytest.approx(2 * max(above, below), rel=1e-6)


@given(VALUES, st.sampled_from([(0, inf), (-inf, 0), (3, inf), (-inf, 0.5), (-1, 1)]), st.sampled_from([0.0, 0.5, 2.0]))
def test_a_single_part_is_undecided_exactly_where_its_p_is_above_five_percent(values, range_, worth):
    """What the interval says and what the test says is the same, so that one part alone needs no correction."""
    claim = made_claim((values, range_), worth=worth)
    (finding,) = claims.findings(claim, RUNS)
    assert (finding.verdict == NOISY) == (finding.p >= 0.05) and claims.verdict(claim, RUNS) == finding.verdict


def test_no_p_without_an_interval_and_none_to_speak_of_without_any_spread():
    assert isnan(p_value(None, 0)) and isnan(p_value(Effect(1.0, nan, nan, 1), 0))
    assert p_value(Effect(1.0, 1.0, 1.0, 5), 0, inf) == 0


def test_holm_by_hand():
    """Smallest times 4, next times 3, ...; never below the one before it, never above 1."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1.0, 1.0] and holm([0.03]) == [0.03] and holm([]) == []
    adjusted = holm([0.01, nan, 0.02])
    assert adjusted[::2] == pytest.approx([0.03, 0.04]) and isnan(adjusted[1]), "what is not measured counts"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_its_steps_reject(ps):
    """The definition: from the smallest p on, go on as long as p is below 5% over the number of those that are left."""
    rejected, order = set(), sorted(range(len(ps)), key=ps.__getitem__)
    for step, i in enumerate(order):
        if not ps[i] * (len(ps) - step) < 0.05:
            break
        rejected.add(i)
    assert {i for i, p in enumerate(holm(ps)) if p < 0.05} == rejected


def test_many_parts_ask_more_of_each():
    """Two parts at p = 0.04 are seen each; both, and so their claim, are not."""
    once = 0.05 + np.array([1.0, -1.0, 0.5, -0.5, 0.2, -0.2, 0.1])
    values = (once + stats.t.isf(0.02, 6) * stats.sem(once) - once.mean()).tolist()     # two-sided p against 0: 0.04
    alone, twice = made_claim((values, (0, inf))), made_claim((values, (0, inf)), (values, (0, inf)))
    assert claims.verdict(alone, RUNS) == SEEN and claims.verdict(twice, RUNS) == NOISY
    assert [finding.verdict for finding in claims.findings(twice, RUNS)] == [SEEN, SEEN]
    assert [finding.p for finding in claims.findings(twice, RUNS)] == pytest.approx([0.08, 0.08])
    # A part that is far from its edge takes no more than its share: Holm, not Bonferroni.
    clear = [5.0, 5.1, 4.9, 5.05, 4.95]
    assert claims.verdict(made_claim((values, (0, inf)), (clear, (0, inf))), RUNS) == SEEN


def test_a_single_one_of_many_that_is_opposite_by_chance_does_not_turn_a_claim():
    values = [-1.0, -0.9, -0.3, -0.1, -0.6]
    p = stats.ttest_1samp(values, 0).pvalue
    assert 0.01 < p < 0.05
    clear = ([5.0, 5.1, 4.9], (0, inf))
    noisy = ([5.0, -5.1, 4.9], (0, inf))
    assert claims.verdict(made_claim((values, (0, inf)), clear), RUNS) == OPPOSITE
    assert claims.verdict(made_claim((values, (0, inf)), clear, *[noisy] * 6), RUNS) == NOISY


def test_every_verdict_has_its_own_mark_and_its_own_colour():
    every = {SEEN, NOT_SEEN, OPPOSITE, NOTHING, NOISY, MISSING}
    assert set(MARKS) == set(VERDICT_COLOURS) == set(claims.WEAKEST_FIRST) == every
    assert len(set(MARKS.values())) == len(set(VERDICT_COLOURS.values())) == 6
    assert all(len(mark) == 1 for mark in MARKS.values())


def made_claim(*values_and_ranges, worth=0.5):
    def effect(values):
        if not values:
            raise NotMeasuredError("no run.")
        return interval(values)

    parts = tuple(Part(f"part {i}", Computed("", lambda results, values=values: effect(values)), *range_, worth=worth)
                  for i, (values, range_) in enumerate(values_and_ranges))
    return Claim("X", "nobody", "made up", "dark_knowledge", parts, paper="", why="")


def test_a_claim_is_as_good_as_its_weakest_part():
    nothing, at_zero = [0.1, -0.1, 0.05, -0.05], (0, inf)
    results = Results(pd.DataFrame({"seed": [0]}))
    # What is known to be nothing cannot become a difference with more seeds; what is too noisy can.
    for values, verdict in (([nothing, [5.0, 5.1]], NOTHING), ([nothing, [-9.0, 9.0]], NOTHING),
                            ([nothing, [-5.0, -5.1]], OPPOSITE)):
        assert claims.verdict(made_claim(*((v, at_zero) for v in values)), results) == verdict
    seen, noisy, unseen, opposite = [5.0, 5.1, 4.9], [-9.0, 9.0], [1.0, 1.1, 0.9], [-5.0, -5.1]
    above = (3, inf)
    for values, verdict in (([seen, seen], SEEN), ([seen, noisy], NOISY), ([noisy, unseen], NOT_SEEN),
                            ([opposite, unseen, seen], OPPOSITE), ([seen, [], opposite], MISSING)):
        assert claims.verdict(made_claim(*((v, above) for v in values)), results) == verdict
