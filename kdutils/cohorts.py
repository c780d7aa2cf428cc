"""What the experiments share: data split by seed, cached teachers, and a population over settings x seeds."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import pandas as pd
import torch
from torch import Tensor

from kdutils import cache, metrics
from kdutils.datasets import Dataset, Table, load, split, take, transfer_set
from kdutils.errors import whole
from kdutils.networks import MLP, Population, Specification
from kdutils.objectives import distillation, hard_labels
from kdutils.results import Results, provenance
from kdutils.training import Knobs, Recipe, Snapshot, Task, fit, train

TEACHER = MLP(64, (128, 128), 10)
TEACHER_RECIPE = Recipe(steps=600, batch=64, lr=3e-3)
STUDENT = MLP(64, (16,), 10)


@dataclass(frozen=True)
class Setting:
    """One arm of a comparison. `temperature` is None where no teacher is asked (alpha 0); `teacher` is which one is."""

    method: str
    temperature: float | None = None
    alpha: float = 1.0
    teacher: int = 0


HARD = Setting("hard labels", alpha=0.0)


def distilled(temperature: float, teacher: int = 0) -> Setting:
    """The arm that learns from soft targets alone."""
    return Setting("distilled", float(temperature), teacher=teacher)


@dataclass(frozen=True, eq=False)
class Splits:
    """A data set with a split per seed: pool (S, P) and test (S, Q) indices.

    own: (S, n), the rows of each seed, where seeds have data of their own that lie one after the other in `data`.
    """

    data: Dataset | Table
    seeds: tuple[int, ...]
    pool: Tensor
    test: Tensor
    own: Tensor | None = None

    @classmethod
    def open(cls, name: str = "digits", seeds: int = 12, seed: int = 0, device: str = "cpu") -> "Splits":
        """`seeds` splits of the data set, for the seeds `seed`, `seed` + 1, ..."""
        whole("seeds", seeds, 1)
        return cls.of(load(name, device), seeds, seed)

    @classmethod
    def of(cls, data: Dataset, seeds: int = 12, seed: int = 0) -> "Splits":
        """The same for a data set at hand, such as one with coarser labels."""
        seed = whole("seed", seed, 0)
        chosen = tuple(range(seed, seed + whole("seeds", seeds, 1)))
        splits = [split(data, one) for one in chosen]
        return cls(data, chosen, torch.stack([s.pool for s in splits]), torch.stack([s.test for s in splits]))

    def transfer(self, n: int) -> Tensor:
        """(S, n) indices: each seed's transfer set of `n` images."""
        return torch.stack([transfer_set(self.data, pool, n) for pool in self.pool])

    def accuracy(self, logits: Tensor) -> Tensor:
        """Test accuracy in percent of logits (S or M, N, C) for all images, M = settings x S: same leading axis."""
        test = self.test.repeat(len(logits) // len(self.seeds), 1)
        picked = logits.gather(1, test[..., None].expand(-1, -1, logits.shape[-1]))
        return 100 * metrics.accuracy(picked, self.data.labels[test])


def teachers(lab: Splits, train: Tensor, spec: Specification = TEACHER, recipe: Recipe = TEACHER_RECIPE) -> Tensor:
    """Logits (S, N, C) of one teacher per seed for every image, each trained on its row of `train` (S, n).

    Teachers are paid for once: the logits come from the cache if these teachers were trained before.
    """
    made_of = {"data": lab.data.fingerprint, "network": [type(spec).__name__, asdict(spec)], "recipe": asdict(recipe),
               "objective": "hard labels", "seeds": lab.seeds, "train": digest(train), "device": train.device.type}

    def make():
        population = Population(spec, lab.seeds, train.device)
        task = Task(lab.data.inputs, lab.data.labels, train, lab.seeds)
        fit(population, task, hard_labels, recipe=recipe)
        return {"logits": population.predict(lab.data.inputs)}

    return cache.load_or_make("teachers", made_of, make, device=str(train.device))["logits"]


@dataclass(frozen=True, eq=False)
class Cohort:
    """A population over settings x seeds, ready to train: member k * S + s is setting k with seed s."""

    lab: Splits
    settings: tuple[Setting, ...]
    population: Population
    task: Task
    knobs: Knobs

    def train(self, recipe: Recipe, every: int | None = None) -> Iterator[Snapshot]:
        """The training loop over this cohort."""
        return train(self.population, self.task, distillation, self.knobs, recipe, every or recipe.steps)

    def test_logits(self) -> tuple[Tensor, Tensor]:
        """Logits (M, Q, C) and labels (M, Q) of each member's test images."""
        test = self.lab.test.repeat(len(self.settings), 1)
        return self.population.predict(take(self.lab.data.inputs, test)), self.lab.data.labels[test]

    def accuracy(self) -> Tensor:
        """Test accuracy in percent: (settings, seeds)."""
        return 100 * metrics.accuracy(*self.test_logits()).view(len(self.settings), -1)

    def rows(self, values: dict[str, Tensor], **same) -> list[dict]:
        """One row per member: what it was, and each of `values` (M,), ready for a results table."""
        listed = {name: value.flatten().tolist() for name, value in values.items()}
        runs = [(setting, seed) for setting in self.settings for seed in self.lab.seeds]
        return [same | {"method": setting.method, "temperature": setting.temperature, "seed": seed}
                | {name: column[i] for name, column in listed.items()} for i, (setting, seed) in enumerate(runs)]


def cohort(lab: Splits, teacher_logits: Tensor, transfer: Tensor, settings: Sequence[Setting],
           spec: Specification = STUDENT, labels: Tensor | None = None) -> Cohort:
    """Students of every setting and seed: the same split, initialisation and batch order for each seed's arms.

    teacher_logits: (S, N, C), one teacher per seed, or (A, S, N, C), of which a setting takes the one it names.
    transfer: (S, n), the images the students are trained on. labels: (S, N) if they see others than the data's.
    """
    arms, s = len(settings), len(lab.seeds)
    seeds = lab.seeds * arms
    first = torch.tensor([setting.teacher * s for setting in settings], device=transfer.device)
    teacher_of = (first[:, None] + torch.arange(s, device=transfer.device)).flatten()
    task = Task(lab.data.inputs, lab.data.labels if labels is None else labels.repeat(arms, 1),
                transfer.repeat(arms, 1), seeds, {"logits": teacher_logits.flatten(0, -3)}, teacher_of)
    knobs = Knobs(temperature=[setting.temperature or 1.0 for setting in settings for _ in range(s)],
                  alpha=[setting.alpha for setting in settings for _ in range(s)])
    return Cohort(lab, tuple(settings), Population(spec, seeds, transfer.device), task, knobs)


def collect(groups: Iterator[list[dict]], params, start: float, report: Callable[[str], None],
           keep: Callable[[Results], None] | None = None) -> Results:
    """The rows of all groups as the results of an experiment with these parameters, which began at `start`.

    An interrupt keeps the groups that are finished. keep, if given, is called with what there is after every group, so
    that hours of training survive whatever ends the program.
    """
    rows: list[dict] = []

    def results(complete: bool) -> Results:
        made = provenance(params.device, time.perf_counter() - start)
        return Results(pd.DataFrame(rows), asdict(params), made, complete)

    try:
        for group in groups:
            rows += group
            if keep is not None:
                keep(results(complete=False))
    except KeyboardInterrupt:
        report("Interrupted: the groups finished so far are kept.")
        return results(complete=False)
    return results(complete=True)


def digest(values: Tensor) -> str:
    """12 hex digits of a tensor's content: part of a cache key."""
    return hashlib.sha256(values.cpu().numpy().tobytes()).hexdigest()[:12]
