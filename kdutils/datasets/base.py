"""The shape of a data set: images and labels as two tensors on one device."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from kdutils.errors import ParameterError


@dataclass(frozen=True, eq=False)
class Dataset:
    """N labelled images, whole, on one device.

    images: uint8 (N, channels, height, width), 0 .. full_scale.
    labels: int64 (N,), 0 .. len(classes) - 1.
    test:   int64 indices of the official test images, or None where the owners made no split.
    hidden: int64 (N,), the labels before a relabelling that a student must not see, or None.
    hidden_classes: their names, or None.
    """

    name: str
    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    full_scale: int = 255
    test: Tensor | None = None
    hidden: Tensor | None = None
    hidden_classes: tuple[str, ...] | None = None

    def __post_init__(self):
        if self.images.ndim != 4 or self.images.dtype != torch.uint8:
            kind = f"{self.images.dtype} {tuple(self.images.shape)}"
            raise ParameterError(f"images must be uint8 (N, channels, height, width), got {kind}.")
        if self.labels.shape != (len(self.images),) or self.labels.dtype != torch.int64:
            kind = f"{self.labels.dtype} {tuple(self.labels.shape)}"
            raise ParameterError(f"labels must be int64 ({len(self.images)},), got {kind}.")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        return tuple(self.images.shape[1:])

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    @cached_property
    def inputs(self) -> Tensor:
        """The images as float32 in 0..1, (N, channels, height, width): kept, at four times the images' memory."""
        return self.images.float() / self.full_scale

    def to(self, device: str | torch.device) -> "Dataset":
        """The same data set on another device."""
        moved = {name: value.to(device) for name in ("images", "labels", "test", "hidden")
                 if (value := getattr(self, name)) is not None}
        return replace(self, **moved)

    @cached_property
    def fingerprint(self) -> str:
        """12 hex digits of the content: part of every cache key."""
        digest = hashlib.sha256(self.images.cpu().contiguous().numpy())
        digest.update(self.labels.cpu().contiguous().numpy())
        digest.update(repr((self.full_scale, None if self.test is None else self.test.tolist())).encode())
        if self.hidden is not None:
            digest.update(self.hidden.cpu().contiguous().numpy())
        return digest.hexdigest()[:12]


@dataclass(frozen=True, eq=False)
class Split:
    """Indices into a data set: what may be trained on, and what is only ever measured."""

    pool: Tensor
    test: Tensor


def take(values: Tensor, index: Tensor) -> Tensor:
    """values[index] by index_select, several times faster on a CPU: (N, ...), (M, B) -> (M, B, ...)."""
    return values.index_select(0, index.flatten()).unflatten(0, index.shape)
