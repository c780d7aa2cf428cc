"""Learning together instead of from a finished teacher: peers (DML) and branches (ONE).

Sources: Zhang et al. 2018 (arXiv 1706.00384), eq. 3-5; Lan, Zhu, Gong 2018 (arXiv 1806.04606), eq. 4-8.
Both run on the usual training loop: peers are members of one population that see the same batches, and branches are
one network of `networks.Branched`.
"""

from torch import Tensor

from kdutils.errors import ParameterError, one_of
from kdutils.objectives.classification import cross_entropy
from kdutils.objectives.hinton import kd_loss


def peer_divergence(logits: Tensor, temperature: float | Tensor = 1.0, over: str = "mean") -> Tensor:
    """KL(other peer || this peer), averaged over the other peers: (P, ..., B, C) -> (P, ...).

    Each peer takes the others' answers as they are: no gradient flows into them, and all peers are updated from the
    same forward pass. over: "mean", 1 / (P - 1) as in the paper's eq. 5 and our default, or "sum" as in the authors'
    code; for two peers they are the same. One joint loss without stopping the gradient, as one public code has it, is
    another method. The paper's T is 1.
    """
    one_of("over", over, ("mean", "sum"))
    peers = len(logits)
    if peers < 2:
        raise ParameterError(f"peers learn from each other: there must be at least 2, got {peers}.")
    others = logits.detach()
    loss = sum(kd_loss(logits, others.roll(shift, 0), temperature) for shift in range(1, peers))
    return loss / (peers - 1) if over == "mean" else loss


def mutual_loss(logits: Tensor, labels: Tensor, temperature: float | Tensor = 1.0, weight: float = 1.0) -> Tensor:
    """DML: cross-entropy + weight * `peer_divergence`: logits (P, ..., B, C), labels (..., B) -> (P, ...)."""
    labels = labels.expand(logits.shape[:-1])
    return cross_entropy(logits, labels) + weight * peer_divergence(logits, temperature)


def gated_ensemble(branches: Tensor, gate: Tensor) -> Tensor:
    """The branches' logits weighed by the softmax of the gate: (..., B, K, C), (..., B, K) -> (..., B, C)."""
    return (gate.softmax(-1)[..., None] * branches).sum(-2)


def branch_divergence(branches: Tensor, gate: Tensor, temperature: float | Tensor = 3.0) -> Tensor:
    """Sum over the branches of T^2 KL(ensemble || branch): (..., B, K, C), (..., B, K) -> (...,).

    The ensemble is a constant target here; what trains the gate is the ensemble's own cross-entropy. The authors add
    1e-7 to its probabilities, which we do not.
    """
    target = gated_ensemble(branches, gate).detach()
    return sum(kd_loss(branch, target, temperature) for branch in branches.unbind(-2))


def ensemble_loss(branches: Tensor, gate: Tensor, labels: Tensor, temperature: float | Tensor = 3.0,
                  weight: float | Tensor = 1.0) -> Tensor:
    """ONE: cross-entropy of every branch and of the gated ensemble + weight * `branch_divergence`: -> (...,).

    The authors raise the weight from 0 to 1 over the first 80 of 300 epochs (`ramp`).
    """
    hard = sum(cross_entropy(branch, labels) for branch in branches.unbind(-2))
    hard = hard + cross_entropy(gated_ensemble(branches, gate), labels)
    return hard + weight * branch_divergence(branches, gate, temperature)


