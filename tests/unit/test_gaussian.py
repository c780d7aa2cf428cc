"""Gaussian answers against torch.distributions, values computed elsewhere, finite differences and sampled moments."""

import math

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from kdutils.objectives import (
    best_single_width,
    beta_nll,
    calibrated_scale,
    gaussian,
    gaussian_distillation,
    gaussian_kl,
    gaussian_nll,
    half_squared_error,
    hard_labels,
    kd_loss,
    mean_distillation,
    regression,
    soft_label_distillation,
    united,
    united_log_probabilities,
)
from kdutils.objectives.gaussian import LOG_VARIANCE


def number(value):
    return torch.tensor([[value]], dtype=torch.float64)


def example(members=3, batch=5, d=2):
    """Means and log-variances of students and teachers, and targets, (M, B, d) each."""
    i = torch.arange(members * batch * d, dtype=torch.float64).view(members, batch, d)
    return (torch.sin(1.3 * i), torch.cos(0.7 * i) - 1, torch.sin(0.9 * i + 1), 0.8 * torch.sin(2.1 * i) - 1.5,
            torch.cos(1.7 * i))


def torchs(mean, log_variance):
    return Independent(Normal(mean, (0.5 * log_variance).exp()), 1)


def test_the_check_values_of_one_number():
    two, three = (number(2 * math.log(s)) for s in (0.2, 0.3))
    assert float(gaussian_kl(number(0.1), three, number(0.3), two)) == pytest.approx(0.349910, abs=1e-5)
    assert float(gaussian_nll(number(0.1), three, number(0.3))) == pytest.approx(-0.062812, abs=1e-5)
    assert float(gaussian_kl(number(0.3), two, number(0.3), two)) == 0


def test_likelihood_and_divergence_are_those_of_torchs_distributions():
    mean, log_variance, teacher_mean, teacher_log_variance, targets = example()
    student, teacher = torchs(mean, log_variance), torchs(teacher_mean, teacher_log_variance)
    torch.testing.assert_close(gaussian_nll(mean, log_variance, targets), -student.log_prob(targets).mean(-1))
    torch.testing.assert_close(gaussian_kl(mean, log_variance, teacher_mean, teacher_log_variance),
                               kl_divergence(teacher, student).mean(-1))


def test_torchs_own_loss_averages_over_the_targets_and_is_half_of_ours():
    mean, log_variance, *_, targets = example(1)
    theirs = torch.nn.GaussianNLLLoss(full=True)(mean[0], targets[0], log_variance[0].exp())
    assert float(gaussian_nll(mean, log_variance, targets)) == pytest.approx(2 * float(theirs))


def test_gradients_are_the_finite_differences():
    mean, log_variance, teacher_mean, teacher_log_variance, targets = example(2, 3)
    losses = {"nll": lambda m, v: gaussian_nll(m, v, targets),
              "kl": lambda m, v: gaussian_kl(m, v, teacher_mean, teacher_log_variance),
              "error": lambda m, v: half_squared_error(m, targets) + 0 * v.sum()}
    for loss in losses.values():
        assert torch.autograd.gradcheck(loss, (mean.clone().requires_grad_(), log_variance.clone().requires_grad_()))
    raw = torch.linspace(-3, 3, 12, dtype=torch.float64).view(3, 4).requires_grad_()
    assert torch.autograd.gradcheck(gaussian, (raw,))


def test_the_gradient_of_the_divergence_by_the_mean_is_weighed_down_by_the_students_own_variance():
    mean, log_variance, teacher_mean, teacher_log_variance, _ = example()
    mean.requires_grad_()
    gaussian_kl(mean, log_variance, teacher_mean, teacher_log_variance).sum().backward()
    torch.testing.assert_close(mean.grad, (mean.detach() - teacher_mean) / log_variance.exp() / mean.shape[1])


