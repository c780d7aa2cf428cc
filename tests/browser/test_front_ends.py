"""The same panel in other front ends: Notebook 7 and Voila, which JupyterLab's server has as well."""

import re

import pytest
from playwright.sync_api import expect

pytest.importorskip("notebook", reason="Notebook 7 is not installed: pip install 'kdutils[test]'.")
pytest.importorskip("voila", reason="Voila is not installed: pip install 'kdutils[test]'.")

PANEL = '''
import math
from types import SimpleNamespace
import plotly.graph_objects as go
from kdutils.live.control import Slider
from kdutils.live.training_panel import TrainingPanel

class Fall(TrainingPanel):
    title = "Fall"
    controls = (Slider("height", "Height", low=0, high=10, default=5),)
    def build_figure(self):
        return go.Figure([go.Scatter(uid="loss"), go.Scatter(uid="start")])
    def draw(self, changed):
        self.chart.set("start", x=[0], y=[self.values["height"]])
    def reading(self):
        return f"From {self.values['height']} in {len(self.chart.points('loss')['y'])} points."
    def start(self):
        for step in range(10_001):
            yield SimpleNamespace(step=step, steps=10_000)
    def observe(self, snapshot):
        self.chart.append("loss", snapshot.step, self.values["height"] * math.exp(-snapshot.step / 500))

Fall()
'''
# Voila's own page asks these for the icons of buttons and for formulas; the panel is whole without either.
VOILAS = ("https://cdn.jsdelivr.net/npm/@fortawesome/", "https://cdnjs.cloudflare.com/ajax/libs/mathjax/")
# What the front ends complain about in themselves: Voila of these requests, and of JupyterLab extensions that its
# smaller application cannot load; Notebook 7 of its own list of shortcuts, which it reads too soon.
OWN = ("ERR_FAILED", "RUNTIME-012", "reading 'schema'")


def test_notebook_7_has_the_panel_alive(other_front_ends, notebook):
    other_front_ends.write("fall.ipynb", PANEL)
    notebook.open(f"{other_front_ends.url}/notebooks/fall.ipynb")
    notebook.run_all()
    moved_and_trained(notebook.page)
    assert not notebook.foreign and not complaints(notebook)


def test_voila_has_the_panel_alive_without_what_it_asks_of_other_hosts(other_front_ends, notebook):
    """Catches a panel that needs an icon or a formula of another host, and a request of ours among Voila's."""
    other_front_ends.write("fall.ipynb", PANEL)
    page = notebook.page
    page.route(lambda url: url.startswith(VOILAS), lambda route: route.abort())
    # Voila's answer begins at once and ends when all cells have run.
    page.goto(f"{other_front_ends.url}/voila/render/fall.ipynb", wait_until="commit", timeout=90_000)
    moved_and_trained(page)
    assert not [url for url in notebook.foreign if not url.startswith(VOILAS)]
    assert not complaints(notebook)


def complaints(notebook) -> list[str]:
    return [error for error in notebook.errors if not any(word in error for word in OWN)]


def moved_and_trained(page) -> None:
    """A slider moved by keyboard changes the figure, Train lets it grow, Stop ends that."""
    panel = page.locator(".kd-panel")
    figure, status = panel.locator(".kd-plot"), panel.get_by_role("status")
    expect(figure).to_have_attribute("data-points", "0,1", timeout=90_000)
    expect(figure).to_have_attribute("data-seq", re.compile(r"\d+"), timeout=60_000)
    slider = panel.get_by_role("slider", name="Height")
    slider.focus()
    slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "6")
    expect(figure).to_have_attribute("data-last", re.compile(r"6$"))
    expect(panel.locator(".kd-reading")).to_have_text("From 6 in 0 points.")
    panel.get_by_role("button", name="Train", exact=True).click()
    expect(figure).to_have_attribute("data-points", re.compile(r"^\d\d+,1$"))
    panel.get_by_role("button", name="Stop", exact=True).click()
    expect(status).to_have_text(re.compile(r"Stopped at step \d+ of 10000"))
    step = int(re.search(r"step (\d+)", status.text_content())[1])
    expect(figure).to_have_attribute("data-points", f"{step + 1},1")
