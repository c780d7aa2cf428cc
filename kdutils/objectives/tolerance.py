"""Teachers that leave room beside their first answer: tolerance, and its rivals smoothing and confidence penalty.

Source: Yang, Xie, Qiao, Yuille 2018 (arXiv 1805.05551). The first teacher of a lineage is trained with an extra term,
the top score difference. We know the term's idea from the abstract and its form from a third-party code, and not
which of two ways of adding it the paper prints: the additive one is the default here, the convex one is beside it.

The students of these teachers need no objective of their own. The paper's lambda * CE(labels) + (1 - lambda) *
CE(teacher) is `distillation` with alpha = 1 - lambda at temperature 1, up to a constant (the teacher's entropy).
"""

import math

import torch
from scipy.optimize import brentq
from torch import Tensor

from kdutils.errors import ParameterError, at_least, between, one_of, whole
from kdutils.objectives.classification import cross_entropy, label_smoothing
from kdutils.objectives.softmax import log_softmax, softmax

FORMS = ("additive", "convex")


def top_score_difference(logits: Tensor, ranks: int | Tensor) -> Tensor:
    """First probability less the mean of the 2nd .. K-th, mean over the batch: logits (..., B, C) -> (...,), 0 .. 1.

    ranks: K, a number or one per network (...,); 2 <= K <= C. The classes are ranked anew for each image at each call,
    by the network's own probabilities: a wrong class on top is held down like a right one. The sum is divided by
    K - 1, the number of its terms; a third-party code divides by K, which is another loss.
    Tensors of ranks are checked on the CPU only: nothing is read back from a GPU inside a training step.
    """
    ranked = softmax(logits).sort(-1, descending=True).values
    return (ranked * rank_weights(ranks, ranked)).sum(-1).mean(-1)


def confidence_penalty(logits: Tensor, labels: Tensor, beta: float | Tensor) -> Tensor:
    """Cross-entropy less beta times the entropy (nats) of the answers: (...,).

    Source: Pereyra et al. 2017 (arXiv 1701.06548), sec. 3. `beta` is a number or one per network, (...,).
    """
    return cross_entropy(logits, labels) - beta * _entropy(logits)


def tolerant_teacher(student, teacher, labels, knobs) -> Tensor:
    """Objective of every kind of first teacher: CE smoothed by epsilon + eta * TSD(ranks) - beta * entropy.

    Knobs that are not given count as 0, and with all of them 0 this is `hard_labels`, bit for bit. Each may be a tensor
    with one value per network, so that one population trains strict, tolerant, smoothed and penalised teachers.
    """
    logits = student["logits"]
    eta, epsilon, beta = (knobs.get(name, 0.0) for name in ("eta", "epsilon", "beta"))
    loss = label_smoothing(logits, labels, epsilon) if _asked(epsilon) else cross_entropy(logits, labels)
    if _asked(eta):
        loss = loss + eta * top_score_difference(logits, knobs["ranks"])
    return loss - beta * _entropy(logits) if _asked(beta) else loss


def tolerant_teacher_convex(student, teacher, labels, knobs) -> Tensor:
    """Objective: the other reading of the paper, eta * CE + (1 - eta) * TSD(ranks), 0 <= eta <= 1.

    Here a *smaller* eta is more tolerant and eta = 1 is plain cross-entropy: never mix values of the two forms.
    """
    logits, eta = student["logits"], knobs["eta"]
    if not torch.is_tensor(eta):
        between("eta of the convex form", eta, 0, 1)
    return eta * cross_entropy(logits, labels) + (1 - eta) * top_score_difference(logits, knobs["ranks"])


def threshold(ranks: int, form: str = "additive") -> float:
    """The eta at which the best answer stops being one-hot: above it (additive), or below it (convex).

    On the strict side of it the term only slows saturation, so its effect is that of a training that ends.
    """
    k = whole("ranks", ranks, 2)
    return {"additive": (k - 1) / k, "convex": k / (2 * k - 1)}[one_of("form", form, FORMS)]


def optimum(eta: float, ranks: int, form: str = "additive") -> float:
    """p* of the label in the answer that minimises the tolerant loss of one image, if its logits are free.

    (K - 1) / (eta K) for the additive form, eta / (1 - eta) (K - 1) / K for the convex one, both held between 1 / K
    (the label would no longer be first) and 1. The rest, 1 - p*, lies on ranks 2 .. K and nothing outside them. How
    the K - 1 share it does not matter to the loss, which sees their sum: descent from a start that is equal among
    them keeps it equal, (1 - p*) / (K - 1) each; a network ranks them by what it has learnt.
    """
    k = whole("ranks", ranks, 2)
    if one_of("form", form, FORMS) == "additive":
        at_least("eta", eta, 0)
        p = math.inf if eta == 0 else (k - 1) / (eta * k)
    else:
        between("eta of the convex form", eta, 0, 1)
        p = math.inf if eta == 1 else eta / (1 - eta) * (k - 1) / k
    return min(1.0, max(1 / k, p))


def smoothing_optimum(epsilon: float, classes: int) -> float:
    """p* of the label under label smoothing; the other classes share the rest equally."""
    c = whole("classes", classes, 2)
    return 1 - between("epsilon", epsilon, 0, 1) * (c - 1) / c


def penalty_optimum(beta: float, classes: int) -> float:
    """p* of the label under a confidence penalty; the others share the rest equally.

    Solves ln(p / q) = 1 / (beta p) with p + (C - 1) q = 1, in ln q: q itself is too small for a float at a small beta.
    """
    c = whole("classes", classes, 2)
    if at_least("beta", beta, 0) == 0:
        return 1.0

    def label(log_q: float) -> float:
        return 1 - (c - 1) * math.exp(log_q)

    def excess(log_q: float) -> float:  # falls with ln q, from a positive value to -C / beta at the uniform answer
        return math.log(label(log_q)) - log_q - 1 / (beta * label(log_q))

    uniform = -math.log(c)
    return label(brentq(excess, uniform - c / beta - 50, uniform))


def _asked(weight: float | Tensor) -> bool:
    """Whether a term takes part; a tensor is not looked into, its zeros leave their networks' losses as they are."""
    return torch.is_tensor(weight) or weight != 0


def _entropy(logits: Tensor) -> Tensor:
    """Mean entropy in nats: (..., B, C) -> (...,)."""
    log_p = log_softmax(logits)
    return -(log_p.exp() * log_p).sum(-1).mean(-1)


def rank_weights(ranks: int | Tensor, ranked: Tensor) -> Tensor:
    """1 for the first rank, -1 / (K - 1) for the 2nd .. K-th, 0 below: (C,), or (..., 1, C) for one K per network."""
    classes = ranked.shape[-1]
    if torch.is_tensor(ranks) and ranks.ndim:
        if ranks.device.type == "cpu" and bool(((ranks < 2) | (ranks > classes) | (ranks != ranks.round())).any()):
            raise ParameterError(f"ranks must be whole numbers between 2 and {classes} (the classes), "
                                 f"got {ranks.tolist()}.")
        ranks = ranks[..., None, None].to(ranked)
    else:
        ranks = whole("ranks", ranks.item() if torch.is_tensor(ranks) else ranks, 2, classes, why="the classes")
    position = torch.arange(classes, device=ranked.device, dtype=ranked.dtype)
    return (position == 0).to(ranked) - ((position > 0) & (position < ranks)).to(ranked) / (ranks - 1)