def test_with_both_variances_fixed_at_one_it_is_half_the_squared_error():
    mean, _, teacher_mean, *_ = example()
    one = torch.zeros_like(mean)
    torch.testing.assert_close(gaussian_kl(mean, one, teacher_mean, one), half_squared_error(mean, teacher_mean))


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_beta_moves_the_gradient_from_that_of_the_likelihood_to_that_of_the_squared_error(beta):
    mean, log_variance, *_, targets = example()
    mean.requires_grad_()
    beta_nll(mean, log_variance, targets, beta).sum().backward()
    expected = (mean.detach() - targets) * ((beta - 1) * log_variance).exp() / mean.shape[1]
    torch.testing.assert_close(mean.grad, expected)


def test_beta_may_be_one_per_network():
    mean, log_variance, *_, targets = example()
    each = beta_nll(mean, log_variance, targets, torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    for member, beta in enumerate((0.0, 0.5, 1.0)):
        torch.testing.assert_close(each[member], beta_nll(mean, log_variance, targets, beta)[member])
    torch.testing.assert_close(each[0], gaussian_nll(mean, log_variance, targets)[0])


@pytest.mark.parametrize("raw", [-1e6, -50.0, 0.0, 50.0, 1e6])
def test_the_variance_is_bounded_whatever_a_network_says(raw):
    mean, log_variance = gaussian(torch.tensor([[1.0, raw]]))
    assert LOG_VARIANCE[0] <= float(log_variance) <= LOG_VARIANCE[1] and float(mean) == 1


def test_near_the_middle_the_bound_is_not_felt():
    raw = torch.tensor([[0.0, 1e-3]], dtype=torch.float64)
    assert float(gaussian(raw)[1]) == pytest.approx(sum(LOG_VARIANCE) / 2 + 1e-3, abs=1e-9)


@pytest.mark.parametrize("target", [0.0, 1e3, -1e6])
def test_variance_neither_collapses_nor_explodes_whatever_the_targets(target):
    """Descent on one output: an exact target pulls the variance to its lower bound, an absurd one to the upper."""
    outputs = torch.tensor([[0.0, 0.0]], requires_grad=True)
    optimizer = torch.optim.Adam([outputs], lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        loss = gaussian_nll(*gaussian(outputs), torch.tensor([[target]]))
        loss.backward()
        assert torch.isfinite(loss) and torch.isfinite(outputs.grad).all()
        optimizer.step()
    low, high = LOG_VARIANCE
    assert low <= float(gaussian(outputs.detach())[1]) <= high and torch.isfinite(outputs).all()


def test_the_moments_of_an_ensemble():
    means = torch.tensor([0.2, 0.5, 0.35], dtype=torch.float64)[:, None]
    variances = torch.tensor([0.01, 0.04, 0.02], dtype=torch.float64)[:, None]
    mean, aleatoric, epistemic = united(means, variances.log())
    assert float(mean) == pytest.approx(0.35) and float(aleatoric + epistemic) == pytest.approx(0.038333, abs=1e-6)
    assert float(epistemic) == pytest.approx(0.015)


def test_the_moments_are_those_of_draws_from_the_mixture():
    torch.manual_seed(0)
    means, variances = torch.tensor([-1.0, 0.5, 2.0, 0.0]), torch.tensor([0.1, 1.0, 0.3, 2.0])
    which = torch.randint(4, (400_000,))
    draws = means[which] + variances[which].sqrt() * torch.randn(400_000)
    mean, aleatoric, epistemic = united(means[:, None], variances.log()[:, None])
    assert float(mean) == pytest.approx(float(draws.mean()), abs=0.01)
    assert float(aleatoric + epistemic) == pytest.approx(float(draws.var()), abs=0.02)


def test_networks_that_agree_have_no_epistemic_part():
    _, aleatoric, epistemic = united(torch.full((4, 3), 0.7), torch.full((4, 3), -1.0))
    assert float(epistemic.abs().max()) < 1e-12
    torch.testing.assert_close(aleatoric, torch.full((3,), math.exp(-1)))


def test_probabilities_are_averaged_and_not_logits():
    logits = torch.tensor([[[4.0, 0.0, 0.0]], [[0.0, 4.0, 0.0]]], dtype=torch.float64)
    together = united_log_probabilities(logits)
    torch.testing.assert_close(together.exp(), logits.softmax(-1).mean(0))
    assert not torch.allclose(together.exp(), logits.mean(0).softmax(-1), atol=0.01)
    torch.testing.assert_close(united_log_probabilities(logits, 4.0).exp(), (logits / 4).softmax(-1).mean(0))
    assert torch.isfinite(united_log_probabilities(1e4 * logits)).all()


def test_the_scale_makes_the_likelihood_best():
    mean, log_variance, *_, targets = example(1, 50)
    scale = calibrated_scale(mean, log_variance.exp(), targets)
    best = gaussian_nll(mean, log_variance + scale.log(), targets)
    for factor in (0.8, 0.95, 1.05, 1.3):
        assert float(gaussian_nll(mean, log_variance + (factor * scale).log(), targets)) > float(best)


def test_a_single_width_is_the_best_there_is():
    mean, _, teacher_mean, teacher_log_variance, _ = example(2, 40)
    width = best_single_width(mean, teacher_mean, teacher_log_variance.exp())
    assert width.shape == (2, 1, 2)
    best = gaussian_kl(mean, width.log().expand_as(mean), teacher_mean, teacher_log_variance)
    for factor in (0.7, 0.95, 1.05, 1.5):
        other = gaussian_kl(mean, (factor * width).log().expand_as(mean), teacher_mean, teacher_log_variance)
        assert (other > best).all()


def outputs():
    mean, log_variance, teacher_mean, teacher_log_variance, targets = example()
    student = {"logits": torch.cat([mean, log_variance], -1)}
    return student, {"mean": teacher_mean, "log_variance": teacher_log_variance}, targets


def test_alpha_weighs_teacher_against_targets_network_by_network():
    student, teacher, targets = outputs()
    alpha = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    mean, log_variance = gaussian(student["logits"])
    both = gaussian_distillation(student, teacher, targets, {"alpha": alpha})
    kl = gaussian_kl(mean, log_variance, teacher["mean"], teacher["log_variance"])
    nll = gaussian_nll(mean, log_variance, targets)
    torch.testing.assert_close(both, alpha * kl + (1 - alpha) * nll)
    torch.testing.assert_close(both[0], regression(student, teacher, targets, {})[0])
    means = mean_distillation(student, teacher, targets, {"alpha": alpha})
    torch.testing.assert_close(means[2], half_squared_error(mean, teacher["mean"])[2])
    assert not torch.allclose(regression(student, teacher, targets, {"beta": 0.5}), nll)


def test_a_student_of_means_alone_leaves_its_variances_alone():
    student, teacher, targets = outputs()
    student["logits"].requires_grad_()
    mean_distillation(student, teacher, targets, {"alpha": 0.5}).sum().backward()
    assert (student["logits"].grad[..., 2:] == 0).all() and (student["logits"].grad[..., :2] != 0).all()


def test_labels_that_are_distributions_serve_the_hard_term_only():
    logits, teacher = torch.randn(2, 4, 5, dtype=torch.float64), torch.randn(2, 4, 5, dtype=torch.float64)
    labels = torch.tensor([[0, 1, 2, 3], [4, 4, 0, 1]])
    one_hot = torch.nn.functional.one_hot(labels, 5).double()
    knobs = {"temperature": 2.0, "alpha": 0.0}
    student, outputs = {"logits": logits}, {"logits": teacher}
    torch.testing.assert_close(soft_label_distillation(student, outputs, one_hot, knobs),
                               hard_labels(student, outputs, labels, {}))
    mixed = 0.3 * one_hot + 0.7 * one_hot.flip(-1)
    expected = -(mixed * logits.log_softmax(-1)).sum(-1).mean(-1)
    torch.testing.assert_close(soft_label_distillation(student, outputs, mixed, knobs), expected)
    torch.testing.assert_close(soft_label_distillation(student, outputs, mixed, knobs | {"alpha": 1.0}),
                               kd_loss(logits, teacher, 2.0))


def test_an_odd_number_of_outputs_is_refused(refuses):
    with refuses("3 outputs"):
        gaussian(torch.zeros(2, 3))
