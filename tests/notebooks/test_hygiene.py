"""What every stored notebook keeps. The rules are functions of a notebook, so that they are tested themselves.

Tags, which tests and tools read:
    parameters          the one cell of knobs, the first code cell: `name = value  # meaning and range` per line
    setup               the cell that calls setup(...)
    section:NAME        the Markdown cell that opens a section; NAMES and their order are SECTIONS below
    formula:NAME        the cell that shows the formula of function NAME of kdutils.objectives, in plain torch
    panel:NAME          a cell that shows a panel
    exercise:ID         an exercise: Markdown with difficulty, importance, minutes, two hints; one code cell, the stub
    check:ID            the code cell below it that checks the answer
    solution:ID         the solution: a code cell, or Markdown with a ```python block that may stand in for the stub
Every cell says in `slideshow.slide_type` whether it is a slide, subslide, fragment, note or left out (skip).
"""

import ast
import copy
import re
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from kdutils.lessons import catalog

SECTIONS = ("header", "setup", "result", "example", "panels", "experiment", "limits", "exercises", "recall", "paper",
            "close")
SLIDES = {"slide", "subslide", "fragment", "notes", "skip", "-"}
WITHOUT = {"00_start_here": {"experiment"}}  # its first result is its experiment
MAX_LINES, MAX_CELLS = 15, 120
PATHS = re.compile(r"(?<![\w./:])(?:~|/(?:home|root|tmp|usr|var|opt|mnt|Users|content)\b)/|\b[A-Z]:\\")


def stored_bare(notebook: NotebookNode, path: Path):
    """No outputs, no counts, no metadata of a run, one kernel for everybody."""
    if extra := set(notebook.metadata) - {"kernelspec", "language_info"}:
        yield f"metadata {sorted(extra)} must not be stored"
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernelspec must be python3"
    for cell in notebook.cells:
        if cell.cell_type == "code" and (cell.outputs or cell.execution_count is not None):
            yield f"{cell.id}: outputs or an execution count are stored"
        if extra := set(cell.metadata) - {"tags", "slideshow", "jupyter"}:
            yield f"{cell.id}: metadata {sorted(extra)} must not be stored"


def identified(notebook: NotebookNode, path: Path):
    """Every cell has an id made of words, so that a failure names a place that a person finds."""
    ids = [cell.get("id", "") for cell in notebook.cells]
    for name in ids:
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]+)*", name):
            yield f"the id {name!r} is not made of words"
    yield from (f"the id {name} is used twice" for name in {name for name in ids if ids.count(name) > 1})


def short(notebook: NotebookNode, path: Path):
    if len(notebook.cells) > MAX_CELLS:
        yield f"{len(notebook.cells)} cells, more than {MAX_CELLS}"
    for cell in notebook.cells:
        if cell.cell_type == "code" and (lines := len(cell.source.splitlines())) > MAX_LINES:
            yield f"{cell.id}: {lines} lines of code, more than {MAX_LINES}"


def parametrised(notebook: NotebookNode, path: Path):
    """One cell of knobs, before any other code; plain values, each with a comment."""
    code = code_cells(notebook)
    cells = [cell for cell in notebook.cells if "parameters" in tags(cell)]
    if len(cells) != 1 or not code or cells[0] is not code[0]:
        yield "exactly one cell must be tagged parameters, and it must be the first code cell"
        return
    names = []
    for statement in ast.parse(cells[0].source).body:
        line = cells[0].source.splitlines()[statement.end_lineno - 1]
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            yield f"parameters: {line!r} is not `name = value`"
            continue
        names.append(statement.targets[0].id)
        try:
            ast.literal_eval(statement.value)
        except ValueError:
            yield f"parameters: {names[-1]} is not a plain value"
        if "#" not in line:
            yield f"parameters: {names[-1]} has no comment with its range"
    yield from (f"parameters: {name} is missing" for name in ("profile", "seed") if name not in names)


def framed(notebook: NotebookNode, path: Path):
    """setup() right after the knobs, finish() at the end."""
    code = code_cells(notebook)
    if len(code) < 2 or "setup" not in tags(code[1]) or "setup(" not in code[1].source:
        yield "the second code cell must be tagged setup and call setup()"
    if not code or not re.search(r"^finish\((session)?\)$", code[-1].source, re.MULTILINE):
        yield "the last code cell must call finish()"


