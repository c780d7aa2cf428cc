"""The authors' own demonstration of subclass distillation: MNIST digits 0-4 against 5-9, with its published settings.

Source: google-research/google-research, subclass_distillation/mnist_colab.ipynb (2021), its settings and its outputs: a
small convolutional teacher with dropout, 5 subclasses per class, beta = T_aux = 1; students 784-784 with T = 4 and
alpha = 1/2; batches of 256, 12 epochs, Adam at 1e-3. What is not among the published settings is Keras's default here:
unpadded convolutions, Glorot's start, Adam's epsilon of 1e-7. MNIST has to be fetched (`kdutils data get mnist`).
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kdutils import metrics, rng
from kdutils.cohorts import collect
from kdutils.datasets import Dataset, grouped
from kdutils.errors import positive, sound, whole
from kdutils.lessons.subclass_distillation.teachers import enough_of_each
from kdutils.objectives import class_logits, subclass_distillation, subclass_teacher
from kdutils.objectives.subclass import MAX_SUBCLASSES
from kdutils.results import Results
from kdutils.training import check_knob

# Superclass accuracy (percent) on the test images after the last epoch, one run, as printed in the authors' notebook.
PUBLISHED = {"teacher": 99.35, "hard labels": 98.53, "two-class": 98.72, "subclass": 99.01}


@dataclass(frozen=True)
class SubclassMnist:
    """The recipe of the authors' own demonstration."""

    seeds: int = 5  # whole repetitions
    data: str = "mnist-2x5"  # two classes of five digits each
    subclasses: int = 5  # s per class
    beta: float = 1.0  # weight of the teacher's auxiliary loss
    t_aux: float = 1.0  # its temperature
    alpha: float = 0.5  # weight of the soft targets; 1 - alpha on the labels
    temperature: float = 4.0  # of the distilled students
    epochs: int = 12  # of every network; the rest of an epoch is dropped
    batch: int = 256  # images a step
    lr: float = 1e-3  # Adam's
    train_images: int | None = None  # of the 60,000; None for all
    seed: int = 0  # the first of the seeds
    device: str = "cpu"  # of torch

    def __post_init__(self):
        sound(self)
        for name in ("seeds", "epochs"):
            whole(name, getattr(self, name), 1)
        whole("batch", self.batch, 2)
        whole("subclasses of a class", self.subclasses, 1, MAX_SUBCLASSES)
        for name in ("beta", "t_aux", "temperature", "alpha"):
            check_knob(name, getattr(self, name))
        positive("lr", self.lr)


DEFAULT = SubclassMnist()
SMOKE = SubclassMnist(seeds=1, epochs=1, train_images=1024)


def prepare(params: SubclassMnist) -> tuple[Dataset, Tensor]:
    """The data and the training indices; refuses what cannot be run before anything is trained."""
    data = grouped(params.data, params.device)
    train = torch.ones(len(data), dtype=torch.bool, device=data.labels.device)
    train[data.test] = False
    train = train.nonzero()[:, 0][:params.train_images]
    whole("batch", params.batch, 2, len(train), why="the training images")
    enough_of_each(data.labels[train], data.n_classes, params.subclasses)
    return data, train


def run(params: SubclassMnist, report: Callable[[str], None] = lambda line: None,
        keep: Callable[[Results], None] = lambda results: None) -> Results:
    """A row per network, epoch and seed: method, epoch, seed, accuracy (superclasses, percent); of the teacher also its
    agreement with the digits: hungarian, purity, nmi, ari (times 100) and used.

    method is "teacher", "hard labels" and "two-class" (2 outputs), "subclass" and "hard labels, larger head" (as many
    outputs as subclasses; the latter is our control). The two-class student hears the class probabilities of the same
    teacher, as in the demonstration. `keep` is called with the results so far when a seed is finished.
    """
    start = time.perf_counter()
    data, train = prepare(params)

    def groups() -> Iterator[list[dict]]:
        for seed in range(params.seed, params.seed + params.seeds):
            rows = []
            for row in _seed_rows(data, train, seed, params):
                report(f"seed {seed}, {row['method']}, epoch {row['epoch']}: {row['accuracy']:.2f}")
                rows.append(row)
            yield rows

    return collect(groups(), params, start, report, keep)


