"""Spherical knowledge distillation: the direction of the logits is matched, their size is set by one common scale.

Source: Guo, Chen, Hu, Zhu, He, Cai 2020 (arXiv 2010.07485). Its tables were not available to us; the loss is that of
the authors' first code (December 2020, layer_norm without affine, times a multiplier m) and of its description in their
README and issues: the labels see the rescaled student too. Later versions of that code differ;
`per_sample_distillation` is the one of August 2023.

Logits are (..., B, C). m is the standard deviation (biased, over the C classes) that every answer is given: a number or
one per network, (...,). The authors' L2 form is the same with sqrt(C) times that number, see `l2_scale`.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from kdutils.errors import positive, whole
from kdutils.objectives.classification import cross_entropy
from kdutils.objectives.hinton import kd_loss
from kdutils.objectives.softmax import log_softmax, per_network

HALVES = (torch.float16, torch.bfloat16)


def spread(logits: Tensor) -> Tensor:
    """Standard deviation of each answer over its classes, biased: (..., B, C) -> (..., B).

    The size of an answer: its centred L2 norm over sqrt(C). To second order the entropy of softmax(z / T) is
    log C - spread^2 / (2 T^2).
    """
    return _full_precision(logits).std(-1, correction=0)


def direction(logits: Tensor) -> Tensor:
    """Each answer centred and divided by its spread: (..., B, C) -> the same, mean 0 and spread 1.

    Scaling or shifting an answer changes nothing: there is no eps. An answer whose entries are all alike, up to
    rounding, has no direction: it becomes 0, the uniform answer, and no gradient flows. Half precision is computed in
    float32 and stays there: the authors' eps of 1e-7 is 0 in float16. In float32 entries may be from 1e-15 to 1e15.
    """
    logits = _full_precision(logits)
    mean = logits.mean(-1, keepdim=True)
    centred = logits - mean
    variance = centred.square().mean(-1, keepdim=True)  # torch.var_mean is 3 times slower across a strided axis
    rounding = 4 * torch.finfo(logits.dtype).eps
    alike = variance <= rounding**2 * mean.square()
    return centred * torch.where(alike, 0.0, torch.where(alike, 1.0, variance).rsqrt())


def on_sphere(logits: Tensor, m: float | Tensor) -> Tensor:
    """m times the `direction` of each answer: (..., B, C) -> the same. m: a number > 0, or one per network (...,)."""
    return per_network(_above_zero("m", m), logits) * direction(logits)


def spherical_kd(student_logits: Tensor, teacher_logits: Tensor, temperature: float | Tensor,
                 m: float | Tensor) -> Tensor:
    """`kd_loss` of both networks' answers at the scale m: two (..., B, C) -> (...,).

    The gradient with respect to an answer of the student is orthogonal to that answer (centred) and to (1, ..., 1), and
    shrinks as the answer grows: only the direction is learnt. Apart from the factor T^2 the loss depends on m / T only.
    With two classes there are two directions, so that the teacher sends nothing but its decision.
    """
    temperature = _above_zero("temperature", temperature)
    return kd_loss(on_sphere(student_logits, m), on_sphere(teacher_logits, m), temperature)


def spherical_loss(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: float | Tensor,
                   alpha: float | Tensor, m: float | Tensor) -> Tensor:
    """alpha * `spherical_kd` + (1 - alpha) * CE, where the labels see the student's answer at the scale m too: (...,).

    The authors insist on the latter. With the labels on raw logits and m = 1 it is logit standardisation (Sun et al.
    2024), whose authors insist on the opposite: see `mixed_distillation`.
    """
    soft = spherical_kd(student_logits, teacher_logits, temperature, m)
    return alpha * soft + (1 - alpha) * cross_entropy(on_sphere(student_logits, m), labels)


def spherical_distillation(student, teacher, labels, knobs) -> Tensor:
    """Objective: `spherical_loss` with knobs temperature, alpha and m."""
    return spherical_loss(student["logits"], teacher["logits"], labels, knobs["temperature"], knobs["alpha"],
                          knobs["m"])


def mixed_distillation(student: bool = True, teacher: bool = True, labels: bool = True) -> Callable:
    """Objective: alpha * KD + (1 - alpha) * CE, with the answers of your choice at the scale m and the others raw.

    student, teacher: in the KD term. labels: the student's answer that the labels see. All three: spherical
    distillation; none: ordinary distillation; student and teacher only, with m = 1: logit standardisation.
    """
    def objective(answer, message, truth, knobs) -> Tensor:
        raw, told, m = answer["logits"], message["logits"], knobs["m"]
        soft = kd_loss(on_sphere(raw, m) if student else raw, on_sphere(told, m) if teacher else told,
                       knobs["temperature"])
        hard = cross_entropy(on_sphere(raw, m) if labels else raw, truth)
        return knobs["alpha"] * soft + (1 - knobs["alpha"]) * hard

    return objective


def per_sample_distillation(student, teacher, labels, knobs) -> Tensor:
    """Objective: the student's answer to each image is given the spread of the teacher's, which stays as it is.

    The form of the authors' code of August 2023: images of which the teacher is unsure stay unsure. Labels see the
    rescaled student; that code's unbiased spread gives the same ratio.
    """
    z = direction(student["logits"]) * spread(teacher["logits"])[..., None]
    soft = kd_loss(z, teacher["logits"], knobs["temperature"])
    return knobs["alpha"] * soft + (1 - knobs["alpha"]) * cross_entropy(z, labels)


def normalised_temperature_kd(student_logits: Tensor, teacher_logits: Tensor, temperature: float | Tensor) -> Tensor:
    """KD in which each answer has its own temperature, T times its unbiased spread: two (..., B, C) -> (...,).

    Source: NormKD (Chi et al. 2023; code gizi1/NormKD, where T is called t_norm and is 2): each image's KL is
    multiplied by the square of the teacher's temperature. A relative of `spherical_kd`, not the same: the factor makes
    sure answers count more.
    """
    c = student_logits.shape[-1]
    unbiased = math.sqrt(c / (c - 1))
    student, teacher = (log_softmax(direction(z) / unbiased, temperature) for z in (student_logits, teacher_logits))
    own = spread(teacher_logits) * unbiased
    own = own * (temperature[..., None] if torch.is_tensor(temperature) and temperature.ndim else temperature)
    return (own.square() * (teacher.exp() * (teacher - student)).sum(-1)).mean(-1)


def mean_spread(logits: Tensor) -> Tensor:
    """Mean `spread` of the answers: (..., B, C) -> (...,); a teacher's is the paper's common scale, in std units."""
    return spread(logits).mean(-1)


def l2_scale(m: float, classes: int) -> float:
    """The scale m, a standard deviation, as the L2 norm that centred logits of C classes then have: sqrt(C) m."""
    return math.sqrt(whole("classes", classes, 2)) * positive("m", m)


def std_scale(norm: float, classes: int) -> float:
    """The L2 norm of centred logits as the scale m of this module: norm / sqrt(C)."""
    return positive("norm", norm) / math.sqrt(whole("classes", classes, 2))


def largest_probability(m: float, classes: int, temperature: float = 1.0) -> float:
    """The highest probability that an answer at the scale m can give a class: 1 / (1 + (C - 1) e^-g).

    g = m C / (T sqrt(C - 1)) is the gap between one logit and all the others alike. With C = 10 and m = 2 it is 0.989:
    cross-entropy cannot reach 0.
    """
    c = whole("classes", classes, 2)
    gap = positive("m", m) * c / math.sqrt(c - 1) / positive("temperature", temperature)
    return 1 / (1 + (c - 1) * math.exp(-gap))


def _full_precision(logits: Tensor) -> Tensor:
    """In float32 what came in half precision."""
    return logits.float() if logits.dtype in HALVES else logits


def _above_zero(name: str, value: float | Tensor) -> float | Tensor:
    """The value if it is > 0; a tensor on a GPU is not looked into, which would wait for the device."""
    if not torch.is_tensor(value):
        return positive(name, value)
    if value.device.type == "cpu" and not bool((value > 0).all()):
        positive(name, value.min().item())
    return value
