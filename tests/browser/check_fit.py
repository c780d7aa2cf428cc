"""Every panel on the stage and on the page, every figure at four widths: all is there, and no words lie over others.

pytest runs it by its name, for the harness of this folder: `pytest tests/browser/check_fit.py`. One page holds them
all. JupyterLab keeps its cells in the page when they are out of sight, so that a new width draws all of them at once
and one look tells.
"""

import json
import re
from pathlib import Path

import pytest
import showcase
from playwright.sync_api import expect

HERE = Path(__file__).parent
OVERLAPS = (HERE / "overlaps.js").read_text(encoding="utf-8")
PANELS, FIGURES = tuple(showcase.panels()), tuple(showcase.figures())
CELLS = ("", "question", *PANELS, *(f"{lesson} {name}" for lesson, name in FIGURES))
NAMED = """(names) => window.jupyterapp.shell.currentWidget.content.widgets
    .forEach((cell, i) => { cell.node.dataset.name = names[i]; })"""
# Every figure is drawn for the width that it has, and nothing more is on its way.
STILL = """() => { const plots = [...document.querySelectorAll('.kd-plot')];
    return plots.length === COUNT && plots.every((plot) => plot.dataset.drawn && plot.dataset.busy === 'false'
        && Math.abs(plot._fullLayout.width - plot.parentElement.clientWidth) < 2); }"""
STILL = STILL.replace("COUNT", str(len(PANELS) + len(FIGURES)))
EACH = f"""() => [...document.querySelectorAll('.jp-Cell[data-name]')]
    .flatMap((cell) => ({OVERLAPS})(cell).map((what) => `${{cell.dataset.name}}: ${{what}}`))"""
# What must be seen on the stage and is not, in words.
OUT_OF_SIGHT = """(card) => {
    const said = [], inside = (box, other) => box.left >= other.left - 1 && box.right <= other.right + 1
        && box.top >= other.top - 1 && box.bottom <= other.bottom + 1;
    const screen = {left: 0, top: 0, right: innerWidth, bottom: innerHeight};
    for (const part of card.querySelectorAll('.kd-title, .kd-status, .kd-to-stage, .kd-controls > *, '
            + '.kd-controls label, .kd-bar button, .kd-bar input, .kd-plot, .kd-reading')) {
        const box = part.getBoundingClientRect(), name = part.textContent.slice(0, 30) || part.className;
        if (!box.width || !box.height) said.push(`${name}: nothing to see`);
        else if (!inside(box, screen)) said.push(`${name}: beyond the screen`);
        else if (!card.contains(document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2)))
            said.push(`${name}: something lies over it`);
    }
    const figure = card.querySelector('.kd-figure').getBoundingClientRect();
    for (const part of card.querySelectorAll('.kd-head, .kd-controls, .kd-bar, .kd-reading')) {
        const box = part.getBoundingClientRect();
        const over = Math.min(box.right, figure.right) - Math.max(box.left, figure.left) > 1
            && Math.min(box.bottom, figure.bottom) - Math.max(box.top, figure.top) > 1;
        if (over) said.push(`${part.className}: lies over the figure`);
        if (part.scrollHeight > part.clientHeight + 1) said.push(`${part.className}: must be scrolled`);
    }
    return said; }"""


