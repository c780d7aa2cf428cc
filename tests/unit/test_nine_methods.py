"""The losses of nine methods: values, what each cannot see, degenerate batches, the boundary."""

import itertools

import numpy as np
import pytest
import torch
from made_features import random
from scipy import special

from kdutils.errors import ParameterError
from kdutils.objectives import (
    angle_loss,
    attack,
    attention_loss,
    attention_map,
    boundary_loss,
    boundary_weight,
    branch_divergence,
    cross_entropy,
    distance_loss,
    ensemble_loss,
    flow_loss,
    flow_matrix,
    gated_ensemble,
    hint_loss,
    kd_loss,
    mutual_loss,
    other_class,
    pair_distances,
    peer_divergence,
    similarity_loss,
    soft_target_weight,
)

FLAT = {"hints": hint_loss, "distances": distance_loss, "angles": angle_loss, "similarity": similarity_loss}
MAPS = {"attention": attention_loss, "flow": lambda s, t: flow_loss((s, s + 1), (t, t + 1))}


def wave(*sizes, function=np.sin, weights):
    """function(weights . index) for every index of an array of these sizes, as a float64 tensor."""
    index = np.meshgrid(*map(np.arange, sizes), indexing="ij")
    return torch.tensor(function(sum(w * i for w, i in zip(weights, index, strict=True))))


# The tensors on which public codes were compared.
I4, K6 = np.arange(4)[:, None], np.arange(6)
Z_S, Z_T = wave(4, 5, weights=(1.3, 0.7)), 2 * wave(4, 5, function=np.cos, weights=(0.9, 1.1))
F_S = torch.tensor(np.sin(0.5 * I4 * K6 + I4 + 0.3 * K6))
F_T = torch.tensor(np.cos(0.4 * I4 * K6 + 0.2 * I4 + K6))
A_S, A_T = wave(2, 3, 4, 4, weights=(1, 0.5, 0.3, 0.7)), wave(2, 3, 4, 4, function=np.cos, weights=(0.6, 0.4, 0.2, 0.5))
B_S, B_T = wave(2, 4, 4, 4, function=np.cos, weights=(1, 0.3, 0.6, 0.2)), wave(2, 4, 4, 4, weights=(0.7, 0.2, 0.5, 0.4))


# Values -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("value", "public"), [
    (lambda: kd_loss(Z_S, Z_T, 4.0), 1.227726),
    (lambda: peer_divergence(torch.stack([Z_S, Z_T]))[0], 0.859957),
    (lambda: hint_loss(A_S.flatten(1), A_T.flatten(1)), 0.335912),
    (lambda: attention_loss(A_S, A_T), 0.032862),
    (lambda: flow_loss((A_S, B_S), (A_T, B_T)), 0.141291),
    (lambda: distance_loss(F_S, F_T), 0.020072),
    (lambda: angle_loss(F_S, F_T), 0.021672),
    (lambda: 25 * distance_loss(F_S, F_T) + 50 * angle_loss(F_S, F_T), 1.585408),
    (lambda: similarity_loss(F_S, F_T), 0.189471),
], ids=["KD", "DML", "FitNets", "AT", "FSP", "RKD-D", "RKD-A", "RKD", "SP"])
def test_values_agree_with_the_public_codes(value, public):
    assert float(value()) == pytest.approx(public, abs=1e-5)


def huber(d):
    return d**2 / 2 if abs(d) < 1 else abs(d) - 0.5


def cosines_by_hand(f):
    def unit(i, j):
        e = f[j] - f[i]
        return e / np.linalg.norm(e) if i != j else e
    return [unit(i, j) @ unit(i, k) for i, j, k in itertools.product(range(len(f)), repeat=3)]


