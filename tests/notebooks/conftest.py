"""What the tests of the notebooks share: every stored notebook, and its executed page, run once per setting."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from kdutils.course import runner

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def pytest_generate_tests(metafunc):
    """A test that asks for `notebook` runs once for each file in notebooks/."""
    if "notebook" in metafunc.fixturenames:
        paths = sorted(NOTEBOOKS.glob("*.ipynb"))
        metafunc.parametrize("notebook", paths, ids=[path.stem for path in paths])


@pytest.fixture(scope="session")
def worked() -> dict[Path, float]:
    """Seconds that a processor worked for each executed page: with them a busy machine is not taken for a slow page."""
    return {}


@pytest.fixture(scope="session")
def execute(tmp_path_factory, worked) -> Callable[..., runner.Report]:
    """execute(path, solved=False, **parameters): the report of a headless run, the same one if asked again.

    solved: every exercise's stub is replaced by the solution that the notebook gives.
    """
    done = {}

    def of_children() -> float:
        """Processor seconds of the kernels that have ended; Windows does not say and counts none."""
        times = os.times()
        return times.children_user + times.children_system

    def run(path: Path, solved: bool = False, **parameters) -> runner.Report:
        key = (path, solved, repr(sorted(parameters.items())))
        if key not in done:
            folder = tmp_path_factory.mktemp(path.stem)
            source = folder / path.name
            notebook = nbformat.read(path, as_version=4)
            nbformat.write(with_solutions(notebook) if solved else notebook, source)
            before = of_children()
            done[key] = runner.run(source, parameters, folder / "out", progress=False, cell_timeout=180)
            worked[done[key].executed] = of_children() - before
        return done[key]

    return run


def tagged(notebook: NotebookNode, prefix: str) -> dict[str, list[NotebookNode]]:
    """{name: cells} of the tags `prefix:name`, in the order of the page."""
    found: dict[str, list[NotebookNode]] = {}
    for cell in notebook.cells:
        for tag in cell.metadata.get("tags", []):
            if tag.startswith(f"{prefix}:"):
                found.setdefault(tag.partition(":")[2], []).append(cell)
    return found


def with_solutions(notebook: NotebookNode) -> NotebookNode:
    """The notebook with the code of each solution in the place of its exercise's stub."""
    solutions = tagged(notebook, "solution")
    for name, cells in tagged(notebook, "exercise").items():
        (stub,) = [cell for cell in cells if cell.cell_type == "code"]
        stub.source = solution_code(solutions[name])
    return notebook


def solution_code(cells: list[NotebookNode]) -> str:
    """The code of a solution: of its code cells, else of the ```python blocks in its text."""
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    text = "\n".join(cell.source for cell in cells)
    return "\n".join(code or re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
