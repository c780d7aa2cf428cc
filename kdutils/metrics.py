"""What is measured: functions of logits (..., N, C) and labels (..., N) or (N,), one value per network (...,)."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata
from torch import Tensor

from kdutils.errors import ParameterError, between, whole
from kdutils.objectives import log_softmax, softmax


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Fraction of images whose largest logit is the label's, 0..1."""
    return (logits.argmax(-1) == labels).float().mean(-1)


def recall(logits: Tensor, labels: Tensor, label: int) -> Tensor:
    """Fraction of the images of one class that are recognised, 0..1; NaN where the class does not occur."""
    mine = labels == label
    return ((logits.argmax(-1) == label) & mine).sum(-1) / mine.sum(-1)


def nll(logits: Tensor, labels: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
    """Mean negative log-likelihood of the labels, in nats."""
    index = labels.expand(logits.shape[:-1])[..., None]
    return -log_softmax(logits, temperature).gather(-1, index).squeeze(-1).mean(-1)


def auc(logits: Tensor, labels: Tensor) -> Tensor:
    """Probability that a random example of class 1 is scored above one of class 0, ties half: (..., N, 2) -> (...,).

    The area under the ROC curve, 0..1, from the ranks of the scores (SciPy's midranks); float64. NaN where the labels
    (N,) or (..., N) have one class only.
    """
    score = (logits[..., 1] - logits[..., 0]).cpu().numpy()
    one = labels.expand(score.shape).cpu().numpy() == 1
    ones, all_of_them = one.sum(-1), score.shape[-1]
    ranks = np.where(one, rankdata(score, axis=-1), 0).sum(-1) - ones * (ones + 1) / 2
    pairs = np.asarray(ones * (all_of_them - ones), float)
    return torch.from_numpy(np.divide(ranks, pairs, out=np.full_like(pairs, np.nan), where=pairs > 0))


def ece(logits: Tensor, labels: Tensor, bins: int = 15) -> Tensor:
    """Expected calibration error with equal-width bins (Guo et al. 2017, eq. 3), 0..1."""
    whole("bins", bins, 1)
    confidence, guess = softmax(logits).max(-1)
    gap = (guess == labels).to(confidence.dtype) - confidence
    bin_of = (confidence * bins).ceil().long().clamp(1, bins) - 1
    sums = torch.zeros(*gap.shape[:-1], bins, dtype=gap.dtype, device=gap.device).scatter_add(-1, bin_of, gap)
    return sums.abs().sum(-1) / gap.shape[-1]


def entropy(logits: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
    """Entropy of softmax(z / T) of each image, in bits: (..., N, C) -> (..., N)."""
    log_p = log_softmax(logits, temperature)
    return -(log_p.exp() * log_p).sum(-1) / torch.log(torch.tensor(2.0))


def mass_by_rank(logits: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
    """Mean probability of the first, second, ... class of each image: (..., N, C) -> (..., C), summing to 1."""
    return softmax(logits, temperature).sort(-1, descending=True).values.mean(-2)


def mass_in_ranks(logits: Tensor, ranks: int) -> Tensor:
    """Mean probability of rank 1, of ranks 2 .. K, and of the rest: (..., N, C) -> (..., 3), summing to 1."""
    classes = logits.shape[-1]
    whole("ranks", ranks, 2, classes, why="the classes")
    return torch.stack([part.sum(-1) for part in mass_by_rank(logits).split([1, ranks - 1, classes - ranks], -1)], -1)


def mass_inside_groups(logits: Tensor, labels: Tensor, groups: Sequence[Sequence[int]], ranks: int) -> Tensor:
    """Share of the mass of ranks 2 .. K that lies on classes of the label's group, 0..1: (..., N, C) -> (...,).

    Of all secondary mass of all images together; the label's own mass is left out where it is not first. Images whose
    label is alone in its group are left out too. The measure is ours: the paper's was not available to us.
    """
    classes = logits.shape[-1]
    whole("ranks", ranks, 2, classes, why="the classes")
    group_of = group_index(groups, classes).to(logits.device)
    p, which = softmax(logits).sort(-1, descending=True)
    of_label = labels.expand(logits.shape[:-1])[..., None]
    counted = (group_of.bincount()[group_of] > 1)[of_label] & (which != of_label)
    secondary = (p * counted)[..., 1:ranks]
    inside = secondary * (group_of[which] == group_of[of_label])[..., 1:ranks]
    return inside.sum((-1, -2)) / secondary.sum((-1, -2))


def group_index(groups: Sequence[Sequence[int]], classes: int) -> Tensor:
    """Which group each class belongs to, int64 (C,); ParameterError unless each class is named once."""
    if sorted(label for group in groups for label in group) != list(range(classes)):
        raise ParameterError(f"groups must name each of the classes 0..{classes - 1} once, got {list(groups)}.")
    index = torch.empty(classes, dtype=torch.int64)
    for number, group in enumerate(groups):
        index[list(group)] = number
    return index


def bias_corrected(logits: Tensor, label: int, rate: float = 0.1) -> Tensor:
    """Logits (..., N, C) with one class's logit shifted until a fraction `rate` of the images is predicted as it.

    Uses no labels, only the class's expected frequency. Source: Hinton et al. 2015, sec. 3, who raise the bias of the
    omitted digit (they choose it to optimise test accuracy; a known frequency is our label-free choice).
    """
    between("rate", rate, 0, 1)
    others = logits.clone()
    others[..., label] = -torch.inf
    lacking = others.amax(-1) - logits[..., label]  # (..., N): the shift at which an image becomes `label`
    shift = lacking.quantile(rate, dim=-1, keepdim=True)
    shifted = logits.clone()
    shifted[..., label] += shift
    return shifted


# ---- classes that a network found by itself, against classes it was never shown ----------------------------------

def contingency(found: Tensor, truth: Tensor) -> np.ndarray:
    """How many examples have found class k and true class c: (N,), (N,) -> int64 (K, C), labels from 0 up."""
    k, c = int(found.max()) + 1, int(truth.max()) + 1
    return torch.bincount(found * c + truth, minlength=k * c).view(k, c).cpu().numpy()


def hungarian_accuracy(found: Tensor, truth: Tensor) -> float:
    """Share of examples that are right under the best one-to-one naming of found classes by true ones, 0..1.

    Each true class names at most one found class: if fewer classes are found than there are, the rest count as wrong,
    and so do the examples of found classes left without a name. Found by SciPy's linear_sum_assignment.
    """
    table = contingency(found, truth)
    return float(table[linear_sum_assignment(table, maximize=True)].sum() / table.sum())


def purity(found: Tensor, truth: Tensor) -> float:
    """Share of examples that are right if each found class is named by its most frequent true class, 0..1.

    Several found classes may have one name, so more classes are never worse: compare at equal numbers only.
    """
    table = contingency(found, truth)
    return float(table.max(1).sum() / table.sum())


def agreement(found: Tensor, truth: Tensor) -> dict[str, float]:
    """Hungarian accuracy and purity (0..1), NMI (0..1, arithmetic mean) and ARI (0 by chance, at most 1).

    found: int64 (N,), the class that each example was given; truth: int64 (N,). NMI and ARI are scikit-learn's.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score  # most of a second, and only here

    f, t = found.cpu().numpy(), truth.cpu().numpy()
    return {"hungarian": hungarian_accuracy(found, truth), "purity": purity(found, truth),
            "nmi": float(normalized_mutual_info_score(t, f)), "ari": float(adjusted_rand_score(t, f))}


def classes_used(found: Tensor, share: float = 0.01) -> int:
    """How many found classes hold at least `share` of the examples (N,): 1% unless said otherwise."""
    between("share", share, 0, 1)
    counts = found.bincount()
    return int(((counts > 0) & (counts >= share * found.numel())).sum())
