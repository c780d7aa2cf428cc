"""Learning from labels: cross-entropy and label smoothing."""

from torch import Tensor

from kdutils.objectives.softmax import log_softmax


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the batch of -log p(true class): logits (..., B, C), labels (..., B) -> (...,)."""
    return -log_softmax(logits).gather(-1, labels[..., None]).squeeze(-1).mean(-1)


def label_smoothing(logits: Tensor, labels: Tensor, epsilon: float | Tensor) -> Tensor:
    """Cross-entropy with (1 - epsilon) on the label and epsilon spread evenly over all C classes: (...,).

    Source: Szegedy et al. 2016, sec. 7; the true class keeps 1 - epsilon + epsilon / C, as in torch.
    """
    even = -log_softmax(logits).mean((-1, -2))
    return (1 - epsilon) * cross_entropy(logits, labels) + epsilon * even


def hard_labels(student, teacher, labels, knobs) -> Tensor:
    """Objective: cross-entropy with the labels; the teacher is not asked."""
    return cross_entropy(student["logits"], labels)
