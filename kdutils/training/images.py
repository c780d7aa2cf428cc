"""Training one image network: the course's loop for networks that fill a machine alone.

The same contract as `training.steps`: a generator of snapshots, objectives that are pure functions, knobs read at step
edges, nothing read back from the device inside a step. What is different: batch norm, SGD with momentum, augmentation,
and the switches that make it fast. With all switches off it is the plain reference.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kdutils.datasets import Dataset
from kdutils.datasets.augment import Augmentation, AugmentationSampler, Normalisation
from kdutils.errors import Named, ParameterError, at_least, between, one_of, positive, whole
from kdutils.training.image_step import GraphStep, Row, Step, wait_for
from kdutils.training.knobs import Knobs
from kdutils.training.loop import Objective, batches
from kdutils.training.switches import PLAIN, Speedups
from kdutils.training.views import CachedTeacher, Pictures, Teacher, to_device

BLOCK = 64  # steps whose random numbers are drawn, moved and shown to the teacher together


def in_steps(done: float) -> float:
    """A tenth at 62.5%, again at 75% and at 87.5%: epochs 150, 180 and 210 of the public benchmarks' 240."""
    return 0.1 ** sum(done >= edge for edge in (0.625, 0.75, 0.875))


def one_cycle(done: float) -> float:
    """Up in a straight line over the first 30%, then down to zero along a cosine (Smith and Topin 2019)."""
    return (0.04 + 0.96 * done / 0.3) if done < 0.3 else 0.5 * (1 + math.cos(math.pi * (done - 0.3) / 0.7))


# What the learning rate is multiplied with, given the part of the training that is done, 0 <= done < 1.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "step": in_steps,
    "one-cycle": one_cycle,
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
    "constant": lambda done: 1.0,
}


@dataclass(frozen=True)
class ImageRecipe:
    """How long and how fast: SGD with momentum and weight decay. The defaults are the public benchmarks' (RepDistiller,
    mdistiller): 240 epochs of batches of 64, 0.05, a tenth at epochs 150, 180 and 210.

    steps: instead of epochs, where it is given. The short last batch of an epoch is left out.
    """

    epochs: float = 240
    batch: int = 64
    lr: float = 0.05
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4
    schedule: str = "step"
    steps: int | None = None

    def __post_init__(self):
        positive("epochs", self.epochs)
        positive("lr", self.lr)
        between("momentum", self.momentum, 0, 1)
        at_least("weight decay", self.weight_decay, 0)
        one_of("schedule", self.schedule, SCHEDULES)
        object.__setattr__(self, "batch", whole("batch", self.batch, 2))  # batch norm needs two
        if self.steps is not None:
            object.__setattr__(self, "steps", whole("steps", self.steps, 1))
        if self.nesterov and not self.momentum:
            raise ParameterError(f"nesterov needs a momentum > 0, got {self.momentum!r}.")

    def per_epoch(self, images: int) -> int:
        """Steps of one epoch."""
        return images // min(self.batch, images)

    def total(self, images: int) -> int:
        """Steps of the whole training."""
        return self.steps or max(1, round(self.epochs * self.per_epoch(images)))


@dataclass(frozen=True, eq=False)
class ImageTask:
    """What one network is trained on.

    pictures: the training images. seed: of the batch order and the augmentation. labels (n,): others than the data's,
    for label noise. teacher: online or with kept answers; None without one. augmentation: the pictures' own crop and
    flip, and what else is done.
    """

    pictures: Pictures
    seed: int = 0
    teacher: Teacher | CachedTeacher | None = None
    labels: Tensor | None = None
    augmentation: Augmentation | None = None

    def __post_init__(self):
        whole("seed", self.seed, 0)
        if self.labels is not None and self.labels.shape != self.pictures.labels.shape:
            raise ParameterError(f"labels must be ({len(self.pictures)},), got {tuple(self.labels.shape)}.")
        how, has = self.augmentation or self.pictures.augmentation, self.pictures.augmentation
        if (how.pad, how.flip) != (has.pad, has.flip):
            raise ParameterError(f"these pictures were made for pad={has.pad}, flip={has.flip}; got pad={how.pad}, "
                                 f"flip={how.flip}.")
        if isinstance(self.teacher, CachedTeacher) and not how.finite:
            raise ParameterError("the teacher must be online with cutout, mixup or cutmix, which make a new picture "
                                 f"each time; got kept answers with {how}.")
        if isinstance(self.teacher, CachedTeacher) and self.teacher.pictures.fingerprint != self.pictures.fingerprint:
            raise ParameterError("kept answers must be to the pictures that are trained on, "
                                 f"{self.pictures.fingerprint}; got answers to {self.teacher.pictures.fingerprint}.")
        object.__setattr__(self, "augmentation", how)


@dataclass(frozen=True, eq=False)
class ImageSnapshot:
    """Where training stands.

    step of steps; loss (1,): mean since the last snapshot (NaN at step 0); seconds spent training, without what the
    consumer did and without the first steps; warm_up: the seconds of these, in which compilers and recorders work;
    images_per_second: over `seconds` (NaN before any). network: live, to be evaluated, not kept.
    """

    step: int
    steps: int
    loss: Tensor
    seconds: float
    warm_up: float
    images_per_second: float
    network: nn.Module


