"""Parts of a sweep: n tasks of a cluster's queue do together what one call does, and train no teacher twice."""

import os
import re
import subprocess
import sys
import textwrap

import pytest
from click.testing import CliRunner
from made_up import NAME, SIZES, expected, runs, same

from kdutils import cache, cli
from kdutils.sweeps import sweep


def call(*words):
    return CliRunner().invoke(cli.app, ["sweep", *map(str, words)])


def test_parts_together_are_the_whole_and_no_point_runs_twice(made_up, tmp_path):
    folder = tmp_path / "points"
    parts = [sweep(NAME, {"size": SIZES}, folder=folder, base=made_up, workers=1, part=f"{i}/3") for i in (1, 2, 3)]
    assert [sorted(set(part.table["size"])) for part in parts] == [[1.0, 4.0], [2.0], [3.0]]
    assert not any(part.complete for part in parts)
    same(sweep(NAME, {"size": SIZES}, folder=folder, base=made_up, workers=1), expected(made_up))
    assert len(runs(made_up)) == 4
    assert sweep(NAME, {"size": SIZES}, folder=folder, base=made_up, workers=1, part="1/1").complete


def test_a_part_beyond_the_last_point_is_empty(made_up, tmp_path):
    assert sweep(NAME, {"size": [1.0]}, folder=tmp_path, base=made_up, part="2/2").table.empty


@pytest.mark.parametrize("part", ["0/3", "4/3", "1", "1/0", "a/b", "-1/3", 1, "1/3/5", ""])
def test_a_wrong_part_is_one_sentence(made_up, tmp_path, refuses, part):
    with refuses("part", "i/n", repr(part)):
        sweep(NAME, {"size": SIZES}, folder=tmp_path, base=made_up, part=part)


def test_parts_need_a_place_to_meet(made_up, refuses):
    with refuses("part 1/2", "folder"):
        sweep(NAME, {"size": SIZES}, base=made_up, part="1/2")


def test_the_command_of_a_part_writes_points_and_no_table(made_up, tmp_path):
    """Catches tasks of an array that write their rows over each other's table."""
    words = (NAME, "--set", "size=1,2,3", "--set", f"folder={made_up.folder}", "--workers", 1, "--out", tmp_path)
    for i in (1, 2):
        result = call(*words, "--part", f"{i}/2")
        assert result.exit_code == 0 and f"Part {i}/2" in result.stdout, result.output
        assert not (tmp_path / f"{NAME}.json").exists()
    result = call(*words)
    assert result.exit_code == 0 and "12 rows" in result.stdout and len(runs(made_up)) == 3


def test_a_script_for_slurm_is_printed_and_nothing_runs(made_up, tmp_path, monkeypatch):
    monkeypatch.setenv("KDUTILS_CACHE", "/shared/my cache")
    result = call(NAME, "--set", "size=1,2,3", "--set", f"folder={made_up.folder}", "--threads", 2, "--workers", 3,
                  "--seeds-each", 1, "--out", tmp_path / "out", "--sbatch", 4)
    assert result.exit_code == 0, result.output
    script = result.stdout
    assert script.startswith("#!/bin/bash\n") and "--array=1-4\n" in script and "--cpus-per-task=6\n" in script
    assert "export KDUTILS_CACHE='/shared/my cache'\n" in script and "gres" not in script
    assert not (tmp_path / "runs").exists() and not (tmp_path / "out").exists()
    few = call(NAME, "--set", "size=1,2", "--set", "device=cuda", "--sbatch", 9).stdout
    assert "--array=1-2\n" in few and "--gres=gpu:1\n" in few, "no task without a point"
    assert call(NAME, "--sbatch", 0).exit_code == 2


def test_the_printed_script_does_what_it_says(made_up, tmp_path, monkeypatch):
    """Catches options that are lost on their way to the tasks; bash plays the queue."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    words = (NAME, "--set", "size=1,2", "--set", f"folder={made_up.folder}", "--set", "shape=[7]", "--out", tmp_path)
    script = call(*words, "--sbatch", 2).stdout
    for task in ("1", "2"):
        run = subprocess.run(["bash", "-c", script], env=os.environ | {"SLURM_ARRAY_TASK_ID": task}, cwd=tmp_path,
                             capture_output=True, text=True, timeout=300)
        assert run.returncode == 0, run.stderr
    (last,) = re.findall(r"^# (\S+ -m kdutils sweep .*)$", script, re.M)
    run = subprocess.run(["bash", "-c", last], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0 and "8 rows" in run.stdout, run.stdout + run.stderr
    assert sorted(runs(made_up)) == ["1.0 0", "2.0 0"]


TASK = """
import sys, time, warnings
import torch
from kdutils import cache
warnings.simplefilter("error")
def train():
    with open(sys.argv[1], "a") as notes:
        notes.write("trained\\n")
    time.sleep(1)
    return {"logits": torch.ones(3)}
print(float(cache.load_or_make("teachers", {"seed": 0}, train)["logits"].sum()))
"""


def test_processes_that_need_one_teacher_train_it_once(tmp_path, monkeypatch):
    monkeypatch.setenv("KDUTILS_CACHE", str(tmp_path / "cache"))
    notes = tmp_path / "notes"
    tasks = [subprocess.Popen([sys.executable, "-c", textwrap.dedent(TASK), str(notes)], stdout=subprocess.PIPE,
                              text=True) for _ in range(3)]
    assert [task.communicate(timeout=300)[0] for task in tasks] == ["3.0\n"] * 3
    assert notes.read_text() == "trained\n" and len(cache.entries()) == 1
