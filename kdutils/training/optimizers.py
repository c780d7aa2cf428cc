"""Adam for a population: one flat buffer, one learning rate per member if wanted."""

import torch
from torch import Tensor
from torch.optim.adam import adam

LINE = 16  # numbers in a cache line


class Adam:
    """Adam (Kingma and Ba 2015) on parameters {name: (M, ...)}, which become views of one flat buffer.

    All members' parameters lie in one tensor, so that a step is one pass over memory by torch's fused kernel, whatever
    the number of layers. The kernel takes a single learning rate; `lr` may also be (M,), one per member, and then a
    step is seven operations. The arithmetic is that of torch.optim.Adam with its default betas and eps.
    """

    def __init__(self, parameters: dict[str, Tensor], lr: float | Tensor = 1e-2,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        flat = torch.cat([value.detach().reshape(-1) for value in parameters.values()])
        # Whole cache lines: the kernel rounds the numbers of a last, broken one differently, and members that start
        # and learn alike would part.
        self.flat = torch.nn.functional.pad(flat, (0, -len(flat) % LINE))
        self.gradient = torch.zeros_like(self.flat)
        self.mean, self.square = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
        self.betas, self.eps = betas, eps
        self.steps, self._steps = 0, torch.zeros((), device=self.flat.device)  # the kernel counts in a tensor
        self.parameters = dict(zip(parameters, self._views(parameters.values()), strict=True))
        self.lr = lr
        if torch.is_tensor(lr):
            each = [lr.view(-1, *[1] * (value.ndim - 1)).expand_as(value).reshape(-1) for value in parameters.values()]
            self.lr = torch.nn.functional.pad(torch.cat(each), (0, len(self.flat) - len(flat)))

    def minimise(self, loss: Tensor, scale: float = 1.0) -> None:
        """One step down the gradient of the scalar `loss`; `scale` multiplies the learning rate (the schedule)."""
        self.gradient.zero_()
        loss.backward()
        self.steps += 1
        if torch.is_tensor(self.lr):
            self._step(scale)
        else:
            adam([self.flat], [self.gradient], [self.mean], [self.square], [], [self._steps], fused=True,
                 lr=self.lr * scale, beta1=self.betas[0], beta2=self.betas[1], eps=self.eps, weight_decay=0.0,
                 amsgrad=False, maximize=False)

    def _step(self, scale: float) -> None:
        (b1, b2), t = self.betas, self.steps
        self.mean.lerp_(self.gradient, 1 - b1)
        self.square.mul_(b2).addcmul_(self.gradient, self.gradient, value=1 - b2)
        root = self.square.sqrt().mul_((1 - b2**t) ** -0.5).add_(self.eps)
        self.flat.sub_(self.mean.div(root).mul_(self.lr).mul_(scale / (1 - b1**t)))

    def _views(self, values) -> list[Tensor]:
        """Leaf tensors over the flat buffer, whose gradients accumulate in the flat gradient."""
        views, start = [], 0
        for value in values:
            part = slice(start, start := start + value.numel())
            leaf = self.flat[part].view(value.shape).requires_grad_()
            leaf.grad = self.gradient[part].view(value.shape)
            views.append(leaf)
        return views
