"""How the labs feel: a real browser, a real kernel, networks training at full speed beside it.

    make bench, or: python -m pytest -s tests/benchmarks/bench_labs.py

Clocks: the browser's and the kernel's are the same machine's. A key press is timed in the page, before anything else
sees it; its arrival where the panel's control changed. Prints a table and writes results/<lab>.json.
The figures are wall clock: run it on a machine that does nothing else, and look at the medians.
"""

import gc
import importlib.util
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np
import psutil
import pytest

from kdutils.cache import write_whole
from kdutils.results import provenance

_path = Path(__file__).parents[1] / "browser" / "conftest.py"
_spec = importlib.util.spec_from_file_location("browser_harness", _path)
harness = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(harness)
lab, new_notebook, notebook = harness.lab, harness.new_notebook, harness.notebook  # pytest fixtures

PRESSES, PAUSES, RELEASES, DRAGS, WARM = 40, 10, 10, 60, 12
EARLY = 5       # ms by which the figure of an answer is on its way before the kernel says Done
PROMISED_MS = {"slider to kernel, median": 30, "slider to kernel, p95": 100, "Pause, worst": 200,
               "first frame after Train, median": 300, "T released to the answer, median": 1500,
               "eta released to the answer, median": 1500, "beta released to the answer, median": 1500}


@dataclass(frozen=True)
class Kind:
    """A lab: its lesson, file and class, the slider moved while it trains, and those let go of: {short name: label}.

    promised: what it promises beside PROMISED_MS, in ms; answers a second are the fewest.
    """

    lesson: str
    file: str
    panel: str
    moved: str
    released: Mapping[str, str]
    promised: Mapping[str, float] = field(default_factory=dict)


KINDS = (Kind("dark_knowledge", "temperature_lab", "TemperatureLab", "Temperature T", {"T": "Temperature T"},
              {"T released to Done, median": 200, "T released to the answer, median": 300,
               "answers a second while T moves": 5, "last key to the last answer drawn": 450}),
         Kind("tolerant_teachers", "tolerance_lab", "ToleranceLab", "Tolerance eta",
              {"eta": "Tolerance eta", "T": "Temperature T"}),
         Kind("subclass_distillation", "split_my_class", "SplitMyClass", "Beta", {"beta": "Beta"}),
         Kind("subclass_distillation", "few_labels_race", "FewLabelsRace",
              "Temperature T", {"T": "Temperature T"}))

TIMED = """
import json, time, torch
torch.set_num_threads(1)
from kdutils.lessons.LESSON.panels.FILE import PANEL

class Timed(PANEL):
    times = []
    def change(self, values):
        self.times.append(("moved", 1000 * time.time()))
        return super().change(values)
    def begin(self):
        self.times.append(("began", 1000 * time.time()))
        super().begin()
    def run_changed(self):
        super().run_changed()
        if self.runner.parked:
            self.times.append(("parked", 1000 * time.time()))
        if self.state == "done":
            self.times.append(("done", 1000 * time.time()))
"""
LISTEN = """() => {
  window.kd = {keys: [], clicks: [], drawn: [], done: [], read: []};
  document.addEventListener('keydown', () => window.kd.keys.push(Date.now()), true);
  document.addEventListener('click', () => window.kd.clicks.push(Date.now()), true);
  const look = (of, note) => new MutationObserver(note).observe(document.querySelector(of),
    {attributes: true, childList: true, characterData: true, subtree: true});
  // A frame's words are there when it arrives, its number when it is on the screen.
  look('.kd-plot', (changes) => {
    const plot = document.querySelector('.kd-plot'), now = Date.now();
    if (changes.some((change) => change.attributeName === 'aria-label')) window.kd.read.push(now);
    if (changes.some((change) => change.attributeName === 'data-seq')) window.kd.drawn.push([now, plot.dataset.seq]);
  });
  look('.kd-status', () => window.kd.done.push([Date.now(), document.querySelector('.kd-status').textContent]));
}"""


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.file)
def kind(request) -> Kind:
    return request.param


@pytest.fixture(scope="module")
def found(kind):
    """What was measured of one lab; printed and written when its tests are through."""
    table: dict[str, float] = {}
    yield table
    wide, promises = max(map(len, table), default=0), PROMISED_MS | kind.promised
    print(f"\n{kind.panel}")
    for name, value in table.items():
        promise = promises.get(name)
        print(f"{name:{wide}}  {value:10.1f}" + (f"   promised: {promise}" if promise else ""))
    out = Path(__file__).parent / "results" / f"{kind.file}.json"
    promised = {name: promise for name, promise in promises.items() if name in table}
    text = json.dumps({"figures": {name: round(value, 1) for name, value in table.items()}, "promised": promised,
                       "cores": os.cpu_count(), "provenance": provenance("cpu", 0)}, indent=1)
    write_whole(out, lambda target: target.write_text(text + "\n"))


def opened(lab, notebook, kind: Kind, how: str):
    """The panel on a page, with ears for keys, clicks, frames and status lines."""
    timed = TIMED.replace("LESSON", kind.lesson).replace("FILE", kind.file).replace("PANEL", kind.panel)
    notebook.open(lab.write(f"{kind.file}.ipynb", timed, f"panel = Timed({how})\npanel"))
    notebook.run_all()
    notebook.page.wait_for_selector(".kd-plot[data-points]", timeout=120_000)
    notebook.idle()
    notebook.page.evaluate(LISTEN)
    return notebook.page


def heard(notebook, lab, kind: str) -> list[float]:
    """Times, in ms, that the kernel wrote down."""
    notebook.page.evaluate(
        "code => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({code}).done",
        "json.dump(Timed.times, open('times.json', 'w'))")
    return [at for what, at in json.loads((lab.folder / "times.json").read_text()) if what == kind]


