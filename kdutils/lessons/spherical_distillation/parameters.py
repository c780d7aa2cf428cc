"""What can be chosen in the experiment of notebook 04, and the kinds of teachers and students that it compares."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from kdutils.cohorts import TEACHER_RECIPE
from kdutils.errors import ParameterError, at_least, between, different, one_of, positive, sound, whole
from kdutils.objectives import (
    distillation,
    mixed_distillation,
    normalised_temperature_kd,
    per_sample_distillation,
    spherical_distillation,
)
from kdutils.training import Recipe

# How a teacher is trained. Adam is the course's own recipe; the two others differ in the optimiser alone.
OPTIMISERS = {"Adam": {"optimizer": "adam", "lr": TEACHER_RECIPE.lr},
              "SGD": {"optimizer": "sgd", "lr": 0.1},
              "SGD, weight decay": {"optimizer": "sgd", "lr": 0.1, "weight_decay": 5e-3}}


def teacher_recipe(optimiser: str, steps: int) -> Recipe:
    """The recipe of a teacher that is trained with one of OPTIMISERS."""
    return Recipe(steps, TEACHER_RECIPE.batch, **OPTIMISERS[one_of("optimiser", optimiser, OPTIMISERS)])


@dataclass(frozen=True)
class Form:
    """A way to distil: its objective, and at which scale the student's answers are meant.

    read: "raw", as they are; "m", at the scale m; None where the objective leaves their scale free, so that their
    confidence says nothing. needs_m: whether m takes part.
    """

    objective: Callable
    read: str | None = "raw"
    needs_m: bool = False


def _normalised_temperature(student, teacher, labels, knobs) -> Tensor:
    return normalised_temperature_kd(student["logits"], teacher["logits"], knobs["temperature"])


FORMS = {
    "KD": Form(distillation),
    "SKD": Form(spherical_distillation, "m", True),
    # The teacher's logits are multiplied by one number for all images, so that their mean spread is m.
    "one scalar": Form(distillation, needs_m=True),
    "teacher per image": Form(mixed_distillation(student=False, labels=False), needs_m=True),
    "student only": Form(mixed_distillation(teacher=False), "m", True),
    "per-sample scale": Form(per_sample_distillation, None),
    "normalised temperature": Form(_normalised_temperature, None),
    # The table {KD term raw, spherical} x {labels raw, spherical}; the first word is the KD term's.
    "raw, raw": Form(distillation),
    "raw, spherical": Form(mixed_distillation(student=False, teacher=False), "m", True),
    "spherical, raw": Form(mixed_distillation(labels=False), needs_m=True),
    "spherical, spherical": Form(spherical_distillation, "m", True),
    "hard labels": Form(distillation),
    "hard labels on the sphere": Form(spherical_distillation, "m", True),
}


@dataclass(frozen=True)
class Arm:
    """One setting of the students. m is None where it is the mean spread of the arm's own teacher."""

    form: str
    temperature: float = 4.0
    m: float | None = 2.0
    alpha: float = 1.0
    teacher: int = 0


def several(name: str, values) -> tuple:
    """The values of a list as a tuple, each there once, else ParameterError."""
    if not isinstance(values, (list, tuple)):
        raise ParameterError(f"{name} must be a list, got {values!r}.")
    return tuple(different(name, list(values)))


@dataclass(frozen=True)
class SphericalDistillation:
    """Every field is explained where it stands. Scales m are standard deviations over the classes."""

    seeds: int = 12                                     # runs per setting, each with its own split, start and order
    widths: tuple[int, ...] = (32, 128, 512, 2048)      # hidden units of the teachers, smallest first
    temperatures: tuple[float, ...] = (1.0, 4.0, 16.0)  # of the students behind teachers of each width
    m: float = 2.0                                      # the scale of spherical distillation; the authors' is 2 to 3
    dial: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # temperatures of part "dial"
    ratio: float = 0.5                                  # m / T where the ratio is held fixed instead of m
    transfer: int = 100                                 # images that the students see
    scales: tuple[float, ...] = (1.0, 2.0, 4.0)         # m in part "table"
    table_images: tuple[int, ...] = (100, 1200)         # labelled images of its students
    alpha: float = 0.9                                  # weight of the KD term there; 1 - alpha on the labels
    noise: float = 0.25                                 # on the pixels of part "confidence", of the full scale
    noisy_widths: tuple[int, ...] = (32, 512)           # of its teachers
    teacher_steps: int = TEACHER_RECIPE.steps  # of 64 images, of a teacher
    student_steps: int = 300  # of 64 images, of a student
    patience: int = 4                                   # steps of the students of part "longer", in student_steps
    seed: int = 0                                       # the first of the seeds
    device: str = "cpu"  # of torch

    def __post_init__(self):
        sound(self)
        for name in ("seeds", "transfer", "teacher_steps", "student_steps", "patience"):
            whole(name.replace("_", " "), getattr(self, name), 1)
        for name in ("widths", "noisy_widths", "temperatures", "dial", "scales", "table_images"):
            object.__setattr__(self, name, several(name.replace("_", " "), getattr(self, name)))
        for name in ("widths", "noisy_widths"):
            whole(f"number of {name.replace('_', ' ')}", len(getattr(self, name)), 2)
            for width in getattr(self, name):
                whole("width", width, 1)
        for name in ("temperatures", "dial"):
            whole(f"number of values of {name}", len(getattr(self, name)), 2)
            for temperature in getattr(self, name):
                positive("temperature", temperature)
        for m in (self.m, *self.scales):
            positive("m", m)
        positive("ratio", self.ratio)
        at_least("noise", self.noise, 0)
        between("alpha", self.alpha, 0, 1)
        for images in self.table_images:
            whole("table images", images, 1)


DEFAULT = SphericalDistillation()
SMOKE = SphericalDistillation(seeds=3, widths=(32, 128), temperatures=(1.0, 4.0), dial=(1.0, 16.0), scales=(2.0, 4.0),
                              table_images=(100,), noisy_widths=(16, 64), teacher_steps=30, student_steps=30,
                              patience=2)
