"""The core runs bare: it imports nothing of the notebook's world, starts no thread and wakes no GPU."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kdutils

PACKAGE = Path(kdutils.__file__).parent
WORLD = {"ipywidgets", "plotly", "IPython", "anywidget", "matplotlib", "jupyterlab", "ipykernel", "papermill"}
# From the ground up; each room may use those before it.
FLOORS = ["errors", "rng", "locks", "folders", "datasets", "networks", "objectives", "cache", "training", "metrics",
          "results", "cohorts", "image_lab", "second_scale", "claims"]


def imported(path):
    """Every module that a file imports, at the top or inside a function, by its full name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports say in full where they come from"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files(room):
    path = PACKAGE / room
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


@pytest.mark.parametrize("room", FLOORS)
def test_imports_point_down_only(room):
    below = set(FLOORS[:FLOORS.index(room) + 1])
    for path in files(room):
        for module in imported(path):
            assert module.split(".")[0] not in WORLD, f"{path.name} imports {module}"
            if module.startswith("kdutils."):
                assert module.split(".")[1] in below, f"{path.name} imports {module}, which lies above it"


def test_every_room_of_the_package_is_known():
    """A new room has to be given its place, here or above the line."""
    rooms = {path.stem for path in PACKAGE.iterdir() if (path / "__init__.py").exists() or path.suffix == ".py"}
    assert rooms - {"__init__", "__main__"} <= {*FLOORS, "sweeps", "headless", "pages", "plots", "live", "course",
                                                "lessons", "cli"}


# ---- the four rules of the lessons -------------------------------------------------------------------------------

def what_is_wrong(package):
    """A line for each breach of the four rules, in a package laid out like ours."""
    lessons = package / "lessons"
    names = {path.name for path in lessons.iterdir() if (path / "__init__.py").exists()}
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package).parts
        modules = list(imported(path))
        lesson = place[1] if place[0] == "lessons" and len(place) > 2 else None
        drawn = lesson and (place[2] == "figures.py" or place[2] == "panels")
        if (lesson and not drawn) or place[0].removesuffix(".py") in {*FLOORS, "sweeps"}:
            yield from (f"{path.name} imports {one}: only figures.py and panels/ may" for one in modules
                        if one.split(".")[0] in WORLD)
        for one in modules:
            parts = one.split(".")
            if parts[:2] != ["kdutils", "lessons"]:
                continue
            if lesson and parts[2] in names - {lesson}:
                yield f"{lesson}/{path.name} imports the lesson {parts[2]}"
            if place[0].removesuffix(".py") in {*FLOORS, "live", "plots"}:
                yield f"{path.name} imports {one}: the engine knows no lesson"
            if not lesson and parts[2] in names:
                yield f"{path.name} imports {one}: only the catalog knows the lessons"
        if place[0] == "lessons" and place[-1] == "__init__.py" and path.read_text().strip():
            yield f"{'/'.join(place)} must be empty"


def test_the_four_rules_hold():
    assert not list(what_is_wrong(PACKAGE))


@pytest.mark.parametrize("where, line, said", [
    ("lessons/dark_knowledge/experiment.py", "import plotly", "only figures.py and panels/"),
    ("sweeps/run.py", "from ipywidgets import Button", "only figures.py and panels/"),
    ("lessons/dark_knowledge/checks.py", "from kdutils.lessons.start_here import experiment",
     "imports the lesson start_here"),
    ("lessons/dark_knowledge/__init__.py", "from kdutils.lessons.dark_knowledge import experiment", "must be empty"),
    ("training/loop.py", "from kdutils.lessons import catalog", "the engine knows no lesson"),
    ("cli.py", "from kdutils.lessons.dark_knowledge import experiment", "only the catalog knows"),
])
def test_a_planted_violation_is_found(where, line, said, tmp_path):
    copy = shutil.copytree(PACKAGE, tmp_path / "kdutils", ignore=shutil.ignore_patterns("__pycache__", "*.json"))
    planted = copy / where
    planted.write_text(f"{line}\n{planted.read_text()}")
    (complaint,) = what_is_wrong(copy)
    assert said in complaint


BARE = """
import sys, threading
for name in {world}:
    sys.modules[name] = None  # importing it now raises ImportError
import torch
threads = threading.active_count()
from kdutils import cache, claims, cohorts, datasets, errors, metrics, networks, objectives, results, rng, sweeps
from kdutils.lessons import catalog
assert catalog.experiments() and catalog.claims()
start_here = catalog.experiment("start_here")
assert threading.active_count() == threads, threading.enumerate()
assert not torch.cuda.is_initialized()
assert "torchvision" not in sys.modules, "half a second that only the pictures of CelebA need"
rng = torch.get_rng_state()
results = start_here.run(start_here.StartHere(seeds=2, transfer=20, steps=3))
assert len(results.table) and torch.equal(torch.get_rng_state(), rng)
assert threading.active_count() == threads and not torch.cuda.is_initialized()
print("bare")
"""


def test_the_core_runs_without_the_notebooks_world():
    script = BARE.format(world=sorted(WORLD))
    run = subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", script], capture_output=True, text=True,
                         timeout=120)
    assert run.stdout == "bare\n", run.stdout + run.stderr


BARE_TESTS = """
import importlib.util, sys, pytest
world, found = {world}, importlib.util.find_spec

class Absent:
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in world:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent)
importlib.util.find_spec = lambda name, package=None: None if name.split(".")[0] in world else found(name, package)
files = ["tests/unit/plots/test_figures.py", "tests/unit/lessons/subclass_distillation/test_mnist.py"]
sys.exit(pytest.main(["-q", "-m", "gpu", "--collect-only", "-p", "pytest_timeout", *files]))
"""


def test_tests_of_a_gpu_are_found_without_the_notebooks_world():
    """`pytest tests/unit -m gpu` on a bare machine: a file that cannot be imported there must not stop the others."""
    run = subprocess.run([sys.executable, "-c", BARE_TESTS.format(world=sorted(WORLD))], cwd=PACKAGE.parent,
                         env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, capture_output=True, text=True,
                         timeout=120)
    assert run.returncode == 0 and "1/" in run.stdout and "needs the notebook packages" in run.stdout, run.stdout