def press(page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_controls_answer_while_students_train(lab, notebook, kind, found):
    page = opened(lab, notebook, kind, "steps=200_000, full_speed=True")
    press(page, "Train")
    page.wait_for_timeout(1500)
    page.get_by_role("slider", name=kind.moved).focus()
    for number in range(PRESSES):
        page.keyboard.press("ArrowRight" if number % 2 else "ArrowLeft")
        page.wait_for_timeout(100 + 7 * (number % 5))     # quicker ones a busy page unites
    page.wait_for_timeout(500)
    delays = np.subtract(heard(notebook, lab, "moved"), page.evaluate("() => window.kd.keys"))
    found["slider to kernel, median"] = float(np.median(delays))
    found["slider to kernel, p95"] = float(np.percentile(delays, 95))
    clicks = len(page.evaluate("() => window.kd.clicks"))
    for _ in range(PAUSES):
        press(page, "Pause")
        page.wait_for_timeout(400)
        press(page, "Train")
        page.wait_for_timeout(200)
    pressed = page.evaluate("() => window.kd.clicks")[clicks::2]
    pauses = np.subtract(heard(notebook, lab, "parked")[:PAUSES], pressed)
    found["Pause, median"], found["Pause, worst"] = float(np.median(pauses)), float(pauses.max())
    press(page, "Stop")


def test_the_answer_comes_at_once(lab, notebook, kind, found):
    page = opened(lab, notebook, kind, "full_speed=True")
    status, first = page.locator(".kd-status"), []
    for short, label in kind.released.items():
        slider, answers, done, began = page.get_by_role("slider", name=label), [], [], []
        for number in range(RELEASES):
            slider.focus()
            page.keyboard.press("ArrowRight" if number % 2 else "ArrowLeft")
            released = page.evaluate("() => window.kd.keys.at(-1)")
            page.wait_for_function("t => window.kd.read.some(at => at > t)", arg=released)  # before the kernel is asked
            answers.append(drawn_after(page, answered_after(notebook, lab, released)) - released)
            done.append(answered_after(notebook, lab, released) + EARLY - released)
            began.append(min(at for at in heard(notebook, lab, "began") if at > released) - released)
            press(page, "Train")
            clicked = page.evaluate("() => window.kd.clicks.at(-1)")
            done_after(page, clicked)
            first.append(min(at for at, _ in page.evaluate("() => window.kd.drawn") if at > clicked) - clicked)
        found[f"{short} released to the run, median"] = float(np.median(began))
        found[f"{short} released to Done, median"] = float(np.median(done))
        found[f"{short} released to the answer, median"] = float(np.median(answers))
        found[f"{short} released to the answer, worst"] = max(answers)
    assert status.text_content().startswith("Done")
    found["first frame after Train, median"], found["first frame after Train, worst"] = np.median(first), max(first)


def test_answers_follow_a_control_that_moves(lab, notebook, kind, found):
    page = opened(lab, notebook, kind, "full_speed=True")
    (short, label), *_ = kind.released.items()
    page.get_by_role("slider", name=label).focus()
    for _ in range(WARM):                   # compiled kernels may still be on their way
        page.keyboard.press("ArrowRight")
        answered_after(notebook, lab, page.evaluate("() => window.kd.keys.at(-1)"))
    for number in range(DRAGS):
        page.keyboard.press("ArrowLeft" if number // 10 % 2 else "ArrowRight")
        page.wait_for_timeout(55)
    first, last = page.evaluate("n => [window.kd.keys.at(-n), window.kd.keys.at(-1)]", DRAGS)
    answered_after(notebook, lab, last)
    page.wait_for_timeout(1500)
    done = [at for at in heard(notebook, lab, "done") if at > first]
    found["presses a second"] = 1000 * (DRAGS - 1) / (last - first)
    found[f"answers a second while {short} moves"] = 1000 * sum(at < last for at in done) / (last - first)
    found["last key to the last answer"] = max(done) - last
    found["last key to the last answer drawn"] = drawn_after(page, max(done)) - last


def answered_after(notebook, lab, moment: float) -> float:
    """When the kernel had the first answer after `moment`; both in ms."""
    while not (done := [at for at in heard(notebook, lab, "done") if at > moment]):
        notebook.page.wait_for_timeout(50)
    return done[0] - EARLY


def drawn_after(page, moment: float) -> float:
    """When the first figure with other words was on the screen that came after `moment`; both in ms."""
    page.wait_for_function("t => window.kd.read.some(at => at > t)", arg=moment)
    arrived = min(at for at in page.evaluate("() => window.kd.read") if at > moment)
    page.wait_for_function("t => window.kd.drawn.some(([at]) => at >= t)", arg=arrived)
    return min(at for at, _ in page.evaluate("() => window.kd.drawn") if at >= arrived)


def done_after(page, moment: float) -> float:
    """When the first run ended that was not over at `moment`; both in ms."""
    page.wait_for_function("t => window.kd.done.some(([at, text]) => at > t && text.startsWith('Done'))", arg=moment)
    return min(at for at, text in page.evaluate("() => window.kd.done") if at > moment and text.startswith("Done"))


def test_memory_is_flat(kind, found):
    panel = getattr(import_module(f"kdutils.lessons.{kind.lesson}.panels.{kind.file}"), kind.panel)()
    before, process = threading.active_count(), psutil.Process()
    size = []
    for _ in range(120):
        panel.train()
        panel.wait(0.02)
        panel.stop()
        gc.collect()
        size.append(process.memory_info().rss / 2**20)
    found["MB after 20 Train/Stop cycles"], found["MB after 120"] = size[19], size[-1]
    found["threads left"] = threading.active_count() - before
    assert found["threads left"] <= 1
