"""Nine methods at once: every method is an arm of one population, with the same splits, starts and batch orders."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from kdutils import metrics, rng
from kdutils.cohorts import Splits, cached_training, digest, origin
from kdutils.datasets import take
from kdutils.errors import ParameterError, one_of
from kdutils.networks import Branched, ConvNet, Hinted, Population
from kdutils.objectives import (
    METHODS,
    attack,
    boundary_loss,
    boundary_weight,
    cross_entropy,
    ensemble_loss,
    layers,
    mutual_loss,
    other_class,
    soft_target_weight,
)
from kdutils.training import Knobs, Recipe, Snapshot, Task, train

HARD = "hard labels"
ARMS = (HARD, *METHODS)
NETWORK = ConvNet((1, 8, 8), (8, 16))
TEACHER_RECIPE = Recipe(steps=300, batch=64, lr=5e-3)
BRANCH_RAMP = 80 / 300        # share of the training over which ONE's authors raise the weight of its ensemble


@dataclass(frozen=True, eq=False)
class Teachers:
    """One trained teacher per seed and what it says of every image.

    population: S networks. outputs: {name: (S, N, ...)}: the named features, "boundary" (S, N, c, h, w), each image of
    `attacked` pushed across the teacher's boundary, "boundary logits", and "boundary usable": attacked, right, crossed.
    """

    population: Population
    outputs: dict[str, Tensor]


def teach(lab: Splits, images: Tensor, spec=NETWORK, recipe: Recipe = TEACHER_RECIPE, labels: Tensor | None = None,
          attacked: Tensor | None = None) -> Teachers:
    """Teachers trained on `images` (S, n) with the data's labels or `labels` (S, N); the training is cached.

    attacked: (S, m), the images whose boundary samples are wanted; none by default.
    """
    seen = lab.data.labels if labels is None else labels
    starts = [rng.derive(seed, "teacher") for seed in lab.seeds]
    population = Population.of(spec, cached_training(
        "nine", origin(lab, images) | {"labels": digest(labels)}, spec, recipe, images.device,
        prepare=lambda spec: (Population(spec, starts, images.device), Task(lab.data.inputs, seen, images, lab.seeds)),
        read=lambda trained: trained.copy().parameters))
    outputs = described(population, lab.data.inputs)
    if attacked is not None:
        outputs |= boundary(lab, population, attacked, seen)
    return Teachers(population, outputs)


@torch.no_grad()
def described(population: Population, inputs: Tensor, chunk: int = 2000) -> dict[str, Tensor]:
    """The named features of every image, without gradients: {name: (S, N, ...)}; flat copies are left out."""
    parts = [population.features(part) for part in inputs.split(chunk)]
    return {name: torch.cat([part[name] for part in parts], 1) for name in parts[0] if name != "embedding"}


def boundary(lab: Splits, population: Population, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Boundary samples of `images` (S, m), once for the whole training: a target class is drawn once for each."""
    found = take(lab.data.inputs, images)
    logits = population.predict(found)
    random = rng.generator(lab.seeds[0], "boundary")
    moved, crossed = attack(population, found, other_class(logits, random))
    truth = labels[images] if labels.ndim == 1 else labels.gather(1, images)
    usable = crossed & (logits.argmax(-1) == truth)
    return {"boundary": _at(images, moved, len(lab.data)),
            "boundary logits": _at(images, population.predict(moved), len(lab.data)),
            "boundary usable": _at(images, usable, len(lab.data))}


@dataclass(frozen=True, eq=False)
class Group:
    """Arms that are trained as one population: member k * S + s is row k of `arms` with seed s."""

    arms: tuple[str, ...]
    population: Population
    task: Task
    knobs: Knobs


