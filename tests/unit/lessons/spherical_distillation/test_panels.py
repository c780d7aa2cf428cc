"""The panels of notebook 04 from Python: every control against numbers computed here, and runs in a thread."""

import math

import numpy as np
import pytest
import torch
from helpers import headless_page, student_interval, until, x, y

from kdutils.lessons import catalog
from kdutils.lessons.spherical_distillation.experiment import teachers_by_width
from kdutils.lessons.spherical_distillation.panels.confidence_meter import EDGES, MIDDLES, ConfidenceMeter
from kdutils.lessons.spherical_distillation.panels.dial import TEMPERATURES, TemperatureDial
from kdutils.lessons.spherical_distillation.panels.direction import LENGTHS, PLANE, DirectionPanel, at, logits
from kdutils.objectives import kd_loss, largest_probability, spherical_kd, spread

pytestmark = pytest.mark.usefixtures("no_thread_is_left")
SEEDS, STEPS = 3, 30


# ---- direction and norm -------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def shared_direction() -> DirectionPanel:
    return DirectionPanel()


@pytest.fixture
def direction(shared_direction) -> DirectionPanel:
    shared_direction.reset()
    return shared_direction


@pytest.mark.parametrize("length, degrees", [(1.0, 0), (3.0, 20), (7.5, -130)])
def test_an_arrow_is_as_long_as_its_logits_spread_and_points_to_the_larger_class(length, degrees):
    z = logits(length, degrees)
    assert float(spread(z)) == pytest.approx(length) and float(z.sum()) == pytest.approx(0, abs=1e-9)
    px, py = at(z[0])
    assert (px, py) == pytest.approx((length * math.cos(math.radians(degrees)),
                                      length * math.sin(math.radians(degrees))))
    assert int(z.argmax()) == round(degrees / 120) % 3


@pytest.mark.parametrize("values", [{}, {"angle": 0}, {"angle": -130, "student": 6.0, "teacher": 0.5}])
def test_losses_and_steps_are_those_of_the_objectives(direction, values):
    direction.set(**values)
    now = direction.values
    teacher, student = logits(now["teacher"], 20), logits(now["student"], 20 + now["angle"])
    for name, loss in (("KD", lambda s: kd_loss(s, teacher, 1.0)),
                       ("SKD", lambda s: spherical_kd(s, teacher, 1.0, 2.0))):
        leaf = student.clone().requires_grad_()
        loss(leaf).backward()
        assert y(direction, f"{name} now")[0] == pytest.approx(float(loss(student)), abs=1e-9)
        end = (student - 6 * leaf.grad)[0] @ PLANE / 3
        assert (x(direction, f"{name} step")[1], y(direction, f"{name} step")[1]) == pytest.approx(end.tolist())
        curve = y(direction, f"{name} by length")
        assert curve[40] == pytest.approx(float(loss(logits(LENGTHS[40], 20 + now["angle"]))), abs=1e-9)
    assert np.ptp(y(direction, "SKD by length")) < 1e-9, "the sphere does not see the length"


def test_the_step_of_skd_is_across_the_arrow_and_the_words_say_so(direction):
    for student in (0.5, 3.0, 8.0):
        direction.set(student=student)
        (x0, x1), (y0, y1) = x(direction, "SKD step"), y(direction, "SKD step")
        assert (x1 - x0) * x0 + (y1 - y0) * y0 == pytest.approx(0, abs=1e-9)
        assert "(+0.00 along it)" in direction.reading()
    direction.preset("Right, but quiet")
    assert "asks for a longer arrow" in direction.reading() and "SKD loss 0.000" in direction.reading()
    direction.set(angle=60, student=8.0, teacher=0.5)
    assert "asks for a shorter arrow" in direction.reading()


def test_probabilities_are_drawn_raw_and_on_the_sphere(direction):
    direction.set(teacher=8.0, student=0.1, angle=0)
    assert y(direction, "teacher says").max() > 0.99 and y(direction, "student says").max() < 0.4
    np.testing.assert_allclose(y(direction, "teacher on the sphere"), y(direction, "student on the sphere"))


# ---- the dial -----------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def shared_dial() -> TemperatureDial:
    return TemperatureDial()


@pytest.fixture
def dial(shared_dial) -> TemperatureDial:
    shared_dial.reset()
    return shared_dial


