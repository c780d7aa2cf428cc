"""The temperature lab against the experiment: what a run says, and controls moved in its middle."""

import math
import threading
import time

import numpy as np
import pytest
import scipy.special
import scipy.stats
from helpers import acts_at_once, ours, student_interval, until, x, y
from quick_temperature_lab import SEEDS, STEPS, QuickLab

from kdutils.cohorts import HARD, Setting, Splits, cohort, teachers
from kdutils.lessons.dark_knowledge.panels.temperature_lab import SIZES
from kdutils.training import Recipe

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.fixture(scope="module")
def by_hand():
    """by_hand(T, alpha, n): test accuracies (2, S) of the same students, without a panel; T may change on the way."""
    place = Splits.open("digits", SEEDS)
    logits = teachers(place, place.pool)
    done = {}

    def run(temperature, alpha=1.0, n=100, then=None, after=0) -> np.ndarray:
        key = temperature, alpha, n, then, after
        if key not in done:
            students = cohort(place, logits, place.transfer(n), [HARD, Setting("distilled", temperature, alpha)])
            for snapshot in students.train(Recipe(steps=STEPS), every=5):
                if then and snapshot.step == after:
                    students.knobs.set(temperature=[1.0] * SEEDS + [then] * SEEDS)
            done[key] = students.accuracy().numpy()
        return done[key]

    return run


# ---- the temperature lab: what a run says -------------------------------------------------------------------------

def test_a_run_is_that_of_the_experiment(lab, by_hand):
    lab.set(temperature=8, alpha=0.7, transfer=50)
    lab.train()
    assert lab.wait(60) and lab.state == "done"
    scores = by_hand(8.0, 0.7, 50)
    np.testing.assert_array_equal(lab.scores, scores)
    (answer,) = lab.answers
    gain = scores[1] - scores[0]
    assert (answer.temperature, answer.alpha, answer.transfer, answer.mixed) == (8.0, 0.7, 50, False)
    assert answer.gain.mean == pytest.approx(gain.mean()) and answer.gain.n == SEEDS
    low, high = student_interval(gain)
    assert (answer.gain.low, answer.gain.high) == pytest.approx((low, high), abs=1e-3)      # float32 in between
    said = lab.reading()
    assert said.startswith("T = 8, alpha = 0.7, 50 images: ") and "moved" not in said
    assert f"distilled students {scores[1].mean():.1f}%, hard-label students {scores[0].mean():.1f}%" in said
    assert f"gain {gain.mean():+.1f} [" in said and "The teacher saw 1,200 labels." in said
    assert lab.status.startswith("Done: 30 steps")


def test_the_curves_are_means_with_bands(lab, by_hand):
    lab.run()
    for arm, scores in zip(("hard", "distilled"), by_hand(4.0), strict=True):
        points = lab.chart.points(f"{arm} mean")
        assert points["x"].tolist() == [0, 20, 30]
        assert points["y"][-1] == pytest.approx(scores.mean())
        low, high = student_interval(scores)
        assert (y(lab, f"{arm} low")[-1], y(lab, f"{arm} high")[-1]) == pytest.approx((low, high), abs=1e-3)
        assert len(y(lab, f"{arm} low")) == len(y(lab, f"{arm} high")) == 3
    teacher = lab.chart.points("teacher")
    assert teacher["y"][0] == pytest.approx(lab.lab.accuracy(lab.teacher_logits).mean().item())
    assert teacher["x"].tolist() == [0, STEPS]
    assert y(lab, "student's answer").sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(y(lab, "latest"), [lab.answers[0].gain.mean])


def test_the_dots_are_the_mean_answer_of_the_distilled_students(lab):
    for _ in range(4):
        lab.step()
    logits = lab.students.population.predict(lab.lab.data.inputs)[:, lab.example.index].double().numpy()
    answers = scipy.special.softmax(logits / 4, axis=1)
    np.testing.assert_allclose(y(lab, "student's answer"), answers[SEEDS:].mean(0), rtol=1e-4)
    assert not np.allclose(answers[SEEDS:].mean(0), answers[:SEEDS].mean(0), rtol=1e-2)


def test_without_weight_on_the_teacher_the_arms_are_equal(lab):
    lab.set(alpha=0.0)
    lab.run()
    np.testing.assert_array_equal(lab.scores[0], lab.scores[1])
    assert lab.answers[0].gain.mean == 0 and "gain +0.0" in lab.reading()


