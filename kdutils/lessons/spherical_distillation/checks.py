"""Checks of notebook 04."""

from collections.abc import Iterator
from itertools import combinations, product

import torch
from torch import Tensor
from torch.nn.functional import normalize

from kdutils.cohorts import Splits, cohort, distilled
from kdutils.course.checks import Case, NotDone, Wrong, answer_of, exercise, judge, teaches
from kdutils.errors import positive
from kdutils.lessons.spherical_distillation.experiment import teachers_by_width
from kdutils.objectives import (
    cross_entropy,
    kd_loss,
    on_sphere,
    soft_cross_entropy,
    spherical_kd,
    spherical_loss,
    spread,
)
from kdutils.results import Effect, interval
from kdutils.training import Recipe

WIDTH, NEEDED = 512, 2.0        # of 04.4: the teacher's hidden units, and the points to be gained


def _examples() -> Iterator[tuple[Tensor, Tensor, Tensor, float, float, float, dict[str, float], str]]:
    """Student, teacher, labels, T, alpha, m, the numbers that may be forgotten, and all that in words.

    Two shapes and two of each number, so that no answer is right for one of them alone. Nothing is centred.
    """
    for b, c, t, alpha, m in ((4, 7, 4.0, 0.7, 2.0), (3, 10, 2.5, 0.9, 3.0)):
        i, k = torch.arange(float(b), dtype=torch.float64)[:, None], torch.arange(float(c), dtype=torch.float64)
        yield (1.5 + 2 * torch.sin(2.3 * i + 1.9 * k**1.3), 3 * torch.cos(0.7 * i + 1.1 * k) - 1,
               torch.arange(b) * 2 % c, t, alpha, m, {"T": t, "the size of the batch": b, "the number of classes": c},
               f"{b} answers of {c} classes, T = {t:g}, m = {m:g}")


@exercise("04.1")
def to_the_sphere(function) -> str:
    """to_the_sphere(logits, m): each answer centred and given the standard deviation m."""
    cases = []
    for z, *_, m, _, _ in _examples():
        c, mean = z.shape[-1], z.mean(-1, keepdim=True)
        centred, all_centred = z - mean, z - z.mean()
        variance = centred.square().mean(-1, keepdim=True)
        std, root, unbiased = variance.sqrt(), c**0.5, (c / (c - 1)) ** 0.5
        over_batch = (z - z.mean(0)) / z.std(0, correction=0)
        cases.append(Case(answer_of(function, z, m), m * centred / std, {
            "Centre first: subtract each answer's own mean.": m * z / std,
            "The mean goes over the classes of each answer (the last axis), yours over the images.": m * over_batch,
            "The mean of an answer is over its own classes; yours is one number for the whole batch.":
                m * all_centred / all_centred.std(correction=0),
            "The standard deviation is right; the mean is one number for the whole batch, and each answer has its own.":
                m * all_centred / std,
            "The mean is right; the deviation is one number for the whole batch, and each answer has its own.":
                m * centred / centred.std(correction=0),
            "You divided by the L2 norm. It is sqrt(C) times the standard deviation: m would have to grow by as much.":
                m * centred / (std * root),
            "You divided by one L2 norm for the whole batch; each answer has a deviation of its own.":
                m * centred / centred.norm(),
            "You divided by the L2 norm, and did not centre.": m * normalize(z, dim=-1),
            "In the unit sqrt(C) m the L2 norm is right, but centre first.": m * root * normalize(z, dim=-1),
            "torch.std divides by C - 1 unless told otherwise; the authors' layer_norm divides by C.":
                m * centred / (std * unbiased),
            "Not centred, and the standard deviation is the one with C - 1.": m * z / (std * unbiased),
            "You divided by the variance: take its root.": m * centred / variance,
            "You divided by the variance, and by the one with C - 1: take the root, and correction=0.":
                m * centred / (variance * unbiased**2),
            "You divided by the sum of squares: take its mean over the classes, and then the root.":
                m * centred / (variance * c),
            "You took a root too many: the standard deviation is a root already.": m * centred / std.sqrt(),
            "You divided by the mean size of the entries; the standard deviation is the root of their mean square.":
                m * centred / centred.abs().mean(-1, keepdim=True),
            "You divided by the sum of the entries' sizes, an L1 norm; a deviation is the root of a mean square.":
                m * centred / centred.abs().sum(-1, keepdim=True),
            "You divided by the largest entry; a deviation is the root of the mean square of all.":
                m * centred / centred.abs().amax(-1, keepdim=True),
            "You subtracted the largest logit, as for a safe softmax; the mean belongs there.":
                m * (z - z.amax(-1, keepdim=True)) / std,
            "The direction is right; now give it the scale m.": centred / std,
            "The scale m multiplies the direction, yours divides it.": centred / std / m,
            "The scale m multiplies the direction, yours is added to it.": m + centred / std,
            "Centred, and multiplied by m; but nothing has divided the answer's own deviation out.": m * centred,
            "That is only centred: divide by the answer's own deviation, and give it the scale m.": centred,
            "Those are probabilities; logits on the sphere are asked for.": (m * centred / std).softmax(-1)},
            {"m": m, "the root of the number of classes": root}, f"{len(z)} answers of {c} classes, m = {m:g}"))
    judge(cases, "Each answer by itself: subtract its mean, divide by its standard deviation, multiply by m.")
    for z, *_, m, _, _ in _examples():
        teaches(function, z, m, like=on_sphere)
    return "Every answer now has mean 0 and standard deviation m, however loud it was: only its direction is left."


