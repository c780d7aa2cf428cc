"""Training as a generator: pull for the next snapshot, stop pulling to pause, close to stop."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from kdutils import rng
from kdutils.datasets import take
from kdutils.errors import MOST_STEPS, Named, ParameterError, at_least, one_of, positive, whole
from kdutils.networks import Outputs, Population
from kdutils.training.knobs import Knobs
from kdutils.training.optimizers import SGD, Adam
from kdutils.training.step import GraphStep, Objective, Step

SCHEDULES: dict[str, Callable[[float], float]] = {
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
    "constant": lambda done: 1.0,
}
OPTIMIZERS: dict[str, Callable] = {
    "adam": lambda parameters, recipe: Adam(parameters, recipe.lr),
    "sgd": lambda parameters, recipe: SGD(parameters, recipe.lr, weight_decay=recipe.weight_decay),
}


@dataclass(frozen=True)
class Recipe:
    """How long and how fast: steps of `batch` images, Adam at `lr` (one number), "cosine" to zero or "constant".

    optimizer: "adam", or "sgd" with a momentum of 0.9 and the weight decay, which is SGD's alone.
    Budgets are steps, not epochs: 30 epochs of a 100-image set would be a few dozen steps and an untrained network.
    """

    steps: int = 600
    batch: int = 64
    lr: float = 1e-2
    schedule: str = "cosine"
    optimizer: str = "adam"
    weight_decay: float = 0.0

    def __post_init__(self):
        for name in ("steps", "batch"):  # 300.0, as a slider or a YAML file gives it, becomes 300
            object.__setattr__(self, name, whole(name, getattr(self, name), 1, MOST_STEPS))
        positive("lr", self.lr)
        one_of("schedule", self.schedule, SCHEDULES)
        one_of("optimizer", self.optimizer, OPTIMIZERS)
        at_least("weight decay", self.weight_decay, 0)
        if self.weight_decay and self.optimizer == "adam":
            raise ParameterError(f"weight decay must be 0 with adam (it is sgd's), got {self.weight_decay!r}.")


@dataclass(frozen=True, eq=False)
class Task:
    """What M networks are trained on.

    inputs:  float (N, c, h, w), shared by all.
    labels:  int64 (N,), or (M, N) where members see different labels (label noise); targets of a regression and labels
             that are distributions are float (N, d), shared by all.
    train:   int64 (M, n), the indices each member may draw from.
    seeds:   M integers; the batch order of a member depends on its own seed only.
    teacher: {name: (K, N, ...)}, outputs of K teachers for every input, computed once; None without a teacher.
    teacher_of: int64 (M,), which teacher each member has; None means teacher m for member m.
    """

    inputs: Tensor
    labels: Tensor
    train: Tensor
    seeds: Sequence[int]
    teacher: Mapping[str, Tensor] | None = None
    teacher_of: Tensor | None = None

    def __post_init__(self):
        members = len(self.seeds)
        if self.train.ndim != 2 or len(self.train) != members:
            raise ParameterError(f"train must be ({members}, n), a row per seed, got {tuple(self.train.shape)}.")
        targets = self.labels.is_floating_point() and self.labels.ndim == 2
        if not self._own_labels and self.labels.shape[:1 + (not targets)] != self.inputs.shape[:1]:
            raise ParameterError(f"labels must be ({len(self.inputs)},) or ({members}, {len(self.inputs)}), "
                                 f"got {tuple(self.labels.shape)}.")
        for name, outputs in (self.teacher or {}).items():
            if outputs.shape[1] != len(self.inputs) or (self.teacher_of is None and len(outputs) != members):
                raise ParameterError(f"teacher {name!r} must be (teachers, {len(self.inputs)}, ...) for {members} "
                                     f"members, got {tuple(outputs.shape)}.")

    def batch(self, position: Tensor) -> tuple[Tensor, Outputs, Tensor]:
        """At positions (M, B) of `train`: inputs (M, B, c, h, w), teacher outputs {name: (M, B, ...)}, labels (M, B),
        or (M, B, d) where they are targets."""
        index = self.train.gather(1, position)
        labels = self.labels.gather(1, index) if self._own_labels else take(self.labels, index)
        outputs = {name: self._rows(output, index) for name, output in (self.teacher or {}).items()}
        return take(self.inputs, index), Named("teacher output", outputs), labels

    @property
    def _own_labels(self) -> bool:
        """Whether each member sees labels of its own: (M, N) whole numbers; targets (N, d) are not."""
        return self.labels.shape == (len(self.train), len(self.inputs)) and not self.labels.is_floating_point()

    def _rows(self, outputs: Tensor, index: Tensor) -> Tensor:
        return take(outputs.flatten(0, 1), index + self._first_row)

    @cached_property
    def _first_row(self) -> Tensor:
        """(M, 1): where each member's teacher begins among the rows of all teachers."""
        device = self.train.device
        which = torch.arange(len(self.train), device=device) if self.teacher_of is None else self.teacher_of
        return which[:, None] * len(self.inputs)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Where training stands.

    step of steps; loss (M,): each member's mean since the last snapshot (NaN at step 0); seconds spent training,
    without what the consumer did between snapshots; population: the live members, to be evaluated, not kept.
    """

    step: int
    steps: int
    loss: Tensor
    seconds: float
    population: Population


def train(population: Population, task: Task, objective: Objective, knobs: Knobs | None = None,
          recipe: Recipe | None = None, every: int = 20, graph: bool = False) -> Iterator[Snapshot]:
    """Train `population` in place; yields at step 0, every `every` steps, and at the end.

    graph: on a GPU and with Adam, record a step as a CUDA graph and replay it.

    Nothing is read back from the device inside a step. Knobs are read at step edges, by the compiled kernels that
    train small networks on a CPU every 10 steps. Wrong arguments raise here, before the first snapshot is pulled.
    """
    from kdutils.training.kernels import run  # which builds on this file

    knobs, recipe = knobs or Knobs(), recipe or Recipe()
    whole("every", every, 1)
    if len(population) != len(task.seeds):
        raise ParameterError(f"the task is for {len(task.seeds)} networks, the population has {len(population)}.")
    knobs.read(len(population), population.device)
    arguments = population, task, objective, knobs, recipe, every
    if graph and (population.device.type != "cuda" or recipe.optimizer != "adam"):
        raise ParameterError(f"graph needs a CUDA device and adam, got {population.device} and {recipe.optimizer}.")
    return run.training(*arguments) or _steps(*arguments, graph)


def _steps(population, task, objective, knobs, recipe, every, graph) -> Iterator[Snapshot]:
    members, device = len(population), population.device
    optimizer = OPTIMIZERS[recipe.optimizer](population.parameters, recipe)
    population.parameters = optimizer.parameters
    order = batches(task.seeds, task.train.shape[1], recipe.batch, device)
    take_step = (GraphStep if graph else Step)(population, task, objective, optimizer)
    seconds = 0.0
    yield Snapshot(0, recipe.steps, torch.full((members,), math.nan, device=device), seconds, population)
    start, last = time.perf_counter(), 0
    for step in range(1, recipe.steps + 1):
        take_step(next(order), SCHEDULES[recipe.schedule]((step - 1) / recipe.steps), knobs.read(members, device))
        if step % every == 0 or step == recipe.steps:
            seconds += time.perf_counter() - start
            yield Snapshot(step, recipe.steps, take_step.total / (step - last), seconds, population)
            take_step.total.zero_()
            start, last = time.perf_counter(), step


def fit(population: Population, task: Task, objective: Objective, knobs: Knobs | None = None,
        recipe: Recipe | None = None, every: int | None = None) -> list[Snapshot]:
    """Train `population` in place to the end, blocking; the snapshots, by default those of the first and last step."""
    recipe = recipe or Recipe()
    return list(train(population, task, objective, knobs, recipe, every or recipe.steps))


def batches(seeds: Sequence[int], n: int, batch: int, device: torch.device | str = "cpu") -> Iterator[Tensor]:
    """Batch positions (M, min(batch, n)) in 0..n-1 without end: each epoch a new order, a short last batch dropped.

    The order of a member is a function of its seed, n and batch alone; members with one seed share it.
    """
    whole("transfer images", n, 1)
    batch = min(batch, n)
    per_epoch = n // batch
    epochs = max(1, 64 // per_epoch)  # drawn in blocks: one sort instead of 64
    unique = list(dict.fromkeys(seeds))
    row = [unique.index(seed) for seed in seeds]
    random = [rng.generator(seed, "order") for seed in unique]
    while True:
        # NumPy: torch would wake its threads for so little, and they would keep the cores from who trains.
        orders = ranking(np.stack([torch.rand(epochs, n, generator=one).numpy() for one in random]))
        block = orders[:, :, : per_epoch * batch].reshape(len(unique), epochs * per_epoch, batch)
        yield from torch.from_numpy(block[row]).to(device).unbind(1)


def ranking(values: np.ndarray) -> np.ndarray:
    """argsort of float32 >= 0 along the last axis, equal values in their order: torch's stable one, five times as fast.

    That is a twentieth of a whole run of notebook 01 with the kernels, 6.3 s instead of 6.6. A value's bits, which
    order such numbers, and its place make one integer; NumPy sorts integers without branches.
    """
    keys = (values.view(np.int32).astype(np.int64) << 32) | np.arange(values.shape[-1])
    keys.sort(-1)
    return keys & 0xFFFFFFFF
