"""Subclass distillation: the objectives of teacher and student, and wrong values."""

import math

import numpy as np
import pytest
import torch
from made_subclasses import UNEQUAL, example
from scipy import special

from kdutils.errors import ParameterError
from kdutils.networks import MLP, Population
from kdutils.objectives import (
    class_logits,
    cross_entropy,
    distillation,
    kd_loss,
    subclass_auxiliary,
    subclass_distillation,
    subclass_entropy,
    subclass_teacher,
)
from kdutils.training import Knobs, Recipe, Task, fit

# ---- objectives ----------------------------------------------------------------------------------------------------

def test_the_teachers_loss_is_its_two_parts():
    logits, labels = example()
    ce = cross_entropy(class_logits(logits, UNEQUAL), labels)
    knobs = {"beta": 0.7, "t_aux": 0.4}
    found = subclass_teacher(UNEQUAL)({"logits": logits}, {}, labels, knobs)
    torch.testing.assert_close(found, ce + 0.7 * subclass_auxiliary(logits, 0.4))
    found = subclass_teacher(UNEQUAL, "entropy")({"logits": logits}, {}, labels, {"beta": 0.7})
    torch.testing.assert_close(found, ce + 0.7 * subclass_entropy(logits, UNEQUAL))


def test_with_beta_0_the_teacher_is_plain_bit_for_bit_alone_and_beside_others():
    logits, labels = example()
    plain = cross_entropy(class_logits(logits, UNEQUAL), labels)
    assert torch.equal(subclass_teacher(UNEQUAL)({"logits": logits}, {}, labels, {"beta": 0.0}), plain)
    beta = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    mixed = subclass_teacher(UNEQUAL)({"logits": logits}, {}, labels, {"beta": beta, "t_aux": 0.5})
    assert torch.equal(mixed[[0, 2]], plain[[0, 2]]) and mixed[1] != plain[1]


def test_the_students_loss_is_kd_on_subclasses_and_labels_on_classes():
    """Labels that index subclasses, or a soft part without T^2, give other values."""
    (student, labels), (teacher, _) = example(), example(seed=4)
    temperature, alpha = 3.0, 0.6
    log_s, log_t = (special.log_softmax(z.numpy() / temperature, axis=-1) for z in (student, teacher))
    kl = (np.exp(log_t) * (log_t - log_s)).sum(-1).mean(-1)
    p = special.softmax(student.numpy(), axis=-1)
    p_class = np.stack([p[..., :3].sum(-1), p[..., 3], p[..., 4:].sum(-1)], -1)
    ce = -np.log(np.take_along_axis(p_class, labels.numpy()[..., None], -1)).mean((-1, -2))
    found = subclass_distillation(UNEQUAL)({"logits": student}, {"logits": teacher}, labels,
                                           {"alpha": alpha, "temperature": temperature})
    np.testing.assert_allclose(found, alpha * temperature**2 * kl + (1 - alpha) * ce)


def test_a_teacher_followed_exactly_leaves_no_soft_loss_and_one_subclass_each_is_plain_distillation():
    (student, labels), (teacher, _) = example(sizes=(1, 1, 1, 1)), example(sizes=(1, 1, 1, 1), seed=4)
    knobs = {"alpha": 0.7, "temperature": 2.0}
    found = subclass_distillation((1, 1, 1, 1))({"logits": student}, {"logits": teacher}, labels, knobs)
    torch.testing.assert_close(found, distillation({"logits": student}, {"logits": teacher}, labels, knobs))
    same = subclass_distillation((2, 2))({"logits": teacher}, {"logits": teacher}, labels % 2, knobs | {"alpha": 1.0})
    torch.testing.assert_close(same, torch.zeros_like(same))


def test_what_a_class_level_message_leaves_out():
    """Two teachers that agree on the classes and differ inside them: two-class KD cannot tell them apart."""
    first, second = torch.tensor([[3.0, 0.0, 1.0, -1.0]]), torch.tensor([[0.0, 3.0, -1.0, 1.0]])
    coarse = [class_logits(z, (2, 2)) for z in (first, second)]
    assert float(kd_loss(*coarse, 4.0)) == pytest.approx(0, abs=1e-6)
    assert float(kd_loss(first, second, 4.0)) > 0.5


def test_a_population_of_teachers_equals_each_trained_alone():
    """Members must not see each other's batches in the auxiliary loss."""
    random = torch.Generator().manual_seed(3)
    inputs, labels = torch.rand(40, 1, 2, 3, generator=random), torch.arange(40) % 2
    spec, recipe = MLP(6, (8,), 6), Recipe(steps=6, batch=10)
    betas, t_aux, seeds = (0.0, 0.5, 2.0), (0.3, 0.3, 1.0), (0, 1, 2)
    together = Population(spec, seeds)
    fit(together, Task(inputs, labels, torch.arange(40).repeat(3, 1), seeds), subclass_teacher((3, 3)),
        Knobs(beta=betas, t_aux=t_aux), recipe)
    for m in range(3):
        alone = Population(spec, seeds[m:m + 1])
        fit(alone, Task(inputs, labels, torch.arange(40)[None], seeds[m:m + 1]), subclass_teacher((3, 3)),
            Knobs(beta=betas[m], t_aux=t_aux[m]), recipe)
        torch.testing.assert_close(alone.predict(inputs)[0], together.predict(inputs)[m], rtol=1e-4, atol=1e-5)


# ---- wrong values --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("call", [
    lambda z: class_logits(z, (5, 0)), lambda z: class_logits(z, (21, 1)), lambda z: class_logits(z, (2.5, 2.5)),
    lambda z: class_logits(z, (5, 4)), lambda z: class_logits(z, ()), lambda z: subclass_entropy(z, (4, 5)),
    lambda z: subclass_teacher((0, 5)), lambda z: subclass_teacher((2,), "l2"),
    lambda z: subclass_distillation((5, 21)), lambda z: subclass_auxiliary(z, 0.0),
    lambda z: subclass_auxiliary(z, -1), lambda z: subclass_auxiliary(z, math.nan),
    lambda z: subclass_auxiliary(z, torch.tensor([1.0, 0.0])), lambda z: subclass_auxiliary(z[:, :1], 1.0),
    lambda z: subclass_auxiliary(z[..., :1], 1.0), lambda z: subclass_entropy(z[:, :1], (5, 5)),
    lambda z: Knobs(t_aux=0.0), lambda z: Knobs(t_aux=(0.5, -0.1)),
])
def test_wrong_values_are_refused_in_one_sentence(call):
    with pytest.raises(ParameterError) as error:
        call(torch.zeros(2, 4, 10))
    assert str(error.value).endswith(".") and str(error.value).count(". ") == 0 and "\n" not in str(error.value)


def test_twenty_subclasses_are_allowed():
    assert class_logits(torch.zeros(2, 3, 40), (20, 20)).shape == (2, 3, 2)
