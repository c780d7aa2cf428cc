"""Panels from Python and through their widgets, with a tiny fake training: controls, buttons, threads, errors."""

import gc
import math
import os
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref

import ipywidgets
import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from helpers import ours, until

from kdutils.errors import ParameterError
from kdutils.headless import headless
from kdutils.live.panel import Control, Panel
from kdutils.live.training_panel import TrainingPanel


class Softmax(Panel):
    """A formula panel: no training."""

    title = "Softmax & co."
    controls = (Control("temperature", "Temperature", "log", low=0.5, high=50.0, default=4.0, help="How soft"),
                Control("classes", "Classes", low=2, high=10, default=5),
                Control("shape", "Shape", "choice", options=("linear", "square")))
    presets = {"hot": {"temperature": 20.0}, "few": {"classes": 2, "shape": "square"}}
    delay = 0.03
    release_error = False

    def __init__(self, **values):
        self.draws, self.releases = [], []
        super().__init__(**values)

    def build_figure(self):
        return go.Figure(go.Scatter(uid="p"))

    def draw(self, changed):
        self.draws.append(changed)
        n = self.values["classes"]
        logits = np.arange(n) ** (1 if self.values["shape"] == "linear" else 2) / self.values["temperature"]
        p = np.exp(logits - logits.max())
        self.chart.set("p", x=np.arange(n), y=p / p.sum())

    def reading(self):
        return f"The top class has {self.chart.points('p')['y'].max():.0%}."

    def check(self, values):
        if values["shape"] == "square" and values["classes"] > 8:
            raise ParameterError(f"classes must be <= 8 for squares, got {values['classes']}.")

    def released(self, changed):
        if self.release_error:
            raise ZeroDivisionError
        self.releases.append((changed, threading.current_thread().name))


class Snapshot:
    def __init__(self, step, steps):
        self.step, self.steps = step, steps


class Training(TrainingPanel):
    """The fake: a loss that falls, one snapshot per step."""

    title = "Training"
    controls = (Control("temperature", "Temperature", "log", low=0.5, high=50.0, default=4.0),)
    presets = {"hot": {"temperature": 20.0}}
    total, nap = 50, 0.0
    patience = 30.0     # a busy machine must not fail a test

    def __init__(self, **values):
        self.finished = self.closed = 0
        self.seen: list[float] = []
        self.threads: set[str] = set()
        super().__init__(**values)

    def build_figure(self):
        return go.Figure([go.Scatter(uid="loss"), go.Scatter(uid="target", x=[0], y=[0])])

    def draw(self, changed):
        self.chart.set("target", x=[0], y=[self.values["temperature"]])

    def reading(self):
        return f"{len(self.chart.points('loss')['y'])} points."

    def start(self):
        try:
            for step in range(self.total + 1):
                time.sleep(self.nap)
                self.seen.append(self.values["temperature"])
                self.threads.add(threading.current_thread().name)
                yield Snapshot(step, self.total)
        finally:
            self.closed += 1

    def observe(self, snapshot):
        self.chart.append("loss", snapshot.step, math.exp(-snapshot.step / 10))

    def finish(self):
        self.finished += 1

    @property
    def points(self) -> int:
        return len(self.chart.points("loss")["y"])


def shown(panel: Panel) -> Panel:
    """The panel with its widget made, as on a page."""
    assert panel.widget is panel.widget
    return panel


def button(panel, label) -> ipywidgets.Button:
    return next(widget for widget in descendants(panel.widget)
                if isinstance(widget, ipywidgets.Button) and widget.description == label)


def descendants(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from descendants(child)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert until(lambda: not ours()), ours()


@pytest.fixture
def reported(monkeypatch):
    errors = []
    monkeypatch.setattr(threading, "excepthook", lambda args: errors.append(args.exc_value))
    return errors


# ---- controls -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("value", "kept"), [
    (3, 3.0), (np.float32(2.5), 2.5), (np.int64(7), 7.0), (torch.tensor(1.5), 1.5), (50.0 + 1e-12, 50.0),
])
def test_numbers_become_plain(value, kept):
    accepted = Control("t", "T", low=0.5, high=50.0).accept(value)
    assert accepted == kept and type(accepted) is float