@dataclass(eq=False)
class Race:
    """Students of every method, ready to train. failures: {method: why it cannot run here}; the others go on."""

    lab: Splits
    groups: list[Group]
    failures: dict[str, str] = field(default_factory=dict)
    alone: bool = False

    @property
    def arms(self) -> tuple[str, ...]:
        """The methods that run, in the order of the nine."""
        there = {arm for group in self.groups for arm in group.arms}
        return tuple(arm for arm in ARMS if arm in there)

    def train(self, recipe: Recipe, every: int | None = None) -> Iterator[Snapshot]:
        """All groups side by side: a snapshot of the first one whenever every group has come so far.

        Weights that the authors change while they train (BSS, ONE) change twenty times.
        """
        every = every or max(1, recipe.steps // 20)
        loops = [train(group.population, group.task, self._objective(group), group.knobs, recipe, every)
                 for group in self.groups]
        for snapshots in zip(*loops, strict=True):
            for group in self.groups:
                group.knobs.set(done=snapshots[0].step / recipe.steps)
            yield snapshots[0]

    def run(self, recipe: Recipe) -> "Race":
        """Train to the end; returns itself."""
        for _ in self.train(recipe):
            pass
        return self

    def predict(self, inputs: Tensor) -> dict[str, Tensor]:
        """{method: logits (S, Q, C)} of inputs (S, Q, c, h, w); of DML the first peer's, of ONE the first branch's."""
        return self._split(lambda population, images: population.predict(images), inputs)

    def features(self, inputs: Tensor) -> dict[str, dict[str, Tensor]]:
        """{method: {name: (S, Q, ...)}}, without gradients."""
        with torch.no_grad():
            return self._split(lambda population, images: population.features(images), inputs)

    def accuracy(self) -> dict[str, Tensor]:
        """{method: test accuracy in percent, (S,)}."""
        test, labels = take(self.lab.data.inputs, self.lab.test), self.lab.data.labels[self.lab.test]
        return {arm: 100 * metrics.accuracy(logits, labels) for arm, logits in self.predict(test).items()}

    def balance(self) -> dict[str, Tensor]:
        """Give each term the weight at which its gradient is as large as the cross-entropy's, on the first batch.

        Returns {method: (S,) weights}. Lengths are over all of a student's parameters, each student by itself.
        """
        chosen = {}
        for group in self.groups:
            s, rows = len(self.lab.seeds), list(group.knobs["weight"])
            position = torch.arange(min(32, group.task.train.shape[1]), device=group.task.train.device)
            inputs, teacher, labels = group.task.batch(position.expand(len(group.population), -1))
            for k, arm in enumerate(group.arms):
                part = slice(k * s, (k + 1) * s)
                if arm in (HARD, "DML peer"):
                    continue
                hard, soft = (self._gradient(group, part, arm, inputs, teacher, labels, which) for which in (1, 0))
                weight = hard / soft.clamp_min(1e-12)
                rows[part] = weight.tolist()
                chosen[arm] = weight
            group.knobs.set(weight=rows)
        return {arm: chosen[arm] for arm in self.arms if arm in chosen}

    def _gradient(self, group: Group, part: slice, arm: str, inputs, teacher, labels, hard: int) -> Tensor:
        """Length of the gradient of one arm's cross-entropy (hard 1) or term (0): (S,)."""
        with torch.enable_grad():
            own = {name: value[part].detach().requires_grad_() for name, value in group.population.parameters.items()}
            population = Population.of(group.population.spec, own)
            student = population.features(inputs[part])
            there = {name: value[part] for name, value in teacher.items()}
            if hard:
                loss = cross_entropy(student["logits"], labels[part])
            elif arm == "DML":      # the peer has the same start but for its seed: half of the pair is as good
                peer = group.population.features(inputs)["logits"][part.stop:part.stop + part.stop - part.start]
                other = layers(student | {"logits": peer.detach()})
                loss = METHODS["DML"].term(layers(student), other, student, student)
            elif arm == "BSS":
                loss = _boundary_term(population, student, there, labels[part], 4.0, 2.0)
            else:
                loss = METHODS[arm].term(layers(student) if arm != "ONE" else None,
                                         layers(there) if arm != "ONE" else None, student, there)
            slopes = torch.autograd.grad(loss.sum(), list(own.values()), allow_unused=True)
        return sum(slope.flatten(1).square().sum(1) for slope in slopes if slope is not None).sqrt()

    def _objective(self, group: Group):
        s = len(self.lab.seeds)

        sizes = [s * (1 + (arm == "DML")) for arm in group.arms if arm != "DML peer"]    # the peers go together
        arms = [arm for arm in group.arms if arm != "DML peer"]

        def objective(student, teacher, labels, knobs) -> Tensor:
            # Split once: the gradient of a slice is as large as what it was cut from, that of a split is put together.
            students, teachers = _cut(student, sizes), _cut(teacher, sizes)
            own = zip(labels.split(sizes), knobs["weight"].split(sizes), strict=True)
            losses, start = [], 0
            for arm, size, mine, told, (truth, weight) in zip(arms, sizes, students, teachers, own, strict=True):
                losses.append(self._loss(group, arm, slice(start, start := start + size), mine, told, truth, weight,
                                         knobs["done"]))
            return torch.cat(losses)

        return objective

    def _loss(self, group: Group, arm: str, rows: slice, student, teacher, labels, weight, done: float) -> Tensor:
        logits = student["logits"]
        if arm == HARD:
            return cross_entropy(logits, labels)
        if arm == "DML":
            pair = mutual_loss(logits.unflatten(0, (2, -1)), labels.unflatten(0, (2, -1)), 1.0,
                               weight.unflatten(0, (2, -1)))
            return pair.flatten()
        if arm == "ONE":
            return ensemble_loss(student["branches"], student["gate"], labels, 3.0,
                                 weight * min(1.0, done / BRANCH_RAMP))
        hard = 0.0 if self.alone else METHODS[arm].hard * cross_entropy(logits, labels)
        if arm == "BSS":
            own = {name: value[rows] for name, value in group.population.parameters.items()}
            soft, far = (0.0, 1.0) if self.alone else (soft_target_weight(done), boundary_weight(done))
            return hard + weight * _boundary_term(Population.of(group.population.spec, own), student, teacher, labels,
                                                  soft, far)
        return hard + weight * METHODS[arm].term(layers(student), layers(teacher), student, teacher)

    def _split(self, ask, inputs: Tensor) -> dict:
        found = {}
        for group in self.groups:
            answers = ask(group.population, inputs.repeat(len(group.arms), *[1] * (inputs.ndim - 1)))
            s = len(self.lab.seeds)
            for k, arm in enumerate(group.arms):
                rows = slice(k * s, (k + 1) * s)
                found[arm] = ({name: value[rows] for name, value in answers.items()} if isinstance(answers, Mapping)
                              else answers[rows])
        return {arm: found[arm] for arm in ARMS if arm in found}


def race(lab: Splits, teachers: Teachers, images: Tensor, methods: Sequence[str] = ARMS, spec=NETWORK,
         labels: Tensor | None = None, alone: bool = False) -> Race:
    """Students of the chosen methods on `images` (S, n), every one with the same start and the same batches.

    labels: (S, N) where they see others than the data's. alone: each method's own term without the labels (but for hard
    labels, DML and ONE, which have no teacher). A method that these networks do not allow is left out, with its reason.
    """
    found = Race(lab, [], alone=alone)
    plain = []
    for method in methods:
        own = _network(method, spec, teachers)
        if why := _refusal(method, own, teachers, lab, images):
            found.failures[method] = why
        elif own is spec:
            plain += [method, "DML peer"] if method == "DML" else [method]
        else:
            found.groups.append(_group(lab, teachers, images, (method,), own, labels))
    if plain:
        found.groups.insert(0, _group(lab, teachers, images, tuple(plain), spec, labels))
    if not found.groups:
        raise ParameterError(f"none of the methods can run: {' '.join(found.failures.values())}")
    return found


def _network(method: str, spec, teachers: Teachers):
    """The student's network: with branches for ONE, with a regressor for hints of another width, else the plain one."""
    if method == "ONE":
        return Branched(spec)
    if method == "FitNets":
        hidden = [name for name in teachers.outputs if name.rstrip("0123456789") in ("stage", "hidden")]
        middle = hidden[(len(hidden) - 1) // 2]
        width = teachers.outputs[middle].shape[2]
        own = spec.channels if isinstance(spec, ConvNet) else spec.hidden
        if own[(len(own) - 1) // 2] != width:
            return Hinted(spec, middle, width)
    return spec


def _refusal(method: str, spec, teachers: Teachers, lab: Splits, images: Tensor) -> str:
    """Why a method cannot run on these networks, "" if it can: tried on four images before anything is trained."""
    one_of("method", method, ARMS)
    if method in (HARD, "DML", "ONE"):
        return ""
    if method == "BSS":
        return "" if "boundary" in teachers.outputs else "BSS needs boundary samples of its teacher, got none."
    first = images[:1, :4]
    student = Population(spec, lab.seeds[:1], images.device).features(take(lab.data.inputs, first))
    teacher = {name: value[:1, first[0]] for name, value in teachers.outputs.items()}
    try:
        METHODS[method].term(layers(student), layers(teacher), student, teacher)
    except ParameterError as error:
        return str(error)
    return ""


def _group(lab: Splits, teachers: Teachers, images: Tensor, arms: tuple[str, ...], spec, labels) -> Group:
    s, k = len(lab.seeds), len(arms)
    starts = [rng.derive(seed, "peer") if arm == "DML peer" else seed for arm in arms for seed in lab.seeds]
    outputs = teachers.outputs if set(arms) - {HARD, "DML", "DML peer", "ONE"} else None
    task = Task(lab.data.inputs, lab.data.labels if labels is None else labels.repeat(k, 1), images.repeat(k, 1),
                lab.seeds * k, outputs, torch.arange(s, device=images.device).repeat(k))
    weights = [METHODS[arm].weight if arm in METHODS else 1.0 for arm in arms for _ in lab.seeds]
    return Group(arms, Population(spec, starts, images.device), task, Knobs(weight=weights, done=0.0))


def _boundary_term(population: Population, student, teacher, labels, soft: float, far: float) -> Tensor:
    """BSS beside its labels: soft * soft cross-entropy on the clean pictures + far * that on the boundary samples."""
    everyone = torch.ones_like(labels, dtype=torch.bool)
    usable = teacher["boundary usable"] & (student["logits"].argmax(-1) == labels)
    loss = soft * boundary_loss(student["logits"], teacher["logits"], everyone)
    if far:
        answers = population(teacher["boundary"])
        loss = loss + far * boundary_loss(answers, teacher["boundary logits"], usable)
    return loss


def _cut(outputs: Mapping[str, Tensor], sizes: Sequence[int]) -> list[dict[str, Tensor]]:
    """{name: (M, ...)} as one dictionary per part of the population."""
    parts = {name: value.split(sizes) for name, value in outputs.items()}
    return [{name: values[i] for name, values in parts.items()} for i in range(len(sizes))]


def _at(images: Tensor, values: Tensor, n: int) -> Tensor:
    """Values (S, m, ...) of the images (S, m) in their places among all n: (S, n, ...), zero elsewhere."""
    whole = values.new_zeros(len(images), n, *values.shape[2:])
    whole[torch.arange(len(images), device=images.device)[:, None], images] = values
    return whole
