"""The panels of notebook 05, driven from Python: what they draw, against the same numbers computed here."""

import math

import numpy as np
import pytest
import torch
from helpers import x, y

from kdutils.lessons.extracurricular_learning import toy
from kdutils.lessons.extracurricular_learning.panels.between_the_dots import WAYS, BetweenTheDots
from kdutils.lessons.extracurricular_learning.panels.gaussian_tug import LOSSES, GaussianTug
from kdutils.lessons.extracurricular_learning.panels.gaze_lab import POOLS, GazeLab
from kdutils.lessons.extracurricular_learning.panels.spend_the_queries import AREAS, BUDGET, RULES, SpendTheQueries
from kdutils.objectives import gaussian_kl

pytestmark = pytest.mark.usefixtures("no_thread_is_left")
STILL = (BetweenTheDots, GaussianTug, SpendTheQueries)


# Those that need no training ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("curve", [0, 4, 7])
def test_the_student_follows_where_it_asked_and_only_there(curve):
    panel = BetweenTheDots(curve=curve)
    alone = panel.distances()
    panel.preset("Between them")
    mixed = panel.distances()
    panel.preset("Everywhere")
    everywhere = panel.distances()
    assert alone["at"] < 0.05 and alone["between"] > 4 * alone["at"]
    assert mixed["between"] < alone["between"] / 3 and mixed["beyond"] > 3 * mixed["between"]
    assert everywhere["beyond"] < mixed["beyond"] / 2


