"""Notebook 02: how strict should a first teacher be? Tolerance, temperature, generations (Yang et al. 2018).

Everything of one seed is paired: split, starts and batch orders are the same for every eta and every kind of ancestor.
Accuracies and masses are in percent, measured on the 597 test digits of the seed's split, entropies in bits.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields

import torch
from torch import Tensor

from kdutils import metrics
from kdutils.cohorts import (
    HARD,
    STUDENT,
    TEACHER_RECIPE,
    Splits,
    cached_training,
    cohort,
    collect,
    digest,
    distilled,
    origin,
    side_by_side,
    table_rows,
    teacher_recipe,
)
from kdutils.datasets import label_noise, load, take
from kdutils.errors import between, whole
from kdutils.lessons.tolerant_teachers.parameters import (
    DEFAULT,
    FRESH,
    GROUPS,
    SMOKE,
    Ancestor,
    TolerantTeachers,
    kinds,
    tolerant,
)
from kdutils.networks import MLP, Population, Specification
from kdutils.objectives import distillation, hard_labels, softmax, tolerant_teacher
from kdutils.results import Results
from kdutils.training import Knobs, Recipe, fit

__all__ = ["DEFAULT", "FRESH", "SMOKE", "TolerantTeachers", "ancestors", "answers", "first_teachers",
           "lineages", "prepare", "run", "trained"]

TEACHER = MLP(64, (128,), 10)
LINEAGE = MLP(64, (32,), 10)


def prepare(params: TolerantTeachers) -> Splits:
    """The data; refuses what cannot be run before anything is trained."""
    lab = Splits.open("digits", params.seeds, params.seed, params.device)
    for n in (*params.transfer_sizes, *(n for n, _ in params.lineages)):
        whole("transfer images", n, 1, lab.pool.shape[1], why="the pool of digits")
    unseen = min(int((lab.data.labels[pool] >= params.probed).sum()) for pool in lab.pool)
    whole("probe images", params.probe_images, 1, unseen, why="the pool's images of the digits that no lineage sees")
    if params.grouped:
        load(params.grouped)  # absent data say so
    return lab


def run(params: TolerantTeachers, report: Callable[[str], None] = lambda line: None) -> Results:
    """A row per run and part. Columns that say which run it was, None where they do not apply:

    part         "teacher", "student", "noise", "generations", "ensemble", "probe" or "groups"
    method       "teacher", "hard labels", "distilled"; in lineages the kind: "strict", "tolerant", "very tolerant",
                 "smoothed", "penalised"; "longer": one strict network with the budget of a whole lineage;
                 "independent": strict networks of other starts; "pixels": a probe of the images themselves
    eta, temperature, transfer (images), noise (share of wrong labels), generation, members (of an ensemble), seed

    What was measured: accuracy (of the linear probe in part "probe"); of teachers and generations also entropy,
    primary (mass of rank 1), secondary (ranks 2 .. K) and rest. In part "groups" also inside: the share of the mass of
    ranks 2 .. K on classes of the label's group, in percent, which would be `chance_inside` at random.
    """
    start = time.perf_counter()
    lab = prepare(params)
    return collect(_groups(lab, params, report), params, start, report)


def ancestors(lab: Splits, train: Tensor, chosen: Sequence[Ancestor], spec: Specification = TEACHER,
              recipe: Recipe = TEACHER_RECIPE, labels: Tensor | None = None) -> Tensor:
    """Logits (A, S, N, C) for every image of first teachers of A kinds, one per seed, trained on `train` (S, n).

    labels: (S, N) where they see others than the data's. They come from the cache if they can.
    """
    made_of = origin(lab, train) | {"ancestors": [asdict(one) for one in chosen], "labels": digest(labels)}
    return cached_training(
        "ancestors", made_of, spec, recipe, train.device,
        prepare=lambda spec: side_by_side(lab, len(chosen), train, spec, labels),
        read=lambda trained: {"logits": trained.predict(lab.data.inputs).unflatten(0, (len(chosen), -1))},
        objective=tolerant_teacher, knobs=_knobs_of(chosen, lab))["logits"]


def lineages(lab: Splits, train: Tensor, chosen: Sequence[Ancestor], generations: int, label_weight: float = 0.5,
             spec: Specification = LINEAGE, recipe: Recipe | None = None,
             labels: Tensor | None = None, first: Population | None = None) -> Iterator[Population]:
    """Generation 0, 1, ... of A kinds of ancestors, one lineage per seed: populations of A * S networks.

    Each network learns from labels, weighed by lambda, and from the network before it at T = 1; it has the same size
    and the same budget, and starts afresh. Only generation 0 knows of tolerance: where a network follows its targets
    exactly, what its ancestor left beside the label is multiplied by 1 - lambda in each generation. Start and batch
    order depend on seed and generation, not on the kind. first: generation 0, where it is trained already.
    """
    whole("generations", generations, 1)
    between("lambda", label_weight, 0, 1)
    recipe = recipe or Recipe(steps=300)
    yield (population := first or first_teachers(lab, train, chosen, spec, recipe, labels))
    knobs = Knobs(temperature=1.0, alpha=1 - label_weight)
    for generation in range(1, generations + 1):
        teacher = {"logits": population.predict(lab.data.inputs)}
        yield (population := trained(lab, train, len(chosen), spec, recipe, distillation, knobs, labels, teacher,
                                      f"generation {generation}"))


def work(params: TolerantTeachers) -> list[float]:
    """What each part that is reported has to do, in shares of the whole at the default settings: for the time left."""
    return [10, *(6 for _ in params.transfer_sizes), 18, *(17 for _ in params.lineages), 40,
            *[20] * bool(params.grouped)]


def _groups(lab: Splits, params: TolerantTeachers, report) -> Iterator[list[dict]]:
    recipe = teacher_recipe(params.teacher_steps)
    chosen = [tolerant(eta, params.ranks) for eta in params.etas]
    words = ", ".join(f"{eta:g}" for eta in params.etas)
    report(f"{params.seeds} teachers for each eta of {words} (from the cache if trained before)")
    logits = ancestors(lab, lab.pool, chosen, TEACHER, recipe)
    yield _teacher_rows(lab, logits, params, part="teacher", noise=0.0)
    for n in params.transfer_sizes:
        report(f"students of these teachers, and of hard labels, on {n} images")
        yield _student_rows(lab, logits, lab.transfer(n), params, None, part="student", noise=0.0)
    report(f"the same with {params.noise:.0%} wrong labels, on all {lab.pool.shape[1]} images")
    labels = noisy_labels(lab, params.noise)
    logits = ancestors(lab, lab.pool, chosen, TEACHER, recipe, labels)
    yield _teacher_rows(lab, logits, params, part="noise", noise=params.noise)
    yield _student_rows(lab, logits, lab.pool, params, labels, part="noise", noise=params.noise)
    for n, noise in params.lineages:
        report(f"lineages of {params.generations} generations on {n} images, {noise:.0%} wrong labels")
        yield _lineage_rows(lab, n, noise, params)
    report(f"lineages that never see the digits {params.probed}-9, and linear probes of what they know of these")
    yield probe_rows(lab, params)
    if params.grouped:
        report(f"teachers of {params.grouped}, {params.grouped_images:,} images: whose are the secondary classes?")
        yield _group_rows(params)


# ---- teachers and students ---------------------------------------------------------------------------------------

def _teacher_rows(lab: Splits, logits: Tensor, params: TolerantTeachers, **same) -> list[dict]:
    same |= {"transfer": lab.pool.shape[1], "method": "teacher"}
    values = answers(lab, logits.flatten(0, 1), params.ranks)
    return table_rows(lab, [{"eta": eta} for eta in params.etas], values, **same)


def _student_rows(lab: Splits, logits: Tensor, transfer: Tensor, params: TolerantTeachers, labels: Tensor | None,
                  **same) -> list[dict]:
    arms = [(None, HARD)] + [(eta, distilled(temperature, teacher)) for temperature in params.temperatures
                             for teacher, eta in enumerate(params.etas)]
    students = cohort(lab, logits, transfer, [setting for _, setting in arms], STUDENT, labels)
    students.fit(Recipe(steps=params.student_steps))
    runs = [{"eta": eta, "method": setting.method, "temperature": setting.temperature} for eta, setting in arms]
    return table_rows(lab, runs, {"accuracy": students.accuracy()}, transfer=transfer.shape[1], **same)


def _group_rows(params: TolerantTeachers) -> list[dict]:
    """Teachers of every eta on a data set whose classes have groups; measured on its first 2,000 test images."""
    lab = Splits.open(params.grouped, params.seeds, params.seed, params.device)
    train, test = lab.transfer(params.grouped_images), lab.test[:, :2000]
    spec = MLP(lab.data.inputs[0].numel(), TEACHER.hidden, lab.data.n_classes)
    recipe = teacher_recipe(params.teacher_steps)
    arms = len(params.etas)
    population = first_teachers(lab, train, [tolerant(eta, params.ranks) for eta in params.etas], spec, recipe, None)
    logits = population.predict(take(lab.data.inputs, test.repeat(arms, 1)))
    labels = lab.data.labels[test].repeat(arms, 1)
    inside = [metrics.mass_inside_groups(z, y, GROUPS[params.grouped], params.ranks)
              for z, y in zip(logits, labels, strict=True)]
    values = {"accuracy": 100 * metrics.accuracy(logits, labels), "inside": 100 * torch.stack(inside)}
    values |= _masses(logits, params.ranks)
    return table_rows(lab, [{"eta": eta} for eta in params.etas], values, part="groups", method="teacher", noise=0.0,
                 transfer=train.shape[1])


# ---- lineages ----------------------------------------------------------------------------------------------------

def _lineage_rows(lab: Splits, n: int, noise: float, params: TolerantTeachers) -> list[dict]:
    """Parts "generations" and "ensemble" of one pair (images, noise)."""
    train, recipe = lab.transfer(n), Recipe(steps=params.lineage_steps)
    labels, chosen, rows = noisy_labels(lab, noise), kinds(params.ranks), []
    same = {"transfer": n, "noise": noise}
    named = [{"method": kind.name} for kind in chosen]
    united, independent = 0, 0
    for generation, population in enumerate(lineages(lab, train, chosen, params.generations, params.label_weight,
                                                     LINEAGE, recipe, labels)):
        logits = population.predict(lab.data.inputs)
        rows += table_rows(lab, named, answers(lab, logits, params.ranks), part="generations", generation=generation,
                      **same)
        united = united + softmax(logits)
        if generation:
            logits = trained(lab, train, 1, LINEAGE, recipe, hard_labels, Knobs(), labels, None,
                              f"independent {generation}").predict(lab.data.inputs)
        independent = independent + softmax(logits[:params.seeds])  # the first one is the strict ancestor itself
        for runs, p in ((named, united), ([{"method": "independent"}], independent)):
            rows += table_rows(lab, runs, {"accuracy": lab.accuracy(p)}, part="ensemble", members=generation + 1,
                               **same)
    longer = Recipe(steps=params.lineage_steps * (params.generations + 1))
    logits = trained(lab, train, 1, LINEAGE, longer, hard_labels, Knobs(), labels, None, None).predict(lab.data.inputs)
    return rows + table_rows(lab, [{"method": "longer"}], answers(lab, logits, params.ranks), part="generations",
                        generation=params.generations, **same)


def probe_rows(lab: Splits, params: TolerantTeachers) -> list[dict]:
    """Lineages on the digits below `probed`; a linear probe on what their hidden layer makes of the others.

    With fewer classes the tolerance keeps its share of them (5 of 10 ranks: 3 of 6) and its p*.
    """
    seen = params.probed
    train = [pool[lab.data.labels[pool] < seen] for pool in lab.pool]
    train = torch.stack([indices[:min(map(len, train))] for indices in train])
    spec, recipe = MLP(64, LINEAGE.hidden, seen), Recipe(steps=params.lineage_steps)
    chosen = kinds(max(2, round(params.ranks * seen / 10)), seen)
    named, rows = [{"method": kind.name} for kind in chosen], []
    same = {"part": "probe", "transfer": train.shape[1], "noise": 0.0}
    for generation, population in enumerate(lineages(lab, train, chosen, params.generations, params.label_weight,
                                                     spec, recipe)):
        with torch.no_grad():
            features = population.features(lab.data.inputs)["hidden1"]
        rows += table_rows(lab, named, {"accuracy": probe_accuracy(lab, features, seen, params.probe_images)},
                      generation=generation, **same)
    pixels = lab.data.inputs.flatten(1).expand(params.seeds, -1, -1)
    found = {"accuracy": probe_accuracy(lab, pixels, seen, params.probe_images)}
    return rows + table_rows(lab, [{"method": "pixels"}], found, generation=0, **same)


def probe_accuracy(lab: Splits, features: Tensor, seen: int, n: int) -> Tensor:
    """Test accuracy (percent) of ridge regression on standardised features (M, N, F): classes >= `seen`, (M,).

    Trained on the first n such images of the pool, which no lineage was trained on; the penalty is 1, the default of
    scikit-learn's RidgeClassifier, and the intercept is not penalised.
    """
    labels, accuracies = lab.data.labels, []
    for member, x in enumerate(features):
        pool, test = (index[labels[index] >= seen] for index in (lab.pool[member % len(lab.seeds)],
                                                                 lab.test[member % len(lab.seeds)]))
        pool = pool[:n]
        mean, spread = x[pool].mean(0), x[pool].std(0, correction=0)
        x = ((x - mean) / spread.where(spread > 0, 1)).double()
        target = torch.nn.functional.one_hot(labels[pool] - seen, 10 - seen).double() * 2 - 1
        gram = x[pool].T @ x[pool] + torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        weight = torch.linalg.solve(gram, x[pool].T @ target)  # the features are centred: no intercept in it
        guess = (x[test] @ weight + target.mean(0)).argmax(-1) + seen
        accuracies.append(100 * (guess == labels[test]).float().mean())
    return torch.stack(accuracies)


# ---- training and tables -----------------------------------------------------------------------------------------

def _knobs_of(chosen: Sequence[Ancestor], lab: Splits) -> Knobs:
    """The knobs of one ancestor of each kind and seed."""
    return Knobs(**{field.name: [getattr(one, field.name) for one in chosen for _ in lab.seeds]
                    for field in fields(Ancestor) if field.name != "name"})


def first_teachers(lab: Splits, train: Tensor, chosen: Sequence[Ancestor], spec, recipe, labels) -> Population:
    """The teachers whose logits `ancestors` gives, trained anew: A kinds, one per seed."""
    return trained(lab, train, len(chosen), spec, recipe, tolerant_teacher, _knobs_of(chosen, lab), labels, None, None)


def trained(lab: Splits, train: Tensor, arms: int, spec, recipe, objective, knobs, labels, teacher,
             purpose: str | None) -> Population:
    """arms * S networks, trained; `purpose` names the random stream of start and order, None is the seed's own."""
    population, task = side_by_side(lab, arms, train, spec, labels, teacher, purpose=purpose)
    fit(population, task, objective, knobs, recipe)
    return population.copy()


def noisy_labels(lab: Splits, rate: float) -> Tensor | None:
    """(S, N): each seed's labels, a share `rate` of them wrong; None where all are right."""
    labels = [label_noise(lab.data.labels, rate, lab.data.n_classes, seed) for seed in lab.seeds]
    return torch.stack(labels) if rate else None


def answers(lab: Splits, logits: Tensor, ranks: int) -> dict[str, Tensor]:
    """What is measured of logits (arms * S, N, C) on each seed's test images: {name: (arms, S)}."""
    found = lab.tested(logits.unflatten(0, (-1, len(lab.seeds))))
    return {"accuracy": lab.accuracy(logits)} | _masses(found, ranks)


def _masses(logits: Tensor, ranks: int) -> dict[str, Tensor]:
    """Entropy, and mass by rank, of answers (..., N, C): {name: (...,)}."""
    primary, secondary, rest = (100 * metrics.mass_in_ranks(logits, ranks)).unbind(-1)
    return {"entropy": metrics.entropy(logits).mean(-1), "primary": primary, "secondary": secondary, "rest": rest}
