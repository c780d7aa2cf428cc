"""One test digit per class, with what a teacher thinks of it: the example that panels and notebooks carry through."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from kdutils import metrics
from kdutils.cohorts import Splits, teachers
from kdutils.objectives import softmax


@dataclass(frozen=True, eq=False)
class Example:
    """An image (8, 8), its label, its index in the data set, and one teacher's logits (10,)."""

    image: np.ndarray
    label: int
    index: int
    logits: Tensor

    def probabilities(self, temperature: float) -> Tensor:
        """softmax(z / T), (10,)."""
        return softmax(self.logits, temperature)

    @property
    def second(self) -> int:
        """The class with the second largest logit."""
        return int(self.logits.topk(2).indices[1])

    def __str__(self) -> str:
        return f"a {self.label}, a little like a {self.second}"


def one_per_class(lab: Splits, logits: Tensor) -> tuple[Example, ...]:
    """For each class a test digit that the first seed's teacher is sure of and yet has much to say about.

    Sure: the label has at least 98% at T = 1. Much: the largest entropy at T = 4. logits: (S, N, 10), from `teachers`.
    """
    test, labels, z = lab.test[0], lab.data.labels, logits[0]
    sure = softmax(z).gather(-1, labels[:, None]).squeeze(-1) >= 0.98
    told = metrics.entropy(z, 4.0).masked_fill(~sure, -1.0)
    best = [int(mine[told[mine].argmax()]) for label in range(lab.data.n_classes)
            if len(mine := test[labels[test] == label])]
    return tuple(Example(lab.data.images[i, 0].cpu().numpy(), int(labels[i]), i, z[i].cpu()) for i in best)


def usual_examples() -> tuple[Example, ...]:
    """`one_per_class` of the first split and its (cached) teacher."""
    lab = Splits.open("digits", seeds=1)
    return one_per_class(lab, teachers(lab, lab.pool))
