"""Digits: the parts of the experiment in which the answers are probabilities of ten classes."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from kdutils import metrics
from kdutils.cohorts import Splits
from kdutils.datasets import take
from kdutils.datasets.samplers import crops, labelled, sample
from kdutils.lessons.extracurricular_learning.teachers import Teachers, trained
from kdutils.lessons.extracurricular_learning.transfer import Arm, Block, students
from kdutils.networks import MLP, Population
from kdutils.objectives import hard_labels, soft_label_distillation
from kdutils.training import Recipe

TEACHERS = {"large": MLP(64, (128,), 10), "small": MLP(64, (16,), 10)}
STUDENT = MLP(64, (32,), 10)
SAMPLERS = ("jitter", "shifts", "mixup", "cutmix", "neighbours", "gaussian", "shuffled", "noise")
EQUAL = ("shifts", "mixup", "shuffled", "noise")
LABELLED = ("shifts", "mixup")
LARGEST_CROP = 16.0             # pixels of the photograph for one of a crop


class World:
    """The digits of every seed, a student's own ones, and its teacher."""

    def __init__(self, splits: Splits, params, own: int, labels: int, size: str = "large"):
        self.splits, self.params, self.seeds = splits, params, list(splits.seeds)
        self.inputs, self.labels = splits.data.inputs, splits.data.labels
        self.own, self.labelled = splits.transfer(own), splits.transfer(labels)
        recipe = Recipe(params.teacher_steps, 64, 3e-3)
        self.teachers: Teachers = trained(take(self.inputs, self.labelled), self.labels[self.labelled], self.seeds,
                                          TEACHERS[size], recipe, hard_labels)

    def block(self, inputs: Tensor, targets: Tensor | None = None) -> Block:
        """Inputs (S, n, 1, 8, 8) with their teachers' answers."""
        return Block(inputs, self.teachers.logits(inputs), targets)

    def own_block(self) -> Block:
        return self.block(take(self.inputs, self.own), self._one_hot(self.own))

    def fresh(self) -> Block:
        """Other digits of the pool: real ones, without their labels. The student's own are among the first."""
        n = min(self.params.digit_extra, self.splits.pool.shape[1])
        return self.block(take(self.inputs, self.splits.pool[:, -n:]))

    def sampled(self, name: str, n: int) -> Block:
        """n inputs of a sampler made from the student's own."""
        own = take(self.inputs, self.own)
        if name == "crops":
            return self.block(torch.stack([crops(photograph(), n, seed, (8, 8), LARGEST_CROP) for seed in self.seeds])
                              .to(own))
        return self.block(torch.stack([sample(name, inputs, n, seed)
                                       for inputs, seed in zip(own, self.seeds, strict=True)]))

    def augmented(self, name: str, n: int) -> Block:
        """The same with labels, kept or mixed: no teacher is asked."""
        own = take(self.inputs, self.own)
        pairs = [labelled(name, inputs, labels, n, seed)
                 for inputs, labels, seed in zip(own, self._one_hot(self.own), self.seeds, strict=True)]
        return self.block(*(torch.stack(values) for values in zip(*pairs, strict=True)))

    def students(self, blocks: dict[str, Block], arms: Sequence[Arm]) -> Population:
        return students(blocks, arms, self.seeds, STUDENT, soft_label_distillation,
                        Recipe(self.params.digit_steps, 64, 1e-2), self.params.share,
                        temperature=self.params.temperature)

    def rows(self, blocks: dict[str, Block], arms: Sequence[Arm], said: Sequence[dict], **same) -> list[dict]:
        """A row per arm and seed with its accuracy, then the teachers' own."""
        test = self.splits.test
        inputs, labels = take(self.inputs, test), self.labels[test]
        logits = self.students(blocks, arms).predict(inputs.repeat(len(arms), 1, 1, 1, 1))
        accuracy = 100 * metrics.accuracy(logits, labels.repeat(len(arms), 1)).view(len(arms), -1)
        own = 100 * metrics.accuracy(self.teachers.logits(inputs)["logits"], labels)
        return [same | one | {"seed": seed, "accuracy": value}
                for one, values in [*zip(said, accuracy.tolist(), strict=True), ({"method": "teacher"}, own.tolist())]
                for seed, value in zip(self.seeds, values, strict=True)]

    def _one_hot(self, indices: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(self.labels[indices], 10).float()


def pool_rows(splits: Splits, params, n: int) -> list[dict]:
    """Which extra inputs help a student with n images; its teacher saw all 1,200."""
    return _pools(World(splits, params, n, splits.pool.shape[1]), SAMPLERS, part="digits", images=n)


def equal_rows(splits: Splits, params) -> list[dict]:
    """The same where the teacher was trained on the very images that the student has."""
    n = params.equal_images
    return _pools(World(splits, params, n, n), EQUAL, part="equal", images=n)


def view_rows(splits: Splits, params) -> list[dict]:
    """Stored answers: the teacher is asked once about so many shifted views of each image."""
    n = params.digit_sizes[0]
    world = World(splits, params, n, splits.pool.shape[1])
    most = max(params.views)
    # Every n views are one of each image: a sampler visits its inputs equally often.
    blocks = {"own": world.own_block(), "shifts": world.sampled("shifts", n * most)}
    arms = [Arm(f"{views}", "shifts", limit=n * views) for views in params.views]
    said = [{"method": "shifts", "views": views} for views in params.views]
    return world.rows(blocks, arms, said, part="views", images=n)


def far_rows(splits: Splits, params) -> list[dict]:
    """Nothing but inputs far from the data, and fresh digits beside them, asked of a small and of a large teacher."""
    made, n = [], params.digit_sizes[0]
    for size in TEACHERS:
        world = World(splits, params, n, splits.pool.shape[1], size)
        blocks = {"own": world.own_block(), "fresh": world.fresh()}
        blocks |= {name: world.sampled(name, params.digit_extra) for name in ("shuffled", "crops", "noise")}
        arms = [Arm(name, own=name) for name in blocks if name != "own"]
        made += world.rows(blocks, arms, [{"method": arm.name} for arm in arms], part="far", images=n, teacher=size)
    return made


@cache
def photograph() -> Tensor:
    """One grey photograph (427, 640), 0 .. 1, that comes with scikit-learn: a Chinese palace, and no digit in it."""
    from sklearn.datasets import load_sample_image  # needs Pillow, and only here

    return torch.from_numpy(np.asarray(load_sample_image("china.jpg"), np.float32).mean(-1) / 255)


def _pools(world: World, names: Sequence[str], **same) -> list[dict]:
    blocks = {"own": world.own_block(), "fresh": world.fresh()}
    blocks |= {name: world.sampled(name, world.params.digit_extra) for name in names}
    blocks |= {f"labels + {name}": world.augmented(name, world.params.digit_extra) for name in LABELLED}
    arms = [Arm("labels", alpha=0.0), Arm("same"), *(Arm(name, name, alpha=float(block.targets is None))
                                                     for name, block in blocks.items() if name != "own")]
    return world.rows(blocks, arms, [{"method": arm.name} for arm in arms], **same)
