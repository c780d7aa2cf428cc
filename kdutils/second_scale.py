"""The second scale: photographs of classes that come in families, small enough for two cores.

Images are shrunk by area averaging (CIFAR-100's 32x32 to 16x16), cropped and mirrored in a few views that are drawn
once, centred and scaled by channel, and folded: every 2x2 square of pixels becomes one place with four times the
channels, so that small convolutions work at half the side and no pixel is lost. Networks are `ConvNet`s without batch
norm, which keeps the members of a population independent of each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from kdutils import rng
from kdutils.cohorts import Splits
from kdutils.datasets import GROUPINGS, Dataset, grouped, split, superclasses, transfer_set
from kdutils.datasets.augment import ImageStore
from kdutils.datasets.transforms import label_noise
from kdutils.errors import ParameterError, different, one_of, whole
from kdutils.image_lab import usual_views
from kdutils.networks import ConvNet

# Every fifth of CIFAR-100's twenty families, in the owners' order: chosen by nobody.
FAMILIES = ("aquatic_mammals", "household_electrical_devices", "large_natural_outdoor_scenes", "reptiles")
HELD_OUT = 50  # training images of each fine class that nobody trains on: choices are made by them, and no test image


@dataclass(frozen=True, eq=False)
class Folded(Dataset):
    """Images whose inputs are centred, scaled and folded. like: the rows by which the channels are measured."""

    like: Tensor | None = None

    @cached_property
    def inputs(self) -> Tensor:
        """(N, 4c, h / 2, w / 2): each channel less its mean over the rows `like`, over its standard deviation there."""
        x = self.images.float() / self.full_scale
        std, mean = torch.std_mean(x[self.like], (0, 2, 3), keepdim=True)
        return F.pixel_unshuffle((x - mean) / std, 2)

    @property
    def fingerprint(self) -> str:
        """Not that of the images as they are."""
        return f"{super().fingerprint} folded"


@dataclass(frozen=True, eq=False)
class Bench(Splits):
    """Rows are pictures: the training images as they are, then in each further view, then the test images.

    pool: (S, n * views), every picture of every training image. images: n. The same images and views for every seed;
    what depends on a seed is start, batch order, and which images a smaller transfer set has.
    """

    images: int = 0
    views: int = 1
    families: tuple[tuple[int, ...], ...] = ()

    def pictures(self, images: Tensor) -> Tensor:
        """Training images (S, k) in all their views: rows (S, k * views)."""
        return torch.cat([images + view * self.images for view in range(self.views)], 1)

    def transfer(self, n: int) -> Tensor:
        """(S, n * views): every picture of each seed's `n` images, balanced over the classes."""
        whole("transfer images", n, 1, self.images, why="the training images")
        return self.pictures(torch.stack([transfer_set(self.data, order, n) for order in self._orders]))

    def noisy(self, rate: float) -> Tensor:
        """Labels (S, N), a share `rate` of the images with a wrong one, in all their views; test labels stay right."""
        right = self.data.labels
        found = []
        for seed in self.seeds:
            wrong = label_noise(right[:self.images], rate, self.data.n_classes, seed)
            found.append(torch.cat([wrong.repeat(self.views), right[self.images * self.views:]]))
        return torch.stack(found)

    def network(self, channels: Sequence[int], outputs: int | None = None) -> ConvNet:
        """A network for these pictures; outputs: of its last layer, by default the classes."""
        return ConvNet(tuple(self.data.inputs.shape[1:]), tuple(channels), outputs or self.data.n_classes)

    @cached_property
    def _orders(self) -> list[Tensor]:
        device = self.data.labels.device
        return [torch.randperm(self.images, generator=rng.generator(seed, "split")).to(device) for seed in self.seeds]


