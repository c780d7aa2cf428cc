"""The tolerance lab against plain code: runs, controls moved in their middle, buttons."""

import math

import numpy as np
import pytest
import torch
from helpers import student_interval, until, x, y
from quick_tolerance_lab import SEEDS, STEPS, QuickLab

from kdutils.cohorts import Splits, cohort, distilled
from kdutils.lessons.tolerant_teachers.panels import tolerance_lab
from kdutils.lessons.tolerant_teachers.panels.tolerance_lab import ToleranceLab
from kdutils.networks import Population
from kdutils.objectives import tolerant_teacher
from kdutils.training import Knobs, Recipe, Task, train

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.fixture
def endless() -> ToleranceLab:
    """Teachers that learn until they are stopped."""
    made = QuickLab(seeds=SEEDS, steps=1_000_000, full_speed=True)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def by_hand():
    """by_hand(eta, K, T): teachers' and students' test accuracies, (2, S) each, strict first, without a panel."""
    place, done = Splits.open("digits", SEEDS), {}

    def run(eta, k=5, temperature=1.0):
        if (eta, k, temperature) not in done:
            population = Population(tolerance_lab.TEACHER, place.seeds * 2)
            task = Task(place.data.inputs, place.data.labels, place.pool.repeat(2, 1), place.seeds * 2)
            knobs = Knobs(eta=[0.0] * SEEDS + [eta] * SEEDS, ranks=k)
            for _ in train(population, task, tolerant_teacher, knobs, Recipe(steps=STEPS, lr=5e-3), STEPS):
                pass
            logits = population.predict(place.data.inputs)
            students = cohort(place, logits.unflatten(0, (2, SEEDS)), place.transfer(100),
                              [distilled(temperature, 0), distilled(temperature, 1)])
            for _ in students.train(Recipe(steps=STEPS)):
                pass
            done[eta, k, temperature] = place.accuracy(logits).view(2, -1).numpy(), students.accuracy().numpy()
        return done[eta, k, temperature]

    return run


def students(lab) -> np.ndarray:
    return np.stack([lab.scores["strict"], lab.scores["tolerant"]])


def test_a_run_is_that_of_plain_code(lab, by_hand):
    lab.set(eta=1.2, ranks=4, temperature=2.0)
    lab.train()
    assert lab.wait(60) and lab.state == "done" and lab.status.startswith("Done: 60 steps")
    taught, learnt = by_hand(1.2, 4, 2.0)
    np.testing.assert_allclose(students(lab), learnt, atol=0.2)
    (answer,) = lab.answers
    gain = learnt[1] - learnt[0]
    assert (answer.eta, answer.ranks, answer.temperature, answer.mixed) == (1.2, 4, 2.0, False)
    assert answer.gain.mean == pytest.approx(gain.mean(), abs=0.2) and answer.gain.n == SEEDS
    for kind, row in (("strict", 0), ("tolerant", 1)):
        assert x(lab, f"{kind} teachers mean") == [0, 10, 20, 30] and x(lab, f"{kind} students mean")[0] == STEPS
        assert y(lab, f"{kind} teachers mean")[-1] == pytest.approx(taught[row].mean(), abs=0.1)
        low, high = student_interval(taught[row])
        assert y(lab, f"{kind} teachers low")[-1] == pytest.approx(low, abs=0.5)
        assert y(lab, f"{kind} teachers high")[-1] == pytest.approx(high, abs=0.5)
    said = lab.reading()
    assert said.startswith("eta = 1.2, K = 4, T = 2. Tolerant teachers are ") and "moved" not in said
    assert f"{lab.scores['tolerant'].mean():.1f}% against {lab.scores['strict'].mean():.1f}%, gain" in said


def test_without_tolerance_both_kinds_are_one_to_the_bit(lab):
    lab.set(eta=0.0)
    lab.run()
    assert torch.equal(lab.teachers["strict"], lab.teachers["tolerant"])
    np.testing.assert_array_equal(*students(lab))
    assert lab.answers[0].gain.mean == 0 and "gain +0.0" in lab.reading()


def test_bars_are_the_mass_by_rank_at_the_temperature_of_the_control(lab):
    lab.run()
    for t in (1.0, 4.0):
        lab.set(temperature=t)
        for kind, uid in (("strict", "strict mass"), ("tolerant", "tolerant mass")):
            logits = lab.teachers[kind].gather(1, lab.lab.test[..., None].expand(-1, -1, 10))
            mass = (logits / t).softmax(-1).sort(-1, descending=True).values.mean((0, 1)).numpy()
            shown = y(lab, uid) if uid == "tolerant mass" else y(lab, uid).reshape(10, 3)[:, 0]
            np.testing.assert_allclose(shown, mass, rtol=1e-3, atol=1e-6)
    assert f"{100 * mass[1:5].sum():.1f}% at T = 4" in lab.reading()


