"""The second scale of notebook 02: classes that come in families, photographs of 16x16 pixels, small convolutions.

Tolerance, temperature, rivals, wrong labels and generations once more, where classes do resemble each other. The
experiments are `twenty` and `hundred`, this one's at two sizes. The numbers of a training (channels, steps, rates) were
chosen by `second_scale.HELD_OUT` training images of each class, and eta, K and lambda are those of the digits. Rows as
in `experiment`; the last networks count, and never the best.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isclose

import torch
from torch import Tensor

from kdutils import metrics
from kdutils.cohorts import HARD, cohort, collect, distilled, table_rows
from kdutils.errors import at_least, between, different, positive, sound, whole
from kdutils.lessons.tolerant_teachers.experiment import answers, first_teachers, lineages, trained
from kdutils.lessons.tolerant_teachers.parameters import STRICT, Ancestor, kinds, tolerant
from kdutils.networks import Population
from kdutils.objectives import hard_labels, softmax
from kdutils.results import Results
from kdutils.second_scale import FAMILIES, Bench, student_rate
from kdutils.second_scale import prepare as pictures
from kdutils.training import Knobs, Recipe


@dataclass(frozen=True)
class TolerantFamilies:
    """Parts "teacher", "student", "noise", "generations" and "ensemble", as in the experiment of the digits."""

    seeds: int = 6  # runs per setting: start, batch order, and which images a tenth has
    data: str = "cifar-100-coarse"  # one of datasets.GROUPINGS; its groups are the families
    families: tuple[str, ...] = FAMILIES  # which of them; none named: all
    side: int = 16  # of an image, shrunk by area averaging
    views: int = 4  # pictures of a training image: itself, and crops, half of them mirrored
    teacher: tuple[int, ...] = (32, 64)  # channels of the teachers, and of every network of a lineage
    student: tuple[int, ...] = (8, 16)  # channels of the students
    etas: tuple[float, ...] = (0.0, 0.6, 0.9, 1.2)  # tolerances, 0 first
    ranks: int = 5  # K: as many as a family has classes
    few: int = 900  # images of a student with a tenth of the data
    temperatures: tuple[float, ...] = (1.0, 4.0)  # of students
    noise: float = 0.4  # share of wrong labels in part "noise"
    noisy_etas: tuple[float, ...] = (0.0, 0.6, 0.9)  # tolerances of its teachers
    generations: int = 3  # after the first teacher of a lineage
    label_weight: float = 0.5  # lambda, of the labels beside the teacher in a lineage
    steps: int = 1_500  # of 64 pictures, for every network
    teacher_lr: float = 2e-3  # Adam's rate, cosine to zero
    student_lr: float = 5e-3  # of a student
    seed: int = 0  # the first seed
    device: str = "cpu"  # of torch

    def __post_init__(self):
        sound(self)
        for name in ("seeds", "side", "views", "few", "generations", "steps"):
            whole(name, getattr(self, name), 1)
        whole("ranks", self.ranks, 2)
        between("label noise", self.noise, 0, 1)
        between("lambda", self.label_weight, 0, 1)
        for name in ("etas", "noisy_etas", "temperatures"):
            whole(f"number of {name}", len(different(name, getattr(self, name))), 1)
        for eta in (*self.etas, *self.noisy_etas):
            at_least("eta", eta, 0)
        for value in (*self.temperatures, self.teacher_lr, self.student_lr):
            positive("temperatures and rates", value)


# Every setting on digits and their two halves, which need no other data: what it says of families means nothing.
SMOKE = TolerantFamilies(seeds=2, data="digits-2x5", families=(), side=8, views=2, teacher=(4,), student=(2,), few=100,
                         steps=5)


def prepare(params: TolerantFamilies) -> Bench:
    """The pictures; refuses what cannot be run before anything is trained."""
    lab = pictures(params.data, params.families, params.side, params.views, params.seeds, params.seed, params.device)
    whole("few", params.few, 1, lab.images, why="the training images")
    whole("ranks", params.ranks, 2, lab.data.n_classes, why="the classes")
    for channels in (params.teacher, params.student):
        lab.network(channels)
    return lab


def run(params: TolerantFamilies, report: Callable[[str], None] = lambda line: None) -> Results:
    """A row per run and part, with the columns of `experiment.run`, and of teachers also

    method  "teacher", "smoothed" or "penalised": trained with a tolerance eta, or by a rival with the p* of eta = 0.9
    teacher of students: the teacher's method
    inside  share of the mass of ranks 2 .. K on the label's family (percent)
    family  the mass of ranks 2 .. K there (percent of all)

    The provenance has the processor time, and how many pictures a second of it students were trained on.
    """
    start, lab, rates = time.perf_counter(), prepare(params), []
    return collect(_groups(lab, params, report, rates), params, start, report, more=lambda: student_rate(rates))


def _groups(lab: Bench, params: TolerantFamilies, report, rates: list[float]) -> Iterator[list[dict]]:
    network, recipe = lab.network(params.teacher), Recipe(params.steps, lr=params.teacher_lr)
    rivals = kinds(params.ranks, lab.data.n_classes)[3:]
    chosen = [tolerant(eta, params.ranks) for eta in params.etas] + list(rivals)
    named = [{"method": "teacher", "eta": eta} for eta in params.etas] + [{"method": one.name} for one in rivals]
    report(f"{params.seeds} teachers of each kind: {', '.join(one.name for one in chosen)}")
    teachers = first_teachers(lab, lab.pool, chosen, network, recipe, None)
    logits = _answers_of(teachers, lab)
    yield _teacher_rows(lab, logits, named, params, part="teacher", noise=0.0)
    for n in dict.fromkeys((params.few, lab.images)):
        report(f"students of these teachers, and of hard labels, on {n:,} images")
        yield _student_rows(lab, logits, n, named, params.temperatures, params, rates, part="student", noise=0.0)
    report(f"the same with {params.noise:.0%} wrong labels")
    labels, named = lab.noisy(params.noise), [{"method": "teacher", "eta": eta} for eta in params.noisy_etas]
    chosen = [tolerant(eta, params.ranks) for eta in params.noisy_etas]
    logits = _answers_of(first_teachers(lab, lab.pool, chosen, network, recipe, labels), lab)
    yield _teacher_rows(lab, logits, named, params, part="noise", noise=params.noise)
    yield _student_rows(lab, logits, lab.images, named, (1.0,), params, rates, labels,
                        part="noise", noise=params.noise)
    yield from _lineage_rows(lab, params, teachers, report)


def _answers_of(teachers: Population, lab: Bench) -> Tensor:
    """Logits (A, S, N, C) for every picture."""
    return teachers.predict(lab.data.inputs).unflatten(0, (-1, len(lab.seeds)))


def _teacher_rows(lab: Bench, logits: Tensor, named: list[dict], params: TolerantFamilies, **same) -> list[dict]:
    values = answers(lab, logits.flatten(0, 1), params.ranks) | inside_families(lab, logits, params.ranks)
    return table_rows(lab, named, values, transfer=lab.images, **same)


def inside_families(lab: Bench, logits: Tensor, ranks: int) -> dict[str, Tensor]:
    """Of teachers' logits (A, S, N, C) on test images: "inside" and "family" of `run`, each (A, S)."""
    found = lab.tested(logits)
    share = [[metrics.mass_inside_groups(z, y, lab.families, ranks) for z, y in zip(one, lab.test_labels, strict=True)]
             for one in found]
    share = torch.tensor(share)
    return {"inside": 100 * share, "family": 100 * share * metrics.mass_in_ranks(found, ranks)[..., 1]}


