"""The authors' ImageNet recipe on a folder of pictures: for a GPU and patience.

    FOLDER/train/CLASS/*.jpg, FOLDER/val/CLASS/*.jpg        any pictures, the same classes in both

A ResNet-18 learns from a larger network of torchvision: 100 epochs, T = 4, m = 2, random crops. Source: skd_main.py and
the README of the authors' repository for arXiv 2010.07485. Where these two differ we chose: the learning rate is the
code's 0.1 (the README's command has 0.01), the teacher the ResNet-34 of the code's last version (the first one had a
ResNet-50; which of them gave the published 73.0% is not known to us). Start it with

    kdutils sweep spherical_distillation.image_folder --set folder=/data/imagenet --set device=cuda
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from kdutils import rng
from kdutils.cohorts import collect
from kdutils.datasets.catalog import root, usable_device
from kdutils.errors import ParameterError, between, one_of, positive, sound, whole
from kdutils.objectives import distillation, hard_labels, spherical_distillation
from kdutils.results import Results

METHODS = {"SKD": spherical_distillation, "KD": distillation, "hard labels": hard_labels}
PUBLISHED = "published"     # torchvision's own weights of the teacher, fetched by torchvision
RATE_STEPS = (0.3, 0.6, 0.8, 0.9)                   # the learning rate falls to a tenth at epochs 30, 60, 80 and 90
ALPHA_STEPS = ((0.0, 0.9), (0.6, 0.5), (0.8, 0.1))  # alpha from epochs 0, 60 and 80 on
AREA, RATIO = (0.1, 1.0), (0.8, 1.25)               # of a random crop
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's channels, as torchvision's networks expect
AUXILIARY = ("googlenet", "inception_v3")           # whose output in training is more than logits


@dataclass(frozen=True)
class ImageFolder:
    """The authors' recipe; T, m and the steps of alpha are theirs."""

    folder: str = "imagenet"            # with train/ and val/; one that is not absolute lies in the data folder
    teacher: str = "resnet34"           # a classifier of torchvision.models
    weights: str = PUBLISHED            # of the teacher: a file (.pth or .safetensors), or "published" to fetch them
    student: str = "resnet18"           # another of torchvision.models, trained from its start
    methods: tuple[str, ...] = ("SKD",)  # of "SKD", "KD" and "hard labels", one student after the other
    temperature: float = 4.0            # of the distilled students
    m: float = 2.0                      # the scale of the sphere, a standard deviation over the classes
    epochs: int = 100                   # the steps of the learning rate and of alpha are parts of it
    batch: int = 256                    # pictures a step
    lr: float = 0.1                     # of SGD; a tenth of it after each of the recipe's steps
    momentum: float = 0.9               # of SGD
    weight_decay: float = 1e-4          # of SGD
    crop: int = 224                     # pixels of a side; test pictures are first resized to 8/7 of it
    workers: int = 8                    # processes that read pictures
    half: bool = True                   # bfloat16 where the device is a GPU
    seeds: int = 1                      # students of each method
    seed: int = 0                       # the first seed
    device: str = "cpu"                 # of torch

    def __post_init__(self):
        sound(self)
        for name in ("seeds", "epochs"):
            whole(name, getattr(self, name), 1)
        whole("batch", self.batch, 2, why="batch norm needs two")
        whole("crop", self.crop, 32)
        whole("workers", self.workers, 0, 256)
        for name in ("temperature", "m", "lr"):
            positive(name, getattr(self, name))
        between("momentum", self.momentum, 0, 1)
        between("weight decay", self.weight_decay, 0, 1)
        whole("number of methods", len(self.methods), 1)
        for method in self.methods:
            one_of("method", method, METHODS)


DEFAULT = ImageFolder()


@dataclass(frozen=True, eq=False)
class Bench:
    """The pictures of both folders, as torchvision's ImageFolder reads them, the teacher, and where all is computed."""

    train: torch.utils.data.Dataset
    val: torch.utils.data.Dataset
    teacher: nn.Module | None
    device: torch.device

    @property
    def classes(self) -> int:
        return len(self.train.classes)


def prepare(params: ImageFolder) -> Bench:
    """Pictures and teacher; refuses what cannot be run before anything is trained."""
    device = usable_device(params.device)
    for name in (params.teacher, params.student):
        one_of("network", name, known_networks())
    train, val = pictures(Path(root(), Path(params.folder).expanduser()), params.crop)
    if len(train) < 2:
        raise ParameterError(f"train must hold at least 2 pictures, got {len(train)}.")
    teacher = None if params.methods == ("hard labels",) else taught(params, len(train.classes)).to(device)
    return Bench(train, val, teacher, device)


