"""Adam and SGD for a population: one flat buffer that holds the parameters of all its members."""

import torch
from torch import Tensor
from torch.optim.adam import adam

LINE = 16  # numbers in a cache line


class Flat:
    """Parameters {name: (M, ...)} that become views of one flat buffer, and their gradients views of another.

    All members' parameters lie in one tensor, so that a step is one pass over memory, whatever the number of layers.
    """

    def __init__(self, parameters: dict[str, Tensor]):
        flat = torch.cat([value.detach().reshape(-1) for value in parameters.values()])
        # Whole cache lines: Adam's kernel rounds the numbers of a last, broken one differently, and members that start
        # and learn alike would part.
        self.flat = torch.nn.functional.pad(flat, (0, -len(flat) % LINE))
        self.gradient = torch.zeros_like(self.flat)
        self.parameters = dict(zip(parameters, self._views(parameters.values()), strict=True))

    def _views(self, values) -> list[Tensor]:
        """Leaf tensors over the flat buffer, whose gradients accumulate in the flat gradient."""
        views, start = [], 0
        for value in values:
            part = slice(start, start := start + value.numel())
            leaf = self.flat[part].view(value.shape).requires_grad_()
            leaf.grad = self.gradient[part].view(value.shape)
            views.append(leaf)
        return views


class SGD(Flat):
    """Stochastic gradient descent with momentum and weight decay; the arithmetic is that of torch.optim.SGD.

    The decay is added to the gradient, biases included, before the momentum takes it up.
    """

    def __init__(self, parameters: dict[str, Tensor], lr: float, momentum: float = 0.9, weight_decay: float = 0.0):
        super().__init__(parameters)
        self.velocity = torch.zeros_like(self.flat)
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay

    def minimise(self, loss: Tensor, scale: float = 1.0) -> None:
        """One step down the gradient of the scalar `loss`; `scale` multiplies the learning rate (the schedule)."""
        self.gradient.zero_()
        loss.backward()
        with torch.no_grad():
            if self.weight_decay:
                self.gradient.add_(self.flat, alpha=self.weight_decay)
            self.velocity.mul_(self.momentum).add_(self.gradient)
            self.flat.sub_(self.velocity, alpha=self.lr * scale)


class Adam(Flat):
    """Adam (Kingma and Ba 2015) with torch's fused kernel; one learning rate per member if wanted.

    The kernel takes a single learning rate; `lr` may also be (M,), one per member, and then a step is seven operations.
    The arithmetic is that of torch.optim.Adam with its default betas and eps.
    """

    def __init__(self, parameters: dict[str, Tensor], lr: float | Tensor = 1e-2,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        super().__init__(parameters)
        self.mean, self.square = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
        self.betas, self.eps = betas, eps
        self.steps, self._steps = 0, torch.zeros((), device=self.flat.device)  # the kernel counts in a tensor
        self.lr = lr
        if torch.is_tensor(lr):
            each = torch.cat([lr.view(-1, *[1] * (value.ndim - 1)).expand_as(value).reshape(-1)
                              for value in parameters.values()])
            self.lr = torch.nn.functional.pad(each, (0, len(self.flat) - len(each)))

    def minimise(self, loss: Tensor, scale: float | Tensor = 1.0) -> None:
        """One step down the gradient of the scalar `loss`; `scale` multiplies the learning rate (the schedule)."""
        self.gradient.zero_()
        loss.backward()
        self.steps += 1  # not in a replayed graph: there the kernel's own count goes on
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
