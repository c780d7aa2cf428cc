"""The core runs bare: it imports nothing of the notebook's world, starts no thread and wakes no GPU."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import kdutils

PACKAGE = Path(kdutils.__file__).parent
WORLD = {"ipywidgets", "plotly", "IPython", "anywidget", "matplotlib", "jupyterlab", "ipykernel", "papermill"}
# From the ground up; each room may use those before it.
FLOORS = ["errors", "seeds", "datasets", "networks", "objectives", "cache", "training", "metrics", "results",
          "experiments", "claims"]


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
    assert rooms - {"__init__", "__main__"} <= {*FLOORS, "plots", "panels", "course", "cli"}


BARE = """
import sys, threading
for name in {world}:
    sys.modules[name] = None  # importing it now raises ImportError
import torch
threads = threading.active_count()
from kdutils import cache, claims, datasets, errors, metrics, networks, objectives, results, seeds, training
from kdutils.experiments import common, dark_knowledge, start_here, subclass_clicks, subclass_distillation
from kdutils.experiments import image_pairs, subclass_images, subclass_mnist, tolerant_teachers
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
files = ["tests/unit/test_plots.py", "tests/unit/test_subclass_mnist.py"]
sys.exit(pytest.main(["-q", "-m", "gpu", "--collect-only", "-p", "pytest_timeout", *files]))
"""


def test_tests_of_a_gpu_are_found_without_the_notebooks_world():
    """`pytest tests/unit -m gpu` on a bare machine: a file that cannot be imported there must not stop the others."""
    run = subprocess.run([sys.executable, "-c", BARE_TESTS.format(world=sorted(WORLD))], cwd=PACKAGE.parent,
                         env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, capture_output=True, text=True,
                         timeout=120)
    assert run.returncode == 0 and "1/" in run.stdout and "needs the notebook packages" in run.stdout, run.stdout