_SAID = {     # of 04.2
    "raw": "the labels see the raw student; the authors insist on its answer at the scale m",
    "no square": "the KL is to be multiplied by T^2",
    "one T": "the KL is multiplied by T; its factor is T^2",
    "by square": "the KL is divided by T^2; it is to be multiplied",
    "square on all": "T^2 belongs to the teacher's term alone, yours is on the labels' too",
    "turned": "the divergence is from the teacher: sum p_T (log p_T - log p_S)",
    "by class": "sum over the classes, then the mean over the images (reduction='batchmean')",
    "over the batch": "the teacher's term is a mean over the images, yours is their sum",
    "labels summed": "the labels' term is a mean over the images, yours is their sum",
    "weights": "alpha weighs the teacher's term, 1 - alpha the labels",
    "no weights": "alpha and 1 - alpha are missing",
    "cold": "the teacher's term has the temperature T in it, yours is at T = 1",
    "hot": "the scaled answers are divided by T, yours are multiplied",
    "across": "the softmax goes over the classes (the last axis), yours over the images",
    "cool labels": "the labels' term has no temperature in it",
    "twice": "cross_entropy takes logits: it makes the softmax itself",
    "raw teacher": "the teacher's answer is the raw one; both are compared at the scale m",
    "raw student": "in the teacher's term the student's answer is the raw one; both are compared at the scale m",
    "scaled twice": "m stands in the scaled answers already",
    "cross-entropy": "that is the cross-entropy with soft targets; its gradient is the KL's, but the teacher's own "
                     "entropy is to be taken away",
    "not logs": "F.kl_div wants the student as logarithms: log_softmax, not softmax",
    "minus": "the labels' term is added, not taken away",
    "teacher's labels": "the labels are to be met by the student, yours look at the teacher's answer"}


@exercise("04.2")
def loss_with_labels(function) -> str:
    """spherical_loss(student_logits, teacher_logits, labels, temperature, alpha, m), as the authors insist on it."""
    cases = []
    for *arguments, factors, says in _examples():
        told = {f"Nearly: {why}.": _loss(*arguments, (name,)) for name, why in _SAID.items()}
        told |= {f"Two things: {_SAID[one]}; and {_SAID[other]}.": _loss(*arguments, (one, other))
                 for one, other in combinations(_SAID, 2)}
        soft, hard = _terms(*arguments, ())
        alpha = arguments[4]
        told |= {"That is ordinary distillation: both terms of it are to see the answers at the scale m.":
                     _loss(*arguments, ("raw", "raw student", "raw teacher")),
                 "That is the teacher's term alone.": alpha * soft,
                 "That is the labels' term alone.": (1 - alpha) * hard}
        got = answer_of(function, *arguments)
        if got.isnan().any():
            raise Wrong("The loss is not a number: a logarithm is taken of something negative. F.kl_div wants the "
                        "student as log_softmax and the teacher as softmax, or log_target=True.")
        cases.append(Case(got, _loss(*arguments, ()), told, factors, f"{says} and alpha = {alpha:g}"))
    judge(cases, "alpha T^2 KL(teacher || student), both at the scale m and divided by T, plus 1 - alpha times the "
                 "cross-entropy of the scaled student.")
    for *arguments, _, _ in _examples():
        teaches(function, *arguments, like=spherical_loss)
    return ("Two groups publish nearly this loss: the one insists on labels that see the scaled answer, the other on "
            "labels that see the raw one.")