def test_relations_are_those_of_plain_loops():
    s, t = random(5, 7).numpy(), random(5, 3, seed=1).numpy()
    pairs = list(itertools.product(range(5), repeat=2))

    def relative(f):
        d = np.array([np.linalg.norm(f[i] - f[j]) for i, j in pairs])
        return d / d[d > 0].mean()

    expected = np.mean([huber(d) for d in relative(s) - relative(t)])
    assert float(distance_loss(torch.tensor(s), torch.tensor(t))) == pytest.approx(expected, abs=1e-10)
    expected = np.mean([huber(a - b) for a, b in zip(cosines_by_hand(s), cosines_by_hand(t), strict=True)])
    assert float(angle_loss(torch.tensor(s), torch.tensor(t))) == pytest.approx(expected, abs=1e-10)

    def rows(f):
        g = f @ f.T
        return g / np.linalg.norm(g, axis=1, keepdims=True)

    expected = ((rows(s) - rows(t)) ** 2).mean()
    assert float(similarity_loss(torch.tensor(s), torch.tensor(t))) == pytest.approx(expected, abs=1e-12)


def test_flow_pools_the_larger_maps_by_their_maximum():
    first, second = random(2, 3, 4, 4), random(2, 5, 2, 2, seed=1)
    expected = np.zeros((2, 3, 5))
    for b, c, d, y, x in itertools.product(range(2), range(3), range(5), range(2), range(2)):
        expected[b, c, d] += first[b, c, 2 * y:2 * y + 2, 2 * x:2 * x + 2].max() * second[b, d, y, x] / 4
    np.testing.assert_allclose(flow_matrix(first, second), expected, atol=1e-12)


def test_peers_learn_from_the_mean_or_the_sum_of_the_others_and_hold_them_fixed():
    logits = random(3, 4, 5).requires_grad_()
    p = special.softmax(logits.detach().numpy(), -1)
    kl = np.array([[(p[j] * np.log(p[j] / p[i])).sum(-1).mean() for j in range(3)] for i in range(3)])
    np.testing.assert_allclose(peer_divergence(logits).detach(), kl.sum(1) / 2, atol=1e-12)
    np.testing.assert_allclose(peer_divergence(logits, over="sum").detach(), kl.sum(1), atol=1e-12)
    labels = torch.tensor([0, 1, 2, 3])
    whole = mutual_loss(logits, labels, weight=0.5)
    torch.testing.assert_close(whole, cross_entropy(logits, labels.expand(3, 4)) + 0.5 * peer_divergence(logits))
    slope, = torch.autograd.grad(peer_divergence(logits)[0], logits)
    assert (slope[1:] == 0).all() and slope[0].abs().sum() > 0


def test_the_branches_loss_by_hand_and_its_gradients():
    branches, gate = random(4, 3, 5).requires_grad_(), random(4, 3, seed=1).requires_grad_()
    labels = torch.tensor([0, 1, 2, 3])
    z, g = branches.detach().numpy(), special.softmax(gate.detach().numpy(), -1)
    united = (g[..., None] * z).sum(1)
    ce = lambda logits: -np.log(special.softmax(logits, -1)[np.arange(4), labels]).mean()  # noqa: E731
    t, s = special.softmax(united / 3, -1), special.softmax(z / 3, -1)
    soft = sum(9 * (t * np.log(t / s[:, k])).sum(-1).mean() for k in range(3))
    expected = sum(ce(z[:, k]) for k in range(3)) + ce(united) + 0.5 * soft
    assert ensemble_loss(branches, gate, labels, 3.0, 0.5).item() == pytest.approx(expected, abs=1e-10)
    assert torch.autograd.grad(branch_divergence(branches, gate).sum(), gate, allow_unused=True)[0] is None
    slope, = torch.autograd.grad(ensemble_loss(branches, gate, labels), gate)
    assert slope.abs().sum() > 0
    np.testing.assert_allclose(gated_ensemble(branches, gate).detach(), united, atol=1e-12)


# What each cannot see ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", FLAT)
def test_flat_losses_are_zero_for_a_perfect_copy_and_above_otherwise(name):
    f = random(2, 6, 5)
    assert FLAT[name](f, f).abs().max() < 1e-12
    assert (FLAT[name](f, random(2, 6, 5, seed=1)) > 1e-4).all()


@pytest.mark.parametrize("name", MAPS)
def test_map_losses_are_zero_for_a_perfect_copy_and_above_otherwise(name):
    f = random(2, 6, 3, 4, 4)
    assert MAPS[name](f, f).abs().max() < 1e-12
    assert (MAPS[name](f, random(2, 6, 3, 4, 4, seed=1)) > 1e-5).all()