def ordered(notebook: NotebookNode, path: Path):
    """All sections of the contract, in its order."""
    found = [tag.partition(":")[2] for cell in notebook.cells if cell.cell_type == "markdown" for tag in tags(cell)
             if tag.startswith("section:")]
    yield from (f"section {name} is missing" for name in SECTIONS
                if name not in found and name not in WITHOUT.get(path.stem, ()))
    yield from (f"section {name} is not one of the contract's" for name in found if name not in SECTIONS)
    first = list(dict.fromkeys(name for name in found if name in SECTIONS))
    if first != sorted(first, key=SECTIONS.index):
        yield f"the sections stand in the order {', '.join(first)}"
    if not notebook.cells or "section:header" not in tags(notebook.cells[0]):
        yield "the first cell must be the header"


def portable(notebook: NotebookNode, path: Path):
    """Nothing is installed from a page, nothing is imported by a star, no path belongs to one machine."""
    for cell in code_cells(notebook):
        if re.search(r"^\s*[!%]\s*(pip|conda|mamba|uv)\b", cell.source, re.MULTILINE):
            yield f"{cell.id}: installs a package"
        if re.search(r"^from .* import \*", cell.source, re.MULTILINE):
            yield f"{cell.id}: imports by a star"
    yield from (f"{cell.id}: holds an absolute path" for cell in notebook.cells if PATHS.search(cell.source))


def linked(notebook: NotebookNode, path: Path):
    """Links inside the repository lead somewhere, neighbours are linked from the header, images have a text."""
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        for target in re.findall(r"\]\(([^)\s]+)\)", cell.source):
            local = target.partition("#")[0]
            if local and not re.match(r"[a-z]+:", local) and not (path.parent / local).exists():
                yield f"{cell.id}: the link {target} leads nowhere"
        if re.search(r"!\[\s*\]\(", cell.source):
            yield f"{cell.id}: an image has no text"
    names = sorted({file.name for file in path.parent.glob("*.ipynb")} | {path.name})
    here, header = names.index(path.name), notebook.cells[0].source if notebook.cells else ""
    for neighbour in names[max(here - 1, 0):here] + names[here + 1:here + 2]:
        if neighbour not in header:
            yield f"the header does not link {neighbour}"


def exercised(notebook: NotebookNode, path: Path):
    """At least three exercises, each with its frame, two hints, a stub, a check and a solution, in this order."""
    order = {id(cell): number for number, cell in enumerate(notebook.cells)}
    exercises, checks, solutions = (by_name(notebook, kind) for kind in ("exercise", "check", "solution"))
    if len(exercises) < 3:
        yield f"{len(exercises)} exercises, fewer than 3"
    yield from (f"{name} is checked or solved, but there is no such exercise"
                for name in (set(checks) | set(solutions)) - set(exercises))
    for name, cells in exercises.items():
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        stubs = [cell for cell in cells if cell.cell_type == "code"]
        for word, times in (("difficulty", 1), ("importance", 1), ("min", 1), ("hint", 2)):
            if len(re.findall(rf"\b{word}", text, re.IGNORECASE)) < times:
                yield f"exercise {name}: {'two hints are' if times == 2 else word + ' is'} not given"
        if len(stubs) != 1:
            yield f"exercise {name}: {len(stubs)} stubs, must be 1"
        if not any(cell.cell_type == "code" for cell in checks.get(name, [])):
            yield f"exercise {name}: no check"
        if not any(cell.cell_type == "code" or "```python" in cell.source for cell in solutions.get(name, [])):
            yield f"exercise {name}: no solution"
        places = [order[id(cell)] for cell in (*cells, *checks.get(name, []), *solutions.get(name, []))]
        if places != sorted(places):
            yield f"exercise {name}: must stand in the order exercise, check, solution"


def shown(notebook: NotebookNode, path: Path):
    """Every cell has its place in the slides, and at least one panel is on the page."""
    for cell in notebook.cells:
        if cell.metadata.get("slideshow", {}).get("slide_type") not in SLIDES:
            yield f"{cell.id}: no slide type"
    if not by_name(notebook, "panel"):
        yield "no cell is tagged panel:NAME"


def claimed(notebook: NotebookNode, path: Path):
    """The header names the claims that the notebook's experiment measures: a list by hand forgets the last one."""
    ids = ", ".join(claim.id for claim in catalog.claims().values()
                    if claim.experiment.removesuffix(".clicks") == path.stem.partition("_")[2])
    if ids and f"| Claims tested here | {ids} |" not in notebook.cells[0].source:
        yield f"the header must have the row | Claims tested here | {ids} |"


