"""One training step of a population: run as it is, or recorded once as a CUDA graph and replayed."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from kdutils.networks import Outputs
from kdutils.training.graphs import aside, capture

Objective = Callable[[Outputs, Outputs, Tensor, Mapping], Tensor]


class Step:
    """One step. total (M,): the losses since somebody last set it to zero."""

    def __init__(self, population, task, objective: Objective, optimizer):
        self.population, self.task, self.objective, self.optimizer = population, task, objective, optimizer
        self.total = torch.zeros(len(population), device=population.device)

    def __call__(self, position: Tensor, scale: float | Tensor, values: Mapping) -> None:
        """Train on the batch at `position` (M, B); `scale` multiplies the learning rate, `values` are the knobs."""
        inputs, teacher, labels = self.task.batch(position)
        with torch.enable_grad():  # whatever the caller has switched off
            losses = self.objective(self.population.features(inputs), teacher, labels, values)
            loss = losses.sum()
        self.optimizer.minimise(loss, scale)
        self.total += losses.detach()


class GraphStep(Step):
    """A step that is run a few times, then recorded and replayed: two hundred launches become one.

    Knobs are constants of the recording: when one changes, a few steps run as they are and the step is recorded anew.
    The batch and the learning rate are values at fixed places. As with `Step`, the numbers are the loop's.
    """

    first = 4  # the step from which on it is recorded: allocations have settled, lazy libraries are there

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.stream = torch.cuda.Stream()
        self.replay, self.done, self.position, self.values = None, 0, None, None
        self.scale = torch.ones((), device=self.population.device)

    def __call__(self, position: Tensor, scale: float, values: Mapping) -> None:
        self.scale.fill_(scale)
        if self.position is None:
            self.position = position.clone()
        self.position.copy_(position)
        if values is not self.values:
            self.values, self.replay, self.done = values, None, 0
        self.done += 1
        if self.done < self.first:  # real steps, on the stream on which the recording will be made
            with aside(self.stream):
                self.work()
            return
        if self.replay is None:  # recording computes nothing: this step is the first replay
            self.replay = capture(self.work, self.stream)
        self.replay()

    def work(self) -> None:
        super().__call__(self.position, self.scale, self.values)
