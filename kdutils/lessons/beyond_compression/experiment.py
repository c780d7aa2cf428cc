"""Notebook 06: nine methods, wrong labels, rare classes: what is distillation good for? (Sarfraz et al. 2020)

Everything of one seed is paired: split, starts and batch orders are the same for every method. Accuracies and recalls
are in percent, measured on the 597 test digits of the seed's split after the last step. Nothing was chosen on them.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kdutils import metrics, rng
from kdutils.cohorts import HARD as PLAIN
from kdutils.cohorts import Setting, Splits, cohort, collect, distilled, teachers
from kdutils.datasets import exponential_counts, label_noise, long_tail, power_law_counts, take, wrong_share
from kdutils.errors import between, different, positive, sound, whole
from kdutils.lessons.beyond_compression.mimicry import matrix_rows
from kdutils.lessons.beyond_compression.race import HARD, TEACHER_RECIPE, Race, race, teach
from kdutils.networks import MLP, ConvNet
from kdutils.results import Results
from kdutils.training import Recipe

NOISY = MLP(64, (128,), 10)             # of the noise curves: wide enough to learn wrong labels by heart
STUDENT = MLP(64, (64,), 10)            # of the imbalance curves
TEACHER = MLP(64, (128,), 10)           # of the imbalance curves
SIZES = ((4, 8), (8, 16), (16, 32))     # channels of the teachers of different capacity; students have the first
RARE = 3                                # classes that count as rare


@dataclass(frozen=True)
class BeyondCompression:
    seeds: int = 10                     # runs per setting, each with its own split
    few: int = 100                      # images of the few-shot race
    steps: int = 150                    # of a student in a race; batches of 32
    teacher_steps: int = 300            # of a teacher in a race; batches of 64
    noise_images: int = 400             # of the race with wrong labels
    curve_images: int = 500             # of the noise curves
    noise: float = 0.4                  # its share of labels drawn anew from all ten classes
    noises: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8)    # of the noise curves
    memorising: int = 600               # steps after which a network of the noise curves knows its labels by heart
    stopped: int = 60                   # steps of the teacher that is stopped early, and of the control
    gammas: tuple[float, ...] = (0.2, 0.6, 1.0, 2.0)         # of the power-law profiles; the smaller the more skewed
    most: int = 100                     # images of the most frequent class
    fewest: int = 5                     # images of the rarest class
    curve_steps: int = 400              # of a student on a profile; batches of 64
    temperature: float = 4.0            # of soft targets in the noise and the imbalance curves
    seed: int = 0                       # of the first run
    device: str = "cpu"  # of torch

    def __post_init__(self):
        sound(self)
        for name in ("seeds", "few", "steps", "teacher_steps", "memorising", "stopped", "curve_steps"):
            whole(name.replace("_", " "), getattr(self, name), 1)
        whole("fewest", self.fewest, 1, self.most - 1, why="less than the most")
        positive("temperature", self.temperature)
        for rate in (self.noise, *self.noises):
            between("label noise", rate, 0, 1)
        for gamma in self.gammas:
            positive("gamma", gamma)
        whole("number of gammas", len(self.gammas), 1)
        whole("number of noises", len(self.noises), 1)
        for name in ("noises", "gammas"):
            different(name, getattr(self, name))


DEFAULT = BeyondCompression()
# Every part of the default, so that every claim is measured, if badly: few seeds and steps.
SMOKE = BeyondCompression(seeds=2, steps=15, teacher_steps=60, memorising=60, stopped=20, curve_steps=40)


def prepare(params: BeyondCompression) -> Splits:
    """The data; refuses what cannot be run before anything is trained."""
    lab = Splits.open("digits", params.seeds, params.seed, params.device)
    for n in (params.few, params.noise_images, params.curve_images):
        whole("transfer images", n, 20, lab.pool.shape[1], why="the pool of digits")
    for _, counts in profiles(params):
        tails(lab, counts)
    return lab


def run(params: BeyondCompression, report: Callable[[str], None] = lambda line: None) -> Results:
    """A row per run and part. Columns that say which run it was, None where they do not apply:

    part     "few-shot", "full", "noise race", "imbalance race", "equal gradients" (the nine methods), "gap", "noise",
             "imbalance", "mimicry"
    method   "hard labels" and the nine; in part "noise" "memorising teacher", "stopped teacher", "KD memorising",
             "KD stopped", "KD stopped + labels", "stopped labels" (the control); in "imbalance" "KD", "KD + labels",
             "KD adjusted", "hard adjusted", "hard balanced", "KD balanced", "teacher", "adjusted teacher"
    noise (share drawn anew), profile ("gamma 0.2", "exponential"), images, teacher_size, measure (mimicry), seed

    What was measured: accuracy; in races also ece (percent), nll (nats), shifted (accuracy on digits moved by a pixel),
    noisy (with noise of a fifth of the ink's range); for imbalance balanced (mean recall of all classes), frequent and
    rare (mean recall of the three classes with most and fewest images); left (mimicry: the measure, 1 = as far from the
    teacher as a network that learnt the labels); weight (equal gradients); heart (noise: of the training images with a
    wrong label, the percentage that is given just that label). A method that cannot run has `why` instead.
    """
    start = time.perf_counter()
    return collect(_groups(prepare(params), params, report), params, start, report)


def work(params: BeyondCompression) -> list[float]:
    """What each part that is reported has to do, in shares of the whole at the default settings: for the time left."""
    return [3, 8, 15, 8, 7, 9, 9, *(1 for _ in params.noises), *(1 for _ in profiles(params))]


def teaching(params: BeyondCompression) -> Recipe:
    """The recipe of the races' teachers."""
    return replace(TEACHER_RECIPE, steps=params.teacher_steps)


def _groups(lab: Splits, params: BeyondCompression, report) -> Iterator[list[dict]]:
    recipe, few = Recipe(params.steps, 32), lab.transfer(params.few)
    report(f"{params.seeds} convolutional teachers of all {lab.pool.shape[1]:,} images (from the cache if possible)")
    clean = teach(lab, lab.pool, recipe=teaching(params), attacked=lab.pool)
    report(f"nine methods on {params.few} images")
    yield race_rows(race(lab, clean, few).run(recipe), part="few-shot", images=params.few)
    report(f"the same, every term as strong as the labels at the start, and nine methods on all {lab.pool.shape[1]:,}")
    yield _equal_rows(lab, clean, few, recipe, params)
    yield race_rows(race(lab, clean, lab.pool).run(recipe), part="full", images=lab.pool.shape[1])
    report(f"nine methods on {params.noise_images} images, {params.noise:.0%} of the labels drawn anew")
    yield _noise_race(lab, params)
    report("nine methods with rare classes")
    yield _imbalance_race(lab, params)
    report("teachers of three sizes for small students")
    yield _gap_rows(lab, few, recipe, params)
    report("what each loss leaves unmatched")
    yield matrix_rows(lab, clean, few, recipe)
    for rate in params.noises:
        report(f"teachers and students with {rate:.0%} of the labels drawn anew")
        yield noise_rows(lab, rate, params)
    for name, counts in profiles(params):
        report(f"rare classes, {name}: {', '.join(map(str, counts))} images")
        yield _imbalance_rows(lab, name, counts, params)


# ---- races of the nine -------------------------------------------------------------------------------------------

def race_rows(run: Race, **same) -> list[dict]:
    """A row per method and seed, and one for each method that could not run."""
    lab = run.lab
    images, labels = take(lab.data.inputs, lab.test), lab.data.labels[lab.test]
    answers, rows = run.predict(images), []
    worse = {"shifted": run.predict(images.roll(1, -1)), "noisy": run.predict(_with_noise(images, lab.seeds))}
    for method, logits in answers.items():
        values = {"accuracy": 100 * metrics.accuracy(logits, labels), "ece": 100 * metrics.ece(logits, labels),
                  "nll": metrics.nll(logits, labels)}
        values |= {name: 100 * metrics.accuracy(found[method], labels) for name, found in worse.items()}
        rows += rows_of(lab, values, method=method, **same)
    return rows + [same | {"method": method, "seed": lab.seeds[0], "why": why} for method, why in run.failures.items()]


def _equal_rows(lab: Splits, clean, few: Tensor, recipe: Recipe, params) -> list[dict]:
    students = race(lab, clean, few)
    weights = students.balance()
    rows = race_rows(students.run(recipe), part="equal gradients", images=params.few)
    at = {(method, seed): weight for method, own in weights.items()
          for seed, weight in zip(lab.seeds, own.tolist(), strict=True)}
    return [row | {"weight": at.get((row["method"], row["seed"]))} for row in rows]


def _noise_race(lab: Splits, params) -> list[dict]:
    """Teacher and students see the same wrong labels; the teacher has the recipe of the races."""
    images, labels = lab.transfer(params.noise_images), noisy_labels(lab, params.noise)
    told = teach(lab, images, recipe=teaching(params), labels=labels, attacked=images)
    students = race(lab, told, images, labels=labels).run(Recipe(params.steps, 32))
    rows = race_rows(students, part="noise race", images=params.noise_images, noise=params.noise)
    right = {"accuracy": lab.accuracy(told.outputs["logits"])}
    return rows + rows_of(lab, right, part="noise race", method="teacher", noise=params.noise)


def _imbalance_race(lab: Splits, params) -> list[dict]:
    name, counts = profiles(params)[0]
    images = tails(lab, counts)
    told = teach(lab, images, recipe=teaching(params), attacked=images)
    students = race(lab, told, images).run(Recipe(params.steps, 32))
    rows = []
    for method, logits in students.predict(take(lab.data.inputs, lab.test)).items():
        rows += rows_of(lab, recalls(lab, logits), part="imbalance race", method=method, profile=name,
                        images=sum(counts))
    return rows


def _gap_rows(lab: Splits, few: Tensor, recipe: Recipe, params) -> list[dict]:
    """Small students of small, middle and large teachers; hints have a regressor, FSP refuses unequal widths."""
    rows, small = [], ConvNet(channels=SIZES[0])
    methods = ("KD", "FitNets", "AT", "FSP", "RKD", "SP")
    for size in SIZES:
        told = teach(lab, lab.pool, ConvNet(channels=size), teaching(params))
        words = "-".join(map(str, size))
        students = race(lab, told, few, ((HARD, *methods) if size == SIZES[0] else methods), small)
        rows += race_rows(students.run(recipe), part="gap", images=params.few, teacher_size=words)
        rows += rows_of(lab, {"accuracy": lab.accuracy(told.outputs["logits"])}, part="gap", method="teacher",
                        teacher_size=words)
    return rows


# ---- wrong labels ------------------------------------------------------------------------------------------------

def noisy_labels(lab: Splits, rate: float) -> Tensor:
    """(S, N): each seed's labels, of which a share `rate` is drawn anew from all classes, once."""
    classes = lab.data.n_classes
    wrong = wrong_share(rate, classes)
    return torch.stack([label_noise(lab.data.labels, wrong, classes, seed) for seed in lab.seeds])


def noise_rows(lab: Splits, rate: float, params) -> list[dict]:
    labels, images = noisy_labels(lab, rate), lab.transfer(params.curve_images)
    long, short, t = Recipe(params.memorising), Recipe(params.stopped), params.temperature
    told = torch.stack([twins(lab, images, labels, recipe) for recipe in (long, short)])
    students = cohort(lab, told, images, [PLAIN, distilled(t, 0), distilled(t, 1), Setting("", t, 0.5, 1)], NOISY,
                      labels)
    control = cohort(lab, told, images, [PLAIN], NOISY, labels)
    for group, recipe in ((students, long), (control, short)):
        for _ in group.train(recipe):
            pass
    own = torch.cat([group.population.predict(lab.data.inputs) for group in (students, control)])
    names = ("hard labels", "KD memorising", "KD stopped", "KD stopped + labels", "stopped labels",
             "memorising teacher", "stopped teacher")
    rows = []
    for name, logits in zip(names, [*own.unflatten(0, (-1, len(lab.seeds))), *told], strict=True):
        values = {"accuracy": lab.accuracy(logits)}
        if rate:
            values["heart"] = by_heart(lab, logits, images, labels)
        rows += rows_of(lab, values, part="noise", method=name, noise=rate, images=images.shape[1])
    return rows


def by_heart(lab: Splits, logits: Tensor, images: Tensor, labels: Tensor) -> Tensor:
    """Of the training images (S, n) whose label is wrong, the percentage that is given just that label: (S,)."""
    said, shown = (values.gather(1, images) for values in (logits.argmax(-1), labels))
    wrong = shown != lab.data.labels[images]
    return 100 * ((said == shown) & wrong).sum(1) / wrong.sum(1).clamp_min(1)


def twins(lab: Splits, images: Tensor, labels: Tensor, recipe: Recipe) -> Tensor:
    """Logits (S, N, C) of teachers of the students' size, from other starts, on the same wrong labels."""
    others = Splits(lab.data, tuple(rng.derive(seed, "teacher") for seed in lab.seeds), lab.pool, lab.test)
    nothing = torch.zeros(len(lab.seeds), len(lab.data), lab.data.n_classes, device=images.device)
    students = cohort(others, nothing, images, [PLAIN], NOISY, labels)
    for _ in students.train(recipe):
        pass
    return students.population.predict(lab.data.inputs)


# ---- rare classes ------------------------------------------------------------------------------------------------

def profiles(params: BeyondCompression) -> list[tuple[str, tuple[int, ...]]]:
    """Images per class, the most frequent first: power laws by gamma, and the exponential profile."""
    laws = [(f"gamma {gamma:g}", power_law_counts(params.most, params.fewest, 10, gamma)) for gamma in params.gammas]
    return [*laws, ("exponential", exponential_counts(params.most, params.fewest, 10))]


def tails(lab: Splits, counts: Sequence[int]) -> Tensor:
    """(S, n) images with these counts; the most frequent class is the seed's, so that no digit is rare in all runs."""
    return torch.stack([long_tail(lab.data, pool, counts, seed % lab.data.n_classes)
                        for pool, seed in zip(lab.pool, lab.seeds, strict=True)])


def log_prior(lab: Splits, images: Tensor) -> Tensor:
    """log share of each class among the images (S, n) of a seed: (S, C)."""
    counts = torch.stack([lab.data.labels[own].bincount(minlength=lab.data.n_classes) for own in images])
    return (counts / counts.sum(1, keepdim=True)).log()


def recalls(lab: Splits, logits: Tensor) -> dict[str, Tensor]:
    """Balanced accuracy and the mean recall of the three most frequent and the three rarest classes, percent: (S,)."""
    labels, classes = lab.data.labels[lab.test], lab.data.n_classes
    each = 100 * torch.stack([metrics.recall(logits, labels, label) for label in range(classes)], -1)
    # Columns in the order of the counts: each seed's most frequent class first.
    order = (torch.arange(classes) + torch.tensor(lab.seeds)[:, None]) % classes
    each = each.gather(1, order.to(each.device))
    return {"accuracy": 100 * metrics.accuracy(logits, labels), "balanced": each.mean(1),
            "frequent": each[:, :RARE].mean(1), "rare": each[:, -RARE:].mean(1)}


def _imbalance_rows(lab: Splits, name: str, counts: Sequence[int], params) -> list[dict]:
    images, recipe, t = tails(lab, counts), Recipe(params.curve_steps), params.temperature
    told = teachers(lab, images, TEACHER, Recipe(params.curve_steps, 64, 3e-3))
    prior = log_prior(lab, images)[:, None]
    students = cohort(lab, torch.stack([told, told - prior]), images,
                      [PLAIN, distilled(t, 0), Setting("", t, 0.5, 0), distilled(t, 1)], STUDENT)
    even = lab.transfer(sum(counts))
    balanced = cohort(lab, teachers(lab, even, TEACHER, Recipe(params.curve_steps, 64, 3e-3)), even,
                      [PLAIN, distilled(t)], STUDENT)
    for group in (students, balanced):
        for _ in group.train(recipe):
            pass
    own, of_even = (group.test_logits()[0].unflatten(0, (-1, len(lab.seeds))) for group in (students, balanced))
    found = dict(zip(("hard labels", "KD", "KD + labels", "KD adjusted"), own, strict=True))
    found |= {"hard adjusted": own[0] - prior, "hard balanced": of_even[0], "KD balanced": of_even[1]}
    of_test = told.gather(1, lab.test[..., None].expand(-1, -1, told.shape[-1]))
    found |= {"teacher": of_test, "adjusted teacher": of_test - prior}
    return [row for method, logits in found.items()
            for row in rows_of(lab, recalls(lab, logits), part="imbalance", method=method, profile=name,
                               images=sum(counts))]


# ---- small things ------------------------------------------------------------------------------------------------

def rows_of(lab: Splits, values: dict[str, Tensor], **same) -> list[dict]:
    """One row per seed with the values (S,)."""
    listed = {name: value.tolist() for name, value in values.items()}
    return [same | {"seed": seed} | {name: column[s] for name, column in listed.items()}
            for s, seed in enumerate(lab.seeds)]


def _with_noise(images: Tensor, seeds: Sequence[int]) -> Tensor:
    """Images (S, Q, c, h, w) in 0..1 with Gaussian noise of sd 0.2, drawn for each seed."""
    drawn = [torch.randn(images.shape[1:], generator=rng.generator(seed, "pixel noise")) for seed in seeds]
    return (images + 0.2 * torch.stack(drawn).to(images.device)).clamp(0, 1)


