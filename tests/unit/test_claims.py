"""Verdicts on every place an interval can lie, and tables of claims on results made for the purpose."""

from dataclasses import replace
from math import inf, isnan, nan

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
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
    Mean,
    Paired,
    Param,
    Part,
    holm,
    judge,
    p_value,
)
from kdutils.errors import NotMeasuredError
from kdutils.lessons import catalog
from kdutils.lessons.dark_knowledge import claims as dark_knowledge_claims
from kdutils.lessons.spherical_distillation import claims as spherical_distillation_claims
from kdutils.lessons.subclass_distillation import claims as subclass_distillation_claims
from kdutils.lessons.tolerant_teachers import claims as tolerant_teachers_claims
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


RUNS = Results(pd.DataFrame([{"arm": arm, "t": t, "seed": seed, "accuracy": 80 + value + seed + 0.1 * (seed % 2) * t}
                             for arm, t, value in (("kd", 4.0, 5), ("kd", 1.0, 2), ("hard", 0.0, 0))
                             for seed in range(4)]))


def test_effects_as_data_measure_what_results_measure():
    kd, hard = {"arm": "kd", "t": 4.0}, {"arm": "hard"}
    assert Mean("accuracy", kd)(RUNS) == RUNS.mean("accuracy", **kd)
    assert Paired("accuracy", this=kd, minus=hard)(RUNS) == RUNS.paired("accuracy", kd, hard)
    assert Computed("made up", lambda results: interval([1.0, 2.0]))(RUNS) == interval([1.0, 2.0])


def test_effects_say_what_they_compare():
    assert str(Mean("used", {"part": "discovery", "beta": 0.1})) == "used of part=discovery, beta=0.1"
    same = {"part": "few", "n": 50}
    assert str(Paired("accuracy", same | {"t": 4.0}, same | {"t": 1.0})) == (
        "accuracy of t=4 less that of t=1, both part=few, n=50")
    assert str(Paired("accuracy", {"t": 4.0, "arm": "kd"}, {"arm": "hard"})) == (
        "accuracy of t=4, arm=kd less that of arm=hard")
    assert str(Computed("twice the gain", None)) == "twice the gain"


def test_a_setting_may_be_the_first_or_the_last_value_of_a_parameter(refuses):
    """Catches a claim about "the largest" that keeps its size of the default run when the sizes are others."""
    last = Paired("accuracy", {"arm": "kd", "t": Param("ts", -1)}, {"arm": "kd", "t": Param("ts", 0)})
    for ts in ([1.0, 4.0], [4.0, 9.0, 1.0]):
        results = replace(RUNS, params={"ts": ts})
        assert last(results) == RUNS.paired("accuracy", {"arm": "kd", "t": ts[-1]}, {"arm": "kd", "t": ts[0]})
        assert last.per_seed(results).mean() == pytest.approx(last(results).mean)
        assert Mean("accuracy", last.this)(results) == RUNS.mean("accuracy", arm="kd", t=ts[-1])
    assert str(last) == "accuracy of t=ts[-1] less that of t=ts[0], both arm=kd"
    with refuses("no parameter 'ts'"):
        last(RUNS)


def test_every_part_of_the_course_says_what_it_compares():
    """Catches a bare function, which `kdutils claims ID` could only print as an address."""
    bare = [f"{claim.id}: {part.says}" for claim in catalog.select() for part in claim.parts
            if not isinstance(part.effect, (Mean, Paired, Computed)) or str(part.effect) == part.says]
    assert not bare, bare


@pytest.mark.parametrize("effect", [
    Mean("accuracy", {"arm": "kd", "t": 9.0}),
    Mean("accuracy", {"arm": "gone", "depth": 3}),     # its part was not run, so that its column is not there either
    Mean("recall", {"arm": "gone"}),
    Paired("accuracy", {"arm": "kd", "t": 4.0}, {"arm": "gone"})])
def test_a_setting_that_was_not_run_is_not_measured(effect):
    claim = Claim("X", "", "", "", (Part("", effect),), paper="", why="")
    assert claims.verdict(claim, RUNS) == MISSING


@pytest.mark.parametrize("effect, column", [
    (Mean("acuracy", {"arm": "hard"}), "'acuracy'"),
    (Mean("accuracy", {"arm": "hard", "depth": 3}), "'depth'"),
    (Paired("recall", {"arm": "kd", "t": 4.0}, {"arm": "hard"}), "'recall'")])
def test_a_column_that_the_runs_do_not_have_is_an_error(effect, column, refuses):
    """Catches a claim with a misspelt metric, which would read "not measured" for ever."""
    with refuses("no column", column, "accuracy"):
        claims.verdict(Claim("X", "", "", "", (Part("", effect),), paper="", why=""), RUNS)


def test_every_part_with_an_edge_at_zero_in_another_unit_than_points_says_what_matters():
    silent = [f"{claim.id}: {part.says}" for claim in catalog.select() for part in claim.parts
              if part.unit != "points" and 0 in (part.low, part.high) and not part.worth]
    assert not silent, silent


def test_rules_are_said_in_words():
    assert [Part("", None, *r).rule for r in ((3, inf), (-inf, 0.5), (-2, 2))] == [
        "above 3", "below 0.5", "between -2 and 2"]


SEEDS = 6


