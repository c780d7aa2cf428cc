"""Panels in a real JupyterLab: two live figures, sliders by keyboard, training, pausing, reloading, zooming."""

import json
import re
import statistics
import time

import pytest
from playwright.sync_api import expect

SETUP = '''
import math, time
from types import SimpleNamespace
import plotly.graph_objects as go
from kdutils.live.control import LogSlider, Slider
from kdutils.live.panel import Panel
from kdutils.live.training_panel import TrainingPanel
'''

FORMULA = '''
class Formula(Panel):
    title = "Formula"
    controls = (LogSlider("temperature", "Temperature", low=0.5, high=50.0, default=4.0),)
    presets = {"Hot": {"temperature": 50.0}}
    def build_figure(self):
        figure = go.Figure(go.Bar(uid="a class's p", x=list("abcde")))
        return figure.update_layout(height=240, yaxis={"range": [0, 1]})
    def draw(self, changed):
        e = [math.exp(-i / self.values["temperature"]) for i in range(5)]
        self.chart.set("a class's p", y=[v / sum(e) for v in e])
        self.chart.layout({"title": {"text": f"T = {self.values['temperature']:g}"}})
    def reading(self):
        first = self.chart.points("a class's p")["y"][0]
        return f"At temperature {self.values['temperature']:g} the first class has {first:.2f}."
formula = Formula()
formula
'''

TRAINING = '''
class Fake(TrainingPanel):
    title = "Fake training"
    controls = (Slider("target", "Target", low=0, high=10, default=5),)
    steps, heard = 2000, []
    def build_figure(self):
        figure = go.Figure([go.Scatter(uid="loss", mode="lines"), go.Heatmap(uid="map", xaxis="x2", yaxis="y2"),
                            go.Scatter(uid="band", mode="lines")])
        return figure.update_layout(height=300, xaxis={"domain": [0, 0.6]}, xaxis2={"domain": [0.7, 1], "anchor": "y2"},
                                    yaxis2={"anchor": "x2"})
    def draw(self, changed):
        self.heard.append(time.time())
        self.chart.set("map", x=[0, 1, 0, 1], y=[0, 0, 1, 1], z=[0, 1, 2, self.values["target"]])
        self.chart.set("band", x=[0, 0, math.nan, 9, 9], y=[0, 1, math.nan, 0, 1])
    def reading(self):
        return f"{len(self.chart.points('loss')['y'])} points."
    def start(self):
        for step in range(self.steps + 1):
            yield SimpleNamespace(step=step, steps=self.steps)
    def observe(self, snapshot):
        self.chart.append("loss", snapshot.step, math.exp(-snapshot.step / 500) * (1 + self.values["target"]))
fake = Fake()
fake
'''


def panel(page, title: str):
    return page.locator(".kd-panel", has=page.get_by_role("heading", name=title, exact=True))


def plot(page, title: str):
    return panel(page, title).locator(".kd-plot")


def points(page, title: str) -> list[int]:
    """Points on the screen, per trace."""
    return [int(n) for n in plot(page, title).get_attribute("data-points").split(",")]


def wait_for(condition, timeout=60.0, what="it"):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    pytest.fail(f"{what} did not happen within {timeout:g} s")


def press(page, title: str, name: str) -> None:
    panel(page, title).get_by_role("button", name=name, exact=True).click()


@pytest.fixture
def page(lab, notebook):
    """A notebook with a formula panel and a training panel, run; no console error, no foreign request at the end."""
    notebook.open(lab.write("panels.ipynb", SETUP, FORMULA, TRAINING))
    notebook.run_all()
    for title in ("Formula", "Fake training"):
        expect(plot(notebook.page, title)).to_have_attribute("data-seq", re.compile(r"\d+"), timeout=60_000)
    yield notebook.page
    notebook.check()