def test_the_soft_target_follows_the_temperature_without_a_run(lab):
    for temperature in (0.5, 4, 32):
        lab.set(temperature=temperature)
        target = scipy.special.softmax(lab.example.logits.double().numpy() / temperature)
        np.testing.assert_allclose(y(lab, "soft targets"), target, rtol=1e-4, atol=1e-9)
        assert "press Train" in lab.reading() and f"T = {temperature:g}," in lab.reading()
    assert lab.example.label == 3 and lab.state == "idle"
    assert f"{2 * SEEDS} students" in lab.reading()


def test_each_answer_is_a_point_and_those_of_other_settings_are_hollow(lab, by_hand):
    for temperature, n in ((2.0, 100), (16.0, 100), (4.0, 50)):
        lab.set(temperature=temperature, transfer=n)
        lab.run()
    assert (x(lab, "answers"), x(lab, "others"), x(lab, "latest")) == ([4], [2, 16], [4])
    lab.set(transfer=100)
    assert (x(lab, "answers"), x(lab, "others"), x(lab, "latest")) == ([2, 16], [4], [4])
    for t, mean, bar in zip((2.0, 16.0), y(lab, "answers"), y(lab, "answers interval").reshape(2, 3), strict=True):
        gain = np.subtract(*by_hand(t)[::-1])
        assert mean == pytest.approx(gain.mean()) and math.isnan(bar[2])
        assert bar[:2] == pytest.approx(student_interval(gain), abs=1e-3)
    assert lab.chart.points("answers interval")["x"].tolist() == [2, 2, 2, 16, 16, 16]
    lab.set(alpha=0.5)
    assert (x(lab, "answers"), x(lab, "others")) == ([], [2, 16, 4])


def test_the_words_stay_with_the_run_that_they_describe(lab):
    """The controls may have moved on; a sentence about T = 32 with numbers of T = 4 would be false."""
    lab.run()
    said = lab.reading()
    lab.set(temperature=32, transfer=1200)
    assert lab.reading() == said and said.startswith("T = 4, alpha = 1, 100 images")
    lab.run()
    assert lab.reading().startswith("T = 32, alpha = 1, 1,200 images")


def test_every_interval_of_a_lecture_fits_the_axis(lab):
    """The extremes at 12 seeds: few images at a large T, all images at a large T."""
    low, high = lab.chart.figure().layout.yaxis3.range
    assert low <= -4.6 and high >= 17.2
    left, right = lab.chart.figure().layout.xaxis3.range
    assert 10**left < 0.5 and 10**right > 32


# ---- changes in the middle of a run -------------------------------------------------------------------------------

def test_a_temperature_moved_on_the_way_changes_what_students_learn(lab, by_hand):
    lab.step()      # step 0: before the first one
    lab.step()      # step 5
    lab.set(temperature=16)
    assert until(lambda: lab.mixed)
    lab.train()
    assert lab.wait(60)
    np.testing.assert_array_equal(lab.scores, by_hand(4.0, then=16.0, after=5))
    assert not np.array_equal(lab.scores[1], by_hand(4.0)[1])
    np.testing.assert_array_equal(lab.scores[0], by_hand(4.0)[0])      # hard labels know no T
    (answer,) = lab.answers
    assert answer.mixed and answer.temperature == 16
    assert lab.chart.points("answers")["x"].size == 0 and lab.chart.points("others")["x"].tolist() == [16]
    assert lab.reading().startswith("T = 16,") and lab.reading().endswith("T or alpha moved during this run.")
    lab.run()
    assert not lab.answers[-1].mixed and lab.chart.points("answers")["x"].tolist() == [16]


def test_a_control_moved_before_or_after_a_run_does_not_mix_it(lab):
    lab.train()
    lab.set(temperature=16)         # at once: the students may not have been made
    lab.wait(60)
    first = lab.answers[-1]
    assert first.temperature == 16 or not first.mixed
    lab.step()
    lab.stop()
    lab.set(temperature=2)
    assert not lab.mixed and "moved" not in lab.reading()
    lab.set(alpha=0.5)
    lab.run()
    assert not lab.answers[-1].mixed and lab.answers[-1].alpha == 0.5


def test_a_control_moved_while_students_are_being_made_does_not_mix(lab, monkeypatch):
    """start() has read the new T already; that draw() comes later must not count as a change."""
    begin = lab.begin

    def moved_at_the_last_moment():
        begin()
        threading.Thread(target=lab.set, kwargs={"temperature": 16}, name="hand").start()
        assert until(lambda: lab.values["temperature"] == 16)
    monkeypatch.setattr(lab, "begin", moved_at_the_last_moment)
    lab.train()
    lab.wait(60)
    (answer,) = lab.answers
    assert answer.temperature == 16 and not answer.mixed


