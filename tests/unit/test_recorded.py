"""Recorded answers: what a run adds to a figure is kept, shown pale, and gives way to the reader's own run."""

import ast
import gc
import json
import re
import weakref
from pathlib import Path

import nbformat
import numpy as np
import pytest
import showcase
from tiny_panels import Training, button, shown

import kdutils.lessons
from kdutils import pages
from kdutils.course.knobs import knobs
from kdutils.course.predict import Prediction
from kdutils.lessons.record_panels import openings, record_panels
from kdutils.live import recorded
from kdutils.live.training_panel import TrainingPanel


class Recorded(Training):
    total = 5
    n_seeds = 4


@pytest.fixture
def answer(monkeypatch, tmp_path):
    """The recording of a run of six points, kept in a file of its own."""
    monkeypatch.setattr(recorded, "path_of", lambda kind: tmp_path / recorded.FILE)
    panel = Recorded()
    made = recorded.record(panel)
    assert recorded.save(panel, made).exists()
    return made


def test_a_recording_holds_what_the_run_changed_and_where_it_comes_from(answer):
    assert set(answer.traces) == {"loss"}       # not "target", which is there before any run
    np.testing.assert_allclose(answer.traces["loss"]["points"]["y"], np.exp(-np.arange(6) / 10), rtol=1e-3)
    assert answer.seeds == 4 and answer.values == {"temperature": 4.0} and answer.reading == "6 points."
    assert recorded.load(Recorded()) == answer


def test_a_panel_on_a_page_shows_it_pale_until_it_runs(answer):
    panel = Recorded()
    assert panel.points == 0                    # from Python nothing is shown
    shown(panel)
    assert panel.points == 6 and panel.words().startswith(f"Pale: recorded on {answer.date}, 4 seeds. 6 points.")
    assert panel.status == "Ready: Train starts your run; the pale one is recorded."    # its date stands in the words
    trace = next(trace for trace in panel.chart.figure().data if trace.uid == "loss")
    assert trace.opacity == recorded.PALE
    panel.set(temperature=9)                    # a control draws what is its own, and leaves the rest
    assert panel.points == 6 and panel.chart.points("target")["y"] == [9]
    button(panel, "Train").click()
    assert panel.wait(30) and panel.points == 6 and panel.words() == "6 points."
    trace = next(trace for trace in panel.chart.figure().data if trace.uid == "loss")
    assert trace.opacity is None
    panel.reset()
    assert panel.wait(30) and panel.words().startswith("Pale: ")


def test_a_run_from_python_or_without_a_reader_never_mixes_with_it(answer):
    panel = Recorded()
    panel.before_static()
    assert panel.points == 6 and panel.recorded is None
    again = shown(Recorded())
    again.step()
    assert again.points == 1 and again.recorded is None
    assert again.stop()


def test_a_recording_of_other_values_or_settings_is_not_shown(answer):
    """Catches a page with other parameters on which the recorded answer of the stored ones stands as its own."""
    other = shown(Recorded(temperature=9.0))
    assert other.recorded is None and other.points == 0 and other.status == "Ready: Train starts a run."
    another = Recorded()
    another.settings = lambda: {"m": 3.0}
    assert recorded.load(another) is None and recorded.load(Recorded()) == answer


@pytest.mark.parametrize("damage", ["{half", "[" * 100_000, "[]", '{"Recorded": {"values": {}}}', '{"Recorded": 3}'])
def test_a_damaged_file_costs_the_recording_and_not_the_panel(answer, tmp_path, damage):
    (tmp_path / recorded.FILE).write_text(damage)
    panel = Recorded()
    with pytest.warns(UserWarning, match="recorded answers in .* cannot be used .*; install the course again"):
        shown(panel)
    assert panel.recorded is None and panel.status == "Ready: Train starts a run."


def test_where_it_would_tell_the_answer_it_waits_for_the_prediction(answer, monkeypatch):
    """Catches a recording beside its question, one that overtakes a reader's run, and a question that keeps panels."""
    monkeypatch.setenv("KDUTILS_HEADLESS", "0")
    question = Prediction("How low?", ["low", "high"], answer="low", because="so.")
    panel = shown(Recorded(question=question))
    panel.reset()
    assert panel.wait(30) and panel.recorded is None and panel.points == 0 and panel.words() == "0 points."
    assert panel.status.startswith("Ready: answer the question above") and answer.date not in panel.status
    question.choose("high")
    assert panel.points == 6 and panel.words().startswith("Pale: ") and answer.date in panel.words()
    assert panel.status == "Ready: Train starts your run; the pale one is recorded."
    first = shown(Recorded(question=Prediction("How low?", ["low", "high"], answer="low", because="so.")))
    first.step()
    first.question.choose("low")
    assert first.points == 1 and first.recorded is None and first.stop()
    gone = weakref.ref(Recorded(question=question))
    gc.collect()
    assert gone() is None
    question.choose("low")


