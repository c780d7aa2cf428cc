"""Boundary-supporting samples: pictures pushed just across the teacher's decision boundary (BSS).

Source: Heo, Lee, Yun, Choi 2019 (arXiv 1805.05532), sec. 3; constants of the authors' code (bhheo/BSS_distillation).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from kdutils.errors import positive, whole
from kdutils.objectives.softmax import log_softmax, softmax


def other_class(logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """A class other than the first, drawn by the teacher's probabilities: logits (..., B, C) -> int64 (..., B).

    What is almost impossible for the teacher is almost never drawn.
    """
    without = logits.scatter(-1, logits.argmax(-1, keepdim=True), -torch.inf)
    p = softmax(without)
    drawn = torch.multinomial(p.flatten(0, -2).cpu(), 1, generator=generator)
    return drawn.view(p.shape[:-1]).to(logits.device)


def attack(teacher: Callable[[Tensor], Tensor], images: Tensor, target: Tensor, steps: int = 10, size: float = 0.3,
           low: float = 0.0, high: float = 1.0) -> tuple[Tensor, Tensor]:
    """Push images towards class `target` until the teacher's answer changes: -> images, and bool (..., B).

    teacher: images (..., B, c, h, w) -> logits (..., B, C); target: int64 (..., B). With base = the teacher's first
    class, each step moves an image that is still inside by size (z_base - z_target + 1e-4) along the gradient of
    z_target - z_base, of length one, and clips it to low .. high (the pixel range). So a step is as long as the answer
    is far from the boundary, and an image stops just behind it. The second value is True where the answer changed.
    KD-Zoo's BSS takes probabilities for logits and crosses less often. Source: sec. 3.2; 10 steps of 0.3 are the
    authors'.
    """
    whole("steps", steps, 1)
    positive("size", size)
    x = images.detach().clone()
    with torch.no_grad():
        base = teacher(x).argmax(-1)
    with torch.enable_grad():
        for _ in range(steps):
            x.requires_grad_()
            z = teacher(x)
            lead = (z.gather(-1, base[..., None]) - z.gather(-1, target[..., None])).squeeze(-1)
            gradient, = torch.autograd.grad(-lead.sum(), x)
            inside = z.argmax(-1) == base
            length = gradient.flatten(-3).norm(dim=-1).clamp_min(1e-12)
            stride = size * inside * (lead.detach() + 1e-4) / length
            x = (x.detach() + stride[..., None, None, None] * gradient).clamp(low, high)
    with torch.no_grad():
        return x, teacher(x).argmax(-1) != base


def boundary_loss(student: Tensor, teacher: Tensor, usable: Tensor, temperature: float | Tensor = 3.0) -> Tensor:
    """Soft cross-entropy on boundary samples, mean over the usable ones: logits (..., B, C), bool (..., B) -> (...,).

    No T^2, as in the authors' code. usable: base pictures that teacher and student both get right; ours also asks
    that the attack crossed. With none of them the loss is 0. The authors keep the 64 on which the two differ most; we
    keep all of a small batch.
    """
    soft = log_softmax(teacher, temperature).exp()
    each = -(soft * log_softmax(student, temperature)).sum(-1)
    return torch.where(usable, each, 0.0).sum(-1) / usable.sum(-1).clamp_min(1)


def soft_target_weight(done: float) -> float:
    """Weight of the clean pictures' soft targets, after a share `done` of the training: 4 falling to 1."""
    return 1 + 3 * (1 - done)


def boundary_weight(done: float) -> float:
    """Weight of the boundary samples, after a share `done` of the training: 2 falling to 0 for the last quarter."""
    return max(2 * (1 - 4 / 3 * done), 0.0)
