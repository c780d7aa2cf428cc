"""The temperature lab's buttons, presets, refusals, and its page without a reader."""

import math
import time

import numpy as np
import pytest
import torch
from helpers import acts_at_once, ours, until, y
from quick_temperature_lab import SEEDS, STEPS, QuickLab

from kdutils.errors import ParameterError
from kdutils.lessons.dark_knowledge.panels.temperature_lab import SIZES, TemperatureLab

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


# ---- the buttons --------------------------------------------------------------------------------------------------

def test_a_second_train_is_a_sentence_and_run_is_refused(endless):
    endless.train()
    assert until(lambda: endless.scores is not None)
    endless.train()
    assert "already" in endless.status and len(ours()) == 1
    with pytest.raises(ParameterError, match="is training: stop it"):
        endless.run()
    assert endless.stop() and endless.state == "stopped"
    assert endless.answers == [] and endless.status.startswith("Stopped at step")
    n = len(y(endless, "hard mean"))
    assert n > 0 and until(lambda: not ours()) and n == len(y(endless, "hard mean"))
    assert "distilled students" in endless.reading()


def test_a_pause_freezes(endless):
    endless.train()
    assert until(lambda: len(y(endless, "hard mean")) > 2)
    endless.pause()
    at, weights = len(y(endless, "hard mean")), endless.students.population.parameters
    before = {name: value.clone() for name, value in weights.items()}
    time.sleep(0.1)
    assert len(y(endless, "hard mean")) == at and endless.state == "paused"
    assert all(torch.equal(before[name], value) for name, value in endless.students.population.parameters.items())
    endless.step()
    assert len(y(endless, "hard mean")) == at + 1


def test_answer_goes_to_the_end_at_full_speed(lab):
    lab.full_speed, lab.pace = False, 0.01      # the better part of an hour
    lab.answer()
    assert lab.wait(60) and lab.state == "done"
    assert len(lab.answers) == 1 and not lab.full_speed


def test_reset_clears_answers_and_goes_back(lab):
    lab.run()
    lab.set(temperature=16, transfer=50)
    lab.run()
    lab.reset()
    assert lab.values == {"temperature": 4.0, "alpha": 1.0, "transfer": 100} and lab.state == "idle"
    assert lab.answers == [] and "press Train" in lab.reading()
    for uid in ("answers", "others", "latest", "answers interval", "hard mean", "distilled low"):
        assert len(y(lab, uid)) == 0, uid
    assert np.isnan(y(lab, "student's answer")).all() and len(y(lab, "teacher")) == 2
    lab.run()
    assert len(lab.answers) == 1


def test_reset_while_students_train_breaks_nothing(endless):
    """The run must not find its students gone; the fixture above holds the thread to that."""
    for _ in range(8):
        endless.train()
        assert until(lambda: endless.scores is not None)
        endless.reset()
        assert (endless.state, endless.error) == ("idle", None)
        assert endless.answers == [] and len(y(endless, "hard mean")) == 0


def test_presets_of_the_lab(lab):
    for name, values in lab.presets.items():
        lab.preset(name)
        assert values.items() <= dict(lab.values).items()
    assert set(lab.presets) == {"T = 1", "T = 4", "T = 20", "50 images", "All the data"}
    assert lab.values == {"temperature": 20, "alpha": 1, "transfer": 1200}


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"temperature": -4.0}, {"alpha": 1.5}, {"alpha": -0.1},
                                   {"transfer": 99}, {"transfer": 1300}, {"alpha": 0.2, "temperature": math.inf}])
def test_wrong_values_of_the_lab_are_one_sentence(lab, refuses, wrong):
    values, target = lab.values, y(lab, "soft targets")
    name, value = list(wrong.items())[-1]
    with refuses(name, repr(value)):
        lab.set(**wrong)
    assert lab.values == values
    np.testing.assert_array_equal(y(lab, "soft targets"), target)
    with refuses(name, repr(value)):
        QuickLab(seeds=SEEDS, steps=STEPS, **wrong)


def test_wrong_values_while_training_leave_the_run_alone(endless, refuses):
    endless.train()
    assert until(lambda: endless.scores is not None)
    with refuses("temperature"):
        endless.set(temperature=-1)
    assert endless.state == "training" and not endless.mixed
    assert endless.students.knobs["temperature"] == (1.0,) * SEEDS + (4.0,) * SEEDS


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"steps": 0}, {"seeds": 2.5}])
def test_impossible_labs_are_refused(refuses, wrong):
    with refuses(next(iter(wrong))):
        TemperatureLab(**wrong)


def test_sizes_fit_the_pool():
    assert max(SIZES) == 1200 and min(SIZES) >= 10


def test_one_seed_has_curves_without_bands():
    lab = QuickLab(seeds=1, steps=10)
    lab.run()
    np.testing.assert_array_equal(y(lab, "hard low"), y(lab, "hard mean"))
    assert math.isnan(lab.answers[0].gain.low) and "(1 seed, no interval)" in lab.reading()
    from kdutils.plots import bundle
    assert bundle(lab.chart.figure(), lab.reading())


@pytest.mark.alone
def test_setting_a_value_while_students_train_takes_milliseconds(endless):
    acts_at_once(endless, "temperature", [1.0 + i for i in range(30)],
                 lambda panel: panel.students and panel.students.knobs["temperature"][-1])


def test_headless_after_a_run_nothing_is_run_again(lab, monkeypatch):
    monkeypatch.setenv("KDUTILS_HEADLESS", "1")
    lab.run()
    bundle = lab._repr_mimebundle_()
    assert lab.state == "done" and len(lab.answers) == 1 and not ours()
    assert lab._repr_mimebundle_()["text/plain"] == bundle["text/plain"] and len(lab.answers) == 1
    assert "distilled students" in bundle["text/plain"]


def test_headless_the_page_shows_three_temperatures(monkeypatch):
    """A reader without a slider sees T = 1, the T that was asked for, and T = 20."""
    monkeypatch.setenv("KDUTILS_HEADLESS", "1")
    lab = TemperatureLab(seeds=2, steps=20, temperature=4.0)
    lab._repr_mimebundle_()
    assert [answer.temperature for answer in lab.answers] == [1.0, 20.0, 4.0] and lab.values["temperature"] == 4.0
    assert len(lab.chart.points("answers")["x"]) == 3 and "T = 4," in lab.reading() and not ours()