def _seed_rows(data: Dataset, train: Tensor, seed: int, params: SubclassMnist) -> Iterator[dict]:
    sizes, test = (params.subclasses,) * data.n_classes, data.test
    teacher = demo_teacher(data.shape, sum(sizes), seed, params.device)
    knobs = {"beta": params.beta, "t_aux": params.t_aux, "alpha": params.alpha, "temperature": params.temperature}
    for epoch in epochs(teacher, data, train, subclass_teacher(sizes), knobs, None, seed, params):
        z = answers(teacher, data.inputs[test])
        agreed = {name: 100 * value for name, value in metrics.agreement(z.argmax(-1), data.hidden[test]).items()}
        yield {"method": "teacher", "epoch": epoch, "seed": seed, "accuracy": _accuracy(z, sizes, data), **agreed,
               "used": metrics.classes_used(z.argmax(-1))}
    logits = torch.zeros(len(data), sum(sizes), device=data.labels.device)
    logits[train] = answers(teacher, data.inputs[train])
    one_each = (1,) * data.n_classes
    for method, head, message, alpha in (
            ("hard labels", one_each, None, 0.0), ("two-class", one_each, class_logits(logits, sizes), params.alpha),
            ("subclass", sizes, logits, params.alpha), ("hard labels, larger head", sizes, None, 0.0)):
        student = demo_student(data.shape, sum(head), seed, params.device)
        message = torch.zeros(len(data), sum(head), device=data.labels.device) if message is None else message
        for epoch in epochs(student, data, train, subclass_distillation(head), knobs | {"alpha": alpha}, message, seed,
                            params):
            z = answers(student, data.inputs[test])
            yield {"method": method, "epoch": epoch, "seed": seed, "accuracy": _accuracy(z, head, data)}


def _accuracy(logits: Tensor, sizes: tuple[int, ...], data: Dataset) -> float:
    return 100 * float(metrics.accuracy(class_logits(logits, sizes), data.labels[data.test]))


# ---- networks and training -----------------------------------------------------------------------------------------

class Dropout(nn.Module):
    """Inverted dropout whose masks come from a generator of its own, not from torch's global one."""

    def __init__(self, rate: float, seed: int, purpose: str, device: str):
        super().__init__()
        self.keep = 1 - rate
        self.random = torch.Generator(device).manual_seed(rng.derive(seed, purpose))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * (torch.empty_like(x).bernoulli_(self.keep, generator=self.random) / self.keep)


def demo_teacher(shape: tuple[int, int, int], outputs: int, seed: int, device: str = "cpu") -> nn.Sequential:
    """conv3x3-32, pool, conv3x3-64, pool, dropout, dense 128, dropout, dense: ReLU after each but the last."""
    side = [((one - 2) // 2 - 2) // 2 for one in shape[1:]]
    return _started(nn.Sequential(OrderedDict(
        conv1=nn.Conv2d(shape[0], 32, 3), relu1=nn.ReLU(), stage1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(32, 64, 3), relu2=nn.ReLU(), stage2=nn.MaxPool2d(2), flat=nn.Flatten(),
        dropout1=Dropout(0.5, seed, "dropout 1", device), linear1=nn.Linear(64 * side[0] * side[1], 128),
        hidden1=nn.ReLU(), dropout2=Dropout(0.5, seed, "dropout 2", device), logits=nn.Linear(128, outputs))),
        seed, device)


def demo_student(shape: tuple[int, int, int], outputs: int, seed: int, device: str = "cpu") -> nn.Sequential:
    """Two hidden layers of 784 units with ReLU."""
    return _started(nn.Sequential(OrderedDict(
        flat=nn.Flatten(), linear1=nn.Linear(shape[0] * shape[1] * shape[2], 784), hidden1=nn.ReLU(),
        linear2=nn.Linear(784, 784), hidden2=nn.ReLU(), logits=nn.Linear(784, outputs))), seed, device)


def _started(network: nn.Sequential, seed: int, device: str) -> nn.Sequential:
    """Glorot's uniform start with biases 0, drawn from the seed."""
    random = rng.generator(seed, "init")
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter, generator=random)
        else:
            nn.init.zeros_(parameter)
    return network.to(device, memory_format=torch.channels_last)


def epochs(network: nn.Module, data: Dataset, train: Tensor, objective, knobs: Mapping[str, float],
           message: Tensor | None, seed: int, params: SubclassMnist) -> Iterator[int]:
    """Train in place with Adam; yields 1, 2, ... after each epoch. message: teacher's logits (N, K), or None."""
    # foreach: one kernel for all parameters, where torch would loop over them on a CPU.
    optimizer = torch.optim.Adam(network.parameters(), params.lr, eps=1e-7, foreach=True)
    random = rng.generator(seed, "order")
    for epoch in range(1, params.epochs + 1):
        network.train()
        order = train[torch.randperm(len(train), generator=random).to(train.device)]
        for index in order[:len(order) - len(order) % params.batch].split(params.batch):
            teacher = {} if message is None else {"logits": message[index]}
            loss = objective({"logits": network(data.inputs[index])}, teacher, data.labels[index], knobs)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield epoch


@torch.no_grad()
def answers(network: nn.Module, inputs: Tensor) -> Tensor:
    """Logits (N, K) of the network at rest, 2,000 inputs at a time."""
    network.eval()
    return torch.cat([network(part) for part in inputs.split(2000)])
