"""Checks of notebook 05."""

from dataclasses import replace

import torch
from torch import Tensor

from kdutils.course.checks import NotDone, Wrong, answer_of, compare, exercise
from kdutils.datasets.samplers import SAMPLERS
from kdutils.errors import one_of
from kdutils.lessons.extracurricular_learning import digits
from kdutils.lessons.extracurricular_learning.experiment import DEFAULT, prepare
from kdutils.lessons.extracurricular_learning.transfer import Arm
from kdutils.objectives import gaussian_kl
from kdutils.results import Effect, interval

CHOICES = (*SAMPLERS, "crops")
LOST = 10       # points that the large teacher must lose


def _answers(batch: int, d: int) -> tuple[Tensor, ...]:
    """Student's mean and log-variance, teacher's mean and log-variance, (batch, d) each, all different."""
    i = torch.arange(batch * d, dtype=torch.float64).view(batch, d)
    return torch.sin(1.3 * i), 0.7 * torch.cos(0.9 * i) - 0.5, torch.cos(0.8 * i + 1), 0.6 * torch.sin(1.7 * i) - 0.8


@exercise("05.1")
def width_gradient(function) -> str:
    """width_gradient(...): the derivative of the batch's mean KL(T || S) by the student's log-variances, (B, d)."""
    for batch, d in ((5, 2), (3, 1), (1, 4)):
        mean, log_variance, teacher_mean, teacher_log_variance = arguments = _answers(batch, d)
        s, t, apart = log_variance.exp(), teacher_log_variance.exp(), (teacher_mean - mean).square()
        right = 0.5 * (1 - (t + apart) / s) / batch
        compare(answer_of(function, *arguments), right, _told({
            "The loss is a mean over the batch: each of its B terms counts one B-th.": right * batch,
            "A factor of two: the log-variance stands under a 1/2 in the divergence.": 2 * right,
            "Two things are left: the 1/2 in front, and the mean over the batch.": 2 * right * batch,
            "The sign is turned round: this is the way down, the derivative is the way up.": -right,
            "You left the teacher's own variance out: a student that hits its mean should still be as wide as it is.":
                0.5 * (1 - apart / s) / batch,
            "You left the distance of the means out: a student that is off has to become wider.":
                0.5 * (1 - t / s) / batch,
            "That is the derivative by the variance. By its logarithm it is s_S^2 times as large (chain rule).":
                right / s,
            "That is the derivative of KL(S || T): look at which variance is below the line.":
                0.5 * (s / t - 1) / batch,
            "That is the derivative by the mean, the worked one.": (mean - teacher_mean) / s / batch}, right))
    return ("It is zero where s_S^2 = s_T^2 + (m_T - m_S)^2: a student that cannot reach the mean is told to say so, "
            "by being wider.")


@exercise("05.2")
def total_variance(function) -> str:
    """total_variance(means, log_variances): of an ensemble's mixture, (K, B, d) twice -> (B, d)."""
    for k, batch, d in ((4, 3, 2), (2, 5, 1)):
        i = torch.arange(k * batch * d, dtype=torch.float64).view(k, batch, d)
        means, log_variances = torch.sin(1.9 * i), torch.cos(1.1 * i) - 1
        aleatoric, epistemic = log_variances.exp().mean(0), means.var(0, correction=0)
        right = aleatoric + epistemic
        compare(answer_of(function, means, log_variances), right, _told({
            "That is what the networks say about the noise; they also disagree with each other.": aleatoric,
            "That is how far the networks disagree; each of them is unsure, too.": epistemic,
            "Divide the squared distances by K, not K - 1: these K networks are the whole mixture.":
                aleatoric + means.var(0),
            "Average the variances, not their logarithms: the mean of a logarithm is less than that of the numbers.":
                log_variances.mean(0).exp() + epistemic,
            "Those are logarithms: take exp before the mean.": log_variances.mean(0) + epistemic,
            "Add variances, not standard deviations.":
                (log_variances / 2).exp().mean(0) + epistemic.sqrt(),
            "That is the standard deviation; the variance is its square.": right.sqrt(),
            "The mean of the squared means is not their variance: subtract the square of the mean.":
                aleatoric + means.square().mean(0)}, right))
    return "The law of total variance: the mean of the variances, and the variance of the means."