def run(params: ImageFolder, report: Callable[[str], None] = lambda line: None,
        keep: Callable[[Results], None] = lambda results: None) -> Results:
    """A row per network and epoch: method ("teacher" or one of METHODS), seed, epoch (from 1; 0 for the teacher),
    accuracy (top 1 of all of val, percent), loss (mean of the epoch), alpha, lr, seconds. The last epoch counts: val
    chooses nothing.

    `keep` is called with what there is after every epoch; an interrupt keeps the epochs that are finished.
    """
    start = time.perf_counter()
    return collect(_groups(prepare(params), params, report), params, start, report, keep)


def alpha_at(done: float) -> float:
    """The weight of the teacher's term when this part of the epochs is done, 0 <= done < 1."""
    return [alpha for edge, alpha in ALPHA_STEPS if done >= edge][-1]


def rate_at(done: float) -> float:
    """What the learning rate is multiplied with."""
    return 0.1 ** sum(done >= edge for edge in RATE_STEPS)


def known_networks() -> list[str]:
    """The classifiers of torchvision whose output is logits."""
    from torchvision import models

    return [name for name in models.list_models(module=models) if name not in AUXILIARY]


def pictures(folder: Path, crop: int) -> tuple:
    """The training and the test pictures of a folder, with the authors' crops; ParameterError if they do not fit.

    Training: a random part of the picture (area and ratio as above) at crop x crop, mirrored half of the time. Test:
    the short side at 8/7 of the crop, then the middle.
    """
    from torchvision import datasets, transforms

    ending = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    views = {"train": [transforms.RandomResizedCrop(crop, AREA, RATIO), transforms.RandomHorizontalFlip()],
             "val": [transforms.Resize(crop * 8 // 7), transforms.CenterCrop(crop)]}
    found = {}
    for part, view in views.items():
        if not (folder / part).is_dir():
            raise ParameterError(f"folder must hold train and val, in each a folder of pictures per class; there is no "
                                 f"{folder / part}.")
        try:
            found[part] = datasets.ImageFolder(folder / part, transforms.Compose(view + ending), loader=_picture)
        except FileNotFoundError as error:  # torchvision's word for no classes, or a class without pictures
            raise ParameterError(f"{folder / part} must hold a folder of pictures per class; "
                                 f"{str(error).split('. ')[0]}.") from error
    train, val = (set(found[part].classes) for part in views)
    if train != val:
        raise ParameterError(f"train and val must have the same classes; got {_some(train - val)} in train alone, "
                             f"{_some(val - train)} in val alone.")
    whole("classes", len(train), 2, why="a folder for each, in train and in val")
    return found["train"], found["val"]


def taught(params: ImageFolder, classes: int) -> nn.Module:
    """The teacher with its weights, for evaluation; ParameterError if they are another network's or other classes'."""
    from torchvision import models

    if params.weights == PUBLISHED:
        published = models.get_model_weights(params.teacher).DEFAULT
        known = len(published.meta["categories"])
        if known != classes:
            raise ParameterError(f"published weights know {known:,} classes and the folder has {classes:,}; give the "
                                 "file of a teacher of these classes as weights.")
        return models.get_model(params.teacher, weights=published).eval()
    network = models.get_model(params.teacher, weights=None, num_classes=classes)
    path = Path(params.weights).expanduser()
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            values = load_file(path)
        else:
            values = torch.load(path, "cpu", weights_only=True)
        network.load_state_dict(values)
    except Exception as error:  # a damaged file fails in ways of its own
        raise ParameterError(f"weights must be a file with the state of a {params.teacher} of {classes:,} classes, got "
                             f"{params.weights!r} ({' '.join(str(error).split())[:120]}).") from error
    return network.eval()


# ---- training ------------------------------------------------------------------------------------------------------

def _groups(bench: Bench, params: ImageFolder, report) -> Iterator[list[dict]]:
    seeds = range(params.seed, params.seed + params.seeds)
    if bench.teacher is not None:
        accuracy = measured(bench.teacher, bench, params)
        report(f"Teacher {params.teacher}: {accuracy:.2f}% of {len(bench.val):,} test pictures.")
        yield [{"method": "teacher", "seed": seed, "epoch": 0, "accuracy": accuracy} for seed in seeds]
    for seed in seeds:
        for method in params.methods:
            for row in epochs(student_of(params, seed, bench), method, seed, bench, params):
                report(f"{method}, seed {seed}, epoch {row['epoch']} of {params.epochs}: {row['accuracy']:.2f}%, loss "
                       f"{row['loss']:.3f}, {row['seconds']:.0f} s.")
                yield [row]


def student_of(params: ImageFolder, seed: int, bench: Bench) -> nn.Module:
    """A student before its first step, the same for every method of a seed."""
    from torchvision import models

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(rng.derive(seed, "init"))
        return models.get_model(params.student, weights=None, num_classes=bench.classes).to(bench.device)


def epochs(student: nn.Module, method: str, seed: int, bench: Bench, params: ImageFolder) -> Iterator[dict]:
    """Train the student; a row after every epoch. Order and crops follow from the seed, not from the method."""
    optimiser = torch.optim.SGD(student.parameters(), params.lr, params.momentum, weight_decay=params.weight_decay)
    for epoch in range(params.epochs):
        start, done = time.perf_counter(), epoch / params.epochs
        knobs = {"temperature": params.temperature, "m": params.m, "alpha": alpha_at(done)}
        lr = optimiser.param_groups[0]["lr"] = params.lr * rate_at(done)
        loss = one_epoch(student, optimiser, METHODS[method], knobs, rng.derive(seed, f"epoch {epoch}"), bench, params)
        yield {"method": method, "seed": seed, "epoch": epoch + 1, "accuracy": measured(student, bench, params),
               "loss": loss, "alpha": None if method == "hard labels" else knobs["alpha"], "lr": lr,
               "seconds": time.perf_counter() - start}


def one_epoch(student: nn.Module, optimiser: torch.optim.Optimizer, objective: Callable, knobs: dict, seed: int,
              bench: Bench, params: ImageFolder) -> float:
    """Once through the training pictures, a short last batch left out; the mean loss."""
    batch = min(params.batch, len(bench.train))
    total, steps = torch.zeros((), device=bench.device), 0
    student.train()
    with torch.random.fork_rng(devices=[]):     # the crops draw from torch's own generator
        torch.default_generator.manual_seed(seed)
        for images, labels in _loader(bench.train, batch, params, shuffle=True, drop_last=True):
            images, labels = (values.to(bench.device, non_blocking=True) for values in (images, labels))
            teacher = {}
            if objective is not hard_labels:
                with torch.no_grad():
                    teacher = {"logits": _logits(bench.teacher, images, params)}    # about the student's own crop
            loss = objective({"logits": _logits(student, images, params)}, teacher, labels, knobs)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total, steps = total + loss.detach(), steps + 1
    return (total / steps).item() if steps else math.nan


@torch.no_grad()
def measured(network: nn.Module, bench: Bench, params: ImageFolder) -> float:
    """Top-1 accuracy on all test pictures, in percent."""
    network.eval()
    right = torch.zeros((), device=bench.device)
    for images, labels in _loader(bench.val, params.batch, params):
        logits = _logits(network, images.to(bench.device), params)
        right += (logits.argmax(-1) == labels.to(bench.device)).sum()
    return 100 * right.item() / len(bench.val)


def _logits(network: nn.Module, images: Tensor, params: ImageFolder) -> Tensor:
    """Logits (B, C) in single precision."""
    device = images.device.type
    with torch.autocast(device, torch.bfloat16, enabled=params.half and device == "cuda"):
        return network(images).float()


def _loader(pictures, batch: int, params: ImageFolder, **how) -> torch.utils.data.DataLoader:
    return torch.utils.data.DataLoader(pictures, batch, num_workers=params.workers,
                                       pin_memory=torch.device(params.device).type == "cuda", **how)


def _picture(path: str):
    """A picture in three colours; ParameterError if the file is none."""
    from torchvision.datasets.folder import pil_loader

    try:
        return pil_loader(path)
    except (OSError, SyntaxError) as error:     # Pillow's words for a file that is no picture
        raise ParameterError(f"{path} is not a picture that can be read.") from error


def _some(names: set[str]) -> str:
    """The first names of a set, in a few words."""
    listed = sorted(names)
    return ", ".join(listed[:3]) + ", ..." * (len(listed) > 3) if listed else "none"