def prepare(data: str, families: Sequence[str], side: int, views: int, seeds: int, seed: int = 0, device: str = "cpu",
            coarse: bool = False, validation: bool = False) -> Bench:
    """The pictures of whole families of a data set.

    data: a name of `datasets.GROUPINGS`, whose groups are the families; families: some of their names, () for all.
    side: of the images, a divisor of the data's. views: pictures of each training image, the image itself among them.
    coarse: labels are the families, the classes in them hidden; else labels are the classes, family by family.
    validation: measured on the `HELD_OUT` training images of each class instead of the test images.
    """
    whole("views", views, 1)
    found = grouped(data, device)
    if not isinstance(found, Dataset):
        raise ParameterError(f"data must be images, got {data!r}.")
    chosen = [found.classes.index(one_of("family", name, found.classes)) for name in different("families", families)]
    chosen = chosen or range(found.n_classes)
    members = [found.hidden[found.labels == family].unique().tolist() for family in chosen]
    fine, ends = sum(members, []), torch.tensor([0, *map(len, members)]).cumsum(0).tolist()
    inside = tuple(tuple(range(*pair)) for pair in zip(ends, ends[1:], strict=False))
    train, test = _rows(found, fine, validation)
    shrunk = area_averaged(found.images[torch.cat([train, test])], side)
    how = usual_views(data, side)
    store = ImageStore(shrunk[:len(train)], how)
    drawn = torch.randint(how.views, (views - 1, len(train)), generator=rng.generator(0, "views")).to(train.device)
    everyone = torch.arange(len(train), device=train.device)
    extra = [store.take(everyone, view) for view in drawn]
    images = torch.cat([shrunk[:len(train)], *extra, shrunk[len(train):]])
    renumbered = torch.full((int(found.hidden.max()) + 1,), -1, device=train.device)
    renumbered[torch.tensor(fine, device=train.device)] = torch.arange(len(fine), device=train.device)
    labels = renumbered[found.hidden[torch.cat([*[train] * views, test])]]
    pictures = len(train) * views
    whole_set = Folded(f"{found.name}, {side}x{side}", images.contiguous(), labels,
                       tuple(found.hidden_classes[label] for label in fine), found.full_scale,
                       torch.arange(pictures, len(images), device=train.device), like=everyone)
    if coarse:
        whole_set = superclasses(whole_set, {found.classes[family]: one
                                             for family, one in zip(chosen, inside, strict=True)})
    numbers = tuple(range(seed, seed + whole("seeds", seeds, 1)))
    pool = torch.arange(pictures, device=train.device).expand(len(numbers), -1)
    return Bench(whole_set, numbers, pool, whole_set.test.expand(len(numbers), -1), images=len(train), views=views,
                 families=inside)


def families_of(params: Mapping) -> int:
    """How many families an experiment of this scale had, by the parameters of its results."""
    return len(params.get("families", FAMILIES)) or len(GROUPINGS[params["data"]].groups)


def student_rate(rates: Sequence[float]) -> dict[str, int]:
    """For the provenance of a sweep: pictures a second of one core, the mean over its groups of students."""
    return {"student_pictures_per_second": round(sum(rates) / len(rates))} if rates else {}


def area_averaged(images: Tensor, side: int) -> Tensor:
    """Images (N, c, h, h) of a smaller side: the mean of each square, uint8."""
    tall, wide = images.shape[-2:]
    if tall != wide or side < 1 or tall % side or side % 2:
        raise ParameterError(f"side must be an even divisor of the images' side, {tall}x{wide}, got {side!r}.")
    return F.avg_pool2d(images.float(), tall // side).round().to(torch.uint8)


def _rows(data: Dataset, fine: Sequence[int], validation: bool) -> tuple[Tensor, Tensor]:
    """Training rows and rows to measure on, of the classes `fine`."""
    found, kept = split(data, 0), torch.tensor(fine, device=data.labels.device)
    pool, test = (part[torch.isin(data.hidden[part], kept)].sort().values for part in (found.pool, found.test))
    held, hidden = torch.zeros_like(pool, dtype=torch.bool), data.hidden[pool]
    for label in fine:
        mine = (hidden == label).nonzero()[:, 0]
        held[mine[:min(HELD_OUT, len(mine) // 10)]] = True
    return pool[~held], pool[held] if validation else test
