"""The standard teacher-student pairs of the literature at CIFAR scale: hard labels against distillation.

One teacher, trained once and kept; then for every seed a student on hard labels and one that is distilled, with the
same start, batch order and augmentation. Accuracies are in percent of the test images after the last epoch: the test
images choose nothing. How fast it went and what memory it took are measured beside them.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from kdutils import cache, metrics
from kdutils.cohorts import collect, digest
from kdutils.datasets import Dataset, load
from kdutils.datasets.augment import Augmentation, ImageStore
from kdutils.errors import ParameterError, one_of, sound, whole
from kdutils.image_lab import teacher_and_student, train_and_test, usual_views
from kdutils.networks import ImageNetwork
from kdutils.objectives import distillation, hard_labels
from kdutils.results import Results
from kdutils.training import (
    CachedTeacher,
    ImageRecipe,
    ImageTask,
    Knobs,
    Pictures,
    Teacher,
    check_knob,
    image_logits,
    image_steps,
)
from kdutils.training.memory import free_memory, of_activations, of_network, peak_memory
from kdutils.training.switches import CHOICES, Speedups, chosen
from kdutils.training.views import KEPT_AS, cached_if_it_fits

METHODS = ("hard labels", "distilled")
ASKED = ("cached", "online")
SYSTEM = {"cpu": 1.0e9, "cuda": 1.5e9}    # what torch itself takes before it trains anything


@dataclass(frozen=True)
class ImagePairs:
    """The recipe of the public benchmarks is the default, for every network."""

    data: str = "cifar-100"  # one of datasets.CARDS with images
    pair: str = "wrn-40-2:wrn-16-2"  # teacher:student, names of networks.NETWORKS
    temperature: float = 4.0  # of distilled students
    alpha: float = 0.9  # weight of the soft targets; 1 - alpha on the labels
    epochs: float = 240  # of every network
    teacher_epochs: float | None = None  # the teacher's, where they differ
    batch: int = 64  # images a step
    lr: float = 0.05  # SGD's, at the start
    weight_decay: float = 5e-4  # SGD's
    nesterov: bool = False  # Nesterov's momentum instead of the plain one
    schedule: str = "step"  # of the learning rate: one of training.images.SCHEDULES
    seeds: int = 5  # students of each method
    images: int | None = None  # training images, balanced over the classes; None for all
    methods: tuple[str, ...] = METHODS  # some of "hard labels", "distilled"
    teacher: str = "cached"  # "cached", its answers are kept, or "online", it is asked in every step
    kept_as: str = "float16"  # numbers in which its answers are kept
    keep_answers: bool = False  # on disk too, for the next command
    switches: str = "fast"  # one of training.switches.CHOICES
    pad: int | None = None  # pixels around a picture before it is cropped; None for an eighth of the side
    flip: bool | None = None  # mirror half of the pictures; None for what the data bear
    teacher_seed: int = 1000  # of the teacher's start and order
    seed: int = 0  # the first of the students' seeds
    device: str = "cpu"  # of torch

    def __post_init__(self):
        sound(self)
        teacher_and_student(self.pair)
        for name in ("temperature", "alpha"):
            check_knob(name, getattr(self, name))
        whole("seeds", self.seeds, 1)
        for method in self.methods:
            one_of("method", method, METHODS)
        one_of("teacher", self.teacher, ASKED)
        one_of("kept_as", self.kept_as, KEPT_AS)
        one_of("switches", self.switches, CHOICES)
        if self.pad is not None:
            whole("pad", self.pad, 0)
        self.recipe(), self.teacher_recipe()

    def recipe(self) -> ImageRecipe:
        """Of the students."""
        return ImageRecipe(self.epochs, self.batch, self.lr, nesterov=self.nesterov, weight_decay=self.weight_decay,
                           schedule=self.schedule)

    def teacher_recipe(self) -> ImageRecipe:
        return replace(self.recipe(), epochs=self.epochs if self.teacher_epochs is None else self.teacher_epochs)

    def augmentation(self, side: int) -> Augmentation:
        return usual_views(self.data, side, self.pad, self.flip)


DEFAULT = ImagePairs()
SMOKE = ImagePairs(data="digits", pair="resnet20:resnet8", epochs=2, seeds=2, images=256)


@dataclass(frozen=True, eq=False)
class Bench:
    """A data set, its training and test indices, and the two networks, on their device."""

    data: Dataset
    train: Tensor
    test: Tensor
    networks: tuple[ImageNetwork, ImageNetwork]
    switches: Speedups

    @classmethod
    def open(cls, params: ImagePairs) -> "Bench":
        data = load(params.data, params.device)
        images = train_and_test(data, params.seed, params.images)
        networks = tuple(ImageNetwork(name, data.n_classes, data.shape[0]) for name in teacher_and_student(params.pair))
        return cls(data, images.pool, images.test, networks, chosen(params.switches, params.device))

    def accuracy(self, network: torch.nn.Module, pictures: Pictures) -> float:
        """Percent of the test images."""
        logits = image_logits(network, self.data, self.test, pictures.normalisation, self.switches)
        return 100 * metrics.accuracy(logits, self.data.labels[self.test]).item()


def memory(bench: Bench, params: ImagePairs) -> dict[str, int]:
    """Bytes that the experiment needs on its device, part by part; estimates but for pictures and answers."""
    shape, augmentation = bench.data.shape, params.augmentation(bench.data.shape[-1])
    steps = [of_activations(network, shape[-1], params.batch, bench.switches.bf16) for network in bench.networks]
    answers = CachedTeacher.bytes(len(bench.train), augmentation.views, bench.data.n_classes, params.kept_as)
    if params.teacher == "online" or "distilled" not in params.methods:
        answers = 0
    if params.keep_answers and params.device == "cpu":
        answers *= 2  # the file is put together in memory
    return {"torch": int(SYSTEM[torch.device(params.device).type]),
            "images": bench.data.images.numel(),
            "pictures": ImageStore.bytes(len(bench.train), shape, augmentation),
            "networks": sum(map(of_network, bench.networks)),
            "a step": max(steps),
            "the teacher's answers": answers}


def planned(bench: Bench, params: ImagePairs, report: Callable[[str], None], free: int | None = None) -> int | None:
    """Says what memory the experiment takes; ParameterError if it cannot fit. Bytes of room for the teacher's answers.

    free: bytes, asked of the system if None; where the system does not say, everything is tried.
    """
    parts = memory(bench, params)
    answers, needed = parts["the teacher's answers"], sum(parts.values())
    free = free_memory(params.device) if free is None else free
    listed = ", ".join(f"{name} {size / 1e9:.2f}" for name, size in parts.items() if size)
    has = "" if free is None else f"; {free / 1e9:.2f} GB are free"
    report(f"Memory needed: about {needed / 1e9:.2f} GB ({listed}){has}.")
    if free is None:
        return None
    least = needed - answers
    if least > free:
        raise ParameterError(f"{params.pair} on {params.data} must have about {least / 1e9:.2f} GB of memory on "
                             f"{params.device}, got {free / 1e9:.2f} GB free; take fewer images or a smaller batch.")
    return (free - least) // (2 if params.keep_answers and params.device == "cpu" else 1)


def prepare(params: ImagePairs, report: Callable[[str], None] = lambda line: None) -> tuple[Bench, int | None]:
    """The data and the room for the teacher's answers (`planned`); refuses what cannot be run before any training."""
    bench = Bench.open(params)
    return bench, planned(bench, params, report)


