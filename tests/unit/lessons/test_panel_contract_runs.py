"""The contract of panels that train, asked of every lesson's: buttons, refusals in a run, answers."""

import statistics
import time

import numpy as np
import pytest
import quick_panels
from helpers import ours, until, y
from quick_panels import ANSWERING, TRAINING, another, looks

from kdutils.errors import ParameterError
from kdutils.live.lab import Lab

pytestmark = pytest.mark.usefixtures("no_thread_is_left")
NOT_A_NUMBER = "nan"
EVERY = pytest.mark.parametrize("case", TRAINING, ids=str)


@pytest.fixture
def quick(case):
    """The panel that these tests share, as it was opened, before and after: runs of a moment."""
    panel = quick_panels.shared(case)
    yield panel
    panel.close()
    panel.reset()
    panel.pace = case.kind.pace


@pytest.fixture
def endless(case):
    """Another, whose runs go on until they are stopped."""
    panel = quick_panels.endless(case)
    yield panel
    panel.close()
    panel.reset()


def lengths(panel) -> dict[str, int]:
    """How long each curve over the steps is."""
    return {trace.uid: len(y(panel, trace.uid)) for trace in panel.chart.figure().data
            if str(trace.uid).endswith(" mean")}


def answers(panel) -> list | None:
    """The answers of complete runs, where they stay in the figure."""
    return None if isinstance(panel, Lab) and not panel.over else getattr(panel, "answers", None)


def begun(panel) -> bool:
    return until(lambda: panel.runner.at is not None and panel.state == "training")


@EVERY
def test_train_pause_step_stop_and_train_again(endless):
    """Catches a second run beside the first, a pause that goes on, a Step of two snapshots, a Stop that clears."""
    endless.train()
    assert begun(endless) and until(lambda: endless.runner.at.step > 0 or endless.pace < 1)
    endless.train()
    assert endless.status.startswith("This run is training already") and len(ours()) == 1
    with pytest.raises(ParameterError, match="is training: stop it"):
        endless.run()
    endless.pause()
    assert endless.state == "paused" and until(lambda: endless.status.startswith("Paused"))
    at, seen, curves = endless.runner.at.step, looks(endless), lengths(endless)
    time.sleep(0.05)
    assert endless.runner.at.step == at and looks(endless) == seen
    endless.step()
    assert endless.state == "paused" and endless.runner.at.step == at + endless.runner.at.stride > at
    grown = {now - curves[uid] for uid, now in lengths(endless).items()}
    assert looks(endless) != seen and grown <= {0, 1} and (not grown or 1 in grown)
    seen = looks(endless)
    assert endless.stop() and endless.state == "stopped" and endless.status.startswith("Stopped")
    assert looks(endless) == seen and not answers(endless) and until(lambda: not ours())
    endless.train()
    assert begun(endless) and endless.runner.at.step < 1_000_000


@EVERY
def test_reset_in_the_middle_of_a_run_is_the_opening_again(endless):
    """The run must not find its students gone: no thread may fail unheard."""
    first, seen = dict(endless.values), looks(endless)
    for _ in range(4):
        endless.train()
        assert begun(endless)
        endless.reset()
        assert (endless.state, endless.error) == ("idle", None) and not answers(endless)
        assert dict(endless.values) == first and looks(endless) == seen


@EVERY
def test_reset_forgets_a_run_and_the_next_one_in_its_thread_ends_as_the_first(quick, monkeypatch):
    """And what stands there is enough where nobody can act."""
    first, seen = dict(quick.values), looks(quick)
    quick.run()
    expected = looks(quick)
    assert expected != seen and NOT_A_NUMBER not in expected[1]
    quick.preset(list(quick.presets)[-1])
    quick.reset()
    assert quick.state == "idle" and not answers(quick) and dict(quick.values) == first and looks(quick) == seen
    quick.train(fast=True)
    assert quick.wait(60) and quick.state == "done" and quick.status.startswith("Done: ") and looks(quick) == expected
    assert answers(quick) is None or len(answers(quick)) == 1
    monkeypatch.setattr(quick, "begin", lambda: pytest.fail("run again"))
    quick.before_static()
    assert looks(quick) == expected and not ours()


@EVERY
def test_wrong_values_in_a_run_leave_it_alone(endless, refuses):
    endless.train()
    assert begun(endless)
    before = dict(endless.values)
    for control in endless.controls:
        with refuses(control.name, "no such value"):
            endless.set(**{control.name: "no such value"})
    assert dict(endless.values) == before and endless.state == "training" and not getattr(endless, "mixed", False)


@pytest.mark.parametrize("case", [case for case in TRAINING if case.arguments["seeds"] > 1], ids=str)
def test_one_seed_has_curves_without_bands_and_no_interval(case):
    """Catches a NaN that a reader sees, and a band that is drawn of nothing."""
    panel = case.make(seeds=1)
    panel.run()
    assert NOT_A_NUMBER not in panel.reading()
    for uid in (trace.uid for trace in panel.chart.figure().data if str(trace.uid).endswith(" low")):
        np.testing.assert_array_equal(y(panel, uid), y(panel, uid.removesuffix("low") + "mean"))


@pytest.mark.parametrize("case", ANSWERING, ids=str)
def test_letting_go_of_a_control_runs_to_the_answer_at_full_speed(case, quick):
    """Whatever the toggle says; catches an answer of other values than those that are set."""
    assert quick.widget
    quick.pace = 0.01      # the better part of an hour
    control = quick.controls[0]
    value = another(control, quick.values[control.name])
    quick.inputs[control.name].value = value
    assert until(lambda: quick.state == "done" and not quick.runner.busy and not ours())
    assert quick.values[control.name] == value and not quick.full_speed
    if answers(quick) is not None:
        assert len(answers(quick)) == 1 and not getattr(answers(quick)[-1], "mixed", False)
    if isinstance(quick, Lab) and quick.over:
        assert {name: getattr(answers(quick)[-1], name) for name in quick.values} == dict(quick.values)
    quick.reset()
    quick.answer()
    assert quick.wait(60) and quick.state == "done" and not quick.full_speed
    assert answers(quick) is None or len(answers(quick)) == 1


@pytest.mark.alone
@EVERY
def test_a_value_that_is_set_in_a_run_is_soon_back(endless):
    """Under 100 ms; the median of many, for busy machines."""
    assert endless.widget
    endless.train()
    assert begun(endless)
    took = []
    for _ in range(5):
        for control in endless.controls:
            value, start = another(control, endless.values[control.name]), time.perf_counter()
            endless.set(**{control.name: value})
            took.append(time.perf_counter() - start)
    assert statistics.median(took) < 0.1
