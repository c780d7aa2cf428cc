"""The experiment of notebook 03: what is measured and refused, and the verdicts' logic."""

import json
from dataclasses import asdict, replace

import pandas as pd
import pytest

from kdutils import claims, cohorts
from kdutils.claims import MISSING, NOISY, NOT_SEEN, OPPOSITE, SEEN
from kdutils.lessons import catalog
from kdutils.lessons.subclass_distillation import figures
from kdutils.lessons.subclass_distillation.claims import DIGITS
from kdutils.lessons.subclass_distillation.experiment import DEFAULT, SubclassDistillation, run
from kdutils.results import Results

# The table ----------------------------------------------------------------------------------------------------------

def test_every_setting_is_measured_once_per_seed(small):
    table = small[0].table
    names = ["part", "method", "beta", "t_aux", "s", "transfer", "width", "step"]
    settings = table.groupby(names, dropna=False).seed.apply(lambda seeds: tuple(sorted(seeds)))
    assert (settings == (3, 4)).all()
    assert settings.groupby("part").size().to_dict() == {
        "discovery": 2 + 1 + 1 + 2 + 2, "few": 3 * 12, "speed": 5 * 2}
    for metric in ("accuracy", "hungarian", "purity", "nmi"):
        assert table[metric].dropna().between(0, 100).all()
    assert table.used.dropna().between(1, 10).all()


def test_the_run_says_what_it_does_and_comes_back_whole_from_a_file(small, tmp_path):
    results, said = small
    assert "2 teachers" in said[0] and "how fast" in said[-1] and len(said) == 7
    results.save(tmp_path / "runs.json")
    again = Results.load(tmp_path / "runs.json")
    assert again.params == json.loads(json.dumps(results.params)) and again.complete
    before, after = (claims.table(one, DIGITS) for one in (results, again))
    assert before["part verdict"].tolist() == after["part verdict"].tolist()


def test_the_same_parameters_give_the_same_numbers(small, params):
    assert run(params).table.equals(small[0].table)


def test_parameters_unlike_the_defaults_run_and_are_drawn(params):
    """Another s that is also swept must not be measured twice; one temperature is allowed."""
    results = run(replace(params, subclasses=2, sizes=(2, 3), betas=(1,), t_auxs=(0.3, 2), temperature=1,
                          speed_images=(20,)))
    assert not results.table.duplicated(["part", "method", "beta", "t_aux", "s", "transfer", "width", "step",
                                         "seed"]).any()
    assert len(results.where(method="contrastive", beta=0.3, t_aux=0.5, s=2)) == 2, "the chosen one, off the grid"
    for figure in (figures.discovery, figures.subclasses_used, figures.few_labels, figures.controls,
                   figures.learning_speed):
        assert "nan" not in figure(results).reading
    assert "not been trained" in figures.click_curves(results).reading
    assert len(claims.table(results, DIGITS))


def test_narrow_students_as_wide_as_the_others_are_measured_once(params):
    """Catches rows that are there twice, which intervals would take for further seeds."""
    results = run(replace(params, narrow=params.width, narrow_images=params.transfer_sizes[0]))
    rows = results.where(part="few", method="subclass", transfer=params.transfer_sizes[0])
    assert sorted(rows.seed) == [params.seed, params.seed + 1]


def test_an_interrupt_keeps_the_finished_groups(params):
    def stop_at_the_students(line):
        if "students 64-16 on 40" in line:
            raise KeyboardInterrupt

    results = run(params, stop_at_the_students)
    assert not results.complete and set(results.table.part) == {"discovery", "few"}
    assert claims.verdict(catalog.select(["S7"])[0], results) == MISSING


@pytest.mark.parametrize("wrong, words", [
    ({"seeds": 0}, ("seeds", "0")), ({"subclasses": 0}, ("subclasses", "between 1 and 20", "0")),
    ({"subclasses": 21}, ("subclasses", "21")), ({"sizes": (2, 0)}, ("subclasses", "0")),
    ({"beta": -0.1}, ("beta", "-0.1")),
    ({"betas": (0.1, -1)}, ("beta", "-1")), ({"betas": (0.0, 0.1)}, ("beta", "> 0", "0.0")),
    ({"t_aux": 0.0}, ("t_aux", "> 0", "0.0")),
    ({"t_auxs": (0.1, -2)}, ("t_aux", "-2")), ({"temperature": 0}, ("temperature", "0")),
    ({"alpha": 1.5}, ("alpha", "1.5")), ({"hint": -1}, ("hint", "-1")), ({"student_steps": 0}, ("student steps", "0")),
    ({"transfer_sizes": (50, 50)}, ("transfer_sizes", "different", "50 twice"))])
def test_impossible_parameters_are_refused_at_once(wrong, words, refuses):
    with refuses(*words):
        SubclassDistillation(**wrong)


@pytest.mark.parametrize("wrong", [{"transfer_sizes": (20, 1201)}, {"speed_images": (1,)}, {"narrow_images": 5000}])
def test_more_images_than_there_are_is_refused_before_any_training(wrong, monkeypatch, refuses, params):
    monkeypatch.setattr(cohorts, "fit", lambda *_, **__: pytest.fail("trained before checking"))
    with refuses("transfer images", "1200"):
        run(replace(params, **wrong))


# Verdicts -----------------------------------------------------------------------------------------------------------