def test_at_a_measured_temperature_it_reads_what_was_measured(dial):
    record = catalog.recorded("spherical_distillation")
    for t in record.params["dial"]:
        dial.set(temperature=t)
        for method in ("KD", "SKD"):
            mean = record.mean("accuracy", part="dial", method=method, temperature=t).mean
            assert y(dial, f"{method} now")[0] == pytest.approx(mean)
            assert f"{method} {mean:.1f}%" in dial.reading()


def test_the_same_ratio_reads_the_same_and_kd_does_not_know_m(dial):
    dial.set(temperature=4.0, m=2.0)
    skd, kd = y(dial, "SKD now")[0], y(dial, "KD now")[0]
    dial.set(temperature=16.0, m=8.0)
    assert y(dial, "SKD now")[0] == pytest.approx(skd) and "m/T = 0.5" in dial.reading()
    dial.set(temperature=4.0)
    assert y(dial, "KD now")[0] == pytest.approx(kd) and y(dial, "SKD now")[0] < skd


def test_beyond_what_was_measured_the_curve_ends_and_the_words_say_so(dial):
    dial.set(temperature=0.5, m=16.0)
    assert np.isnan(y(dial, "SKD now")[0]) and "SKD was not measured at this ratio" in dial.reading()
    assert np.isnan(y(dial, "SKD")[0]) and np.isfinite(y(dial, "SKD")[-1])


def test_the_reach_is_that_of_the_classes_asked_for(dial):
    dial.preset("ImageNet's m = 2, C = 1000")
    np.testing.assert_allclose(y(dial, "reach"), [largest_probability(2.0, 1000, t) for t in TEMPERATURES])
    dial.set(classes=2, temperature=64.0)
    assert y(dial, "uniform")[0] == 0.5 and "reach at most 0.516" in dial.reading()


# ---- the confidence-gap meter -------------------------------------------------------------------------------------

class QuickMeter(ConfidenceMeter):
    """The meter; a control counts as released soon."""

    delay, patience = 0.03, 60.0


@pytest.fixture(scope="module", autouse=True)
def quick_teachers(tmp_path_factory):
    """Teachers of the meter are trained once for all these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDUTILS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def meter(**values) -> QuickMeter:
    return QuickMeter(seeds=SEEDS, steps=STEPS, teacher_steps=20, width=32, **values)


def test_a_run_measures_students_of_the_teacher_that_is_asked_for():
    panel = meter()
    panel.run()
    (answer,) = panel.answers
    assert (answer.place, answer.way, answer.temperature, answer.mixed) == (0, "KD", 4.0, False)
    scores = panel.scores["accuracy"]
    assert (answer.gain.low, answer.gain.high) == pytest.approx(student_interval(scores), abs=1e-3)
    assert y(panel, "answers")[0] == pytest.approx(scores.mean()) and x(panel, "answers") == [0]
    assert f"students {scores.mean():.1f}%" in panel.reading()
    panel.set(width=128, way="SKD")
    panel.run()
    assert [a.place for a in panel.answers] == [0, 1] and x(panel, "others") == [0]


def test_the_histogram_is_of_the_teachers_answers_to_test_digits():
    panel = meter()
    panel.run()
    (z,) = teachers_by_width(panel.lab, [32], "Adam", 20)
    values = torch.stack([spread(z[s, test]) for s, test in enumerate(panel.lab.test)]).flatten().numpy()
    np.testing.assert_allclose(y(panel, "teacher spreads"), 100 * np.histogram(values, EDGES)[0] / len(values))
    assert y(panel, "student spreads").sum() == pytest.approx(100) and x(panel, "student spreads") == MIDDLES.tolist()
    assert y(panel, "sure")[2] == pytest.approx(panel.scores["accuracy"].mean(), abs=1e-3)


def test_temperature_acts_at_once_and_marks_the_run_another_teacher_starts_anew():
    panel = meter()
    panel.pace = 1.0
    panel.train()
    assert until(lambda: panel.students is not None and bool(panel.scores))
    panel.set(temperature=2.0)
    assert until(lambda: panel.mixed)
    panel.full_speed = True
    assert panel.wait(60) and panel.answers[-1].mixed and "T moved during this run" in panel.reading()
    assert panel.why_anew(frozenset({"width"})).startswith("Another teacher")
    assert panel.why_anew(frozenset({"temperature"})) == ""


def test_where_nobody_can_act_it_shows_the_smallest_and_the_largest_teacher(monkeypatch):
    panel = headless_page(meter, monkeypatch)
    assert [answer.place for answer in panel.answers] == [3, 0], "the one that was asked for was the smallest"
    assert all(answer.way == "KD" for answer in panel.answers)
