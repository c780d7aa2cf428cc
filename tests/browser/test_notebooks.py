"""The notebooks of the course in a real JupyterLab: Run All, move, train, stop, answer, reload."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
DRAWN = re.compile(r"\d+(,\d+)*")

# Everything is asked of the notebook's model: cells out of sight have no place in the page.
CELLS = """() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells.map((cell) => {
    const {id, cell_type, execution_count, outputs, metadata} = cell.toJSON();
    return {id, cell_type, execution_count, tags: metadata.tags ?? [], outputs: outputs ?? []}; })"""
SHOW = """async (id) => {
    const {content} = window.jupyterapp.shell.currentWidget;
    const index = content.widgets.findIndex((widget) => widget.model.id === id);
    await content.scrollToItem(index, 'start');
    content.widgets[index].node.dataset.name = id; }"""
ASK = """async (code) => {
    const {kernel} = window.jupyterapp.shell.currentWidget.sessionContext.session;
    let text = "";
    const future = kernel.requestExecute({code});
    future.onIOPub = (message) => { if (message.content.text) text += message.content.text; };
    await future.done;
    return text; }"""


class Page:
    """A notebook of the course, open in JupyterLab; cells are named by their ids."""

    def __init__(self, lab, notebook, name: str):
        stored = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
        (parameters,) = [cell for cell in stored.cells if "parameters" in cell.metadata.get("tags", [])]
        assert parameters.source.count('profile = "lecture"') == 1
        parameters.source = parameters.source.replace('profile = "lecture"', 'profile = "smoke"')
        nbformat.write(stored, lab.folder / f"{name}.ipynb")
        self.notebook, self.page = notebook, notebook.page
        notebook.open(f"{lab.url}/doc/tree/{name}.ipynb")

    def run_all(self) -> list[dict]:
        """Run every cell to its end; all cells, with what they put out."""
        self.notebook.run_all()
        wait_for(lambda: not self.waiting(), 120, lambda: f"the end of {self.waiting()}")
        self.notebook.idle()
        return self.page.evaluate(CELLS)

    def waiting(self) -> list[str]:
        """Code cells that have not run."""
        return [cell["id"] for cell in self.page.evaluate(CELLS) if cell["cell_type"] == "code"
                and not cell["execution_count"]]

    def cell(self, name: str):
        """The cell of this id, scrolled to where a reader would look at it."""
        self.page.evaluate(SHOW, name)
        return self.page.locator(f'[data-name="{name}"]')

    def panel(self, name: str):
        """The live panel in a cell, once its figure is drawn and the kernel has answered."""
        found = self.cell(name).locator(".kd-panel")
        expect(found.locator(".kd-plot")).to_have_attribute("data-points", DRAWN, timeout=60_000)
        expect(found.locator(".kd-plot")).to_have_attribute("data-seq", re.compile(r"\d+"), timeout=60_000)
        return found

    def figure(self, name: str) -> None:
        """The figure of results in a cell, once it is drawn, by the widget that draws those of panels."""
        found = self.cell(name).locator(".kd-plot[data-points] svg.main-svg")
        expect(found.first).to_be_visible(timeout=60_000)

    def reload(self) -> None:
        self.notebook.save()
        self.page.reload()
        self.page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=90_000)


def points(panel) -> list[int]:
    """Points on the screen, per trace of the panel's figure."""
    return [int(n) for n in panel.locator(".kd-plot").get_attribute("data-points").split(",")]


def last(panel) -> str:
    return panel.locator(".kd-plot").get_attribute("data-last")


def wait_for(condition, timeout=60.0, what=lambda: "it"):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    pytest.fail(f"{what()} did not happen within {timeout:g} s")


HARD_MEAN = 2       # the third trace of the temperature lab: mean accuracy of the hard-label students

