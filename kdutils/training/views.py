"""What an image network is trained on, and the teacher's answers to it: asked each time, or once per picture.

Crop and flip make finitely many pictures of an image, its views. A teacher is frozen, so its answer to (image, view)
never changes: `CachedTeacher` keeps every answer the first time it is needed, in exactly the place of that image and
view. Further seeds, temperatures and students then need no teacher at all. `Teacher` asks each time. Both are called
in the same way, and the loop does not know which it has.
"""

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from kdutils import cache
from kdutils.datasets import Dataset
from kdutils.datasets.augment import Augmentation, ImageStore, Normalisation
from kdutils.errors import ParameterError, one_of
from kdutils.networks import Outputs
from kdutils.networks.images import folded
from kdutils.training.memory import free_memory
from kdutils.training.switches import PLAIN, Speedups

KEPT_AS = {"float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True, eq=False)
class Pictures:
    """The training images on their device, ready to be cut; shared by all runs on them.

    Images are numbered by their place in `train`: 0 .. n - 1. labels (n,). normalisation is that of new networks.
    """

    windows: ImageStore
    labels: Tensor
    normalisation: Normalisation
    fingerprint: str

    @classmethod
    def of(cls, data: Dataset, train: Tensor, augmentation: Augmentation) -> "Pictures":
        """The images `train` (n,) of a data set."""
        made_of = f"{data.fingerprint} {augmentation.pad} {augmentation.flip}".encode() + train.cpu().numpy().tobytes()
        return cls(ImageStore(data.images[train], augmentation), data.labels[train], Normalisation.of(data, train),
                   hashlib.sha256(made_of).hexdigest()[:12])

    def __len__(self) -> int:
        return self.windows.count

    @property
    def augmentation(self) -> Augmentation:
        return self.windows.augmentation

    @property
    def device(self) -> torch.device:
        return self.labels.device


class Teacher:
    """A trained network that answers and never learns: its own frozen copy, in evaluation mode whatever is called.

    normalisation: the teacher's own. accuracy: percent on test images, if it was measured. The copy is made at once, so
    that training the network further does not change the teacher.
    """

    def __init__(self, network: nn.Module, normalisation: Normalisation, switches: Speedups = PLAIN,
                 accuracy: float | None = None):
        device = next(network.parameters()).device
        frozen = (folded if switches.folded else copy.deepcopy)(network).eval().requires_grad_(False)
        if switches.folded and switches.bf16:  # what autocast would do to them at every call
            for module in frozen.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    module.to(torch.bfloat16)
        self.network = switches.place(frozen, device)
        self.normalisation, self.switches, self.accuracy, self.device = normalisation, switches, accuracy, device
        self._normalise: dict[int, Callable] = {}
        self._run = switches.ready(self.network)

    @cached_property
    def digest(self) -> str:
        """12 hex digits of the weights (folded ones are others) and of how the teacher computes: part of the key of its
        stored answers."""
        found = hashlib.sha256(repr((self.normalisation, self.switches.bf16)).encode())
        for name, value in self.network.state_dict().items():
            found.update(name.encode() + value.detach().float().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()[:12]

    def prepare(self, index: Tensor, view: Tensor) -> None:
        """Told what will be asked: pictures (...) and their views, on the CPU. An online teacher has nothing to do."""

    def __call__(self, index: Tensor, view: Tensor, pixels: Tensor, change: Callable | None = None) -> Outputs:
        """Answers {"logits": (B, C)} in single precision to the pictures `pixels` uint8 (B, c, h, w).

        change: what is done to normalised images before the network sees them (mixup and the like).
        """
        images = self.normalise(pixels)
        return {"logits": self.logits(self._run, images if change is None else change(images))}

    def of_many(self, pixels: Tensor) -> Tensor:
        """Answers (n, C) to any number of pictures: never compiled, which would be for one number only."""
        return self.logits(self.network, self.normalise(pixels))

    def normalise(self, pixels: Tensor) -> Tensor:
        width = pixels.shape[-1]
        if width not in self._normalise:
            self._normalise[width] = self.normalisation.on(self.device, width, self.switches.channels_last)
        return self._normalise[width](pixels)

    @torch.no_grad()
    def logits(self, network: Callable, images: Tensor) -> Tensor:
        """(B, c, h, w), normalised -> (B, C)."""
        with self.switches.precision(self.device):
            return network(images).float()


class CachedTeacher:
    """A teacher whose answers are kept: one row of logits per image and view, filled when first needed.

    Only pictures that are not there yet pass through the teacher, in batches of `chunk`, whatever the order in which
    runs come upon them. kept_as "float16" takes 2 bytes a logit: the rounding is at most |z| / 2048, and a logit beyond
    the largest fp16 is kept as that, 65,504; "float32" takes 4 bytes and rounds nothing. Which pictures are there is
    known on the CPU, so that a step looks up and never waits.
    """

    def __init__(self, teacher: Teacher, pictures: Pictures, kept_as: str = "float16", chunk: int = 500):
        if not pictures.augmentation.finite:
            raise ParameterError("the teacher's answers can be kept only for crop and flip, which have finitely many "
                                 f"views; got {pictures.augmentation}.")
        one_of("kept_as", kept_as, KEPT_AS)
        self.teacher, self.pictures, self.kept_as, self.chunk = teacher, pictures, kept_as, chunk
        self.views, self.device = pictures.augmentation.views, pictures.device
        self.asked = 0  # pictures that have passed through the teacher
        self.there = torch.zeros(len(pictures), self.views, dtype=torch.bool)
        self._fresh = False
        self.table: Tensor | None = None
        if stored := cache.load("views", self.recipe):
            self.there, self.table = stored["there"], stored["logits"].to(self.device)

    @staticmethod
    def bytes(images: int, views: int, classes: int, kept_as: str = "float16") -> int:
        """Memory of all answers: CIFAR-100's 50,000 images in 162 views take 1.62 GB in fp16."""
        return images * views * classes * KEPT_AS[one_of("kept_as", kept_as, KEPT_AS)].itemsize

    @property
    def recipe(self) -> dict:
        """What decides the answers: the key under which they lie on disk."""
        return {"teacher": self.teacher.digest, "pictures": self.pictures.fingerprint, "kept as": self.kept_as,
                "device": self.device.type}

    @property
    def accuracy(self) -> float | None:
        return self.teacher.accuracy

    def prepare(self, index: Tensor, view: Tensor) -> None:
        """Ask the teacher for those pictures of index (...) and view (...), on the CPU, that are not there yet."""
        wanted = (index * self.views + view).flatten()
        wanted = wanted[~self.there.view(-1)[wanted]].unique()
        if not len(wanted):
            return
        kind = KEPT_AS[self.kept_as]
        for place in to_device(self.batched(wanted), self.device).split(self.chunk):
            found = self.teacher.of_many(self.pictures.windows.take(place // self.views, place % self.views))
            if self.table is None:
                self.table = torch.zeros(self.there.numel(), found.shape[1], dtype=kind, device=self.device)
            self.table[place] = found.clamp(torch.finfo(kind).min, torch.finfo(kind).max).to(kind)
        self.there.view(-1)[wanted] = True
        self.asked, self._fresh = self.asked + len(wanted), True

    def batched(self, places: Tensor) -> Tensor:
        """The places (n,), for a GPU with the last one repeated until every batch is whole.

        cuDNN tries its algorithms anew, layer by layer, for each size of batch that it has not seen.
        """
        lacking = -len(places) % self.chunk if self.device.type == "cuda" else 0
        return torch.cat([places, places[-1:].expand(lacking)])

    def __call__(self, index: Tensor, view: Tensor, pixels: Tensor | None = None, change=None) -> Outputs:
        """The kept answers {"logits": (B, C)} to images `index` (B,) in `view` (B,), which `prepare` was told of."""
        return {"logits": self.table.index_select(0, index * self.views + view).float()}

    def keep(self) -> None:
        """Put the answers on disk if there are new ones; the next `CachedTeacher` of these begins with them."""
        if self._fresh:
            cache.keep("views", self.recipe, {"there": self.there, "logits": self.table})
            self._fresh = False


def to_device(value: Tensor, device: torch.device) -> Tensor:
    """A CPU tensor on the device. A GPU fetches it when its turn comes, without this program having to wait."""
    return value.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else value.to(device)


def cached_if_it_fits(teacher: Teacher, pictures: Pictures, classes: int, kept_as: str = "float16",
               report: Callable[[str], None] = lambda line: None, room: int | None = None) -> Teacher | CachedTeacher:
    """The teacher with kept answers if there is room for them, else the online teacher.

    Says beforehand, in a sentence, what is kept and how much memory it takes, or why nothing is. room: bytes, half of
    what is free if None; where the system does not say how much that is, the answers are kept.
    """
    if room is None and (free := free_memory(pictures.device)) is not None:
        room = free // 2
    needed = CachedTeacher.bytes(len(pictures), pictures.augmentation.views, classes, kept_as)
    what = (f"the teacher's answers to {len(pictures):,} images in {pictures.augmentation.views} views take "
            f"{needed / 1e9:.2f} GB in {kept_as}")
    if not pictures.augmentation.finite:
        report("The teacher is asked at every step: mixtures and holes make a new picture each time.")
    elif room is not None and needed > room:
        report(f"The teacher is asked at every step: {what}, and there is room for {room / 1e9:.2f} GB.")
    else:
        report(f"Each picture passes through the teacher once: {what}.")
        return CachedTeacher(teacher, pictures, kept_as)
    return teacher
