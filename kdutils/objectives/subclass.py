"""Teachers that divide each class into subclasses of their own making, and students that match those.

Source: Müller, Kornblith, Hinton 2020 (arXiv 2002.03936). The auxiliary loss is exactly that of the authors' code
(google-research/subclass_distillation, mnist_colab.ipynb, `negative_sampling_loss`); whether the paper prints the
division by S in the same place is not known to us.

Subclass logits (..., B, S) are blocked by class: `sizes` = (5, 5) means logits 0-4 belong to class 0, 5-9 to class 1,
and S = sum(sizes). A class has 1 to 20 subclasses, and classes may have unequal numbers of them.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from kdutils.errors import ParameterError, one_of, positive, whole
from kdutils.objectives.classification import cross_entropy
from kdutils.objectives.hinton import kd_loss
from kdutils.objectives.softmax import log_softmax, per_network

FORMS = ("contrastive", "entropy")
MAX_SUBCLASSES = 20
EPS = 1e-30


def class_logits(logits: Tensor, sizes: Sequence[int]) -> Tensor:
    """a_c = log sum exp z_k over the subclasses k of class c: (..., B, S) -> (..., B, C).

    softmax(a) gives each class the sum of its subclasses' softmax(z). The plain sum of the logits, as some codes have
    it, does not: it is another network.
    """
    return torch.stack([block.logsumexp(-1) for block in blocks(logits, sizes)], -1)


def subclass_auxiliary(logits: Tensor, t_aux: float | Tensor) -> Tensor:
    """The paper's auxiliary loss, which spreads a batch over the subclasses: (..., B, S) -> (...,), in -1/T_aux .. 0.

    v_i is `standardised` example i: per example, over all S subclasses of all classes, not over the batch. With
    c_ij = v_i . v_j / (T_aux S), the loss is

        1/n sum_i log sum_j exp(c_ij) - 1/T_aux - log n  =  1/n sum_i log( 1/n sum_j exp((r_ij - 1) / T_aux) )

    where r_ij is the correlation of the logits of examples i and j of the batch, i itself included. 0 if all examples
    look alike; the labels are not asked. Scaling or shifting an example's logits changes nothing, up to the 1e-9.
    t_aux: "usually less than 1" in the code; a number > 0 or one per network (...,).
    """
    v, t_aux = standardised(logits), auxiliary_temperature(t_aux, logits)
    exponents = v / (t_aux * logits.shape[-1]) @ v.transpose(-1, -2) - 1 / t_aux
    # No exponent is above 0 and each row has one that is 0: no maximum needs to be taken out.
    return exponents.exp().mean(-1).log().mean(-1)


def subclass_entropy(logits: Tensor, sizes: Sequence[int]) -> Tensor:
    """A bounded alternative to the paper's loss: (..., B, S) -> (...,), in -log(largest size) .. 0 (nats).

    With q = softmax inside a class's block, averaged over the batch with the class's own probability p(c | x) as the
    weight of each example (no gradient flows through the weights):

        sum_c p(c) ( -H(mean q) + mean H(q) ),    p(c) = mean of p(c | x) over the batch

    which is minus the information that an example gives on its subclass within its class: least if each example is
    sure of one subclass and all subclasses are used alike. Ours; after the regulariser -H(mean q) + 1/2 mean H(q) per
    class of cybertronai/hinton-problems (mnist-2x5-subclass). It is not the paper's loss.
    """
    _two_or_more(logits)
    log_p = log_softmax(class_logits(logits, sizes)).detach()
    loss = 0.0
    for block, log_weight in zip(blocks(logits, sizes), log_p.unbind(-1), strict=True):
        weight = log_weight.exp()
        share = weight.mean(-1)
        log_q = log_softmax(block)
        q = log_q.exp()
        # Held above 0, where the slope of the entropy has no end.
        mean = ((weight[..., None] * q).mean(-2) / share[..., None].clamp_min(EPS)).clamp_min(EPS)
        unsure = -(weight * (q * log_q).sum(-1)).mean(-1)
        loss = loss + unsure + share * (mean * mean.log()).sum(-1)
    return loss


def subclass_teacher(sizes: Sequence[int], form: str = "contrastive") -> Callable:
    """Objective of a teacher with subclasses: CE on the class logits + beta * auxiliary loss.

    form: "contrastive", the paper's loss with knobs beta and t_aux, or "entropy", ours with knob beta. With beta 0 in
    every network it is plain training of a larger head.
    """
    sizes, form = _sizes(sizes), one_of("form", form, FORMS)

    def objective(student, teacher, labels, knobs) -> Tensor:
        logits, beta = student["logits"], knobs["beta"]
        loss = cross_entropy(class_logits(logits, sizes), labels)
        if not torch.is_tensor(beta) and beta == 0:
            return loss
        extra = subclass_auxiliary(logits, knobs["t_aux"]) if form == "contrastive" else subclass_entropy(logits, sizes)
        return loss + beta * extra

    objective.made_by = subclass_teacher, sizes, form
    return objective


def subclass_distillation(sizes: Sequence[int]) -> Callable:
    """Objective of a student: alpha * kd_loss over the S subclasses + (1 - alpha) * CE on the class logits.

    The soft part has its T^2; labels are class labels, teacher["logits"] is S wide, knobs temperature and alpha.
    With alpha 0 it is hard labels with a larger head. The authors' code has a soft cross-entropy where we have KL:
    the same gradient.
    """
    sizes = _sizes(sizes)

    def objective(student, teacher, labels, knobs) -> Tensor:
        soft = kd_loss(student["logits"], teacher["logits"], knobs["temperature"])
        hard = cross_entropy(class_logits(student["logits"], sizes), labels)
        return knobs["alpha"] * soft + (1 - knobs["alpha"]) * hard

    objective.made_by = subclass_distillation, sizes
    return objective


def blocks(logits: Tensor, sizes: Sequence[int]) -> tuple[Tensor, ...]:
    """Each class's own logits, (..., B, s) for the s of `sizes`; their widths must add up to S."""
    sizes = _sizes(sizes)
    if sum(sizes) != logits.shape[-1]:
        raise ParameterError(f"sizes {sizes} are for {sum(sizes)} subclass logits, got {logits.shape[-1]}.")
    return logits.split(sizes, -1)


