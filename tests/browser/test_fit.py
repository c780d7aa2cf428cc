"""Every panel on the stage and on the page, every figure at four widths: all is there, and no words lie over others."""

import json
import re
from pathlib import Path

import pytest
import showcase
from playwright.sync_api import expect

HERE = Path(__file__).parent
OVERLAPS = (HERE / "overlaps.js").read_text(encoding="utf-8")
WIDTHS = (360, 700, 1000, 1400)
PANELS, FIGURES = tuple(showcase.panels()), tuple(showcase.figures())
CELLS = ("question", *PANELS, *(f"{lesson} {name}" for lesson, name in FIGURES))
SHOW = """async (index) => {
    const {content} = window.jupyterapp.shell.currentWidget;
    await content.scrollToItem(index, 'start');
    content.widgets[index].node.dataset.name = index; }"""
# Drawn, for the width that it has, and nothing more is on its way.
STILL = """(root) => [...root.querySelectorAll('.kd-plot')].every((plot) => plot.dataset.drawn
    && Math.abs(plot._fullLayout.width - plot.parentElement.clientWidth) < 2 && plot.dataset.busy === 'false')"""
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
        const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
        if (!card.contains(document.elementFromPoint(x, y))) said.push(`${name}: something lies over it`);
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
        self.notebook = notebook
        self.page = self.notebook.page
        self.notebook.open(lab.write(
            "every.ipynb", f"import sys\nsys.path.insert(0, {str(HERE.parent)!r})\nimport showcase",
            "showcase.QUESTION", *(f"showcase.panel({name!r})" for name in PANELS),
            *(f"showcase.figure({lesson!r}, {name!r})" for lesson, name in FIGURES)))
        self.notebook.run_all()
        self.page.wait_for_function("""() => window.jupyterapp.shell.currentWidget.content.widgets
            .every((cell) => cell.model.executionCount && cell.model.executionState !== 'running')""", timeout=300_000)
        self.notebook.idle()

    def cell(self, name: str):
        index = CELLS.index(name) + 1
        self.page.evaluate(SHOW, index)
        return self.page.locator(f'[data-name="{index}"]')

    def still(self, cell) -> None:
        """Wait until its figures are drawn for the room that they have."""
        expect(cell.locator(".kd-plot[data-points], .widget-radio-box").first).to_be_visible(timeout=60_000)
        self.page.wait_for_function(f"(root) => ({STILL})(root)", arg=cell.element_handle())

    def size(self, width: int, height: int) -> None:
        self.page.set_viewport_size({"width": width, "height": height})

    def theme(self, name: str) -> None:
        self.page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name)
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")
        self.page.wait_for_selector(f'body[data-jp-theme-name="{name}"]', state="attached")


@pytest.fixture(scope="module")
def course(lab, new_notebook):
    opened = Course(lab, new_notebook())
    yield opened
    opened.notebook.check()
    opened.notebook.close()


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_on_the_stage_every_part_of_every_panel_can_be_seen(course, theme):
    course.size(1024, 576)
    course.theme(theme)
    wrong = []
    for name in PANELS:
        cell = course.cell(name)
        card = cell.locator(".kd-panel[data-ready]")
        course.still(cell)
        cell.locator("button").first.focus()
        course.page.keyboard.press("Shift+F")
        expect(card).to_have_class(re.compile("kd-stage"))
        course.still(cell)
        wrong += [f"{name}: {what}" for what in card.evaluate(OUT_OF_SIGHT) + card.evaluate(OVERLAPS)]
        assert course.page.evaluate("() => document.fullscreenElement?.classList.contains('kd-panel')"
                                    " || Boolean(document.querySelector('.kd-panel:popover-open'))")
        course.page.keyboard.press("Escape")
        expect(card).not_to_have_class(re.compile("kd-stage"))
    course.theme("JupyterLab Light")
    assert not wrong, "\n".join(wrong)


def test_a_panel_trains_on_the_stage_and_nothing_is_pushed_out_of_sight(course):
    course.size(1024, 576)
    cell = course.cell("FewLabelsRace")
    card = cell.locator(".kd-panel[data-ready]")
    course.still(cell)
    card.get_by_role("button", name="Stage").click()
    for label in ("Train", "Pause"):
        card.get_by_role("button", name=label, exact=True).click()
        expect(card.locator(".kd-status")).to_have_text(re.compile("Training at|Paused at step [1-9]"))
        assert not card.evaluate(OUT_OF_SIGHT)
    card.get_by_role("button", name="Stop", exact=True).click()
    expect(card.locator(".kd-status")).to_have_text(re.compile("Stopped"))
    course.still(cell)
    assert not card.evaluate(OUT_OF_SIGHT)
    course.page.keyboard.press("Escape")


def test_a_wide_page_holds_a_panel_and_its_controls_at_once(course):
    """At a width of 1000; a projector shows some 450 pixels of a page."""
    course.size(1000, 700)
    heights = {}
    for name in PANELS:
        cell = course.cell(name)
        course.still(cell)
        heights[name] = cell.locator(".kd-panel").bounding_box()["height"]
    assert not {name: height for name, height in heights.items() if height > 440}


@pytest.mark.parametrize("width", WIDTHS)
def test_no_words_lie_over_others(course, width):
    course.size(width, 900)
    wrong = []
    for name in CELLS:
        cell = course.cell(name)
        course.still(cell)
        wrong += [f"{name}: {what}" for what in cell.evaluate(OVERLAPS)]
    assert not wrong, "\n".join(wrong)


def test_a_tool_finds_no_serious_fault_for_readers_who_do_not_see_or_use_a_mouse(course):
    sync_axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    course.size(1000, 700)
    found = {}
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        course.theme(theme)
        for name in PANELS:
            course.still(course.cell(name))
            index = CELLS.index(name) + 1
            report = sync_axe.Axe().run(course.page, context=f'[data-name="{index}"] .kd-panel').response
            for one in report["violations"]:
                if one["impact"] in ("serious", "critical"):
                    found.setdefault(f"{one['id']}: {one['help']}", []).append(
                        (name, theme, one["nodes"][0]["html"][:160]))
    course.theme("JupyterLab Light")
    assert not found, json.dumps(found, indent=1)