PAGES = [
    # notebook, static figures, (question, panel that needs no training, reveal), (question, temperature lab, reveal)
    ("00_start_here", ["first-run", "example-images"],
     ("panel-prediction", "panel-softmax", "panel-reveal"), ("live-prediction", "live-panel", "live-reveal")),
    ("01_dark_knowledge", ["first-result-run", "one-example-image", "experiment-figure", "control-figure",
                           "omitted-figure"],
     ("softmax-prediction", "softmax-panel", "softmax-reveal"), ("lab-prediction", "lab-panel", "lab-reveal")),
]


@pytest.mark.parametrize(("name", "figures", "formula", "training"), PAGES, ids=[page[0] for page in PAGES])
def test_a_reader_works_through_the_page(lab, notebook, name, figures, formula, training):
    page = Page(lab, notebook, name)
    everything_ran_without_an_error(cells := page.run_all())
    the_experiment_is_done(cells)
    for figure in figures:
        page.figure(figure)

    predict_and_look_again(page, formula[0], formula[2])
    slid_to = a_slider_by_keyboard_moves_the_figure(page.panel(formula[1]))
    the_note_is_asked_line_by_line_on_the_stage(page.panel(formula[1]))
    learnt, said = train_then_stop(page.panel(training[1]))
    predict_and_look_again(page, training[0], training[2])
    open_a_recall_option(page)

    page.reload()
    panel = page.panel(training[1])
    assert points(panel)[HARD_MEAN] == learnt, "the curves of before the reload are gone"
    assert not page.page.locator("[data-title^='Share chart']").count(), "a button that would upload the figure"
    expect(panel.get_by_role("status")).to_have_text(said)
    train_then_stop(page.panel(training[1]))      # and it is alive
    expect(page.panel(formula[1]).get_by_role("slider", name="Temperature T")).to_have_attribute(
        "aria-valuetext", slid_to)
    for figure in figures[:2]:
        page.figure(figure)

    alive = page.page.evaluate(ASK, "import threading\nprint(*[t.name for t in threading.enumerate() "
                                    "if t.name.startswith('kdutils')])")
    assert alive.strip() == "", "a run goes on after Stop"
    notebook.check()


def everything_ran_without_an_error(cells: list[dict]) -> None:
    for cell in cells:
        for output in cell["outputs"]:
            assert output["output_type"] != "error", f"{cell['id']}: {output['ename']}: {output['evalue']}"
            assert output.get("name") != "stderr", f"{cell['id']}: {output['text']}"
    (end,) = [cell for cell in cells if "finish" in cell["tags"]]
    said = "".join(output["text"] for output in end["outputs"] if output["output_type"] == "stream")
    assert "not finished" not in said, said
    assert [one["data"]["text/plain"] for one in end["outputs"] if "data" in one] == ["finished = True"]
    checks = [cell for cell in cells if any(tag.startswith("check:") for tag in cell["tags"])]
    assert checks and all("not done yet" in cell["outputs"][0]["data"]["text/plain"] for cell in checks)


def the_experiment_is_done(cells: list[dict]) -> None:
    """Catches a page that still says how long its experiment will take, when it is over; and one that says it twice."""
    (run,) = [cell for cell in cells if cell["id"] in ("experiment-run", "first-run")]
    shown = ["".join(one.get("data", {}).get("text/html", "")) for one in run["outputs"]]
    told = [page for page in shown if "kd-waiting" in page]
    assert len(told) == 1 and re.search(r"<summary>Done: \d+ parts in \d+ s\.</summary>", told[0]), told


def predict_and_look_again(page: Page, question: str, reveal: str) -> None:
    """The answer is folded until the reader has chosen; then it follows the choice."""
    folded = page.cell(reveal).locator("details", has_text="No prediction yet")
    expect(folded).to_be_visible(timeout=30_000)
    expect(page.cell(reveal).get_by_text("What happens:", exact=False)).to_be_hidden()
    for number in (0, 1):
        # By its words, as a reader would: a radio button of ipywidgets is named by the label around it.
        option = page.cell(question).locator(".widget-radio-box label").nth(number)
        words = option.text_content().strip()
        assert option.locator("input").bounding_box()["x"] < option.bounding_box()["x"] + 5, "circle first"
        option.click()
        expect(page.cell(question).get_by_text(f"Noted: {words}")).to_be_visible()
        expect(page.cell(reveal).get_by_text(f"You predicted: {words}.", exact=False)).to_be_visible()
        expect(folded).to_have_count(0)


