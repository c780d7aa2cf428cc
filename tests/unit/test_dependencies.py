"""One list of dependencies: pyproject.toml, constraints.txt, environment.yml and the Makefile say the same."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "pyproject.toml").read_text()
PROJECT = tomllib.loads(TEXT)["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [Requirement(line) for line in PROJECT["dependencies"] + sum(EXTRAS.values(), [])]
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.]+)$")
CONSTRAINTS = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
PINS = dict(PIN.match(line).groups() for line in CONSTRAINTS if PIN.match(line))

# The name under which a distribution is imported, where it is another.
IMPORT_NAMES = {"scikit-learn": "sklearn", "pyyaml": "yaml", "pillow": "PIL"}


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.name)
def test_every_dependency_is_pinned_within_its_range_and_explained(requirement):
    assert requirement.name in PINS, "not in constraints.txt"
    assert requirement.specifier.contains(PINS[requirement.name])
    assert requirement.specifier and not requirement.url
    (line,) = [line for line in TEXT.splitlines() if re.match(rf'\s+"{re.escape(requirement.name)}[^\w-]', line)]
    assert re.search(r"#\s\S.{10,}$", line), "no comment says why it is there"


def test_constraints_are_names_and_versions_only_sorted_and_once():
    assert [line for line in CONSTRAINTS if not PIN.match(line)] == []
    names = [PIN.match(line)[1] for line in CONSTRAINTS]
    assert names == sorted({canonicalize_name(name) for name in names})
    left_to_torch = re.compile(r"^(nvidia|cuda|triton)")
    assert not [name for name in names if left_to_torch.match(name)]


def test_the_pins_are_one_tested_pair_of_torch_and_torchvision():
    from kdutils.course.doctor import torch_pair

    assert torch_pair().status == "ok"
    assert PINS["torch"].rsplit(".", 1)[0] == "2.12" and PINS["torchvision"].rsplit(".", 1)[0] == "0.27"


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "environment.yml", "Makefile", ".ci/run"])
def test_no_list_names_a_host(name):
    assert not re.search(r"https?://|\bindex-url|find-links", (ROOT / name).read_text())


def test_environment_yml_installs_the_package_with_the_same_extras_and_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    plain = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert [entry.split()[0] for entry in plain] == ["python", "pip"]
    assert SpecifierSet(plain[0].split()[1]) == SpecifierSet(PROJECT["requires-python"])
    assert pip == ["-c constraints.txt", f"-e .[{','.join(EXTRAS)}]"]


def test_the_makefile_installs_the_same_extras_and_installs_again_when_a_list_changes():
    makefile = (ROOT / "Makefile").read_text()
    assert f"EXTRAS := {','.join(EXTRAS)}\n" in makefile
    assert '-c constraints.txt -e ".[$(EXTRAS)]"' in makefile
    assert re.search(r"^\$\(READY\): pyproject\.toml constraints\.txt$", makefile, re.M)
    for target in ("lab", "test", "fast", "faults", "bench"):
        assert re.search(rf"^{target}: +\$\(READY\)", makefile, re.M)


def test_what_is_imported_is_declared():
    """kdutils imports no package that only happens to be installed because something else wants it."""
    wanted = [Requirement(line) for line in PROJECT["dependencies"] + EXTRAS["notebooks"] + EXTRAS["cluster"]]
    declared = {IMPORT_NAMES.get(requirement.name, requirement.name).replace("-", "_") for requirement in wanted}
    # Parts of ipykernel, papermill, jupyterlab, ipywidgets and numba in all but name.
    brought_by_design = {"IPython", "nbclient", "jupyter_client", "jupyter_core", "traitlets", "llvmlite", "kdutils"}
    imported = {name: path for path in (ROOT / "kdutils").rglob("*.py") for name in _imports(path)}
    undeclared = set(imported) - declared - brought_by_design - sys.stdlib_module_names
    assert not {name: str(imported[name].relative_to(ROOT)) for name in undeclared}


def test_the_core_imports_core_dependencies_only():
    """What lies below the line of the design must run on a bare GPU machine, without the notebook packages and Dask."""
    notebooks = {IMPORT_NAMES.get(Requirement(line).name, Requirement(line).name)
                 for line in EXTRAS["notebooks"] + EXTRAS["cluster"]} - {"numba"}  # asked for only where it is found
    for name in ("errors", "rng", "cache", "networks", "metrics", "results", "claims", "datasets", "objectives",
                 "training", "cohorts"):
        paths = (ROOT / "kdutils" / name).rglob("*.py") if (ROOT / "kdutils" / name).is_dir() else [
            ROOT / "kdutils" / f"{name}.py"]
        for path in paths:
            assert not _imports(path) & (notebooks | {"IPython"}), path


def _imports(path: Path) -> set[str]:
    """Top-level names of every package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
    return found
