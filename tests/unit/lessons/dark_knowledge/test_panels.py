"""The panels of notebooks 00 and 01 from Python: every control against numbers computed here, and runs in a thread."""

import math
import re
import statistics
import threading
import time

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from helpers import acts_at_once, column, headless_page, line, ours, student_interval, until, x, y

from kdutils.cohorts import HARD, Setting, Splits, cohort, teachers
from kdutils.errors import ParameterError
from kdutils.lessons.dark_knowledge.panels.softmax import SoftmaxPanel
from kdutils.lessons.dark_knowledge.panels.temperature_lab import SIZES, TemperatureLab
from kdutils.lessons.examples import one_per_class, usual_examples
from kdutils.plots.style import COLOURS
from kdutils.training import Recipe

pytestmark = pytest.mark.usefixtures("no_thread_is_left")
SEEDS, STEPS = 3, 30


class QuickLab(TemperatureLab):
    """The temperature lab; a control counts as released soon."""

    delay, patience = 0.03, 60.0


@pytest.fixture(scope="module")
def examples():
    return usual_examples()


@pytest.fixture
def panel(examples) -> SoftmaxPanel:
    return SoftmaxPanel(examples)


@pytest.fixture
def lab() -> TemperatureLab:
    made = QuickLab(seeds=SEEDS, steps=STEPS, full_speed=True)
    yield made
    made.stop()


@pytest.fixture
def endless() -> TemperatureLab:
    """Students that learn until they are stopped."""
    made = QuickLab(seeds=SEEDS, steps=1_000_000, full_speed=True)
    yield made
    made.stop()


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


# ---- the examples -------------------------------------------------------------------------------------------------

def test_there_is_one_sure_test_digit_per_class(examples):
    place = Splits.open("digits", 1)
    logits = teachers(place, place.pool)[0]
    assert [example.label for example in examples] == list(range(10))
    for example in examples:
        assert example.index in place.test[0] and example.index not in place.pool[0]
        assert example.label == place.data.labels[example.index]
        np.testing.assert_array_equal(example.image, place.data.images[example.index, 0].numpy())
        np.testing.assert_array_equal(example.logits.numpy(), logits[example.index].numpy())
        p = scipy.special.softmax(example.logits.numpy())
        assert p.argmax() == example.label and p.max() >= 0.979
        assert example.second == np.argsort(p)[-2] and str(example.second) in str(example)


def test_each_example_has_more_to_say_than_other_sure_digits_of_its_class(examples):
    place = Splits.open("digits", 1)
    test = place.test[0]
    logits = teachers(place, place.pool)[0][test].numpy()
    labels = place.data.labels[test].numpy()
    sure = scipy.special.softmax(logits, 1)[np.arange(len(test)), labels] >= 0.98
    told = scipy.stats.entropy(scipy.special.softmax(logits / 4, 1), axis=1)
    for example in examples:
        mine = (labels == example.label) & sure
        assert test[mine][told[mine].argmax()] == example.index


def test_a_class_of_which_no_digit_is_sure_still_has_an_example():
    place = Splits.open("digits", 1)
    chosen = one_per_class(place, torch.zeros(1, 1797, 10))
    assert [example.label for example in chosen] == list(range(10))


# ---- softmax at temperature T -------------------------------------------------------------------------------------

@pytest.mark.parametrize("temperature", [0.25, 1, 3.7, 32])
@pytest.mark.parametrize("digit", [0, 3, 8])
def test_the_bars_are_the_softmax(panel, examples, temperature, digit):
    panel.set(temperature=temperature, digit=digit)
    example = examples[digit]
    np.testing.assert_array_equal(y(panel, "logits"), example.logits.numpy())
    np.testing.assert_array_equal(panel.chart.points("image")["z"], example.image.ravel())
    p = scipy.special.softmax(example.logits.double().numpy() / temperature)
    np.testing.assert_allclose(y(panel, "probabilities"), p, rtol=1e-4, atol=1e-9)
    bits = scipy.stats.entropy(p, base=2)
    said = panel.reading()
    assert f"At T = {temperature:.3g} this {digit} gets probability" in said and f"entropy is {bits:.2f} of" in said
    numbers = [float(n) for n in re.findall(r"([\d.e-]+)%", said)]
    assert numbers == pytest.approx([100 * p[digit], 100 * p[example.second]], rel=0.01)


