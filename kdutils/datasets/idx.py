"""MNIST and Fashion-MNIST in MNIST's own layout (idx), packed as their owners distribute it or unpacked.

An idx file of bytes is a magic number (0x0800 + number of dimensions), the sizes as big-endian 32-bit integers, and
the values. The folders are those torchvision uses, so that either finds what the other has fetched.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kdutils.datasets.base import Dataset
from kdutils.datasets.files import File, Layout
from kdutils.errors import ParameterError

DIGITS = ("0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six", "7 - seven", "8 - eight",
          "9 - nine")
GARMENTS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def read_idx(path: Path, dimensions: int) -> Tensor:
    """The uint8 array of an idx file, packed or not, with this number of dimensions."""
    try:
        content = (gzip.open if path.suffix == ".gz" else open)(path, "rb").read()
        magic, *shape = struct.unpack_from(f">{1 + dimensions}I", content)
    except (EOFError, gzip.BadGzipFile, zlib.error, struct.error) as error:
        raise ParameterError(f"{path} is damaged, cut short or not an idx file.") from error
    if magic != 0x0800 + dimensions:
        raise ParameterError(f"{path} is not an idx file of bytes in {dimensions} dimensions.")
    values = np.frombuffer(content, np.uint8, offset=4 * (1 + dimensions))
    if len(values) != math.prod(shape):  # of Python's whole numbers: NumPy's overflow
        raise ParameterError(f"{path} is cut short or damaged: {len(values):,} values instead of {math.prod(shape):,}.")
    return torch.from_numpy(values.reshape(shape).copy())


def _read(name: str, classes: tuple[str, ...], paths: Sequence[Path]) -> Dataset:
    train, test = read_idx(paths[0], 3), read_idx(paths[2], 3)
    labels = torch.cat([read_idx(paths[1], 1), read_idx(paths[3], 1)]).long()
    return Dataset(name, torch.cat([train, test])[:, None], labels, classes,
                   test=torch.arange(len(train), len(train) + len(test)))


def _layouts(name: str, classes: tuple[str, ...], folder: str, unpacked: Sequence[str],
             packed: Sequence[tuple[int, str]]) -> tuple[Layout, Layout]:
    """Unpacked and packed: checksums, and sizes where they do not follow from the format, in the order of PARTS."""
    read = partial(_read, name, classes)
    return (Layout("unpacked", tuple(File(f"{folder}/raw/{part}", size, md5)
                                     for (part, size), md5 in zip(PARTS.items(), unpacked, strict=True)), read),
            Layout("packed", tuple(File(f"{folder}/raw/{part}.gz", *known)
                                   for part, known in zip(PARTS, packed, strict=True)), read))


# The four files of a set, and the bytes of each.
PARTS = {"train-images-idx3-ubyte": 47_040_016, "train-labels-idx1-ubyte": 60_008,
         "t10k-images-idx3-ubyte": 7_840_016, "t10k-labels-idx1-ubyte": 10_008}

# MD5 of the packed files as published by torchvision (and, for Fashion-MNIST, by its owners).
MNIST = _layouts("mnist", DIGITS, "MNIST", (
    "6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624",
    "2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637",
), (
    (9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"), (28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
    (1_648_877, "9fb629c4189551a2d022fa330f9573f3"), (4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
))
FASHION = _layouts("fashion-mnist", GARMENTS, "FashionMNIST", (
    "f4a8712d7a061bf5bd6d2ca38dc4d50a", "9018921c3c673c538a1fc5bad174d6f9",
    "8181f5470baa50b63fa0f6fddb340f0a", "15d484375f8d13e6eb1aabb0c3f46965",
), (
    (26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"), (29_515, "25c81989df183df01b3e8a0aad5dffbe"),
    (4_422_102, "bef4ecab320f06d8554ea6380940ec79"), (5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
))
