"""Intervals against SciPy, differences paired by seed, and a file that comes back as it was."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kdutils import results
from kdutils.results import Effect, Results, interval


def table(seeds=8):
    """Two methods; seeds differ a lot from each other, methods little."""
    random = np.random.default_rng(0)
    seed_effect = 10 * random.standard_normal(seeds)
    settings = ("hard labels", None, 0.0), ("distilled", 4.0, 1.0), ("distilled", 8.0, 2.0)
    return pd.DataFrame([
        {"method": method, "temperature": temperature, "seed": seed, "nll": 0.123456789,
         "accuracy": 80 + seed_effect[seed] + gain + 0.1 * random.standard_normal()}
        for method, temperature, gain in settings for seed in range(seeds)])


HARD, AT_4 = {"method": "hard labels"}, {"method": "distilled", "temperature": 4.0}


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30).filter(lambda v: np.std(v) > 1e-3), st.floats(0.5, 0.99))
def test_the_interval_is_students(values, level):
    effect = interval(values, level)
    expected = stats.ttest_1samp(values, 0).confidence_interval(level)
    assert (effect.low, effect.high) == pytest.approx(tuple(expected), rel=1e-9, abs=1e-9)
    assert effect.mean == pytest.approx(np.mean(values)) and effect.n == len(values)


def test_two_experiments_beside_each_other_are_asked_as_one():
    other = Results(pd.DataFrame([{"part": "clicks", "seed": seed, "auc": 70.0} for seed in range(8)]), {"rows": 5},
                    complete=False)
    both = Results(table(), {"seeds": 8}).beside(other)
    assert both.mean("auc", part="clicks").mean == 70 and both.mean("accuracy", **HARD).n == 8
    assert both.params == {"seeds": 8} and not both.complete


def test_equal_values_have_a_point_for_an_interval_and_one_value_none():
    assert interval([2.0, 2.0, 2.0]) == Effect(2.0, 2.0, 2.0, 3)
    one = interval([2.0])
    assert one.mean == 2 and one.n == 1 and math.isnan(one.low) and math.isnan(one.high)
    assert str(one) == "+2.0 (1 seed, no interval)"
    assert str(Effect(-1.25, -2.0, -0.5, 20)) == "-1.2 [-2.0, -0.5] (20 seeds)"
    assert str(Effect(-0.04, -0.11, -0.01, 20)) == "+0.0 [-0.1, +0.0] (20 seeds)"  # never -0.0


def test_no_interval_without_finite_values(refuses):
    for values in ([], [1.0, math.nan], [1.0, math.inf]):
        with refuses("finite"):
            interval(values)


@pytest.mark.parametrize("shuffled", [False, True])
def test_differences_are_paired_by_seed_in_whatever_order_the_rows_lie(shuffled):
    rows = table()
    runs = Results(rows.sample(frac=1, random_state=3).reset_index(drop=True) if shuffled else rows)
    a, b = (rows[rows.method.eq(m) & rows.temperature.isin([4.0, np.nan])].accuracy.to_numpy()
            for m in ("distilled", "hard labels"))
    expected = stats.ttest_rel(a, b).confidence_interval()
    effect = runs.paired("accuracy", this=AT_4, minus=HARD)
    assert (effect.low, effect.high) == pytest.approx(tuple(expected)) and effect.n == 8
    assert effect.mean == pytest.approx((a - b).mean()) and effect.high - effect.low < 0.5
    back = runs.paired("accuracy", this=HARD, minus=AT_4)
    assert (back.mean, back.low, back.high) == pytest.approx((-effect.mean, -effect.high, -effect.low))


def test_means_and_summaries():
    runs = Results(table())
    hard = table().query("method == 'hard labels'").accuracy
    assert runs.mean("accuracy", **HARD) == interval(hard)
    summary = runs.summary("accuracy", ["method", "temperature"])
    assert list(summary.columns) == ["method", "temperature", "mean", "low", "high", "n"]
    assert summary.method.tolist() == ["hard labels", "distilled", "distilled"] and summary.n.tolist() == [8, 8, 8]
    assert math.isnan(summary.temperature[0]) and summary["mean"][0] == pytest.approx(hard.mean())
    assert runs.summary("accuracy", ["method"]).n.tolist() == [8, 16]


def test_a_summary_leaves_out_runs_without_the_metric():
    rows = table()
    rows.loc[rows.method == "hard labels", "nll"] = np.nan
    assert Results(rows).summary("nll", ["method"]).method.tolist() == ["distilled"]


def test_questions_the_rows_cannot_answer_are_refused(refuses):
    runs = Results(table())
    with refuses("no run", "temperature=3"):
        runs.mean("accuracy", method="distilled", temperature=3)
    with refuses("more than one", "distilled"):
        runs.mean("accuracy", method="distilled")
    with refuses("no column", "'depth'", "temperature"):
        runs.mean("accuracy", depth=3)
    with refuses("no column", "'recall'", "accuracy"):
        runs.mean("recall", **AT_4)
    with refuses("same seeds"):
        Results(table()[:-9]).paired("accuracy", AT_4, HARD)
    with refuses("same seeds"):
        Results(table().drop(index=2)).paired("accuracy", AT_4, HARD)


def test_one_seed_has_a_difference_and_no_interval():
    effect = Results(table(1)).paired("accuracy", AT_4, HARD)
    assert effect.n == 1 and math.isfinite(effect.mean) and math.isnan(effect.low)


def test_a_file_comes_back_as_it_was(tmp_path):
    runs = Results(table(), {"seeds": 8, "temperatures": [1, 4.5], "device": "cpu"},
                   results.provenance("cpu", 12.34), complete=False)
    path = tmp_path / "new folder" / "runs.json"
    runs.save(path)
    again = Results.load(path)
    pd.testing.assert_frame_equal(again.table, runs.table, atol=1e-6, rtol=0)
    assert (again.params, again.provenance, again.complete) == (runs.params, runs.provenance, False)
    assert again.mean("accuracy", **AT_4).mean == pytest.approx(runs.mean("accuracy", **AT_4).mean, abs=1e-6)
    runs.save(path)
    assert [file.name for file in path.parent.iterdir()] == ["runs.json"], "no temporary file is left"


def test_columns_that_look_like_dates_or_ids_stay_as_they_are(tmp_path):
    rows = pd.DataFrame({"seed": [0, 1], "date": ["2020-01-01", "2020-01-02"], "modified": [1500000000, 1600000000],
                         "measured_at": [1.5e9, 2.0], "id": ["01", "2"]})
    Results(rows).save(tmp_path / "runs.json")
    pd.testing.assert_frame_equal(Results.load(tmp_path / "runs.json").table, rows)


def test_rows_that_fill_other_columns_keep_their_order_and_cost_no_nulls(tmp_path):
    rows = pd.DataFrame([{"seed": 0, "part": "a", "x": 1.5}, {"seed": 1, "part": "b", "y": "q"},
                         {"seed": 2, "part": "b", "y": "r"}, {"seed": 3, "part": "a", "x": 2.5}])
    rows["never"] = math.nan
    Results(rows).save(tmp_path / "runs.json")
    again = Results.load(tmp_path / "runs.json").table
    pd.testing.assert_frame_equal(again, rows, check_dtype=False)
    assert again["seed"].dtype == rows["seed"].dtype and "null" not in (tmp_path / "runs.json").read_text()
    Results(rows[:0]).save(tmp_path / "none.json")
    assert list(Results.load(tmp_path / "none.json").table) == list(rows)


def test_missing_and_corrupt_files_are_refused(tmp_path, refuses):
    with refuses("no results", "absent.json"):
        Results.load(tmp_path / "absent.json")
    Results(table()).save(tmp_path / "whole.json")
    whole = (tmp_path / "whole.json").read_bytes()
    ragged = {"params": {}, "columns": ["a"], "pieces": [{"columns": ["a"], "data": [[1, 2]]}]}
    for content in (b"", whole[:200], b"[1, 2]", b'{"pieces": 3}', b'{"params": {}}', b"\xff\xfe\x00garbage",
                    json.dumps(ragged).encode()):
        (tmp_path / "corrupt.json").write_bytes(content)
        with refuses("corrupt.json", "not a results file"):
            Results.load(tmp_path / "corrupt.json")


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "runs.json"
    Results(table(2)).save(path)
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        Results(table(5)).save(path)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["runs.json"]


def test_provenance_says_where_and_with_what():
    said = results.provenance(torch.device("cpu"), 1.26)
    assert said["torch"] == torch.__version__ and said["threads"] == 1 and said["seconds"] == 1.3
    assert said["device"].endswith("CPU") and len(said["date"]) == 10 and json.loads(json.dumps(said)) == said
