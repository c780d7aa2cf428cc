"""Checks of notebook 05."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from kdutils.course.checks import Case, NotDone, Wrong, answer_of, by_hand, exercise, judge, teaches
from kdutils.datasets.samplers import SAMPLERS
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


def _shapes() -> Iterator[tuple[tuple[Tensor, ...], dict[str, float], str]]:
    """Answers, the numbers that may be forgotten, and both in words. Shapes that no wrong division is right for."""
    for batch, d in ((5, 2), (4, 3), (3, 1)):
        yield (_answers(batch, d), {"the size of the batch": batch, "the number of targets": d, "2": 2},
               f"{batch} examples of {d} target{'s' * (d > 1)}")


@exercise("05.1")
def width_gradient(function) -> str:
    """width_gradient(...): the derivative of the batch's mean KL(T || S) by the student's log-variances, (B, d)."""
    cases = []
    for arguments, factors, says in _shapes():
        mean, log_variance, teacher_mean, teacher_log_variance = arguments
        batch, s, t, apart = len(mean), log_variance.exp(), teacher_log_variance.exp(), (teacher_mean - mean).square()
        right = 0.5 * (1 - (t + apart) / s) / batch
        cases.append(Case(by_hand(function, *arguments, otherwise=_NO_AUTOGRAD), right, {
            "The loss is a mean over the batch: each of its B terms counts one B-th.": right * batch,
            "A factor of two: the log-variance stands under a 1/2 in the divergence.": 2 * right,
            "Two things are left: the 1/2 in front, and the mean over the batch.": 2 * right * batch,
            "The sign is turned round: this is the way down, the derivative is the way up.": -right,
            "The sign of the second term: the derivative of e^-v by v is -e^-v.": 0.5 * (1 + (t + apart) / s) / batch,
            "The 1 is missing: the logarithm in front has a derivative too.": -0.5 * (t + apart) / s / batch,
            "You left the teacher's own variance out: a student that hits its mean should still be as wide as it is.":
                0.5 * (1 - apart / s) / batch,
            "You left the distance of the means out: a student that is off has to become wider.":
                0.5 * (1 - t / s) / batch,
            "The distance of the means is squared in the divergence.":
                0.5 * (1 - (t + teacher_mean - mean) / s) / batch,
            "The distance of the means is squared in the divergence, yours is its size.":
                0.5 * (1 - (t + (teacher_mean - mean).abs()) / s) / batch,
            "That is the derivative by the variance. By its logarithm it is s_S^2 times as large (chain rule).":
                right / s,
            "That is the derivative by the standard deviation. By the log-variance it is s_S/2 times as large.":
                2 * right / s.sqrt(),
            "The student's variance stands below the line twice: it is s_S^2, not s_S^4.":
                0.5 * (1 - (t + apart) / s**2) / batch,
            "Nothing is divided by the student's variance: a student that is wide is hardly pulled.":
                0.5 * (1 - (t + apart)) / batch,
            "Those are the log-variances: take exp of them.":
                0.5 * (1 - (teacher_log_variance + apart) / log_variance) / batch,
            "The student's log-variance is divided by as it stands: take exp of it.":
                0.5 * (1 - (t + apart) / log_variance) / batch,
            "exp of a log-variance is the variance already: yours is squared once more.":
                0.5 * (1 - (t**2 + apart) / s**2) / batch,
            "That is the derivative of KL(S || T): look at which variance is below the line.":
                0.5 * (s / t - 1) / batch,
            "The teacher's variance is below the line, the student's belongs there.":
                0.5 * (1 - (s + apart) / t) / batch,
            "That is the derivative by the mean, the worked one.": (mean - teacher_mean) / s / batch}, factors, says))
        if cases[-1].got.shape != right.shape:
            raise Wrong(f"The shape is {tuple(cases[-1].got.shape)}, it should be {tuple(right.shape)}: every log-"
                        "variance has a derivative of its own, and nothing is summed.")
    judge(cases, "With v = log s_S^2 differentiate v/2 + (s_T^2 + (m_T - m_S)^2) e^-v / 2 by v; then the mean over the "
                 "batch.")
    return ("It is zero where s_S^2 = s_T^2 + (m_T - m_S)^2: a student that cannot reach the mean is told to say so, "
            "by being wider.")


_NO_AUTOGRAD = "Write the derivative itself, one line: hint 1 has the two terms."


@exercise("05.2")
def total_variance(function) -> str:
    """total_variance(means, log_variances): of an ensemble's mixture, (K, B, d) twice -> (B, d)."""
    cases = []
    for k, batch, d in ((4, 3, 2), (2, 5, 1), (3, 4, 3)):
        i = torch.arange(k * batch * d, dtype=torch.float64).view(k, batch, d)
        means, log_variances = torch.sin(1.9 * i), torch.cos(1.1 * i) - 1
        aleatoric, epistemic = log_variances.exp().mean(0), means.var(0, correction=0)
        right = aleatoric + epistemic
        cases.append(Case(answer_of(function, means, log_variances), right, {
            "That is what the networks say about the noise; they also disagree with each other.": aleatoric,
            "That is how far the networks disagree; each of them is unsure, too.": epistemic,
            "That is the mixture's mean; its variance is asked for.": means.mean(0),
            "Divide the squared distances by K, not K - 1: these K networks are the whole mixture.":
                aleatoric + means.var(0),
            "Divide the squared distances by K: yours are summed.": aleatoric + k * epistemic,
            "The variances are to be averaged over the networks; yours are summed.": k * aleatoric + epistemic,
            "The first term is a mean already: do not divide it by K again.": aleatoric / k + epistemic,
            "Average the variances, not their logarithms: the mean of a logarithm is less than that of the numbers.":
                log_variances.mean(0).exp() + epistemic,
            "Those are logarithms: take exp before the mean.": log_variances.mean(0) + epistemic,
            "Add variances, not standard deviations.":
                (log_variances / 2).exp().mean(0) + epistemic.sqrt(),
            "Both are standard deviations: add the variances themselves.": aleatoric.sqrt() + epistemic.sqrt(),
            "The second term is a standard deviation: add its square.": aleatoric + epistemic.sqrt(),
            "The second term is a standard deviation, and the one with K - 1: add the variance, correction=0.":
                aleatoric + means.std(0),
            "That is the square of the mean standard deviation; the mean of the variances is meant.":
                (log_variances / 2).exp().mean(0).square() + epistemic,
            "That is the standard deviation; the variance is its square.": right.sqrt(),
            "That is the logarithm of it; the variance itself is asked for.": right.log(),
            "Two kinds of doubt add up; yours are averaged.": right / 2,
            "The networks' disagreement is added, not taken away.": aleatoric - epistemic,
            "The two kinds of doubt are added, not multiplied.": aleatoric * epistemic,
            "The mean of the squared means is not their variance: subtract the square of the mean.":
                aleatoric + means.square().mean(0),
            "The square of the mean is to be subtracted from the mean of the squares; you add it alone.":
                aleatoric + means.mean(0).square(),
            "You average the sizes of the distances; a variance averages their squares.":
                aleatoric + (means - means.mean(0)).abs().mean(0),
            "That is the variance of the log-variances; it is the means that disagree.":
                aleatoric + log_variances.var(0, correction=0),
            "The first term is the mean of the variances, yours is their variance.":
                log_variances.exp().var(0, correction=0) + epistemic,
            "The distance of two networks alone: all K of them take part.":
                aleatoric + (means[0] - means[1]).square() / 4,
            "That is the variance over everything: each example and target has its own, over the K networks (axis 0).":
                aleatoric + means.var(correction=0)},
            {"K": k}, f"{k} networks, {batch} examples and {d} target{'s' * (d > 1)}"))
        if cases[-1].got.shape != right.shape:
            raise Wrong(f"The shape is {tuple(cases[-1].got.shape)}, it should be {tuple(right.shape)}: the K networks "
                        "are axis 0, and nothing else is averaged away.")
    judge(cases, "The mean over the networks of their variances, plus the variance over the networks of their means.")
    return "The law of total variance: the mean of the variances, and the variance of the means."