CHANGES = {"rotation": lambda f: f @ torch.linalg.qr(random(5, 5, seed=9)).Q, "scale": lambda f: 3 * f,
           "shift": lambda f: f + random(5, seed=8)}
BLIND = {"hints": set(), "distances": {"rotation", "scale", "shift"}, "angles": {"rotation", "scale", "shift"},
         "similarity": {"rotation", "scale"}}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", FLAT)
def test_who_notices_that_all_features_were_changed_alike(name, change):
    f = random(2, 6, 5)
    loss = FLAT[name](CHANGES[change](f), f)
    assert (loss < 1e-10).all() if change in BLIND[name] else (loss > 1e-4).all()


def test_attention_sees_where_and_neither_how_much_nor_by_which_channel():
    f = random(2, 6, 3, 4, 4)
    assert attention_loss(5 * f, f).max() < 1e-20
    assert attention_loss(f[:, :, [2, 0, 1]], f).max() < 1e-20
    assert attention_loss(f[:, :, [0, 1, 2, 2]], f).shape == (2,)     # another number of channels
    assert (attention_loss(f.roll(1, -1), f) > 1e-4).all()
    assert (flow_loss((5 * f, f), (f, f)) > 1e-4).all()


# Degenerate batches -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FLAT)
@pytest.mark.parametrize("student", ["equal", "zero", "one twice"])
def test_gradients_are_finite_where_features_coincide(name, dtype, student):
    f = random(1, 6, 5, dtype=dtype)
    f = {"equal": f[:, :1].expand(1, 6, 5).clone(), "zero": torch.zeros_like(f),
         "one twice": f[:, [0, 0, 1, 2, 3, 4]].clone()}[student].requires_grad_()
    loss = FLAT[name](f, random(1, 6, 5, seed=1, dtype=dtype))
    loss.sum().backward()
    assert loss.isfinite().all() and f.grad.isfinite().all()
    assert f.grad.abs().max() < 1e3 or student != "one twice"


@pytest.mark.parametrize("name", MAPS)
def test_gradients_are_finite_where_maps_are_zero(name):
    f = torch.zeros(2, 6, 3, 4, 4, requires_grad=True)
    MAPS[name](f, random(2, 6, 3, 4, 4, dtype=torch.float32)).sum().backward()
    assert f.grad.isfinite().all()
    assert (attention_map(torch.zeros(2, 3, 4, 4)) == 0).all()


def test_a_picture_that_is_there_twice_counts_in_the_mean_distance():
    f = F_S[[0, 0, 1, 2, 3]]
    d = pair_distances(f)
    assert d[0, 1] == pytest.approx(1e-6) and d.diagonal().abs().max() == 0
    by_hand = np.array([[np.linalg.norm(a - b) for a in f.numpy()] for b in f.numpy()])
    g = F_T[[0, 0, 1, 2, 3]].numpy()
    other = np.array([[np.linalg.norm(a - b) for a in g] for b in g])
    expected = np.mean([huber(x) for x in (by_hand * 20 / by_hand.sum() - other * 20 / other.sum()).flatten()])
    assert float(distance_loss(f, torch.tensor(g))) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("loss", "batch", "least"), [(distance_loss, 1, 2), (similarity_loss, 1, 2),
                                                      (angle_loss, 1, 3), (angle_loss, 2, 3)])
def test_too_few_images_to_compare_are_refused_in_a_sentence(loss, batch, least):
    with pytest.raises(ParameterError, match=rf"at least {least}, got {batch}"):
        loss(random(batch, 5), random(batch, 5))


