"""What is asked on the stage comes from the teaching notes, for every panel of every page, and gives nothing away."""

import re

import nbformat
import pytest

from kdutils import pages
from kdutils.headless import page

showcase = pytest.importorskip("showcase", reason="needs the notebook packages", exc_type=ImportError)

NOTEBOOKS = sorted(pages.folder().glob("*.ipynb"))
ROW = re.compile(r"^\| ([^|]+?) \| [^|]+ \|$", re.MULTILINE)
CLASSES = re.compile(r"^from kdutils\.lessons\.\w+\.panels\.\w+ import (\w+)$", re.MULTILINE)


def titles(notebook) -> list[tuple[str, bool]]:
    """(title, whether a prediction stands before it) of the panels of a notebook."""
    known, code, found = showcase.panels(), "", []
    asked = False
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        code += cell.source + "\n"
        if any(tag.startswith("panel:") for tag in cell.metadata.get("tags", [])):
            name = re.search(r"= (\w+)\(", cell.source)[1]
            assert name in CLASSES.findall(code)
            found.append((known[name].title + ", toy" * ('data="toy"' in cell.source), asked))
            asked = False
        asked = asked or "= Prediction(" in cell.source
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_panel_of_a_page_has_its_lines_and_the_note_no_others(path):
    """Catches a panel that a note forgets or calls by another name, and a line too long for a projector."""
    text = pages.note(path.stem, "")
    panels = titles(nbformat.read(path, as_version=4))
    rows = ROW.findall(text.partition("**On the stage**")[2])
    assert set(rows) - {"panel"} == {title for title, _ in panels}
    for title, asked in panels:
        lines = pages.stage_lines(text, title)
        assert len(lines) >= 2 and max(map(len, lines)) <= 100 and not re.search(r"[*`<>]", "".join(lines))
        assert lines[0].startswith("Predict:") == asked, "a prediction is asked before anything else"


def test_a_page_under_another_name_has_the_lines_of_its_lesson():
    assert pages.note("my_copy", "dark_knowledge") == pages.note("01_dark_knowledge", "") != ""
    assert pages.note("", "") == pages.note("a/../[", "no_lesson") == ""
    assert pages.stage_lines("no note", "Any") == ()
    text = "| Any | not this |\n**On the stage**\n| Any, toy | a<br>b |\n| Any | c |\n"
    assert pages.stage_lines(text, "Any, toy", "Any") == ("a", "b")
    assert pages.stage_lines(text, "Any, ", "Any") == ("c",)


def test_the_front_end_says_which_page_is_open(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "/course/00_start_here.ipynb")
    assert page() == "00_start_here"
    monkeypatch.setenv("JPY_SESSION_NAME", r"C:\course\01_dark_knowledge.ipynb")
    assert page() == "01_dark_knowledge"
    monkeypatch.delenv("JPY_SESSION_NAME")
    assert page() == ""


def test_a_panel_asks_what_the_open_page_asks(monkeypatch):
    from kdutils.lessons.dark_knowledge.panels.softmax import SoftmaxPanel
    from kdutils.live.card import asked_on_stage

    asked = []
    for name in ("00_start_here", "01_dark_knowledge", "mine"):
        monkeypatch.setenv("JPY_SESSION_NAME", f"{name}.ipynb")
        asked.append(asked_on_stage(SoftmaxPanel()))
    assert asked[0] != asked[1] == asked[2] and "temperature of 20" in asked[0][0]


NAME = re.compile(r"(?<!\*)\*(?!\*)([^*\n]+?)\*(?!\*)")
PRESSED = re.compile(r"\b(?:press|try|presets?|then) \*([^*\n]+)\*", re.IGNORECASE)


def called(path) -> set[str]:
    """What a lecturer can press, choose, open or read out on this page, in small letters."""
    known = showcase.panels()
    panels = [known[name] for name in CLASSES.findall(_code(path))]
    names = [panel.title for panel in panels]
    for panel in panels:
        names += [*panel.presets, *(control.label for control in panel.controls)]
        names += [str(option) for control in panel.controls for option in getattr(control, "options", ())]
        # "Large, on the sphere" may be called "on the sphere" once its first word has fallen.
        names += [end for preset in panel.presets for end in preset.split(", ")[1:]]
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    return {name.lower() for name in names + re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def _code(path) -> str:
    return "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_note_tells_to_press_is_there(path):
    """Catches a preset that was renamed or never made ("Shift" of the nine lenses), and a cell of another name."""
    plan = pages.note(path.stem, "").partition("**On the stage**")[0]
    rows = [line for line in plan.splitlines() if line.startswith("|") or line.startswith("**In 20 minutes")]
    told = {name.lower() for row in rows for name in NAME.findall(row)}
    told |= {name.lower() for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"
             for name in PRESSED.findall(cell.source)}
    there = called(path) | SAID_ALOUD
    assert told <= there, sorted(told - there)
    ids = {cell.id for cell in nbformat.read(path, as_version=4).cells}
    cells = set(re.findall(r"`([a-z0-9]+(?:-[a-z0-9]+)+)`", plan))
    assert cells <= ids, sorted(cells - ids)


# Names in italics that are no controls: a saying of the page, rows of a figure.
SAID_ALOUD = {"what is divided stays divided"}
