"""One answer's tolerance, and who the secondaries are, against closed forms and means by hand."""

import re

import numpy as np
import pytest
import torch
from helpers import per_cent, x, y
from quick_tolerance_lab import KINDS

from kdutils.cohorts import Splits
from kdutils.lessons.tolerant_teachers.experiment import ancestors
from kdutils.lessons.tolerant_teachers.panels.one_answer import RULES, SEEN, STRENGTHS, OneAnswerPanel
from kdutils.lessons.tolerant_teachers.panels.secondaries import SecondariesPanel
from kdutils.lessons.tolerant_teachers.parameters import kinds
from kdutils.objectives import optimum, penalty_optimum, smoothing_optimum, tolerant_teacher
from kdutils.plots.style import COLOURS
from kdutils.training import Recipe

pytestmark = pytest.mark.usefixtures("no_thread_is_left")
LETTERS = {"tolerant": "eta", "smoothing": "epsilon", "penalty": "beta"}
BEST = {"tolerant": lambda strength, k: optimum(strength, k),
        "smoothing": lambda strength, k: smoothing_optimum(strength, 10),
        "penalty": lambda strength, k: penalty_optimum(strength, 10)}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("k", [2, 5, 10])
def test_the_descent_follows_the_gradient_of_the_courses_objective(rule, k):
    z = torch.tensor([0.3, -1.0, 2.0, 1.4, 0.1, -0.6, 0.9, -2.0, 0.5, 1.1], dtype=torch.float64, requires_grad=True)
    knobs = {LETTERS[rule]: 0.4, "ranks": k}
    (gradient,) = torch.autograd.grad(tolerant_teacher({"logits": z[None]}, None, torch.tensor([3]), knobs), z)
    p, wanted = z.detach().softmax(-1).numpy(), np.eye(10)[3]
    if rule == "smoothing":
        wanted = 0.6 * wanted
    np.testing.assert_allclose(p - wanted + RULES[rule].gradient(p, 0.4, k), gradient.numpy(), atol=1e-9)


@pytest.mark.parametrize(("rule", "strength", "k"), [
    ("tolerant", 0.0, 5), ("tolerant", 0.5, 5), ("tolerant", 0.9, 5), ("tolerant", 1.5, 5), ("tolerant", 1.2, 3),
    ("tolerant", 1.5, 2), ("tolerant", 1.5, 10), ("smoothing", 0.125, 5), ("smoothing", 0.9, 4), ("penalty", 0.25, 5),
    ("penalty", 1.5, 10)])
def test_descent_ends_at_the_closed_form(answer, rule, strength, k):
    answer.set(rule=rule, strength=strength, ranks=k)
    p, best = y(answer, "answer"), BEST[rule](strength, k)
    assert p.sum() == pytest.approx(1) and p[3] == pytest.approx(best, abs=0.01)
    ticks = y(answer, "optimum").reshape(10, 3)[:, 0]
    assert ticks.sum() == pytest.approx(1) and ticks[3] == pytest.approx(best)
    said = per_cent(answer.reading())
    assert said[:2] == pytest.approx([100 * p[3], 100 * best], abs=0.11)
    assert f"{LETTERS[rule]} = {strength:g}:" in answer.reading()
    loss = tolerant_teacher({"logits": torch.tensor(p).log()[None]}, None, torch.tensor([3]),
                            {LETTERS[rule]: strength, "ranks": k}).item()
    assert float(answer.formula().rpartition("= ")[2]) == pytest.approx(loss, abs=2e-3)


@pytest.mark.parametrize("rule", RULES)
def test_the_curves_of_the_optimum_and_the_point_on_them(answer, rule):
    answer.set(rule=rule, strength=1.2, ranks=4)
    most = {"smoothing": 1.0}.get(rule, 1.2)       # epsilon is a share
    curves = [y(answer, f"{share} by strength") for share in ("label", "secondary", "rest")]
    np.testing.assert_allclose(np.sum(curves, 0), 1)
    np.testing.assert_allclose(curves[0], [BEST[rule](min(s, 1.0) if rule == "smoothing" else s, 4)
                                           for s in STRENGTHS])
    assert y(answer, "label now")[0] == pytest.approx(BEST[rule](most, 4)) and x(answer, "now") == [1.2, 1.2]
    ways = [y(answer, f"{share} descends") for share in ("label", "secondary", "rest")]
    np.testing.assert_allclose(np.sum(ways, 0), 1)
    assert len(ways[0]) == len(SEEN) and ways[0][-1] == pytest.approx(y(answer, "answer")[3])
    assert f"{LETTERS[rule]} = {most:g}:" in answer.reading()
    assert answer.chart.figure().layout.xaxis3.title.text.startswith(LETTERS[rule])


def test_tolerance_keeps_the_order_of_the_start_and_its_rivals_do_not(answer):
    start = answer.example.logits.numpy()
    secondary = np.argsort(-start)[1:5]
    p = y(answer, "answer")
    assert np.argsort(-p)[1:5].tolist() == secondary.tolist()
    assert p[secondary].max() > 2 * p[secondary].min()
    assert f"most for the {secondary[0]}" in answer.reading()
    for rule in ("smoothing", "penalty"):
        answer.preset(rule.capitalize())
        others = np.delete(y(answer, "answer"), 3)
        assert others.max() < 1.1 * others.min() and "alike" in answer.reading()