@pytest.mark.parametrize(("call", "says"), [
    (lambda: hint_loss(random(4, 5), random(4, 6)), "equal width, got 5 of the student and 6"),
    (lambda: attention_loss(random(4, 2, 4, 4), random(4, 2, 2, 2)), "same size, got 4x4"),
    (lambda: attention_loss(random(4, 5), random(4, 5)), "a layer without places"),
    (lambda: flow_loss((random(4, 2, 4, 4),) * 2, (random(4, 3, 4, 4),) * 2), "got 2 of the student and 3"),
    (lambda: flow_matrix(random(4, 5), random(4, 5)), "no flow"),
    (lambda: peer_divergence(random(1, 4, 5)), "at least 2, got 1"),
    (lambda: peer_divergence(random(2, 4, 5), over="max"), "over must be one of"),
])
def test_what_cannot_be_compared_is_refused_in_a_sentence(call, says):
    with pytest.raises(ParameterError, match=says):
        call()


@pytest.mark.parametrize("name", [*FLAT, *MAPS])
def test_a_population_is_its_members_and_gradients_are_those_of_finite_differences(name):
    loss, shape = (FLAT[name], (2, 4, 3)) if name in FLAT else (MAPS[name], (2, 4, 2, 2, 2))
    s, t = random(*shape).requires_grad_(), random(*shape, seed=1)
    torch.testing.assert_close(loss(s, t), torch.stack([loss(a, b) for a, b in zip(s, t, strict=True)]))
    assert torch.autograd.gradcheck(lambda x: loss(x, t), s)


# The boundary -----------------------------------------------------------------------------------------------------

def test_attacks_end_just_behind_the_boundary_of_a_linear_teacher():
    weight, bias = 0.4 * random(5, 16), random(5, seed=1)
    teacher = lambda x: x.flatten(1) @ weight.T + bias  # noqa: E731
    images = random(200, 1, 4, 4, seed=2)
    z = teacher(images)
    target = other_class(z, torch.Generator().manual_seed(0))
    assert (target != z.argmax(-1)).all()
    x, crossed = attack(teacher, images, target, low=-4, high=4)
    assert crossed.double().mean() >= 0.95
    assert (teacher(x).argmax(-1)[crossed] != z.argmax(-1)[crossed]).all()
    assert attack(teacher, images, target, low=-1, high=1)[0].abs().max() <= 1
    before = z.max(-1).values - z.gather(-1, target[:, None]).squeeze(-1)
    after = teacher(x).gather(-1, z.argmax(-1)[:, None]).squeeze(-1) - teacher(x).max(-1).values
    assert (after.abs() < before)[crossed].double().mean() > 0.9          # near the boundary, not far behind it


def test_an_attack_stays_where_it_crossed_and_leaves_the_images_alone():
    teacher = lambda x: torch.stack([x.flatten(1).sum(-1), -x.flatten(1).sum(-1)], -1)  # noqa: E731
    images = torch.full((1, 1, 2, 2), 0.1)
    target = torch.tensor([1])
    few, _ = attack(teacher, images, target, steps=3, size=1.0, low=-1, high=1)
    many, crossed = attack(teacher, images, target, steps=30, size=1.0, low=-1, high=1)
    torch.testing.assert_close(few, many)
    assert crossed.all() and (images == 0.1).all()


def test_the_other_class_is_drawn_by_the_teachers_probabilities():
    logits = torch.tensor([5.0, 2.0, 1.0, -30.0]).expand(4000, 4)
    counts = other_class(logits, torch.Generator().manual_seed(0)).bincount(minlength=4)
    assert counts[0] == 0 and counts[3] == 0
    assert counts[1] / 4000 == pytest.approx(special.expit(1.0), abs=0.03)
    assert (other_class(torch.tensor([[900.0, 0.0, -900.0]])) == 1).all()


def test_the_boundary_loss_is_a_soft_cross_entropy_over_the_usable():
    usable = torch.tensor([True, False, True, False])
    t, s = special.softmax(Z_T.numpy() / 3, -1), special.log_softmax(Z_S.numpy() / 3, -1)
    assert float(boundary_loss(Z_S, Z_T, usable)) == pytest.approx(-(t * s).sum(-1)[[0, 2]].mean(), abs=1e-12)
    assert float(boundary_loss(Z_S, Z_T, ~usable & usable)) == 0
    assert [soft_target_weight(0), soft_target_weight(1)] == [4, 1]
    assert [boundary_weight(0), boundary_weight(0.75), boundary_weight(1)] == [2, 0, 0]
