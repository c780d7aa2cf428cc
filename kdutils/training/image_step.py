"""One training step of an image network: run as it is, or recorded once as a CUDA graph and replayed."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from kdutils.datasets.augment import Augmentation, cutmix, cutout, mixup
from kdutils.networks import features
from kdutils.training.graphs import aside, capture
from kdutils.training.loop import Objective
from kdutils.training.switches import Speedups

Row = Mapping[str, Tensor]  # one step's images (B,), views (B,) and, if there are mixtures, their draws


def wait_for(device: torch.device) -> None:
    """Until a GPU has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Step:
    """One training step. Everything it touches is made once and stays where it is, so that it can be recorded."""

    first = 0  # how many first steps are set apart by the clock

    def __init__(self, network: nn.Module, task, objective: Objective, recipe,
                 switches: Speedups, reads: tuple[str, ...]):
        device, width = task.pictures.device, task.pictures.windows.shape[-1]
        self.network, self.task, self.objective, self.switches, self.reads = network, task, objective, switches, reads
        self.normalise = task.pictures.normalisation.on(device, width, switches.channels_last)
        self.labels = task.pictures.labels if task.labels is None else task.labels.to(device)
        self.total = torch.zeros(1, device=device)
        self.optimizer = torch.optim.SGD(
            network.parameters(), self.rate(recipe.lr), recipe.momentum, weight_decay=recipe.weight_decay,
            nesterov=recipe.nesterov, fused=True if switches.fused or switches.cuda_graphs else None)
        self.loss_of = switches.ready(self.losses)
        self.first = max(self.first, int(switches.compiled))

    def rate(self, lr: float) -> float | Tensor:
        """The learning rate as the optimiser holds it."""
        return lr

    def __call__(self, row: Row, lr: float, values: Mapping) -> None:
        """Train on one batch; nothing is returned, nothing is read back."""
        self.optimizer.param_groups[0]["lr"] = lr
        self.work(row, values)

    def taken(self) -> Tensor:
        """The summed loss (1,) since the last call, when the device has got there."""
        wait_for(self.total.device)
        taken = self.total.clone()
        self.total.zero_()
        return taken

    def work(self, row: Row, values: Mapping) -> None:
        index, view = row["index"], row["view"]
        pixels = self.task.pictures.windows.take(index, view)
        change = mixing(self.task.augmentation, row)
        teacher = {} if self.task.teacher is None else self.task.teacher(index, view, pixels, change)
        labels = self.labels.index_select(0, index)
        mixture = (labels[row["partner"]], row["weight"]) if "weight" in row else None
        self.optimizer.zero_grad(set_to_none=True)
        with torch.enable_grad():  # whatever the caller has switched off
            loss = self.loss_of(change(self.normalise(pixels)), teacher, labels, mixture, dict(values))
            loss.sum().backward()
        self.optimizer.step()
        self.total += loss.detach()

    def losses(self, images: Tensor, teacher: Mapping, labels: Tensor, mixture: tuple[Tensor, Tensor] | None,
               values: Mapping) -> Tensor:
        """The objective's value of a batch, () or (1,), in single precision.

        mixture: the partners' labels (B,) and the weight () of the first labels; the objective is mixed alike.
        """
        with self.switches.precision(images.device):
            if self.reads == ("logits",):
                found = {"logits": self.network(images)}
            else:
                found = {name: value for name, value in features(self.network, images).items() if name in self.reads}
        student = {name: value.float() for name, value in found.items()}
        loss = self.objective(student, teacher, labels, values)
        if mixture is not None:
            others, weight = mixture
            loss = weight * loss + (1 - weight) * self.objective(student, teacher, others, values)
        return loss


class GraphStep(Step):
    """A step that is run a few times, then recorded as a CUDA graph and replayed: one launch instead of hundreds.

    Knobs are constants of the recording; when one changes, some steps run as they are (a compiler may have to work) and
    the step is recorded anew. The learning rate and the batch are values at fixed places.
    """

    first = 4

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.stream, self.replay, self.done, self.row, self.values = torch.cuda.Stream(), None, 0, None, None

    def rate(self, lr: float) -> Tensor:
        self.lr = torch.tensor(float(lr), device=self.task.pictures.device)
        return self.lr

    def __call__(self, row: Row, lr: float, values: Mapping) -> None:
        self.lr.fill_(lr)
        if self.row is None:
            self.row = {name: value.clone() for name, value in row.items()}
        for name, value in row.items():
            self.row[name].copy_(value)
        if values is not self.values:
            self.values, self.replay, self.done = values, None, 0
        self.done += 1
        if self.done < self.first:  # real steps, on the stream on which the recording will be made
            with aside(self.stream):
                self.work(self.row, values)
            return
        if self.replay is None:  # recording computes nothing: this step is the first replay
            self.optimizer.zero_grad(set_to_none=True)
            self.replay = capture(lambda: self.work(self.row, self.values), self.stream)
        self.replay()


def mixing(augmentation: Augmentation, row: Row) -> Callable[[Tensor], Tensor]:
    """What is done to normalised images of this step, for the student and its teacher alike."""
    def change(images: Tensor) -> Tensor:
        if "centre" in row:
            images = cutout(images, row["centre"], augmentation.cutout)
        if "box" in row:
            return cutmix(images, row["partner"], row["box"])
        return mixup(images, row["partner"], row["weight"]) if "weight" in row else images

    return change
