"""Subclass distillation at CIFAR scale: 20 coarse labels of CIFAR-100, whose 100 fine classes nobody is told.

For every seed four teachers (classes alone, a larger head without the auxiliary loss, with it, and an oracle told the
fine classes) and five students (hard labels, and one for each teacher), with the same start, batch order and
augmentation where their heads are alike. Accuracies are on the coarse labels, in percent of the test images after the
last epoch. Meant for a GPU: on the two cores of a laptop only digits and a few images are a matter of minutes.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from kdutils import metrics
from kdutils.cohorts import collect
from kdutils.datasets import Dataset, grouped
from kdutils.errors import one_of, sound, whole
from kdutils.image_lab import teacher_and_student, train_and_test, usual_views
from kdutils.lessons.subclass_distillation.teachers import enough_of_each, inside
from kdutils.networks import ImageNetwork
from kdutils.objectives import class_logits, hard_labels, subclass_distillation, subclass_teacher
from kdutils.objectives.subclass import MAX_SUBCLASSES
from kdutils.results import Results
from kdutils.training import ImageRecipe, ImageTask, Knobs, Pictures, Teacher, check_knob, image_logits, image_steps
from kdutils.training.switches import CHOICES, Speedups, chosen
from kdutils.training.views import cached_if_it_fits

TEACHERS = ("classes", "no auxiliary loss", "subclass", "oracle")


@dataclass(frozen=True)
class SubclassImages:
    """Teachers that divide coarse classes, and their students: image networks."""

    seeds: int = 3  # whole repetitions
    data: str = "cifar-100-coarse"  # one of datasets.GROUPINGS with images
    pair: str = "resnet32x4:resnet8x4"  # teacher:student, names of networks.NETWORKS
    subclasses: int = 5  # s per class
    beta: float = 0.1  # weight of the teacher's auxiliary loss
    t_aux: float = 0.5  # its temperature
    alpha: float = 0.5  # weight of the soft targets; 1 - alpha on the labels
    temperature: float = 4.0  # of distilled students
    epochs: float = 60  # of every network
    batch: int = 128  # images a step
    lr: float = 0.1  # SGD's, at the start
    schedule: str = "cosine"  # of the learning rate: one of training.images.SCHEDULES
    images: int | None = None  # training images, balanced over the classes; None for all
    switches: str = "fast"  # one of training.switches.CHOICES
    seed: int = 0  # the first of the seeds
    device: str = "cpu"  # of torch

    def __post_init__(self):
        sound(self)
        whole("seeds", self.seeds, 1)
        whole("subclasses of a class", self.subclasses, 1, MAX_SUBCLASSES)
        teacher_and_student(self.pair)
        for name in ("beta", "t_aux", "temperature", "alpha"):
            check_knob(name, getattr(self, name))
        one_of("switches", self.switches, CHOICES)
        self.recipe()

    def recipe(self) -> ImageRecipe:
        return ImageRecipe(self.epochs, self.batch, self.lr, schedule=self.schedule)


DEFAULT = SubclassImages()
SMOKE = SubclassImages(seeds=1, data="digits-2x5", pair="resnet20:resnet8", epochs=2, images=256)


@dataclass(frozen=True, eq=False)
class Bench:
    """Data, training and test indices, the hidden classes class by class, and how many each class has."""

    data: Dataset
    train: Tensor
    test: Tensor
    truth: Tensor
    inside: tuple[int, ...]
    pictures: Pictures
    switches: Speedups


def run(params: SubclassImages, report: Callable[[str], None] = lambda line: None,
        keep: Callable[[Results], None] = lambda results: None) -> Results:
    """A row per network. Columns: role ("teacher", "student"), method (the teacher's kind, or "hard labels"), network,
    seed, accuracy (coarse labels, percent), images_per_second; of teachers also their agreement with the hidden
    classes: hungarian, purity, nmi, ari (times 100) and used.

    A "classes" teacher says what its two or twenty classes are, nothing else. `keep` is called with the results so far
    after every network; an interrupt keeps the networks that are finished.
    """
    start = time.perf_counter()
    bench = prepare(params)

    def groups() -> Iterator[list[dict]]:
        for seed in range(params.seed, params.seed + params.seeds):
            for row in _seed_rows(bench, seed, params, report):
                yield [row]

    return collect(groups(), params, start, report, keep)


def prepare(params: SubclassImages) -> Bench:
    """The data and what is known of it; refuses what cannot be trained before anything is."""
    data = grouped(params.data, params.device)
    images = train_and_test(data, params.seed, params.images)
    enough_of_each(data.labels[images.pool], data.n_classes, params.subclasses)
    truth, sizes = inside(data)
    pictures = Pictures.of(data, images.pool, usual_views(params.data, data.shape[-1]))
    return Bench(data, images.pool, images.test, truth, sizes, pictures, chosen(params.switches, params.device))


def _seed_rows(bench: Bench, seed: int, params: SubclassImages, report) -> Iterator[dict]:
    """The student on hard labels, then each teacher and its student."""
    classes = bench.data.n_classes
    heads = {"classes": (1,) * classes, "no auxiliary loss": (params.subclasses,) * classes,
             "subclass": (params.subclasses,) * classes, "oracle": bench.inside}
    yield _trained(bench, "student", "hard labels", heads["classes"], seed, None, subclass_teacher(heads["classes"]),
                   Knobs(beta=0.0), params, report)[1]
    for method, sizes in heads.items():
        yield from _taught_rows(bench, method, sizes, seed, params, report)


def _taught_rows(bench: Bench, method: str, sizes: tuple[int, ...], seed: int, params: SubclassImages, report
                 ) -> Iterator[dict]:
    """A teacher and at once its student; then both, and the teacher's answers, leave memory."""
    oracle = method == "oracle"
    objective = hard_labels if oracle else subclass_teacher(sizes)
    knobs = Knobs(beta=params.beta if method == "subclass" else 0.0, t_aux=params.t_aux)
    network, row = _trained(bench, "teacher", method, sizes, seed, None, objective, knobs, params, report,
                            bench.truth[bench.train] if oracle else None)
    yield row
    teacher = cached_if_it_fits(Teacher(network, bench.pictures.normalisation, bench.switches, row["accuracy"]),
                         bench.pictures, sum(sizes), "float16", report)
    knobs = Knobs(alpha=params.alpha, temperature=params.temperature)
    yield _trained(bench, "student", method, sizes, seed, teacher, subclass_distillation(sizes), knobs, params,
                   report)[1]


def _trained(bench: Bench, role: str, method: str, sizes: tuple[int, ...], seed: int, teacher, objective, knobs: Knobs,
             params: SubclassImages, report, labels: Tensor | None = None) -> tuple[torch.nn.Module, dict]:
    """A network trained to the end, and its row."""
    name = teacher_and_student(params.pair)[role == "student"]
    network = ImageNetwork(name, sum(sizes), bench.data.shape[0]).module(seed)
    *_, last = image_steps(network, ImageTask(bench.pictures, seed, teacher, labels), objective, knobs,
                           params.recipe(), bench.switches)
    z = image_logits(network, bench.data, bench.test, bench.pictures.normalisation, bench.switches)
    accuracy = 100 * float(metrics.accuracy(class_logits(z, sizes), bench.data.labels[bench.test]))
    row = {"role": role, "method": method, "network": name, "seed": seed, "accuracy": accuracy,
           "images_per_second": last.images_per_second}
    if role == "teacher":
        found = z.argmax(-1)
        agreed = metrics.agreement(found, bench.data.hidden[bench.test])
        row |= {measure: 100 * value for measure, value in agreed.items()} | {"used": metrics.classes_used(found)}
    report(f"seed {seed}, {role} {name}, {method}: {accuracy:.2f}% of the test images")
    return network, row
