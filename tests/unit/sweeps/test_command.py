"""`kdutils sweep`: answers, exit statuses and the table it writes."""

import re

import pytest
from click.testing import CliRunner
from made_up import NAME, runs

from kdutils import cli
from kdutils.lessons.start_here import experiment as start_here
from kdutils.results import Results
from kdutils.sweeps import names


def call(*words):
    return CliRunner().invoke(cli.app, ["sweep", *map(str, words)])


def test_the_command_runs_resumes_and_says_where_the_table_is(made_up, tmp_path):
    words = (NAME, "--set", "size=1,2", "--set", f"folder={made_up.folder}", "--set", "shape=[[3], [4, 5]]",
             "--workers", 1, "--out", tmp_path / "out")
    result = call(*words)
    assert result.exit_code == 0, result.output
    path = tmp_path / "out" / f"{NAME}.json"
    assert result.stdout == f"16 rows in {path}\n" and "4/4" in result.stderr
    table = Results.load(path).table
    assert table.groupby(["size", "shape"], sort=False).size().index.tolist() == [
        (1, "[3]"), (1, "[4, 5]"), (2, "[3]"), (2, "[4, 5]")]
    again = call(*words)
    assert again.exit_code == 0 and "finished before" in again.stderr and len(runs(made_up)) == 4


def test_one_value_is_one_run_with_a_changed_parameter(made_up, tmp_path):
    result = call(NAME, "--set", f"folder={made_up.folder}", "--set", "size=3", "--set", "shape=[7]", "--set",
                  "seeds=1", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    results = Results.load(tmp_path / f"{NAME}.json")
    assert results.params["shape"] == [7] and results.params["size"] == 3 and results.params["grid"] == {}
    assert results.table["value"].tolist() == [1, 2] and runs(made_up) == ["3.0 0"]


def test_a_failed_point_ends_the_command_with_1_and_keeps_the_rest(made_up, tmp_path):
    result = call(NAME, "--set", f"folder={made_up.folder}", "--set", "size=1,2", "--set", "wrong=[2]", "--workers", 1,
                  "--out", tmp_path)
    assert result.exit_code == 1 and result.stdout.startswith("Not complete: 4 rows")
    assert "size=2.0 failed (ValueError: a wrong size); finished and kept" in result.stderr


@pytest.mark.parametrize(("words", "said"), [
    (("start_here", "--set", "temperature"), "NAME=VALUES"),
    (("start_here", "--set", "temperature=1,x"), "'x'"),
    (("start_here", "--profile", "quick"), "profile of start_here must be one of lecture"),
    (("tolerant_teachers", "--set", "etas=1"), "--set 'etas=["),
    (("tolerant_teachers", "--set", "etas=[1, \"x\"]", "--set", "no=1"), "parameter of tolerant_teachers"),
    (("nothing",), "experiment must be one of"),
    (("start_here", "--set", "steps=1", "--set", "steps=2"), "--set steps must be given once"),
    (("start_here", "--set", "steps=[]"), "steps of a sweep must have at least one value, got none"),
    (("start_here", "--set", "transfer=1201"), "transfer images must be a whole number between 1 and 1200"),
])
def test_the_command_refuses_in_one_sentence(words, said):
    result = call(*words)
    assert result.exit_code == 2 and said in result.stderr and len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""


def test_the_help_has_examples_and_names_what_there_is():
    said = " ".join(call("--help").stdout.split())
    assert "kdutils sweep start_here --set temperature=1,4,16" in said
    named = re.findall(r"\(([\w.]+)\)", said[said.index("EXPERIMENT is"): said.index("or the dotted path")])
    assert len(named) == 2 and set(named) <= set(names())


def test_the_parameters_of_an_experiment_are_listed_and_nothing_is_run(monkeypatch):
    monkeypatch.setattr(start_here, "run", lambda *_: pytest.fail("it has begun"))
    result = call("start_here", "--parameters")
    assert result.exit_code == 0 and "images each student sees" in result.stdout
    assert "\ntransfer=100  # images" in result.stdout and "\ntemperature=4.0  # of" in result.stdout
    listed = call("subclass_distillation", "--profile", "smoke", "--parameters").stdout
    assert "\nsizes=[2, 10]  # other s that are tried" in listed


def test_a_sweep_without_a_row_leaves_an_older_table_alone(made_up, tmp_path):
    words = (NAME, "--set", f"folder={made_up.folder}", "--out", tmp_path, "--set", "size=2")
    assert call(*words).exit_code == 0
    before = (tmp_path / f"{NAME}.json").read_text()
    result = call(*words, "--set", "wrong=[2]")
    assert result.exit_code == 1 and "no rows" in result.stdout
    assert (tmp_path / f"{NAME}.json").read_text() == before
