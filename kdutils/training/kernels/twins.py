"""Which objectives the kernels know: the one place to add more.

A twin is an objective's other half: the same loss in `losses.py`, with its gradient by hand. Whoever adds one gives it
a number here and a branch in `losses.loss_and_gradient`; tests/unit/test_kernels.py holds every twin of this table to
its objective. An objective that is not here trains in torch, whatever it does.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from kdutils.objectives import (
    distillation,
    hard_labels,
    subclass_distillation,
    subclass_teacher,
    tolerant_teacher,
    tolerant_teacher_convex,
)

# The knobs that kernels read, and the columns in which they find them.
KNOBS = ("temperature", "alpha", "eta", "ranks", "epsilon", "beta", "t_aux")
TEMPERATURE, ALPHA, ETA, RANKS, EPSILON, BETA, T_AUX = range(len(KNOBS))

(HARD_LABELS, DISTILLATION, TOLERANT_TEACHER, TOLERANT_TEACHER_CONVEX, SUBCLASS_DISTILLATION, CONTRASTIVE,
 ENTROPY) = range(7)


@dataclass(frozen=True)
class Twin:
    """kind: its number in `losses`. teacher: whether it asks for the teacher's logits. sizes: subclasses per class."""

    kind: int
    teacher: bool = False
    sizes: tuple[int, ...] = ()


# An objective, or the function that makes it and what it was told beside the sizes.
TWINS: dict[Hashable, Twin] = {
    hard_labels: Twin(HARD_LABELS),
    distillation: Twin(DISTILLATION, teacher=True),
    tolerant_teacher: Twin(TOLERANT_TEACHER),
    tolerant_teacher_convex: Twin(TOLERANT_TEACHER_CONVEX),
    (subclass_distillation,): Twin(SUBCLASS_DISTILLATION, teacher=True),
    (subclass_teacher, "contrastive"): Twin(CONTRASTIVE),
    (subclass_teacher, "entropy"): Twin(ENTROPY),
}


def twin_of(objective: Callable) -> Twin | None:
    """The twin of an objective; None without one."""
    if made_by := getattr(objective, "made_by", None):
        maker, sizes, *told = made_by
        twin = TWINS.get((maker, *told))
        return twin and replace(twin, sizes=sizes)
    try:
        return TWINS.get(objective)
    except TypeError:  # something callable that has no hash
        return None