def a_slider_by_keyboard_moves_the_figure(panel) -> str:
    slider = panel.get_by_role("slider", name="Temperature T")
    before, said = last(panel), panel.locator(".kd-reading").text_content()
    at = slider.get_attribute("aria-valuetext")
    slider.focus()
    for _ in range(3):
        slider.press("ArrowRight")
    expect(slider).not_to_have_attribute("aria-valuetext", at)
    expect(panel.locator(".kd-plot")).not_to_have_attribute("data-last", before)
    expect(panel.locator(".kd-reading")).not_to_have_text(said)
    now = slider.get_attribute("aria-valuetext")
    expect(panel.locator(".kd-reading")).to_have_text(re.compile(rf"At T = {re.escape(now)} "))
    return now


def the_note_is_asked_line_by_line_on_the_stage(panel) -> None:
    keyboard, line = panel.page.keyboard, panel.locator(".kd-asked span")
    panel.get_by_role("button", name="Stage", exact=True).click()
    expect(line).to_have_text(re.compile("^Predict: "))
    first = line.text_content()
    keyboard.press("n")
    expect(line).not_to_have_text(first)
    expect(panel.get_by_role("button", name=re.compile(r"Next \(2 of \d\)"))).to_be_visible()
    keyboard.press("Shift+N")
    expect(line).to_have_text(first)
    keyboard.press("Escape")
    expect(panel).not_to_have_class(re.compile("kd-stage"))
    expect(line).to_have_count(0)


def stop(panel) -> None:
    """Press Stop whether the run still goes on or not: when it has ended the button is off, and no wait turns it on."""
    panel.get_by_role("button", name="Stop", exact=True).click(force=True)


