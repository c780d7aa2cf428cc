"""Notebook 03: what can a teacher say when there are only two classes? (Müller, Kornblith, Hinton 2020)

Everything of one seed is paired: split, starts and batch orders are the same for every kind of teacher and every arm of
students. Accuracies and agreements are in percent, measured on the 597 test digits of the seed's split. The hidden
digits are used by the oracle and by measures of agreement, and by nothing else.

How the settings were chosen: T = 4 and alpha = 1/2 are those of the authors' demo. beta and T_aux (and the weights of
the two other regularisers) are those of whose teachers raise the best students with 100 images, in superclass accuracy
on 300 images of the pool kept from training, over the seeds 1000-1011 (`choose`); no test image and no hidden label
takes part in it, and this experiment never uses those seeds. The settings of clicks are chosen by the students'
log-loss in the same way, in the worlds of the seeds 1000-1007 (`choose_clicks`), a temperature for each method.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import pandas as pd
import torch
from torch import Tensor

from kdutils import cache, metrics, rng
from kdutils.cohorts import Splits, collect, digest
from kdutils.datasets import Dataset, Table, grouped, take
from kdutils.errors import ParameterError, at_least, between, different, positive, whole
from kdutils.lessons.subclass_distillation.clicks import click_lab
from kdutils.networks import MLP, Population
from kdutils.objectives import (
    class_logits,
    cross_entropy,
    hard_labels,
    kd_loss,
    subclass_distillation,
    subclass_teacher,
)
from kdutils.results import Results
from kdutils.training import Knobs, Recipe, Snapshot, Task, fit, train

TEACHER_WIDTHS = (64,)
CERTAIN = 200.0  # a logit that makes a label's probability 1 at any temperature of the course


@dataclass(frozen=True)
class SubclassDistillation:
    """seeds: runs per setting. data: one of `datasets.GROUPINGS`. subclasses: s per class, where it is not swept.

    beta, t_aux, entropy_beta: of the teachers that raise students. betas, t_auxs: the grid of part "discovery" for the
    paper's loss, entropy_betas for the entropy form, sizes: other s at beta and t_aux. transfer_sizes: images of part
    "few" for students with `width` hidden units, and at `narrow_images` for `narrow` ones. temperature, alpha: of all
    distilled students. hint: weight of the penultimate layer. speed_images, speed_every: of part "speed", whose
    students learn for `student_steps` at a constant rate. click_...: of part "clicks", whose teachers see as many rows
    of a log as the largest of click_rows says, their students as many as each says, with `width` hidden units."""

    seeds: int = 16
    data: str = "digits-2x5"
    subclasses: int = 5
    beta: float = 0.1
    t_aux: float = 0.5
    entropy_beta: float = 0.3
    betas: tuple[float, ...] = (0.1, 0.3, 1.0)
    t_auxs: tuple[float, ...] = (0.1, 0.5, 1.0)
    entropy_betas: tuple[float, ...] = (0.3, 1.0, 3.0)
    sizes: tuple[int, ...] = (2, 10, 20)
    transfer_sizes: tuple[int, ...] = (20, 50, 100, 200, 500, 1200)
    width: int = 16
    narrow: int = 8
    narrow_images: int = 100
    temperature: float = 4.0
    alpha: float = 0.5
    hint: float = 3.0
    speed_images: tuple[int, ...] = (100, 1200)
    speed_every: int = 20
    teacher_steps: int = 300
    student_steps: int = 400
    click_rows: tuple[int, ...] = (2000, 8000)
    click_subclasses: tuple[int, ...] = (2, 5)
    click_beta: float = 0.03
    click_t_aux: float = 0.3
    click_temperature: float = 2.0
    click_two_class_temperature: float = 4.0
    click_teacher_steps: int = 500
    click_steps: int = 300
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self):
        for name in ("seeds", "width", "narrow", "teacher_steps", "student_steps", "speed_every", "click_teacher_steps",
                     "click_steps"):
            whole(name.replace("_", " "), getattr(self, name), 1)
        for size in (self.subclasses, *self.sizes, *self.click_subclasses):
            whole("subclasses of a class", size, 1, 20)
        for name in ("beta", "entropy_beta", "hint", "click_beta"):
            at_least(name, getattr(self, name), 0)
        for beta in (*self.betas, *self.entropy_betas):
            positive("beta", beta)  # 0 is there anyway
        for t_aux in self.t_auxs:
            positive("t_aux", t_aux)
        for name in ("t_aux", "click_t_aux", "temperature", "click_temperature", "click_two_class_temperature"):
            positive(name, getattr(self, name))
        for rows in self.click_rows:
            whole("click rows", rows, 2)
        if self.click_rows:
            whole("number of click_subclasses", len(self.click_subclasses), 1)
        between("alpha", self.alpha, 0, 1)
        for name in ("betas", "t_auxs", "entropy_betas", "sizes", "transfer_sizes", "speed_images", "click_rows",
                     "click_subclasses"):
            different(name, getattr(self, name))


DEFAULT = SubclassDistillation()
# Every setting of the default, so that every claim is measured, if badly: few seeds and steps.
SMOKE = SubclassDistillation(seeds=2, teacher_steps=40, student_steps=40, sizes=(2, 10), click_teacher_steps=40,
                             click_steps=40)
CLICKS_HELD_OUT = 3000


@dataclass(frozen=True)
class Arm:
    """One kind of student. teacher: whose message it hears, None for labels alone.

    head: its outputs, "classes", "subclasses" (s per class) or "hidden" (as many as there are hidden classes).
    message: "outputs", all that the teacher says, which is as wide as the head; "classes", the teacher's class
    probabilities alone; "features", the teacher's last hidden layer. pseudo: the message is labels, heard at T = 1.
    """

    name: str
    teacher: str | None = None
    head: str = "subclasses"
    message: str = "outputs"
    pseudo: bool = False


ARMS = (
    Arm("hard labels", None, "classes", "classes"),
    Arm("two-class", "two-class", "classes", "classes"),
    Arm("two-class of subclass teacher", "subclass", "classes", "classes"),
    Arm("penultimate layer", "two-class", "classes", "features"),
    Arm("hard labels, larger head", None),
    Arm("two-class, larger head", "two-class", message="classes"),
    Arm("no auxiliary loss", "no auxiliary loss"),
    Arm("subclass", "subclass"),
    Arm("subclass (entropy)", "subclass (entropy)"),
    Arm("k-means teacher", "k-means teacher"),
    Arm("k-means labels", "k-means labels", pseudo=True),
    Arm("oracle", "oracle", "hidden"),
)
RACERS = ("hard labels", "two-class", "hard labels, larger head", "subclass", "oracle")


def prepare(params: SubclassDistillation) -> tuple[Splits, Splits | None]:
    """The data, and the logs of part "clicks" if it is asked for; refuses what cannot be run before any training."""
    lab = Splits.of(grouped(params.data, params.device), params.seeds, params.seed)
    classes, pool = lab.data.n_classes, lab.pool.shape[1]
    for n in (*params.transfer_sizes, params.narrow_images, *params.speed_images):
        whole("transfer images", n, classes, pool, why="one for each class, at most the pool")
    enough_of_each(lab.data.labels[lab.pool], classes, max((params.subclasses, *params.sizes)))
    if not params.click_rows:
        return lab, None
    logs = click_lab(params.seeds, params.seed, max(params.click_rows), CLICKS_HELD_OUT, params.device)
    enough_of_each(logs.data.labels[logs.pool], logs.data.n_classes, max(params.click_subclasses))
    return lab, logs


def run(params: SubclassDistillation, report: Callable[[str], None] = lambda line: None) -> Results:
    """A row per run and part. Columns that say which run it was, None where they do not apply:

    part         "discovery", "few", "speed", "clicks" or "click teachers"
    method       in "discovery": "contrastive", "entropy", "no auxiliary loss" (beta 0), "k-means" (of the pixels of
                 each class), "oracle" and "two-class" (teachers told the hidden classes, or nothing); else an arm
    beta, t_aux, s (subclasses per class), transfer (examples), width (hidden units of a student), step, seed

    What was measured: accuracy (superclasses, by logsumexp; percent); of teachers also hungarian, purity, nmi and ari
    (each times 100) and used: the subclasses that are largest for at least 1% of the test images; of clicks log_loss
    (nats) and auc (percent). In "click teachers" method "Bayes" has the log-loss of the true probabilities.
    """
    start = time.perf_counter()
    lab, logs = prepare(params)
    return collect(_groups(lab, logs, params, report), params, start, report)


def enough_of_each(labels: Tensor, classes: int, needed: int = 1) -> None:
    """Refuse training labels (..., n) in which a class has fewer than `needed` examples: it cannot be divided."""
    for row in labels.reshape(-1, labels.shape[-1]):
        counts = row.bincount(minlength=classes)
        if int(counts.min()) < needed:
            raise ParameterError(f"every class needs at least {needed} training examples to be divided, class "
                                 f"{int(counts.argmin())} has {int(counts.min())}.")


def choose(params: SubclassDistillation = DEFAULT, seeds: int = 12, seed: int = 1000, images: int = 100,
           held_out: int = 300) -> pd.DataFrame:
    """How beta, T_aux and hint were chosen: students' superclass accuracy (percent) on images held out of the pool.

    A row per candidate, best first, and what it was: the form of the teacher's loss, or the weight of the hint. The
    test images of these seeds are not looked at, and no seed of the experiment is among them.
    """
    lab = Splits.of(grouped(params.data, params.device), seeds, seed)
    lab = replace(lab, pool=lab.pool[:, held_out:], test=lab.pool[:, :held_out])
    sizes, recipe = (params.subclasses,) * lab.data.n_classes, _teacher_recipe(params)
    values = {"contrastive": [(beta, t_aux) for beta in (0.03, 0.1, 0.3, 1.0) for t_aux in (0.1, 0.3, 0.5, 1.0)],
              "entropy": [(beta, 1.0) for beta in (0.3, 1.0, 3.0)]}
    told = {(form, *value): {"logits": logits} for form, chosen in values.items()
            for value, logits in zip(chosen, subclass_teachers(lab, lab.pool, sizes, chosen, form, recipe),
                                     strict=True)}
    hidden = label_teachers(lab, lab.pool, lab.data.labels, lab.data.n_classes, recipe)[1]
    told["two-class"] = {"hidden": _standardised(hidden, lab.pool)}
    races = [(params, [Arm(str(name), name) for name in told if name != "two-class"])]
    races += [(replace(params, hint=hint), [Arm(f"hint {hint:g}", "two-class", "classes", "features")])
              for hint in (0.1, 0.3, 1.0, 3.0, 10.0)]
    train = lab.transfer(images)
    rows = [row for chosen, arms in races
            for arm, _, logits in race(lab, told, arms, train, params.width, chosen, Recipe(params.student_steps))
            for row in _student_rows(lab, arm, logits)]
    return pd.DataFrame(rows).groupby("method")["accuracy"].agg(["mean", "sem"]).sort_values("mean", ascending=False)


def choose_clicks(params: SubclassDistillation = DEFAULT, seeds: int = 8, seed: int = 1000) -> pd.DataFrame:
    """How click_beta, click_t_aux and the two click temperatures were chosen: students' log-loss (nats) at the end.

    Worlds of seeds that the experiment never uses; the larger s, the fewer rows. A row per method, beta, T_aux and
    temperature, best first.
    """
    lab = click_lab(seeds, seed, max(params.click_rows), CLICKS_HELD_OUT, params.device)
    recipe, s = Recipe(params.click_teacher_steps, batch=128, lr=5e-3), max(params.click_subclasses)
    values = [(0.03, 0.1), (0.03, 0.3), (0.03, 1.0), (0.1, 0.1), (0.1, 0.5), (0.1, 1.0)]
    told = {str(value): {"logits": logits} for value, logits in zip(
        values, subclass_teachers(lab, lab.pool, (s,) * lab.data.n_classes, values, recipe=recipe), strict=True)}
    told["two-class"] = {"logits": label_teachers(lab, lab.pool, lab.data.labels, lab.data.n_classes, recipe)[0]}
    arms = [Arm("two-class", "two-class", "classes", "classes")] + [Arm(str(value), str(value)) for value in values]
    rows = [row for temperature in (1.0, 2.0, 4.0)
            for arm, _, logits in race(lab, told, arms, lab.pool[:, :min(params.click_rows)], params.width,
                                       replace(params, subclasses=s, temperature=temperature),
                                       Recipe(params.click_steps, lr=3e-3, schedule="constant"))
            for row in _clicked(lab, arm, logits, temperature=temperature)]
    return pd.DataFrame(rows).groupby(["method", "temperature"])[["log_loss", "auc"]].mean().sort_values("log_loss")


def _groups(lab: Splits, logs: Splits | None, params: SubclassDistillation, report) -> Iterator[list[dict]]:
    report(f"{params.seeds} teachers for each beta and T_aux, {params.subclasses} subclasses per class")
    yield _contrastive_rows(lab, params)
    report("teachers with the entropy form, with other numbers of subclasses, and k-means")
    yield _other_rows(lab, params)
    report("the teachers of the students")
    told = teachers(lab, params)
    yield _reference_rows(lab, told)
    students = [(n, params.width) for n in params.transfer_sizes] + [(params.narrow_images, params.narrow)]
    for n, width in dict.fromkeys(students):  # once, also where the narrow ones are as wide as the others
        report(f"students {lab.data.inputs[0].numel()}-{width} on {n} images, {len(ARMS)} arms")
        yield _few_rows(lab, told, n, width, params)
    for n in params.speed_images:
        report(f"how fast students learn on {n} images")
        yield _speed_rows(lab, told, n, params)
    if logs is not None:
        rows = ", ".join(map(str, params.click_rows))
        report(f"clicks of {params.seeds} worlds: teachers, then students on {rows} rows")
        yield from _click_rows(logs, params)


# ---- teachers ------------------------------------------------------------------------------------------------------

def subclass_teachers(lab: Splits, train: Tensor, sizes: Sequence[int], values: Sequence[tuple[float, float]],
            form: str = "contrastive", recipe: Recipe | None = None) -> Tensor:
    """Logits (A, S, N, sum(sizes)) for every example of teachers with A pairs (beta, T_aux), one per seed each.

    Trained on `train` (S, n) with class labels only. Paid for once: they come from the cache if they can.
    """
    betas, t_auxs = ([float(value[i]) for value in values for _ in lab.seeds] for i in (0, 1))
    made = _taught(lab, train, sum(sizes), subclass_teacher(sizes, form), Knobs(beta=betas, t_aux=t_auxs),
                   lab.data.labels, recipe, {"sizes": list(sizes), "form": form, "values": list(values)}, ("logits",))
    return made["logits"].unflatten(0, (len(values), -1))


def label_teachers(lab: Splits, train: Tensor, labels: Tensor, classes: int,
                 recipe: Recipe | None = None) -> tuple[Tensor, Tensor]:
    """Logits (S, N, classes) and last hidden layer (S, N, H) of teachers told the labels (N,) or (S, N)."""
    last = f"hidden{len(TEACHER_WIDTHS)}"
    made = _taught(lab, train, classes, hard_labels, Knobs(), labels, recipe, {"labels": digest(labels)},
                   ("logits", last))
    return made["logits"], made[last]


def clusters(lab: Splits, train: Tensor, sizes: Sequence[int]) -> Tensor:
    """k-means of the inputs inside each class, as subclasses: int64 (S, N).

    Training examples take the nearest centre of their own class, which is known; all others the nearest of all
    centres, so that a test example's class is not given away.
    """
    from sklearn.cluster import KMeans  # slow to import, and only here

    x, found = lab.data.inputs.flatten(1).cpu(), []
    for seed, row in zip(lab.seeds, train.cpu(), strict=True):
        centres, own = [], torch.empty(len(x), dtype=torch.int64)
        labels = lab.data.labels.cpu()[row]
        for label, size in enumerate(sizes):
            mine = row[labels == label]
            kmeans = KMeans(size, n_init=4, random_state=rng.derive(seed, f"k-means {label}") % 2**32)
            own[mine] = torch.from_numpy(kmeans.fit_predict(x[mine].numpy())).long() + sum(sizes[:label])
            centres.append(torch.from_numpy(kmeans.cluster_centers_))
        nearest = torch.cdist(x, torch.cat(centres).to(x)).argmin(-1)
        nearest[row] = own[row]
        found.append(nearest)
    return torch.stack(found).to(train.device)


def teachers(lab: Splits, params: SubclassDistillation, train: Tensor | None = None) -> dict[str, dict[str, Tensor]]:
    """The teachers of the students, by name: {"logits": (S, N, K)}, of "two-class" also "hidden": (S, N, H)."""
    train = lab.pool if train is None else train
    sizes, recipe = (params.subclasses,) * lab.data.n_classes, _teacher_recipe(params)
    plain, paper = subclass_teachers(lab, train, sizes, [(0.0, params.t_aux), (params.beta, params.t_aux)],
                                     recipe=recipe)
    entropy = subclass_teachers(lab, train, sizes, [(params.entropy_beta, 1.0)], "entropy", recipe)[0]
    two, hidden = label_teachers(lab, train, lab.data.labels, lab.data.n_classes, recipe)
    by_pixels = clusters(lab, train, sizes)
    truth, sizes_inside = hidden_blocks(lab)
    return {
        "two-class": {"logits": two, "hidden": _standardised(hidden, train)},
        "no auxiliary loss": {"logits": plain},
        "subclass": {"logits": paper},
        "subclass (entropy)": {"logits": entropy},
        "k-means teacher": {"logits": label_teachers(lab, train, by_pixels, sum(sizes), recipe)[0]},
        "k-means labels": {"logits": CERTAIN * torch.nn.functional.one_hot(by_pixels, sum(sizes)).float()},
        "oracle": {"logits": label_teachers(lab, train, truth, sum(sizes_inside), recipe)[0]},
    }


def hidden_blocks(lab: Splits) -> tuple[Tensor, tuple[int, ...]]:
    """`inside` of the lab's data."""
    return inside(lab.data)


