"""What can be chosen in the experiment of notebook 02, and its kinds of first teachers."""

import math
from dataclasses import dataclass

from kdutils.cohorts import TEACHER_RECIPE
from kdutils.errors import ParameterError, at_least, between, different, one_of, positive, sound, whole

# Classes that look alike, for the data sets that have such groups; digits have none.
GROUPS = {"fashion-mnist": ((0, 2, 3, 4, 6), (5, 7, 9), (1,), (8,))}  # tops and dresses, shoes, trousers, bags


@dataclass(frozen=True)
class Ancestor:
    """A kind of first teacher: the knobs of `objectives.tolerant_teacher`; all 0 is plain training, called strict."""

    name: str
    eta: float = 0.0
    ranks: int = 5
    epsilon: float = 0.0
    beta: float = 0.0


STRICT = Ancestor("strict")


def tolerant(eta: float, ranks: int = 5) -> Ancestor:
    """A first teacher with tolerance eta."""
    return Ancestor(f"eta {eta:g}", float(eta), ranks)


def kinds(ranks: int = 5, classes: int = 10, p: float = 8 / 9, lower: float = 2 / 3) -> tuple[Ancestor, ...]:
    """Strict, tolerant, very tolerant, smoothed and penalised ancestors of a lineage.

    Tolerant, smoothed and penalised ones have the same label probability `p` at their free optimum, so that they
    differ in where the rest goes and not in how much it is; the very tolerant one has `lower`. 8/9 and 2/3 are
    eta = 0.9 and 1.2 at 5 ranks.
    """
    q = (1 - p) / (classes - 1)
    eta, more = ((ranks - 1) / (ranks * label) for label in (p, lower))
    return (Ancestor("strict", 0.0, ranks), Ancestor("tolerant", eta, ranks), Ancestor("very tolerant", more, ranks),
            Ancestor("smoothed", 0.0, ranks, epsilon=classes * q),
            Ancestor("penalised", 0.0, ranks, beta=1 / (p * math.log(p / q))))


@dataclass(frozen=True)
class TolerantTeachers:
    """Part "student" is about what a tolerant teacher raises, "generations" about lineages, "probe" about features."""

    seeds: int = 20  # runs per setting
    etas: tuple[float, ...] = (0.0, 0.3, 0.6, 0.9, 1.2)  # the sweep of tolerance, 0 first
    ranks: int = 5  # K: the classes that the tolerance is about
    transfer_sizes: tuple[int, ...] = (100, 1200)  # images a student sees
    temperatures: tuple[float, ...] = (1.0, 4.0)  # of students
    noise: float = 0.4  # share of wrong labels in part "noise"
    generations: int = 5  # after the first teacher of a lineage
    lineages: tuple[tuple[int, float], ...] = ((200, 0.0), (400, 0.3))  # pairs: images, share of wrong labels
    label_weight: float = 0.5  # lambda, of the labels beside the teacher in a lineage
    probed: int = 6  # the first digit that the lineages of part "probe" never see
    probe_images: int = 100  # labelled images of the digits they never saw
    # A data set of GROUPS, in which secondary mass can lie inside the label's group. It has to be fetched: so None.
    grouped: str | None = None
    grouped_images: int = 2000  # what its teachers see
    teacher_steps: int = TEACHER_RECIPE.steps  # of 64 images
    student_steps: int = 600  # the same for a student
    lineage_steps: int = 300  # the same for each network of a lineage
    seed: int = 0  # the first seed
    device: str = "cpu"  # of torch

    def __post_init__(self):
        sound(self)
        for name in ("seeds", "generations", "teacher_steps", "student_steps", "lineage_steps", "probe_images",
                     "grouped_images"):
            whole(name.replace("_", " "), getattr(self, name), 1)
        whole("ranks", self.ranks, 2, 10, why="the classes")
        whole("probed", self.probed, 3, 8)
        if self.grouped is not None:
            one_of("grouped", self.grouped, GROUPS)
        between("lambda", self.label_weight, 0, 1)
        whole("number of etas", len(self.etas), 1)
        for eta in self.etas:
            at_least("eta", eta, 0)
        for temperature in self.temperatures:
            positive("temperature", temperature)
        for pair in self.lineages:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise ParameterError(f"lineages must be pairs (images, share of wrong labels), got {pair!r}.")
        for rate in (self.noise, *(rate for _, rate in self.lineages)):
            between("label noise", rate, 0, 1)
        for name in ("etas", "transfer_sizes", "temperatures", "lineages"):
            different(name, getattr(self, name))


DEFAULT = TolerantTeachers()
# Every setting of the default, so that every claim is measured, if badly: few seeds and steps.
SMOKE = TolerantTeachers(seeds=3, teacher_steps=80, student_steps=60, lineage_steps=40)
# Forty seeds at which nobody had looked when they were named here, and no more settings than G2, G5 and G7 ask for.
FRESH = TolerantTeachers(seeds=40, seed=26000, etas=(0.0, 0.9, 1.2), transfer_sizes=(100,), temperatures=(1.0,))


def chance_inside(name: str) -> float:
    """The share (percent) of secondary mass inside the label's group, if the secondary classes were drawn at random."""
    groups = [len(group) for group in GROUPS[one_of("grouped", name, GROUPS)]]
    counted = [size for size in groups if size > 1]
    return 100 * sum(size * (size - 1) for size in counted) / sum(counted) / (sum(groups) - 1)
