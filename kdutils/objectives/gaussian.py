"""Answers that are distributions: Gaussian heads, how they are trained, how a student matches them, how they unite.

A network for d targets has 2 d outputs (..., B, 2 d): d means, then d raw numbers that become log-variances. The
formulas are those of the multivariate normal with a diagonal covariance; sums run over the targets, means over the
batch. torch's GaussianNLLLoss averages over the targets too, and its value is half of ours for two of them.

Extracurricular Learning (Pouransari et al. 2020, arXiv 2007.00051) names what is matched, output distributions, and its
abstract no formula; the choices here are ours.
"""

import math

import torch
from torch import Tensor

from kdutils.errors import ParameterError
from kdutils.objectives.hinton import distillation
from kdutils.objectives.softmax import log_softmax, per_network

LOG_VARIANCE = (-10.0, 4.0)     # standard deviations from 0.007 to 7.4: no answer is certain, none says nothing


def gaussian(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log-variance, (..., B, d) each, of a network's outputs (..., B, 2 d).

    The log-variance is held inside LOG_VARIANCE by a hyperbolic tangent of slope 1 in the middle: a variance that can
    reach 0 makes the loss bottomless, and a clamp has no gradient on the way back.
    """
    if outputs.shape[-1] % 2:
        raise ParameterError(f"a Gaussian head has two outputs for each target, got {outputs.shape[-1]} outputs.")
    mean, raw = outputs.chunk(2, -1)
    low, high = LOG_VARIANCE
    half = (high - low) / 2
    return mean, (low + high) / 2 + half * torch.tanh(raw / half)


def gaussian_nll(mean: Tensor, log_variance: Tensor, targets: Tensor) -> Tensor:
    """Negative log-likelihood in nats, with the constant log 2 pi: three (..., B, d) -> (...,)."""
    return _nll(mean, log_variance, targets).sum(-1).mean(-1)


def beta_nll(mean: Tensor, log_variance: Tensor, targets: Tensor, beta: float | Tensor) -> Tensor:
    """The likelihood of each target weighed by its variance to the power beta, held fixed: (...,).

    beta = 0 is `gaussian_nll`, beta = 1 moves the means as a squared error would. The weight takes no part in the
    gradient, so the derivative of the value is not the gradient. Source: Seitzer et al. 2022 (arXiv 2203.09168), eq. 4;
    they sum over targets, the mean over the batch is ours.
    """
    weight = (per_network(beta, mean) * log_variance.detach()).exp()
    return (weight * _nll(mean, log_variance, targets)).sum(-1).mean(-1)


def gaussian_kl(student_mean: Tensor, student_log_variance: Tensor, teacher_mean: Tensor,
                teacher_log_variance: Tensor) -> Tensor:
    """KL(teacher || student) in nats of Gaussians (..., B, d): (...,).

    The gradient by the student's mean is (m_S - m_T) / s_S^2 / B: a squared error, small where the student is unsure.
    """
    apart = (teacher_mean - student_mean).square()
    ratio = ((teacher_log_variance - student_log_variance).exp() + apart * (-student_log_variance).exp())
    return (0.5 * (student_log_variance - teacher_log_variance + ratio - 1)).sum(-1).mean(-1)


def half_squared_error(mean: Tensor, targets: Tensor) -> Tensor:
    """1/2 ||m - y||^2: two (..., B, d) -> (...,). `gaussian_kl` where both variances are fixed at 1."""
    return (0.5 * (mean - targets).square()).sum(-1).mean(-1)


def united(means: Tensor, log_variances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, aleatoric and epistemic variance (..., d) of the mixture of K Gaussians (K, ..., d), each of weight 1 / K.

    Aleatoric: the mean of the variances, what every member says cannot be known. Epistemic: the variance of the means,
    divided by K, what they disagree about. Their sum is the variance of the mixture, by the law of total variance.
    """
    return means.mean(0), log_variances.exp().mean(0), means.var(0, correction=0)


def united_log_probabilities(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """log of the mean over K networks of softmax(z / T): (K, ..., C) -> (..., C).

    Probabilities are averaged, not logits. As logits they serve every loss that takes logits.
    """
    return log_softmax(logits, temperature).logsumexp(0) - math.log(len(logits))


def calibrated_scale(mean: Tensor, variance: Tensor, targets: Tensor) -> Tensor:
    """The one factor on the variances (..., N, d) under which the targets are most likely: (...,).

    In closed form, the mean squared z-score. Taken on examples that the network was not trained on: on its own it looks
    surer than it is.
    """
    return ((mean - targets).square() / variance).flatten(-2).mean(-1)


# ---- objectives ---------------------------------------------------------------------------------------------------

def regression(student, teacher, targets, knobs) -> Tensor:
    """Objective: `gaussian_nll` of the targets (M, B, d), or `beta_nll` where there is a knob beta."""
    mean, log_variance = gaussian(student["logits"])
    if "beta" in knobs:
        return beta_nll(mean, log_variance, targets, knobs["beta"])
    return gaussian_nll(mean, log_variance, targets)


def gaussian_distillation(student, teacher, targets, knobs) -> Tensor:
    """Objective: alpha * KL(teacher || student) + (1 - alpha) * NLL of the targets.

    teacher: "mean" and "log_variance", (M, B, d) each.
    """
    mean, log_variance = gaussian(student["logits"])
    soft = gaussian_kl(mean, log_variance, teacher["mean"], teacher["log_variance"])
    return knobs["alpha"] * soft + (1 - knobs["alpha"]) * gaussian_nll(mean, log_variance, targets)


def mean_distillation(student, teacher, targets, knobs) -> Tensor:
    """Objective: the same with half squared errors of the means; the student's variances are not trained."""
    mean, _ = gaussian(student["logits"])
    soft, hard = half_squared_error(mean, teacher["mean"]), half_squared_error(mean, targets)
    return knobs["alpha"] * soft + (1 - knobs["alpha"]) * hard


def soft_label_distillation(student, teacher, targets, knobs) -> Tensor:
    """Objective: `distillation`, but the labels are distributions (M, B, C): mixed ones, or one-hot.

    Cross-entropy with them is what augmentation by mixing does; the teacher's term never sees them.
    """
    hard = -(targets * log_softmax(student["logits"])).sum(-1).mean(-1)
    soft = distillation(student, teacher, targets.argmax(-1), {**knobs, "alpha": 1.0})
    return knobs["alpha"] * soft + (1 - knobs["alpha"]) * hard


def best_single_width(mean: Tensor, teacher_mean: Tensor, teacher_variance: Tensor) -> Tensor:
    """The one variance per target that minimises KL(teacher || student) over examples, the means given.

    Three (..., N, d) -> (..., 1, d). The fair rival of a student that has a variance of its own for every input: a
    student of means alone needs some width before it can be asked how sure it is.
    """
    return (teacher_variance + (mean - teacher_mean).square()).mean(-2, keepdim=True)


def _nll(mean: Tensor, log_variance: Tensor, targets: Tensor) -> Tensor:
    apart = (targets - mean).square()
    return 0.5 * (math.log(2 * math.pi) + log_variance + apart * (-log_variance).exp())
