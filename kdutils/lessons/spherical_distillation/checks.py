"""Checks of notebook 04."""

from collections.abc import Callable, Iterator
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import normalize

from kdutils.cohorts import Splits, cohort, distilled
from kdutils.course.checks import NotDone, Wrong, answer_of, compare, exercise
from kdutils.errors import positive
from kdutils.lessons.spherical_distillation.experiment import teachers_by_width
from kdutils.objectives import cross_entropy, on_sphere
from kdutils.results import Effect, interval
from kdutils.training import Recipe

WIDTH, NEEDED = 512, 2.0        # of 04.4: the teacher's hidden units, and the points to be gained


def _examples() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Student, teacher and labels of two shapes, so that no answer is right for one batch alone; not centred."""
    for b, c in ((4, 7), (3, 10)):
        i, k = torch.arange(float(b), dtype=torch.float64)[:, None], torch.arange(float(c), dtype=torch.float64)
        yield (1.5 + 2 * torch.sin(2.3 * i + 1.9 * k**1.3), 3 * torch.cos(0.7 * i + 1.1 * k) - 1,
               torch.arange(b) * 2 % c)


@exercise("04.1")
def to_the_sphere(function) -> str:
    """to_the_sphere(logits, m): each answer centred and given the standard deviation m."""
    for (z, _, _), m in zip(_examples(), (2.0, 3.0), strict=True):
        c, centred = z.shape[-1], z - z.mean(-1, keepdim=True)
        std = centred.square().mean(-1, keepdim=True).sqrt()
        root, unbiased = c**0.5, (c / (c - 1)) ** 0.5
        got, leaf = _with_slope(function, z, m)
        compare(got, m * centred / std, {
            "Centre first: subtract each answer's own mean.": m * z / std,
            "The mean goes over the classes of each answer (the last axis), yours over the images.":
                m * (z - z.mean(0)) / z.std(0, correction=0),
            "The mean of an answer is over its own classes; yours is one number for the whole batch.":
                m * (z - z.mean()) / z.std(correction=0),
            "You divided by the L2 norm. It is sqrt(C) times the standard deviation: m would have to grow by as much.":
                m * centred / (std * root),
            "You divided by the L2 norm, and did not centre.": m * normalize(z, dim=-1),
            "torch.std divides by C - 1 unless told otherwise; the authors' layer_norm divides by C.":
                m * centred / (std * unbiased),
            "Not centred, and the standard deviation is the one with C - 1.": m * z / (std * unbiased),
            "You divided by the variance: take its root.": m * centred / std**2,
            "The direction is right; now give it the scale m.": centred / std,
            "The scale m multiplies the direction, yours divides it.": centred / std / m})
        _asks_for_slope(got, leaf)
    return "Every answer now has mean 0 and standard deviation m, however loud it was: only its direction is left."


@exercise("04.2")
def loss_with_labels(function) -> str:
    """spherical_loss(student_logits, teacher_logits, labels, temperature, alpha, m), as the authors insist on it."""
    said = {"raw": "the labels see the raw student; the authors insist on its answer at the scale m",
            "no square": "the KL is to be multiplied by T^2",
            "turned": "the divergence is from the teacher: sum p_T (log p_T - log p_S)",
            "by class": "sum over the classes, then the mean over the images",
            "weights": "alpha weighs the teacher's term, 1 - alpha the labels",
            "cold": "the teacher's term has the temperature T in it, the labels' has not"}
    for (s, t, y), (temperature, alpha, m) in zip(_examples(), ((4.0, 0.7, 2.0), (2.0, 0.9, 3.0)), strict=True):
        got, leaf = _with_slope(function, s, t, y, temperature, alpha, m)
        right = _loss(s, t, y, temperature, alpha, m, ())
        if got.shape == right.shape and torch.allclose(got, right, rtol=1e-4):
            _asks_for_slope(got, leaf)
            continue
        for count in (1, 2):
            for names in product(said, repeat=count):
                if torch.allclose(got, _loss(s, t, y, temperature, alpha, m, names), rtol=1e-4):
                    raise Wrong(f"{'Nearly' if count == 1 else 'Two things'}: "
                                f"{'; and '.join(said[name] for name in dict.fromkeys(names))}.")
        compare(got, right, {
            "That is the teacher's term alone.": alpha * _terms(s, t, y, temperature, m, ())[0],
            "That is the labels' term alone.": (1 - alpha) * _terms(s, t, y, temperature, m, ())[1],
            "alpha and 1 - alpha are missing.": sum(_terms(s, t, y, temperature, m, ()))})
    return ("Two groups publish nearly this loss: the one insists on labels that see the scaled answer, the other on "
            "labels that see the raw one.")


@exercise("04.3")
def repaired_spherical_kd(function) -> str:
    """A spherical KD term with three mistakes, repaired."""
    said = {"uncentred": "an answer's mean has to go first: the softmax does not see it, the norm does",
            "l2": "m is a standard deviation, and the L2 norm is sqrt(C) times as large",
            "inside": "a temperature before the normalisation is divided out again: it must act on the scaled answers"}
    for (s, t, _), (temperature, m) in zip(_examples(), ((4.0, 2.0), (2.0, 3.0)), strict=True):
        got, leaf = _with_slope(function, s, t, temperature, m)
        if torch.allclose(got, _mistaken(s, t, temperature, m, tuple(said)), rtol=1e-4):
            raise NotDone
        for flags in product((True, False), repeat=3):
            left = tuple(name for name, flag in zip(said, flags, strict=True) if flag)
            if left and torch.allclose(got, _mistaken(s, t, temperature, m, left), rtol=1e-4):
                raise Wrong(f"{'One mistake is' if len(left) == 1 else 'Two mistakes are'} left: "
                            f"{'; and '.join(said[name] for name in left)}.")
        compare(got, _mistaken(s, t, temperature, m, ()), {
            "T^2 got lost on the way.": _mistaken(s, t, temperature, m, ()) / temperature**2,
            "torch.std divides by C - 1 unless told otherwise: correction=0.":
                _mistaken(s, t, temperature, m * ((s.shape[1] - 1) / s.shape[1]) ** 0.5, ())})
        _asks_for_slope(got, leaf)
    return "The third one is the quietest: the loss still falls, and the temperature does nothing at all."


@exercise("04.4")
def one_number(answer) -> str:
    """A number that divides the logits of large teachers, so that ordinary KD at T = 1 gains; 10 fresh seeds."""
    if answer is None:
        raise NotDone
    number = float(positive("the number", answer))
    gain = gain_of(number)
    if gain.low <= NEEDED:
        why = ("A number below 1 makes the teacher louder still." if number < 1 else
               "The teacher still shouts: its top probability is near 1." if number < 2 else
               "Divided so far, an answer says next to nothing at T = 1." if number > 20 else
               "It is on the way.")
        raise Wrong(f"Divided by {number:g} the students gain {gain} points. {NEEDED:g} are asked for, the whole "
                    f"interval. {why}")
    return (f"With 10 seeds that this page has not used: {gain} points over KD at T = 1, by one number for all images. "
            "It is a temperature that the teacher has alone: the student is not cooled with it.")


def gain_of(number: float, seeds: int = 10) -> Effect:
    """Students of 100 images at T = 1: teachers divided by `number` less teachers as they are, in points."""
    lab = Splits.open("digits", seeds, seed=1000)
    (logits,) = teachers_by_width(lab, [WIDTH])
    students = cohort(lab, torch.stack([logits, logits / number]), lab.transfer(100), [distilled(1.0, 0),
                                                                                     distilled(1.0, 1)])
    for _ in students.train(Recipe(steps=300)):
        pass
    plain, divided = students.accuracy().cpu().numpy()
    return interval(divided - plain)


def _with_slope(function: Callable, z: Tensor, *more) -> tuple[Tensor, Tensor]:
    """What the reader's function makes of logits that ask for a gradient, and those logits."""
    leaf = z.clone().requires_grad_()
    return answer_of(function, leaf, *more), leaf


