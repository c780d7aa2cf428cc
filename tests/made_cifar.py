"""A made CIFAR-100 of a few images a class, in the owners' binary layout, and the card that makes it the real one."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from kdutils.datasets import CARDS, Card, cifar
from kdutils.datasets.files import File


def made_hundred(folder: Path, train: int = 20, test: int = 3) -> Card:
    """Write `train` and `test` images of each class, noise around a colour of the class's own; the card for them."""
    coarse_of = {fine: number for number, group in enumerate(cifar.COARSE.values()) for fine in group}
    coarse = np.array([coarse_of[fine] for fine in cifar.HUNDRED], np.uint8)
    random, layout = np.random.default_rng(0), CARDS["cifar-100"].layouts[0]
    colours, files = random.integers(0, 200, (100, 3)), []
    for file, each in zip(layout.files, (train, test), strict=True):
        fine = np.tile(np.arange(100, dtype=np.uint8), each)
        pixels = np.repeat(colours[fine], 1024, 1) + random.integers(0, 56, (len(fine), 3072))
        content = np.concatenate([coarse[fine][:, None], fine[:, None], pixels.astype(np.uint8)], 1).tobytes()
        (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / file.path).write_bytes(content)
        files.append(File(file.path, len(content), hashlib.md5(content).hexdigest()))
    return replace(CARDS["cifar-100"], layouts=(replace(layout, files=tuple(files)), *CARDS["cifar-100"].layouts[1:]))
