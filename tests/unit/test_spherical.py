"""The spherical objectives against NumPy, closed forms and finite differences, and what makes them spherical."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from kdutils.errors import ParameterError
from kdutils.objectives import (
    cross_entropy,
    direction,
    distillation,
    kd_loss,
    l2_scale,
    largest_probability,
    mean_spread,
    mixed_distillation,
    normalised_temperature_kd,
    on_sphere,
    per_sample_distillation,
    spherical_distillation,
    spherical_kd,
    spherical_loss,
    spread,
    std_scale,
)


def example(dtype=torch.float64):
    """The check tensors: four examples, five classes."""
    i, k = torch.arange(4, dtype=dtype)[:, None], torch.arange(5, dtype=dtype)
    return torch.sin(1.3 * i + 0.7 * k), 2 * torch.cos(0.9 * i + 1.1 * k), torch.arange(4)


def by_numpy(student, teacher, labels, temperature, alpha, m):
    """The loss of the authors' first code, written for one network in NumPy and float64."""
    def normal(z):
        z = np.asarray(z, np.float64)
        return m * (z - z.mean(-1, keepdims=True)) / np.sqrt(z.var(-1, keepdims=True))

    s, t = normal(student), normal(teacher)
    p_s, p_t = (special.softmax(z / temperature, axis=-1) for z in (s, t))
    soft = temperature**2 * special.rel_entr(p_t, p_s).sum() / len(s)
    hard = -special.log_softmax(s, axis=-1)[np.arange(len(s)), labels].mean()
    return alpha * soft + (1 - alpha) * hard


def outputs(student, teacher, labels, **knobs):
    return {"logits": student}, {"logits": teacher}, labels, knobs


def gradient(loss, student, *others):
    student = student.clone().requires_grad_()
    loss(student, *others).sum().backward()
    return student.grad


# Values ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 64.0])
@pytest.mark.parametrize(("alpha", "m"), [(0.9, 2.0), (0.0, 3.0), (1.0, 0.5)])
def test_the_loss_equals_numpy(temperature, alpha, m):
    student, teacher, labels = example()
    expected = by_numpy(student, teacher, labels, temperature, alpha, m)
    assert float(spherical_loss(student, teacher, labels, temperature, alpha, m)) == pytest.approx(expected, rel=1e-9)
    single = spherical_loss(*(z.float() for z in (student, teacher)), labels, temperature, alpha, m)
    assert float(single) == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_the_sphere_is_torchs_layer_norm_without_its_eps():
    student, *_ = example()
    torch.testing.assert_close(on_sphere(student, 2.0), 2 * F.layer_norm(student, [5], eps=0.0))


def test_an_answer_worked_out_by_hand():
    z = torch.tensor([[4.0, 1.0, 1.0]])     # centred 2, -1, -1; variance 2
    torch.testing.assert_close(spread(z), torch.tensor([math.sqrt(2)]))
    torch.testing.assert_close(on_sphere(z, 3.0), torch.tensor([[2.0, -1.0, -1.0]]) * 3 / math.sqrt(2))


@pytest.mark.parametrize("classes", [2, 3, 10, 100, 1000])
def test_the_two_units_of_the_scale_are_sqrt_c_apart(classes):
    z = torch.randn(6, classes, dtype=torch.float64, generator=torch.Generator().manual_seed(classes))
    centred = z - z.mean(-1, keepdim=True)
    by_norm = 20.0 * F.normalize(centred, dim=-1)       # F.normalize divides by the L2 norm
    torch.testing.assert_close(on_sphere(z, std_scale(20.0, classes)), by_norm)
    assert l2_scale(std_scale(20.0, classes), classes) == pytest.approx(20)
    assert l2_scale(2.0, 100) == pytest.approx(20)


@pytest.mark.parametrize(("classes", "temperature", "expected"), [
    (2, 1, 0.982), (2, 4, 0.731), (10, 1, 0.9887), (10, 4, 0.370), (100, 4, 0.606), (1000, 4, 0.9999)])
def test_the_largest_probability_is_that_of_one_class_against_all_others_alike(classes, temperature, expected):
    one_hot = torch.eye(classes, dtype=torch.float64)[:1]
    reached = (on_sphere(one_hot, 2.0) / temperature).softmax(-1).max()
    assert largest_probability(2.0, classes, temperature) == pytest.approx(float(reached))
    assert float(reached) == pytest.approx(expected, abs=6e-4)


def test_no_answer_goes_beyond_the_largest_probability():
    z = 5 * torch.randn(2000, 10, generator=torch.Generator().manual_seed(0))
    assert on_sphere(z, 2.0).softmax(-1).max() <= largest_probability(2.0, 10) + 1e-6