def made_results(**moved):
    """Results in which every claim holds, but for what is moved by "part method transfer s"."""
    rows = []

    def runs(part, method, value, transfer=None, metric="accuracy", s=None, **more):
        name = " ".join(str(one) for one in (part, method, transfer, s) if one is not None)
        for seed, noise in enumerate((0.0, 0.1, -0.1, 0.05, -0.05, 0.02)):
            shift = moved.get(name, 0.0)
            own = noise * (1 + len(name) % 3) * (0.001 if metric == "log_loss" else 1)
            rows.append({"part": part, "method": method, "transfer": transfer, "s": s, "seed": seed,
                         metric: value + shift + own, **more})

    for method, beta, found, accuracy, used in (("no auxiliary loss", 0.0, 25, 97, 2), ("contrastive", 0.1, 55, 95, 8),
                                                ("contrastive", 0.3, 56, 93, 9), ("contrastive", 1.0, 40, 85, 10),
                                                ("k-means", None, 85, 95, 10)):
        more = {"beta": beta, "t_aux": 0.5 if beta else None, "accuracy": accuracy, "nmi": found + 10, "used": used}
        runs("discovery", method, found, metric="hungarian", s=5, **more)
        for i, row in enumerate(rows[-6:]):
            row["accuracy"] += 0.1 * (i % 3) * (1 + (beta or 0))
            row["nmi"] += 0.1 * (i % 2)
    for n in (20, 50, 100, 200, 1200):
        for method, value in (("hard labels", 94), ("hard labels, larger head", 94), ("two-class", 90),
                              ("two-class, larger head", 90), ("no auxiliary loss", 88), ("subclass", 94),
                              ("oracle", 96), ("k-means teacher", 95)):
            runs("few", method, value, n, width=16)
    for method, value in (("two-class", 88), ("subclass", 92)):
        runs("few", method, value, 100, width=8)
    for n in (2000, 8000):
        told = (0.33, 0.315, 0.309)
        for method, curve in (("hard labels", (0.33, 0.31, 0.32)), ("subclass", (0.305, 0.30, 0.29)),
                              ("two-class", told), ("two-class of subclass teacher", told)):
            for i, loss in enumerate(curve):
                runs("clicks", method, loss, n, "log_loss", 5 if method == "subclass" else None, step=20 * (i + 1),
                     auc=70.0 + 2 * (method == "subclass"))
                for k, row in enumerate(rows[-6:]):
                    row["auc"] += 0.1 * (k % 2) * (1 + (method == "subclass"))
    return Results(pd.DataFrame(rows).sample(frac=1, random_state=0))


def verdicts(results):
    table = claims.table(results, DIGITS)
    return dict(zip(table.claim, table.verdict, strict=True))


ALL_SEEN = dict.fromkeys([f"S{i}" for i in range(1, 9)], SEEN)


def test_all_claims_are_seen_where_all_hold():
    assert verdicts(made_results()) == ALL_SEEN


@pytest.mark.parametrize("moved, by, fallen", [
    ("few subclass 50", -6, {"S4": OPPOSITE}), ("few two-class 20", 6, {"S4": OPPOSITE}),
    ("few oracle 100", -4, {"S4": OPPOSITE}),
    ("few hard labels, larger head 100", 2, {"S5": NOT_SEEN}),
    ("few two-class, larger head 200", 5, {"S5": OPPOSITE}),
    ("few no auxiliary loss 200", 4, {"S5": NOT_SEEN}),
    ("few subclass 1200", 2, {"S6": NOT_SEEN}), ("few subclass 1200", -2, {"S6": NOT_SEEN}),
    ("few k-means teacher 50", -3, {"S8": OPPOSITE}),
    ("discovery contrastive 5", 40, {"S2": OPPOSITE}), ("discovery contrastive 5", -15, {"S2": NOT_SEEN}),
    ("clicks subclass 8000 5", 0.02, {"S7": OPPOSITE}), ("clicks subclass 2000 5", 0.02, {"S7": OPPOSITE}),
])
def test_a_claim_falls_with_what_it_says(moved, by, fallen):
    found = verdicts(made_results(**{moved: by}))
    assert {name for name, verdict in found.items() if verdict != SEEN} == set(fallen)
    for name, verdict in fallen.items():
        assert found[name] in {verdict, OPPOSITE, NOT_SEEN}


def test_s1_and_s3_ask_for_use_and_for_a_price():
    for column, method, value, claim in (("used", "no auxiliary loss", 7, "S1"), ("accuracy", "contrastive", 97, "S3")):
        rows = made_results().table
        mine = (rows.part == "discovery") & (rows.method == method)
        rows.loc[mine, column] = value + 0.1 * rows.seed[mine]
        assert verdicts(Results(rows))[claim] != SEEN


def test_one_seed_is_never_a_verdict_and_missing_parts_are_not_measured():
    rows = made_results().table
    assert set(verdicts(Results(rows[rows.seed == 0])).values()) == {NOISY}
    found = verdicts(Results(rows[rows.part == "discovery"]))
    assert {name for name, verdict in found.items() if verdict == MISSING} == {"S4", "S5", "S6", "S7", "S8"}


def test_the_recorded_results_measure_every_claim_with_the_default_settings():
    recorded = catalog.recorded("subclass_distillation")
    assert recorded.complete and dict(recorded.params) == json.loads(json.dumps(asdict(DEFAULT)))
    for claim in DIGITS:
        assert claims.verdict(claim, catalog.recorded(claim.experiment)) != MISSING
