"""What commands meet on other people's machines: one sentence and exit status 2, or they work."""

import json
import os
import signal
import subprocess
import sys

import psutil
import pytest
from click.testing import CliRunner
from helpers import until

from kdutils import cache, cli, folders
from kdutils.course import runner, start
from kdutils.lessons import catalog
from kdutils.lessons.start_here.experiment import StartHere
from kdutils.results import Results
from kdutils.sweeps import points
from kdutils.sweeps.words import value_of

BOMB = "[" * 100_000    # Python's parser gives up, with another error than for what is no JSON


def call(*words, **more):
    return CliRunner(**more).invoke(cli.app, [str(word) for word in words])


def refused(*words) -> str:
    """The one sentence with which a command must end."""
    result = call(*words)
    assert result.exit_code == 2 and result.stdout == "", result.output
    (sentence,) = result.stderr.strip().splitlines()
    return sentence


# Folders ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("variable", "words"), [("KDUTILS_CACHE", ("cache", "list")),
                                                 ("KDUTILS_DATA", ("data", "list"))])
def test_a_home_that_nobody_has(monkeypatch, variable, words):
    monkeypatch.setenv(variable, "~no-such-user/folder")
    assert f"{variable} must be a folder that can be found, got '~no-such-user/folder'" in refused(*words)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no numbers for users")
def test_a_user_whom_the_system_does_not_know_has_no_cache(tmp_path):
    """Catches every training of a container that runs as no user, and a folder called "~" where it works."""
    known = {name: value for name, value in os.environ.items()
             if name not in ("HOME", "KDUTILS_CACHE", "XDG_CACHE_HOME")}
    script = """if True:
        import os
        import platformdirs, pwd
        from kdutils import cache

        def nobody(number):
            raise KeyError(number)

        pwd.getpwuid = nobody
        assert cache.load_or_make("teachers", {}, dict) == {}
        print(cache.directory(), os.listdir())"""
    environment = known | {"PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True,
                          check=False)
    assert said.stdout == "None []\n" and not said.stderr, said.stderr


