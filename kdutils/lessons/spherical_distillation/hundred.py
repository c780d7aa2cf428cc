"""The second scale of notebook 04: a hundred classes. CIFAR-100, shrunk to 16x16, and networks of one hidden layer.

The capacity gap and the temperature once more, with teachers of two optimisers. Sized for ten minutes of one core: no
convolution, few images, so that the networks are far from what CIFAR-100 allows. The gap is asked for, not the record.
CIFAR-100 has to be fetched (`kdutils data get cifar-100`). Rows as in `experiment`; its parts are "gap", "dial" and
"labels".
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from kdutils.cohorts import Splits, collect, teachers
from kdutils.datasets import Dataset, load, transfer_set
from kdutils.errors import ParameterError, between, one_of, positive, sound, whole
from kdutils.lessons.spherical_distillation.parameters import Arm, several
from kdutils.lessons.spherical_distillation.students import student_rows, teacher_rows
from kdutils.networks import MLP
from kdutils.results import Results
from kdutils.training import Recipe

# SGD's rate is half that of the digits, whose inputs are twelve times fewer.
OPTIMISERS = {"Adam": {"optimizer": "adam", "lr": 3e-3}, "SGD": {"optimizer": "sgd", "lr": 0.05}}


@dataclass(frozen=True)
class SphericalHundred:
    """Every field is explained where it stands."""

    seeds: int = 5                                  # starts and batch orders; the images are the same for all
    data: str = "cifar-100"                         # a data set of 32x32 images with an official test set
    widths: tuple[int, ...] = (64, 256, 1024)       # hidden units of the teachers, smallest first
    student: int = 32                               # of the student
    temperatures: tuple[float, ...] = (1.0, 4.0, 16.0)  # of the students
    optimisers: tuple[str, ...] = ("Adam", "SGD")   # of the teachers
    m: float = 2.0                                  # the scale of spherical distillation, a standard deviation
    alpha: float = 0.9                              # weight of the KD term; 1 - alpha on the labels
    images: int = 10_000                            # training images, balanced over the classes
    test_images: int = 4_000                        # the first ones of the official test set
    teacher_steps: int = 1_000  # of a teacher
    student_steps: int = 800  # of a student
    seed: int = 0  # the first of the seeds
    device: str = "cpu"  # of torch

    def __post_init__(self):
        sound(self)
        for name in ("seeds", "student", "images", "test_images", "teacher_steps", "student_steps"):
            whole(name.replace("_", " "), getattr(self, name), 1)
        for name in ("widths", "temperatures", "optimisers"):
            object.__setattr__(self, name, several(name, getattr(self, name)))
        for name in ("widths", "temperatures"):
            whole(f"number of {name}", len(getattr(self, name)), 2)
        for temperature in self.temperatures:
            positive("temperature", temperature)
        for optimiser in self.optimisers:
            one_of("optimiser", optimiser, OPTIMISERS)
        positive("m", self.m)
        between("alpha", self.alpha, 0, 1)


@dataclass(frozen=True, eq=False)
class Standardised(Dataset):
    """Images whose inputs are centred and scaled by channel: a network of one hidden layer learns little without it."""

    @cached_property
    def inputs(self) -> Tensor:
        """Each channel less its mean over the training images, over its standard deviation there."""
        x = self.images.float() / self.full_scale
        train = torch.ones(len(x), dtype=torch.bool, device=x.device)
        train[self.test] = False
        std, mean = torch.std_mean(x[train], (0, 2, 3), keepdim=True)
        return (x - mean) / std

    @property
    def fingerprint(self) -> str:
        """That of the images is another's."""
        return f"{super().fingerprint} standardised"


DEFAULT = SphericalHundred()
SMOKE = SphericalHundred(seeds=2, widths=(4, 8), student=2, images=200, test_images=100, teacher_steps=5,
                         student_steps=5)


def prepare(params: SphericalHundred) -> Dataset:
    """The images that are used, shrunk to 16x16; refuses other data before anything is trained."""
    data = load(params.data, params.device)
    if not isinstance(data, Dataset) or data.test is None or data.shape[1:] != (32, 32):
        raise ParameterError(f"data must have 32x32 images and an official test set, got {params.data!r}.")
    pool = torch.ones(len(data), dtype=torch.bool, device=data.labels.device)
    pool[data.test] = False
    train = transfer_set(data, pool.nonzero()[:, 0], params.images)
    test = data.test[:whole("test images", params.test_images, 1, len(data.test), why="the official test set")]
    kept = torch.cat([train, test])
    return Standardised(f"{data.name}, 16x16", halved(data.images[kept]), data.labels[kept], data.classes,
                        test=torch.arange(len(train), len(kept), device=data.labels.device))


def halved(images: Tensor) -> Tensor:
    """Images of half the side: the mean of each 2x2 square, uint8 (N, C, H, W) -> (N, C, H/2, W/2)."""
    return avg_pool2d(images.float(), 2).round().to(torch.uint8)


def network(data: Dataset, width: int) -> MLP:
    """One hidden layer of `width` units."""
    return MLP(data.inputs[0].numel(), (width,), data.n_classes)


def run(params: SphericalHundred, report: Callable[[str], None] = lambda line: None,
        keep: Callable[[Results], None] = lambda results: None) -> Results:
    """A row per run, as `experiment.run` describes them; `keep` is called whenever teachers of one kind are done.

    Students learn from the images that their teachers were trained on, with labels. Part "dial" repeats the students of
    the middle teacher by Adam, at every temperature.
    """
    start = time.perf_counter()
    lab = Splits.of(prepare(params), params.seeds, params.seed)
    return collect(_groups(lab, params, report), params, start, report, keep)


def _groups(lab: Splits, params: SphericalHundred, report) -> Iterator[list[dict]]:
    for optimiser in params.optimisers:
        answers = []
        for width in params.widths:
            report(f"{params.seeds} teachers of {width:,} hidden units, {optimiser}")
            recipe = Recipe(params.teacher_steps, **OPTIMISERS[optimiser])
            answers.append(teachers(lab, lab.pool, network(lab.data, width), recipe))
        logits, same = torch.stack(answers), {"part": "gap", "optimiser": optimiser}
        yield teacher_rows(lab, logits, params.widths, **same)
        for form in ("KD", "SKD"):
            report(f"students of these teachers, {form}")
            arms = [Arm(form, t, params.m, params.alpha, teacher) for t in params.temperatures
                    for teacher in range(len(params.widths))]
            rows = student_rows(lab, logits, lab.pool, arms, Recipe(params.student_steps), params.widths,
                                network(lab.data, params.student), **same)
            yield rows
            if optimiser == params.optimisers[0]:
                middle = params.widths[len(params.widths) // 2]
                yield [row | {"part": "dial"} for row in rows if row["width"] == middle]
    report("students that hear the labels alone")
    arms = [Arm("hard labels", 1.0, params.m, 0.0), Arm("hard labels on the sphere", 1.0, params.m, 0.0)]
    yield student_rows(lab, logits, lab.pool, arms, Recipe(params.student_steps), params.widths,
                       network(lab.data, params.student), part="labels")
