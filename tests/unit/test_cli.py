"""The command line: answers, exit statuses, and one sentence on stderr for whatever is wrong."""

import json
import subprocess
import sys
import warnings

import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from scipy import stats

from kdutils import cache, claims, cli, datasets
from kdutils.course import doctor
from kdutils.lessons import catalog
from kdutils.results import Results
from kdutils.sweeps.words import value_of

runner = pytest.importorskip("kdutils.course.runner", reason="needs the notebook packages", exc_type=ImportError)


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """A cache and a data folder of the test's own."""
    monkeypatch.setenv("KDUTILS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KDUTILS_DATA", str(tmp_path / "data"))


def call(*words):
    return CliRunner().invoke(cli.app, [str(word) for word in words])


def refused(*words):
    """stderr of a command that must end with status 2 and one sentence."""
    result = call(*words)
    assert result.exit_code == 2, result.output
    assert result.stdout == "" and len(result.stderr.strip().splitlines()) == 1
    return result.stderr.strip()


def test_help_does_not_import_torch():
    code = ("import sys; from kdutils import cli; cli.app(['--help'], standalone_mode=False); "
            "assert not {'torch', 'numpy', 'pandas', 'papermill', 'plotly'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=120)


@pytest.mark.parametrize("words", ["", "run", "sweep", "data", "data get", "claims", "cache", "doctor"])
def test_every_command_has_help(words):
    result = call(*words.split(), "--help")
    assert result.exit_code == 0 and "Usage" in result.stdout


def test_doctor_ends_with_1_only_if_something_failed(monkeypatch):
    monkeypatch.setattr(doctor, "report", lambda: [doctor.Check("a", "ok", "x"), doctor.Check("b", "warn", "y", "z")])
    assert call("doctor").exit_code == 0
    monkeypatch.setattr(doctor, "report", lambda: [doctor.Check("b", "fail", "bad", "mend it so")])
    result = call("doctor")
    assert result.exit_code == 1 and "-> mend it so" in result.stdout


def test_data_list_and_get():
    listed = call("data", "list").stdout
    assert all(name in listed for name in datasets.CARDS) and "embedded" in listed and "not here" in listed
    assert "nothing to fetch" in call("data", "get", "digits").stdout
    assert refused("data", "get", "imagenet") == (
        f"data set must be one of {', '.join((*datasets.CARDS, *datasets.GROUPINGS))}; got 'imagenet'.")


def test_cache_list_and_clear():
    assert "0 entries" in call("cache", "list").stdout
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.load_or_make("teacher", {"seed": 1}, lambda: {"w": torch.zeros(3)})
    listed = call("cache", "list").stdout
    assert "teacher-" in listed and "1 entries" in listed
    assert call("cache", "clear").stdout == "1 entries removed.\n"
    assert "0 entries" in call("cache", "list").stdout


def test_claims_without_stored_results_are_not_measured(monkeypatch):
    def none(experiment):
        raise cli.AbsentError("there are no results.")

    monkeypatch.setattr(catalog, "recorded", none)
    rows = json.loads(call("claims", "--json").stdout)
    assert [row["id"] for row in rows] == list(catalog.claims())
    assert {row["verdict"] for row in rows} == {"not measured"}
    assert "no results are stored" in call("claims", "H1").stdout


def test_claims_show_verdict_effect_interval_seeds_device_and_date(monkeypatch):
    """One claim on made-up runs: a gain of 4 to 6 points over three seeds; and one that was never measured."""
    table = pd.DataFrame([{"method": method, "seed": seed, "accuracy": 80 + gain * (method == "kd")}
                          for seed, gain in enumerate([4, 5, 6]) for method in ("kd", "hard")])
    part = claims.Part("gain", claims.Paired("accuracy", {"method": "kd"}, {"method": "hard"}), low=1)
    lost = claims.Part("lost", claims.Mean("accuracy", {"method": "gone"}))
    monkeypatch.setattr(catalog, "claims", lambda: {
        "X1": claims.Claim("X1", "a paper", "It helps.", "made_up", (part,), paper="", why=""),
        "X2": claims.Claim("X2", "a paper", "It is lost.", "made_up", (lost,), paper="", why="")})
    monkeypatch.setattr(catalog, "recorded", lambda _: Results(table, {}, {"device": "a CPU", "date": "2026-01-02"}))

    text = call("claims").stdout
    for words in ("X1", "seen", "It helps.", "gain: +5.0 [+2.5, +7.5] (3 seeds) points", "above 1", "a CPU",
                  "2026-01-02", "X2", "not measured", "✓ seen", "– not measured"):
        assert words in text, text
    assert "accuracy of method=kd less that of method=hard" in call("claims", "X1").stdout
    (row,) = json.loads(call("claims", "X1", "--json").stdout)
    assert (row["verdict"], row["device"], row["date"]) == ("seen", "a CPU", "2026-01-02")
    assert row["parts"][0]["mean"] == pytest.approx(5) and row["parts"][0]["seeds"] == 3
    assert row["parts"][0]["p"] == pytest.approx(stats.ttest_1samp([4, 5, 6], 1).pvalue)
    assert row["parts"][0]["worth"] == 0.5 and row["parts"][0]["compares"].startswith("accuracy of method=kd")
    (row,) = json.loads(call("claims", "X2", "--json").stdout)
    assert row["parts"][0]["mean"] is None and row["parts"][0]["p"] is None and row["verdict"] == "not measured"


def test_claims_asked_again_on_fresh_seeds_show_both_sets(monkeypatch):
    """Catches a second look that is shown in place of the first, or mixed with it."""
    def results(gain):
        rows = [{"method": method, "seed": seed, "accuracy": 80 + (gain + seed / 10) * (method == "kd")}
                for seed in range(3) for method in ("kd", "hard")]
        return Results(pd.DataFrame(rows), {}, {"device": "a CPU", "date": "2026-01-02"})

    part = claims.Part("gain", claims.Paired("accuracy", {"method": "kd"}, {"method": "hard"}), low=1)
    claim = claims.Claim("X1", "a paper", "It helps.", "made_up", (part,), paper="", why="", fresh="made_up.fresh")
    monkeypatch.setattr(catalog, "claims", lambda: {"X1": claim})
    monkeypatch.setattr(catalog, "recorded", {"made_up": results(5), "made_up.fresh": results(-5)}.__getitem__)
    (row,) = json.loads(call("claims", "--json").stdout)
    assert (row["verdict"], row["fresh"]["verdict"]) == ("seen", "opposite")
    text = call("claims").stdout
    places = [text.index(words) for words in ("It helps.", "gain: +5.1", "nobody had looked", "gain: -4.9")]
    assert places == sorted(places)
    (row,) = json.loads(call("claims", "--fresh", "--json").stdout)
    assert row["verdict"] == "opposite" and row["fresh"] is None


def test_an_unknown_claim_is_one_sentence():
    assert "got 'Z9'." in refused("claims", "Z9")


@pytest.mark.parametrize(("text", "value"), [
    ("4", 4), ("0.5", 0.5), ("1e-3", 1e-3), ("[1, 2]", [1, 2]), ("true", True), ("True", True), ("None", None),
    ("cpu", "cpu"), ("'x'", "'x'"), ("1,2", "1,2")])
def test_values_on_the_command_line(text, value):
    assert value_of(text) == value and type(value_of(text)) is type(value)


def test_run_passes_what_was_given_and_reports(monkeypatch, tmp_path):
    asked = {}

    def run(notebook, parameters, out):
        asked.update(notebook=notebook, parameters=parameters, out=out)
        return runner.Report(notebook, out / "n.ipynb", out / "n.html", 12.3, 250_000, {"finished": True}, failures)

    failures = ()
    monkeypatch.setattr(runner, "run", run)
    result = call("run", "n.ipynb", "-p", "seed", "3", "-p", "device", "cpu", "--profile", "smoke", "--out", tmp_path)
    assert result.exit_code == 0
    assert asked["parameters"] == {"seed": 3, "device": "cpu", "profile": "smoke"} and asked["out"] == tmp_path
    assert "finished after 12 s, 0.25 MB, 1 records" in result.stdout and str(tmp_path / "n.html") in result.stdout
    failures = ("Cell 4 (x) raised ValueError.",)
    result = call("run", "n.ipynb")
    assert result.exit_code == 1 and result.stderr == "Cell 4 (x) raised ValueError.\n" and "FAILED" in result.stdout


def test_run_refuses_in_one_sentence(tmp_path):
    assert refused("run", tmp_path / "gone.ipynb") == f"There is no notebook {tmp_path / 'gone.ipynb'}."
    assert refused("run", "n.ipynb", "--profile", "quick") == (
        "profile must be one of smoke, lecture, full; got 'quick'.")
