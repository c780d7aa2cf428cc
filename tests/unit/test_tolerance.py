"""Tolerance and its rivals: values computed by hand, answers that are free, finite differences, strictness at 0."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize, special

from kdutils import metrics
from kdutils.datasets import load, split
from kdutils.networks import MLP, Population
from kdutils.objectives import (
    confidence_penalty,
    cross_entropy,
    hard_labels,
    label_smoothing,
    optimum,
    penalty_optimum,
    smoothing_optimum,
    threshold,
    tolerant_teacher,
    tolerant_teacher_convex,
    top_score_difference,
)
from kdutils.training import Knobs, Recipe, Task, fit


def example(members=3, batch=6, classes=7):
    """Logits (M, B, C) without ties, and labels (M, B)."""
    logits = 2 * torch.randn(members, batch, classes, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return logits, torch.arange(members * batch).view(members, batch) % classes


def tsd_by_hand(logits, ranks):
    """Mean over images of the largest probability less the mean of the next K - 1, image by image in numpy."""
    differences = []
    for p in special.softmax(np.asarray(logits, np.float64), axis=-1).reshape(-1, logits.shape[-1]):
        first, *others = sorted(p, reverse=True)[:ranks]
        differences.append(first - sum(others) / len(others))
    return np.mean(differences)


def entropy_by_hand(logits):
    return special.entr(special.softmax(np.asarray(logits, np.float64), axis=-1)).sum(-1).mean()


def best_answer(loss, classes, start=None):
    """The probabilities that minimise loss(logits (1, C), label 0), if the logits are free."""
    def value_and_slope(z):
        z = torch.tensor(z, requires_grad=True)
        value = loss(z[None], torch.tensor([0]))
        value.backward()
        return value.item(), z.grad.numpy()

    start = np.array([1.0, *-0.05 * np.arange(1, classes)]) if start is None else start
    found = optimize.minimize(value_and_slope, start, jac=True, method="L-BFGS-B",
                              options={"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-10})
    return special.softmax(found.x)


# The term ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("ranks", [2, 3, 5, 7])
def test_the_term_is_the_first_less_the_mean_of_the_next(ranks):
    logits, _ = example()
    together = top_score_difference(logits, ranks)
    assert together.shape == (3,)
    assert together.tolist() == pytest.approx([tsd_by_hand(one, ranks) for one in logits])
    assert float(top_score_difference(logits[0], ranks)) == pytest.approx(tsd_by_hand(logits[0], ranks))


def test_two_ranks_and_all_ranks_in_closed_form():
    logits, _ = example()
    p = logits.softmax(-1)
    top = p.topk(2).values
    torch.testing.assert_close(top_score_difference(logits, 2), (top[..., 0] - top[..., 1]).mean(-1))
    torch.testing.assert_close(top_score_difference(logits, 7), (p.amax(-1) - (1 - p.amax(-1)) / 6).mean(-1))


def test_the_sum_is_divided_by_its_number_of_terms():
    """A third-party code divides by K; with K = 2 that would be 0.6 - 0.3 / 2."""
    logits = torch.tensor([[0.6, 0.3, 0.1]]).log()
    assert float(top_score_difference(logits, 2)) == pytest.approx(0.3)
    assert float(top_score_difference(logits, 3)) == pytest.approx(0.6 - 0.2)


def test_it_lies_between_0_for_a_uniform_answer_and_1_for_a_certain_one():
    assert float(top_score_difference(torch.zeros(4, 10), 5)) == pytest.approx(0, abs=1e-7)
    assert float(top_score_difference(100 * torch.eye(10), 5)) == pytest.approx(1)


@given(arrays(np.float64, (3, 6), elements=st.floats(-30, 30)), st.integers(2, 6), st.permutations(range(6)),
       st.floats(-50, 50))
def test_names_of_classes_and_added_constants_do_not_matter_even_with_ties(z, ranks, order, constant):
    z = torch.from_numpy(z)
    value = float(top_score_difference(z, ranks))
    assert -1e-12 <= value <= 1 + 1e-12 and value == pytest.approx(tsd_by_hand(z, ranks), abs=1e-9)
    assert float(top_score_difference(z[:, order] + constant, ranks)) == pytest.approx(value, abs=1e-9)


def test_ranks_are_sorted_anew_and_a_wrong_first_class_is_held_down():
    """Image 0 is right, image 1 is wrong: descent lowers whichever class is first, whatever the label."""
    logits = torch.tensor([[3.0, 1.0, 0.0], [0.0, 1.0, 3.0]], requires_grad=True)
    top_score_difference(logits, 2).backward()
    assert logits.grad[0, 0] > 0 and logits.grad[1, 2] > 0 and logits.grad[0, 1] < 0 and logits.grad[1, 1] < 0


# Networks side by side ---------------------------------------------------------------------------------------------

KNOBS = {"eta": [0.0, 0.9, 1.5], "ranks": [2.0, 5.0, 7.0], "epsilon": [0.0, 0.1, 0.0], "beta": [0.3, 0.0, 0.0]}


def test_a_population_with_its_own_knobs_equals_its_members_one_by_one(device):
    logits, labels = (value.to(device) for value in example())
    knobs = {name: torch.tensor(values, device=device, dtype=torch.float64) for name, values in KNOBS.items()}
    together = [tolerant_teacher({"logits": logits}, None, labels, knobs), top_score_difference(logits, knobs["ranks"]),
                confidence_penalty(logits, labels, knobs["beta"]),
                tolerant_teacher_convex({"logits": logits}, None, labels, knobs | {"eta": knobs["eta"] / 2})]
    assert [tuple(losses.shape) for losses in together] == [(3,)] * 4
    for m, (z, y) in enumerate(zip(logits, labels, strict=True)):
        own = {name: values[m] for name, values in KNOBS.items()}
        alone = [tolerant_teacher({"logits": z}, None, y, own), top_score_difference(z, own["ranks"]),
                 confidence_penalty(z, y, own["beta"]),
                 tolerant_teacher_convex({"logits": z}, None, y, own | {"eta": own["eta"] / 2})]
        assert [float(losses[m]) for losses in together] == pytest.approx([float(loss) for loss in alone])


def test_the_ancestor_is_the_sum_of_its_parts():
    logits, labels = example(members=1)
    z, y = logits[0], labels[0]
    smoothed = float(F.cross_entropy(z, y, label_smoothing=0.2))
    expected = smoothed + 0.7 * tsd_by_hand(z, 3) - 0.4 * entropy_by_hand(z)
    knobs = {"eta": 0.7, "ranks": 3, "epsilon": 0.2, "beta": 0.4}
    assert float(tolerant_teacher({"logits": z}, None, y, knobs)) == pytest.approx(expected)
    plain = float(F.cross_entropy(z, y))
    assert float(confidence_penalty(z, y, 0.4)) == pytest.approx(plain - 0.4 * entropy_by_hand(z))
    convex = tolerant_teacher_convex({"logits": z}, None, y, {"eta": 0.7, "ranks": 3})
    assert float(convex) == pytest.approx(0.7 * plain + 0.3 * tsd_by_hand(z, 3))


def test_as_many_networks_as_images_or_classes_are_not_confused_with_them():
    logits, _ = example(members=7, batch=7)
    ranks = torch.arange(7.0).clamp(2)
    expected = [tsd_by_hand(z, int(k)) for z, k in zip(logits, ranks, strict=True)]
    assert top_score_difference(logits, ranks).tolist() == pytest.approx(expected)


def test_gradients_agree_with_finite_differences():
    logits, labels = example()
    logits.requires_grad_()
    knobs = {name: torch.tensor(values, dtype=torch.float64) for name, values in KNOBS.items()}
    for loss in (lambda z: top_score_difference(z, 3), lambda z: top_score_difference(z, knobs["ranks"]),
                 lambda z: confidence_penalty(z, labels, 0.5),
                 lambda z: tolerant_teacher({"logits": z}, None, labels, knobs),
                 lambda z: tolerant_teacher_convex({"logits": z}, None, labels, {"eta": 0.4, "ranks": 5})):
        assert torch.autograd.gradcheck(loss, (logits,))


@pytest.mark.parametrize("size", [1e2, 1e4])
def test_large_logits_give_finite_losses_and_gradients(size):
    logits = torch.tensor([[size, 0.0, -size], [-size, size, 0.0]], requires_grad=True)
    for knobs in ({"eta": 0.9, "ranks": 2}, {"epsilon": 0.1}, {"beta": 0.5}):
        loss = tolerant_teacher({"logits": logits}, None, torch.tensor([2, 0]), knobs)
        (slope,) = torch.autograd.grad(loss, logits)
        assert torch.isfinite(loss) and torch.isfinite(slope).all()


# Strict is strict --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("knobs", [
    {}, {"eta": 0.0, "ranks": 5}, {"eta": 0, "epsilon": 0, "beta": 0},
    {"eta": [0.0] * 3, "ranks": [2, 5, 10], "epsilon": [0.0] * 3, "beta": [0.0] * 3}])
def test_with_nothing_asked_training_is_plain_training_bit_for_bit(knobs):
    data = load("digits")
    train = torch.stack([split(data, seed).pool[:100] for seed in range(3)])
    trained = []
    for objective, values in ((hard_labels, {}), (tolerant_teacher, knobs)):
        population = Population(MLP(64, (16,), 10), range(3))
        history = fit(population, Task(data.inputs, data.labels, train, range(3)), objective, Knobs(**values),
                      Recipe(steps=60), every=20)
        trained.append((history[-1].loss, *population.parameters.values()))
    assert all(torch.equal(plain, strict) for plain, strict in zip(*trained, strict=True))


def test_a_convex_eta_of_1_is_plain_cross_entropy():
    logits, labels = example()
    assert torch.equal(tolerant_teacher_convex({"logits": logits}, None, labels, {"eta": 1.0, "ranks": 3}),
                       cross_entropy(logits, labels))


# Answers that are free ---------------------------------------------------------------------------------------------

def test_the_closed_forms_of_the_notes():
    assert [optimum(eta, 5) for eta in (0, 0.3, 0.8, 0.9, 1.2)] == pytest.approx([1, 1, 1, 8 / 9, 2 / 3])
    assert [optimum(1.0, 3), optimum(1.5, 3)] == pytest.approx([2 / 3, 4 / 9])
    assert [optimum(eta, 5, "convex") for eta in (1, 0.6, 0.5, 0.4)] == pytest.approx([1, 1, 0.8, 8 / 15])
    assert [threshold(k) for k in (2, 3, 5)] == pytest.approx([1 / 2, 2 / 3, 4 / 5])
    assert [threshold(k, "convex") for k in (3, 5)] == pytest.approx([3 / 5, 5 / 9])


@pytest.mark.parametrize("form", ["additive", "convex"])
@pytest.mark.parametrize("ranks", [2, 3, 5, 9])
def test_the_threshold_is_where_the_best_answer_stops_being_one_hot(form, ranks):
    edge, tolerant = threshold(ranks, form), {"additive": 1, "convex": -1}[form]
    assert optimum(edge - tolerant * 1e-6, ranks, form) == 1 > optimum(edge + tolerant * 1e-6, ranks, form)


@pytest.mark.parametrize("eta, ranks, classes", [(0.9, 5, 10), (1.2, 5, 10), (1.0, 3, 10), (1.5, 3, 6), (0.8, 2, 4),
                                                 (1.4, 6, 6)])
def test_a_free_answer_ends_at_the_additive_optimum(eta, ranks, classes):
    p = best_answer(lambda z, y: tolerant_teacher({"logits": z}, None, y, {"eta": eta, "ranks": ranks}), classes)
    ranked = np.sort(p[1:])[::-1]
    assert p[0] == pytest.approx(optimum(eta, ranks), abs=2e-3)
    assert ranked[:ranks - 1].sum() == pytest.approx(1 - optimum(eta, ranks), abs=4e-3)


@pytest.mark.parametrize("eta, ranks", [(0.5, 5), (0.4, 5), (0.5, 3)])
def test_a_free_answer_ends_at_the_convex_optimum(eta, ranks):
    p = best_answer(lambda z, y: tolerant_teacher_convex({"logits": z}, None, y, {"eta": eta, "ranks": ranks}), 10)
    assert p[0] == pytest.approx(optimum(eta, ranks, "convex"), abs=2e-3)


def test_below_the_threshold_a_free_answer_becomes_certain():
    p = best_answer(lambda z, y: tolerant_teacher({"logits": z}, None, y, {"eta": 0.7, "ranks": 5}), 10)
    assert p[0] > 0.995 and optimum(0.7, 5) == 1


def test_the_split_among_the_secondaries_does_not_matter_to_the_loss():
    """Any of them may have it all; descent from equal logits keeps them equal."""
    def loss(p):
        z = torch.tensor(p, dtype=torch.float64).clamp(1e-300).log()[None]
        return float(tolerant_teacher({"logits": z}, None, torch.tensor([0]), {"eta": 1.2, "ranks": 5}))

    third = 1 / 3
    best = loss([2 / 3, *[third / 4] * 4, 0, 0])
    for others in ([third, 0, 0, 0, 0, 0], [third / 2, third / 4, third / 8, third / 8, 0, 0]):
        assert loss([2 / 3, *others]) == pytest.approx(best)
    assert loss([2 / 3, *[third / 5] * 5, 0]) > best + 0.01, "mass beyond rank K costs"
    assert loss([0.70, *[0.30 / 4] * 4, 0, 0]) > best < loss([0.63, *[0.37 / 4] * 4, 0, 0])


@pytest.mark.parametrize("eta, form", [(4.0, "additive"), (50.0, "additive"), (0.1, "convex"), (0.0, "convex")])
def test_a_very_large_tolerance_stops_where_k_classes_are_equal(eta, form):
    assert optimum(eta, 3, form) == pytest.approx(1 / 3)
    objective = {"additive": tolerant_teacher, "convex": tolerant_teacher_convex}[form]
    knobs = {"eta": eta, "ranks": 3}

    def loss(p):
        return float(objective({"logits": torch.tensor([p]).log()}, None, torch.tensor([0]), knobs))

    equal = loss([0.333, 0.333, 0.333, 0.001])
    for p in ([0.36, 0.32, 0.319, 0.001], [0.3, 0.35, 0.349, 0.001], [0.25, 0.25, 0.25, 0.25]):
        assert loss(p) > equal or eta == 0


@pytest.mark.parametrize("epsilon, beta", [(0.05, 0.1), (0.2, 0.3), (0.6, 1.0), (1.0, 5.0)])
@pytest.mark.parametrize("classes", [2, 10])
def test_the_rivals_spread_the_rest_evenly_over_all_classes(epsilon, beta, classes):
    for loss, p_star in ((lambda z, y: label_smoothing(z, y, epsilon), smoothing_optimum(epsilon, classes)),
                         (lambda z, y: confidence_penalty(z, y, beta), penalty_optimum(beta, classes))):
        p = best_answer(loss, classes)
        assert p[0] == pytest.approx(p_star, abs=1e-3)
        assert p[1:] == pytest.approx([(1 - p_star) / (classes - 1)] * (classes - 1), abs=1e-3)


def test_the_penalty_runs_from_certain_to_uniform():
    betas = [0, 1e-6, 1e-3, 0.1, 0.3, 1, 10, 1e6]
    values = [penalty_optimum(beta, 10) for beta in betas]
    assert values == sorted(values, reverse=True) and values[0] == values[1] == 1
    assert values[-1] == pytest.approx(0.1, abs=1e-5)


# Refused -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("ranks", [1, 0, -3, 8, 2.5, float("nan"), torch.tensor([2.0, 8.0, 3.0]),
                                   torch.tensor([2.0, 1.0, 3.0]), torch.tensor([2.0, 2.5, 3.0]), torch.tensor(1.0)])
def test_impossible_ranks_are_refused(ranks, refuses):
    logits, _ = example()
    with refuses("ranks", "between 2 and 7"):
        top_score_difference(logits, ranks)


@pytest.mark.parametrize("call, words", [
    (lambda: optimum(-0.1, 5), ("eta", ">= 0", "-0.1")), (lambda: optimum(0.9, 1), ("ranks", "at least 2", "1")),
    (lambda: optimum(1.1, 5, "convex"), ("eta", "between 0 and 1", "1.1")),
    (lambda: optimum(0.9, 5, "other"), ("form", "additive, convex", "other")),
    (lambda: threshold(1), ("ranks", "1")), (lambda: threshold(5, "no"), ("form", "no")),
    (lambda: smoothing_optimum(1.5, 10), ("epsilon", "1.5")), (lambda: smoothing_optimum(0.1, 1), ("classes", "1")),
    (lambda: penalty_optimum(-1, 10), ("beta", ">= 0", "-1")),
    (lambda: tolerant_teacher_convex({"logits": torch.zeros(1, 3)}, None, torch.tensor([0]), {"eta": 2.0, "ranks": 2}),
     ("eta", "between 0 and 1", "2.0")),
])
def test_impossible_values_are_refused(call, words, refuses):
    with refuses(*words):
        call()


@pytest.mark.parametrize("name, wrong", [("eta", -0.1), ("eta", float("inf")), ("ranks", 1), ("ranks", 2.5),
                                         ("epsilon", -0.1), ("epsilon", 1.1), ("beta", -1), ("beta", "much")])
def test_knobs_refuse_what_the_objectives_cannot_use(name, wrong, refuses):
    knobs = Knobs(eta=0.0, ranks=5, epsilon=0.0, beta=[0.0, 0.5])
    with refuses(name, repr(wrong)):
        knobs.set(**{name: wrong})
    assert knobs["eta"] == 0 and knobs["ranks"] == 5


# What is measured --------------------------------------------------------------------------------------------------

def test_mass_in_ranks():
    p = torch.tensor([[0.5, 0.3, 0.15, 0.05], [0.1, 0.1, 0.2, 0.6]])
    assert metrics.mass_in_ranks(p.log(), 2).tolist() == pytest.approx([0.55, 0.25, 0.20])
    assert metrics.mass_in_ranks(p.log(), 3).tolist() == pytest.approx([0.55, 0.375, 0.075])
    assert metrics.mass_in_ranks(p.log().expand(5, 2, 4), 4).shape == (5, 3)
    assert metrics.mass_in_ranks(p.log(), 4)[2] == 0


def test_mass_inside_groups():
    """Classes 0, 1, 2 are one group, 3 and 4 another. Image 2 is wrong: the mass on its own label is not counted."""
    p = torch.tensor([[0.6, 0.2, 0.1, 0.07, 0.03], [0.1, 0.05, 0.05, 0.5, 0.3], [0.3, 0.2, 0.4, 0.06, 0.04]])
    labels, groups = torch.tensor([0, 3, 0]), [(0, 1, 2), (3, 4)]
    inside = (0.2 + 0.1) + 0.3 + 0.2
    assert float(metrics.mass_inside_groups(p.log(), labels, groups, 3)) == pytest.approx(inside / (inside + 0.1))
    alone = [(0, 1, 2), (3,), (4,)]
    assert float(metrics.mass_inside_groups(p.log(), labels, alone, 3)) == pytest.approx(1.0), "image 1 has no group"
    several = metrics.mass_inside_groups(p.log().expand(4, 3, 5), labels, groups, 3)
    assert several.tolist() == pytest.approx([inside / (inside + 0.1)] * 4)


def test_a_random_secondary_mass_is_inside_its_group_by_chance():
    logits = torch.randn(20_000, 10, generator=torch.Generator().manual_seed(1))
    share = metrics.mass_inside_groups(logits, torch.arange(20_000) % 10, [range(5), range(5, 10)], 5)
    assert float(share) == pytest.approx(4 / 9, abs=0.01)


@pytest.mark.parametrize("groups", [[(0, 1), (2, 3)], [(0, 1, 2), (2, 3, 4)], [(0, 1, 2, 3, 4, 5)]])
def test_groups_must_name_every_class_once(groups, refuses):
    with refuses("groups", "once"):
        metrics.mass_inside_groups(torch.zeros(2, 5), torch.tensor([0, 1]), groups, 3)
