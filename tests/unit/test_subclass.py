"""Subclass distillation: its auxiliary losses, class logits and gradients."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_subclasses import UNEQUAL, example
from scipy import special
from torch.autograd import gradcheck

from kdutils.objectives import (
    class_logits,
    hard_labels,
    softmax,
    subclass_auxiliary,
    subclass_distillation,
    subclass_entropy,
    subclass_teacher,
)

# ---- the auxiliary loss --------------------------------------------------------------------------------------------

def auxiliary_by_hand(logits, t_aux):
    """The authors' formula for one network's logits (B, S), example by example, pair by pair."""
    n, s = logits.shape
    v = []
    for z in np.asarray(logits, np.float64):
        mean = sum(z) / s
        variance = sum((one - mean) ** 2 for one in z) / s
        v.append([(one - mean) / math.sqrt(variance + 1e-9) for one in z])
    total = 0.0
    for i in range(n):
        pairs = [sum(a * b for a, b in zip(v[i], v[j], strict=True)) / (t_aux * s) for j in range(n)]
        total += math.log(sum(math.exp(c) for c in pairs))
    return total / n - 1 / t_aux - math.log(n)


def one_hot(which, subclasses=10):
    return torch.nn.functional.one_hot(torch.as_tensor(which), subclasses).double()


EXAMPLES, SUBCLASSES = 1000, 10
INDEX = torch.arange(EXAMPLES)


@pytest.mark.parametrize(("logits", "t_aux", "value"), [
    pytest.param(one_hot(torch.full((EXAMPLES,), 3)), 1.0, 0.0, id="all alike"),
    pytest.param(one_hot(5 * (INDEX % 2)), 1.0, math.log(0.5 + 0.5 * math.exp(-10 / 9)), id="one subclass per class"),
    pytest.param(one_hot(INDEX % 2, 2).repeat_interleave(5, -1), 1.0, math.log(0.5 + 0.5 * math.exp(-2)),
                 id="flat inside the class"),
    pytest.param(one_hot(INDEX % 10), 1.0, math.log(0.1 + 0.9 * math.exp(-10 / 9)), id="clear-cut subclasses"),
    pytest.param(one_hot(INDEX % 10), 0.3, math.log(0.1 + 0.9 * math.exp(-10 / 9 / 0.3)), id="the same, colder"),
    pytest.param(one_hot(INDEX % 10), 0.1, -2.3025, id="nearly its limit, -log S"),
])
def test_the_auxiliary_loss_has_its_closed_forms(logits, t_aux, value, device):
    """Unbiased instead of biased variance, or no division by S, gives other values."""
    assert float(subclass_auxiliary(logits.to(device), t_aux)) == pytest.approx(value, abs=1e-4)
    assert float(subclass_auxiliary(logits.float().to(device), t_aux)) == pytest.approx(value, abs=1e-4)


def test_the_values_of_the_page_of_facts():
    """-0.4086, -0.5662, -0.9257 and about -0.944 for a cloud without clusters."""
    assert math.log(0.5 + 0.5 * math.exp(-10 / 9)) == pytest.approx(-0.4086, abs=1e-4)
    assert math.log(0.5 + 0.5 * math.exp(-2)) == pytest.approx(-0.5662, abs=1e-4)
    assert math.log(0.1 + 0.9 * math.exp(-10 / 9)) == pytest.approx(-0.9257, abs=1e-4)
    cloud = torch.randn(20, EXAMPLES, SUBCLASSES, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert float(subclass_auxiliary(cloud, 1.0).mean()) == pytest.approx(-0.944, abs=2e-3)


@pytest.mark.parametrize("t_aux", [0.1, 0.5, 1.0, 3.0])
def test_the_auxiliary_loss_equals_the_formula_written_as_loops(t_aux):
    """Batch statistics instead of each example's own, or a sum without j = i, is another number."""
    logits, _ = example()
    expected = [auxiliary_by_hand(one, t_aux) for one in logits]
    assert subclass_auxiliary(logits, t_aux).tolist() == pytest.approx(expected, abs=1e-9)


def test_log_of_exp_element_by_element_is_another_loss():
    """A code in the wild takes log(exp(c)) before the sum: then the loss is linear in c and has no closed forms."""
    logits, _ = example(members=1, batch=8)
    v = torch.tensor(np.apply_along_axis(lambda z: (z - z.mean()) / z.std(), -1, logits.numpy()))
    wrong = (v @ v.mT / logits.shape[-1]).exp().log().sum(-1).mean(-1) - 1 - math.log(8)
    assert abs(float(wrong) - float(subclass_auxiliary(logits, 1.0))) > 0.5