@pytest.mark.parametrize("size", [0.05, 0.2])
def test_equal_spread_is_equal_entropy_to_second_order(size):
    z = size * torch.randn(5, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    p = z.softmax(-1)
    entropy = -(p * p.log()).sum(-1)
    # The next term is of third order.
    torch.testing.assert_close(entropy, math.log(10) - spread(z) ** 2 / 2, atol=size**3, rtol=0)


# What makes it spherical ---------------------------------------------------------------------------------------

@given(st.floats(-6, 6), st.floats(-50, 50), st.sampled_from([0.5, 2.0, 6.0]))
def test_scaling_and_shifting_the_students_answers_changes_nothing(exponent, shift, m):
    student, teacher, labels = example()
    factor = 10.0**exponent * torch.tensor([1.0, 0.1, 7.0, 3.0], dtype=torch.float64)[:, None]
    moved = factor * (student + shift)      # each answer by a factor of its own
    before, after = (spherical_loss(z, teacher, labels, 4.0, 0.9, m) for z in (student, moved))
    assert float(after) == pytest.approx(float(before), rel=1e-6)


@pytest.mark.parametrize("factor", [1e-15, 1e-3, 1e3, 1e15])
def test_the_direction_is_the_same_at_any_size_in_single_precision(factor):
    student = example(torch.float32)[0]
    torch.testing.assert_close(direction(factor * student), direction(student), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("loss", [lambda z, t, y: spherical_loss(z, t, y, 4.0, 0.5, 2.0),
                                  lambda z, t, y: spherical_kd(z, t, 1.0, 3.0)], ids=["both terms", "KD term"])
def test_the_gradient_is_tangent_and_shrinks_as_the_answer_grows(loss):
    student, teacher, labels = example()
    slope = gradient(loss, student, teacher, labels)
    centred = student - student.mean(-1, keepdim=True)
    assert slope.norm(dim=-1).min() > 1e-3
    torch.testing.assert_close(slope.sum(-1), torch.zeros(4, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close((slope * centred).sum(-1), torch.zeros(4, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(gradient(loss, 10 * student, teacher, labels), slope / 10)


def test_the_gradient_equals_finite_differences():
    student, teacher, labels = example()
    assert torch.autograd.gradcheck(lambda z: spherical_loss(z, teacher, labels, 4.0, 0.7, 2.0),
                                    student.requires_grad_())
    assert torch.autograd.gradcheck(lambda z: normalised_temperature_kd(z, teacher, 2.0), student)
    assert torch.autograd.gradcheck(
        lambda z: per_sample_distillation(*outputs(z, teacher, labels, temperature=2.0, alpha=0.5)), student)


@pytest.mark.parametrize("factor", [0.25, 8.0])
def test_the_kd_term_knows_the_ratio_of_m_and_t_only(factor):
    student, teacher, _ = example()
    one, other = spherical_kd(student, teacher, 4.0, 2.0), spherical_kd(student, teacher, 4.0 * factor, 2.0 * factor)
    assert float(other) == pytest.approx(factor**2 * float(one))       # T^2 is all that is left


def test_the_labels_know_m_alone():
    student, teacher, labels = example()
    cold, hot = (spherical_loss(student, teacher, labels, t, 0.0, 2.0) for t in (0.5, 64.0))
    assert float(cold) == float(hot) == pytest.approx(float(cross_entropy(on_sphere(student, 2.0), labels)))


def test_it_is_least_where_the_directions_agree():
    student, teacher, _ = example()
    assert float(spherical_kd(3 * teacher + 1, teacher, 4.0, 2.0)) == pytest.approx(0, abs=1e-12)
    assert float(spherical_kd(student, teacher, 4.0, 2.0)) > 0.01


# Defined everywhere ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("value", [0.0, 0.1, -3.3e8])
def test_an_answer_without_direction_is_the_uniform_one_and_moves_nothing(value):
    student, teacher, labels = (z.float() if z.is_floating_point() else z for z in example())
    student[1] = value
    assert torch.equal(direction(student)[1], torch.zeros(5))
    slope = gradient(lambda z: spherical_loss(z, teacher, labels, 4.0, 0.5, 2.0), student)
    assert torch.isfinite(slope).all() and torch.equal(slope[1], torch.zeros(5)) and slope[0].norm() > 0


def test_with_two_classes_only_the_decision_is_left():
    student = torch.tensor([[0.3, -0.2], [5.0, 5.001], [-7.0, 100.0]], dtype=torch.float64)
    teacher = torch.tensor([[0.01, 0.0], [-40.0, 3.0], [0.0, 9.0]], dtype=torch.float64)
    torch.testing.assert_close(on_sphere(student, 2.0),
                               2 * torch.tensor([[1, -1], [-1, 1], [-1, 1]], dtype=torch.float64))
    assert float(spherical_kd(student, teacher, 4.0, 2.0)) == pytest.approx(0, abs=1e-12)
    slope = gradient(lambda z: spherical_kd(z, -teacher, 4.0, 2.0), student)      # all decisions differ
    torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_normalised_in_single(dtype):
    student = example()[0].to(dtype)
    for z in (student, 1e-4 * student, 2e4 * student):
        got = on_sphere(z, 2.0)
        assert got.dtype == torch.float32 and torch.isfinite(got).all()
        torch.testing.assert_close(got, on_sphere(z.double(), 2.0).float(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("values", "said"), [
    ({"m": 0.0}, "m must be a number > 0, got 0.0"), ({"m": -2.0}, "m must"), ({"m": math.nan}, "m must"),
    ({"temperature": 0.0}, "temperature must be a number > 0, got 0.0"),
    ({"m": torch.tensor([1.0, -1.0])}, "m must be a number > 0, got -1.0")])
def test_a_wrong_scale_or_temperature_is_one_sentence(values, said):
    student, teacher, _ = example()
    with pytest.raises(ParameterError, match=said):
        spherical_kd(student.expand(2, 4, 5), teacher.expand(2, 4, 5), **{"temperature": 4.0, "m": 2.0} | values)
    for wrong in (lambda: largest_probability(0.0, 10), lambda: l2_scale(2.0, 1), lambda: std_scale(-1.0, 10)):
        with pytest.raises(ParameterError, match="must be"):
            wrong()


# Relatives ---------------------------------------------------------------------------------------------------------

def test_each_network_of_a_population_has_its_own_scale_and_temperature():
    student, teacher, labels = example()
    scales, temperatures = torch.tensor([0.5, 2.0, 6.0]).double(), torch.tensor([1.0, 4.0, 16.0]).double()
    students = torch.stack([student, student.flip(0), 3 * student])
    args = outputs(students, teacher.expand(3, 4, 5), labels.expand(3, 4), temperature=temperatures,
                   alpha=torch.tensor([0.0, 0.5, 1.0]).double(), m=scales)
    for objective in (spherical_distillation, mixed_distillation(True, False, True), per_sample_distillation):
        got = objective(*args)
        for i in range(3):
            knobs = {name: float(value[i]) for name, value in args[3].items()}
            alone = objective(*outputs(students[i], teacher, labels, **knobs))
            assert float(got[i]) == pytest.approx(float(alone))
    got = normalised_temperature_kd(students, teacher.expand(3, 4, 5), temperatures)
    assert float(got[1]) == pytest.approx(float(normalised_temperature_kd(students[1], teacher, 4.0)))


def test_the_mixed_objective_spans_from_ordinary_to_spherical_distillation():
    args = outputs(*example(), temperature=4.0, alpha=0.7, m=2.0)
    student, teacher, labels = example()
    assert torch.equal(mixed_distillation(False, False, False)(*args), distillation(*args))
    assert torch.equal(mixed_distillation()(*args), spherical_distillation(*args))
    z_scored = 0.7 * kd_loss(direction(student), direction(teacher), 4.0) + 0.3 * cross_entropy(student, labels)
    standardised = mixed_distillation(labels=False)(*outputs(student, teacher, labels, temperature=4.0, alpha=0.7,
                                                             m=1.0))
    assert float(standardised) == pytest.approx(float(z_scored))
    halves = [float(mixed_distillation(*where, labels=False)(*args)) for where in ((True, False), (False, True))]
    soft = [kd_loss(on_sphere(student, 2), teacher, 4), kd_loss(student, on_sphere(teacher, 2), 4)]
    assert halves == pytest.approx([0.7 * float(one) + 0.3 * float(cross_entropy(student, labels)) for one in soft])


def test_per_sample_the_student_gets_the_teachers_spread_image_by_image():
    student, teacher, labels = example()
    rescaled = student * (teacher.std(-1, keepdim=True) / student.std(-1, keepdim=True))    # as in the authors' code
    expected = 0.9 * kd_loss(rescaled, teacher, 4.0) + 0.1 * cross_entropy(rescaled, labels)
    got = per_sample_distillation(*outputs(student, teacher, labels, temperature=4.0, alpha=0.9))
    assert float(got) == pytest.approx(float(expected))


def test_normalised_temperature_is_kd_at_a_temperature_per_image():
    student, teacher, _ = example()
    expected = np.mean([float(own**2 * special.rel_entr(special.softmax(t / own), special.softmax(s / (2 * np.std(
        s, ddof=1)))).sum()) for s, t in zip(student.numpy(), teacher.numpy(), strict=True)
        for own in [2 * np.std(t, ddof=1)]])
    assert float(normalised_temperature_kd(student, teacher, 2.0)) == pytest.approx(expected)


def test_the_mean_spread_is_the_papers_common_scale():
    teacher = example()[1]
    assert float(mean_spread(teacher)) == pytest.approx(np.std(teacher.numpy(), axis=-1).mean())
    assert mean_spread(teacher.expand(3, 4, 5)).shape == (3,)
