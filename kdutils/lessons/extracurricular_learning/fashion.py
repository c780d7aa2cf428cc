"""The second scale of notebook 05: Fashion-MNIST at 14x14, points x labels x temperatures at equal steps.

The factorial that public codes do not show: which points a student sees {its own, shifted, mixup, cutmix, shuffled,
fresh} x who labels them {labels, kept or mixed; the teacher} x T. The pool of fresh pictures is the oracle: real ones
that nobody labelled. Fashion-MNIST has to be fetched (`kdutils data get fashion-mnist`).
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from kdutils import metrics
from kdutils.cohorts import Splits, collect
from kdutils.datasets import take
from kdutils.datasets.samplers import labelled, sample
from kdutils.errors import between, positive, sound, whole
from kdutils.lessons.extracurricular_learning.teachers import trained
from kdutils.lessons.extracurricular_learning.transfer import Arm, Block, students
from kdutils.networks import MLP
from kdutils.objectives import hard_labels, soft_label_distillation
from kdutils.results import Results
from kdutils.training import Recipe

DATA, SIDE = "fashion-mnist", 14
TEACHER, STUDENT = MLP(SIDE * SIDE, (256,), 10), MLP(SIDE * SIDE, (64,), 10)
POINTS = ("shifts", "mixup", "cutmix", "shuffled")
LABELLED = ("shifts", "mixup", "cutmix")


@dataclass(frozen=True)
class Fashion:
    """Sizes and budgets of the second scale."""

    seeds: int = 10  # runs per setting
    teacher_images: int = 20_000    # with labels, for a teacher
    images: int = 300               # of them, those that a student has
    extra: int = 5000               # further pictures that its teacher labels
    temperatures: tuple[float, ...] = (1.0, 4.0)  # of the students
    share: float = 0.9  # of a student's transfer set: extra pictures, 0 to 1
    teacher_steps: int = 2000  # of a teacher
    student_steps: int = 1500  # of a student
    seed: int = 0  # the first of the seeds
    device: str = "cpu"  # of torch

    def __post_init__(self):
        sound(self)
        for name in ("seeds", "extra", "teacher_steps", "student_steps"):
            whole(name.replace("_", " "), getattr(self, name), 1)
        whole("teacher images", self.teacher_images, 10, 60_000 - self.extra, why="the rest is the pool of fresh ones")
        whole("images", self.images, 10, self.teacher_images)
        between("share of extra inputs", self.share, 0, 1)
        for temperature in self.temperatures:
            positive("temperature", temperature)


DEFAULT = Fashion()


def prepare(params: Fashion) -> Splits:
    """The data's splits; refuses absent data before anything is trained."""
    return Splits.open(DATA, params.seeds, params.seed, params.device)


def run(params: Fashion, report: Callable[[str], None] = lambda line: None) -> Results:
    """A row per run: method (points), labels ("labels" or "teacher"), temperature, seed, and accuracy in percent."""
    start = time.perf_counter()
    return collect(_groups(prepare(params), params, report), params, start, report)


def shrunk(images: Tensor) -> Tensor:
    """Pictures (..., 1, 28, 28) at half the side: means of four pixels."""
    flat = images.flatten(0, -4)
    return F.avg_pool2d(flat, 28 // SIDE).unflatten(0, images.shape[:-3])


def _groups(splits: Splits, params: Fashion, report) -> Iterator[list[dict]]:
    seeds, data = list(splits.seeds), splits.data
    report(f"{params.seeds} teachers of {params.teacher_images:,} pictures")
    train = splits.transfer(params.teacher_images)
    teachers = trained(shrunk(take(data.inputs, train)), data.labels[train], seeds, TEACHER,
                       Recipe(params.teacher_steps, 64, 2e-3), hard_labels)

    def block(inputs: Tensor, targets: Tensor | None = None) -> Block:
        return Block(inputs, teachers.logits(inputs), targets)

    own = splits.transfer(params.images)
    inputs, one_hot = shrunk(take(data.inputs, own)), F.one_hot(data.labels[own], 10).float()
    # Pictures at the end of the pool are in no teacher's training set: it takes class by class from the front.
    fresh = torch.stack([pool[~torch.isin(pool, mine)][:params.extra]
                         for pool, mine in zip(splits.pool, train, strict=True)])
    blocks = {"own": block(inputs, one_hot), "fresh": block(shrunk(take(data.inputs, fresh)))}
    arms = [(Arm("same", alpha=0.0), "labels"), (Arm("same"), "teacher"), (Arm("fresh", "fresh"), "teacher")]
    for name in POINTS:
        blocks[name] = block(torch.stack([sample(name, one, params.extra, seed)
                                          for one, seed in zip(inputs, seeds, strict=True)]))
        arms.append((Arm(name, name), "teacher"))
    for name in LABELLED:
        pairs = [labelled(name, *one, params.extra, seed)
                 for *one, seed in zip(inputs, one_hot, seeds, strict=True)]
        blocks[f"labels + {name}"] = block(*(torch.stack(values) for values in zip(*pairs, strict=True)))
        arms.append((Arm(name, f"labels + {name}", alpha=0.0), "labels"))
    test = shrunk(data.inputs[splits.test[0]])
    truth = data.labels[splits.test[0]]
    answers = torch.cat([teachers.logits(part.expand(len(seeds), *part.shape))["logits"]
                         for part in test.split(2000)], 1)
    yield [{"method": "teacher", "labels": "labels", "temperature": None, "seed": seed, "accuracy": value}
           for seed, value in zip(seeds, (100 * metrics.accuracy(answers, truth.expand(len(seeds), -1))).tolist(),
                                  strict=True)]
    for i, temperature in enumerate(params.temperatures):
        chosen = [(arm, by) for arm, by in arms if by == "teacher" or i == 0]    # labels know no temperature
        report(f"students of {params.images} pictures and {params.extra:,} more, T = {temperature:g}")
        population = students(blocks, [arm for arm, _ in chosen], seeds, STUDENT, soft_label_distillation,
                              Recipe(params.student_steps, 64, 5e-3), params.share, 8192, temperature=temperature)
        logits = population.predict(test, 2000)
        accuracy = 100 * metrics.accuracy(logits, truth.expand(len(logits), -1)).view(len(chosen), -1)
        yield [{"method": arm.name, "labels": by, "temperature": temperature if by == "teacher" else None,
                "seed": seed, "accuracy": value}
               for (arm, by), values in zip(chosen, accuracy.tolist(), strict=True)
               for seed, value in zip(seeds, values, strict=True)]
