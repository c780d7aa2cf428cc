"""Do the features serve another task? Nine methods on five digits, then a linear probe on the five that were left out.

Teachers and students see five of the ten classes (which ones changes with the seed); no network ever sees a picture of
the other five. Then the features of the last hidden layer are frozen, and one linear layer on them learns these other
classes from a hundred labelled pictures. It is ridge regression to one-hot labels, in closed form and the same for all:
standardised features, a penalty of a hundredth of the number of pictures. Beside the nine: hard labels, the teacher, a
network that was never trained, and the pixels themselves. The protocol was written down before the recorded run.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from kdutils.cohorts import Splits, collect
from kdutils.datasets import take
from kdutils.errors import different, sound, whole
from kdutils.lessons.beyond_compression.experiment import rows_of
from kdutils.lessons.beyond_compression.mimicry import members
from kdutils.lessons.beyond_compression.race import NETWORK, race, teach
from kdutils.networks import Population
from kdutils.results import Results
from kdutils.training import Recipe

SEEN = 5                # classes that the networks are trained on; the probe learns the other five
TAUGHT = 500            # pictures of the teachers: as many of five classes as every split has
PENALTY = 0.01          # of the ridge regression, per picture
FEATURES = "embedding"  # of a network: 64 numbers


@dataclass(frozen=True)
class LinearProbe:
    seeds: int = 20                         # runs per setting, each with its own classes, split and starts
    images: tuple[int, ...] = (100, 500)    # of the five classes, that the students see; their teacher sees 500
    probe_images: int = 100                 # labelled pictures of the other five, for the probe
    steps: int = 150                        # of a student; batches of 32
    seed: int = 0                           # of the first run
    device: str = "cpu"                     # of torch

    def __post_init__(self):
        sound(self)
        for name in ("seeds", "steps"):
            whole(name, getattr(self, name), 1)
        object.__setattr__(self, "images", tuple(different("images", self.images)))
        whole("number of images", len(self.images), 1)
        for n in self.images:
            whole("images", n, 20, TAUGHT)
        whole("probe images", self.probe_images, SEEN, TAUGHT)


DEFAULT = LinearProbe()
SMOKE = LinearProbe(seeds=2, images=(40,), steps=5)


def prepare(params: LinearProbe) -> Splits:
    """The data; refuses what cannot be run before anything is trained."""
    return Splits.open("digits", params.seeds, params.seed, params.device)


def run(params: LinearProbe, report: Callable[[str], None] = lambda line: None) -> Results:
    """A row per method, size and seed: part "probe", method (hard labels, the nine, "teacher", "untrained", "pixels"),
    images (of the students; the three others have a row for each size), accuracy of the probe on test pictures of the
    five classes that were left out, percent, and own, the network's accuracy on the five that it learnt."""
    start = time.perf_counter()
    return collect(_groups(prepare(params), params, report), params, start, report)


def halves(lab: Splits) -> tuple[Tensor, Tensor]:
    """Whether each seed's networks learn a class, (S, 10), and each picture's number among the other five, (S, N)."""
    classes = torch.arange(lab.data.n_classes, device=lab.pool.device)
    first = torch.tensor(lab.seeds, device=lab.pool.device)[:, None]
    place = (classes - first) % lab.data.n_classes      # seed s learns s, s + 1, ... s + 4
    return place < SEEN, place[:, lab.data.labels] - SEEN


def of_classes(lab: Splits, chosen: Tensor, n: int) -> Tensor:
    """(S, n): the first n pool pictures of the chosen classes (S, 10), balanced."""
    part = [replace(lab, pool=pool[wanted[lab.data.labels[pool]]][None]).transfer(n)
            for pool, wanted in zip(lab.pool, chosen, strict=True)]
    return torch.cat(part)


def ridge(features: Tensor, labels: Tensor, asked: Tensor, classes: int) -> Tensor:
    """Scores (S, Q, C) for features `asked` (S, Q, d) of a ridge regression on features (S, n, d), labels (S, n)."""
    mean, std = features.mean(1, keepdim=True), features.std(1, keepdim=True, correction=0)
    x, z = ((part - mean) / std.clamp_min(1e-6) for part in (features, asked))
    x, z = (F.pad(part.double(), (0, 1), value=1.0) for part in (x, z))
    penalty = PENALTY * x.shape[1] * torch.eye(x.shape[2], dtype=x.dtype, device=x.device)
    penalty[-1, -1] = 0     # the constant is free
    weights = torch.linalg.solve(x.mT @ x + penalty, x.mT @ F.one_hot(labels, classes).double())
    return z @ weights


def probed(lab: Splits, features: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Percent of the test pictures of classes left out that a probe on `images` (S, n) gets right: (S,).

    features: of pictures (S, n, c, h, w), (S, n, d).
    """
    seen, number = halves(lab)
    left_out = ~seen.gather(1, lab.test_labels)
    scores = ridge(features(take(lab.data.inputs, images)), number.gather(1, images),
                   features(take(lab.data.inputs, lab.test)), SEEN)
    right = (scores.argmax(-1) == number.gather(1, lab.test)) & left_out
    return 100 * right.sum(1) / left_out.sum(1)


def _groups(lab: Splits, params: LinearProbe, report) -> Iterator[list[dict]]:
    seen, _ = halves(lab)
    report(f"teachers of five digits, {TAUGHT} images (from the cache if trained before)")
    taught, asked = of_classes(lab, seen, TAUGHT), of_classes(lab, ~seen, params.probe_images)
    told = teach(lab, taught, attacked=taught)
    others = {"teacher": told.population, "untrained": Population(NETWORK, lab.seeds, taught.device)}
    for n in params.images:
        report(f"nine methods on {n} of them, and linear probes on {params.probe_images} images of the other five")
        students = race(lab, told, of_classes(lab, seen, n)).run(Recipe(params.steps, 32))
        yield _rows(lab, {arm: members(students, arm) for arm in students.arms} | others, asked, n)


def _rows(lab: Splits, networks: Mapping[str, Population], asked: Tensor, n: int) -> list[dict]:
    seen, _ = halves(lab)
    learnt, same, rows = seen.gather(1, lab.test_labels), {"part": "probe", "images": n}, []
    for method, population in networks.items():
        right = (population.predict(take(lab.data.inputs, lab.test)).argmax(-1) == lab.test_labels) & learnt
        values = {"accuracy": probed(lab, _frozen(population), asked), "own": 100 * right.sum(1) / learnt.sum(1)}
        rows += rows_of(lab, values, method=method, **same)
    return rows + rows_of(lab, {"accuracy": probed(lab, lambda images: images.flatten(2), asked)}, method="pixels",
                          **same)


def _frozen(population: Population) -> Callable[[Tensor], Tensor]:
    @torch.no_grad()
    def features(images: Tensor) -> Tensor:
        return population.features(images)[FEATURES]

    return features
