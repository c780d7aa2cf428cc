"""Which data sets there are, where they lie, and how they are loaded or fetched."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from sklearn.datasets import load_digits

from kdutils.datasets.base import Dataset
from kdutils.errors import ParameterError, one_of


@dataclass(frozen=True)
class Card:
    """What a reader should know of a data set before using it."""

    name: str
    title: str
    images: int
    size: str
    download_mb: float
    licence: str
    source: str
    read: Callable[[Path], Dataset]
    fetch: Callable[[Path], None] | None = None

    @property
    def embedded(self) -> bool:
        """True where nothing needs to be downloaded."""
        return self.fetch is None


def _digits(_: Path) -> Dataset:
    bunch = load_digits()
    images = torch.from_numpy(bunch.images).to(torch.uint8)[:, None]
    return Dataset("digits", images, torch.from_numpy(bunch.target).long(), tuple("0123456789"), full_scale=16)


def _torchvision(class_name: str, name: str) -> tuple[Callable[[Path], Dataset], Callable[[Path], None]]:
    """`read` and `fetch` for the sets torchvision keeps in MNIST's layout; it checks their MD5 sums itself."""

    def parts(folder: Path, download: bool = False):
        import torchvision

        make = getattr(torchvision.datasets, class_name)
        return [make(str(folder), train=train, download=download) for train in (True, False)]

    def read(folder: Path) -> Dataset:
        train, test = parts(folder)
        images = torch.cat([train.data, test.data])[:, None]
        official_test = torch.arange(len(train), len(train) + len(test))
        return Dataset(name, images, torch.cat([train.targets, test.targets]), tuple(train.classes), test=official_test)

    return read, lambda folder: parts(folder, download=True) and None


CARDS = {card.name: card for card in (
    Card("digits", "Optical recognition of handwritten digits (test part), 8x8", 1_797, "8x8 grey", 0.0, "CC BY 4.0",
         "UCI Machine Learning Repository; shipped with scikit-learn", _digits),
    Card("mnist", "MNIST handwritten digits", 70_000, "28x28 grey", 11.6, "CC BY-SA 3.0",
         "LeCun, Cortes, Burges; through torchvision", *_torchvision("MNIST", "mnist")),
    Card("fashion-mnist", "Fashion-MNIST articles of clothing", 70_000, "28x28 grey", 30.9, "MIT",
         "Xiao, Rasul, Vollgraf 2017 (Zalando); through torchvision", *_torchvision("FashionMNIST", "fashion-mnist")),
)}


# What torchvision raises for files that are missing, cut short, or not what they should be.
_UNREADABLE = (RuntimeError, OSError, ValueError, AssertionError)


def root() -> Path:
    """Where downloads lie: KDUTILS_DATA, else the `data` folder of the course, else `data` in the working folder."""
    if chosen := os.environ.get("KDUTILS_DATA"):
        return Path(chosen).expanduser()
    beside = Path(__file__).parents[2] / "data"
    return beside if beside.is_dir() else Path("data")


def available(name: str) -> bool:
    """True if the data set can be loaded now, without a network."""
    card = CARDS[one_of("data set", name, CARDS)]
    if card.embedded:
        return True
    try:
        _load_from(name, root())
    except _UNREADABLE:
        return False
    return True


def load(name: str = "digits", device: str | torch.device = "cpu") -> Dataset:
    """The data set of this name, whole, on `device`. Never downloads: absent data say what to run."""
    card = CARDS[one_of("data set", name, CARDS)]
    try:
        data = _load_from(name, root())
    except _UNREADABLE as error:
        if "not found" not in str(error):  # torchvision's words for files that are not there
            raise ParameterError(f"The files of {name} in {root()} are damaged; delete them and fetch the data set "
                                 f"again with `kdutils data get {name}`.") from error
        raise ParameterError(f"The data set {name} is not in {root()}; fetch it ({card.download_mb:g} MB) with "
                             f"`kdutils data get {name}`, or set KDUTILS_DATA to where it lies.") from error
    try:
        return data.to(device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        raise ParameterError(f"device must be one that torch can use here, such as cpu, got {device!s}.") from error


def get(name: str) -> Path:
    """Download a data set into `root()` with a progress bar; checksums are verified. Returns the folder."""
    card = CARDS[one_of("data set", name, CARDS)]
    if not card.embedded:
        try:
            card.fetch(root())
        except _UNREADABLE as error:
            raise ParameterError(f"The data set {name} could not be fetched into {root()} ({error}); check the "
                                 "network, delete damaged files there, and run the command again.") from error
    return root()


@cache
def _load_from(name: str, folder: Path) -> Dataset:
    return CARDS[name].read(folder)