def image_steps(network: nn.Module, task: ImageTask, objective: Objective, knobs: Knobs | None = None,
                recipe: ImageRecipe | None = None, switches: Speedups = PLAIN, every: int | None = None,
                reads: tuple[str, ...] = ("logits",)) -> Iterator[ImageSnapshot]:
    """Train `network` in place; yields at step 0, every `every` steps (default: each epoch) and at the end.

    reads: the named features of the network that the objective asks for. Wrong arguments raise here, before the first
    snapshot is pulled; with features other than logits, a missing knob or teacher raises at the first step.
    """
    knobs, recipe = knobs or Knobs(), recipe or ImageRecipe()
    device = task.pictures.device
    switches.check(device)
    every = whole("every", every or recipe.per_epoch(len(task.pictures)), 1)
    parts = dict(network.named_children())
    for name in reads:
        one_of("feature", name, parts)
    if reads == ("logits",):
        rehearse(objective, parts["logits"].out_features, task.teacher is not None, knobs)
    return _image_steps(network, task, objective, knobs, recipe, switches, every, reads)


def rehearse(objective: Objective, classes: int, taught: bool, knobs: Knobs) -> None:
    """Asks the objective about two made-up images, so that what it misses is named in a sentence before any work."""
    outputs = {"logits": torch.zeros(2, classes)}
    teacher = Named("teacher output", outputs if taught else {})
    objective(outputs, teacher, torch.zeros(2, dtype=torch.int64), knobs.read(1, torch.device("cpu")))


def _image_steps(network, task, objective, knobs, recipe, switches, every, reads) -> Iterator[ImageSnapshot]:
    device, steps = task.pictures.device, recipe.total(len(task.pictures))
    switches.place(network, device)
    step = (GraphStep if switches.cuda_graphs else Step)(network, task, objective, recipe, switches, reads)
    rate, rows = SCHEDULES[recipe.schedule], prepared(task, recipe, steps)
    clock, images = Clock(device), min(recipe.batch, len(task.pictures))

    def snapshot(done: int, loss: Tensor) -> ImageSnapshot:
        timed = max(0, done - step.first) * images
        return ImageSnapshot(done, steps, loss, clock.seconds, clock.warm_up,
                             timed / clock.seconds if timed else math.nan, network)

    yield snapshot(0, torch.full((1,), math.nan, device=device))
    last = 0
    for done in range(1, steps + 1):
        with switches.set(), clock:
            if done == last + 1:
                network.train()  # a consumer may have evaluated it
            step(next(rows), recipe.lr * rate((done - 1) / steps), knobs.read(1, device))
            if done == step.first:
                clock.end_warm_up()
            if done % every and done < steps:
                continue
            loss = step.taken() / (done - last)
        last = done
        yield snapshot(done, loss)


class Clock:
    """Seconds of training, apart from those of the first steps; the device is waited for when it is read."""

    def __init__(self, device: torch.device):
        self.device, self.seconds, self.warm_up = device, 0.0, 0.0

    def __enter__(self):
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_):
        self.seconds += time.perf_counter() - self._start

    def end_warm_up(self) -> None:
        wait_for(self.device)
        now = time.perf_counter()
        self.warm_up, self.seconds, self._start = self.seconds + now - self._start, 0.0, now


def prepared(task: ImageTask, recipe: ImageRecipe, steps: int) -> Iterator[Row]:
    """What each step is about, drawn in blocks on the CPU, shown to the teacher, and sent to the device together."""
    n, device = len(task.pictures), task.pictures.device
    order = batches([task.seed], n, recipe.batch)
    dice = AugmentationSampler(task.augmentation, [task.seed], task.pictures.windows.shape[1:])
    while steps > 0:
        block = min(BLOCK, steps)
        index = torch.stack([next(order) for _ in range(block)])
        draws = dice.draw(block, index.shape[-1])
        if task.teacher is not None:
            task.teacher.prepare(index, draws.view)
        drawn = {"index": index} | {name: value for name, value in vars(draws).items() if value is not None}
        here = {name: to_device(value[:, 0], device) for name, value in drawn.items()}
        yield from ({name: value[number] for name, value in here.items()} for number in range(block))
        steps -= block


@torch.no_grad()
def image_logits(network: nn.Module, data: Dataset, index: Tensor, normalisation: Normalisation,
                 switches: Speedups = PLAIN, chunk: int = 500) -> Tensor:
    """Logits (n, C) of the images `index` as they are, in evaluation mode; the network's mode is given back."""
    device, was_training = data.images.device, network.training
    normalise = normalisation.on(device, data.shape[-1], switches.channels_last)
    network.eval()
    try:
        with switches.precision(device):
            return torch.cat([network(normalise(data.images[part])).float() for part in index.split(chunk)])
    finally:
        network.train(was_training)