@exercise("04.3")
def repaired_spherical_kd(function) -> str:
    """A spherical KD term with three mistakes, repaired."""
    said = {"uncentred": "an answer's mean has to go first: the softmax does not see it, the norm does",
            "l2": "m is a standard deviation, and the L2 norm is sqrt(C) times as large",
            "inside": "a temperature before the normalisation is divided out again: it must act on the scaled answers"}
    cases = []
    for s, t, _, temperature, _, m, factors, says in _examples():
        told = {}
        for flags in product((True, False), repeat=3):
            left = tuple(name for name, flag in zip(said, flags, strict=True) if flag)
            if left:
                number = ("One mistake is", "Two mistakes are", _ALL)[len(left) - 1]
                told[f"{number} left: {'; and '.join(said[name] for name in left)}."] = _mistaken(
                    s, t, temperature, m, left)
        unbiased = (s.shape[1] - 1) / s.shape[1]
        student, teacher = (on_sphere(z, m) for z in (s, t))
        told |= {
            "torch.std divides by C - 1 unless told otherwise: correction=0.":
                _mistaken(s, t, temperature, m * unbiased**0.5, ()),
            "You divided by the variance: take its root.":
                kd_loss(student / spread(s)[:, None], teacher / spread(t)[:, None], temperature),
            "T^2 got lost on the way.": _mistaken(s, t, temperature, m, ()) / temperature**2,
            "The scale m is missing.": _mistaken(s, t, temperature, 1.0, ()),
            "m stands in the answers twice.": _mistaken(s, t, temperature, m * m, ()),
            "The answers are centred and nothing more: they are as loud as before.": kd_loss(s, t, temperature),
            "The student is on the sphere, its teacher is not.": kd_loss(student, t, temperature),
            "The teacher is on the sphere, its student is not.": kd_loss(s, teacher, temperature),
            "Each answer has a mean and a deviation of its own; yours are one for the whole batch.":
                kd_loss(*(m * (z - z.mean()) / z.std(correction=0) for z in (s, t)), temperature),
            "The mean and the deviation go over the classes of an answer (the last axis), yours over the images.":
                kd_loss(*(m * (z - z.mean(0)) / z.std(0, correction=0) for z in (s, t)), temperature),
            "The divergence was right: the teacher comes first.": kd_loss(teacher, student, temperature),
            "The KL has become a cross-entropy: its gradient is the same, but the teacher's own entropy is missing.":
                soft_cross_entropy(student, teacher, temperature)}
        got = answer_of(function, s, t, temperature, m)
        if got.isnan().any():
            raise Wrong("The loss is not a number: kl_div was right as it stood, with the student as log_softmax and "
                        "the teacher as softmax.")
        cases.append(Case(got, _mistaken(s, t, temperature, m, ()), told, factors, says))
    try:
        judge(cases, "kl and T^2 were right. What is to be done to an answer, and in which order, before the softmax?")
    except Wrong as reason:
        if str(reason).startswith(_ALL):
            raise NotDone from None
        raise
    for s, t, _, temperature, _, m, *_ in _examples():
        teaches(function, s, t, temperature, m, like=spherical_kd)
    return "The third one is the quietest: the loss still falls, and the temperature does nothing at all."


_ALL = "All three mistakes are"


@exercise("04.4")
def one_number(answer) -> str:
    """A number that divides the logits of large teachers, so that ordinary KD at T = 1 gains; 10 fresh seeds."""
    if answer is None or answer is ...:
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


def _terms(s: Tensor, t: Tensor, y: Tensor, temperature: float, alpha: float, m: float,
           slips: tuple) -> tuple[Tensor, Tensor]:
    """The teacher's and the labels' term, with these slips."""
    square = {"no square": 1, "one T": temperature, "by square": temperature**-2}
    scale, soft = (m * m if "scaled twice" in slips else m), (1.0 if "cold" in slips else temperature)
    answers = [z if raw in slips else on_sphere(z, scale) for z, raw in ((s, "raw student"), (t, "raw teacher"))]
    soft = 1 / soft if "hot" in slips else soft
    student, teacher = ((z / soft).log_softmax(0 if "across" in slips else -1) for z in answers)
    if "turned" in slips:
        student, teacher = teacher, student
    given = student.exp() if "not logs" in slips else student
    each = teacher.exp() * (-given if "cross-entropy" in slips else teacher - given)
    kl = each.mean() if "by class" in slips else each.sum(-1).mean()
    kl = kl * (len(s) if "over the batch" in slips else 1)
    kl = kl * next((factor for name, factor in square.items() if name in slips), temperature**2)

    seen = t if "teacher's labels" in slips else s
    seen = seen if "raw" in slips else on_sphere(seen, m)
    seen = seen / (temperature if "cool labels" in slips else 1)
    hard = cross_entropy(seen.softmax(-1) if "twice" in slips else seen, y)
    hard = hard * (len(s) if "labels summed" in slips else 1) * (temperature**2 if "square on all" in slips else 1)
    return kl, -hard if "minus" in slips else hard


def _loss(s: Tensor, t: Tensor, y: Tensor, temperature: float, alpha: float, m: float, slips: tuple) -> Tensor:
    soft, hard = _terms(s, t, y, temperature, alpha, m, slips)
    if "no weights" in slips:
        return soft + hard
    weight = 1 - alpha if "weights" in slips else alpha
    return weight * soft + (1 - weight) * hard


def _mistaken(s: Tensor, t: Tensor, temperature: float, m: float, slips: tuple) -> Tensor:
    def scaled(z: Tensor) -> Tensor:
        centred = z if "uncentred" in slips else z - z.mean(-1, keepdim=True)
        unit = normalize(centred, dim=-1) * (1 if "l2" in slips else z.shape[-1] ** 0.5)
        return m * unit / (1 if "inside" in slips else temperature)

    return temperature**2 * kd_loss(scaled(s), scaled(t), 1.0)
