"""The checks of notebook 05: solutions pass, stubs are not done, typical slips are told apart."""

import pytest
import torch

from kdutils.course.checks import check
from kdutils.lessons.extracurricular_learning import checks
from kdutils.results import Effect


def width_gradient(m, v, tm, tv):
    return 0.5 * (1 - (tv.exp() + (tm - m) ** 2) / v.exp()) / len(m)


def total_variance(means, log_variances):
    return log_variances.exp().mean(0) + means.var(0, correction=0)


def repaired(m, v, tm, tv):
    return 0.5 * (v - tv + (tv.exp() + (tm - m) ** 2) / v.exp() - 1).sum(-1).mean()


def broken(m, v, tm, tv):
    """The stub as the page has it."""
    return 0.5 * (tv - v + (v.exp() + (tm - m) ** 2) / tv.exp() - 1).mean()


@pytest.mark.parametrize("name, solution", [("05.1", width_gradient), ("05.2", total_variance), ("05.3", repaired)])
def test_solutions_are_right(name, solution):
    assert check(name, solution).state == "right", check(name, solution)


@pytest.mark.parametrize("name, stub", [("05.1", lambda *_: None), ("05.2", lambda *_: None), ("05.3", broken),
                                        ("05.4", None)])
def test_stubs_are_not_done_yet(name, stub):
    assert check(name, stub).state == "not done yet"


@pytest.mark.parametrize("answer, why", [
    (lambda *a: len(a[0]) * width_gradient(*a), "one B-th"),
    (lambda *a: 2 * width_gradient(*a), "factor of two"),
    (lambda *a: -width_gradient(*a), "sign"),
    (lambda m, v, tm, tv: 0.5 * (1 - (tm - m) ** 2 / v.exp()) / len(m), "teacher's own variance"),
    (lambda m, v, tm, tv: 0.5 * (1 - tv.exp() / v.exp()) / len(m), "distance of the means"),
    (lambda m, v, tm, tv: width_gradient(m, v, tm, tv) / v.exp(), "by the variance"),
    (lambda m, v, tm, tv: width_gradient(m, v, tm, tv) * len(m) / 5, "it should be"),       # right for one batch only
    (lambda m, v, tm, tv: (m - tm) / v.exp() / len(m), "by the mean"),
])
def test_slips_in_the_gradient_are_told_apart(answer, why):
    found = check("05.1", answer)
    assert found.state == "not right yet" and why in found.message


@pytest.mark.parametrize("answer, why", [
    (lambda m, v: v.exp().mean(0), "disagree with each other"),
    (lambda m, v: m.var(0, correction=0), "each of them is unsure"),
    (lambda m, v: v.exp().mean(0) + m.var(0), "not K - 1"),
    (lambda m, v: v.mean(0).exp() + m.var(0, correction=0), "not their logarithms"),
    (lambda m, v: total_variance(m, v).sqrt(), "standard deviation"),
    (lambda m, v: v.exp().mean(0) + (m**2).mean(0), "subtract"),
])
def test_slips_in_the_ensembles_variance_are_told_apart(answer, why):
    found = check("05.2", answer)
    assert found.state == "not right yet" and why in found.message


@pytest.mark.parametrize("answer, why", [
    (lambda m, v, tm, tv: 0.5 * (tv - v + (v.exp() + (tm - m) ** 2) / tv.exp() - 1).sum(-1).mean(), "KL(S || T)"),
    (lambda m, v, tm, tv: 0.5 * (v - tv + (tv.exp() + (tm - m) ** 2) / v.exp() - 1).mean(), "number of targets"),
    (lambda *a: repaired(*a).item(), "no gradient"),
    (lambda *a: repaired(*a).detach(), "no gradient"),
    (lambda m, v, tm, tv: repaired(m.detach(), v, tm, tv), "its gradient is not"),
    (lambda *a: repaired(*a) * len(a[0]), "over the batch, too"),
])
def test_slips_in_the_repair_are_told_apart(answer, why):
    found = check("05.3", answer)
    assert found.state == "not right yet" and why in found.message, found


@pytest.mark.parametrize("effect, state, why", [(Effect(-30, -40, -20, 6), "right", "noise"),
                                                (Effect(2, 1, 3, 6), "not right yet", "better teacher there"),
                                                (Effect(-3, -4, -2, 6), "not right yet", "below -10")])
def test_a_sampler_far_away_is_measured_on_other_seeds(effect, state, why, monkeypatch):
    asked = []
    monkeypatch.setattr(checks, "large_less_small", lambda name: (asked.append(name), effect)[1])
    found = check("05.4", "noise")
    assert asked == ["noise"] and found.state == state and why in found.message


@pytest.mark.parametrize("answer", ["gan", 3, "Noise"])
def test_what_is_no_sampler_is_told_so(answer):
    found = check("05.4", answer)
    assert found.state == "not right yet" and "name of a sampler" in found.message


def test_an_answer_of_another_shape_is_told_so():
    assert "shape" in check("05.2", lambda m, v: torch.zeros(3)).message
