"""Processes that are killed in the middle, disks that are full: what was whole is kept, the rest is done again."""

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path

import nbformat
import psutil
import pytest
import torch
from helpers import until

from kdutils import cache
from kdutils.course import runner, start
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


PAGE = """
import os, pathlib, time
from kdutils import cache
import torch
pathlib.Path("kernel").write_text(str(os.getpid()))
cache.load_or_make("teachers", {"seed": 0}, lambda: time.sleep(wait) or {"logits": torch.ones(3)})
finish()
"""


@pytest.fixture
def notebook(tmp_path):
    """A notebook of the course's shape, which trains a teacher for `wait` seconds."""
    cell = nbformat.v4.new_code_cell
    setup = "from kdutils.course.session import finish, setup\nsession = setup(profile, seed)"
    cells = [cell('profile = "smoke"\nseed = 0\nwait = 600', id="parameters", metadata={"tags": ["parameters"]}),
             cell(setup, id="setup"), cell(PAGE, id="page")]
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=about), tmp_path / "page.ipynb")
    return tmp_path / "page.ipynb"


def test_a_run_of_a_notebook_that_is_killed_leaves_no_half_page_and_no_kernel(folder, tmp_path, notebook):
    """Catches a page that is written while it grows, and a kernel that trains on for nobody."""
    command = [sys.executable, "-m", "kdutils", "run", str(notebook), "--out", str(tmp_path / "out")]
    process, kernel = subprocess.Popen(command, stderr=subprocess.DEVNULL), tmp_path / "kernel"
    assert until(lambda: kernel.exists() and kernel.read_text(), 120)
    process.kill()
    process.wait(60)
    assert until(lambda: not psutil.pid_exists(int(kernel.read_text())), 120), "the kernel lives on"
    assert not list((tmp_path / "out").iterdir()) and cache.entries() == []
    subprocess.run([*command, "-p", "wait", "0"], check=True, capture_output=True, timeout=120)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"page.ipynb", "page.html"}
    assert len(cache.entries()) == 1 and cache.unfinished() == []


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def killed_in(monkeypatch):
    """`with killed_in("page.html"):` expects an end in the middle of writing this file, whatever its temporary name."""

    @contextmanager
    def during(name):
        def half(write):
            def writes(path, content, *more, **words):
                write(path, content[:len(content) // 2 if name in path.name else None], *more, **words)
                if name in path.name:
                    raise Killed
            return writes

        with monkeypatch.context() as patch, pytest.raises(Killed):
            for kind in ("write_text", "write_bytes"):
                patch.setattr(Path, kind, half(getattr(Path, kind)))
            yield

    return during


def seen(folder) -> set[str]:
    """The files of a folder that `ls` shows."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_a_run_that_is_killed_while_it_writes_leaves_no_half_page(folder, tmp_path, notebook, killed_in):
    """Catches half a page under its final name, after a run that looked finished."""
    def run():
        return runner.run(notebook, {"wait": 0}, tmp_path / "out", progress=False)

    with killed_in("page.ipynb"):
        run()
    assert seen(tmp_path / "out") == set()
    with killed_in("page.html"):
        run()
    assert seen(tmp_path / "out") == {"page.ipynb"} and run().ok
    assert "</html>" in (tmp_path / "out" / "page.html").read_text()
    nbformat.read(tmp_path / "out" / "page.ipynb", as_version=4)


def test_a_sweep_that_is_killed_while_it_writes_leaves_no_half_point(folder, tmp_path, killed_in):
    from kdutils.lessons.start_here.experiment import StartHere

    base, said = StartHere(seeds=2, transfer=20, steps=10), []
    with killed_in("start_here-"):
        sweep("start_here", {}, folder=tmp_path / "points", workers=1, base=base)
    assert seen(tmp_path / "points") == set()
    assert sweep("start_here", {}, folder=tmp_path / "points", workers=1, base=base, report=said.append).complete
    assert len(seen(tmp_path / "points")) == 1 and not any("measured again" in line for line in said)


def test_a_copy_of_the_course_that_is_killed_while_it_writes_is_made_whole_the_next_time(tmp_path, killed_in):
    """Catches half a page that is taken for the reader's own ever after."""
    pages, course = tmp_path / "pages", tmp_path / "course"
    pages.mkdir()
    for edition, name in enumerate((start.FIRST, start.MANIFEST, "nothing")):
        (pages / start.FIRST).write_text(f"edition {edition}")
        if name != "nothing":
            with killed_in(name):
                start.copy(course, pages)
        assert start.copy(course, pages).kept == ()
        assert (course / start.FIRST).read_text() == f"edition {edition}"


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