def test_a_widget_that_was_slow_to_load_hears_its_kernel_all_the_same(lab, notebook):
    """Catches a deaf panel: anywidget drops every message to a widget whose module took more than two seconds."""
    notebook.page.add_init_script("const wait = AbortSignal.timeout.bind(AbortSignal);"
                                  "AbortSignal.timeout = (ms) => wait(ms === 2000 ? 0 : ms);")
    notebook.open(lab.write("slow.ipynb", SETUP, FORMULA))
    notebook.run_all()
    figure, words = plot(notebook.page, "Formula"), panel(notebook.page, "Formula").locator(".kd-reading")
    expect(figure).to_have_attribute("data-seq", re.compile(r"\d+"), timeout=60_000)
    before = figure.get_attribute("data-last")
    panel(notebook.page, "Formula").get_by_role("button", name="Hot", exact=True).click()
    expect(figure).not_to_have_attribute("data-last", before)
    expect(words).to_have_text(re.compile("At temperature 50 "))
    assert panel(notebook.page, "Formula").locator("> .kd-figure").count() == 1     # it has its place in the card
    notebook.check()


def test_a_slider_by_keyboard_changes_the_figure(page):
    figure = plot(page, "Formula")
    before = figure.get_attribute("data-last")
    slider = panel(page, "Formula").get_by_role("slider", name="Temperature")
    expect(slider).to_have_attribute("aria-valuetext", "4")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "4.5")
    expect(figure).not_to_have_attribute("data-last", before)
    expect(figure).to_have_attribute("aria-label", re.compile(r"At temperature 4\.5 the first class has 0\.\d\d\."))
    expect(panel(page, "Formula").locator(".kd-reading")).to_have_text(re.compile(r"At temperature 4\.5"))
    expect(figure.locator(".gtitle")).to_have_text("T = 4.5")
    press(page, "Formula", "Hot")
    expect(slider).to_have_attribute("aria-valuetext", "50")
    expect(figure.locator(".gtitle")).to_have_text("T = 50")
    press(page, "Formula", "Reset")
    expect(figure).to_have_attribute("data-last", before)


def test_train_pause_step_stop_and_reload(page):
    title, status = "Fake training", panel(page, "Fake training").get_by_role("status")
    expect(status).to_have_text("Ready: Train starts a run.")
    press(page, title, "Train")
    wait_for(lambda: points(page, title)[0] > 20, what="streaming")
    expect(status).to_have_text(re.compile(r"Training at step \d+ of 2000, about .+ left\."))

    press(page, title, "Pause")
    expect(status).to_have_text(re.compile("Paused at step"))
    frozen = int(re.search(r"step (\d+) of", status.text_content())[1]) + 1
    wait_for(lambda: points(page, title)[0] == frozen, what="the last frame")       # all of it is on the screen
    page.wait_for_timeout(600)
    assert points(page, title)[0] == frozen and f"Paused at step {frozen - 1} of" in status.text_content()

    press(page, title, "Step")
    wait_for(lambda: points(page, title)[0] == frozen + 1, what="a step")
    slider = panel(page, title).get_by_role("slider", name="Target")
    last = plot(page, title).get_attribute("data-last")
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    assert points(page, title)[0] == frozen + 1 and last == plot(page, title).get_attribute("data-last")

    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.reload()
    expect(plot(page, title)).to_have_attribute("data-seq", re.compile(r"\d+"), timeout=60_000)
    assert points(page, title) == [frozen + 1, 4, 5]
    assert len(page.locator(".kd-panel").all()) == 2

    press(page, title, "Train")
    wait_for(lambda: points(page, title)[0] > frozen + 10, what="going on after the reload")
    panel(page, title).get_by_label("Full speed").check()
    expect(status).to_have_text(re.compile(r"Done: 2000 steps in .+ s\. Train starts afresh\."), timeout=30_000)
    wait_for(lambda: points(page, title)[0] == 2001, what="the last frame")
    press(page, title, "Train")
    panel(page, title).get_by_role("button", name="Stop", exact=True).click(force=True)   # the run may be over
    expect(status).to_have_text(re.compile("Stopped|Done"))
    press(page, title, "Reset")
    wait_for(lambda: points(page, title)[0] == 0, what="reset")


def test_after_a_restart_a_panel_keeps_its_picture_and_says_what_to_do(page):
    before = plot(page, "Formula").get_attribute("data-last")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    for title in ("Formula", "Fake training"):
        expect(panel(page, title).locator(".kd-status")).to_have_text(re.compile("is gone.*Run its cell again"))
    assert plot(page, "Formula").get_attribute("data-last") == before
    broken = panel(page, "Formula").locator(".jupyter-widgets-disconnected").first
    assert broken.evaluate("part => getComputedStyle(part, '::before').display") == "none"    # no red broken link