def made_results(**shift):
    """Dark-knowledge results in which every claim holds; `shift` moves the accuracy of single settings."""
    rows = []

    def runs(part, transfer, method, temperature, **measured):
        key = f"{part} {transfer} {method} {temperature}"
        for seed in range(SEEDS):
            noise = 0.01 * (seed % 3) + seed  # the seed's own level, which pairing removes, and a little more
            moved = {name: value + noise + (shift.get(key, 0) if name == "accuracy" else 0)
                     for name, value in measured.items()}
            rows.append({"part": part, "transfer": transfer, "method": method, "temperature": temperature,
                         "seed": seed} | moved)

    for n, gains in ((50, {1: 3, 4: 9, 16: 9.5}), (100, {1: 2, 4: 6, 16: 6.5}), (1200, {1: 0, 4: -0.5, 32: -1})):
        runs("sweep", n, "hard labels", None, accuracy=80)
        for temperature, gain in gains.items():
            runs("sweep", n, "distilled", float(temperature), accuracy=80 + gain + 0.02)
    for n in (50, 100):
        runs("same labels", n, "hard labels", None, accuracy=80)
        runs("same labels", n, "distilled", 4.0, accuracy=80.1)
    runs("omitted", 1064, "hard labels", None, accuracy=85, recall=0, corrected_recall=30, corrected_accuracy=84)
    runs("omitted", 1064, "distilled", 4.0, accuracy=94, recall=75, corrected_recall=93, corrected_accuracy=95)
    return Results(pd.DataFrame(rows).sample(frac=1, random_state=0))


def verdicts(results):
    table = claims.table(results, dark_knowledge_claims.CLAIMS)
    assert set(table.claim) == {"H1", "H2", "H3", "H4", "H5"} and (table.groupby("claim").verdict.nunique() == 1).all()
    return dict(zip(table.claim, table.verdict, strict=True))


def test_all_claims_are_seen_where_all_hold():
    assert set(verdicts(made_results()).values()) == {SEEN}


@pytest.mark.parametrize("moved, by, fallen", [
    ("sweep 100 distilled 4.0", -5, {"H1": NOT_SEEN, "H2": OPPOSITE, "H5": NOT_SEEN}),
    ("sweep 50 distilled 4.0", -20, {"H1": OPPOSITE, "H2": OPPOSITE, "H5": OPPOSITE}),
    ("sweep 100 distilled 16.0", 3, {"H2": NOT_SEEN}),
    ("sweep 1200 distilled 4.0", 3, {"H3": NOT_SEEN}),
    ("sweep 1200 distilled 32.0", 3, {"H3": OPPOSITE}),
    ("same labels 50 distilled 4.0", 5, {"H5": NOT_SEEN}),
])
def test_a_claim_falls_with_what_it_says(moved, by, fallen):
    assert verdicts(made_results(**{moved: by})) == dict.fromkeys(("H1", "H2", "H3", "H4", "H5"), SEEN) | fallen


def test_h4_asks_for_recall_correction_and_a_margin():
    for column, value in (("recall", 40.0), ("corrected_recall", 75.0), ("corrected_recall", 45.0)):
        rows = made_results().table
        mine = (rows.part == "omitted") & (rows.method == "distilled")
        rows.loc[mine, column] = value + rows.seed[mine]
        assert verdicts(Results(rows))["H4"] != SEEN, (column, value)


def test_the_table_shows_effect_rule_and_verdict_of_every_part():
    table = claims.table(made_results(), catalog.select(["H1", "H4"]))
    assert list(table.columns) == ["claim", "says", "mean", "low", "high", "seeds", "unit", "rule", "worth",
                                   "p", "part verdict", "verdict"]
    assert table.claim.tolist() == ["H1"] * 2 + ["H4"] * 3 and (table.seeds == SEEDS).all()
    assert table["mean"][:2].tolist() == pytest.approx([9.02, 6.02]) and table.rule[0] == "above 3"
    assert (table.low <= table["mean"]).all() and (table["mean"] <= table.high).all()


@pytest.mark.parametrize("kept, measured", [
    ([], set()), (["sweep"], {"H1", "H2", "H3"}), (["sweep", "same labels"], {"H1", "H2", "H3", "H5"})])
def test_an_interrupted_experiment_leaves_claims_not_measured(kept, measured):
    rows = made_results().table
    results = Results(rows[rows.part.isin(kept)].dropna(axis=1, how="all"))
    assert {claim for claim, verdict in verdicts(results).items() if verdict != MISSING} == measured


def test_one_seed_is_never_a_verdict():
    rows = made_results().table
    assert set(verdicts(Results(rows[rows.seed == 0])).values()) == {NOISY}


def test_claims_are_found_by_id_and_by_experiment(refuses):
    of_hinton, of_yang = ["H1", "H2", "H3", "H4", "H5"], [f"G{i}" for i in range(1, 9)]
    of_yang += [*(f"G{i}-20" for i in range(2, 8)), "G9"]
    assert [claim.id for claim in dark_knowledge_claims.CLAIMS] == of_hinton
    assert [claim.id for claim in tolerant_teachers_claims.CLAIMS] == of_yang
    of_mueller = [*(f"S{i}" for i in range(1, 9)), *(f"S{i}-20" for i in range(2, 7))]
    assert [claim.id for claim in subclass_distillation_claims.CLAIMS] == of_mueller
    of_guo = [*(f"K{i}" for i in range(1, 9)), "K1-100", "K2-100", "K4-100", "K7-100"]
    assert [claim.id for claim in spherical_distillation_claims.CLAIMS] == of_guo
    assert [claim.id for claim in catalog.select()][:len(of_hinton + of_yang + of_mueller + of_guo)] == (
        of_hinton + of_yang + of_mueller + of_guo)
    assert [claim.id for claim in catalog.select(["H3", "H1"])] == ["H3", "H1"]
    for claim in catalog.select():
        assert claim.statement.endswith(".") and claim.source and claim.parts
    with refuses("claim", "'H9'", "H1"):
        catalog.select(["H1", "H9"])


def test_absent_records_are_one_sentence(refuses):
    with refuses("no results", "no_such_experiment", "recorded.json"):
        catalog.recorded("no_such_experiment")
