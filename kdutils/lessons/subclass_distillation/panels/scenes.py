"""What a teacher is to divide: two classes whose examples have more kinds than anybody tells it, and a map of them.

digits: 0-4 against 5-9, on a map made from the pixels alone. toy: two clouds in the plane, of four blobs each; the map
is the plane.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kdutils import rng
from kdutils.cohorts import Splits
from kdutils.datasets import grouped
from kdutils.errors import one_of, whole
from kdutils.lessons.subclass_distillation.teachers import TEACHER_WIDTHS
from kdutils.networks import MLP

MAP = Path(__file__).with_name("digits_map.npy")
BLOBS = 4


@dataclass(frozen=True, eq=False)
class Scene:
    """Examples of two classes with hidden kinds, a split per seed, and where each example lies on the map.

    inputs: float (N, c, h, w). labels: int64 (N,), the class. hidden: int64 (N,), the kind. pool (S, P) and test
    (S, Q): indices, a row per seed. places: float (N, 2). classes, kinds: their names. kind: what a kind is called.
    told: what teachers are told. source: where the map comes from, in a sentence. layers: hidden widths of a teacher,
    lr: its learning rate. is_plane: an input is its place on the map, so that teachers answer between the examples too.
    """

    inputs: Tensor
    labels: Tensor
    hidden: Tensor
    pool: Tensor
    test: Tensor
    places: np.ndarray
    classes: tuple[str, ...]
    kinds: tuple[str, ...]
    kind: str
    told: str
    source: str
    layers: tuple[int, ...]
    lr: float
    is_plane: bool = False

    def network(self, subclasses: int) -> MLP:
        """A teacher with so many subclasses in each class."""
        return MLP(self.inputs[0].numel(), self.layers, subclasses * len(self.classes))


def digits(seeds: Sequence[int]) -> Scene:
    """0-4 against 5-9: per seed a pool of 1,200 and 597 test images."""
    lab = Splits.open("digits", len(seeds), seeds[0])
    data = grouped("digits-2x5")
    return Scene(data.inputs, data.labels, data.hidden, lab.pool, lab.test, np.load(MAP).astype(float), data.classes,
                 tuple("0123456789"), "digit", "0-4 or 5-9",
                 "The map is t-SNE of the pixels: neighbours look alike, and no teacher had a hand in it.",
                 TEACHER_WIDTHS, 5e-3)


def toy(seeds: Sequence[int], examples: int = 1200, spread: float = 0.12) -> Scene:
    """A left and a right cloud in the plane, each of four round blobs of standard deviation `spread`.

    The examples are the same for every seed, half of them for training; seeds differ in start and batch order.
    """
    whole("examples", examples, 4 * BLOBS)
    hidden = torch.arange(examples) % (2 * BLOBS)
    angle = 2 * torch.pi * (torch.arange(BLOBS) + 0.5) / BLOBS
    ring = 0.55 * torch.stack([angle.cos(), angle.sin()], 1)
    centres = torch.cat([ring - torch.tensor([0.75, 0.0]), ring + torch.tensor([0.75, 0.0])])
    noise = torch.randn(examples, 2, generator=rng.generator(0, "toy"))
    points = centres[hidden] + spread * noise
    order = torch.arange(examples).expand(len(seeds), -1)
    return Scene(points[:, None, None], hidden // BLOBS, hidden, *order.tensor_split(2, 1), points.double().numpy(),
                 ("left", "right"), tuple("abcdefgh"), "blob", "left or right cloud",
                 "The map is the plane in which the points lie.", (64, 64), 1e-2, is_plane=True)


SCENES = {"digits": digits, "toy": toy}


def scene(name: str, seeds: Sequence[int]) -> Scene:
    """The scene of this name, with a split for each seed."""
    return SCENES[one_of("data", name, SCENES)](seeds)


def make_map(iterations: int = 1000) -> np.ndarray:
    """What digits_map.npy holds: t-SNE of the 1,797 digits, float16 (1797, 2). About half a minute.

    Another version of scikit-learn draws another map; what is near each other stays near. To store it anew:
    `np.save(scenes.MAP, scenes.make_map())`.
    """
    from sklearn.manifold import TSNE

    pixels = grouped("digits-2x5").inputs.flatten(1).numpy()
    embedding = TSNE(2, init="pca", perplexity=30, random_state=0, max_iter=iterations, n_jobs=1)
    return embedding.fit_transform(pixels).astype(np.float16)