@exercise("05.3")
def repaired_match(function) -> str:
    """repaired_match(...): KL(T || S), summed over the targets, a mean over the batch."""
    cases = []
    for arguments, factors, says in _shapes():
        mean, log_variance, teacher_mean, teacher_log_variance = arguments
        batch, d = mean.shape
        s, t, apart = log_variance.exp(), teacher_log_variance.exp(), (teacher_mean - mean).square()
        logs, ratio = log_variance - teacher_log_variance, (t + apart) / s

        def loss(each: Tensor) -> Tensor:
            return 0.5 * each.sum(-1).mean()

        right = gaussian_kl(*arguments)
        swapped = gaussian_kl(teacher_mean, teacher_log_variance, mean, log_variance)
        upside = loss(ratio - logs - 1)
        cases.append(Case(answer_of(function, *arguments), right, {
            _BOTH: swapped / d,     # where there is one target only, the next one is the same
            "One mistake is left: this is KL(S || T). The teacher comes first.": swapped,
            "One mistake is left: the mean divides by the number of targets, too; sum over them.": right / d,
            "The two logarithms are still the wrong way round.": upside,
            "The two logarithms are still the wrong way round, and the targets are averaged.": upside / d,
            "The ratio is still the wrong way round: the student's variance is below the line.":
                loss(logs + (s + apart) / t - 1),
            "The ratio is still the wrong way round, and the targets are averaged.":
                loss(logs + (s + apart) / t - 1) / d,
            "The sum runs over the batch, too: it would grow with it.": right * batch,
            "You sum over the batch and average over the targets; it is the other way round.": right * batch / d,
            "The 1/2 was right: it stands in front of everything.": 2 * right,
            "The -1 was right: without it the loss is not 0 where student and teacher agree.": loss(logs + ratio),
            "The teacher's logarithm and the -1 are missing: the loss is not 0 where student and teacher agree.":
                loss(log_variance + ratio),
            "The square of the distance was right.": loss(logs + (t + teacher_mean - mean) / s - 1),
            "Only the means are matched: the widths belong in it.": loss(apart / s),
            "That is half the squared error of the means; the widths belong in it.": loss(apart),
            "A difference of logarithms is meant, not their quotient.":
                loss(log_variance / teacher_log_variance + ratio - 1),
            "The first two terms are logarithms of the variances, yours are the variances.":
                loss(s - t + ratio - 1),
            "One value per example is left; the loss is their mean.": 0.5 * (logs + ratio - 1).sum(-1)},
            factors, says))
    try:
        judge(cases, "KL(T || S) of each target is 1/2 [log(s_S^2/s_T^2) + (s_T^2 + (m_T - m_S)^2)/s_S^2 - 1]; sum "
                     "over the targets, mean over the batch.")
    except Wrong as reason:
        if str(reason) == _BOTH:
            raise NotDone from None     # both mistakes of the stub are still there
        raise
    for arguments, *_ in _shapes():
        teaches(function, *arguments, like=gaussian_kl, of=2)
    return "The teacher first, a sum over the targets, a mean over the batch: now a step is the same for any batch."


_BOTH = "Both mistakes are left."


@exercise("05.4")
def worse_teacher(answer) -> str:
    """A name of a sampler on which students of the large teacher end LOST points below those of the small one."""
    if answer is None or answer is ...:
        raise NotDone
    if not isinstance(answer, str) or answer not in CHOICES:
        raise Wrong(f"Give the name of a sampler in quotes, one of {', '.join(CHOICES)}.")
    effect = large_less_small(answer)
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