def inside(data: Dataset | Table) -> tuple[Tensor, tuple[int, ...]]:
    """The hidden classes (N,), renumbered so that those of a class stand together, and how many each class has."""
    if data.hidden is None:
        raise ParameterError(f"{data.name} has no hidden classes to compare with.")
    many = int(data.hidden.max()) + 1
    pairs, renumbered = (data.labels * many + data.hidden).unique(return_inverse=True)
    return renumbered, tuple((pairs // many).bincount(minlength=data.n_classes).tolist())


def _taught(lab: Splits, train: Tensor, outputs: int, objective, knobs: Knobs, labels: Tensor, recipe: Recipe | None,
            told: Mapping, wanted: Sequence[str]) -> dict[str, Tensor]:
    """Wanted features {name: (M, N, .)} of M = A * S teachers trained with this objective.

    Where each seed has data of its own, (A, N, .): those of its own teacher for each row.
    """
    recipe = recipe or _teacher_recipe(DEFAULT)
    spec = MLP(lab.data.inputs[0].numel(), TEACHER_WIDTHS, outputs)
    made_of = {"data": lab.data.fingerprint, "network": asdict(spec), "recipe": asdict(recipe), "seeds": lab.seeds,
               "train": digest(train), "device": train.device.type, **told}

    def make():
        arms = len(told.get("values", [0]))
        own = lab.seeds * arms
        population = Population(spec, own, train.device)
        members = labels.repeat(arms, 1) if labels.ndim == 2 else labels
        task = Task(lab.data.inputs, members, train.repeat(arms, 1), own)
        fit(population, task, objective, knobs, recipe)
        inputs = lab.data.inputs if lab.own is None else take(lab.data.inputs, lab.own).repeat(arms, 1, 1, 1, 1)
        with torch.no_grad():
            found = population.features(inputs)
        return {name: found[name] if lab.own is None else found[name].reshape(arms, len(lab.data), -1)
                for name in wanted}

    return cache.load_or_make("subclass-teachers", made_of, make, device=str(train.device))


def _teacher_recipe(params: SubclassDistillation) -> Recipe:
    return Recipe(params.teacher_steps, batch=128, lr=5e-3)


def _standardised(features: Tensor, train: Tensor) -> Tensor:
    """Features (S, N, H) with mean 0 and variance 1 on the training examples; units that never fire stay 0."""
    seen = features.gather(1, train[..., None].expand(-1, -1, features.shape[-1]))
    spread = seen.std(1, correction=0, keepdim=True)
    return (features - seen.mean(1, keepdim=True)) / spread.where(spread > 0, torch.ones_like(spread))


# ---- students ------------------------------------------------------------------------------------------------------

@dataclass(frozen=True, eq=False)
class Field:
    """Students whose heads look alike, side by side: member k * S + s is arm k with seed s. sizes: of their heads."""

    lab: Splits
    arms: tuple[Arm, ...]
    sizes: tuple[int, ...]
    population: Population
    task: Task
    objective: Callable
    knobs: Knobs

    def train(self, recipe: Recipe, every: int | None = None) -> Iterator[Snapshot]:
        """The training loop over these students."""
        return train(self.population, self.task, self.objective, self.knobs, recipe, every or recipe.steps)

    @cached_property
    def test_inputs(self) -> Tensor:
        """(arms * S, Q, c, h, w), gathered once: students are tested again and again."""
        return take(self.lab.data.inputs, self.lab.test).repeat(len(self.arms), 1, 1, 1, 1)

    def test_logits(self) -> dict[Arm, Tensor]:
        """Class logits (S, Q, C) of each arm on the test examples of its seeds."""
        logits = class_logits(self.population.predict(self.test_inputs)[..., :sum(self.sizes)], self.sizes)
        return dict(zip(self.arms, logits.unflatten(0, (len(self.arms), -1)), strict=True))


def fields(lab: Splits, told: Mapping[str, Mapping[str, Tensor]], arms: Sequence[Arm], train: Tensor, width: int,
           params: SubclassDistillation) -> list[Field]:
    """Students of every arm and seed on `train` (S, n). Two students of one seed and one shape start alike."""
    found = []
    for group in _alike(arms, lab, params):
        first, sizes = group[0], _head(group[0], lab, params)
        outputs, message = sum(sizes), {}
        if first.message == "features":
            message, outputs = {"hidden": _stack(told, group, "hidden", lab)}, outputs + told[first.teacher][
                "hidden"].shape[-1]
        else:
            message["logits"] = _stack(told, group, "logits", lab, sizes if first.message == "outputs" else None)
        own = lab.seeds * len(group)
        population = Population(MLP(lab.data.inputs[0].numel(), (width,), outputs), own, train.device)
        task = Task(lab.data.inputs, lab.data.labels, train.repeat(len(group), 1), own, message,
                    _whose(len(next(iter(message.values()))), len(group), len(lab.seeds), train.device))
        knobs = Knobs(
            alpha=[0.0 if arm.teacher is None else params.alpha for arm in group for _ in lab.seeds],
            temperature=[1.0 if arm.pseudo else params.temperature for arm in group for _ in lab.seeds],
            beta=params.hint)
        found.append(Field(lab, tuple(group), sizes, population, task, _OBJECTIVES[first.message](sizes), knobs))
    return found


def race(lab: Splits, told: Mapping[str, Mapping[str, Tensor]], arms: Sequence[Arm], train: Tensor, width: int,
         params: SubclassDistillation, recipe: Recipe, every: int | None = None) -> Iterator[tuple[Arm, int, Tensor]]:
    """One field after the other: (arm, step, class logits (S, Q, C) on the test examples)."""
    for field in fields(lab, told, arms, train, width, params):
        for snapshot in field.train(recipe, every):
            if snapshot.step:
                for arm, logits in field.test_logits().items():
                    yield arm, snapshot.step, logits


def class_level_distillation(sizes: Sequence[int]) -> Callable:
    """Objective: distillation of class probabilities by a student with subclasses; teacher["logits"] is C wide."""
    def objective(student, teacher, labels, knobs) -> Tensor:
        logits = class_logits(student["logits"], sizes)
        soft = kd_loss(logits, teacher["logits"], knobs["temperature"])
        return knobs["alpha"] * soft + (1 - knobs["alpha"]) * cross_entropy(logits, labels)

    return objective


def penultimate_distillation(sizes: Sequence[int]) -> Callable:
    """Objective: CE on the class logits + beta * squared distance of mapped hidden layers, mean over H units.

    The student's outputs behind its S logits are a linear map of its hidden layer, learnt with it, onto the teacher's
    standardised last hidden layer teacher["hidden"] (..., B, H): the regressor of FitNets (Romero et al. 2015, eq. 3),
    at the last layer. What the subclass paper's own baseline minimises is not known to us.
    """
    def objective(student, teacher, labels, knobs) -> Tensor:
        logits, mapped = student["logits"].split([sum(sizes), teacher["hidden"].shape[-1]], -1)
        distance = (mapped - teacher["hidden"]).square().mean((-1, -2))
        return cross_entropy(class_logits(logits, sizes), labels) + knobs["beta"] * distance

    return objective


_OBJECTIVES = {"outputs": subclass_distillation, "classes": class_level_distillation,
               "features": penultimate_distillation}


def _head(arm: Arm, lab: Splits, params: SubclassDistillation) -> tuple[int, ...]:
    """The sizes of a student's head."""
    if arm.head == "hidden":
        return hidden_blocks(lab)[1]
    return (params.subclasses if arm.head == "subclasses" else 1,) * lab.data.n_classes


def _alike(arms: Sequence[Arm], lab: Splits, params: SubclassDistillation) -> list[list[Arm]]:
    groups: dict[tuple, list[Arm]] = {}
    for arm in arms:
        groups.setdefault((_head(arm, lab, params), arm.message), []).append(arm)
    return list(groups.values())


def _stack(told, group: Sequence[Arm], what: str, lab: Splits, sizes: Sequence[int] | None = None) -> Tensor:
    """The messages of a group's teachers, (arms * S, N, K), 0 for arms without one: as wide as `sizes`, or features.

    Without sizes: the classes' logits, of teachers with as many subclasses in every class.
    """
    messages = [None if arm.teacher is None else told[arm.teacher][what] for arm in group]
    if what == "logits" and sizes is None:
        classes = lab.data.n_classes
        messages = [m if m is None or m.shape[-1] == classes else
                    class_logits(m, (m.shape[-1] // classes,) * classes) for m in messages]
    width, heard = sum(sizes) if sizes else lab.data.n_classes, [m for m in messages if m is not None]
    unheard = torch.zeros(len(heard[0]) if heard else 1, len(lab.data), width, device=lab.pool.device)
    return torch.cat([unheard if m is None else m for m in messages])


def _whose(messages: int, arms: int, seeds: int, device) -> Tensor:
    """Which message each student hears (arms * seeds,): of an arm there is one for each seed, or one for all seeds."""
    each = messages // arms
    return (each * torch.arange(arms, device=device)[:, None] + torch.arange(seeds, device=device) % each).flatten()


# ---- rows ----------------------------------------------------------------------------------------------------------

def _contrastive_rows(lab: Splits, params: SubclassDistillation) -> list[dict]:
    grid = [(beta, t_aux) for beta in params.betas for t_aux in params.t_auxs]
    chosen = [(params.beta, params.t_aux)] if params.beta else []
    values = list(dict.fromkeys([(0.0, params.t_aux), *grid, *chosen]))
    sizes = (params.subclasses,) * lab.data.n_classes
    logits = subclass_teachers(lab, lab.pool, sizes, values, recipe=_teacher_recipe(params))
    rows = []
    for (beta, t_aux), one in zip(values, logits, strict=True):
        kind = {"method": "contrastive", "beta": beta, "t_aux": t_aux} if beta else {"method": "no auxiliary loss",
                                                                                     "beta": 0.0}
        rows += _discovered(lab, one, sizes, **kind, s=params.subclasses)
    return rows


def _other_rows(lab: Splits, params: SubclassDistillation) -> list[dict]:
    recipe, classes, rows = _teacher_recipe(params), lab.data.n_classes, []
    logits = subclass_teachers(lab, lab.pool, (params.subclasses,) * classes,
                               [(beta, 1.0) for beta in params.entropy_betas], "entropy", recipe)
    for beta, one in zip(params.entropy_betas, logits, strict=True):
        rows += _discovered(lab, one, (params.subclasses,) * classes, method="entropy", beta=beta, s=params.subclasses)
    others = [s for s in params.sizes if s != params.subclasses]
    for s in others:
        logits = subclass_teachers(lab, lab.pool, (s,) * classes, [(params.beta, params.t_aux)], recipe=recipe)[0]
        kind = {"method": "contrastive", "beta": params.beta, "t_aux": params.t_aux, "s": s}
        rows += _discovered(lab, logits, (s,) * classes, **kind)
    for s in (params.subclasses, *others):
        found = clusters(lab, lab.pool, (s,) * classes)
        logits = torch.nn.functional.one_hot(found, s * classes).float() * CERTAIN
        rows += _discovered(lab, logits, (s,) * classes, method="k-means", s=s)
    return rows


def _reference_rows(lab: Splits, told) -> list[dict]:
    """The teachers told the hidden classes, and those with nothing but two outputs."""
    return (_discovered(lab, told["oracle"]["logits"], hidden_blocks(lab)[1], method="oracle")
            + _discovered(lab, told["two-class"]["logits"], (1,) * lab.data.n_classes, method="two-class", s=1))


def _discovered(lab: Splits, logits: Tensor, sizes: Sequence[int], part: str = "discovery", **kind) -> list[dict]:
    """A row per seed for teachers with logits (S, N, K): accuracy on classes, agreement with the hidden classes."""
    rows = []
    for seed, test, one in zip(lab.seeds, lab.test, logits.expand(len(lab.seeds), -1, -1), strict=True):
        z = one[test]
        found = z.argmax(-1)
        agreed = {name: 100 * value for name, value in metrics.agreement(found, lab.data.hidden[test]).items()}
        accuracy = 100 * metrics.accuracy(class_logits(z, sizes), lab.data.labels[test])
        rows.append({"part": part, **kind, "transfer": lab.pool.shape[1], "seed": seed,
                     "accuracy": float(accuracy), **agreed, "used": metrics.classes_used(found)})
    return rows


def _few_rows(lab: Splits, told, n: int, width: int, params: SubclassDistillation) -> list[dict]:
    train = lab.transfer(n)
    enough_of_each(lab.data.labels[train], lab.data.n_classes)
    recipe = Recipe(params.student_steps)
    return [row for arm, step, logits in race(lab, told, ARMS, train, width, params, recipe)
            for row in _student_rows(lab, arm, logits, part="few", transfer=n, width=width, step=step)]


def _speed_rows(lab: Splits, told, n: int, params: SubclassDistillation) -> list[dict]:
    """A constant rate, so that a curve's shape is not the schedule's."""
    recipe = Recipe(params.student_steps, lr=3e-3, schedule="constant")
    arms = [arm for arm in ARMS if arm.name in RACERS]
    same = {"part": "speed", "transfer": n, "width": params.width}
    return [row for arm, step, logits in race(lab, told, arms, lab.transfer(n), params.width, params, recipe,
                                              params.speed_every)
            for row in _student_rows(lab, arm, logits, **same, step=step)]


def _student_rows(lab: Splits, arm: Arm, logits: Tensor, **same) -> list[dict]:
    accuracy = 100 * metrics.accuracy(logits, lab.data.labels[lab.test])
    return [{**same, "method": arm.name, "seed": seed, "accuracy": value}
            for seed, value in zip(lab.seeds, accuracy.tolist(), strict=True)]


def _click_rows(lab: Splits, params: SubclassDistillation) -> Iterator[list[dict]]:
    """Parts "click teachers" and "clicks": a constant rate, as in part "speed"."""
    recipe, classes, rows = Recipe(params.click_teacher_steps, batch=128, lr=5e-3), lab.data.n_classes, []
    truth, segments = hidden_blocks(lab)
    heads = {"two-class": (1,) * classes, "oracle": segments}
    told = {"two-class": label_teachers(lab, lab.pool, lab.data.labels, classes, recipe)[0],
            "oracle": label_teachers(lab, lab.pool, truth, sum(segments), recipe)[0]}
    for s in params.click_subclasses:
        heads[f"subclass {s}"] = (s,) * classes
        told[f"subclass {s}"] = subclass_teachers(
            lab, lab.pool, (s,) * classes, [(params.click_beta, params.click_t_aux)], recipe=recipe)[0]
    for name, logits in told.items():
        method, s = name.split()[0], heads[name][0] if name.startswith("subclass") else None
        test = logits.expand(len(lab.seeds), -1, -1).gather(1, lab.test[..., None].expand(-1, -1, logits.shape[-1]))
        rows += [row | measured for row, measured in zip(
            _discovered(lab, logits, heads[name], "click teachers", method=method, s=s),
            _measured(lab, class_logits(test, heads[name])), strict=True)]
    p = lab.data.probability[lab.test]
    best = -(p.xlogy(p) + (1 - p).xlogy(1 - p)).mean(-1)
    yield rows + [{"part": "click teachers", "method": "Bayes", "seed": seed, "log_loss": value}
                  for seed, value in zip(lab.seeds, best.tolist(), strict=True)]
    messages = {name: {"logits": logits} for name, logits in told.items()}
    for n in params.click_rows:
        yield [row for terms, arms in _click_races(params)
               for arm, step, logits in race(lab, messages, arms, lab.pool[:, :n], params.width, terms,
                                             Recipe(params.click_steps, lr=3e-3, schedule="constant"),
                                             params.speed_every)
               for row in _clicked(lab, arm, logits, transfer=n, step=step,
                                   s=terms.subclasses if arm.head == "subclasses" else None)]


def _click_races(params: SubclassDistillation) -> Iterator[tuple[SubclassDistillation, list[Arm]]]:
    """What is said to the students of each race, and its arms."""
    yield replace(params, temperature=params.click_two_class_temperature), [
        *(arm for arm in ARMS if arm.name in ("hard labels", "two-class")),
        Arm("two-class of subclass teacher", f"subclass {max(params.click_subclasses)}", "classes", "classes")]
    for s in params.click_subclasses:
        alone = [Arm("hard labels, larger head")] if s == max(params.click_subclasses) else []
        yield replace(params, subclasses=s, temperature=params.click_temperature), [
            Arm("subclass", f"subclass {s}"), *alone]
    yield replace(params, temperature=params.click_temperature), [arm for arm in ARMS if arm.name == "oracle"]


def _clicked(lab: Splits, arm: Arm, logits: Tensor, **same) -> list[dict]:
    return [{"part": "clicks", "method": arm.name, **same, **measured} for measured in _measured(lab, logits)]


def _measured(lab: Splits, logits: Tensor) -> list[dict]:
    """Log-loss (nats) and AUC (percent) of class logits (S, Q, 2) for each seed."""
    labels = lab.data.labels[lab.test]
    losses = [float(metrics.nll(z, y)) for z, y in zip(logits, labels, strict=True)]
    areas = (100 * metrics.auc(logits, labels)).tolist()
    return [{"seed": seed, "log_loss": loss, "auc": area}
            for seed, loss, area in zip(lab.seeds, losses, areas, strict=True)]