def _asks_for_slope(got: Tensor, leaf: Tensor) -> None:
    """A loss without a gradient trains nothing."""
    if not got.requires_grad or not torch.autograd.grad(got.sum(), leaf, allow_unused=True)[0] is not None:
        raise Wrong("The value is right, but no gradient flows to the student: leave out .detach(), .item() and numpy.")


def _kl(teacher: Tensor, student: Tensor) -> Tensor:
    """KL by image and class: (B, C) log-probabilities -> (B, C)."""
    return teacher.exp() * (teacher - student)


def _terms(s: Tensor, t: Tensor, y: Tensor, temperature: float, m: float, slips: tuple) -> tuple[Tensor, Tensor]:
    """The teacher's and the labels' term, with these slips."""
    soft = 1.0 if "cold" in slips else temperature
    student, teacher = ((on_sphere(z, m) / soft).log_softmax(-1) for z in (s, t))
    each = _kl(student, teacher) if "turned" in slips else _kl(teacher, student)
    kl = each.mean() if "by class" in slips else each.sum(-1).mean()
    hard = cross_entropy(s if "raw" in slips else on_sphere(s, m), y)
    return kl * (1 if "no square" in slips else temperature**2), hard


def _loss(s: Tensor, t: Tensor, y: Tensor, temperature: float, alpha: float, m: float, slips: tuple) -> Tensor:
    soft, hard = _terms(s, t, y, temperature, m, slips)
    weight = 1 - alpha if "weights" in slips else alpha
    return weight * soft + (1 - weight) * hard


def _mistaken(s: Tensor, t: Tensor, temperature: float, m: float, slips: tuple) -> Tensor:
    def scaled(z: Tensor) -> Tensor:
        centred = z if "uncentred" in slips else z - z.mean(-1, keepdim=True)
        unit = normalize(centred, dim=-1) * (1 if "l2" in slips else z.shape[-1] ** 0.5)
        return m * unit / (1 if "inside" in slips else temperature)

    return temperature**2 * _kl(scaled(t).log_softmax(-1), scaled(s).log_softmax(-1)).sum(-1).mean()
