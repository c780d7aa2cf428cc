"""Files as the owners of data sets publish them, with made-up content."""

import struct

import numpy as np

from kdutils.datasets import CARDS, cifar

TO_FETCH = [name for name, card in CARDS.items() if card.downloads]
RANDOM = np.random.default_rng(0)


def idx_file(array):
    """The format MNIST's owners distribute: magic number, sizes, bytes."""
    return struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()


def made_idx(n=(30, 10)):
    """Images and labels of the two parts, and the four files that hold them."""
    arrays = [array for size in n for array in (RANDOM.integers(0, 256, (size, 28, 28), np.uint8),
                                                RANDOM.integers(0, 10, size, np.uint8))]
    return arrays, [idx_file(array) for array in arrays]


def made_cifar(sizes, classes):
    """Pixels (n, 3072), fine labels and, where there are 100, the coarse ones, of every file."""
    coarse_of = [list(cifar.COARSE).index(group) for fine in cifar.HUNDRED
                 for group, members in cifar.COARSE.items() if fine in members]
    for n in sizes:
        labels = RANDOM.integers(0, classes, n)
        coarse = np.array(coarse_of)[labels] if classes == 100 else None
        yield RANDOM.integers(0, 256, (n, 3072), np.uint8), labels, coarse


def binary_file(pixels, labels, coarse):
    columns = [part[:, None].astype(np.uint8) for part in (coarse, labels) if part is not None]
    return np.concatenate([*columns, pixels], 1).tobytes()
