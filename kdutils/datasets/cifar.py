"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) in both official layouts: the binary version and the Python pickles.

The binary version is a plain sequence of records, label bytes first (CIFAR-10: one; CIFAR-100: coarse, then fine),
then 1,024 red, 1,024 green and 1,024 blue bytes, row by row. The Python version holds the same pixels as one array in
a dictionary. Fine and coarse names are in alphabetical order in both. https://www.cs.toronto.edu/~kriz/cifar.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from kdutils.datasets.base import Dataset
from kdutils.datasets.files import File, Layout, plain_pickle
from kdutils.errors import ParameterError

PIXELS = 3 * 32 * 32

TEN = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

# The twenty coarse classes of CIFAR-100 and the five fine ones in each, from the owners' table.
COARSE = {
    "aquatic_mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
    "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
    "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
    "food_containers": ("bottle", "bowl", "can", "cup", "plate"),
    "fruit_and_vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
    "household_electrical_devices": ("clock", "keyboard", "lamp", "telephone", "television"),
    "household_furniture": ("bed", "chair", "couch", "table", "wardrobe"),
    "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
    "large_carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
    "large_man-made_outdoor_things": ("bridge", "castle", "house", "road", "skyscraper"),
    "large_natural_outdoor_scenes": ("cloud", "forest", "mountain", "plain", "sea"),
    "large_omnivores_and_herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
    "medium_mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
    "non-insect_invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
    "people": ("baby", "boy", "girl", "man", "woman"),
    "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
    "small_mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
    "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
    "vehicles_1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
    "vehicles_2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
}
HUNDRED = tuple(sorted(name for group in COARSE.values() for name in group))


@dataclass(frozen=True)
class Cifar:
    """What tells the two sets apart: name, classes, label bytes of a binary record, key of a pickle's labels."""

    name: str
    classes: tuple[str, ...]
    label_bytes: int
    key: bytes


CIFAR_10 = Cifar("cifar-10", TEN, 1, b"labels")
CIFAR_100 = Cifar("cifar-100", HUNDRED, 2, b"fine_labels")


def binary_records(path: Path, label_bytes: int) -> NDArray[np.uint8]:
    """The records of a binary file, uint8 (n, label_bytes + 3072), mapped and not read: they cost no memory."""
    record = label_bytes + PIXELS
    if not path.stat().st_size or path.stat().st_size % record:
        raise ParameterError(f"{path} is not a whole number of records of {record:,} bytes: it is cut short or another "
                             "file under this name.")
    return np.memmap(path, np.uint8, mode="r").reshape(-1, record)


def read_binary(cifar: Cifar, paths: Sequence[Path]) -> Dataset:
    """The data set from its binary files, of which the last is the test set."""
    records = [binary_records(path, cifar.label_bytes) for path in paths]
    return _dataset(cifar, paths, [part[:, cifar.label_bytes:] for part in records],
                    [part[:, cifar.label_bytes - 1] for part in records])


def read_python(cifar: Cifar, paths: Sequence[Path]) -> Dataset:
    """The data set from its pickles, of which the last is the test set."""
    pixels, labels = [], []
    for path in paths:
        batch = plain_pickle(path)
        if not isinstance(batch, dict) or b"data" not in batch or cifar.key not in batch:
            raise ParameterError(f"{path} is not a batch of {cifar.name}: it has no {cifar.key.decode()}.")
        data, names = np.asarray(batch[b"data"]), np.asarray(batch[cifar.key])
        if names.ndim != 1 or names.dtype.kind not in "iu":
            raise ParameterError(f"{path} is not a batch of {cifar.name}: its labels are not a list of whole numbers.")
        if data.dtype != np.uint8 or data.shape != (len(names), PIXELS):
            raise ParameterError(f"{path} holds {data.dtype} {data.shape} for {len(names)} labels instead of uint8 "
                                 f"({len(names)}, {PIXELS}).")
        pixels.append(data)
        labels.append(names)
    return _dataset(cifar, paths, pixels, labels)


def _dataset(cifar: Cifar, paths: Sequence[Path], pixels: Sequence[NDArray], labels: Sequence[NDArray]) -> Dataset:
    """One block of images, filled file by file: the only copy of the pixels."""
    for path, part in zip(paths, labels, strict=True):
        if part.min() < 0 or part.max() >= len(cifar.classes):
            raise ParameterError(f"{path} is not a file of {cifar.name}: it has the label {part.max()}, and labels go "
                                 f"from 0 to {len(cifar.classes) - 1}.")
    ends = np.cumsum([len(part) for part in pixels])
    images = torch.empty(int(ends[-1]), 3, 32, 32, dtype=torch.uint8)
    block = images.view(-1, PIXELS).numpy()
    for part, end in zip(pixels, ends, strict=True):
        block[end - len(part): end] = part
    return Dataset(cifar.name, images, torch.from_numpy(np.concatenate(labels).astype(np.int64)), cifar.classes,
                   test=torch.arange(int(ends[-2]), int(ends[-1])))


def _files(folder: str, sums: dict[str, tuple[int, str]]) -> tuple[File, ...]:
    return tuple(File(f"{folder}/{name}", *known) for name, known in sums.items())


# Sizes follow from the format (the pickles' depend on who wrote them). MD5 of the archives as published on the owners'
# page, of the pickles as published by torchvision, of CIFAR-100's binary files as unpacked from the archive.
LAYOUTS_10 = (
    Layout("binary version", _files("cifar-10-batches-bin", {
        "data_batch_1.bin": (30_730_000, "5dd7e06a14cb22eb9f671a540d1b7c25"),
        "data_batch_2.bin": (30_730_000, "5ea93a67294ea407fff1d09f752e9692"),
        "data_batch_3.bin": (30_730_000, "942cd6a4bcdd0dd3c604fbe906cb4421"),
        "data_batch_4.bin": (30_730_000, "ae636b3ba5c66a11e91e8cb52e771fcb"),
        "data_batch_5.bin": (30_730_000, "53f37980c15c3d472c316c40844f3f0d"),
        "test_batch.bin": (30_730_000, "803d5f7f4d78ea53de84dbe85f74fb6d"),
    }), partial(read_binary, CIFAR_10)),
    Layout("Python version", _files("cifar-10-batches-py", {
        "data_batch_1": (None, "c99cafc152244af753f735de768cd75f"),
        "data_batch_2": (None, "d4bba439e000b95fd0a9bffe97cbabec"),
        "data_batch_3": (None, "54ebc095f3ab1f0389bbae665268c751"),
        "data_batch_4": (None, "634d18415352ddfa80567beed471001a"),
        "data_batch_5": (None, "482c414d41f54cd18b22e5b47cb7c3cb"),
        "test_batch": (None, "40351d587109b95175f43aff81a1287e"),
    }), partial(read_python, CIFAR_10)),
)
LAYOUTS_100 = (
    Layout("binary version", _files("cifar-100-binary", {
        "train.bin": (153_700_000, "e207cd2e05b73b1393c74c7f5e7bea451d63e08e"),
        "test.bin": (30_740_000, "8fb6623e830365ff53cf14adec797474f5478006"),
    }), partial(read_binary, CIFAR_100)),
    Layout("Python version", _files("cifar-100-python", {
        "train": (None, "16019d7e3df5f24257cddd939b257f8d"),
        "test": (None, "f0ef6b0ae62326f3e7ffdfab6717acfc"),
    }), partial(read_python, CIFAR_100)),
)