def test_without_a_reader_no_prediction_is_waited_for(answer, monkeypatch):
    monkeypatch.setenv("KDUTILS_HEADLESS", "1")
    assert shown(Recorded(question=Prediction("How low?", ["low", "high"], answer="low", because="so."))).points == 6


# Recordings that say nothing of what is asked above them: the question is about another setting.
TELLS_NOTHING = {
    ("01_dark_knowledge", "TemperatureLab"): "one T; asked is what T changes",
    ("02_tolerant_teachers", "ToleranceLab"): "T = 1; asked is T = 4",
    ("03_subclass_distillation", "SplitMyClass"): "beta 0.1; asked is beta 0. The toy's does tell",
    ("03_subclass_distillation", "FewLabelsRace"): "50 labels, of which the question says it; asked is 1,000",
    ("05_extracurricular_learning", "GazeLab"): "fresh eyes; asked is mixtures",
    ("06_beyond_compression", "PoisonLabels"): "no noise; asked is 60%",
}


@pytest.mark.parametrize("path", sorted(pages.folder().glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_live_panel_has_a_question_and_no_recording_answers_it(path):
    """Catches a panel without a prediction, and a recorded answer that is shown beside the question that it answers."""
    live = {name for name, kind in showcase.panels().items() if issubclass(kind, TrainingPanel)}
    asked, known = None, dict(TELLS_NOTHING)
    for cell in nbformat.read(path, as_version=4).cells:
        made = re.search(r"^(\w+) = Prediction\(", cell.source, re.MULTILINE)
        asked = made[1] if made else asked
        for name in live:
            if any(tag.startswith("panel:") for tag in cell.metadata.get("tags", [])) and f" {name}(" in cell.source:
                assert asked, f"{cell.id}: no prediction stands before it"
                assert f"question={asked})" in cell.source or known.pop((path.stem, name), None), cell.id
                asked = None
    assert not [name for page, name in known if page == path.stem]


def opened_by_pages():
    """(page, name of the recording, values of the controls) of every live panel of the stored pages."""
    known = showcase.panels()
    for path in sorted(pages.folder().glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        values = {knob.name: knob.value for knob in knobs(notebook)}
        for cell in notebook.cells:
            if any(tag.startswith("panel:") for tag in cell.metadata.get("tags", [])):
                calls = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)
                         and getattr(node.func, "id", "") in known]
                (call,) = calls
                kind, given = known[call.func.id], {one.arg: ast.unparse(one.value) for one in call.keywords}
                controls = {one.name: one.default for one in kind.controls}
                controls |= {name: eval(text, {}, values) for name, text in given.items() if name in controls}
                variants = getattr(kind, "openings", {})
                variant = next((one for one in variants if one and given.get("data") == repr(one)), "")
                if variants:
                    yield path.stem, f"{kind.__name__} {variant or next(iter(variants))}".strip(), controls


@pytest.mark.parametrize(("page", "name", "values"), list(opened_by_pages()), ids=lambda one: str(one)[:40])
def test_the_recording_is_that_of_the_values_with_which_its_page_opens_the_panel(page, name, values):
    """Catches an opening that no page has: its recording would never be shown."""
    files = Path(kdutils.lessons.__file__).parent.glob("*/panels/recorded.json")
    kept = {key: entry for path in files for key, entry in json.loads(path.read_text()).items()}
    assert kept[name]["values"] == values


def test_traces_that_a_figure_lacks_are_left_out(answer):
    strange = recorded.RecordedAnswer(**{**vars(answer), "traces": {**answer.traces, "no such trace": {
        "points": {"y": [1]}, "look": {}}}})
    panel = Recorded()
    strange.put(panel.chart)
    assert panel.points == 6


def test_buttons_look_as_if_they_had_something_to_do_only_when_they_have(answer):
    panel = shown(Recorded())

    def off():
        return {words for words in ("Train", "Pause", "Step", "Stop")
                if "kd-off" in button(panel, words)._dom_classes}

    assert off() == {"Pause", "Stop"}
    button(panel, "Step").click()
    assert off() == {"Pause"} and panel.runner.at.step == 1     # the first press moves
    assert "Step takes one more" in panel.status
    panel.stop()
    assert off() == {"Pause", "Stop"}


def test_every_recording_of_the_course_says_when_and_with_how_many_seeds(refuses):
    files = sorted(Path(kdutils.lessons.__file__).parent.glob("*/panels/recorded.json"))
    kept = {name: entry for path in files for name, entry in json.loads(path.read_text()).items()}
    assert set(kept) == set(openings())
    for entry in kept.values():
        assert entry["date"] >= "2026-11" and entry["seeds"] >= 5 and entry["traces"]
        assert "ress Train" not in entry["reading"] and not entry["reading"].startswith("Pale")
    with refuses("panel", "NoSuchPanel"):
        record_panels(["NoSuchPanel"])
