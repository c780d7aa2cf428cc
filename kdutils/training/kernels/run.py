"""Training by kernels: the same generator of snapshots as the loop in torch, a few steps at a time.

The kernels know multi-layer perceptrons and little convolutional networks, on a CPU, with Adam as the loop has it, and
the objectives of `twins`. Members are shared out among as many threads as torch may use; each is computed alone, so
that neither its companions nor the number of threads change a bit of it.
"""

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kdutils.networks import MLP, ConvNet, Population
from kdutils.training.kernels import FILL, compiled, layout
from kdutils.training.kernels.twins import KNOBS, Twin, twin_of
from kdutils.training.knobs import Knobs
from kdutils.training.loop import SCHEDULES, Objective, Recipe, Snapshot, Task, batches

STEPS = 10  # at most, between two looks at the knobs

# Which kernel trains a network, what shape its examples have, and where that kernel's numbers lie.
NETWORKS = {MLP: ("mlp", lambda spec, shape: math.prod(shape) == spec.inputs, layout.mlp),
            ConvNet: ("convnet", lambda spec, shape: tuple(shape) == tuple(spec.shape), layout.convnet)}


def training(population: Population, task: Task, objective: Objective, knobs: Knobs, recipe: Recipe,
             every: int) -> Iterator[Snapshot] | None:
    """The training of these arguments by kernels; None where they do not know it or are not compiled yet."""
    twin = twin_of(objective)
    if twin is None or recipe.optimizer != "adam" or not _known(population, task, twin):
        return None
    kernel = compiled.kernel(NETWORKS[type(population.spec)][0])
    return kernel and _steps(kernel, population, task, objective, twin, knobs, recipe, every)


def _known(population: Population, task: Task, twin: Twin) -> bool:
    """Whether this is the kernels' kind of training. What is wrong with a task is left for the loop to say."""
    spec, values = population.spec, population.parameters.values()
    tensors = [task.inputs, task.labels, task.train, *values]
    if type(spec) not in NETWORKS or any(tensor.device.type != "cpu" for tensor in tensors):
        return False
    if any(value.dtype != torch.float32 for value in (task.inputs, *values)):
        return False
    classes = len(twin.sizes) or spec.classes
    _, fits, _ = NETWORKS[type(spec)]
    return (fits(spec, task.inputs.shape[1:]) and sum(twin.sizes) in (0, spec.classes)
            and _within(task.labels, classes) and _within(task.train, len(task.inputs))
            and (not twin.teacher or _teacher_known(task, spec.classes)))


def _teacher_known(task: Task, classes: int) -> bool:
    logits = (task.teacher or {}).get("logits")
    return (logits is not None and logits.dtype == torch.float32 and logits.device.type == "cpu"
            and logits.shape[2:] == (classes,)
            and (task.teacher_of is None or _within(task.teacher_of, len(logits))))


def _within(numbers: Tensor, end: int) -> bool:
    """Whether these are int64 from 0 to end - 1: a kernel reads memory where they point, without asking."""
    if numbers.dtype != torch.int64 or not numbers.numel():
        return False
    low, high = numbers.aminmax()
    return 0 <= int(low) and int(high) < end