def test_whole_numbers_stay_whole():
    control = Control("k", "K", low=1, high=10)
    assert type(control.accept(3.0)) is int and control.default == 1
    with pytest.raises(ParameterError, match="k must be a whole number, got 2.5"):
        control.accept(2.5)


@pytest.mark.parametrize("value", [0, 51, math.nan, math.inf, True, "4", None, [4], np.array([1, 2])])
def test_other_values_are_refused(value):
    with pytest.raises(ParameterError, match="t must be between 0.5 and 50"):
        Control("t", "T", low=0.5, high=50.0).accept(value)


@pytest.mark.parametrize("wrong", [
    {"kind": "dial"}, {"low": 1, "high": 1}, {"kind": "log", "low": 0.0}, {"kind": "choice"}, {"default": 7.0},
    {"step": 0.0},
])
def test_impossible_controls_are_refused(wrong):
    with pytest.raises(ParameterError):
        Control(**{"name": "t", "label": "T"} | wrong)


def test_a_logarithmic_slider_offers_round_numbers_and_what_python_sets():
    panel = shown(Softmax())
    slider = panel._inputs["temperature"]
    words = [word for word, _ in slider.options]
    assert words[:5] == ["0.5", "0.55", "0.6", "0.7", "0.8"] and words[-1] == "50" and "4" in words
    panel.set(temperature=3.14159)
    assert slider.value == 3.14159 and slider.label == "3.142"
    assert panel.values["temperature"] == 3.14159
    assert panel.draws[-1] == {"temperature"} and len(panel.draws) == 2


def test_more_than_three_controls_or_wrong_presets_are_the_authors_mistake():
    with pytest.raises(TypeError, match="at most 3 controls"):
        type("Four", (Panel,), {"controls": tuple(Control(name, name) for name in "abcd")})
    with pytest.raises(TypeError, match="Preset 'x' of Wrong: a must be between 0 and 1, got 2"):
        type("Wrong", (Panel,), {"controls": (Control("a", "A"),), "presets": {"x": {"a": 2}}})


# ---- a panel from Python ------------------------------------------------------------------------------------------

def test_set_draws_what_changed():
    panel = Softmax(classes=3)
    assert panel.draws == [{"temperature", "classes", "shape"}]
    before = panel.values
    panel.set(temperature=8, shape="square")
    panel.set(temperature=8)
    assert panel.draws[1:] == [{"temperature", "shape"}]
    assert before["temperature"] == 4
    assert panel.values == {"temperature": 8.0, "classes": 3, "shape": "square"}
    with pytest.raises(TypeError):
        panel.values["temperature"] = 1


def test_preset_and_reset():
    panel = Softmax(classes=3)
    panel.preset("few")
    assert panel.values == {"temperature": 4.0, "classes": 2, "shape": "square"}
    panel.reset()
    assert panel.values == {"temperature": 4.0, "classes": 3, "shape": "linear"}
    with pytest.raises(ParameterError, match="preset must be one of hot, few"):
        panel.preset("cold")


@pytest.mark.parametrize(("values", "sentence"), [
    ({"temperature": -1}, "temperature must be between 0.5 and 50, got -1"),
    ({"classes": 3, "shape": "round"}, "shape must be one of linear, square"),
    ({"temprature": 1}, "Softmax has no control 'temprature'; it has temperature, classes, shape"),
    ({"temperature": 9, "classes": 9, "shape": "square"}, "classes must be <= 8 for squares"),
])
def test_wrong_values_raise_and_nothing_changes(values, sentence):
    panel = Softmax()
    before = panel.values
    with pytest.raises(ParameterError, match=sentence):
        panel.set(**values)
    assert panel.values == before and len(panel.draws) == 1
    with pytest.raises(ParameterError, match=sentence):
        Softmax(**values)


# ---- a panel by hand ----------------------------------------------------------------------------------------------