def train_then_stop(panel) -> tuple[int, str]:
    """How many points the curve has when it has stopped, and what the status says."""
    status = panel.get_by_role("status")
    for _ in range(3):      # a run takes five seconds: a busy machine may come too late to stop it
        panel.get_by_role("button", name="Train", exact=True).click()
        expect(panel.locator(".kd-reading")).not_to_have_text(re.compile("^Pale"))  # the recorded answer has gone
        wait_for(lambda: 3 < points(panel)[HARD_MEAN] < 60, what=lambda: "a curve that grows")
        stop(panel)
        expect(status).to_have_text(re.compile(r"(Stopped at step \d+ of 300|Done: 300 steps)"))
        said = status.text_content()
        if said.startswith("Stopped"):
            break
    assert said.startswith("Stopped"), said
    step = int(re.search(r"step (\d+)", said)[1])
    wait_for(lambda: points(panel)[HARD_MEAN] == step // 5 + 1, what=lambda: "the last frame")
    expect(panel.locator(".kd-reading")).to_have_text(re.compile("distilled students .+ hard-label students"))
    return points(panel)[HARD_MEAN], said


def open_a_recall_option(page: Page) -> None:
    option = page.cell("recall").locator("details").first
    why = option.locator("p").first
    expect(why).to_be_hidden()
    option.locator("summary").click()
    expect(why).to_be_visible()
    expect(why).to_have_text(re.compile(r"^(No|Right)\."))


@dataclass(frozen=True)
class Later:
    """What is looked at on a page whose panels have sliders of their own; cells by their ids."""

    name: str
    figures: tuple[str, ...]
    predicted: tuple[str, str]          # a question and its reveal
    still: tuple[str, re.Pattern]       # the panel that needs no training, and its slider
    trained: tuple[str, ...]            # the live panels
    drawn: tuple[str, ...] = ()         # further panels


LATER = (
    Later("02_tolerant_teachers",
          ("mass-figure", "gain-figure", "generations-figure", "united-figure", "probe-figure", "hundred-figure",
           "fails-figure"),
          ("answer-prediction", "answer-reveal"), ("answer-panel", re.compile("Strength")),
          ("lab-panel", "tree-panel"), ("secondaries-panel",)),
    Later("03_subclass_distillation",
          ("discovery-figure", "used-figure", "few-figure", "controls-figure", "speed-figure", "clicks-figure",
           "hundred-figure", "fails-figure"),
          ("tells-prediction", "tells-reveal"), ("tells-panel", re.compile("Temperature T")),
          ("split-panel", "toy-panel", "race-panel")),
    Later("04_spherical_distillation",
          ("gap-figure", "confidence-figure", "dial-figure", "ablation-figure", "optimiser-figure", "hundred-figure"),
          ("direction-prediction", "direction-reveal"), ("direction-panel", re.compile("Student's angle")),
          ("meter-panel",), ("dial-panel",)),
    Later("05_extracurricular_learning",
          ("first-result-picture", "one-example-eyes", "toy-figure", "gaze-figure", "calibration-figure",
           "digits-figure", "numbers-figure", "keep-figure", "second-figure", "large-eyes-seen", "large-eyes-figure",
           "large-eyes-calibration", "equal-figure", "far-figure"),
          ("dots-prediction", "dots-reveal"), ("tug-panel", re.compile("Student's mean")), ("lab-panel",),
          ("dots-panel", "spend-panel")),
    Later("06_beyond_compression",
          ("gains-figure", "rules-figure", "probe-figure", "mimicry-figure", "noise-figure", "rare-figure",
           "gap-figure", "fails-figure"),
          ("lenses-prediction", "lenses-reveal"), ("lenses-panel", re.compile("How much")),
          ("poison-panel", "tail-panel", "race-panel")),
)


@pytest.mark.parametrize("later", LATER, ids=[later.name for later in LATER])
def test_a_reader_works_through_a_later_page(lab, notebook, later):
    page = Page(lab, notebook, later.name)
    everything_ran_without_an_error(cells := page.run_all())
    the_experiment_is_done(cells)
    for figure in later.figures:
        page.figure(figure)

    predict_and_look_again(page, *later.predicted)
    panel = page.panel(later.still[0])
    before, said = last(panel), panel.locator(".kd-reading").text_content()
    slider = panel.get_by_role("slider", name=later.still[1])
    slider.focus()
    slider.press("PageUp")
    expect(panel.locator(".kd-plot")).not_to_have_attribute("data-last", before)
    expect(panel.locator(".kd-reading")).not_to_have_text(said)

    for name in later.drawn:
        page.panel(name)
    learnt = {name: grow_then_stop(page.panel(name)) for name in later.trained}
    page.reload()
    for name, drawn in learnt.items():
        assert points(page.panel(name)) == drawn, "the curves of before the reload are gone"
    alive = page.page.evaluate(ASK, "import threading\nprint(*[t.name for t in threading.enumerate() "
                                    "if t.name.startswith('kdutils')])")
    assert alive.strip() == "", "a run goes on after Stop"
    notebook.check()


def grow_then_stop(panel) -> list[int]:
    """Points per trace when it has stopped, all of them on the screen."""
    panel.get_by_role("button", name="Train", exact=True).click()
    expect(panel.locator(".kd-reading")).not_to_have_text(re.compile("^Pale"))      # the recorded answer has gone
    begun = sum(points(panel))
    wait_for(lambda: sum(points(panel)) > begun or "Done" in panel.get_by_role("status").text_content(),
             what=lambda: "a figure that grows")
    stop(panel)
    expect(panel.get_by_role("status")).to_have_text(re.compile(r"(Stopped|Done)"))
    return wait_for(lambda: settled(panel), what=lambda: "the last frame")


def settled(panel) -> list[int]:
    """Points per trace if none came for a while, else nothing."""
    before = points(panel)
    panel.page.wait_for_timeout(1000)
    return before if points(panel) == before else []
