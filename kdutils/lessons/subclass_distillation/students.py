"""The students of notebook 03: who learns from which teacher's outputs, and with what loss."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from kdutils.cohorts import Cohort, Splits, side_by_side
from kdutils.lessons.subclass_distillation.parameters import Arm, SubclassDistillation
from kdutils.lessons.subclass_distillation.teachers import hidden_blocks
from kdutils.networks import MLP, Specification
from kdutils.objectives import class_logits, cross_entropy, kd_loss, subclass_distillation
from kdutils.second_scale import Bench
from kdutils.training import Knobs, Recipe

Teachers = Mapping[str, Mapping[str, Tensor]]  # by name: {"logits": (S, N, K), "hidden": (S, N, H)}


@dataclass(frozen=True)
class Terms:
    """What every student of a comparison is asked; the parameters of an experiment may stand in for it."""

    subclasses: int  # s per class
    temperature: float
    alpha: float  # weight of the soft targets
    hint: float = 0.0  # weight of the penultimate layer, where that is the message


def cohorts(lab: Splits, teachers: Teachers, arms: Sequence[Arm], train: Tensor, width: int | Sequence[int],
            terms: Terms | SubclassDistillation) -> list[Cohort]:
    """Students of every arm and seed on `train` (S, n), those whose heads look alike side by side.

    width: hidden units of an MLP, on the pictures of the second scale the channels of a small convolutional network.
    Two students of one seed and one shape start alike.
    """
    return [_cohort(lab, teachers, group, train, width, terms) for group in _alike(arms, lab, terms)]


def train_arms(lab: Splits, teachers: Teachers, arms: Sequence[Arm], train: Tensor, width: int | Sequence[int],
               terms: Terms | SubclassDistillation, recipe: Recipe, every: int | None = None
               ) -> Iterator[tuple[Arm, int, Tensor]]:
    """One cohort after the other: (arm, step, class logits (S, Q, C) on the test examples)."""
    for students in cohorts(lab, teachers, arms, train, width, terms):
        for snapshot in students.train(recipe, every):
            if snapshot.step:
                for arm, logits in zip(students.arms, students.answers(), strict=True):
                    yield arm, snapshot.step, logits


def class_level_distillation(sizes: Sequence[int]) -> Callable:
    """Objective: distillation of class probabilities by a student with subclasses; teacher["logits"] is C wide."""
    def objective(student, teacher, labels, knobs) -> Tensor:
        logits = class_logits(student["logits"], sizes)
        soft = kd_loss(logits, teacher["logits"], knobs["temperature"])
        return knobs["alpha"] * soft + (1 - knobs["alpha"]) * cross_entropy(logits, labels)

    return objective


def penultimate_distillation(sizes: Sequence[int]) -> Callable:
    """Objective: CE on the class logits + beta * squared distance of mapped hidden layers, mean over H units.

    The student's outputs behind its S logits are a linear map of its hidden layer, learnt with it, onto the teacher's
    standardised last hidden layer teacher["hidden"] (..., B, H): the regressor of FitNets (Romero et al. 2015, eq. 3),
    at the last layer. What the subclass paper's own baseline minimises is not known to us.
    """
    def objective(student, teacher, labels, knobs) -> Tensor:
        logits, mapped = student["logits"].split([sum(sizes), teacher["hidden"].shape[-1]], -1)
        distance = (mapped - teacher["hidden"]).square().mean((-1, -2))
        return cross_entropy(class_logits(logits, sizes), labels) + knobs["beta"] * distance

    return objective


_OBJECTIVES = {"outputs": subclass_distillation, "classes": class_level_distillation,
               "features": penultimate_distillation}


def head_sizes(arm: Arm, lab: Splits, terms: Terms | SubclassDistillation) -> tuple[int, ...]:
    """How many outputs a student's head has for each class."""
    if arm.head == "hidden":
        return hidden_blocks(lab)[1]
    return (terms.subclasses if arm.head == "subclasses" else 1,) * lab.data.n_classes


def _alike(arms: Sequence[Arm], lab: Splits, terms) -> list[list[Arm]]:
    groups: dict[tuple, list[Arm]] = {}
    for arm in arms:
        groups.setdefault((head_sizes(arm, lab, terms), arm.message), []).append(arm)
    return list(groups.values())


def _cohort(lab: Splits, teachers: Teachers, arms: Sequence[Arm], train: Tensor, width: int | Sequence[int], terms
            ) -> Cohort:
    """Students of arms with the same head and the same kind of message."""
    sizes, kind = head_sizes(arms[0], lab, terms), arms[0].message
    if kind == "features":
        message = {"hidden": torch.cat([teachers[arm.teacher]["hidden"] for arm in arms])}
    else:
        message = {"logits": _messages(lab, teachers, arms, sizes if kind == "outputs" else None)}
    mapped = sum(outputs.shape[-1] for name, outputs in message.items() if name == "hidden")
    spec = _network(lab, width, sum(sizes) + mapped)
    (messages,) = message.values()
    population, task = side_by_side(lab, len(arms), train, spec, outputs=message,
                                    teacher_of=_teacher_of(len(messages), len(arms), lab, train.device))
    knobs = Knobs(alpha=[0.0 if arm.teacher is None else terms.alpha for arm in arms for _ in lab.seeds],
                  temperature=[1.0 if arm.pseudo else terms.temperature for arm in arms for _ in lab.seeds],
                  beta=terms.hint)
    return Cohort(lab, tuple(arms), population, task, knobs, _OBJECTIVES[kind](sizes), partial(_read, sizes=sizes))


def _network(lab: Splits, width: int | Sequence[int], outputs: int) -> Specification:
    return (lab.network(width, outputs) if isinstance(lab, Bench)
            else MLP(lab.data.inputs[0].numel(), (width,), outputs))


def _read(outputs: Tensor, sizes: Sequence[int]) -> Tensor:
    """Class logits of a head; what stands behind its subclasses is a map of the hidden layer."""
    return class_logits(outputs[..., :sum(sizes)], sizes)


def _messages(lab: Splits, teachers: Teachers, arms: Sequence[Arm], sizes: Sequence[int] | None) -> Tensor:
    """What each arm's teachers say, (arms * S, N, K), 0 for arms without one: as wide as `sizes`.

    Without sizes: the classes' logits, of teachers with as many subclasses in every class.
    """
    said = [None if arm.teacher is None else teachers[arm.teacher]["logits"] for arm in arms]
    if sizes is None:
        sizes = (1,) * lab.data.n_classes
        said = [z if z is None or z.shape[-1] == len(sizes)
                else class_logits(z, (z.shape[-1] // len(sizes),) * len(sizes)) for z in said]
    each = next((len(z) for z in said if z is not None), 1)
    nothing = torch.zeros(each, len(lab.data), sum(sizes), device=lab.pool.device)
    return torch.cat([nothing if z is None else z for z in said])


def _teacher_of(messages: int, arms: int, lab: Splits, device) -> Tensor:
    """Which message each student gets (arms * S,): of an arm there is one for each seed, or one for all seeds."""
    each = messages // arms
    return torch.tensor([each * arm + seed % each for arm in range(arms) for seed in range(len(lab.seeds))],
                        device=device)