def test_students_of_hard_labels_are_trained_once_per_number_of_images(lab, by_hand):
    """And the answers are those of both arms together, also after a watched run with other steps in its curves."""
    for temperature, n in ((4.0, 100), (8.0, 100), (8.0, 50), (16.0, 100)):
        lab.set(temperature=temperature, transfer=n)
        lab.run()
        if n == 100:
            np.testing.assert_array_equal(lab.scores, by_hand(temperature))
            assert y(lab, "hard mean")[-1] == pytest.approx(by_hand(temperature)[0].mean())
    assert set(lab.hard) == {50, 100} and lab.hard[50][STEPS].shape == (SEEDS,)
    lab.train()
    assert lab.wait(60) and x(lab, "hard mean") == [0, 5, 10, 15, 20, 25, 30]
    lab.run()
    np.testing.assert_array_equal(lab.scores, by_hand(16.0))
    assert x(lab, "hard mean") == x(lab, "distilled mean") == [0, 20, 30]


def test_an_answer_that_is_paused_goes_on_with_its_one_arm(lab):
    lab.run()
    lab.answer()
    lab.pause()
    lab.set(temperature=16)
    lab.train()
    assert lab.wait(60) and lab.state == "done"
    assert {answer.temperature for answer in lab.answers} <= {4.0, 16.0} and lab.scores.shape == (2, SEEDS)


def test_letting_go_again_before_the_answer_starts_it_anew():
    """A reader who presses an arrow key three times wants the answer for the last value, not a mixture."""
    lab = QuickLab(seeds=SEEDS, steps=1500)
    assert lab.widget
    for temperature in (8.0, 10.0, 20.0):
        lab.inputs["temperature"].value = temperature
        assert until(lambda t=temperature: lab.students is not None and lab.students.knobs["temperature"][-1] == t)
    assert until(lambda: lab.state == "done" and not ours())
    (answer,) = lab.answers
    assert answer.temperature == 20 and not answer.mixed


def test_other_images_while_students_train_start_new_students(endless):
    endless.pace, endless.full_speed = 200, False
    assert endless.widget
    endless.train()
    assert until(lambda: len(y(endless, "hard mean")) > 3)
    former = endless.students
    endless.inputs["transfer"].value = 500
    assert until(lambda: endless.status == "Other images: other students. The run starts anew.")
    assert until(lambda: endless.running == 500 and endless.scores is not None)
    assert endless.state == "training" and endless.students is not former and len(ours()) <= 2
    assert endless.students.task.train.shape == (2 * SEEDS, 500) and not endless.mixed
    assert until(lambda: endless.reading().startswith("T = 4, alpha = 1, 500 images"))
    assert endless.stop() and endless.state == "stopped"


def test_a_temperature_moved_by_hand_while_a_reader_trains_goes_on(endless):
    endless.pace, endless.full_speed = 200, False
    assert endless.widget
    endless.train()
    assert until(lambda: len(y(endless, "hard mean")) > 1)
    students = endless.students
    endless.inputs["temperature"].value = 20.0
    assert until(lambda: endless.mixed)
    time.sleep(3 * endless.delay)
    assert endless.students is students and endless.state == "training"
    assert students.knobs["temperature"] == (1.0,) * SEEDS + (20.0,) * SEEDS


def test_nothing_starts_by_itself_in_a_pause(lab):
    assert lab.widget
    lab.step()
    lab.inputs["transfer"].value = 50
    lab.inputs["alpha"].value = 0.5
    assert until(lambda: not [thread for thread in ours() if thread.name == "kdutils-released"])
    assert lab.state == "paused" and len(y(lab, "hard mean")) == 1
    lab.train()
    lab.wait(60)
    assert lab.answers[-1].transfer == 100 and lab.answers[-1].mixed       # the students of before


def test_sizes_fit_the_pool():
    assert max(SIZES) == 1200 and min(SIZES) >= 10


@pytest.mark.alone
def test_setting_a_value_while_students_train_takes_milliseconds(endless):
    acts_at_once(endless, "temperature", [1.0 + i for i in range(30)],
                 lambda panel: panel.students and panel.students.knobs["temperature"][-1])