def test_moving_controls_and_pressing_buttons():
    panel = shown(Softmax())
    panel._inputs["temperature"].value = 20.0
    assert panel.values["temperature"] == 20 and "%" in panel._reading_line.text
    panel._inputs["shape"].value = "square"
    button(panel, "hot").click()
    button(panel, "few").click()
    assert panel.values == {"temperature": 20.0, "classes": 2, "shape": "square"}
    assert panel._inputs["classes"].value == 2
    button(panel, "Reset").click()
    assert panel._inputs["temperature"].value == 4.0 and panel.values["shape"] == "linear"


def test_a_refused_value_is_explained_and_taken_back():
    panel = shown(Softmax(shape="square"))
    calm = panel.status
    panel._inputs["classes"].value = 9
    assert panel.status == "classes must be <= 8 for squares, got 9."
    assert panel._status_line.text == panel.status and panel._status_line.state == "refused"
    assert panel._inputs["classes"].value == panel.values["classes"] == 5
    panel._inputs["classes"].value = 8
    assert panel.values["classes"] == 8 and panel.status == calm


def test_a_callback_that_throws_leaves_a_usable_panel(caplog):
    panel = shown(Softmax())
    panel.draw = lambda changed: 1 / 0
    panel._inputs["temperature"].value = 20.0
    assert panel.status == "That did not work: ZeroDivisionError: division by zero"
    assert isinstance(panel.error, ZeroDivisionError) and "Softmax" in caplog.text
    del panel.draw
    panel._inputs["temperature"].value = 8.0
    assert panel.draws[-1] == {"temperature"}
    panel.draw = lambda changed: 1 / 0
    with pytest.raises(ZeroDivisionError):      # Python gets its errors
        panel.set(temperature=2)


def test_letting_go_is_noticed_once_and_leaves_no_thread(monkeypatch):
    monkeypatch.setattr(Softmax, "delay", 1.0)      # longer than the next lines take, also on a busy machine
    panel = shown(Softmax())
    for value in (5.0, 6.0, 7.0):
        panel._inputs["temperature"].value = value
    panel._inputs["classes"].value = 3
    assert not panel.releases and len(ours()) == 1
    assert until(lambda: panel.releases)
    assert panel.releases == [({"temperature", "classes"}, "kdutils-released")]
    assert until(lambda: not ours())
    button(panel, "hot").click()
    assert until(lambda: len(panel.releases) == 2)


def test_letting_go_is_not_noticed_from_python_and_can_be_cancelled(monkeypatch):
    monkeypatch.setattr(Softmax, "delay", 600.0)
    panel = shown(Softmax())
    panel.set(temperature=9)
    assert not ours()
    panel._inputs["temperature"].value = 20.0
    button(panel, "Reset").click()
    assert until(lambda: not ours()) and not panel.releases
    panel.released(frozenset({"temperature"}))
    assert panel.releases[0][0] == {"temperature"}


def test_an_error_after_letting_go_is_said(caplog):
    panel = shown(Softmax())
    panel.release_error = True
    panel._inputs["temperature"].value = 20.0
    assert until(lambda: "ZeroDivisionError" in panel.status)


def test_the_page_says_everything_in_words():
    panel = Softmax()
    texts = [widget.value for widget in descendants(panel.widget) if isinstance(widget, ipywidgets.HTML)]
    assert "Softmax &amp; co." in texts[0]
    assert [widget.description for widget in panel._inputs.values()] == ["Temperature", "Classes", "Shape"]
    assert panel._status_line.spoken and panel._reading_line.text == panel.reading()


# ---- a run from Python --------------------------------------------------------------------------------------------

def test_train_to_the_end():
    panel = Training(full_speed=True)
    assert panel.state == "idle" and panel.wait(0)
    panel.train()
    assert panel.wait(60)
    assert panel.state == "done" and panel.points == 51 and panel.finished == panel.closed == 1
    assert panel.status.startswith("Done: 50 steps in ")
    assert panel.threads == {"kdutils-Training"}


