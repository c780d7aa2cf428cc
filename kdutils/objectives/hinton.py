"""Knowledge distillation as Hinton, Vinyals and Dean introduced it (2015, arXiv 1503.02531, sec. 2)."""

from torch import Tensor

from kdutils.objectives.classification import cross_entropy
from kdutils.objectives.softmax import log_softmax


def kd_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float | Tensor) -> Tensor:
    """T^2 KL(teacher || student) at temperature T, mean over the batch: two (..., B, C) -> (...,).

    The teacher comes first in the divergence. T^2 keeps the gradient's size as T changes: the gradient is
    T (p_S - p_T) / B, and for T -> infinity the loss tends to the squared distance of the centred logits, over 2C.
    The sum over classes is divided by the batch only ("batchmean"), never by the number of classes.
    """
    student = log_softmax(student_logits, temperature)
    teacher = log_softmax(teacher_logits, temperature)
    kl = (teacher.exp() * (teacher - student)).sum(-1)
    return temperature**2 * kl.mean(-1)


def soft_cross_entropy(student_logits: Tensor, teacher_logits: Tensor, temperature: float | Tensor) -> Tensor:
    """T^2 times the cross-entropy with soft targets: the same gradient as `kd_loss`, another value (...,)."""
    soft_targets = log_softmax(teacher_logits, temperature).exp()
    return temperature**2 * -(soft_targets * log_softmax(student_logits, temperature)).sum(-1).mean(-1)


def distillation(student, teacher, labels, knobs) -> Tensor:
    """Objective: alpha * kd_loss + (1 - alpha) * cross_entropy.

    alpha weighs the distillation term, as in RepDistiller and mdistiller (0.9); some codes weigh the labels by it.
    """
    soft = kd_loss(student["logits"], teacher["logits"], knobs["temperature"])
    hard = cross_entropy(student["logits"], labels)
    return knobs["alpha"] * soft + (1 - knobs["alpha"]) * hard
