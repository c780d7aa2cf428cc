"""A page that was saved with its outputs and is opened again, when its kernel is long gone."""

import re
from pathlib import Path

from playwright.sync_api import expect

TESTS = Path(__file__).parents[1]
LOOK = """() => Object.fromEntries([...document.querySelectorAll('.kd-panel')].map((panel) => {
    const plot = panel.querySelector('.kd-plot');
    return [panel.querySelector('.kd-title').textContent, [plot.dataset.points, plot.dataset.last, plot.ariaLabel,
        panel.querySelector('.kd-reading').textContent]]; }))"""
BROKEN = """() => [...document.querySelectorAll('.jupyter-widgets-disconnected')].filter((part) =>
    getComputedStyle(part, '::before').display !== 'none').map((part) => part.className)"""
LARGEST = 3_000_000     # bytes: plotly.js is 2.3 million of them


def test_a_saved_page_shows_what_it_showed_and_lives_again_after_run_all(lab, notebook):
    """Catches "model not found", a figure of the start under the words of the end, broken links, errors in the
    console, and a page that stays dead."""
    page = notebook.page
    url = lab.write("saved.ipynb", f"import sys\nsys.path.insert(0, {str(TESTS)!r})\nimport tiny_panels",
                    "tiny_panels.Softmax()", "tiny_panels.Training(full_speed=True)",
                    "from kdutils.course.predict import Prediction\nPrediction('?', ['a', 'b'], 'a', 'so')")
    notebook.open(url)
    notebook.run_all()
    all_drawn(page)
    panel(page, "Softmax & co.").get_by_role("button", name="hot").click()
    panel(page, "Training").get_by_role("button", name="Train", exact=True).click()
    expect(status(page, "Training")).to_have_text(re.compile("^Done"))
    expect(panel(page, "Training").locator(".kd-plot")).to_have_attribute("data-points", "51,1")
    expect(panel(page, "Softmax & co.").locator(".kd-plot")).to_have_attribute("data-points", "5")
    before = page.evaluate(LOOK)
    assert before["Training"][3] == "51 points."
    notebook.save()
    assert (lab.folder / "saved.ipynb").stat().st_size < LARGEST
    page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.sessionContext.shutdown(); }")

    notebook.open(url)
    all_drawn(page)
    for title in before:
        expect(status(page, title)).to_have_text(re.compile("kernel of this page is gone.*Run its cell again"))
        expect(panel(page, title).locator(".kd-hint")).to_be_hidden()
    assert page.evaluate(LOOK) == before
    assert page.evaluate(BROKEN) == []

    notebook.run_all()
    expect(status(page, "Training")).to_have_text(re.compile("^Ready"))
    panel(page, "Training").get_by_role("button", name="Train", exact=True).click()
    expect(status(page, "Training")).to_have_text(re.compile("^Done"))
    notebook.check()


def panel(page, title: str):
    return page.locator(".kd-panel[data-ready]", has=page.get_by_role("heading", name=title, exact=True))


def status(page, title: str):
    return panel(page, title).locator(".kd-status")


def all_drawn(page) -> None:
    page.wait_for_function("""() => document.querySelectorAll('.kd-panel[data-ready] .kd-plot[data-points]').length
        === 2""", timeout=90_000)
