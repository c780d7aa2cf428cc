"""What the experiments share: data split by seed, cached teachers, and a population over settings x seeds."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import pandas as pd
import torch
from torch import Tensor

from kdutils import cache, metrics, rng
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

    @property
    def columns(self) -> dict:
        """What says in a table which arm it was."""
        return {"method": self.method, "temperature": self.temperature}


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
        """(S, n) indices: each seed's transfer set of `n` images. Kept, to be read and not written."""
        if n not in self._transfers:
            self._transfers[n] = torch.stack([transfer_set(self.data, pool, n) for pool in self.pool])
        return self._transfers[n]

    @cached_property
    def _transfers(self) -> dict[int, Tensor]:
        return {}

    @property
    def test_labels(self) -> Tensor:
        """Labels (S, Q) of each seed's test examples."""
        return self.data.labels[self.test]

    def tested(self, outputs: Tensor) -> Tensor:
        """Outputs (..., S, N, K) for all examples, or (..., 1, N, K), at each seed's test examples: (..., S, Q, K)."""
        outputs = outputs.expand(*outputs.shape[:-3], len(self.seeds), -1, -1)
        index = self.test[..., None].expand(*outputs.shape[:-2], -1, outputs.shape[-1])
        return outputs.gather(-2, index)

    def accuracy(self, logits: Tensor) -> Tensor:
        """Test accuracy in percent of logits (..., S, N, C) for all examples, or (arms * S, N, C): the leading axes."""
        found = self.tested(logits.unflatten(-3, (-1, len(self.seeds))))
        return 100 * metrics.accuracy(found, self.test_labels).reshape(logits.shape[:-2])


def teacher_recipe(steps: int) -> Recipe:
    """The teachers' usual recipe with another number of steps."""
    return replace(TEACHER_RECIPE, steps=steps)


def teachers(lab: Splits, train: Tensor, spec: Specification = TEACHER, recipe: Recipe = TEACHER_RECIPE) -> Tensor:
    """Logits (S, N, C) of one teacher per seed for every image, each trained on its row of `train` (S, n).

    The logits come from the cache if these teachers were trained before.
    """
    return cached_training("teachers", origin(lab, train) | {"objective": "hard labels"}, spec, recipe, train.device,
                           prepare=lambda spec: side_by_side(lab, 1, train, spec),
                           read=lambda trained: {"logits": trained.predict(lab.data.inputs)})["logits"]


def cached_training(kind: str, made_of: Mapping, spec: Specification, recipe: Recipe, device: torch.device, *,
                    prepare: Callable[[Specification], tuple[Population, Task]],
                    read: Callable[[Population], cache.Tensors], objective: Callable = hard_labels,
                    knobs: Knobs | None = None) -> cache.Tensors:
    """What `read` takes from networks of `spec` once they are trained; from the cache if the same were trained before.

    prepare: the untrained networks and their task. made_of: what decides the result beside network, recipe and device,
    JSON-simple: `origin` of the data, and the objective with its knobs where a kind has several.
    The engine is no part of it: what that changes is below what any result sees (tests/unit/test_kernels.py).
    """
    key = {"network": [type(spec).__name__, asdict(spec)], "recipe": asdict(recipe), "device": device.type} | made_of

    def make() -> cache.Tensors:
        population, task = prepare(spec)
        fit(population, task, objective, knobs, recipe)
        return read(population)

    return cache.load_or_make(kind, key, make, device=str(device))


def origin(lab: Splits, train: Tensor) -> dict:
    """What a training on the examples `train` (S, n) of these splits is made of, for `cached_training`."""
    return {"data": lab.data.fingerprint, "seeds": lab.seeds, "train": digest(train)}


def side_by_side(lab: Splits, arms: int, train: Tensor, spec: Specification, labels: Tensor | None = None,
                 outputs: Mapping[str, Tensor] | None = None, teacher_of: Tensor | None = None,
                 purpose: str | None = None) -> tuple[Population, Task]:
    """Networks of `arms` arms, each for every seed, and what they learn: member k * S + s is arm k with seed s.

    train: (S, n). labels: (N,), or (S, N) where seeds see different ones; None for the data's. outputs: those of the
    teachers, {name: (K, N, ...)}. purpose: names the random stream of start and order; None is the seed's own.
    """
    own = tuple(seed if purpose is None else rng.derive(seed, purpose) for seed in lab.seeds) * arms
    labels = lab.data.labels if labels is None else labels
    task = Task(lab.data.inputs, labels.repeat(arms, 1) if labels.ndim == 2 else labels, train.repeat(arms, 1), own,
                outputs, teacher_of)
    return Population(spec, own, train.device), task


