"""Splits, transfer sets and relabellings: each a pure function of data and a seed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from kdutils import rng
from kdutils.datasets.base import Dataset, Split
from kdutils.errors import ParameterError, between, positive, whole


def split(data: Dataset, seed: int, n_test: int = 597) -> Split:
    """Pool and test indices of one seed.

    Where the owners made a split, theirs is kept and only the pool's order depends on the seed; otherwise `n_test`
    images, drawn at random, are set aside. 597 of the 1,797 digits leave a pool of 1,200.
    """
    order = torch.randperm(len(data), generator=rng.generator(seed, "split")).to(data.labels.device)
    if data.test is not None:
        return Split(pool=order[~torch.isin(order, data.test)], test=data.test)
    whole("n_test", n_test, 1, len(data) - 1, why=f"{data.name} has {len(data)} images")
    return Split(pool=order[n_test:], test=order[:n_test])


def transfer_set(data: Dataset, pool: Tensor, n: int) -> Tensor:
    """The first `n` images of the pool, class by class in turn: int64 (n,) indices.

    Every class gives its k-th image before any class gives its (k+1)-th, so a set of any size is as balanced as
    the pool allows, and a smaller set is contained in a larger one. The pool's order carries the randomness.
    """
    n = whole("transfer images", n, 1, len(pool), why=f"the pool has {len(pool)} images")
    labels = data.labels[pool]
    same_before = torch.zeros_like(labels)
    for label in labels.unique():
        mine = labels == label
        same_before[mine] = torch.arange(int(mine.sum()), device=labels.device)
    return pool[torch.argsort(same_before, stable=True)[:n]]


def without_class(data: Dataset, indices: Tensor, label: int) -> Tensor:
    """`indices` less the images of one class (Hinton's omitted-digit experiment)."""
    whole("omitted class", label, 0, data.n_classes - 1)
    return indices[data.labels[indices] != label]


def superclasses(data: Dataset, groups: Mapping[str, Sequence[int]]) -> Dataset:
    """The same images under coarser labels; the old labels stay in `hidden`, their names in `hidden_classes`.

    `groups` maps each new class to the old ones it unites; every old class belongs to exactly one group.
    """
    members = [label for group in groups.values() for label in group]
    if sorted(members) != list(range(data.n_classes)):
        raise ParameterError(f"groups must name each of the classes 0..{data.n_classes - 1} once, got {members}.")
    new_label = torch.empty(data.n_classes, dtype=torch.int64, device=data.labels.device)
    for index, group in enumerate(groups.values()):
        new_label[list(group)] = index
    return replace(data, labels=new_label[data.labels], classes=tuple(groups), hidden=data.labels,
                   hidden_classes=data.classes)


def label_noise(labels: Tensor, rate: float, n_classes: int, seed: int) -> Tensor:
    """Labels of which a fraction `rate` is replaced by one of the other classes, uniformly (symmetric noise).

    Exactly round(rate * N) labels change, and each of them to a wrong class: the requested rate is the rate of
    wrong labels. Drawn once from the seed; the draw does not depend on the device.
    """
    between("label noise", rate, 0, 1)
    whole("n_classes", n_classes, 2)
    random = rng.generator(seed, "label noise")
    wrong = torch.randperm(len(labels), generator=random)[: round(rate * len(labels))]
    shift = torch.randint(1, n_classes, wrong.shape, generator=random)
    noisy = labels.cpu().clone()
    noisy[wrong] = (noisy[wrong] + shift) % n_classes
    return noisy.to(labels.device)


def wrong_share(rate: float, n_classes: int) -> float:
    """The share of wrong labels if a share `rate` is drawn anew from all classes, the true one among them.

    rate (1 - 1/C): 0.6 of ten classes makes 54% wrong. `label_noise` takes the share of wrong ones.
    """
    return between("label noise", rate, 0, 1) * (1 - 1 / whole("n_classes", n_classes, 2))


def power_law_counts(most: int, fewest: int, n_classes: int, gamma: float) -> tuple[int, ...]:
    """Images per class, n_c = a / (b + c^gamma) for c = 1..C, from `most` down to `fewest`; smaller gamma, more skew.

    a and b are such that the first class has `most` and the last `fewest`: the ratio is the same for every gamma, and
    the total is not. Source: CIFAR10Imbalanced of the study's lab (NeurAI-Lab/DoGo), which has 10^gamma written in for
    C^gamma; the two agree for ten classes.
    """
    whole("n_classes", n_classes, 2)
    whole("fewest", fewest, 1)
    whole("most", most, fewest + 1, why="more than the fewest")
    positive("gamma", gamma)
    b = (fewest * n_classes**gamma - most) / (most - fewest)
    return tuple(round(most * (1 + b) / (b + c**gamma)) for c in range(1, n_classes + 1))


def exponential_counts(most: int, fewest: int, n_classes: int) -> tuple[int, ...]:
    """Images per class that fall by the same factor from each class to the next, from `most` to `fewest`."""
    whole("n_classes", n_classes, 2)
    whole("fewest", fewest, 1)
    whole("most", most, fewest, why="at least the fewest")
    return tuple(round(most * (fewest / most) ** (c / (n_classes - 1))) for c in range(n_classes))


def long_tail(data: Dataset, pool: Tensor, counts: Sequence[int], first: int = 0) -> Tensor:
    """The first counts[k] images of the pool of class (first + k) mod C: int64 indices, class by class.

    first: the class with counts[0] images; another one for each seed, and no digit is rare in every run. A class with
    too few images in the pool is refused.
    """
    if len(counts) != data.n_classes:
        raise ParameterError(f"counts must name a number for each of {data.n_classes} classes, got {len(counts)}.")
    chosen = []
    for k, count in enumerate(counts):
        label = (first + k) % data.n_classes
        mine = pool[data.labels[pool] == label]
        chosen.append(mine[:whole(f"images of class {data.classes[label]}", count, 1, len(mine), why="the pool")])
    return torch.cat(chosen)
