"""The teachers of notebook 03: trained, made by k-means, or told the hidden classes; and what they find.

The hidden classes are used by the oracle and by measures of agreement, and by nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from kdutils import metrics, rng
from kdutils.cohorts import Splits, cached_training, digest, origin, side_by_side
from kdutils.datasets import Dataset, Table, take
from kdutils.errors import ParameterError
from kdutils.lessons.subclass_distillation.parameters import DEFAULT, SubclassDistillation
from kdutils.networks import MLP, Population, Specification
from kdutils.objectives import class_logits, hard_labels, subclass_teacher
from kdutils.training import Knobs, Recipe

TEACHER_WIDTHS = (64,)
CERTAIN = 200.0  # a logit that makes a label's probability 1 at any temperature of the course


def teacher_recipe(steps: int = DEFAULT.teacher_steps) -> Recipe:
    """How every teacher of this lesson is trained."""
    return Recipe(steps, batch=128, lr=5e-3)


def subclass_teachers(lab: Splits, train: Tensor, sizes: Sequence[int], values: Sequence[tuple[float, float]],
                      form: str = "contrastive", recipe: Recipe | None = None,
                      network: Callable[[int], Specification] | None = None) -> Tensor:
    """Logits (A, S, N, sum(sizes)) for every example of teachers with A pairs (beta, T_aux), one per seed each.

    Trained on `train` (S, n) with class labels only. They come from the cache if they can. network: what a teacher with
    so many outputs is, by default one with a hidden layer of `TEACHER_WIDTHS`.
    """
    betas, t_auxs = ([float(value[i]) for value in values for _ in lab.seeds] for i in (0, 1))
    made = _taught(lab, train, sum(sizes), subclass_teacher(sizes, form), Knobs(beta=betas, t_aux=t_auxs),
                   lab.data.labels, recipe, {"sizes": list(sizes), "form": form, "values": list(values)}, ("logits",),
                   network)
    return made["logits"].unflatten(0, (len(values), -1))


def label_teachers(lab: Splits, train: Tensor, labels: Tensor, classes: int,
                   recipe: Recipe | None = None, network: Callable[[int], Specification] | None = None
                   ) -> tuple[Tensor, Tensor]:
    """Logits (S, N, classes) and last hidden layer (S, N, H) of teachers told the labels (N,) or (S, N)."""
    last = "embedding" if network else f"hidden{len(TEACHER_WIDTHS)}"
    made = _taught(lab, train, classes, hard_labels, Knobs(), labels, recipe, {"labels": digest(labels)},
                   ("logits", last), network)
    return made["logits"], made[last]


def clusters(lab: Splits, train: Tensor, sizes: Sequence[int], features: Tensor | None = None) -> Tensor:
    """k-means of the inputs, or of features (S, N, F), inside each class, as subclasses: int64 (S, N).

    Training examples take the nearest centre of their own class, which is known; all others the nearest of all
    centres, so that a test example's class is not given away.

    Pictures of few grey values often lie equally far from two centres. A jitter of a millionth of the grey scale, the
    seed's own, breaks such ties; otherwise the last digit of a sum would, and that is another on other machines.
    """
    from sklearn.cluster import KMeans  # slow to import, and only here

    pictures, found = lab.data.inputs.flatten(1).cpu().double(), []
    for i, (seed, row) in enumerate(zip(lab.seeds, train.cpu(), strict=True)):
        x = features[i].cpu() if features is not None else _jittered(pictures, seed)
        centres, own = [], torch.empty(len(x), dtype=torch.int64)
        labels = lab.data.labels.cpu()[row]
        for label, size in enumerate(sizes):
            mine = row[labels == label]
            kmeans = KMeans(size, n_init=4, random_state=rng.derive(seed, f"k-means {label}") % 2**32)
            own[mine] = torch.from_numpy(kmeans.fit_predict(x[mine].numpy())).long() + sum(sizes[:label])
            centres.append(torch.from_numpy(kmeans.cluster_centers_))
        nearest = torch.cdist(x, torch.cat(centres)).argmin(-1)
        nearest[row] = own[row]
        found.append(nearest)
    return torch.stack(found).to(train.device)


def _jittered(pictures: Tensor, seed: int) -> Tensor:
    """Pictures (N, F) and the seed's own jitter. In place: a hundred classes have half a gigabyte of them."""
    jitter = torch.rand(pictures.shape, generator=rng.generator(seed, "k-means ties"), dtype=torch.float64)
    return jitter.mul_(1e-6).add_(pictures)


