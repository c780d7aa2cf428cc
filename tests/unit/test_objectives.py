"""The objectives against values computed elsewhere, the properties of the formulas, and finite differences."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special

from kdutils import objectives
from kdutils.objectives import cross_entropy, distillation, hard_labels, kd_loss, label_smoothing, soft_cross_entropy

TEMPERATURES = [0.5, 1.0, 2.0, 4.0, 8.0, 20.0]


def example(dtype=torch.float64):
    """The check tensors: four examples, five classes."""
    i, k = torch.arange(4, dtype=dtype)[:, None], torch.arange(5, dtype=dtype)
    return torch.sin(1.3 * i + 0.7 * k), 2 * torch.cos(0.9 * i + 1.1 * k), torch.arange(4)


def three_networks():
    """Student and teacher logits (3, 4, 5) of a population that differ from member to member, and labels."""
    student, teacher, labels = example()
    scale = torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64)[:, None, None]
    return scale * student, scale.flip(0) * teacher, torch.stack([labels, labels.flip(0), labels])


def kd_by_scipy(student, teacher, temperature):
    """T^2 / B times the sum of p_T log(p_T / p_S), in numpy and float64."""
    p_s, p_t = (special.softmax(np.asarray(z, np.float64) / temperature, axis=-1) for z in (student, teacher))
    return temperature**2 * special.rel_entr(p_t, p_s).sum() / len(p_s)


def gradient(loss, student, *others):
    student = student.clone().requires_grad_()
    loss(student, *others).sum().backward()
    return student.grad


# Values ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype, places", [(torch.float64, 6), (torch.float32, 5)])
def test_values_that_public_code_bases_give_on_the_same_tensors(dtype, places):
    student, teacher, labels = example(dtype)
    assert float(cross_entropy(student, labels)) == pytest.approx(1.759054, abs=10**-places)
    assert float(kd_loss(student, teacher, 4)) == pytest.approx(1.227726, abs=10**-places)
    assert float(kd_loss(student, teacher, 1)) == pytest.approx(0.859957, abs=10**-places)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_kd_equals_scipy(temperature):
    student, teacher, _ = example()
    assert float(kd_loss(student, teacher, temperature)) == pytest.approx(kd_by_scipy(student, teacher, temperature))


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_single_precision_is_good_enough_at_any_temperature_of_the_course(temperature):
    student, teacher, _ = example(torch.float32)
    assert float(kd_loss(student, teacher, temperature)) == pytest.approx(
        kd_by_scipy(student, teacher, temperature), rel=1e-3)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_kd_equals_torchs_kl_div_with_batchmean(temperature):
    student, teacher, _ = example()
    torchs = F.kl_div(F.log_softmax(student / temperature, -1), F.softmax(teacher / temperature, -1),
                      reduction="batchmean")
    assert float(kd_loss(student, teacher, temperature)) == pytest.approx(float(temperature**2 * torchs))


def test_kd_at_a_large_temperature_matches_centred_logits():
    student, teacher, _ = example()
    apart = (teacher - teacher.mean(-1, keepdim=True)) - (student - student.mean(-1, keepdim=True))
    closed_form = float((apart**2).sum(-1).mean() / (2 * 5))
    assert closed_form == pytest.approx(1.2261, abs=1e-4)
    assert float(kd_loss(student, teacher, 1000.0)) == pytest.approx(1.2263, abs=1e-4)
    assert float(kd_loss(student, teacher, 1e5)) == pytest.approx(closed_form, rel=1e-4)


def test_cross_entropy_and_label_smoothing_equal_torchs():
    student, _, labels = example()
    assert float(cross_entropy(student, labels)) == pytest.approx(float(F.cross_entropy(student, labels)))
    for epsilon in (0.0, 0.1, 0.5, 1.0):
        torchs = F.cross_entropy(student, labels, label_smoothing=epsilon)
        assert float(label_smoothing(student, labels, epsilon)) == pytest.approx(float(torchs)), epsilon


def test_the_divergence_is_not_symmetric_and_the_teacher_comes_first():
    student, teacher, _ = example()
    assert not math.isclose(kd_loss(student, teacher, 4), kd_loss(teacher, student, 4), rel_tol=0.01)


def test_distillation_weighs_soft_targets_by_alpha_and_labels_by_the_rest():
    student, teacher, labels = example()
    outputs = {"logits": student}, {"logits": teacher}, labels
    kd, ce = kd_by_scipy(student, teacher, 4.0), float(F.cross_entropy(student, labels))
    for alpha in (0.0, 0.1, 0.9, 1.0):
        loss = distillation(*outputs, {"temperature": 4.0, "alpha": alpha})
        assert float(loss) == pytest.approx(alpha * kd + (1 - alpha) * ce), alpha
    assert float(hard_labels({"logits": student}, None, labels, {})) == pytest.approx(ce)


# Reduction and shapes ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("loss", [
    lambda s, t, y: kd_loss(s, t, 4.0), lambda s, t, y: soft_cross_entropy(s, t, 4.0),
    lambda s, t, y: cross_entropy(s, y), lambda s, t, y: label_smoothing(s, y, 0.1)])
def test_the_mean_runs_over_the_batch_and_the_sum_over_classes(loss):
    student, teacher, labels = example()
    once = loss(student, teacher, labels)
    assert once.shape == ()
    one_by_one = [loss(student[i:i + 1], teacher[i:i + 1], labels[i:i + 1]) for i in range(4)]
    assert float(once) == pytest.approx(float(sum(one_by_one)) / 4)
    twice = loss(student.repeat(2, 1), teacher.repeat(2, 1), labels.repeat(2))
    assert float(twice) == pytest.approx(float(once))


def test_classes_that_nobody_believes_in_leave_kd_as_it_was():
    student, teacher, _ = example()
    never = torch.full((4, 95), -1e4, dtype=torch.float64)
    assert float(kd_loss(torch.cat([student, never], 1), torch.cat([teacher, never], 1), 4.0)) == pytest.approx(
        float(kd_loss(student, teacher, 4.0)))


def test_a_population_with_its_own_knobs_equals_its_members_one_by_one(device):
    student, teacher, labels = (value.to(device) for value in three_networks())
    temperature = torch.tensor([1.0, 4.0, 16.0], device=device, dtype=torch.float64)
    alpha = torch.tensor([0.0, 0.3, 1.0], device=device, dtype=torch.float64)
    together = [kd_loss(student, teacher, temperature), soft_cross_entropy(student, teacher, temperature),
                cross_entropy(student, labels), label_smoothing(student, labels, alpha),
                distillation({"logits": student}, {"logits": teacher}, labels,
                             {"temperature": temperature, "alpha": alpha})]
    assert [tuple(losses.shape) for losses in together] == [(3,)] * 5
    for m in range(3):
        s, t, y, own = student[m], teacher[m], labels[m], float(temperature[m])
        alone = [kd_loss(s, t, own), soft_cross_entropy(s, t, own), cross_entropy(s, y),
                 label_smoothing(s, y, float(alpha[m])),
                 distillation({"logits": s}, {"logits": t}, y, {"temperature": own, "alpha": float(alpha[m])})]
        assert [float(losses[m]) for losses in together] == pytest.approx([float(loss) for loss in alone])


def test_one_number_serves_all_networks_and_any_number_of_leading_axes():
    student, teacher, _ = three_networks()
    each = [float(kd_loss(student[m], teacher[m], 4.0)) for m in range(3)]
    assert kd_loss(student, teacher, 4.0).tolist() == pytest.approx(each)
    assert kd_loss(student, teacher, torch.tensor(4.0, dtype=torch.float64)).tolist() == pytest.approx(each)
    grid = kd_loss(student.expand(2, 3, 4, 5), teacher.expand(2, 3, 4, 5), torch.tensor([[4.0] * 3, [1.0] * 3]))
    assert grid.shape == (2, 3) and grid[0].tolist() == pytest.approx(each)


def test_as_many_networks_as_examples_or_classes_are_not_confused_with_them():
    student, teacher, labels = (value[:1].expand(4, *value.shape[1:]) for value in three_networks())
    temperature = torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=torch.float64)
    alone = [kd_by_scipy(student[m], teacher[m], float(temperature[m])) for m in range(4)]
    assert kd_loss(student, teacher, temperature).tolist() == pytest.approx(alone)


def test_softmax_is_a_distribution_that_flattens_with_temperature():
    logits = example()[0]
    for z in (logits[0], logits, logits.expand(3, 4, 5)):
        for temperature in TEMPERATURES:
            expected = special.softmax(z.numpy() / temperature, axis=-1)
            np.testing.assert_allclose(objectives.softmax(z, temperature), expected, rtol=1e-12)
            np.testing.assert_allclose(objectives.log_softmax(z, temperature), np.log(expected), rtol=1e-12)
    peaks = [float(objectives.softmax(logits[0], temperature).max()) for temperature in TEMPERATURES]
    assert peaks == sorted(peaks, reverse=True)


# Gradients ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_gradient_of_kd_is_t_times_the_difference_of_the_softmaxes(temperature):
    student, teacher, _ = example()
    p_s, p_t = (torch.from_numpy(special.softmax(z.numpy() / temperature, axis=-1)) for z in (student, teacher))
    for loss in (kd_loss, soft_cross_entropy):
        torch.testing.assert_close(gradient(loss, student, teacher, temperature), temperature * (p_s - p_t) / 4)


def test_gradients_agree_with_finite_differences():
    student, teacher, labels = three_networks()
    student.requires_grad_()
    temperature = torch.tensor([1.0, 3.0, 8.0], dtype=torch.float64)
    knobs = {"temperature": temperature, "alpha": torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)}
    for loss in (lambda z: kd_loss(z, teacher, temperature), lambda z: soft_cross_entropy(z, teacher, temperature),
                 lambda z: cross_entropy(z, labels), lambda z: label_smoothing(z, labels, 0.1),
                 lambda z: distillation({"logits": z}, {"logits": teacher}, labels, knobs)):
        assert torch.autograd.gradcheck(loss, (student,))


def test_the_gradient_asks_this_teacher():
    student, teacher, _ = example()
    mine, other = (gradient(kd_loss, student, t, 4.0) for t in (teacher, teacher.flip(1)))
    assert mine.abs().max() > 0.05 and (mine - other).abs().max() > 0.05


def test_t_squared_keeps_the_size_of_the_gradient():
    student, teacher, _ = example()
    temperatures = range(1, 21)
    norms = [float(gradient(kd_loss, student, teacher, float(t)).norm()) for t in temperatures]
    assert max(norms) / min(norms) < 2
    without = [norm / t**2 for norm, t in zip(norms, temperatures, strict=True)]
    assert max(without) / min(without) > 100, "without the factor the gradient would fade"


# Properties --------------------------------------------------------------------------------------------------------

logits = arrays(np.float64, (3, 6), elements=st.floats(-30, 30))
temperatures = st.floats(0.2, 100)


@given(logits, logits, temperatures)
def test_kd_is_never_negative_and_zero_for_equal_networks(student, teacher, temperature):
    student, teacher = torch.from_numpy(student), torch.from_numpy(teacher)
    assert float(kd_loss(student, teacher, temperature)) >= -1e-9
    assert float(kd_loss(teacher, teacher, temperature)) == pytest.approx(0, abs=1e-12)
    assert gradient(kd_loss, teacher, teacher, temperature).abs().max() < 1e-12


@given(logits, logits, temperatures, st.floats(-100, 100), st.floats(-100, 100))
def test_a_constant_added_to_the_logits_of_an_example_changes_nothing(student, teacher, temperature, a, b):
    student, teacher = torch.from_numpy(student), torch.from_numpy(teacher)
    before = float(kd_loss(student, teacher, temperature))
    assert float(kd_loss(student + a, teacher + b, temperature)) == pytest.approx(before, rel=1e-6, abs=1e-7)


@given(logits, logits, temperatures, st.permutations(range(6)))
def test_the_names_of_the_classes_do_not_matter(student, teacher, temperature, order):
    student, teacher = torch.from_numpy(student), torch.from_numpy(teacher)
    before = float(kd_loss(student, teacher, temperature))
    assert float(kd_loss(student[:, order], teacher[:, order], temperature)) == pytest.approx(before, abs=1e-9)


@given(logits, logits, temperatures)
def test_soft_cross_entropy_is_kd_plus_the_teachers_entropy(student, teacher, temperature):
    entropy = special.entr(special.softmax(teacher / temperature, axis=-1)).sum() / 3
    student, teacher = torch.from_numpy(student), torch.from_numpy(teacher)
    assert float(soft_cross_entropy(student, teacher, temperature)) == pytest.approx(
        float(kd_loss(student, teacher, temperature)) + temperature**2 * entropy, rel=1e-9, abs=1e-9)
    torch.testing.assert_close(gradient(soft_cross_entropy, student, teacher, temperature),
                               gradient(kd_loss, student, teacher, temperature), atol=1e-9, rtol=1e-9)


@given(logits, temperatures)
def test_softmax_sums_to_one_and_keeps_the_order(z, temperature):
    p = objectives.softmax(torch.from_numpy(z), temperature).numpy()
    np.testing.assert_allclose(p.sum(-1), 1)
    assert (np.diff(np.take_along_axis(p, z.argsort(-1), -1)) >= 0).all()


@pytest.mark.parametrize("size", [1e2, 1e4])
def test_large_logits_give_finite_losses_and_gradients(size, device):
    student = torch.tensor([[size, 0.0, -size], [-size, size, 0.0]], device=device)
    teacher, labels = student.flip(0), torch.tensor([2, 0], device=device)
    for loss in (lambda z: kd_loss(z, teacher, 1.0), lambda z: soft_cross_entropy(z, teacher, 1.0),
                 lambda z: cross_entropy(z, labels), lambda z: label_smoothing(z, labels, 0.1)):
        assert torch.isfinite(loss(student)) and loss(student) > size / 2
        assert torch.isfinite(gradient(loss, student)).all()