def test_plotly_is_loaded_once_and_no_message_carries_it_again(lab, notebook):
    frames = []
    notebook.page.on("websocket", lambda socket: socket.on("framereceived", lambda data: frames.append(len(data))))
    notebook.page.add_init_script("""
        const create = URL.createObjectURL;
        URL.createObjectURL = (blob) => {
          if (blob.size > 1e6) (window.large ??= []).push(blob.size);
          return create.call(URL, blob);
        };""")
    notebook.open(lab.write("twice.ipynb", SETUP, FORMULA, TRAINING, "formula"))
    notebook.run_all()
    notebook.page.wait_for_function("() => document.querySelectorAll('.kd-plot[data-seq]').length === 3",
                                    timeout=60_000)
    assert len(notebook.page.evaluate("() => window.large")) == 1       # parsed once, for three views
    large = [size for size in frames if size > 500_000]
    assert len(large) == 1 and large[0] < 2_500_000
    press_all = panel(notebook.page, "Formula")
    press_all.first.get_by_role("button", name="Hot").click()           # both views of one panel follow
    for view in press_all.locator(".kd-plot").all():
        expect(view).to_have_attribute("aria-label", re.compile("At temperature 50"))
    notebook.check()


def test_figures_show_while_later_cells_run(lab, notebook):
    busy = "import pathlib\nwhile not pathlib.Path('seen').exists():\n    time.sleep(0.1)"
    notebook.open(lab.write("busy.ipynb", SETUP, FORMULA, busy))
    notebook.run_all()
    expect(plot(notebook.page, "Formula")).to_have_attribute("data-points", "5", timeout=60_000)
    assert plot(notebook.page, "Formula").get_attribute("data-seq") is None     # the kernel has not answered yet
    expect(notebook.page.get_by_text("Waiting for the kernel")).to_be_visible()
    (lab.folder / "seen").touch()
    expect(plot(notebook.page, "Formula")).to_have_attribute("data-seq", re.compile(r"\d+"))
    expect(notebook.page.get_by_text("Waiting for the kernel")).to_be_hidden()
    figure = plot(notebook.page, "Formula").element_handle()
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    wait_for(lambda: figure.evaluate("plot => plot.isConnected === false && !plot._fullLayout"), what="Plotly's leave")
    notebook.check()


def test_a_table_reads_from_the_left(lab, notebook):
    """JupyterLab sets the cells of tables to the right, by a rule that is stronger than one of a single class."""
    notebook.open(lab.write("table.ipynb", "import pandas as pd\nfrom kdutils.plots import Table\n"
                                           "Table(pd.DataFrame({'claim': ['one\\ntwo'], 'seeds': [6]}))"))
    notebook.run_all()
    expect(notebook.page.locator(".kd-table td")).to_have_count(2)
    look = notebook.page.evaluate("""() => [...document.querySelectorAll('.kd-table :is(th, td)')].map((cell) => {
        const {textAlign, verticalAlign, whiteSpaceCollapse} = getComputedStyle(cell);
        return [textAlign, verticalAlign, whiteSpaceCollapse].join(); })""")
    assert set(look) == {"left,top,preserve-breaks"}
    notebook.check()


def change_theme(page, theme: str) -> None:
    """And wait for JupyterLab's splash to go: of two themes within its 200 ms, JupyterLab removes the splash twice."""
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    page.wait_for_selector("#jupyterlab-splash", state="detached")


def test_zoom_and_theme_survive_streaming(page):
    title = "Fake training"
    press(page, title, "Train")
    wait_for(lambda: points(page, title)[0] > 20)
    area = plot(page, title).locator(".nsewdrag.drag").first.bounding_box()
    page.mouse.move(area["x"] + 40, area["y"] + 40)
    page.mouse.down()
    page.mouse.move(area["x"] + 160, area["y"] + 140, steps=12)
    n = points(page, title)[0]
    page.wait_for_timeout(400)
    page.mouse.up()
    ranges = "gd => JSON.stringify([gd.layout.xaxis.range, gd._fullLayout.xaxis.range])"
    zoomed = json.loads(plot(page, title).evaluate(ranges))[1]
    wait_for(lambda: points(page, title)[0] > n + 60, what="streaming after a zoom")
    assert json.loads(plot(page, title).evaluate(ranges))[1] == pytest.approx(zoomed)

    ink = plot(page, title).evaluate("gd => gd._fullLayout.font.color")
    change_theme(page, "JupyterLab Dark")
    wait_for(lambda: plot(page, title).evaluate("gd => gd._fullLayout.font.color") != ink, what="the dark theme")
    change_theme(page, "JupyterLab Light")
    wait_for(lambda: plot(page, title).evaluate("gd => gd._fullLayout.font.color") == ink, what="the light theme")
    press(page, title, "Stop")