def test_pause_step_resume_stop():
    panel = Training()
    panel.pace, panel.total = 500, 50_000
    panel.train()
    assert panel.state == "training" and until(lambda: panel.points > 3)
    panel.pause()
    assert panel.state == "paused"
    n = panel.points
    time.sleep(0.05)
    assert panel.points == n and panel.status.startswith(f"Paused at step {n - 1} of 50000.")
    panel.step()
    panel.step()
    assert panel.points == n + 2 and panel.state == "paused"
    assert not panel.wait(0.01)
    panel.train()
    assert until(lambda: panel.points > n + 4)
    assert panel.stop()
    assert panel.state == "stopped" and panel.finished == 0 and panel.closed == 1
    assert panel.points > n + 4 and panel.status.startswith("Stopped at step")


def test_step_starts_a_run_and_reaches_its_end():
    panel = Training()
    panel.total = 2
    for points in (1, 2, 3):
        panel.step()
        assert (panel.points, panel.state) == (points, "paused")
    panel.step()
    assert panel.state == "done" and panel.finished == 1


def test_a_second_run_while_one_runs_is_only_a_sentence():
    panel = Training()
    panel.total = 50_000
    panel.train()
    panel.train()
    assert "already" in panel.status and len(ours()) == 1
    with pytest.raises(ParameterError, match="is training: stop it"):
        panel.run()
    panel.stop()


def test_after_the_end_train_starts_afresh():
    panel = Training(full_speed=True)
    for _ in range(3):
        panel.train()
        panel.wait(60)
        assert panel.points == 51
    assert panel.finished == 3


def test_train_during_a_slow_stop_starts_afresh_in_the_same_thread():
    panel = Training(full_speed=True)
    panel.nap, panel.total, panel.patience = 0.1, 50_000, 0.0
    panel.train()
    until(lambda: panel.points > 0)
    assert panel.stop() is False
    panel.train()
    assert len(ours()) == 1
    assert until(lambda: panel.closed == 1)
    taken = len(panel.seen)
    assert until(lambda: len(panel.seen) > taken + 1) and panel.state == "training"
    panel.patience = 60
    assert panel.stop()
    assert panel.chart.points("loss")["x"].tolist() == list(range(panel.points)), "afresh: from step 0"


def test_reset_ends_the_run_and_clears_the_figure():
    panel = Training(temperature=8)
    panel.train()
    panel.set(temperature=2)
    until(lambda: panel.points > 2)
    panel.reset()
    assert (panel.state, panel.points, panel.values["temperature"]) == ("idle", 0, 8)
    assert panel.chart.points("target")["y"].tolist() == [8] and panel.status == "Ready: Train starts a run."


def test_values_change_while_it_trains():
    panel = Training(full_speed=True)
    panel.nap, panel.total = 0.002, 50_000
    panel.train()
    until(lambda: panel.points > 2)
    panel.set(temperature=9)
    assert until(lambda: panel.chart.points("target")["y"].tolist() == [9])
    assert until(lambda: panel.seen[-1] == 9) and panel.seen[0] == 4
    assert panel.stop()
    assert panel.chart.points("target")["y"].tolist() == [9]


def test_values_change_in_a_pause():
    panel = Training()
    panel.step()
    panel.set(temperature=9)
    assert until(lambda: panel.chart.points("target")["y"].tolist() == [9])
    assert panel.points == 1
    panel.stop()


def test_the_speed_may_change_at_any_moment():
    """Also between the note of a snapshot and the words about the time that is left."""
    class Toggled(Training):
        def reading(self):
            self.full_speed = not self.full_speed
            return super().reading()

    panel = Toggled(full_speed=True)
    panel.total, panel.nap = 30, 0.05       # long enough to be told about twice
    panel.train()
    assert panel.wait(60) and panel.state == "done"


def test_pace_and_full_speed():
    panel = Training()
    panel.pace, panel.total = 200, 40
    start = time.monotonic()
    panel.train()
    panel.wait(60)
    assert time.monotonic() - start > 0.19      # 40 steps at 200 a second
    panel.pace = 0.001
    panel.train(fast=True)
    assert panel.wait(60)
    panel.train()
    until(lambda: panel.points >= 1)
    panel.pause()                               # in the middle of a wait of a quarter of an hour
    panel.train()
    panel.full_speed = True                     # and again
    assert panel.wait(60) and panel.state == "done"


