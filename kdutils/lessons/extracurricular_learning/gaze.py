"""Gaze: the parts of the experiment in which the inputs are rendered eyes and the answers are Gaussians."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kdutils.datasets.gaze import Eyes, angular_error, eyes
from kdutils.datasets.samplers import keep, labelled, sample
from kdutils.lessons.extracurricular_learning.teachers import calibrated, trained
from kdutils.lessons.extracurricular_learning.transfer import Arm, Block, students
from kdutils.networks import MLP, Population, Specification
from kdutils.objectives import (
    best_single_width,
    gaussian,
    gaussian_distillation,
    gaussian_nll,
    mean_distillation,
    regression,
)
from kdutils.rng import derive
from kdutils.training import Recipe

PIXELS = 140
HELD_OUT, TEST = 300, 1500
CANDIDATES = 4                  # for each query, where a rule chooses
UNSURE = "unsure mixup"         # mixed eyes, those of which the teacher is least sure
POOLS = ("jitter", "shifts", "mixup", "gaussian", "noise", UNSURE)
FEW = ("jitter", "mixup")       # the pools of every further size
RULES = ("sure", "unsure", "most unsure")


@dataclass(frozen=True)
class Scale:
    """Eyes of one size, the networks that see them (a teacher is an ensemble of four), and how these are trained."""

    size: str = "small"
    teacher: Specification = MLP(PIXELS, (128,), 4)
    student: Specification = MLP(PIXELS, (64,), 4)
    batch: int = 64
    lr: float = 3e-3

    def recipe(self, steps: int) -> Recipe:
        return Recipe(steps, self.batch, self.lr)


class World:
    """The eyes of every seed and their teachers; a teacher is scaled on eyes that nobody was trained on."""

    def __init__(self, params, scale: Scale = Scale()):  # noqa: B008
        self.params, self.scale = params, scale
        self.seeds = list(range(params.seed, params.seed + params.seeds))
        self.labelled, held_out, self.test = (
            self.eyes(purpose, n) for purpose, n in (("labelled", params.gaze_labels), ("held out", HELD_OUT),
                                                     ("test", TEST)))
        self.teachers = calibrated(
            trained(self.labelled.inputs, self.labelled.gaze, self.seeds, scale.teacher,
                    scale.recipe(params.teacher_steps), regression),
            held_out.inputs, held_out.gaze)

    def eyes(self, purpose: str, n: int) -> Eyes:
        """Eyes of every seed: inputs (S, n, 1, h, w), gaze (S, n, 2), opening (S, n)."""
        made = [eyes(n, derive(seed, purpose), self.scale.size, self.params.device) for seed in self.seeds]
        return Eyes(*(torch.stack([getattr(one, name) for one in made]) for name in ("inputs", "gaze", "opening")))

    def first_eyes(self, n: int) -> Eyes:
        """The first n test eyes of the first seed, to look at."""
        return Eyes(*(values[0, :n] for values in (self.test.inputs, self.test.gaze, self.test.opening)))

    def block(self, inputs: Tensor, targets: Tensor | None = None) -> Block:
        """Inputs (S, n, 1, h, w) with their teachers' answers."""
        answers = self.teachers.gaussians(inputs)
        return Block(inputs, {name: answers[name] for name in ("mean", "log_variance")}, targets)

    def own(self, n: int) -> Block:
        """The first n labelled eyes: those that the student has."""
        return self.block(self.labelled.inputs[:, :n], self.labelled.gaze[:, :n])

    def sampled(self, name: str, own: Tensor, n: int) -> Tensor:
        """n inputs of a sampler for each seed, or of UNSURE: (S, n, 1, h, w)."""
        if name == UNSURE:
            return self.chosen(self.sampled("mixup", own, CANDIDATES * n), n, "most unsure")
        return torch.stack([sample(name, inputs, n, seed) for inputs, seed in zip(own, self.seeds, strict=True)])

    def chosen(self, candidates: Tensor, n: int, rule: str) -> Tensor:
        """n of the candidates (S, m, 1, h, w), by how wide the teacher's answers are."""
        unsure = self.teachers.gaussians(candidates)["log_variance"].sum(-1)
        return torch.stack([inputs[keep(width, n, rule, seed)]
                            for inputs, width, seed in zip(candidates, unsure, self.seeds, strict=True)])

    def students(self, blocks: dict[str, Block], arms: Sequence[Arm], objective=gaussian_distillation) -> Population:
        return students(blocks, arms, self.seeds, self.scale.student, objective,
                        self.scale.recipe(self.params.gaze_steps), self.params.share)

    def measured(self, population: Population) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (M, Q, 2) of each member's answers about its seed's test eyes."""
        repeats = len(population) // len(self.seeds)
        return gaussian(population.predict(self.test.inputs.repeat(repeats, 1, 1, 1, 1)))

    def rows(self, arms: Sequence[dict], mean: Tensor, log_variance: Tensor, **same) -> list[dict]:
        """A row per arm and seed: what the answers (M, Q, 2) are worth."""
        truth = self.test.gaze.repeat(len(arms), 1, 1)
        values = scores(mean, log_variance, truth)
        runs = [(arm, seed) for arm in arms for seed in self.seeds]
        return [same | arm | {"seed": seed} | {name: value[i].item() for name, value in values.items()}
                for i, (arm, seed) in enumerate(runs)]


def scores(mean: Tensor, log_variance: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """degrees, rmse, nll and spread of answers (M, Q, 2): {name: (M,)}. Spread above 1: the answers are too sure."""
    z = (truth - mean) * (-0.5 * log_variance).exp()
    return {"degrees": angular_error(mean, truth).mean(-1), "rmse": (truth - mean).square().mean((1, 2)).sqrt(),
            "nll": gaussian_nll(mean, log_variance, truth), "spread": z.flatten(1).square().mean(1).sqrt()}


def pool_rows(world: World, n: int, pools: Sequence[str] = POOLS) -> list[dict]:
    """Which pools of extra eyes help a student with n of its own: these, and fresh eyes."""
    own, extra = world.own(n), world.params.gaze_extra
    blocks = {"own": own, "fresh": world.block(world.eyes("fresh", extra).inputs)}
    blocks |= {name: world.block(world.sampled(name, own.inputs, extra)) for name in pools}
    blocks |= _labelled(world, own, extra)
    arms = [Arm("labels", alpha=0.0), Arm("same"), *(Arm(name, name, alpha=float(blocks[name].targets is None))
                                                     for name in blocks if name != "own")]
    rows = world.rows([{"method": arm.name} for arm in arms], *world.measured(world.students(blocks, arms)),
                      part="gaze", images=n)
    answers = world.teachers.gaussians(world.test.inputs)
    return rows + world.rows([{"method": "teacher"}], answers["mean"], answers["log_variance"], part="gaze", images=n)


def mean_rows(world: World) -> list[dict]:
    """Students of means alone; each then gets the one width that suits its teacher's answers best."""
    n, extra = world.params.gaze_sizes[0], world.params.gaze_extra
    blocks = {"own": world.own(n), "fresh": world.block(world.eyes("fresh", extra).inputs)}
    arms = [Arm("same"), Arm("fresh", "fresh")]
    population = world.students(blocks, arms, mean_distillation)
    s, widths = len(world.seeds), []
    for k, arm in enumerate(arms):
        block = blocks[arm.extra or "own"]
        mine = {name: value[k * s:(k + 1) * s] for name, value in population.parameters.items()}
        mean, _ = gaussian(Population.of(world.scale.student, mine).predict(block.inputs))
        widths.append(best_single_width(mean, block.answers["mean"], block.answers["log_variance"].exp()))
    mean, _ = world.measured(population)
    return world.rows([{"method": arm.name} for arm in arms], mean, torch.cat(widths).log().expand_as(mean),
                      part="means", images=n)


