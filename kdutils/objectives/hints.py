"""Hints: the student's features should be the teacher's (FitNets; Romero et al. 2015, arXiv 1412.6550, eq. 3)."""

from torch import Tensor

from kdutils.errors import ParameterError


def hint_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over the batch and over all features of (student - teacher)^2: two (..., B, d) -> (...,).

    The mean over all elements is that of RepDistiller, mdistiller, KD-Zoo and the lab of the study; the authors' code
    (Theano) has half the sum over the features, d / 2 times as much. Where the widths differ, the student's features
    come from a regressor that is trained with it: `networks.Hinted`.
    """
    same_width("hints", student, teacher)
    return (student - teacher).square().mean((-1, -2))


def same_width(what: str, student: Tensor, teacher: Tensor, axis: int = -1) -> None:
    """Refuse features that cannot be compared number by number."""
    if student.shape[axis] != teacher.shape[axis]:
        raise ParameterError(f"{what} compare features of equal width, got {student.shape[axis]} of the student and "
                             f"{teacher.shape[axis]} of the teacher.")