@exercise("05.3")
def repaired_match(function) -> str:
    """repaired_match(...): KL(T || S), summed over the targets, a mean over the batch."""
    for batch, d in ((5, 2), (4, 3), (3, 1)):
        arguments = _answers(batch, d)
        mean, log_variance, teacher_mean, teacher_log_variance = arguments
        right = gaussian_kl(*arguments)
        swapped = gaussian_kl(teacher_mean, teacher_log_variance, mean, log_variance)
        ratio = (teacher_log_variance.exp() + (teacher_mean - mean).square()) / log_variance.exp()
        upside = 0.5 * (teacher_log_variance - log_variance + ratio - 1).sum(-1).mean()
        got = answer_of(function, *arguments)
        if d > 1 and got.shape == right.shape and torch.allclose(got, swapped / d):
            raise NotDone       # both mistakes of the stub are still there
        slips = {"One mistake is left: this is KL(S || T). The teacher comes first.": swapped,
                 "One mistake is left: the mean divides by the number of targets, too; sum over them.": right / d,
                 "The two logarithms are still the wrong way round.": upside,
                 "The two logarithms are still the wrong way round, and the targets are averaged.": upside / d,
                 "The sum runs over the batch, too: it would grow with it.": right * batch}
        leaf = tuple(one.clone().requires_grad_() for one in arguments)
        returned = function(*leaf) if callable(function) else function
        compare(got, right, _told(slips, right))
        if not (torch.is_tensor(returned) and returned.requires_grad):
            raise Wrong("The value is right, but it has no gradient: a loss with .item(), float() or .detach() trains "
                        "nothing.")
        slope, = torch.autograd.grad(returned, leaf[:1], allow_unused=True)
        if slope is None or not torch.allclose(slope, (mean - teacher_mean) / log_variance.exp() / batch):
            raise Wrong("The value is right, its gradient by the student's mean is not: part of it is detached.")
    return "The teacher first, a sum over the targets, a mean over the batch: now a step is the same for any batch."


@exercise("05.4")
def worse_teacher(answer) -> str:
    """A name of a sampler on which students of the large teacher end LOST points below those of the small one."""
    if answer is None or answer is ...:
        raise NotDone
    if answer not in CHOICES:
        raise Wrong(f"Give the name of a sampler in quotes, one of {', '.join(CHOICES)}.")
    effect = large_less_small(one_of("sampler", answer, CHOICES))
    if effect.low > 0:
        raise Wrong(f"Asked about {answer}, students of the large teacher end {effect} points above those of the small "
                    "one: it is the better teacher there. Which inputs have nothing in common with digits?")
    if effect.high >= -LOST:
        raise Wrong(f"Asked about {answer}, students of the large teacher end {effect} points from those of the small "
                    f"one; the interval must lie below -{LOST}. Go further away from digits.")
    return (f"Asked about {answer}, students of the large teacher end {effect} points from those of the small one, on "
            "seeds that this page has not used. Far from the data a large teacher says more that is not about digits.")


def large_less_small(name: str, seeds: int = 6) -> Effect:
    """Students that saw nothing but such inputs: accuracy with the large teacher less that with the small one."""
    params = replace(DEFAULT, seeds=seeds, seed=2000, teacher_steps=400)
    splits, rows = prepare(params), []
    for size in digits.TEACHERS:
        world = digits.World(splits, params, params.digit_sizes[0], splits.pool.shape[1], size)
        blocks = {"own": world.own_block(), name: world.sampled(name, params.digit_extra)}
        rows.append(world.rows(blocks, [Arm(name, own=name)], [{"method": name}]))
    accuracies = {size: [row["accuracy"] for row in made if row["method"] == name]
                   for size, made in zip(digits.TEACHERS, rows, strict=True)}
    return interval([large - small for large, small in zip(accuracies["large"], accuracies["small"], strict=True)])


def _told(slips: dict[str, Tensor], right: Tensor) -> dict[str, Tensor]:
    """The slips that can be told from the right answer, on these shapes."""
    return {why: value for why, value in slips.items()
            if value.shape != right.shape or not torch.allclose(value, right, rtol=1e-4, atol=1e-6)}
