"""The house keeps its order: files that can be read, parameters that are explained, a lesson found by its name."""

import ast
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import kdutils
from kdutils.lessons import catalog
from kdutils.sweeps.explained import explained

PACKAGE = Path(kdutils.__file__).parent
TESTS = Path(__file__).parents[1]
LONGEST = 350


def test_no_file_is_longer_than_can_be_read():
    lines = {path.name: len(path.read_text().splitlines()) for room in (PACKAGE, TESTS) for path in room.rglob("*.py")}
    assert not {name: n for name, n in lines.items() if n > LONGEST}


def private(path: Path) -> set[str]:
    """Names with one underscore that a test reads of a module or of an object of the package."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    ours = [alias for node in nodes if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kdutils")
            for alias in node.names]
    modules = {alias.asname or alias.name for alias in ours}
    found = {alias.name for alias in ours}
    found |= {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
              and node.value.id in modules}
    found |= {node.args[1].value for node in nodes if isinstance(node, ast.Call) and len(node.args) > 1
              and isinstance(node.func, ast.Attribute) and node.func.attr in ("setattr", "delattr")
              and isinstance(node.args[1], ast.Constant)}
    return {name for name in found if name.startswith("_") and not name.startswith("__")}


def test_no_test_reads_a_private_name_of_the_package():
    read = {path.name: names for path in sorted(TESTS.rglob("*.py")) if (names := private(path))}
    assert not read


@pytest.mark.parametrize("source", ["from kdutils.results import _words", "from kdutils import results\nresults._words",
                                    "from kdutils import results\nmonkeypatch.setattr(results, '_words', None)"])
def test_a_private_name_in_a_test_would_be_found(source, tmp_path):
    (tmp_path / "test_one.py").write_text(source)
    assert private(tmp_path / "test_one.py") == {"_words"}


@dataclass(frozen=True)
class MadeUp:
    seeds: int = 3  # runs per setting
    # A comment above its field,
    # in two lines.
    data: str = "a # b"
    bare: float = 1.0
    colour: str = "#1f77b4"  # of the line


def test_a_parameter_is_explained_by_the_comment_beside_or_above_it():
    assert explained(MadeUp) == {"seeds": "runs per setting", "data": "A comment above its field, in two lines.",
                                 "bare": "", "colour": "of the line"}


@pytest.mark.parametrize("name", catalog.experiments())
def test_every_parameter_of_an_experiment_is_explained(name):
    """Catches a field without a comment, which `kdutils sweep NAME --parameters` could only print bare."""
    said = explained(type(catalog.experiment(name).DEFAULT))
    assert not [field for field, meaning in said.items() if not meaning]


# ---- a sixth lesson ------------------------------------------------------------------------------------------------

LIST = """
import json
from kdutils.lessons import catalog
claims = [claim.id for claim in catalog.claims().values() if claim.experiment == "made_up"]
print(json.dumps({"experiments": list(catalog.experiments()), "claims": claims, "exercises": list(catalog.exercises()),
                  "recorded": catalog.recorded("made_up").params["seeds"]}))
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> dict:
    """The environment of a package in which one lesson was copied, and its name added to the catalog."""
    root = tmp_path_factory.mktemp("house")
    package = root / "kdutils"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    lesson = package / "lessons" / "made_up"
    shutil.copytree(package / "lessons" / "dark_knowledge", lesson)
    for path in lesson.rglob("*.py"):
        text = path.read_text().replace("dark_knowledge", "made_up")
        path.write_text(text.replace('Claim("H', 'Claim("Z').replace('@exercise("01.', '@exercise("09.'))
    names = package / "lessons" / "catalog.py"
    names.write_text(names.read_text().replace('LESSONS = (', 'LESSONS = ("made_up", ', 1))
    return {**os.environ, "PYTHONPATH": str(root)}


def asked(house, *command: str) -> str:
    return subprocess.run([sys.executable, *command], env=house, cwd=house["PYTHONPATH"], capture_output=True,
                          text=True, check=True).stdout


def test_a_copied_folder_and_one_name_make_a_lesson(house):
    found = json.loads(asked(house, "-c", LIST))
    ours = {name.replace("dark_knowledge", "made_up") for name in catalog.experiments() if "dark_knowledge" in name}
    assert ours <= set(found["experiments"]) and set(catalog.experiments()) <= set(found["experiments"])
    assert {claim.replace("Z", "H") for claim in found["claims"]} == {
        claim.id for claim in catalog.select() if claim.experiment == "dark_knowledge"}
    assert {one for one in found["exercises"] if one.startswith("09.")} == {
        one.replace("01.", "09.") for one in catalog.exercises() if one.startswith("01.")}
    assert found["recorded"] == catalog.recorded("dark_knowledge").params["seeds"]


def test_the_command_line_finds_the_new_lesson(house):
    assert "temperatures=[1, 2, 4" in asked(house, "-m", "kdutils", "sweep", "made_up", "--parameters")
    assert json.loads(asked(house, "-m", "kdutils", "claims", "Z1", "--json"))