def run(params: ImagePairs, report: Callable[[str], None] = lambda line: None,
        keep: Callable[[Results], None] = lambda results: None) -> Results:
    """A row per network. Columns: method ("teacher", "hard labels", "distilled"), network, seed, accuracy (percent of
    the test images after the last epoch), loss (mean of the last epoch), images_per_second, seconds (of training),
    warm_up (seconds of compiling and recording, not in `seconds`), passes (of all training images through the teacher,
    for this run), peak_gb (so far).

    `report` is told the memory plan before anything is trained and each network when it is done; `keep` is called with
    the results so far. An interrupt keeps the networks that are finished.
    """
    start = time.perf_counter()
    bench, room = prepare(params, report)
    return collect(_groups(bench, params, report, room), params, start, report, keep)


def _groups(bench: Bench, params: ImagePairs, report, room: int | None) -> Iterator[list[dict]]:
    pictures = Pictures.of(bench.data, bench.train, params.augmentation(bench.data.shape[-1]))
    network, row = trained_teacher(bench, pictures, params, report)
    yield [row]
    teacher = Teacher(network, pictures.normalisation, bench.switches, row["accuracy"])
    if "distilled" in params.methods and params.teacher == "cached":
        teacher = cached_if_it_fits(teacher, pictures, bench.data.n_classes, params.kept_as, report, room)
    for seed in range(params.seed, params.seed + params.seeds):
        for method in params.methods:
            distils = method == "distilled"
            before = getattr(teacher, "asked", 0)
            student = bench.networks[1].module(seed)
            task = ImageTask(pictures, seed, teacher if distils else None)
            row = trained(student, task, bench, params.recipe(), distillation if distils else hard_labels,
                          Knobs(temperature=params.temperature, alpha=params.alpha))
            steps = params.recipe().total(len(pictures)) / params.recipe().per_epoch(len(pictures))
            asked = (teacher.asked - before) / len(pictures) if isinstance(teacher, CachedTeacher) else steps
            yield [told({"method": method, "network": str(bench.networks[1]), "seed": seed, **row,
                         "passes": asked if distils else 0.0}, report)]
    if isinstance(teacher, CachedTeacher) and params.keep_answers:
        teacher.keep()


