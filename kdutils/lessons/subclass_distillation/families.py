"""The second scale of notebook 03: families of photographs as classes, and the five hidden classes in each.

Discovery, few labels, all labels and the control of the head once more, where pixels do not lie in clusters. The
experiments are `twenty` and `hundred`, this one's at two sizes, named after their hidden classes. The numbers of a
training (channels, steps, rates) were chosen by `second_scale.HELD_OUT` training images of each class for networks that
are told every class, and beta, T_aux, T and alpha are those of the digits: nothing was chosen for what is compared.
Rows as in `experiment`; networks count as they are after the last step.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from kdutils.cohorts import collect
from kdutils.errors import between, different, positive, sound, whole
from kdutils.lessons.subclass_distillation.experiment import student_rows
from kdutils.lessons.subclass_distillation.parameters import Arm
from kdutils.lessons.subclass_distillation.students import Terms, train_arms
from kdutils.lessons.subclass_distillation.teachers import (
    CERTAIN,
    clusters,
    discovered,
    enough_of_each,
    hidden_blocks,
    label_teachers,
    subclass_teachers,
)
from kdutils.objectives.subclass import MAX_SUBCLASSES
from kdutils.results import Results
from kdutils.second_scale import FAMILIES, Bench, student_rate
from kdutils.second_scale import prepare as pictures
from kdutils.training import Recipe

ARMS = (
    Arm("hard labels", None, "classes", "classes"),
    Arm("classes", "classes", "classes", "classes"),
    Arm("hard labels, larger head", None),
    Arm("classes, larger head", "classes", message="classes"),
    Arm("no auxiliary loss", "no auxiliary loss"),
    Arm("subclass", "subclass"),
    Arm("oracle", "oracle", "hidden"),
)


@dataclass(frozen=True)
class SubclassFamilies:
    """Part "discovery" is about what teachers find, "few" about students of few and of all labels."""

    seeds: int = 6  # runs per setting: start, batch order, and which images a small transfer set has
    data: str = "cifar-100-coarse"  # one of datasets.GROUPINGS; its groups are the classes, its classes are hidden
    families: tuple[str, ...] = FAMILIES  # which of the groups; none named: all
    side: int = 16  # of an image, shrunk by area averaging
    views: int = 4  # pictures of a training image: itself, and crops, half of them mirrored
    teacher: tuple[int, ...] = (32, 64)  # channels of the teachers
    student: tuple[int, ...] = (8, 16)  # channels of the students
    subclasses: int = 5  # s per class
    betas: tuple[float, ...] = (0.1, 0.3, 1.0)  # weights of the auxiliary loss; the first one's teachers raise students
    t_aux: float = 0.5  # its temperature
    transfer_sizes: tuple[int, ...] = (200, 400, 900, 9_000)  # labelled images of a student
    temperature: float = 4.0  # of all distilled students
    alpha: float = 0.5  # weight of the soft targets beside the labels
    steps: int = 1_500  # of 64 pictures, for every network
    teacher_lr: float = 2e-3  # Adam's rate, cosine to zero
    student_lr: float = 5e-3  # of a student
    seed: int = 0  # the first seed
    device: str = "cpu"  # of torch

    def __post_init__(self):
        sound(self)
        for name in ("seeds", "side", "views", "steps"):
            whole(name, getattr(self, name), 1)
        whole("subclasses of a class", self.subclasses, 1, MAX_SUBCLASSES)
        for name in ("betas", "transfer_sizes"):
            whole(f"number of {name}", len(different(name, getattr(self, name))), 1)
        for name in ("t_aux", "temperature", "teacher_lr", "student_lr"):
            positive(name, getattr(self, name))
        for beta in self.betas:
            positive("beta", beta)
        between("alpha", self.alpha, 0, 1)


# Every setting on digits, which need no other data.
SMOKE = SubclassFamilies(seeds=2, data="digits-2x5", families=(), side=8, views=2, teacher=(4,), student=(2,),
                         transfer_sizes=(20, 100), steps=5)


def prepare(params: SubclassFamilies) -> Bench:
    """The pictures; refuses what cannot be run before anything is trained."""
    lab = pictures(params.data, params.families, params.side, params.views, params.seeds, params.seed, params.device,
                   coarse=True)
    for n in params.transfer_sizes:
        whole("transfer images", n, lab.data.n_classes, lab.images, why="one for each class, at most the pool")
    for channels in (params.teacher, params.student):
        lab.network(channels)
    enough_of_each(lab.data.labels[:lab.images][None], lab.data.n_classes, params.subclasses)
    return lab


def run(params: SubclassFamilies, report: Callable[[str], None] = lambda line: None) -> Results:
    """A row per run and part, with the columns of `experiment.run`.

    method: in part "discovery" "contrastive", "no auxiliary loss", "k-means" (of the pixels of each class), "k-means of
    features" (of the last layer but one of the teacher that knows the classes alone), "classes" and "oracle"; in part
    "few" an arm of `ARMS`. The provenance has the processor time, and how many pictures a second of it students were
    trained on.
    """
    start, lab, rates = time.perf_counter(), prepare(params), []
    return collect(_groups(lab, params, report, rates), params, start, report, more=lambda: student_rate(rates))


def _groups(lab: Bench, params: SubclassFamilies, report, rates: list[float]) -> Iterator[list[dict]]:
    recipe, sizes = Recipe(params.steps, lr=params.teacher_lr), (params.subclasses,) * lab.data.n_classes
    values = [(0.0, params.t_aux)] + [(beta, params.t_aux) for beta in params.betas]
    report(f"{params.seeds} teachers of each kind")

    def network(outputs: int):
        return lab.network(params.teacher, outputs)

    plain, *divided = subclass_teachers(lab, lab.pool, sizes, values, recipe=recipe, network=network)
    classes, hidden = label_teachers(lab, lab.pool, lab.data.labels, lab.data.n_classes, recipe, network)
    truth, inside = hidden_blocks(lab)
    oracle, _ = label_teachers(lab, lab.pool, truth, sum(inside), recipe, network)
    ones, same = (1,) * lab.data.n_classes, {"transfer": lab.images, "s": params.subclasses}
    rows = discovered(lab, plain, sizes, method="no auxiliary loss", beta=0.0)
    for beta, logits in zip(params.betas, divided, strict=True):
        rows += discovered(lab, logits, sizes, method="contrastive", beta=beta, t_aux=params.t_aux)
    everyone = torch.arange(lab.images).expand(len(lab.seeds), -1)
    for method, features in (("k-means", None), ("k-means of features", hidden)):
        report(f"{method}, inside each class")
        found = torch.nn.functional.one_hot(clusters(lab, everyone, sizes, features), sum(sizes)).float() * CERTAIN
        rows += discovered(lab, found.to(plain), sizes, method=method)
    rows += discovered(lab, classes, ones, method="classes") + discovered(lab, oracle, inside, method="oracle")
    yield [row | same for row in rows]
    outputs = {"classes": {"logits": classes}, "no auxiliary loss": {"logits": plain}, "oracle": {"logits": oracle},
               "subclass": {"logits": divided[0]}}
    terms = Terms(params.subclasses, params.temperature, params.alpha)
    recipe = Recipe(params.steps, lr=params.student_lr)
    for n in params.transfer_sizes:
        report(f"students on {n:,} images, {len(ARMS)} arms")
        before, rows = time.process_time(), []
        for arm, _, logits in train_arms(lab, outputs, ARMS, lab.transfer(n), params.student, terms, recipe):
            rows += student_rows(lab, arm, logits, part="few", transfer=n)
        rates.append(len(ARMS) * params.seeds * params.steps * recipe.batch / (time.process_time() - before))
        yield rows