def test_a_figure_follows_the_width_of_its_cell_even_when_drawn_out_of_sight(page):
    title = "Fake training"

    def width() -> float:
        return plot(page, title).evaluate("gd => gd._fullLayout.width")

    page.set_viewport_size({"width": 640, "height": 900})
    wait_for(lambda: 300 < width() < 640, what="a narrow figure")
    page.add_style_tag(content=".out-of-sight .kd-plot { display: none }")
    page.evaluate("() => document.body.classList.add('out-of-sight')")
    press(page, title, "Train")
    wait_for(lambda: points(page, title)[0] > 20)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.evaluate("() => document.body.classList.remove('out-of-sight')")
    wait_for(lambda: width() > 900, what="a wide figure")
    press(page, title, "Stop")
    wait_for(lambda: width() > 900, what="still a wide figure")


@pytest.mark.alone
def test_sliders_answer_while_training_at_full_speed_on_the_page_and_on_the_stage(page):
    """Slider to kernel: both are on this machine, so their clocks are one. Catches a stage that measures its words
    again with every frame, and a callback that waits for the run."""
    title = "Fake training"
    page.evaluate("""() => {
        window.moved = [];
        document.addEventListener('keydown', ({ key }) => /^Arrow/.test(key) && moved.push(Date.now()), true); }""")
    panel(page, title).get_by_label("Full speed").check()
    page.evaluate("() => { window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute("
                  "{code: 'Fake.steps = 10_000_000; Fake.heard.clear()'}); }")
    press(page, title, "Train")
    wait_for(lambda: points(page, title)[0] > 50)
    slider = panel(page, title).get_by_role("slider", name="Target")
    slider.focus()
    frames = {"page": moves_while_it_draws(page, title)}
    page.keyboard.press("Shift+F")
    expect(panel(page, title)).to_have_class(re.compile("kd-stage"))
    slider.focus()
    frames["stage"] = moves_while_it_draws(page, title)
    start = time.monotonic()
    press(page, title, "Stop")
    expect(panel(page, title).get_by_role("status")).to_have_text(re.compile("Stopped"))
    stopped = time.monotonic() - start
    heard = page.evaluate("""async () => {
        const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
        let text = "";
        const future = kernel.requestExecute({code: "print(*Fake.heard)"});
        future.onIOPub = (message) => { if (message.content.text) text += message.content.text; };
        await future.done;
        return text; }""")
    heard = [1000 * float(at) for at in heard.split()]
    moved = page.evaluate("() => window.moved")
    assert len(moved) == 2 * MOVES
    delays = [min((at - key for at in heard if at >= key - 1), default=9999) for key in moved]
    for place, own in (("page", delays[:MOVES]), ("stage", delays[MOVES:])):
        print(f"{place}: slider to draw: median {statistics.median(own):.0f} ms, max {max(own):.0f} ms; "
              f"{frames[place]:.1f} frames a second")
        # The aim is 30 ms, measured 18; a busy machine gets room, a callback that waits for the run none.
        assert statistics.median(own) < 250
    assert stopped < 10     # the aim is at once
    assert frames["stage"] > frames["page"] / 3     # a figure of four times as many pixels


MOVES = 20


def moves_while_it_draws(page, title: str) -> float:
    """Move the slider that has the focus; frames drawn a second meanwhile."""
    start, first = time.monotonic(), int(plot(page, title).get_attribute("data-seq"))
    for move in range(MOVES):
        page.keyboard.press("ArrowRight" if move % 10 < 5 else "ArrowLeft")
        page.wait_for_timeout(120)
    return (int(plot(page, title).get_attribute("data-seq")) - first) / (time.monotonic() - start)
