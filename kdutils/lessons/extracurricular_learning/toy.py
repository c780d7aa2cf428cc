"""A curve in one dimension: where is a student like its teacher? Where it asked."""

import math

import torch
from torch import Tensor

from kdutils import rng
from kdutils.datasets.samplers import sample
from kdutils.lessons.extracurricular_learning.transfer import Arm, Block, students
from kdutils.networks import MLP
from kdutils.objectives import gaussian, gaussian_distillation
from kdutils.training import Recipe

STUDENT = MLP(1, (32, 32), 2)
DOTS = 12
LEFT, RIGHT, EDGE = (-2.0, -0.6), (0.8, 2.0), 3.0       # where dots lie, and how far anyone looks
REGIONS = ("at", "between", "beyond")
ARMS = ("same", "jitter", "mixup", "uniform")


def curve(seed: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log-variance of one seed's teacher at x: two waves with phases of the seed, least sure in the middle."""
    phase = 2 * math.pi * torch.rand(2, generator=rng.generator(seed, "curve")).to(x)
    mean = torch.sin(1.7 * x + phase[0]) + 0.5 * torch.sin(3.1 * x + phase[1])
    return mean, 2 * (0.08 + 0.25 * torch.exp(-2 * x.square())).log()


def dots(seed: int, n: int = DOTS) -> Tensor:
    """Where the student has inputs of its own: (n,), half on each side of a gap."""
    u = torch.rand(n, generator=rng.generator(seed, "dots"))
    low = torch.tensor([LEFT[0], RIGHT[0]]).repeat(n)[:n]
    return low + (torch.tensor([LEFT[1], RIGHT[1]]).repeat(n)[:n] - low) * u


def asked(name: str, x: Tensor, n: int, seed: int) -> Tensor:
    """n places to ask at: (n,), from a sampler of `samplers`, or "uniform" over all that anyone looks at."""
    if name == "uniform":
        return EDGE * (2 * torch.rand(n, generator=rng.generator(seed, "uniform")) - 1)
    return sample("empirical" if name == "same" else name, x[:, None, None, None], n, seed).flatten()


def regions(x: Tensor, own: Tensor) -> dict[str, Tensor]:
    """Which places (G,) lie at the dots (n,), in the gap between their two groups, or beyond all of them."""
    nearest = (x[:, None] - own).abs().amin(1)
    low, high = own.where(own < 0, -EDGE).amax(), own.where(own > 0, EDGE).amin()
    return {"at": nearest < 0.1, "between": (x > low + 0.3) & (x < high - 0.3),
            "beyond": (x < own.amin() - 0.3) | (x > own.amax() + 0.3)}


def rows(params) -> list[dict]:
    """A row per way to ask and seed: the mean distance between the teacher's and the student's mean, by region."""
    seeds = list(range(params.seed, params.seed + params.seeds))
    own = torch.stack([dots(seed) for seed in seeds])
    blocks = {"own": _block(seeds, own, targets=True)}
    for name in ARMS[1:]:
        blocks[name] = _block(seeds, torch.stack([asked(name, x, 200, seed)
                                                  for x, seed in zip(own, seeds, strict=True)]))
    arms = [Arm(name, "" if name == "same" else name) for name in ARMS]
    population = students(blocks, arms, seeds, STUDENT, gaussian_distillation,
                          Recipe(params.toy_steps, 32, 1e-2), params.share, 512)
    grid = torch.linspace(-EDGE, EDGE, 301)
    mean, _ = gaussian(population.predict(grid[:, None, None, None]))
    made = []
    for member, (arm, seed) in enumerate((arm, seed) for arm in arms for seed in range(len(seeds))):
        apart = (mean[member, :, 0] - curve(seeds[seed], grid)[0]).abs()
        where = regions(grid, own[seed])
        made.append({"part": "toy", "method": arm.name, "seed": seeds[seed]}
                    | {name: apart[where[name]].mean().item() for name in REGIONS})
    return made


def _block(seeds: list[int], x: Tensor, targets: bool = False) -> Block:
    answers = [curve(seed, one) for seed, one in zip(seeds, x, strict=True)]
    mean, log_variance = (torch.stack(values)[..., None] for values in zip(*answers, strict=True))
    return Block(x[..., None, None, None], {"mean": mean, "log_variance": log_variance}, mean if targets else None)