def standardised(logits: Tensor) -> Tensor:
    """Each example's logits less their mean, over the root of their biased variance + 1e-9: (..., B, S) -> the same."""
    _two_or_more(logits)
    if logits.shape[-1] < 2:
        raise ParameterError(f"the auxiliary loss needs at least 2 subclasses in all, got {logits.shape[-1]}.")
    return layer_norm(logits, logits.shape[-1:], eps=1e-9)


def auxiliary_temperature(t_aux: float | Tensor, logits: Tensor) -> float | Tensor:
    """T_aux > 0, made to broadcast against logits (..., B, S).

    A tensor is checked on the CPU only: nothing is read back from a GPU inside a training step.
    """
    if not torch.is_tensor(t_aux):
        return positive("t_aux", t_aux)
    if t_aux.device.type == "cpu" and not bool((t_aux > 0).all()):
        raise ParameterError(f"t_aux must be > 0 for every network, got {t_aux.tolist()}.")
    return per_network(t_aux, logits)


def _sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    if not len(sizes):
        raise ParameterError("sizes must name at least one class, got none.")
    return tuple(whole("subclasses of a class", size, 1, MAX_SUBCLASSES) for size in sizes)


def _two_or_more(logits: Tensor) -> None:
    if logits.shape[-2] < 2:
        raise ParameterError(f"the auxiliary loss compares examples: a batch must have at least 2, got "
                             f"{logits.shape[-2]}.")
