"""Checks of notebook 01."""

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from kdutils.course.checks import Case, NotDone, Wrong, answer_of, by_hand, exercise, judge, teaches
from kdutils.errors import between, one_of, whole
from kdutils.lessons.dark_knowledge.experiment import DarkKnowledge, run
from kdutils.objectives import kd_loss


def _examples() -> Iterator[tuple[Tensor, Tensor, float, dict[str, float], str]]:
    """Student, teacher, T, the numbers by which one is off if they are forgotten, and all that in words.

    Two shapes and two temperatures, all numbers unlike each other, so that no mistake looks like another.
    """
    for b, c, t in ((4, 5, 3.0), (6, 7, 2.5)):
        i, k = torch.arange(float(b), dtype=torch.float64)[:, None], torch.arange(float(c), dtype=torch.float64)
        yield (torch.sin(1.3 * i + 0.7 * k), 2 * torch.cos(0.9 * i + 1.1 * k), t,
               {"T": t, "the size of the batch": b, "the number of classes": c},
               f"{b} images, {c} classes and T = {t:g}")


_NO_AUTOGRAD = "Write the gradient itself: one line, made of the two softmaxes."


@exercise("01.1")
def temperature_for_ratio(function) -> str:
    """temperature_for_ratio(gap, ratio): the T at which two logits `gap` apart have probabilities in that ratio."""
    def number(value: float) -> Tensor:
        return torch.tensor(value).double()

    judge([Case(answer_of(function, gap, ratio), number(gap / math.log(ratio)), {
        "Upside down: a larger gap needs a larger T to reach the same ratio.": number(math.log(ratio) / gap),
        "Take the logarithm: the ratio of the probabilities is exp(gap / T), not gap / T.": number(gap / ratio),
        "Use the natural logarithm, the inverse of exp.": number(gap / math.log10(ratio)),
        "Use the natural logarithm, the inverse of exp; yours has the base 2.": number(gap / math.log2(ratio)),
        "Nearly: you multiplied by the logarithm where the equation gap / T = log(ratio) divides.":
            number(gap * math.log(ratio)),
        "exp is undone by log: take the logarithm of the ratio, and leave the gap as it is.":
            number(math.exp(gap / ratio)),
        "You took the logarithm of the gap; it is the ratio that is an exponential.": number(math.log(gap) / ratio),
        "The gap is missing: twice the gap needs twice the temperature.": number(1 / math.log(ratio)),
        "That is a difference; the equation gap / T = log(ratio) divides.": number(gap - math.log(ratio)),
        "That is exp(gap) over the ratio: solve exp(gap / T) = ratio for T, which stands in the exponent.":
            number(math.exp(gap) / ratio)}, {}, f"a gap of {gap:g} and a ratio of {ratio:.4g}")
        for gap, ratio in ((4.6, 10.0), (8.0, 2.0), (1.0, math.e), (3.0, 5.0))],
        "Start from exp(gap / T) = ratio and solve it for T.")
    return "exp(gap / T) = ratio gives T = gap / log(ratio); nothing but the gap of the two logits matters."


@exercise("01.2")
def kd_gradient(function) -> str:
    """kd_gradient(student_logits, teacher_logits, temperature): the gradient of kd_loss, (B, C)."""
    cases = []
    for student, teacher, t, factors, says in _examples():
        difference, batch = (student / t).softmax(-1) - (teacher / t).softmax(-1), len(student)
        cases.append(Case(by_hand(function, student, teacher, t, otherwise=_NO_AUTOGRAD), t * difference / batch, {
            "The sign: where the student gives too much probability, its logit must go down, so the gradient is > 0.":
                -t * difference / batch,
            "T^2 is the factor of the loss. Dividing the logits by T takes one T away again (chain rule).":
                t * t * difference / batch,
            "The factor T is missing: the loss has T^2, the chain rule divides by T once.": difference / batch,
            "That is the gradient without the T^2 of the loss.": difference / t / batch,
            "The loss is a mean over the batch: divide by the number of examples.": t * difference,
            "The loss is divided by the batch only, not by the number of classes too.":
                t * difference / difference.numel(),
            "Both softmaxes are taken at the temperature T, yours are at T = 1.":
                t * (student.softmax(-1) - teacher.softmax(-1)) / batch,
            "Those are the logits; the gradient is a difference of probabilities.": t * (student - teacher) / batch,
            "The teacher's probabilities are missing: they are what the student's are compared with.":
                t * (student / t).softmax(-1) / batch,
            "The difference is squared; the gradient of the divergence is the difference itself.":
                t * difference.square() / batch,
            "Those are logarithms of probabilities; the gradient is a difference of the probabilities.":
                t * ((student / t).log_softmax(-1) - (teacher / t).log_softmax(-1)) / batch}, factors, says))
    judge(cases, "Hint 1 gives the difference of the two softmaxes; which factors come from T^2, from z / T and from "
                 "the mean over the batch?")
    return "T (p_S - p_T) / B: of the size of (z_S - z_T) / (C B) once T is large, whatever T is."


