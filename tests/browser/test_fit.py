"""Every figure at four widths, panels on the page and on the stage: all is there, and no words lie over others.

`make test` looks at the figures of all panels and, with their controls, at three of them; `make fit` at all of them.
"""

import json
import os
import re

import pytest
import showcase
from axe_playwright_python.sync_playwright import Axe
from fit_pages import EACH, OUT_OF_SIGHT, Course, Plain, wrong_on_stage
from playwright.sync_api import expect

from kdutils.live.training_panel import TrainingPanel

ALL = os.environ.get("KDUTILS_FIT") == "all"
# A legend of six names; words at the right margin, subplots of two rows; and one that trains in a second.
PANELS = tuple(showcase.panels()) if ALL else ("FamilyTree", "SplitMyClass", "TemperatureLab")
TRAINED = [name for name in PANELS if issubclass(showcase.panels()[name], TrainingPanel)] if ALL else ["TemperatureLab"]
WIDTHS = (1400, 1000, 700, 360)


@pytest.fixture(scope="module")
def plain(browser):
    opened = Plain(browser, showcase.figures(), showcase.panels())
    yield opened
    assert not opened.errors, "\n".join(opened.errors)
    opened.page.context.close()


@pytest.fixture(scope="module")
def course(lab, new_notebook):
    opened = Course(lab, new_notebook(), PANELS)
    yield opened
    opened.notebook.check()
    opened.notebook.close()


@pytest.mark.parametrize("width", [*WIDTHS, 290])       # 290: what JupyterLab leaves of a phone
def test_no_words_of_a_figure_lie_over_others(plain, width):
    """Catches a legend, a title or names that are longer than their room, and labels that stand too close."""
    plain.size(width)
    assert not plain.wrong()


@pytest.mark.parametrize("width", WIDTHS)
def test_no_words_of_a_panel_or_of_a_prediction_lie_over_others(course, width):
    course.size(1000)
    course.size(width, 2000)     # a picture shows what is in the window
    for name in PANELS:
        course.picture(f"{name} {width}", course.panel(name))
    assert not course.wrong()


def test_at_no_repaint_do_words_of_a_figure_lie_over_others(plain):
    """Catches a figure that is first drawn with room for too few lines of its legend, and again when they are known."""
    plain.size(1000)
    plain.page.evaluate(f"""() => {{ window.collided = new Set();
        const look = () => {{ (({EACH})()).filter((what) => what.includes("lies over"))
            .forEach((what) => collided.add(what)); window.looking = requestAnimationFrame(look); }};
        look(); }}""")
    for width in (700, 360, 1400):
        plain.size(width)
    assert plain.page.evaluate("() => { cancelAnimationFrame(window.looking); return [...collided]; }") == []


def test_subplots_stand_one_under_another_on_a_phone(plain):
    plain.size(360)
    beside = plain.page.evaluate("""() => [...document.querySelectorAll('[data-name]')].filter((part) => {
        const boxes = [...part.querySelectorAll('.xy, [class*="cartesianlayer"] .subplot')]
            .filter((one) => one.querySelector('.xaxislayer-above text, .yaxislayer-above text'))
            .map((one) => one.querySelector('.bg, .gridlayer').getBoundingClientRect());
        return boxes.some((a) => boxes.some((b) => a !== b && a.width && b.width && b.left > a.right)); })
        .map((part) => part.dataset.name)""")
    assert not beside


def test_a_wide_page_holds_a_panel_and_its_controls_at_once(course):
    """A card of 1000 pixels; a projector shows some 450 of a page."""
    course.size(1000, 800)
    wide = course.panel(PANELS[0]).bounding_box()["width"]
    course.size(2000 - round(wide), 800)
    heights = {name: course.panel(name).bounding_box()["height"] for name in PANELS}
    assert not {name: height for name, height in heights.items() if height > 440}


def test_a_tool_finds_no_serious_fault_for_readers_who_do_not_see_or_use_a_mouse(course):
    """Catches a control without a name, words that are too pale for their ground, a group that no key reaches."""
    found = {}
    for theme in ("Dark", "Light"):
        course.theme(theme)
        report = Axe().run(course.page, context=".kd-panel, .kd-predict").response
        for one in report["violations"]:
            if one["impact"] in ("serious", "critical"):
                found[f"{theme}, {one['id']}: {one['help']}"] = [node["html"][:160] for node in one["nodes"]][:4]
    assert not found, json.dumps(found, indent=1)


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_on_the_stage_every_part_of_a_panel_can_be_seen(course, theme):
    """Catches controls that push the figure or the reading off a projector, and words in it that collide there."""
    course.size(1024, 576)
    course.theme(theme)
    wrong = []
    for name in PANELS:
        card = course.stage(name)
        wrong += [f"{name}: {what}" for what in wrong_on_stage(card)]
        course.picture(f"{name} {theme}")
        course.leave()
    assert not wrong


def test_no_line_of_the_teaching_note_takes_the_room_of_another_part(course):
    """Catches a line that is too long for the foot of a stage, and one beside which a part of the panel has no room."""
    course.size(1024, 576)
    wrong = []
    for name in PANELS:
        card = course.stage(name)
        count = int(re.fullmatch(r"Next \(1 of (\d+)\)", card.locator(".kd-asked button").text_content())[1])
        for number in range(1, count + 1):
            expect(card.locator(".kd-asked button")).to_have_text(f"Next ({number} of {count})")
            course.still()
            wrong += [f"{name}, line {number}: {what}" for what in wrong_on_stage(card)]
            course.page.keyboard.press("n")
        course.leave()
    assert not wrong


@pytest.mark.parametrize("name", TRAINED)
def test_while_it_trains_on_the_stage_nothing_is_pushed_out_of_sight(course, name):
    """Catches a sentence of the run that is longer than the one before it and moves what stands under it."""
    course.size(1024, 576)
    card, wrong = course.stage(name), []
    status = card.locator(".kd-status")
    card.get_by_label("Full speed").check()
    card.get_by_role("button", name="Train", exact=True).click()
    expect(status).to_have_text(re.compile("Getting ready|Training|Done"))
    while not re.match("Done|The run failed", status.text_content()):
        wrong += card.evaluate(OUT_OF_SIGHT)
    assert status.text_content().startswith("Done")
    course.still()
    wrong += wrong_on_stage(card)
    course.picture(f"{name} trained")
    course.leave()
    assert not set(wrong)