def test_the_words_know_the_threshold(answer):
    answer.set(strength=0.8)
    assert "Up to (K - 1)/K = 0.8 the best answer is one-hot" in answer.reading()
    answer.set(strength=0.825)
    assert "Above (K - 1)/K = 0.8" in answer.reading()
    answer.set(ranks=2)
    assert "keeps a second class" in answer.reading() and "on rank 2," in answer.reading()
    answer.set(strength=0.0)
    assert "Nothing is added" in answer.reading()
    answer.set(ranks=10)
    assert "the rest" not in answer.reading()


def test_label_ranks_and_rest_have_their_colours(answer):
    answer.set(ranks=3)
    colours = answer.chart.figure().data[0].marker.color
    assert colours[3] == COLOURS["hard labels"]
    assert sum(colour == COLOURS["tolerant"] for colour in colours) == 2
    assert sum(colour == COLOURS["other"] for colour in colours) == 7


def test_another_digit_may_be_asked_about(shared_answer, refuses):
    other = OneAnswerPanel(digit=8, examples=[shared_answer.example, *_examples()[8:9]])
    assert other.example.label == 8 and y(other, "answer").argmax() == 8 and "label 8" in other.reading()
    with refuses("digit", "77"):
        OneAnswerPanel(digit=77)


def _examples():
    from kdutils.lessons.examples import usual_examples
    return usual_examples()


def test_presets_of_one_answer_say_what_they_set(answer):
    shares = {}
    for name in answer.presets:
        answer.preset(name)
        shares[name] = y(answer, "label now")[0]
    assert shares["Strict"] == shares["Below the threshold"] == 1
    # The three rules leave the label about the same, so that a reader sees where the rest goes.
    assert all(shares[name] == pytest.approx(8 / 9, abs=0.02) for name in ("Tolerant", "Smoothing", "Penalty"))


# ---- who are the secondaries? -------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def shared_secondaries() -> SecondariesPanel:
    return SecondariesPanel(seeds=2, steps=60)


@pytest.fixture
def secondaries(shared_secondaries) -> SecondariesPanel:
    shared_secondaries.reset()
    return shared_secondaries


@pytest.mark.parametrize(("teacher", "k", "t"), [("strict", 5, 1.0), ("tolerant", 2, 1.0), ("smoothed", 10, 4.0)])
def test_the_map_is_the_mean_over_images_of_a_class(secondaries, teacher, k, t):
    secondaries.set(teacher=teacher, ranks=k, temperature=t)
    lab, expected, counts = Splits.open("digits", 2), np.zeros((10, 10)), np.zeros(10)
    logits = ancestors(lab, lab.pool, kinds(), recipe=Recipe(60, lr=3e-3))[KINDS.index(teacher)]
    for seed in range(2):
        for image in lab.test[seed].tolist():
            p = (logits[seed, image] / t).softmax(-1).numpy()
            label, order = int(lab.data.labels[image]), np.argsort(-p)
            counts[label] += 1
            for named in order[1:k]:
                expected[label, named] += p[named] * (named != label)
    expected = 100 * expected / counts[:, None]
    np.testing.assert_allclose(secondaries.chart.points("mass")["z"].reshape(10, 10), expected, rtol=2e-3, atol=1e-3)
    np.testing.assert_allclose(y(secondaries, "by class"), expected.sum(1), rtol=1e-3)
    texts = secondaries.chart.figure().data[1].text
    assert [texts[11 * i] for i in range(10)] == [""] * 10      # no class is its own secondary
    row, named = np.unravel_index(expected.argmax(), (10, 10))
    assert f"most from {row} to {named}" in secondaries.reading()
    assert per_cent(secondaries.reading())[0] == pytest.approx(expected.sum(1).mean(), abs=0.06)


def test_teachers_are_compared_with_strict_ones(secondaries):
    secondaries.set(teacher="tolerant")
    off = ~np.eye(10, dtype=bool)
    r = np.corrcoef(secondaries.matrix("tolerant")[off], secondaries.matrix("strict")[off])[0, 1]
    assert f"r = {r:.2f}." in secondaries.reading()
    ticks = y(secondaries, "strict").reshape(10, 3)[:, 0]
    np.testing.assert_allclose(ticks, secondaries.matrix("strict").sum(1))
    assert (y(secondaries, "by class") > ticks).mean() >= 0.8
    secondaries.set(teacher="strict")
    assert "r = " not in secondaries.reading()


def test_groups_are_outlined_and_counted(secondaries):
    grouped = SecondariesPanel(seeds=2, steps=60, groups=((3, 5, 8, 9), (0, 6), (1, 7), (2,), (4,)))
    assert len(grouped.chart.points("groups")["x"]) == 6 * (12 + 2 + 2)
    assert re.search(r"(\d+)% of it stays inside", grouped.reading())
    assert not x(secondaries, "groups") and "inside" not in secondaries.reading()


def test_groups_that_leave_a_class_out_are_refused_before_any_training(refuses, monkeypatch):
    def no_training(*arguments, **named):
        pytest.fail("teachers were trained for groups that are refused")

    monkeypatch.setattr("kdutils.lessons.tolerant_teachers.panels.secondaries.ancestors", no_training)
    with refuses("groups", "0..9"):
        SecondariesPanel(groups=[(0, 2, 3), (5, 7, 9)])
