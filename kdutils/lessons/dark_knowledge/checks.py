"""Checks of notebook 01."""

import math
from collections.abc import Mapping

import torch

from kdutils.course.checks import NotDone, Wrong, answer_of, compare, exercise
from kdutils.errors import one_of, positive, whole
from kdutils.lessons.dark_knowledge.experiment import DarkKnowledge, run

_STUDENT = torch.sin(1.3 * torch.arange(4.0)[:, None] + 0.7 * torch.arange(5.0)).double()
_TEACHER = (2 * torch.cos(0.9 * torch.arange(4.0)[:, None] + 1.1 * torch.arange(5.0))).double()


@exercise("01.1")
def temperature_for_ratio(function) -> str:
    """temperature_for_ratio(gap, ratio): the T at which two logits `gap` apart have probabilities in that ratio."""
    for gap, ratio in ((4.6, 10.0), (8.0, 2.0), (1.0, math.e)):
        got = answer_of(function, gap, ratio)
        compare(got, torch.tensor(gap / math.log(ratio)).double(), {
            "Upside down: a larger gap needs a larger T to reach the same ratio.":
                torch.tensor(math.log(ratio) / gap).double(),
            "Take the logarithm: the ratio of the probabilities is exp(gap / T), not gap / T.":
                torch.tensor(gap / ratio).double(),
            "Use the natural logarithm, the inverse of exp.": torch.tensor(gap / math.log10(ratio)).double(),
            "Nearly: you multiplied by the logarithm where the equation gap / T = log(ratio) divides.":
                torch.tensor(gap * math.log(ratio)).double()})
    return "exp(gap / T) = ratio gives T = gap / log(ratio); nothing but the gap of the two logits matters."


@exercise("01.2")
def kd_gradient(function) -> str:
    """kd_gradient(student_logits, teacher_logits, temperature): the gradient of kd_loss, (B, C)."""
    for t in (3.0, 7.0):    # unlike the 4 examples and 5 classes, so that no mistake looks like another
        soft = {name: (z / t).softmax(-1) for name, z in (("student", _STUDENT), ("teacher", _TEACHER))}
        plain = _STUDENT.softmax(-1) - _TEACHER.softmax(-1)
        difference, batch = soft["student"] - soft["teacher"], len(_STUDENT)
        compare(answer_of(function, _STUDENT, _TEACHER, t), t * difference / batch, {
            "The sign: where the student gives too much probability, its logit must go down, so the gradient is > 0.":
                -t * difference / batch,
            "T^2 is the factor of the loss. Dividing the logits by T takes one T away again (chain rule).":
                t * t * difference / batch,
            "The factor T is missing: the loss has T^2, the chain rule divides by T once.": difference / batch,
            "That is the gradient without the T^2 of the loss.": difference / t / batch,
            "The loss is a mean over the batch: divide by the number of examples.": t * difference,
            "The loss is divided by the batch only, not by the number of classes too.":
                t * difference / difference.numel(),
            "Both softmaxes are taken at the temperature T, yours are at T = 1.": t * plain / batch})
    return "T (p_S - p_T) / B: of the size of (z_S - z_T) / (C B) once T is large, whatever T is."


@exercise("01.3")
def repaired_loss(function) -> str:
    """A kd_loss with three mistakes, repaired."""
    t, batch = 4.0, len(_STUDENT)
    student, teacher = ((z / t).log_softmax(-1) for z in (_STUDENT, _TEACHER))
    forward = (teacher.exp() * (teacher - student)).sum()
    backward = (student.exp() * (student - teacher)).sum()
    classes = _STUDENT.shape[-1]
    slips = {
        "The T^2 is missing: with it, the size of the gradient hardly depends on T.": forward / batch,
        "The sum over classes was turned into a mean: the loss is too small by the number of classes.":
            t * t * forward / batch / classes,
        "The divergence is turned around: the teacher's probabilities are the weights, KL(teacher || student).":
            t * t * backward / batch,
        "Two mistakes are left: the factor T^2, and the mean over classes.": forward / batch / classes,
        "Two mistakes are left: the factor T^2, and the direction of the divergence.": backward / batch,
        "Two mistakes are left: the mean over classes, and the direction of the divergence.":
            t * t * backward / batch / classes}
    got = answer_of(function, _STUDENT, _TEACHER, t)
    if torch.allclose(got, backward / batch / classes, rtol=1e-4):
        raise NotDone
    compare(got, t * t * forward / batch, slips)
    return "All three mistakes have been in published teaching code; tests of values and gradients find them."


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
    n, temperature = whole("transfer", answer["transfer"], 1), float(positive("temperature", answer["temperature"]))
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