def rule_rows(world: World) -> list[dict]:
    """Fresh eyes at equal numbers: all, the surer half, the other half, the least sure ones. "all" is part "gaze"."""
    n, extra = world.params.gaze_sizes[0], world.params.gaze_extra
    fresh = world.eyes("candidates", CANDIDATES * extra).inputs
    blocks = {"own": world.own(n)} | {rule: world.block(world.chosen(fresh, extra, rule)) for rule in RULES}
    arms = [Arm(rule, rule) for rule in RULES]
    return world.rows([{"method": "fresh", "rule": arm.name} for arm in arms],
                      *world.measured(world.students(blocks, arms)), part="rules", images=n)


def query_rows(world: World) -> list[dict]:
    """Fewer fresh eyes: the first ones of those that part "gaze" uses."""
    n = world.params.gaze_sizes[0]
    blocks = {"own": world.own(n), "fresh": world.block(world.eyes("fresh", world.params.gaze_extra).inputs)}
    arms = [Arm("fresh", "fresh", limit=count) for count in world.params.gaze_queries]
    return world.rows([{"method": "fresh", "queries": arm.limit} for arm in arms],
                      *world.measured(world.students(blocks, arms)), part="queries", images=n)


def _labelled(world: World, own: Block, extra: int) -> dict[str, Block]:
    """The same augmentation with labels instead of a teacher: jittered eyes keep theirs, mixed ones get mixed ones."""
    made = {}
    for name in ("jitter", "mixup"):
        pairs = [labelled(name, inputs, gaze, extra, seed)
                 for inputs, gaze, seed in zip(own.inputs, own.targets, world.seeds, strict=True)]
        made[f"labels + {name}"] = world.block(*(torch.stack(values) for values in zip(*pairs, strict=True)))
    return made