@given(scale=st.floats(0.01, 100), shift=st.floats(-50, 50), t_aux=st.floats(0.05, 5), seed=st.integers(0, 99))
def test_scale_and_shift_of_an_example_change_nothing(scale, shift, t_aux, seed):
    logits, _ = example(seed=seed)
    changed = logits.clone()
    changed[:, 2] = scale * changed[:, 2] + shift
    torch.testing.assert_close(subclass_auxiliary(changed, t_aux), subclass_auxiliary(logits, t_aux),
                               rtol=1e-4, atol=1e-4)


@given(t_aux=st.floats(0.01, 5), seed=st.integers(0, 99), batch=st.integers(2, 12), spread=st.floats(1e-3, 1e3))
def test_the_auxiliary_loss_is_bounded(t_aux, seed, batch, spread):
    """-1 / T_aux <= loss <= 0 in float32 too, where exp(1 / T_aux) would overflow."""
    logits = spread * torch.randn(2, batch, 6, generator=torch.Generator().manual_seed(seed))
    loss = subclass_auxiliary(logits, t_aux)
    assert ((-1 / t_aux - 1e-4 <= loss) & (loss <= 1e-4 / t_aux)).all()


def test_neither_order_of_subclasses_nor_of_examples_matters_to_the_auxiliary_loss():
    logits, _ = example(batch=9)
    loss = subclass_auxiliary(logits, 0.5)
    random = torch.Generator().manual_seed(2)
    torch.testing.assert_close(subclass_auxiliary(logits[..., torch.randperm(8, generator=random)], 0.5), loss)
    torch.testing.assert_close(subclass_auxiliary(logits[:, torch.randperm(9, generator=random)], 0.5), loss)


def test_each_network_has_its_own_t_aux(device):
    logits, _ = example()
    t_aux = torch.tensor([0.1, 0.5, 2.0], dtype=torch.float64)
    alone = [float(subclass_auxiliary(logits[m], float(t_aux[m]))) for m in range(3)]
    assert subclass_auxiliary(logits.to(device), t_aux.to(device)).tolist() == pytest.approx(alone)


def test_logits_without_spread_do_not_break_the_auxiliary_loss():
    """The 1e-9 lies inside the root: equal logits have a finite loss and gradient, and tiny ones still a shape."""
    flat = torch.zeros(4, 6, requires_grad=True)
    loss = subclass_auxiliary(flat, 1.0)
    loss.backward()
    assert loss.isfinite() and flat.grad.isfinite().all()
    tiny = 1e-5 * torch.eye(4, 6, dtype=torch.float64)
    assert float(subclass_auxiliary(tiny, 1.0)) == pytest.approx(auxiliary_by_hand(tiny, 1.0), abs=1e-9)


# ---- class logits --------------------------------------------------------------------------------------------------

def test_classes_have_the_sum_of_their_subclasses_probabilities(device):
    logits, _ = example()
    p = special.softmax(logits.numpy(), axis=-1)
    by_hand = np.stack([p[..., :3].sum(-1), p[..., 3], p[..., 4:].sum(-1)], -1)
    np.testing.assert_allclose(softmax(class_logits(logits.to(device), UNEQUAL)).cpu(), by_hand, rtol=1e-12)


def test_the_plain_sum_of_logits_is_another_network():
    """A code in the wild adds the logits: here it even answers with another class."""
    logits = torch.tensor([[5.0, -9.0, 1.0, 1.0]])
    assert class_logits(logits, (2, 2)).argmax() == 0
    assert logits.unflatten(-1, (2, 2)).sum(-1).argmax() == 1


def test_classes_far_below_the_best_keep_their_logits():
    """One maximum for all classes instead of one for each would make log 0 of the second."""
    logits = torch.tensor([[300.0, 299.0, -300.0, -301.0]])
    expected = special.logsumexp(logits.numpy().reshape(2, 2), axis=-1)
    np.testing.assert_allclose(class_logits(logits, (2, 2))[0], expected, rtol=1e-6)


def test_one_subclass_each_is_an_ordinary_network():
    logits, labels = example(sizes=(1, 1, 1, 1))
    torch.testing.assert_close(class_logits(logits, (1, 1, 1, 1)), logits)
    plain = subclass_teacher((1, 1, 1, 1))({"logits": logits}, {}, labels, {"beta": 0.0})
    torch.testing.assert_close(plain, hard_labels({"logits": logits}, {}, labels, {}))


