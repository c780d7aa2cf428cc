"""SVHN, cropped digits (Netzer and others 2011), in the owners' layout: one MATLAB file for each part."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from kdutils.datasets.base import Dataset
from kdutils.datasets.files import File, Layout
from kdutils.errors import ParameterError


def read(paths: Sequence[Path]) -> Dataset:
    """The data set from train_32x32.mat and test_32x32.mat.

    `X` is uint8 (height, width, colour, n) and `y` has labels 1 .. 10, where 10 is the digit 0: here it is 0.
    """
    parts = [_part(path) for path in paths]
    labels = torch.from_numpy(np.concatenate([labels for _, labels in parts]).astype(np.int64)) % 10
    n_train = len(parts[0][1])
    images = torch.empty(len(labels), 3, 32, 32, dtype=torch.uint8)
    for block, (pixels, _) in zip((images[:n_train], images[n_train:]), parts, strict=True):
        block.copy_(torch.from_numpy(pixels).permute(3, 2, 0, 1))
    return Dataset("svhn", images, labels, tuple("0123456789"), test=torch.arange(n_train, len(labels)))


def _part(path: Path):
    from scipy.io import loadmat

    try:
        content = loadmat(path, variable_names=["X", "y"])
        pixels, labels = content["X"], content["y"].reshape(-1)
    except Exception as error:  # a damaged MATLAB file raises whatever the place of the damage leads to
        raise ParameterError(f"{path} is not a MATLAB file with the arrays X and y.") from error
    if pixels.dtype != np.uint8 or pixels.shape != (32, 32, 3, len(labels)):
        raise ParameterError(f"{path} holds X as {pixels.dtype} {pixels.shape} for {len(labels)} labels instead of "
                             f"uint8 (32, 32, 3, {len(labels)}).")
    if not len(labels) or labels.min() < 1 or labels.max() > 10:
        raise ParameterError(f"{path} is not a file of svhn: its labels must be 1 to 10.")
    return pixels, labels


# Sizes and MD5 as published by torchvision; the third part, `extra`, belongs to neither training nor test set here.
LAYOUTS = (Layout("cropped digits", (
    File("train_32x32.mat", 182_040_794, "e26dedcc434d2e4c54c9b2d4a06d8373"),
    File("test_32x32.mat", 64_275_384, "eb5a983be6a315427106f1b164d9cef3"),
), read),)
