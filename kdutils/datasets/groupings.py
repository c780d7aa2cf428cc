"""Coarser labels with a name: what a subclass teacher is told, while the finer classes stay hidden."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kdutils.datasets import cifar


@dataclass(frozen=True)
class Grouping:
    """Which data set, and which of its classes each coarser class unites."""

    data: str
    groups: Mapping[str, Sequence[int]]


_HALVES = {"0-4": range(5), "5-9": range(5, 10)}

GROUPINGS = {
    "digits-2x5": Grouping("digits", _HALVES),
    "mnist-2x5": Grouping("mnist", _HALVES),
    # T-shirt, pullover, dress, coat and shirt against trouser, sandal, sneaker, bag and ankle boot.
    "fashion-2": Grouping("fashion-mnist", {"tops and dresses": (0, 2, 3, 4, 6),
                                            "trousers, shoes and bags": (1, 5, 7, 8, 9)}),
    "cifar-10-2x5": Grouping("cifar-10", {"airplane to deer": range(5), "dog to truck": range(5, 10)}),
    "cifar-100-coarse": Grouping("cifar-100", {name: tuple(map(cifar.HUNDRED.index, group))
                                               for name, group in cifar.COARSE.items()}),
}
