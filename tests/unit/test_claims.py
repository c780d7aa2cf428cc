"""Verdicts on every place an interval can lie, and tables of claims on results made for the purpose."""

from math import inf, nan

import pandas as pd
import pytest

from kdutils import claims
from kdutils.claims import MISSING, NOISY, NOT_SEEN, OPPOSITE, SEEN, Claim, Part, judge
from kdutils.lessons import catalog
from kdutils.lessons.dark_knowledge import claims as dark_knowledge_claims
from kdutils.lessons.subclass_distillation import claims as subclass_distillation_claims
from kdutils.lessons.tolerant_teachers import claims as tolerant_teachers_claims
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


def made_claim(*values_and_ranges):
    parts = tuple(Part(f"part {i}", lambda results, values=values: interval(values), *range_)
                  for i, (values, range_) in enumerate(values_and_ranges))
    return Claim("X", "nobody", "made up", "dark_knowledge", parts, paper="", why="")


def test_a_claim_is_as_good_as_its_weakest_part():
    seen, noisy, unseen, opposite = [5.0, 5.1, 4.9], [-9.0, 9.0], [1.0, 1.1, 0.9], [-5.0, -5.1]
    above = (3, inf)
    results = Results(pd.DataFrame({"seed": [0]}))
    for values, verdict in (([seen, seen], SEEN), ([seen, noisy], NOISY), ([noisy, unseen], NOT_SEEN),
                            ([opposite, unseen, seen], OPPOSITE), ([seen, [], opposite], MISSING)):
        assert claims.verdict(made_claim(*((v, above) for v in values)), results) == verdict


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
    assert list(table.columns) == ["claim", "says", "mean", "low", "high", "seeds", "unit", "rule", "part verdict",
                                   "verdict"]
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
    of_hinton, of_yang = ["H1", "H2", "H3", "H4", "H5"], ["G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8"]
    assert [claim.id for claim in dark_knowledge_claims.CLAIMS] == of_hinton
    assert [claim.id for claim in tolerant_teachers_claims.CLAIMS] == of_yang
    of_mueller = [f"S{i}" for i in range(1, 9)]
    assert [claim.id for claim in subclass_distillation_claims.CLAIMS] == of_mueller
    assert [claim.id for claim in catalog.select()] == of_hinton + of_yang + of_mueller
    assert [claim.id for claim in catalog.select(["H3", "H1"])] == ["H3", "H1"]
    for claim in catalog.select():
        assert claim.statement.endswith(".") and claim.source and claim.parts
    with refuses("claim", "'H9'", "H1"):
        catalog.select(["H1", "H9"])


def test_absent_records_are_one_sentence(refuses):
    with refuses("no results", "no_such_experiment", "recorded.json"):
        catalog.recorded("no_such_experiment")