def trained_teacher(bench: Bench, pictures: Pictures, params: ImagePairs, report) -> tuple[torch.nn.Module, dict]:
    """The teacher, from the cache if it was trained before, and its row."""
    spec, recipe = bench.networks[0], params.teacher_recipe()
    made_of = {"pictures": pictures.fingerprint, "network": asdict(spec), "recipe": asdict(recipe),
               "objective": "hard labels", "seed": params.teacher_seed, "switches": asdict(bench.switches),
               "test": digest(bench.test), "device": torch.device(params.device).type}

    def make():
        network = spec.module(params.teacher_seed)
        row = trained(network, ImageTask(pictures, params.teacher_seed), bench, recipe, hard_labels, Knobs())
        measured = {f"row.{name}": torch.tensor(value, dtype=torch.float64) for name, value in row.items()}
        return dict(network.state_dict()) | measured

    report(f"Teacher {spec}: {recipe.epochs:g} epochs, {bench.switches} (from the cache if it was trained before).")
    found = cache.load_or_make("image-teacher", made_of, make, device=params.device)
    row = {name.removeprefix("row."): value.item() for name, value in found.items() if name.startswith("row.")}
    network = spec.build().to(params.device)
    network.load_state_dict({name: value for name, value in found.items() if not name.startswith("row.")})
    return network, told({"method": "teacher", "network": str(spec), "seed": params.teacher_seed, **row, "passes": 0.0},
                         report)


def trained(network: torch.nn.Module, task: ImageTask, bench: Bench, recipe: ImageRecipe, objective,
            knobs: Knobs) -> dict[str, float]:
    """Train to the end; what was measured of it."""
    *_, last = image_steps(network, task, objective, knobs, recipe, bench.switches)
    peak = peak_memory(task.pictures.device)
    return {"accuracy": bench.accuracy(network, task.pictures), "loss": last.loss.item(),
            "images_per_second": last.images_per_second, "seconds": last.seconds, "warm_up": last.warm_up,
            "peak_gb": float("nan") if peak is None else peak / 1e9}


def told(row: dict, report: Callable[[str], None]) -> dict:
    report(f"{row['method']}, {row['network']}, seed {row['seed']}: {row['accuracy']:.2f}% of the test images; "
           f"{row['seconds']:.0f} s at {row['images_per_second']:,.0f} images/s, warm-up {row['warm_up']:.0f} s.")
    return row