def test_order_inside_a_class_does_not_matter_to_its_logit():
    logits, _ = example()
    shuffled = logits[..., [2, 0, 1, 3, 7, 4, 6, 5]]
    torch.testing.assert_close(class_logits(shuffled, UNEQUAL), class_logits(logits, UNEQUAL))
    assert not torch.allclose(class_logits(logits.flip(-1), UNEQUAL), class_logits(logits, UNEQUAL))


# ---- the entropy form ----------------------------------------------------------------------------------------------

def entropy_by_hand(logits, sizes):
    """Minus the information on the subclass inside the class, with loops over classes and examples."""
    p = special.softmax(np.asarray(logits, np.float64), axis=-1)
    loss, start = 0.0, 0
    for size in sizes:
        block = p[:, start:(start := start + size)]
        weight = block.sum(-1)
        q = block / weight[:, None]
        mean = sum(w * one for w, one in zip(weight, q, strict=True)) / weight.sum()
        unsure = sum(w * special.entr(one).sum() for w, one in zip(weight, q, strict=True)) / weight.sum()
        loss += weight.mean() * (unsure - special.entr(mean).sum())
    return loss


def test_the_entropy_form_equals_its_definition_written_as_loops(device):
    logits, _ = example()
    expected = [entropy_by_hand(one, UNEQUAL) for one in logits]
    assert subclass_entropy(logits.to(device), UNEQUAL).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("logits", "value"), [
    pytest.param(60 * one_hot(INDEX % 10), -math.log(5), id="clear-cut and even: the least"),
    pytest.param(60 * one_hot(5 * (INDEX % 2)), 0.0, id="one subclass per class"),
    pytest.param(60 * one_hot(INDEX % 2, 2).repeat_interleave(5, -1), 0.0, id="flat inside the class"),
])
def test_the_entropy_form_has_its_closed_forms(logits, value):
    assert float(subclass_entropy(logits, (5, 5))) == pytest.approx(value, abs=1e-9)


@given(seed=st.integers(0, 99), spread=st.floats(1e-3, 300))
def test_the_entropy_form_is_bounded_and_has_a_gradient(seed, spread):
    """Subclasses that no example takes have probability 0 in float32: no NaN may come of it."""
    logits = spread * torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(seed))
    loss = subclass_entropy(logits.requires_grad_(), UNEQUAL)
    loss.sum().backward()
    assert ((-math.log(4) - 1e-5 <= loss) & (loss <= 1e-5)).all()
    assert logits.grad.isfinite().all()


def test_the_entropy_form_leaves_the_classes_alone():
    """Shifting a class's logits together has no gradient: which class an example belongs to is the labels' business."""
    logits, _ = example()
    subclass_entropy(logits.requires_grad_(), UNEQUAL).sum().backward()
    for block in logits.grad.split(UNEQUAL, -1):
        torch.testing.assert_close(block.sum(-1), torch.zeros_like(block.sum(-1)))


# ---- gradients -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("loss", [
    lambda z: class_logits(z, UNEQUAL),
    lambda z: subclass_auxiliary(z, 0.3),
    lambda z: subclass_auxiliary(z, torch.tensor([0.2, 1.0, 3.0], dtype=z.dtype)),
    lambda z: subclass_teacher(UNEQUAL)({"logits": z}, {}, example()[1], {"beta": 0.7, "t_aux": 0.5}),
    lambda z: subclass_distillation(UNEQUAL)({"logits": z}, {"logits": example(seed=5)[0]}, example()[1],
                                             {"alpha": 0.6, "temperature": 3.0}),
])
def test_gradients_against_finite_differences(loss):
    logits, _ = example()
    assert gradcheck(loss, (logits.requires_grad_(),))


def test_gradient_of_the_entropy_form_against_finite_differences():
    """The weights carry no gradient, so the differences are those of the loss with the weights held still."""
    sizes = (2, 3)
    logits, _ = example(members=1, batch=4, sizes=sizes)
    weights = softmax(class_logits(logits, sizes))

    def held(z):
        loss = 0.0
        for block, weight in zip(z.split(sizes, -1), weights.unbind(-1), strict=True):
            q = block.softmax(-1)
            mean = (weight[..., None] * q).sum(-2) / weight.sum(-1, keepdim=True)
            entropies = torch.special.entr(q).sum(-1)
            loss = loss + (weight * entropies).mean(-1) - weight.mean(-1) * torch.special.entr(mean).sum(-1)
        return loss

    z = logits.clone().requires_grad_()
    assert gradcheck(held, (z,))
    expected, = torch.autograd.grad(held(z).sum(), z)
    found, = torch.autograd.grad(subclass_entropy(z, sizes).sum(), z)
    torch.testing.assert_close(found, expected)