def discreet(notebook: NotebookNode, path: Path):
    """The code of a prediction, which holds the answer, is folded; numbers kept by the dozen are not shown."""
    for cell in code_cells(notebook):
        if re.search(r"= Prediction\(", cell.source) and not cell.metadata.get("jupyter", {}).get("source_hidden"):
            yield f"{cell.id}: the answer of the prediction is on the page (jupyter.source_hidden)"
        if any("quiet=True" not in line for line in re.findall(r"^    .*record\(.*", cell.source, re.MULTILINE)):
            yield f"{cell.id}: a list of records is on the page (quiet=True)"


RULES = (stored_bare, identified, short, parametrised, framed, ordered, portable, linked, exercised, shown, claimed,
         discreet)


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def by_name(notebook: NotebookNode, prefix: str) -> dict[str, list[NotebookNode]]:
    """{name: cells} of the tags `prefix:name`."""
    found: dict[str, list[NotebookNode]] = {}
    for cell in notebook.cells:
        for tag in tags(cell):
            if tag.startswith(f"{prefix}:"):
                found.setdefault(tag.partition(":")[2], []).append(cell)
    return found


def problems(notebook: NotebookNode, path: Path) -> list[str]:
    return [problem for rule in RULES for problem in rule(notebook, path)]


def test_the_stored_notebook_keeps_every_rule(notebook):
    stored = nbformat.read(notebook, as_version=4)
    nbformat.validate(stored)
    found = problems(stored, notebook)
    assert not found, "\n".join(found)


# The rules themselves -----------------------------------------------------------------------------------------

@pytest.fixture
def good() -> NotebookNode:
    """A notebook that keeps every rule and teaches nothing."""
    def text(name, source, *more):
        return new_markdown_cell(source, id=name, metadata={"tags": list(more), "slideshow": {"slide_type": "slide"}})

    def code(name, source, *more):
        return new_code_cell(source, id=name, metadata={"tags": list(more), "slideshow": {"slide_type": "skip"}})

    exercises = [cell for name in ("a", "b", "c") for cell in (
        text(f"exercise-{name}", "Difficulty 1, importance 2, 5 minutes. Hint 1: look. Hint 2: look again.",
             f"exercise:{name}"),
        code(f"stub-{name}", "answer = None", f"exercise:{name}"),
        code(f"check-{name}", f"check('{name}', answer)", f"check:{name}"),
        text(f"solution-{name}", "```python\nanswer = 3\n```", f"solution:{name}"))]
    cells = [
        text("question", "# Question, [next](02_more.ipynb)", "section:header"),
        text("settle", "## Setup", "section:setup"),
        code("knobs", 'profile = "lecture"  # smoke, lecture, full\nseed = 0  # 0 or more', "parameters"),
        code("begin", "session = setup(profile, seed)", "setup"),
        *(text(f"part-{name}", f"## {name}", f"section:{name}") for name in SECTIONS[2:7]),
        code("panel", "SoftmaxPanel()", "panel:softmax"),
        text("part-exercises", "## Exercises", "section:exercises"), *exercises,
        *(text(f"part-{name}", f"## {name}", f"section:{name}") for name in SECTIONS[8:]),
        code("end", "finish()")]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.fixture
def place(tmp_path) -> Path:
    (tmp_path / "02_more.ipynb").touch()
    return tmp_path / "01_tiny.ipynb"


def test_the_good_one_has_no_problem(good, place):
    nbformat.validate(good)
    assert problems(good, place) == []


def cell(notebook, name):
    return next(cell for cell in notebook.cells if cell.id == name)


def _set(name, **values):
    return lambda notebook: cell(notebook, name).update(values)


def _meta(name, **values):
    return lambda notebook: cell(notebook, name).metadata.update(values)


def _drop(name):
    return lambda notebook: notebook.cells.remove(cell(notebook, name))


def _swap(one, other):
    def swap(notebook):
        i, j = (notebook.cells.index(cell(notebook, name)) for name in (one, other))
        notebook.cells[i], notebook.cells[j] = notebook.cells[j], notebook.cells[i]
    return swap