def test_the_status_says_where_and_how_long():
    panel = Training()
    panel.pace, panel.total = 50, 60
    told, moments = [], []
    say, left = panel._say, panel._left
    panel._say = lambda *words, **more: (told.append(words[0]), say(*words, **more))
    panel._left = lambda now: (moments.append(now), left(now))[1]     # a snapshot's own moment, not its words'
    panel.train()
    panel.wait(60)
    progress = [words for words in told if words.startswith("Training")]
    assert len(progress) == len(moments) >= 2
    assert all(later - earlier >= 0.5 for earlier, later in zip(moments, moments[1:], strict=False))
    assert "of 60, about" in progress[-1] and progress[-1].endswith("s left.")
    assert told[-1].startswith("Done: 60 steps")


def test_a_pause_shows_everything_up_to_it(monkeypatch):
    panel = Training(full_speed=True)
    panel.total, panel.frames = 10_000, 0.1
    pushed = []
    push = panel.chart.push
    monkeypatch.setattr(panel.chart, "push", lambda: (pushed.append(panel.points), push()))
    panel.train()
    until(lambda: panel.points > 50)
    panel.pause()
    assert pushed[-1] == panel.points
    panel.stop()


@pytest.mark.parametrize("late", ["train", "set"])
def test_what_is_asked_in_the_very_moment_of_the_end_is_done(late):
    panel = Training(full_speed=True)
    next_job, asked = panel._next_job, []

    def last_moment():
        if not asked:
            hand = threading.Thread(target=panel.train if late == "train" else lambda: panel.set(temperature=9))
            asked.append(hand)
            hand.start()
            hand.join()
        return next_job()

    panel._next_job = last_moment
    panel.train()
    assert panel.wait(60) and panel.state == "done"
    assert panel.finished == (2 if late == "train" else 1)
    assert panel.chart.points("target")["y"].tolist() == [panel.values["temperature"]]


def test_snapshots_are_not_kept():
    panel = Training()
    alive = weakref.WeakSet()
    panel.observe = alive.add
    for _ in range(3):
        panel.step()
    assert panel.state == "paused"
    panel.stop()
    gc.collect()
    assert not list(alive)      # a snapshot holds a whole population


# ---- errors, threads, memory --------------------------------------------------------------------------------------

def test_an_error_in_the_run_is_said_reported_and_raised_again(reported):
    panel = Training(full_speed=True)
    panel.observe = lambda snapshot: 1 / (3 - snapshot.step)
    panel.train()
    with pytest.raises(ZeroDivisionError):
        panel.wait(60)
    assert panel.state == "failed"
    assert panel.status == "The run failed at step 2 of 50: ZeroDivisionError: division by zero"
    assert reported == [panel.error] and panel.closed == 1
    del panel.observe
    panel.train()
    assert panel.wait(60) and panel.state == "done" and panel.error is None


@pytest.mark.parametrize("method", ["begin", "start", "finish", "reading"])
def test_errors_anywhere_end_the_run_in_order(method, reported):
    panel = Training(full_speed=True)

    def fail(*_):
        raise RuntimeError("no\nluck")

    setattr(panel, method, fail)
    panel.train()
    with pytest.raises(RuntimeError):
        panel.wait(60)
    assert panel.state == "failed" and panel.status.endswith("RuntimeError: no luck") and len(reported) == 1


def test_a_parameter_error_of_the_run_is_a_sentence_for_the_reader_only(reported):
    panel = Training()

    def refuse():
        raise ParameterError("temperature must be lower, got 4.")

    panel.start = refuse
    panel.train()
    with pytest.raises(ParameterError):
        panel.wait(60)
    assert panel.status == "The run failed: temperature must be lower, got 4." and not reported


