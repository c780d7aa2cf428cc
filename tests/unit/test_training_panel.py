"""A panel around a run: words, buttons, threads, memory, headless; with a tiny made-up training."""

import gc
import threading
import time
import weakref

import ipywidgets
import pytest
from helpers import descendants, line, ours, until
from tiny_panels import Training, button, shown

from kdutils.errors import ParameterError


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert until(lambda: not ours()), ours()


@pytest.fixture
def reported(monkeypatch):
    errors = []
    monkeypatch.setattr(threading, "excepthook", lambda args: errors.append(args.exc_value))
    return errors


# ---- from Python ---------------------------------------------------------------------------------------------------

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


def test_a_second_run_while_one_runs_is_only_a_sentence():
    panel = Training()
    panel.total = 50_000
    panel.train()
    panel.train()
    assert "already" in panel.status and len(ours()) == 1
    with pytest.raises(ParameterError, match="is training: stop it"):
        panel.run()
    panel.stop()


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


# ---- errors, threads, memory ---------------------------------------------------------------------------------------

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


def test_a_parameter_error_of_the_run_is_a_sentence_for_the_reader_only(reported):
    panel = Training()

    def refuse():
        raise ParameterError("temperature must be lower, got 4.")

    panel.start = refuse
    panel.train()
    with pytest.raises(ParameterError):
        panel.wait(60)
    assert panel.status == "The run failed: temperature must be lower, got 4." and not reported


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


# ---- by hand -------------------------------------------------------------------------------------------------------

def test_every_button():
    panel = shown(Training())
    panel.total = 50_000
    button(panel, "Train").click()
    assert panel.state == "training"
    button(panel, "Pause").click()
    assert panel.state == "paused"
    button(panel, "Step").click()
    button(panel, "hot").click()
    assert panel.inputs["temperature"].value == 20.0
    button(panel, "Stop").click()
    assert panel.state == "stopped" and line(panel, "kd-status").text == panel.status
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
    assert line(panel, "kd-status").busy
    panel.stop()
    assert not line(panel, "kd-status").busy


def test_the_last_frame_is_pushed(monkeypatch):
    panel = Training(full_speed=True)
    pushed = []
    monkeypatch.setattr(panel.chart, "push", lambda: pushed.append(panel.points))
    start = time.monotonic()
    panel.train()
    panel.wait(60)
    assert pushed[-1] == 51 and len(pushed) < 6 + 10 * (time.monotonic() - start)


# ---- headless ------------------------------------------------------------------------------------------------------

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