@pytest.mark.parametrize(("spoil", "problem"), [
    (lambda nb: nb.metadata.update(widgets={}), "metadata ['widgets']"),
    (lambda nb: nb.metadata.update(papermill={}), "metadata ['papermill']"),
    (lambda nb: nb.metadata.kernelspec.update(name="venv"), "kernelspec must be python3"),
    (_set("begin", execution_count=3), "begin: outputs or an execution count"),
    (_set("begin", outputs=[nbformat.v4.new_output("stream", text="x")]), "begin: outputs"),
    (_meta("begin", execution={}), "begin: metadata ['execution']"),
    (_set("begin", id="3f2a9c1e"), "'3f2a9c1e' is not made of words"),
    (_set("begin", id="1f2a9c1e-aa0b-4d0c-8f00-00aa11bb22cc"), "is not made of words"),
    (_set("begin", id="end"), "end is used twice"),
    (_set("panel", source="x = 1\n" * 16), "panel: 16 lines"),
    (lambda nb: nb.cells.extend(copy.deepcopy(nb.cells[0]) for _ in range(120)), "cells, more than 120"),
    (_meta("knobs", tags=[]), "exactly one cell must be tagged parameters"),
    (_swap("knobs", "begin"), "it must be the first code cell"),
    (_set("knobs", source='profile = "lecture"  # p\nseed = int(0)  # s'), "seed is not a plain value"),
    (_set("knobs", source='profile = "lecture"\nseed = 0  # s'), "profile has no comment"),
    (_set("knobs", source='seed = 0  # s'), "profile is missing"),
    (_set("knobs", source='import os\nprofile = ""  # p\nseed = 0  # s'), "'import os' is not"),
    (_meta("begin", tags=[]), "must be tagged setup"),
    (_set("end", source="print('finish()')"), "last code cell must call finish()"),
    (_drop("part-limits"), "section limits is missing"),
    (_swap("part-recall", "part-paper"), "the sections stand in the order"),
    (_meta("part-paper", tags=["section:papers"]), "section papers is not one of the contract's"),
    (_swap("question", "settle"), "first cell must be the header"),
    (_set("panel", source="!pip install torch"), "panel: installs a package"),
    (_set("panel", source="%pip install torch"), "panel: installs a package"),
    (_set("panel", source="from kdutils.objectives import *"), "panel: imports by a star"),
    (_set("panel", source="open('/home/me/digits.csv')"), "panel: holds an absolute path"),
    (_set("panel", source="open('C:\\\\data')"), "panel: holds an absolute path"),
    (_set("part-close", source="[later](03_gone.ipynb)"), "the link 03_gone.ipynb leads nowhere"),
    (_set("part-close", source="![](02_more.ipynb)"), "part-close: an image has no text"),
    (_set("question", source="# Question"), "the header does not link 02_more.ipynb"),
    (_drop("stub-b"), "exercise b: 0 stubs"),
    (_drop("check-b"), "exercise b: no check"),
    (_drop("solution-b"), "exercise b: no solution"),
    (_set("solution-b", source="It is three."), "exercise b: no solution"),
    (_swap("check-b", "solution-b"), "exercise b: must stand in the order"),
    (_set("exercise-b", source="Difficulty 1, importance 2, 5 minutes. Hint: look."), "b: two hints are not given"),
    (_meta("exercise-c", tags=[]), "exercise c: difficulty is not given"),
    (_meta("part-example", slideshow={}), "part-example: no slide type"),
    (_meta("panel", tags=[]), "no cell is tagged panel:NAME"),
    (_set("panel", source="guess = Prediction('?', ['a', 'b'], 'a', 'so')"), "panel: the answer of the prediction"),
    (_set("panel", source="for x in y:\n    record(x, 1)"), "panel: a list of records"),
])
def test_each_rule_finds_what_it_is_there_for(good, place, spoil, problem):
    spoil(good)
    assert any(problem in found for found in problems(good, place)), problems(good, place)


def test_a_claim_that_the_header_forgets_is_found(good, tmp_path):
    cell(good, "question").source += "\n| Claims tested here | S1, S2 |"
    found = problems(good, tmp_path / "03_subclass_distillation.ipynb")
    assert any("S7, S8 |" in problem for problem in found)


def test_links_to_the_web_and_fractions_are_left_alone(good, place):
    cell(good, "part-close").source = "[paper](https://arxiv.org/abs/1503.02531), [up](#top), 1/2, p / T, and/or/both"
    assert problems(good, place) == []