def test_stop_and_train_from_inside_the_run_do_not_wait_for_themselves():
    panel = Training(full_speed=True)
    observe = panel.observe

    def stop_at_five(snapshot):
        observe(snapshot)
        if snapshot.step == 5:
            assert panel.stop() is False and panel.wait() is False
            panel.set(temperature=2)

    panel.observe = stop_at_five
    panel.train()
    assert panel.wait(60) and panel.state == "stopped" and panel.points == 6
    assert panel.chart.points("target")["y"].tolist() == [2]


def test_a_new_panel_of_the_same_kind_stops_the_former():
    first = Training()
    first.total = 50_000
    first.train()
    again = type("Training", (Training,), {"__module__": Training.__module__, "__qualname__": "Training"})
    second = again()        # as after running the cell with the class again
    assert first.state == "stopped" and until(lambda: not ours())   # stop() returns before the thread has
    second.total = 50_000
    second.train()
    other = type("Other", (Training,), {"__qualname__": "Other"})()
    assert second.state == "training" and other.state == "idle"
    second.stop()


def test_a_panel_that_nobody_holds_goes_away():
    panel = Training(full_speed=True)
    panel.train()
    panel.wait(60)
    gone = weakref.ref(panel)
    del panel
    gc.collect()
    assert gone() is None


@pytest.mark.alone
def test_a_hundred_runs_leave_no_thread_and_no_memory():
    panel = Training(full_speed=True)
    panel.total = 10_000
    sizes = []
    tracemalloc.start()
    try:
        for cycle in range(100):
            panel.train()
            assert len(ours()) == 1
            until(lambda: panel.points > 5)
            assert panel.stop()
            if cycle in (20, 99):
                panel.seen.clear()
                panel.train()
                until(lambda: panel.points > 5)
                panel.stop()
                panel.chart.reset()
                panel.seen.clear()
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert panel.closed == 102 and until(lambda: not ours())
    assert sizes[1] - sizes[0] < 100_000