def test_image_rows_run_downwards(panel):
    figure = panel.chart.figure()
    assert figure.layout.yaxis.autorange == "reversed"
    image = figure.data[0]
    assert list(column(image.x)[:9]) == [*range(8), 0] and list(column(image.y)[:9]) == [0] * 8 + [1]
    low, high = figure.layout.yaxis2.range
    assert low < min(e.logits.min() for e in panel.examples.values()) < max(
        e.logits.max() for e in panel.examples.values()) < high


def test_the_true_class_has_its_own_colour(panel):
    for digit in (3, 7):
        panel.set(digit=digit)
        for trace in panel.chart.figure().data[1:]:
            true = [colour == COLOURS["hard labels"] for colour in trace.marker.color]
            assert true == [k == digit for k in range(10)]


def test_the_axis_can_be_logarithmic_and_linear_again(panel):
    first = panel.chart.figure().layout.yaxis3
    panel.set(axis="logarithmic")
    axis = panel.chart.figure().layout.yaxis3
    smallest = min(example.probabilities(1.0).min() for example in panel.examples.values())
    assert axis.type == "log" and 10 ** axis.range[0] < smallest and 10 ** axis.range[1] > 1
    panel.set(axis="linear")
    axis = panel.chart.figure().layout.yaxis3
    assert axis == first and axis.type == "linear" and axis.range == (0, 1)


def test_presets_and_reset_of_the_softmax_panel(examples):
    panel = SoftmaxPanel(examples, digit=5, temperature=2)
    opened = y(panel, "probabilities")
    for name, values in panel.presets.items():
        assert name.startswith(f"T = {values['temperature']:g}:")
        panel.preset(name)
        assert panel.values == {"temperature": values["temperature"], "digit": 5, "axis": "linear"}
        p = scipy.special.softmax(examples[5].logits.double().numpy() / values["temperature"])
        np.testing.assert_allclose(y(panel, "probabilities"), p, rtol=1e-4, atol=1e-9)
    panel.set(digit=1, axis="logarithmic")
    panel.reset()
    assert panel.values == {"temperature": 2.0, "digit": 5, "axis": "linear"}
    np.testing.assert_array_equal(y(panel, "probabilities"), opened)
    assert panel.chart.figure().layout.yaxis3.type == "linear"


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"temperature": -1}, {"temperature": math.nan}, {"digit": 10},
                                   {"axis": "polar"}, {"digit": 4, "temperature": 1000}, {"T": 4}])
def test_wrong_values_of_the_softmax_panel_are_one_sentence(panel, refuses, wrong):
    values, bars, said = panel.values, y(panel, "probabilities"), panel.reading()
    name, value = list(wrong.items())[-1]
    with refuses(name, *([repr(value)] if name != "T" else [])):
        panel.set(**wrong)
    assert panel.values == values and panel.reading() == said
    np.testing.assert_array_equal(y(panel, "probabilities"), bars)


@pytest.mark.alone
def test_the_softmax_panel_answers_at_once(panel):
    """The contract: a panel without training answers under 100 ms; with its widget, as on a page."""
    assert panel.widget
    took = []
    for index in range(40):
        start = time.perf_counter()
        panel.set(temperature=0.5 + index / 4, digit=index % 10)
        took.append(time.perf_counter() - start)
    assert statistics.median(took) < 0.05


def test_by_hand_a_wrong_value_is_only_a_sentence(panel):
    assert panel.widget
    with pytest.raises(ParameterError):
        panel.set(temperature=99)
    panel.inputs["digit"].value = 6
    assert panel.values["digit"] == 6 and "this 6" in line(panel, "kd-reading").text


@pytest.mark.parametrize("kind", [SoftmaxPanel, lambda: QuickLab(seeds=2, steps=10)])
def test_headless_a_panel_is_its_figure_and_its_sentence(kind, monkeypatch):
    headless_page(kind, monkeypatch)


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


def test_moving_a_control_and_letting_go_runs_to_the_answer(lab, by_hand):
    assert lab.widget
    lab.full_speed = False          # the answer is fast whatever the toggle says
    lab.pace = 0.5
    lab.inputs["temperature"].value = 8.0
    assert until(lambda: lab.state == "done")
    np.testing.assert_array_equal(lab.scores, by_hand(8.0))
    assert [(a.temperature, a.mixed) for a in lab.answers] == [(8.0, False)]


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
