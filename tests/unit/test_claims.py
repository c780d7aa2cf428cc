"""Claims as data: what is compared, tables, and the claims of the course on results made for the purpose."""

from dataclasses import replace
from math import inf

import pandas as pd
import pytest
from made_claim import RUNS

from kdutils import claims
from kdutils.claims import (
    MISSING,
    NOISY,
    NOT_SEEN,
    OPPOSITE,
    SEEN,
    Claim,
    Computed,
    Mean,
    Paired,
    Param,
    Part,
)
from kdutils.lessons import catalog
from kdutils.lessons.dark_knowledge import claims as dark_knowledge_claims
from kdutils.lessons.spherical_distillation import claims as spherical_distillation_claims
from kdutils.lessons.subclass_distillation import claims as subclass_distillation_claims
from kdutils.lessons.tolerant_teachers import claims as tolerant_teachers_claims
from kdutils.results import Results, interval


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
    of_yang += [*(f"G{i}-20" for i in range(2, 8)), "G9", *(f"G{i}-100" for i in (*range(2, 8), 9))]
    assert [claim.id for claim in dark_knowledge_claims.CLAIMS] == of_hinton
    assert [claim.id for claim in tolerant_teachers_claims.CLAIMS] == of_yang
    of_mueller = [*(f"S{i}" for i in range(1, 9)), *(f"S{i}-{n}" for n in (20, 100) for i in range(2, 7))]
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