@exercise("01.3")
def repaired_loss(function) -> str:
    """A kd_loss with three mistakes, repaired."""
    cases = []
    for z_student, z_teacher, t, factors, says in _examples():
        student, teacher = ((z / t).log_softmax(-1) for z in (z_student, z_teacher))
        batch, classes = z_student.shape
        forward = t * t * (teacher.exp() * (teacher - student)).sum() / batch
        backward = t * t * (student.exp() * (student - teacher)).sum() / batch
        cold = [z.log_softmax(-1) for z in (z_student, z_teacher)]
        cases.append(Case(answer_of(function, z_student, z_teacher, t), forward, {
            "The T^2 is missing: with it, the size of the gradient hardly depends on T.": forward / t**2,
            "The sum over classes was turned into a mean: the loss is too small by the number of classes.":
                forward / classes,
            "The divergence is turned around: the teacher's probabilities are the weights, KL(teacher || student).":
                backward,
            "Two mistakes are left: the factor T^2, and the mean over classes.": forward / t**2 / classes,
            "Two mistakes are left: the factor T^2, and the direction of the divergence.": backward / t**2,
            "Two mistakes are left: the mean over classes, and the direction of the divergence.": backward / classes,
            "That is the cross-entropy with soft targets. Its gradient is the same, but where student and teacher "
            "agree it is not 0: the teacher's own entropy is still to be taken away.":
                -t * t * (teacher.exp() * student).sum() / batch,
            "The student's probabilities are the weights, with the teacher's sign: KL(teacher || student) has the "
            "teacher's weights.": -backward,
            "The weights are logarithms: take the exponential of the teacher's.":
                t * t * (teacher * (teacher - student)).sum() / batch,
            "F.kl_div wants the student as logarithms: log_softmax, not softmax.":
                t * t * (teacher.exp() * (teacher - student.exp())).sum() / batch,
            "The temperature is missing inside the softmaxes.":
                t * t * (cold[1].exp() * (cold[1] - cold[0])).sum() / batch,
            "The weights are missing: each class counts as much as the teacher gives it.":
                t * t * (teacher - student).sum() / batch}, factors, says))
    if all(torch.allclose(case.got, case.slips[_STUB] / case.factors["T"] ** 2, rtol=1e-4)
           for case in cases if case.got.shape == ()) and cases[0].got.shape == ():
        raise NotDone
    if any(case.got.isnan().any() for case in cases):
        raise Wrong("The loss is not a number: a logarithm is taken of something negative. Logarithms of the teacher "
                    "need log_target=True in F.kl_div, or the difference of two logarithms written out.")
    judge(cases, "The loss is T^2 times the mean over the images of the sum over the classes of "
                 "p_T (log p_T - log p_S).")
    for z_student, z_teacher, t, *_ in _examples():
        teaches(function, z_student, z_teacher, t, like=kd_loss)
    return "All three mistakes have been in published teaching code; tests of values and gradients find them."


_STUB = "Two mistakes are left: the mean over classes, and the direction of the divergence."


@exercise("01.4")
def a_setting_that_hurts(answer) -> str:
    """{"transfer": n, "temperature": T} at which distilled students are worse, measured with 10 fresh seeds."""
    if not answer:
        raise NotDone
    if not isinstance(answer, Mapping):
        raise Wrong('Give both values by name: {"transfer": ..., "temperature": ...}.')
    for name in answer:
        one_of("setting", name, ("transfer", "temperature"))
    if set(answer) != {"transfer", "temperature"}:
        raise Wrong("Give both values: the number of transfer images and the temperature.")
    n, temperature = whole("transfer", answer["transfer"], 1, 1200), float(
        between("temperature", answer["temperature"], 0.5, 32))
    results = run(DarkKnowledge(seeds=10, seed=1000, transfer_sizes=(n,), temperatures=(temperature,),
                                control_sizes=(), omitted_temperatures=()))
    same = {"part": "sweep", "transfer": n}
    gain = results.paired("accuracy", this=same | {"method": "distilled", "temperature": temperature},
                          minus=same | {"method": "hard labels"})
    if gain.low > 0:
        raise Wrong(f"Here distillation helps: {gain}. Where does a student have less to learn from its teacher?")
    if gain.high >= 0:
        raise Wrong(f"The interval {gain} includes zero: this setting neither helps nor clearly hurts.")
    return f"Measured with 10 seeds that this page has not used: {gain} points."