def teachers(lab: Splits, params: SubclassDistillation, train: Tensor | None = None) -> dict[str, dict[str, Tensor]]:
    """The teachers of the students, by name: {"logits": (S, N, K)}, of "two-class" also "hidden": (S, N, H)."""
    train = lab.pool if train is None else train
    sizes, recipe = (params.subclasses,) * lab.data.n_classes, teacher_recipe(params.teacher_steps)
    plain, paper = subclass_teachers(lab, train, sizes, [(0.0, params.t_aux), (params.beta, params.t_aux)],
                                     recipe=recipe)
    entropy = subclass_teachers(lab, train, sizes, [(params.entropy_beta, 1.0)], "entropy", recipe)[0]
    two, hidden = label_teachers(lab, train, lab.data.labels, lab.data.n_classes, recipe)
    by_pixels = clusters(lab, train, sizes)
    truth, sizes_inside = hidden_blocks(lab)
    return {
        "two-class": {"logits": two, "hidden": standardised(hidden, train)},
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


def enough_of_each(labels: Tensor, classes: int, needed: int = 1) -> None:
    """Refuse training labels (..., n) in which a class has fewer than `needed` examples: it cannot be divided."""
    for row in labels.reshape(-1, labels.shape[-1]):
        counts = row.bincount(minlength=classes)
        if int(counts.min()) < needed:
            raise ParameterError(f"every class needs at least {needed} training examples to be divided, class "
                                 f"{int(counts.argmin())} has {int(counts.min())}.")


def discovered(lab: Splits, logits: Tensor, sizes: Sequence[int], part: str = "discovery", **kind) -> list[dict]:
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


def _taught(lab: Splits, train: Tensor, outputs: int, objective, knobs: Knobs, labels: Tensor, recipe: Recipe | None,
            made_with: Mapping, wanted: Sequence[str], network: Callable[[int], Specification] | None
            ) -> dict[str, Tensor]:
    """Wanted features {name: (M, N, .)} of M = A * S teachers trained with this objective.

    Where each seed has data of its own, (A, N, .): those of its own teacher for each row.
    """
    recipe = recipe or teacher_recipe()
    spec = network(outputs) if network else MLP(lab.data.inputs[0].numel(), TEACHER_WIDTHS, outputs)
    arms = len(made_with.get("values", [0]))

    def read(population: Population) -> dict[str, Tensor]:
        inputs = lab.data.inputs if lab.own is None else take(lab.data.inputs, lab.own).repeat(arms, 1, 1, 1, 1)
        with torch.no_grad():
            found = population.features(inputs)
        return {name: found[name] if lab.own is None else found[name].reshape(arms, len(lab.data), -1)
                for name in wanted}

    made_of = origin(lab, train) | {"network": asdict(spec)} | made_with
    return cached_training("subclass-teachers", made_of, spec, recipe, train.device, read=read, objective=objective,
                           prepare=lambda spec: side_by_side(lab, arms, train, spec, labels), knobs=knobs)


def standardised(features: Tensor, train: Tensor) -> Tensor:
    """Features (S, N, H) with mean 0 and variance 1 on the training examples; units that never fire stay 0."""
    seen = features.gather(1, train[..., None].expand(-1, -1, features.shape[-1]))
    spread = seen.std(1, correction=0, keepdim=True)
    return (features - seen.mean(1, keepdim=True)) / spread.where(spread > 0, torch.ones_like(spread))