def test_a_folder_named_from_here_is_the_same_folder_for_who_works_elsewhere(tmp_path, monkeypatch):
    """Catches a kernel, whose folder is its notebook's, that keeps its teachers where no command finds them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KDUTILS_CACHE", "teachers")
    monkeypatch.setenv("KDUTILS_DATA", "")
    assert folders.environment()["KDUTILS_CACHE"] == str(tmp_path / "teachers")
    assert folders.environment()["KDUTILS_DATA"] == ""


def test_a_folder_that_leads_back_to_itself(tmp_path, monkeypatch, refuses):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    monkeypatch.setenv("KDUTILS_CACHE", str(loop))
    assert cache.entries() == [] and cache.clear() == (0, 0)
    for folder in (loop, loop / "course"):
        with refuses("cannot be copied into", "loop"):
            start.copy(folder)
    with refuses("cannot be saved in", "loop"):
        runner.run(notebook(tmp_path), out_dir=loop / "out")


def test_what_else_lies_in_the_cache(tiny_disk, monkeypatch):
    """Catches a list that ends at a link that leads nowhere or a date that is none, and a folder in the way.

    The disk is of a kind that keeps any number for a date."""
    monkeypatch.setenv("KDUTILS_CACHE", str(tiny_disk))
    for name, seconds in (("future", 2**45), ("past", -(2**45)), ("now", 0)):
        path = tiny_disk / f"{name}-01.safetensors"
        path.touch()
        os.utime(path, (seconds, seconds))
    (tiny_disk / "loop-01.safetensors").symlink_to(tiny_disk / "loop-01.safetensors")
    (tiny_disk / "gone-01.safetensors").symlink_to(tiny_disk / "gone")
    (tiny_disk / "folder-01.safetensors").mkdir()
    (tiny_disk / ".folder-02.lock").mkdir()
    assert [entry.kind for entry in cache.entries()] == ["future", "now", "past"]
    assert "3 entries" in call("cache", "list").stdout
    assert cache.clear() == (3, 0) and (tiny_disk / "folder-01.safetensors").is_dir()


def test_what_the_system_refuses_is_one_sentence(monkeypatch):
    def refuse():
        raise PermissionError(13, "Permission denied", "/cache/teachers-01.safetensors")

    monkeypatch.setattr(cache, "clear", refuse)
    assert refused("cache", "clear") == (
        "The system refuses what is needed at /cache/teachers-01.safetensors (Permission denied).")


def test_a_record_that_cannot_be_written_is_not_measured_first(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(catalog, "recorded_at", lambda name: tmp_path / "file" / "lesson" / "recorded.json")
    monkeypatch.setattr(catalog, "measure", lambda *_: pytest.fail("it is measured"))
    assert "Not a directory" in refused("claims", "H1", "--measure", "--record")


# Texts --------------------------------------------------------------------------------------------------------------

def test_brackets_without_end(tmp_path, refuses, monkeypatch):
    path = tmp_path / "file.json"
    path.write_text(BOMB)
    with refuses("file.json is not a results file"):
        Results.load(path)
    point = points.points("start_here", {}, StartHere())[0]
    (tmp_path / "points").mkdir()
    point.file(tmp_path / "points").write_text(BOMB)
    with refuses("is not the file of a point"):
        point.found(tmp_path / "points")
    with refuses("cannot be read as a notebook"):
        runner.read(path)
    assert value_of(BOMB) == BOMB
    (tmp_path / start.MANIFEST).write_text(BOMB)
    assert start.copy(tmp_path, pages=tmp_path / "points") == start.Copied((), ())


@pytest.mark.parametrize("charset", ["cp1252", "utf-8"])
def test_marks_on_a_terminal_that_does_not_know_them(charset):
    """Catches a traceback in place of the claims, and a mark that becomes another: ? is "too noisy to say"."""
    result = call("claims", "H1", charset=charset)
    assert result.exit_code == 0 and " seen" in result.stdout
    assert ("✓" if charset == "utf-8" else "\\u2713") in result.stdout


@pytest.mark.parametrize(("name", "value", "words"), [
    ("seeds", 10**9, "seeds must be a whole number between 1 and 10000, got 1000000000"),
    ("seed", "1e400", "seed must be a whole number at least 0, got inf"),
    ("steps", BOMB, "steps must be a whole number, got"),
    ("temperature", "1,,4", "temperature must be a number, got ''"),
    ("device", "cuda:99", "device must be one that torch can use here"),
])
def test_values_that_no_sweep_can_run(name, value, words, tmp_path):
    assert words in refused("sweep", "start_here", "--set", f"{name}={value}", "--out", tmp_path, "--workers", 1)


# Notebooks ----------------------------------------------------------------------------------------------------------

PYTHON = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
CELL = {"cell_type": "code", "source": "1", "metadata": {}, "outputs": [], "execution_count": None}


def notebook(folder, **parts):
    path = folder / "page.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": PYTHON, "cells": []} | parts))
    return path


@pytest.mark.parametrize(("parts", "words"), [
    ({"metadata": {}}, "asks for the kernel ''; those for Python on this machine are"),
    ({"metadata": {"kernelspec": {"name": "ruby", "display_name": "Ruby"}}}, "asks for the kernel 'ruby'"),
    ({"cells": [{}]}, "cannot be read as a notebook"),
    ({"metadata": None}, "cannot be read as a notebook"),
    ({"cells": [CELL | {"id": "a", "metadata": {"tags": 3}}]}, "cannot be read as a notebook"),
    ({"nbformat": 99}, "cannot be read as a notebook"),
])
def test_a_notebook_that_no_kernel_here_can_run(tmp_path, parts, words):
    assert words in refused("run", notebook(tmp_path, **parts), "--out", tmp_path / "out")


def test_a_notebook_whose_name_no_file_can_have():
    assert "There is no notebook" in refused("run", "a" * 300 + ".ipynb")


def test_cells_of_an_older_notebook_are_named_like_others(tmp_path):
    """Catches a failing cell that has no name to be called by."""
    old = notebook(tmp_path, nbformat_minor=2, cells=[CELL, CELL | {"source": "1 / 0"}])
    report = runner.run(old, out_dir=tmp_path / "out", progress=False)
    assert any(failure.startswith("Cell 2 (") for failure in report.failures), report.failures


def test_a_run_for_whose_page_the_disk_has_no_room_is_one_sentence(tmp_path, tiny_disk, refuses):
    """Catches minutes of work that end in a traceback, and half a page that is left."""
    with refuses("page.ipynb has run and cannot be saved in", "No space left"):
        runner.run(notebook(tmp_path, cells=[CELL | {"id": "a", "source": "print('x' * 200_000)"}]),
                   out_dir=tiny_disk / "out", progress=False)
    assert list((tiny_disk / "out").iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes otherwise")
def test_who_ends_the_course_ends_its_lab(tmp_path):
    """Catches a JupyterLab that goes on serving when the service that started it was stopped."""
    (tmp_path / "jupyterlab.py").write_text("import time\nprint('serving', flush=True)\ntime.sleep(600)\n")
    code = "import pathlib, sys\nfrom kdutils.course import start\nsys.exit(start.open_lab(pathlib.Path('.')))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    course = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment, stdout=subprocess.PIPE,
                              text=True)
    assert course.stdout.readline() == "serving\n"
    (lab,) = psutil.Process(course.pid).children()
    course.send_signal(signal.SIGTERM)
    assert course.wait(60) != 0 and until(lambda: not lab.is_running())
    course.stdout.close()
