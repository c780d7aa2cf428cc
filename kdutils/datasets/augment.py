"""Augmentation in batches, on the images' own device: crops and flips as numbered views, cutout, mixup, cutmix.

All functions take images (..., B, c, h, w): (B, ...) for one network, (M, B, ...) for a population whose members see
different pictures. What is random is drawn beforehand on the CPU, from a stream per seed and purpose, and handed in:
the same seed gives the same pictures on every device, and the functions here are deterministic.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kdutils import rng
from kdutils.datasets.base import Dataset
from kdutils.errors import ParameterError, at_least, positive, whole


@dataclass(frozen=True)
class Augmentation:
    """What is done to a training image.

    pad: black pixels around it, of which a crop of its own size is taken; flip: mirrored or not, even odds. These two
    have finitely many outcomes, the *views*: (2 pad + 1)^2, twice with flip; 162 for pad 4.
    cutout: side of a hole in pixels; mixup, cutmix: a of Beta(a, a), at most one of them. 0 switches each off.
    """

    pad: int = 4
    flip: bool = True
    cutout: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self):
        for name in ("pad", "cutout"):
            object.__setattr__(self, name, whole(name, getattr(self, name), 0))
        for name in ("mixup", "cutmix"):
            at_least(name, getattr(self, name), 0)
        if self.mixup and self.cutmix:
            raise ParameterError(f"mixup and cutmix cannot both be on, got {self.mixup:g} and {self.cutmix:g}.")

    @property
    def views(self) -> int:
        """How many pictures crop and flip can make of one image."""
        return (2 * self.pad + 1) ** 2 * (2 if self.flip else 1)

    @property
    def finite(self) -> bool:
        """True if a picture is known by (image, view): the condition for keeping a teacher's answers."""
        return not (self.cutout or self.mixup or self.cutmix)


NONE = Augmentation(pad=0, flip=False)