def test_many_hands_on_all_buttons():
    panel = Training(full_speed=True)
    panel.total, panel.nap, panel.patience = 200, 0.0005, 0.05
    failures = []

    def press(seed):
        random = np.random.default_rng(seed)
        actions = [panel.train, panel.pause, panel.step, panel.stop, panel.reset,
                   lambda: panel.set(temperature=random.uniform(1, 40)),
                   lambda: setattr(panel, "full_speed", bool(random.integers(2)))]
        try:
            for _ in range(60):
                actions[random.integers(len(actions))]()
                assert len([t for t in ours() if t.name == "kdutils-Training"]) <= 1
        except Exception as error:
            failures.append(error)

    hands = [threading.Thread(target=press, args=(seed,)) for seed in range(4)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join(120)
    assert not any(hand.is_alive() for hand in hands) and not failures
    panel.patience = 60
    panel.reset()
    assert panel.state == "idle" and panel.points == 0
    panel.full_speed = True
    panel.train()
    assert panel.wait(60) and panel.points == 201


# ---- a run by hand ------------------------------------------------------------------------------------------------

def test_every_button():
    panel = shown(Training())
    panel.total = 50_000
    button(panel, "Train").click()
    assert panel.state == "training"
    button(panel, "Pause").click()
    assert panel.state == "paused"
    button(panel, "Step").click()
    button(panel, "hot").click()
    assert panel._inputs["temperature"].value == 20.0
    button(panel, "Stop").click()
    assert panel.state == "stopped" and panel._status_line.text == panel.status
    button(panel, "Reset").click()
    assert panel.state == "idle" and panel.values["temperature"] == 4
    speed = next(widget for widget in descendants(panel.widget) if isinstance(widget, ipywidgets.Checkbox))
    speed.value = True
    assert panel.full_speed
    panel.full_speed = False
    assert speed.value is False


def test_the_status_line_holds_its_tongue_while_it_trains():
    panel = shown(Training())
    panel.total = 50_000
    panel.train()
    assert panel._status_line.busy
    panel.stop()
    assert not panel._status_line.busy


def test_the_last_frame_is_pushed(monkeypatch):
    panel = Training(full_speed=True)
    pushed = []
    monkeypatch.setattr(panel.chart, "push", lambda: pushed.append(panel.points))
    start = time.monotonic()
    panel.train()
    panel.wait(60)
    assert pushed[-1] == 51 and len(pushed) < 6 + 10 * (time.monotonic() - start)


# ---- headless -----------------------------------------------------------------------------------------------------

@pytest.fixture
def no_widgets(monkeypatch):
    monkeypatch.setenv("KDUTILS_HEADLESS", "1")

    def refuse(self, *_, **__):
        raise AssertionError(f"{type(self).__name__} was made")

    monkeypatch.setattr(ipywidgets.Widget, "__init__", refuse)


def test_headless_trains_to_the_end_in_this_thread_and_makes_no_widget(no_widgets):
    panel = Training()
    bundle = panel._repr_mimebundle_()
    assert panel.state == "done" and panel.points == 51 and panel.threads == {"MainThread"}
    assert "application/vnd.plotly.v1+json" in bundle and "image/png" in bundle
    assert bundle["text/plain"] == "51 points."
    assert not any("widget" in kind for kind in bundle)
    panel._repr_mimebundle_()
    assert panel.finished == 1          # once


def test_headless_waits_for_a_run_that_a_cell_started(no_widgets):
    panel = Training()
    panel.step()
    panel._repr_mimebundle_()
    assert panel.state == "done" and panel.points == 51


def test_headless_errors_reach_the_cell(no_widgets, reported):
    panel = Training()
    panel.observe = lambda snapshot: 1 / 0
    with pytest.raises(ZeroDivisionError):
        panel._repr_mimebundle_()
    assert panel.state == "failed" and not reported


def test_an_interrupt_keeps_what_there_is(no_widgets):
    panel = Training()
    observe = panel.observe

    def interrupted(snapshot):
        if snapshot.step == 7:
            raise KeyboardInterrupt
        observe(snapshot)

    panel.observe = interrupted
    with pytest.raises(KeyboardInterrupt):
        panel.run()
    assert panel.state == "stopped" and panel.points == 7 and panel.closed == 1
    del panel.observe
    panel.run()
    assert panel.state == "done" and panel.points == 51


def test_live_display_is_a_view_of_the_widget(monkeypatch):
    monkeypatch.setenv("KDUTILS_HEADLESS", "0")
    panel = Softmax()
    bundle = panel._repr_mimebundle_(include=None, exclude=None)
    view = bundle["application/vnd.jupyter.widget-view+json"]
    assert view["model_id"] == panel.widget.model_id and "Softmax" in bundle["text/plain"]
    assert Training()._repr_mimebundle_() and not ours()


@pytest.mark.parametrize(("environment", "expected"), [
    ({}, True), ({"JPY_SESSION_NAME": "a.ipynb"}, False), ({"SERVER_SOFTWARE": "voila/0.5.13"}, False),
    ({"SERVER_SOFTWARE": "gunicorn"}, True), ({"KDUTILS_HEADLESS": "1", "JPY_SESSION_NAME": "a.ipynb"}, True),
    ({"KDUTILS_HEADLESS": "0"}, False), ({"KDUTILS_HEADLESS": ""}, True),
])
def test_who_is_there_to_press_a_button(monkeypatch, environment, expected):
    for name in ("KDUTILS_HEADLESS", "JPY_SESSION_NAME", "SERVER_SOFTWARE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert headless() is expected


def test_a_wish_that_is_neither_yes_nor_no_is_refused(monkeypatch):
    monkeypatch.setenv("KDUTILS_HEADLESS", "yes")
    with pytest.raises(ParameterError, match="KDUTILS_HEADLESS must be 1 or 0, got 'yes'"):
        headless()


def test_importing_panels_starts_no_thread_and_makes_no_widget():
    code = ("import threading, sys, kdutils.live.training_panel\n"
            "assert threading.active_count() == 1 and 'ipywidgets' not in sys.modules, sorted(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ}, timeout=60)