def _student_rows(lab: Bench, logits: Tensor, n: int, named: list[dict], temperatures, params: TolerantFamilies,
                  rates: list[float], labels: Tensor | None = None, **same) -> list[dict]:
    arms = [({"teacher": None}, HARD)]
    arms += [({"teacher": kind["method"], "eta": kind.get("eta")}, distilled(temperature, teacher))
             for temperature in temperatures for teacher, kind in enumerate(named)]
    students = cohort(lab, logits, lab.transfer(n), [setting for _, setting in arms], lab.network(params.student),
                      labels)
    before, recipe = time.process_time(), Recipe(params.steps, lr=params.student_lr)
    students.fit(recipe)
    rates.append(len(students.population) * params.steps * recipe.batch / (time.process_time() - before))
    runs = [kind | setting.columns for kind, setting in arms]
    return table_rows(lab, runs, {"accuracy": students.accuracy()}, transfer=n, **same)


def _lineage_rows(lab: Bench, params: TolerantFamilies, teachers: Population, report) -> Iterator[list[dict]]:
    """Parts "generations" and "ensemble": a strict and a tolerant lineage, and strict networks of other starts."""
    network, recipe = lab.network(params.teacher), Recipe(params.steps, lr=params.teacher_lr)
    chosen = (STRICT, kinds(params.ranks, lab.data.n_classes)[1])
    named = [{"method": kind.name} for kind in chosen]
    same, united, independent = {"transfer": lab.images, "noise": 0.0}, 0, 0
    report(f"lineages of {params.generations} generations, a strict and a tolerant one")
    for generation, population in enumerate(lineages(lab, lab.pool, chosen, params.generations, params.label_weight,
                                                     network, recipe,
                                                     first=_among(teachers, chosen, params))):
        logits = population.predict(lab.data.inputs)
        rows = table_rows(lab, named, answers(lab, logits, params.ranks), part="generations", generation=generation,
                          **same)
        united = united + softmax(logits)
        if generation:
            logits = trained(lab, lab.pool, 1, network, recipe, hard_labels, Knobs(), None, None,
                             f"independent {generation}").predict(lab.data.inputs)
        independent = independent + softmax(logits[:params.seeds])  # the first one is the strict ancestor itself
        for runs, p in ((named, united), ([{"method": "independent"}], independent)):
            rows += table_rows(lab, runs, {"accuracy": lab.accuracy(p)}, part="ensemble", members=generation + 1,
                               **same)
        yield rows


def _among(teachers: Population, chosen: Sequence[Ancestor], params: TolerantFamilies) -> Population | None:
    """The networks of these kinds among teachers of every eta, which began alike; None where one is not there."""
    seeds, places = params.seeds, []
    for kind in chosen:
        found = [place for place, eta in enumerate(params.etas) if isclose(eta, kind.eta)]
        places += [place * seeds + seed for place in found for seed in range(seeds)]
    if len(places) < len(chosen) * seeds:
        return None
    return Population.of(teachers.spec, {name: value[places] for name, value in teachers.parameters.items()})