def test_the_strip_is_the_distance_of_the_two_curves():
    panel = BetweenTheDots(way="mixed dots", queries=20)
    np.testing.assert_allclose(y(panel, "apart"), np.abs(y(panel, "student") - y(panel, "teacher")), atol=1e-6)
    assert len(x(panel, "queries")) == 20 and len(x(panel, "dots")) == toy.DOTS
    grid = torch.tensor(x(panel, "teacher"), dtype=torch.float32)
    np.testing.assert_allclose(y(panel, "teacher"), toy.curve(0, grid)[0], atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_answers_at_the_queries_are_the_teachers(way):
    panel = BetweenTheDots(way=way, queries=15)
    places = torch.tensor(x(panel, "queries"), dtype=torch.float32)
    np.testing.assert_allclose(y(panel, "queries"), toy.curve(0, places)[0], atol=1e-4)


def test_an_unsure_teacher_is_asked_where_it_is_unsure():
    panel = BetweenTheDots(way="where the teacher is unsure", queries=60)
    middle = np.abs(x(panel, "queries")) < 1
    assert middle.mean() > 0.55, "the middle third of the line is where its band is wide"


@pytest.mark.parametrize("mean, student, teacher", [(1.5, 0.5, 0.5), (-2.0, 2.0, 0.3), (0.0, 0.2, 1.0)])
def test_losses_and_pulls_are_finite_differences_of_the_divergence(mean, student, teacher):
    panel = GaussianTug(mean=mean, student=student, teacher=teacher)

    def kl(m, v):
        value = gaussian_kl(*(torch.tensor([[one]], dtype=torch.float64)
                              for one in (m, v, 0.0, 2 * math.log(teacher))))
        return float(value)

    value, by_mean, by_width = panel.losses()["KL(T||S)"]
    v, h = 2 * math.log(student), 1e-5
    assert value == pytest.approx(kl(mean, v))
    assert by_mean == pytest.approx((kl(mean + h, v) - kl(mean - h, v)) / (2 * h), abs=1e-5)
    assert by_width == pytest.approx((kl(mean, v + 2 * h) - kl(mean, v - 2 * h)) / (2 * h), abs=1e-4)
    np.testing.assert_allclose(y(panel, "by mean"), [-one[1] for one in panel.losses().values()], atol=1e-6)
    assert panel.losses()["squared error / 2"] == (pytest.approx(mean**2 / 2), pytest.approx(mean), 0)


def test_the_teachers_width_never_pulls_on_the_mean_but_on_the_width():
    narrow, wide = (GaussianTug(mean=1.5, student=0.5, teacher=s).losses() for s in (0.5, 2.0))
    assert narrow["KL(T||S)"][1] == pytest.approx(wide["KL(T||S)"][1])
    assert wide["KL(T||S)"][2] < narrow["KL(T||S)"][2] < 0, "the unsure teacher wants a wider student"
    assert tuple(narrow) == LOSSES


def test_every_rule_spends_its_tokens_and_says_what_they_are_worth():
    for rule in RULES:
        panel = SpendTheQueries(rule=rule, tokens=BUDGET)
        assert len(x(panel, "tokens of teacher")) == BUDGET
        assert float(y(panel, "meter")[0]) == pytest.approx(panel.gap_closed())
        assert f"{panel.gap_closed():.0f}% of the gap" in panel.reading()
    assert SpendTheQueries(tokens=0).gap_closed() == 0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tokens_of_the_data_beat_those_between_two_of_nine_inputs(seed):
    share = {rule: SpendTheQueries(seed=seed, rule=rule, tokens=BUDGET).gap_closed()
             for rule in ("like the data", "between two classes")}
    assert share["like the data"] > share["between two classes"] > 0


def test_by_hand_the_slider_places_tokens_where_the_reader_aims_and_takes_the_last_ones_back():
    panel = SpendTheQueries(rule="by hand", aim="top left", tokens=0)
    panel.set(tokens=10)
    placed = np.column_stack([x(panel, "tokens of teacher"), y(panel, "tokens of teacher")])
    assert len(placed) == 10 and np.abs(placed - AREAS["top left"]).max() < 0.7
    panel.set(aim="bottom right")
    panel.set(tokens=12)
    assert len(panel.placed) == 12 and np.abs(np.array(panel.placed[10:]) - AREAS["bottom right"]).max() < 0.7
    panel.set(tokens=3)
    np.testing.assert_allclose(x(panel, "tokens of teacher"), placed[:3, 0], atol=1e-5)


def test_tokens_can_be_placed_exactly_and_never_beyond_the_budget(refuses):
    panel = SpendTheQueries()
    panel.place((0.5, -0.25), (1.0, 1.0))
    assert panel.values["tokens"] == 2 and panel.values["rule"] == "by hand"
    np.testing.assert_allclose(x(panel, "tokens of student"), [0.5, 1.0])
    with refuses("within -2 and 2"):
        panel.place((3.0, 0.0))
    with refuses("tokens", "62"):
        panel.place(*[(0.0, 0.0)] * 60)
    assert panel.values["tokens"] == 2


# The gaze lab ------------------------------------------------------------------------------------------------------

def lab(**values):
    asked = {"queries": 50, "full_speed": True} | values
    return GazeLab(seeds=2, steps=30, labels=80, own=30, teacher_steps=60, **asked)


def test_a_run_grows_two_bands_points_at_eyes_and_adds_an_answer():
    panel = lab()
    panel.run()
    assert x(panel, "pool mean") == [0, 20, 30] == x(panel, "same mean")
    answer = panel.answers[-1]
    assert (answer.position, answer.queries, answer.match) == (POOLS.index("fresh"), 50, "distributions")
    gain = y(panel, "same mean")[-1] - y(panel, "pool mean")[-1]
    assert answer.gain.mean == pytest.approx(gain, abs=1e-4) and x(panel, "answers") == [0]
    for col in range(1, 5):
        assert np.isfinite(y(panel, f"student {col}")).all() and len(y(panel, f"ellipse {col}")) == 33
    assert "50 answers about fresh eyes" in panel.reading()
    panel.set(match="means", pool="noise")
    panel.run()
    assert len(panel.answers) == 2 and not len(y(panel, "ellipse 1")), "means alone have no width"
    panel.reset()
    assert not panel.answers and not x(panel, "pool mean")