@dataclass(frozen=True, eq=False)
class Cohort:
    """Students of several arms, each of them for every seed, that train side by side; made by `cohort`, or by a lesson.

    arms: what tells them apart, each with `columns` for a table. read: how their outputs become class logits.
    """

    lab: Splits
    arms: tuple
    population: Population
    task: Task
    knobs: Knobs
    objective: Callable = distillation
    read: Callable[[Tensor], Tensor] = lambda outputs: outputs

    def train(self, recipe: Recipe, every: int | None = None) -> Iterator[Snapshot]:
        """The training loop over these students."""
        return train(self.population, self.task, self.objective, self.knobs, recipe, every or recipe.steps)

    def fit(self, recipe: Recipe) -> "Cohort":
        """Train to the end, blocking; returns itself."""
        for _ in self.train(recipe):
            pass
        return self

    def set(self, arm: int, **knobs: float) -> None:
        """Move knobs of one arm's students, also while they train."""
        self.knobs.set(**{name: self._moved(name, arm, value) for name, value in knobs.items()})

    def _moved(self, name: str, arm: int, value: float) -> list[float]:
        now, s = self.knobs[name], len(self.lab.seeds)
        values = list(now) if isinstance(now, tuple) else [now] * len(self.population)
        values[arm * s:(arm + 1) * s] = [value] * s
        return values

    @cached_property
    def test_inputs(self) -> Tensor:
        """Test examples (arms * S, Q, c, h, w), gathered once: students are tested again and again."""
        inputs = take(self.lab.data.inputs, self.lab.test)
        return inputs if len(self.arms) == 1 else inputs.repeat(len(self.arms), 1, 1, 1, 1)

    def answers(self) -> Tensor:
        """Class logits (arms, S, Q, C) on each seed's test examples."""
        return self.read(self.population.predict(self.test_inputs)).unflatten(0, (len(self.arms), -1))

    def test_logits(self) -> tuple[Tensor, Tensor]:
        """`answers` member by member, and their labels: (arms * S, Q, C) and (arms * S, Q)."""
        return self.answers().flatten(0, 1), self.lab.test_labels.repeat(len(self.arms), 1)

    def accuracy(self) -> Tensor:
        """Test accuracy in percent: (arms, S)."""
        return 100 * metrics.accuracy(self.answers(), self.lab.test_labels)

    def rows(self, values: Mapping[str, Tensor], **same) -> list[dict]:
        """A row per student: what it was, and each of `values`, (arms, S) or (arms * S,)."""
        return table_rows(self.lab, [arm.columns for arm in self.arms], values, **same)


def cohort(lab: Splits, teacher_logits: Tensor, transfer: Tensor, settings: Sequence[Setting],
           spec: Specification = STUDENT, labels: Tensor | None = None) -> Cohort:
    """Students of every setting and seed: the same split, initialisation and batch order for each seed's arms.

    teacher_logits: (S, N, C), one teacher per seed, or (A, S, N, C), of which a setting takes the one it names.
    transfer: (S, n), the images the students are trained on. labels: (S, N) if they see others than the data's.
    """
    each = range(len(lab.seeds))
    teacher_of = torch.tensor([setting.teacher * len(each) + s for setting in settings for s in each],
                              device=transfer.device)
    population, task = side_by_side(lab, len(settings), transfer, spec, labels,
                                    {"logits": teacher_logits.flatten(0, -3)}, teacher_of)
    knobs = Knobs(temperature=[setting.temperature or 1.0 for setting in settings for _ in each],
                  alpha=[setting.alpha for setting in settings for _ in each])
    return Cohort(lab, tuple(settings), population, task, knobs)


def table_rows(lab: Splits, runs: Sequence[Mapping], values: Mapping[str, Tensor], **same) -> list[dict]:
    """A row for each of `runs`, the columns that name it, and each seed, with its values, (runs, S) or (runs * S,)."""
    listed = {name: value.flatten().tolist() for name, value in values.items()}
    pairs = [(run, seed) for run in runs for seed in lab.seeds]
    return [same | run | {"seed": seed} | {name: column[i] for name, column in listed.items()}
            for i, (run, seed) in enumerate(pairs)]


def collect(groups: Iterator[list[dict]], params, start: float, report: Callable[[str], None],
            keep: Callable[[Results], None] | None = None, more: Callable[[], dict] = dict) -> Results:
    """The rows of all groups as the results of an experiment with these parameters, which began at `start`.

    An interrupt keeps the groups that are finished. keep, if given, is called with what there is after every group, so
    that hours of training survive whatever ends the program. more: what else the provenance says, asked at the end.
    """
    rows: list[dict] = []
    spent = time.process_time()

    def results(complete: bool) -> Results:
        made = provenance(params.device, time.perf_counter() - start)
        made |= {"cpu_seconds": round(time.process_time() - spent, 1)} | more()
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


def digest(values: Tensor | None) -> str | None:
    """12 hex digits of a tensor's content, None of none: part of a cache key."""
    return None if values is None else hashlib.sha256(values.cpu().numpy().tobytes()).hexdigest()[:12]