@dataclass(frozen=True, eq=False)
class AugmentationParams:
    """Everything random about S steps of M members with batches of B, on the CPU until moved.

    view (S, M, B): 0 .. views - 1. centre (S, M, B, 2): of the cutout hole. weight (S, M): of an image in its mixture,
    the rest is its partner's (S, M, B), a permutation of the batch. box (S, M, 4): top, bottom, left, right of the
    rectangle that cutmix takes from the partner. None where switched off.
    """

    view: Tensor
    centre: Tensor | None = None
    weight: Tensor | None = None
    partner: Tensor | None = None
    box: Tensor | None = None

    def __len__(self) -> int:
        return len(self.view)

    def each(self, change) -> "AugmentationParams":
        """`change` applied to everything that is there: moved to a device, or one step picked."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return AugmentationParams(**{name: None if value is None else change(value) for name, value in values.items()})


class AugmentationSampler:
    """The streams of M members: each seed and purpose has its own, so that switching one on never moves another."""

    def __init__(self, augmentation: Augmentation, seeds: Sequence[int], size: tuple[int, int]):
        self.augmentation, self.size = augmentation, size
        self._views, self._holes = ([rng.generator(seed, use) for seed in seeds] for use in ("view", "cutout"))
        self._mixtures = [np.random.default_rng(rng.derive(seed, "mixture")) for seed in seeds]

    def draw(self, steps: int, batch: int) -> AugmentationParams:
        """The next `steps` steps."""
        how, (height, width) = self.augmentation, self.size
        view = torch.stack([torch.randint(how.views, (steps, batch), generator=one) for one in self._views], 1)
        centre = weight = partner = box = None
        if how.cutout:
            centre = torch.stack([(torch.rand(steps, batch, 2, generator=one) * torch.tensor([height, width])).long()
                                  for one in self._holes], 1)
        if how.mixup or how.cutmix:
            a = how.mixup or how.cutmix
            weight = torch.from_numpy(np.stack([one.beta(a, a, steps) for one in self._mixtures], 1)).float()
            middle = np.stack([one.random((steps, 2)) for one in self._mixtures], 1)
            partner = torch.from_numpy(np.stack([one.permuted(np.tile(np.arange(batch), (steps, 1)), axis=1)
                                                 for one in self._mixtures], 1))
        if how.cutmix:
            box = rectangle(weight, torch.from_numpy(middle), height, width)
            weight = kept(box, height, width)
        return AugmentationParams(view, centre, weight, partner, box)


class ImageStore:
    """Images that stay on their device as bytes, ready to be cut: one index operation per batch.

    Each image lies there with its black border, channels last, and so does its mirror image: a crop, mirrored or not,
    is then a window into one long row of pixels that starts at a computed place. Takes
    2 N c (h + 2 pad)(w + 2 pad) bytes, half of it without flip: `ImageStore.bytes`.
    """

    def __init__(self, images: Tensor, augmentation: Augmentation):
        self.count, self.shape, self.augmentation = len(images), tuple(images.shape[1:]), augmentation
        pad, (channels, height, width) = augmentation.pad, self.shape
        tall, wide = height + 2 * pad, width + 2 * pad
        mirrors = 2 if augmentation.flip else 1
        store = torch.zeros(mirrors * len(images), tall, wide, channels, dtype=torch.uint8, device=images.device)
        for number in range(mirrors):
            part = store[number * len(images):(number + 1) * len(images), pad:pad + height, pad:pad + width]
            part.copy_((images.flip(-1) if number else images).movedim(1, -1))
        # windows[i] is the picture whose first pixel is pixel i of the whole store; they overlap, nothing is copied.
        starts = store.numel() // channels - ((height - 1) * wide + width - 1)
        self.windows = store.view(-1).as_strided((starts, height, width * channels), (channels, wide * channels, 1))
        self.tall, self.wide = tall, wide

    @staticmethod
    def bytes(images: int, shape: tuple[int, int, int], augmentation: Augmentation) -> int:
        """Memory of the store."""
        channels, height, width = shape
        pad = 2 * augmentation.pad
        return images * channels * (height + pad) * (width + pad) * (2 if augmentation.flip else 1)

    def take(self, index: Tensor, view: Tensor) -> Tensor:
        """Pictures of images `index` (..., B) in views (..., B): uint8 (..., B, c, h, w), channels last in memory."""
        flip, top, left = outcome(view, self.augmentation.pad)
        left = torch.where(flip, 2 * self.augmentation.pad - left, left)  # the same crop, seen in the mirror
        start = ((flip * self.count + index) * self.tall + top) * self.wide + left
        channels, height, width = self.shape
        found = self.windows.index_select(0, start.flatten())
        return found.view(*index.shape, height, width, channels).movedim(-1, -3)


def outcome(view: Tensor, pad: int) -> tuple[Tensor, Tensor, Tensor]:
    """What a view number means: flip (bool), and top and left of the crop in the padded image, 0 .. 2 pad.

    view = (flip * side + top) * side + left with side = 2 pad + 1. The image as it is: top = left = pad, no flip.
    """
    side = 2 * pad + 1
    return view >= side**2, view // side % side, view % side


def crop_flip(images: Tensor, view: Tensor, pad: int) -> Tensor:
    """Images (..., B, c, h, w) cropped and mirrored as `view` (..., B) says, black outside."""
    flat, height, width = images.flatten(0, -4), *images.shape[-2:]
    flip, top, left = (part.flatten() for part in outcome(view, pad))
    rows = top[:, None] + torch.arange(height, device=view.device)
    columns = torch.arange(width, device=view.device)
    columns = left[:, None] + torch.where(flip[:, None], width - 1 - columns, columns)
    padded = F.pad(flat, (pad,) * 4)
    each = torch.arange(len(flat), device=view.device)[:, None, None]
    return padded.movedim(1, -1)[each, rows[:, :, None], columns[:, None, :]].movedim(-1, 1).reshape(images.shape)


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, of images in 0..1. Every network carries its own."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    full_scale: int = 255

    @classmethod
    def of(cls, data: Dataset, index: Tensor) -> "Normalisation":
        """Measured on the images `index`, which should be training images."""
        counts = torch.zeros(data.shape[0], 256, dtype=torch.float64)
        for part in index.split(2000):  # counted, so that the sums are exact however many images there are
            pixels = data.images[part].transpose(0, 1).flatten(1)
            counts += torch.stack([torch.bincount(one.long(), minlength=256) for one in pixels]).cpu()
        values = torch.arange(256, dtype=torch.float64) / data.full_scale
        mean = (counts * values).sum(1) / counts.sum(1)
        std = ((counts * (values - mean[:, None]) ** 2).sum(1) / counts.sum(1)).sqrt()
        for one in std.tolist():
            positive("standard deviation of a channel", one)
        return cls(tuple(mean.tolist()), tuple(std.tolist()), data.full_scale)

    def on(self, device: str | torch.device, width: int, channels_last: bool = False) -> Callable[[Tensor], Tensor]:
        """A function of uint8 (..., B, c, h, width) on `device` that gives float32 (x / full_scale - mean) / std.

        Two passes over the pixels. What it needs is made here, once: nothing is moved to the device at each call.
        """
        mean, std = (torch.tensor(part, dtype=torch.float64) for part in (self.mean, self.std))
        # A whole row of pixels at once: the three values of one pixel would keep vector units waiting.
        scale, shift = (part.repeat(width).float().to(device) for part in (1 / (std * self.full_scale), -mean / std))

        def normalise(pixels: Tensor) -> Tensor:
            rows = pixels.movedim(-3, -1).flatten(-2).float()
            images = torch.addcmul(shift, rows, scale).unflatten(-1, (width, -1)).movedim(-1, -3)
            return images if channels_last else images.contiguous()

        return normalise


def cutout(images: Tensor, centre: Tensor, side: int) -> Tensor:
    """Images (..., B, c, h, w) with a square hole of zeros around each `centre` (..., B, 2), clipped at the edges.

    The hole covers the rows centre - side // 2 .. centre - side // 2 + side - 1, columns alike. Zero is the mean
    colour of normalised images. Source: DeVries and Taylor 2017.
    """
    height, width = images.shape[-2:]
    inside = []
    for axis, size in enumerate((height, width)):
        place = torch.arange(size, device=images.device) - (centre[..., axis, None] - side // 2)
        inside.append((place >= 0) & (place < side))
    hole = inside[0][..., :, None] & inside[1][..., None, :]
    return images.masked_fill(hole[..., None, :, :], 0)


def mixup(images: Tensor, partner: Tensor, weight: Tensor) -> Tensor:
    """weight * x + (1 - weight) * x[partner]: (..., B, c, h, w), partner (..., B), weight (...,).

    Source: Zhang et al. 2018; one weight per batch. The labels' losses are mixed with the same weights.
    """
    return torch.lerp(partners(images, partner), images, weight[..., None, None, None, None])


def cutmix(images: Tensor, partner: Tensor, box: Tensor) -> Tensor:
    """Images (..., B, c, h, w) in which the rectangle `box` (..., 4) is that of their `partner` (..., B).

    Source: Yun et al. 2019.
    """
    height, width = images.shape[-2:]
    top, bottom, left, right = (side[..., None] for side in box.unbind(-1))
    rows, columns = (torch.arange(size, device=images.device) for size in (height, width))
    inside = ((rows >= top) & (rows < bottom))[..., :, None] & ((columns >= left) & (columns < right))[..., None, :]
    return torch.where(inside[..., None, None, :, :], partners(images, partner), images)


def rectangle(weight: Tensor, middle: Tensor, height: int, width: int) -> Tensor:
    """Cutmix's box (..., 4) for a weight (...,): sides sqrt(1 - weight) of the image's, centre `middle` (..., 2) in
    0..1, clipped at the edges."""
    sides = []
    for axis, size in enumerate((height, width)):
        half = (size * (1 - weight).sqrt()).long() // 2
        centre = (middle[..., axis] * size).long()
        sides += [(centre - half).clamp(0, size), (centre + half).clamp(0, size)]
    return torch.stack(sides, -1)


def kept(box: Tensor, height: int, width: int) -> Tensor:
    """The share of an image that cutmix leaves it, 0..1: (..., 4) -> (...,)."""
    top, bottom, left, right = box.unbind(-1)
    return 1 - ((bottom - top) * (right - left)).float() / (height * width)


def partners(images: Tensor, partner: Tensor) -> Tensor:
    """Each image's partner in its own batch: (..., B, c, h, w), (..., B) -> (..., B, c, h, w)."""
    batches = partner[..., 0].numel()
    first = torch.arange(batches, device=partner.device) * partner.shape[-1]
    index = (partner.reshape(batches, -1) + first[:, None]).flatten()
    return images.flatten(0, -4).index_select(0, index).view_as(images)
