"""The nine methods side by side: what each compares, which layers it reads, its usual weight.

Which nine: Sarfraz, Arani, Zonooz 2020 (arXiv 2007.01922), as reconstructed from its abstract and the lab's code; BSS
is the likeliest ninth, not a certain one. Teacher outputs are constants here: whoever trains with a loss passes them
without a gradient, as the training loop does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from kdutils.errors import ParameterError
from kdutils.objectives.attention import attention_loss
from kdutils.objectives.boundary import boundary_loss
from kdutils.objectives.flow import flow_loss
from kdutils.objectives.hinton import kd_loss
from kdutils.objectives.hints import hint_loss
from kdutils.objectives.online import branch_divergence
from kdutils.objectives.relational import angle_loss, distance_loss, similarity_loss

Features = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Layers:
    """What the methods read of a network: logits (..., B, C) and hidden layers from the input up.

    hint: the middle hidden layer, flat, or the output of a regressor (`networks.Hinted`) if the network has one.
    embedding: what the last linear layer sees, (..., B, d); RKD reads it.
    """

    logits: Tensor
    hidden: tuple[Tensor, ...]
    hint: Tensor
    embedding: Tensor

    @property
    def last(self) -> Tensor:
        """The last hidden layer before any pooling over the whole image, flat; SP reads it."""
        return _flat(self.hidden[-1], self.logits)

    @property
    def maps(self) -> tuple[Tensor, ...]:
        """Hidden layers that have places, (..., B, channels, height, width)."""
        return tuple(one for one in self.hidden if one.ndim >= self.logits.ndim + 2)


def layers(features: Features) -> Layers:
    """The layers of named features: hidden1, hidden2, ... of an MLP, stage1, stage2, ... of a convolutional network.

    features: {name: (..., B, ...)}, of one network or a population, "logits" among them.
    """
    hidden = tuple(value for name, value in features.items()
                   if name.rstrip("0123456789") in ("hidden", "stage") and name[-1].isdigit())
    if not hidden:
        raise ParameterError(f"the methods read hidden or stage layers; these features are {', '.join(features)}.")
    logits = features["logits"]
    middle = features.get("hint", hidden[(len(hidden) - 1) // 2])
    return Layers(logits, hidden, _flat(middle, logits), _flat(features.get("embedding", hidden[-1]), logits))


@dataclass(frozen=True)
class Method:
    """One way to learn beside or instead of the labels.

    matches: what is compared, in a few words; group: where the study puts it. hard, weight: of the cross-entropy and
    of the method's own term, as public codes have them. term: (layers of the student, of the teacher, features of the
    student, of the teacher) -> (...,).
    """

    name: str
    group: str
    matches: str
    hard: float
    weight: float
    term: Callable[[Layers, Layers, Features, Features], Tensor]


def _kd(s: Layers, t: Layers, *_) -> Tensor:
    return kd_loss(s.logits, t.logits, 4.0)


def _boundary(s: Layers, t: Layers, student: Features, teacher: Features) -> Tensor:
    """The boundary samples alone; the race adds soft targets on clean ones."""
    return boundary_loss(student["boundary logits"], teacher["boundary logits"], student["boundary usable"])


def _hints(s: Layers, t: Layers, *_) -> Tensor:
    return hint_loss(s.hint, t.hint)


def _attention(s: Layers, t: Layers, *_) -> Tensor:
    _needs_maps("attention transfer", s, t, 1)
    return sum(attention_loss(one, other) for one, other in zip(s.maps, t.maps, strict=True))


def _flow(s: Layers, t: Layers, *_) -> Tensor:
    _needs_maps("FSP", s, t, 2)
    return sum(flow_loss(one, other) for one, other in zip(pairwise(s.maps), pairwise(t.maps), strict=True))


def _relations(s: Layers, t: Layers, *_) -> Tensor:
    """Distances and angles in the proportion of the public codes, 25 to 50: the weight multiplies the first."""
    return distance_loss(s.embedding, t.embedding) + 2 * angle_loss(s.embedding, t.embedding)


def _similarity(s: Layers, t: Layers, *_) -> Tensor:
    return similarity_loss(s.last, t.last)


def _peer(s: Layers, t: Layers, *_) -> Tensor:
    """The divergence from one other network's answers, whether it learns at the same time or not."""
    return kd_loss(s.logits, t.logits, 1.0)


def _branches(s: Layers, t: Layers, student: Features, teacher: Features) -> Tensor:
    return branch_divergence(student["branches"], student["gate"])


METHODS: dict[str, Method] = {method.name: method for method in (
    Method("KD", "answers", "softened class probabilities", 0.1, 0.9, _kd),
    Method("BSS", "boundary", "answers on pictures at the teacher's boundary", 1.0, 1.0, _boundary),
    Method("FitNets", "features", "the activations of a middle layer", 1.0, 100.0, _hints),
    Method("AT", "features", "where each layer is active", 1.0, 1000.0, _attention),
    Method("FSP", "features", "how one layer leads to the next", 1.0, 1.0, _flow),
    Method("RKD", "relations", "distances and angles between images", 1.0, 25.0, _relations),
    Method("SP", "relations", "which images are alike", 1.0, 3000.0, _similarity),
    Method("DML", "together", "a peer that learns at the same time", 1.0, 1.0, _peer),
    Method("ONE", "together", "the united answer of own branches", 1.0, 1.0, _branches),
)}


def _needs_maps(what: str, student: Layers, teacher: Layers, least: int) -> None:
    if len(student.maps) != len(teacher.maps):
        raise ParameterError(f"{what} compares layer by layer: the student has {len(student.maps)} layers of maps, the "
                             f"teacher {len(teacher.maps)}.")
    if len(student.maps) < least:
        raise ParameterError(f"{what} reads at least {least} layer{'s' * (least > 1)} of maps; this network has "
                             f"{len(student.maps)}: take a convolutional one.")


def _flat(value: Tensor, logits: Tensor) -> Tensor:
    return value.flatten(logits.ndim - 1)
