"""Processes that are killed in the middle, disks that are full: what was whole is kept, the rest is done again."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest
import torch
from helpers import until

from kdutils import cache
from kdutils.results import Results
from kdutils.sweeps import sweep

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows kills otherwise")

RECIPE = {"seed": 0}
TEACHER = {"logits": torch.arange(300_000.0)}


def begin(script: str, *words) -> subprocess.Popen:
    """A Python that runs a script in a group of its own."""
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), *map(str, words)], start_new_session=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill(process: subprocess.Popen) -> None:
    """kill -9, and nothing is said in farewell."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KDUTILS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


WRITING = """
    import sys, time, torch
    from kdutils import cache
    write = cache.save_file
    def slowly(tensors, target, about):
        write(tensors, target, about)
        with open(target, "r+b") as file:
            file.truncate(1000)
        print("half", flush=True)
        time.sleep(600)
    cache.save_file = slowly
    cache.load_or_make("teachers", {"seed": 0}, lambda: {"logits": torch.arange(300_000.0)})
"""


def test_a_writer_that_is_killed_leaves_no_half_teacher_and_its_rest_is_cleared(folder):
    """Catches gigabytes of temporary files that nobody sees, and a lock that outlives its owner."""
    process = begin(WRITING)
    assert process.stdout.readline() == "half\n"
    assert cache.clear() == (0, 0), "it is being written"
    kill(process)
    (half,) = cache.unfinished()
    assert half.bytes == 1000 and cache.entries() == []
    assert torch.equal(cache.load_or_make("teachers", RECIPE, lambda: TEACHER)["logits"], TEACHER["logits"])
    assert cache.unfinished() == [] and len(cache.entries()) == 1

    process = begin(WRITING.replace('{"seed": 0}', '{"seed": 1}'))
    assert process.stdout.readline() == "half\n"
    kill(process)
    assert cache.clear() == (1, 1) and list(folder.iterdir()) == []


WAITING = """
    import sys, time, torch
    from kdutils import cache
    def make():
        print("begun", flush=True)
        time.sleep(float(sys.argv[1]))
        return {"logits": torch.ones(1)}
    cache.load_or_make("teachers", {"seed": 0}, make)
    print("done", flush=True)
"""


def test_who_waits_for_a_teacher_whose_maker_is_killed_makes_it(folder):
    first = begin(WAITING, 600)
    assert first.stdout.readline() == "begun\n"
    second = begin(WAITING, 0)
    assert until(lambda: second.poll() is None) and len(list(folder.glob(".*.lock"))) == 1
    kill(first)
    said, wrong = second.communicate(timeout=120)
    assert said == "begun\ndone\n" and not wrong, said + wrong
    assert len(cache.entries()) == 1 and len(list(folder.iterdir())) == 1


TRAINING = """
    import os, signal, sys
    from kdutils.sweeps import sweep
    from kdutils.lessons.start_here.experiment import StartHere
    def killed(done, points):
        if done == 2:
            os.kill(os.getpid(), signal.SIGKILL)
    sweep("start_here", {"temperature": [1.0, 4.0, 8.0]}, folder=sys.argv[1], workers=1, progress=killed,
          base=StartHere(seeds=2, transfer=20, steps=20))
"""


def test_a_real_training_that_is_killed_goes_on_bit_for_bit(folder, tmp_path):
    from kdutils.lessons.start_here.experiment import StartHere

    process = begin(TRAINING, tmp_path / "points")
    assert process.wait(300) == -signal.SIGKILL
    assert len(list((tmp_path / "points").glob("*.json"))) == 2
    said, base = [], StartHere(seeds=2, transfer=20, steps=20)
    grid = {"temperature": [1.0, 4.0, 8.0]}
    results = sweep("start_here", grid, folder=tmp_path / "points", workers=1, base=base, report=said.append)
    assert "2 of 3 points were finished before." in said
    again = sweep("start_here", grid, workers=1, base=base)
    assert results.table.equals(again.table)


# Full disks ---------------------------------------------------------------------------------------------------------

def test_a_teacher_for_which_the_disk_has_no_room_is_used_and_not_kept(tiny_disk, monkeypatch):
    monkeypatch.setenv("KDUTILS_CACHE", str(tiny_disk))
    with pytest.warns(UserWarning, match="cannot be kept in"):
        assert torch.equal(cache.load_or_make("teachers", RECIPE, lambda: TEACHER)["logits"], TEACHER["logits"])
    assert cache.entries() == [] and cache.unfinished() == []


def test_a_sweep_on_a_disk_that_fills_up_has_all_its_rows(tiny_disk, folder):
    from kdutils.lessons.start_here.experiment import StartHere

    (tiny_disk / "others").write_bytes(b"x" * (os.statvfs(tiny_disk).f_bavail * os.statvfs(tiny_disk).f_bsize - 8192))
    said, base = [], StartHere(seeds=2, transfer=20, steps=10)
    grid = {"temperature": [float(t) for t in range(1, 6)]}
    results = sweep("start_here", grid, folder=tiny_disk / "points", workers=1, base=base, report=said.append)
    assert results.complete and set(results.table["swept_temperature"]) == set(grid["temperature"])
    assert any("cannot be kept in" in line and "No space left" in line for line in said)
    assert not [path for path in (tiny_disk / "points").iterdir() if path.name.startswith(".")]


def test_a_table_for_which_the_disk_has_no_room_leaves_the_old_one(tiny_disk):
    import pandas as pd

    Results(pd.DataFrame({"seed": [1]})).save(tiny_disk / "table.json")
    large = Results(pd.DataFrame({"seed": range(100_000)}))
    with pytest.raises(OSError, match="No space left"):
        large.save(tiny_disk / "table.json")
    assert len(Results.load(tiny_disk / "table.json").table) == 1 and len(list(tiny_disk.iterdir())) == 1