def _steps(kernel: Callable, population: Population, task: Task, objective: Objective, twin: Twin, knobs: Knobs,
           recipe: Recipe, every: int) -> Iterator[Snapshot]:
    members, spec = len(population), population.spec
    optimizer = _member_by_member(population)
    asked = _Knobs(knobs, task, objective, spec.classes)
    order = batches(task.seeds, task.train.shape[1], recipe.batch)
    _, _, laid_out = NETWORKS[type(spec)]
    places, room = laid_out(spec, min(recipe.batch, task.train.shape[1]), len(optimizer[0]) // members)
    constant = _arrays(task, twin)
    losses = np.zeros(members)
    seconds, threads = 0.0, min(torch.get_num_threads(), members)
    parts = [members * i // threads for i in range(threads + 1)]
    works = [np.zeros(room, np.float32) for _ in range(threads)]
    yield Snapshot(0, recipe.steps, torch.full((members,), math.nan), seconds, population)
    start, done, last = time.perf_counter(), 0, 0
    with ThreadPoolExecutor(threads - 1, "kdutils-member") if threads > 1 else nullcontext() as pool:
        while done < recipe.steps:
            count = min(STEPS, every - done % every, recipe.steps - done)
            positions = np.stack([next(order).numpy() for _ in range(count)])
            rates = [recipe.lr * SCHEDULES[recipe.schedule]((done + i) / recipe.steps) for i in range(count)]
            arguments = (*places, *constant[:3], positions, *constant[3:], asked.read(positions[0]),
                         *_pace(rates, done), *optimizer, losses)
            others = [pool.submit(kernel, *part, *arguments, work)
                      for *part, work in zip(parts[1:], parts[2:], works[1:], strict=False)]
            kernel(0, parts[1], *arguments, works[0])
            for other in others:
                other.result()
            done += count
            if done % every == 0 or done == recipe.steps:
                seconds += time.perf_counter() - start
                mean = torch.from_numpy(losses / (done - last)).float()
                yield Snapshot(done, recipe.steps, mean, seconds, population)
                losses[:] = 0
                start, last = time.perf_counter(), done


def _pace(rates: list[float], done: int) -> tuple[np.ndarray, np.ndarray]:
    """Adam's steps behind `done` earlier ones: rate / (1 - 0.9^step) and 1 / sqrt(1 - 0.999^step), both (steps,)."""
    steps = np.arange(done + 1, done + len(rates) + 1)
    return np.array(rates) / (1 - 0.9**steps), (1 - 0.999**steps) ** -0.5


def _member_by_member(population: Population) -> tuple[np.ndarray, ...]:
    """Flat parameters, mean and mean square for Adam, a member's all together.

    The population's parameters become views of the first.
    """
    values = population.parameters
    flat = torch.cat([value.detach().flatten(1) for value in values.values()], 1)
    flat = F.pad(flat, (0, -flat.shape[1] % FILL))
    views, end = {}, 0
    for name, value in values.items():
        begin, end = end, end + value[0].numel()
        views[name] = flat[:, begin:end].unflatten(1, value.shape[1:]).requires_grad_()
    population.parameters = views
    return flat.view(-1).numpy(), np.zeros(flat.numel(), np.float32), np.zeros(flat.numel(), np.float32)


def _arrays(task: Task, twin: Twin) -> tuple:
    """What a kernel reads and never changes, but for the batch order: up to `images` before it, the rest behind it."""
    flat = task.inputs.detach().flatten(1)
    inputs = F.pad(flat, (0, -flat.shape[1] % FILL)).contiguous().view(-1).numpy()
    labels = task.labels.expand(1, -1) if task.labels.ndim == 1 else task.labels
    teacher = task.teacher["logits"].contiguous().view(-1) if twin.teacher else torch.zeros(0)
    which = torch.arange(len(task.seeds)) if task.teacher_of is None else task.teacher_of
    return (inputs, labels.numpy(), task.train.numpy(), teacher.detach().numpy(),
            (which * len(task.inputs)).numpy(), twin.kind, np.array(twin.sizes, np.int64))


class _Knobs:
    """The knobs as the kernels read them: (M, 7), those of KNOBS in their order, 0 for one that was not given.

    Whenever they have changed the objective itself is asked whether it can be computed with them, with its own words
    if it cannot.
    """

    def __init__(self, knobs: Knobs, task: Task, objective: Objective, classes: int):
        self._knobs, self._task, self._objective, self._classes = knobs, task, objective, classes
        self._seen, self._values = None, np.zeros((len(task.seeds), len(KNOBS)), np.float32)

    def read(self, position: np.ndarray) -> np.ndarray:
        """The values of this moment; position (M, batch) is of the batch with which the objective is asked."""
        values = self._knobs.read(len(self._values), torch.device("cpu"))
        if values is not self._seen:
            _, teacher, labels = self._task.batch(torch.from_numpy(position[:, :2]))
            with torch.no_grad():
                self._objective({"logits": torch.zeros(*labels.shape, self._classes)}, teacher, labels, values)
            for column, name in enumerate(KNOBS):
                self._values[:, column] = values.get(name, 0.0)
            self._seen = values
        return self._values