def test_a_new_temperature_asks_the_same_teachers(lab, by_hand):
    lab.run()
    before = {kind: logits.clone() for kind, logits in lab.teachers.items()}
    curve = x(lab, "tolerant teachers mean")
    lab.set(temperature=4.0)
    lab.run()
    assert lab.status.startswith("Done: 30 steps") and x(lab, "tolerant teachers mean") == curve
    assert all(torch.equal(before[kind], lab.teachers[kind]) for kind in before)
    np.testing.assert_allclose(students(lab), by_hand(0.9, 5, 4.0)[1], atol=0.2)


def test_a_new_eta_trains_tolerant_teachers_only(lab, by_hand):
    lab.run()
    strict = lab.teachers["strict"]
    lab.set(eta=0.3)
    lab.run()
    assert lab.teachers["strict"] is strict
    np.testing.assert_allclose(students(lab), by_hand(0.3)[1], atol=0.2)
    assert [answer.eta for answer in lab.answers] == [0.9, 0.3]


def test_each_answer_is_a_point_and_those_of_other_settings_are_hollow(lab):
    for values in ({"eta": 0.3}, {"eta": 1.2}, {"temperature": 4.0}):
        lab.set(**values)
        lab.run()
    assert (x(lab, "answers"), x(lab, "others"), x(lab, "latest")) == ([1.2], [0.3, 1.2], [1.2])
    lab.set(temperature=1.0)
    assert (x(lab, "answers"), x(lab, "others")) == ([0.3, 1.2], [1.2])
    lab.set(ranks=3)
    assert (x(lab, "answers"), x(lab, "others")) == ([], [0.3, 1.2, 1.2])
    low, high = lab.chart.figure().layout.yaxis3.range
    assert all(low < bar < high for bar in y(lab, "others interval") if not math.isnan(bar))


def test_eta_acts_while_teachers_learn_and_the_answer_is_marked(endless):
    endless.train()
    assert until(lambda: len(x(endless, "tolerant teachers mean")) > 2)
    assert ", teachers at step" in endless.status or until(lambda: ", teachers at step" in endless.status)
    endless.set(eta=1.5, ranks=3)
    assert until(lambda: endless.knobs["eta"] == (0.0,) * SEEDS + (1.5,) * SEEDS)
    assert endless.knobs["ranks"] == (3,) * (2 * SEEDS)
    assert until(lambda: endless.mixed) and until(lambda: "A control moved" in endless.reading())
    assert endless.stop() and endless.state == "stopped" and not endless.answers


def test_teachers_whose_eta_moved_are_not_kept(lab):
    lab.step()
    lab.set(eta=0.4)
    lab.train()
    assert lab.wait(60) and lab.answers[-1].mixed and lab.answers[-1].eta == 0.4 and lab.made_of is None
    assert x(lab, "answers") == [] and x(lab, "others") == [0.4]
    first = lab.teachers["tolerant"]
    lab.run()
    assert not lab.answers[-1].mixed and lab.teachers["tolerant"] is not first and x(lab, "answers") == [0.4]


def test_temperature_acts_while_students_learn(lab):
    lab.run()
    lab.step()
    assert until(lambda: lab.state == "paused") and lab.phase == "students" and not lab.mixed
    lab.set(temperature=4.0)
    assert until(lambda: lab.knobs["temperature"] == (4.0,) * (2 * SEEDS)) and lab.mixed
    lab.train()
    assert lab.wait(60) and lab.answers[-1].temperature == 4.0 and lab.answers[-1].mixed
    assert x(lab, "others") == [0.9, 0.9]


def test_other_teachers_than_those_asked_start_the_run_anew():
    lab = QuickLab(seeds=2, steps=30)
    assert lab.widget
    lab.run()
    lab.pace = 20.0      # slow enough to be caught among the students
    lab.train()
    assert until(lambda: lab.phase == "students" and len(x(lab, "strict students mean")) > 1)
    lab.inputs["eta"].value = 0.3
    assert until(lambda: lab.phase == "teachers" and lab.knobs["eta"][-1] == 0.3)
    lab.full_speed = True
    assert lab.wait(60) and lab.answers[-1].eta == 0.3 and not lab.answers[-1].mixed