class Course:
    """One page with a question, every panel and every figure, each in a cell of its own."""

    def __init__(self, lab, notebook):
        self.notebook, self.page = notebook, notebook.page
        self.page.set_viewport_size({"width": 1000, "height": 800})
        notebook.open(lab.write(
            "every.ipynb", f"import sys\nsys.path.insert(0, {str(HERE.parent)!r})\nimport showcase",
            "showcase.QUESTION", *(f"showcase.panel({name!r})" for name in PANELS),
            *(f"showcase.figure({lesson!r}, {name!r})" for lesson, name in FIGURES)))
        self.page.evaluate("""() => { const {content} = window.jupyterapp.shell.currentWidget;
            content.notebookConfig = {...content.notebookConfig, windowingMode: 'none'}; }""")
        notebook.run_all()
        self.page.wait_for_function("""() => window.jupyterapp.shell.currentWidget.content.widgets
            .every((cell) => cell.model.executionCount)""", timeout=300_000)
        self.page.evaluate(NAMED, list(CELLS))
        self.still(timeout=120_000)

    def still(self, timeout: float = 60_000) -> None:
        """Wait until all figures are drawn for the room that they have."""
        self.page.wait_for_function(STILL, timeout=timeout)

    def size(self, width: int, height: int) -> None:
        self.page.set_viewport_size({"width": width, "height": height})
        self.still()

    def panel(self, name: str):
        return self.page.locator(f'[data-name="{name}"] .kd-panel[data-ready]')

    def theme(self, name: str) -> None:
        self.page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name)
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")
        self.page.wait_for_selector(f'body[data-jp-theme-name="{name}"]', state="attached")
        self.still()


@pytest.fixture(scope="module")
def course(lab, new_notebook):
    opened = Course(lab, new_notebook())
    yield opened
    opened.notebook.check()
    opened.notebook.close()


@pytest.mark.parametrize("width", [1400, 1000, 700, 360])
def test_no_words_lie_over_others(course, width):
    course.size(width, 900)
    wrong = course.page.evaluate(EACH)
    assert not wrong, "\n".join(wrong)


def test_a_wide_page_holds_a_panel_and_its_controls_at_once(course):
    """A card of 1000 pixels; a projector shows some 450 of a page."""
    course.size(1000, 800)
    wide = course.panel(PANELS[0]).bounding_box()["width"]
    course.size(2000 - round(wide), 800)
    heights = {name: course.panel(name).bounding_box()["height"] for name in PANELS}
    assert not {name: height for name, height in heights.items() if height > 440}


def test_a_tool_finds_no_serious_fault_for_readers_who_do_not_see_or_use_a_mouse(course):
    found = {}
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        course.theme(theme)
        report = axe(course.page, ".kd-panel")
        for one in report["violations"]:
            if one["impact"] in ("serious", "critical"):
                found[f"{theme}, {one['id']}: {one['help']}"] = [node["html"][:160] for node in one["nodes"]][:4]
    assert not found, json.dumps(found, indent=1)


def test_on_the_stage_every_part_of_every_panel_can_be_seen(course):
    course.size(1024, 576)
    course.theme("JupyterLab Dark")
    wrong = []
    for name in PANELS:
        card = course.panel(name)
        card.locator("button").first.focus()
        course.page.keyboard.press("Shift+F")
        expect(card).to_have_class(re.compile("kd-stage"))
        course.page.wait_for_function("() => document.fullscreenElement || document.querySelector(':popover-open')")
        course.still()
        wrong += [f"{name}: {what}" for what in card.evaluate(OUT_OF_SIGHT) + card.evaluate(OVERLAPS)]
        course.page.keyboard.press("Escape")
        expect(card).not_to_have_class(re.compile("kd-stage"))
        course.page.wait_for_function("() => !document.fullscreenElement")
    course.theme("JupyterLab Light")
    assert not wrong, "\n".join(wrong)


def test_a_panel_trains_on_the_stage_and_nothing_is_pushed_out_of_sight(course):
    course.size(1024, 576)
    card = course.panel("FewLabelsRace")
    card.get_by_role("button", name="Stage").click()
    for label in ("Train", "Pause"):
        card.get_by_role("button", name=label, exact=True).click()
        expect(card.locator(".kd-status")).to_have_text(re.compile("Training at|Paused at step [1-9]"))
        course.still()
        assert not card.evaluate(OUT_OF_SIGHT)
    card.get_by_role("button", name="Stop", exact=True).click()
    expect(card.locator(".kd-status")).to_have_text(re.compile("Stopped|Done"))
    course.page.keyboard.press("Escape")


def axe(page, within: str) -> dict:
    """What axe-core says of these parts of the page."""
    sync_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
    return sync_playwright.Axe().run(page, context=within).response
