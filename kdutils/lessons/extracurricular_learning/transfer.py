"""What students are trained on: blocks of inputs, each labelled by its seed's teacher, and arms that draw from blocks.

Everything of one seed is paired: arms share the student's start and the order of positions in its transfer set, and
differ in which inputs stand at these positions and in who labels them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kdutils.errors import ParameterError, between
from kdutils.networks import Population, Specification
from kdutils.training import Knobs, Recipe, Task, fit


@dataclass(frozen=True, eq=False)
class Block:
    """Inputs (S, n, c, h, w) of S seeds, their targets (S, n, d), and the answers {name: (S, n, ...)} of S teachers.

    Targets are read by arms of hard labels only; a block without any (None) is for teachers to label.
    """

    inputs: Tensor
    answers: Mapping[str, Tensor]
    targets: Tensor | None = None


@dataclass(frozen=True)
class Arm:
    """A way to train a student: its own inputs beside extra ones, and alpha: 1 learns from the teacher, 0 from targets.

    own, extra: names of blocks; no `extra` means the own ones alone. setting: what a row of results says of this arm.
    limit: only so many of the extra inputs, all if None.
    """

    name: str
    extra: str = ""
    own: str = "own"
    alpha: float = 1.0
    limit: int | None = None
    setting: tuple = ()


def positions(own: int, extra: int, share: float, length: int) -> tuple[Tensor, Tensor]:
    """Of `length` places in a transfer set, which input stands where: indices of own inputs, then of extra ones.

    `share` of the places are extra inputs; each kind is repeated as often as it takes. No extra ones: all are own.
    """
    between("share of extra inputs", share, 0, 1)
    if not own and share < 1 or not extra and not own:
        raise ParameterError(f"a transfer set needs inputs of its own at a share of {share:g}, got none.")
    asked = round(share * length) if extra else 0
    return (torch.arange(length - asked) % max(own, 1), torch.arange(asked) % max(extra, 1))


def task(blocks: Mapping[str, Block], arms: Sequence[Arm], seeds: Sequence[int], share: float, length: int) -> Task:
    """The task of a population over arms x seeds: member k * S + s is arm k with seed s.

    length: places in every member's transfer set, so that a step is the same work and an epoch as long for all.
    """
    first, rows = {}, 0
    for name, block in blocks.items():
        first[name], rows = rows, rows + block.inputs.shape[0] * block.inputs.shape[1]
    train = []
    for arm in arms:
        own = blocks[arm.own].inputs.shape[1]
        extra = min(arm.limit or 10**9, blocks[arm.extra].inputs.shape[1]) if arm.extra else 0
        mine, more = positions(own, extra, share, length)
        for s in range(len(seeds)):
            parts = [first[arm.own] + s * own + mine]
            if len(more):
                parts.append(first[arm.extra] + s * blocks[arm.extra].inputs.shape[1] + more)
            train.append(torch.cat(parts))
    members = list(seeds) * len(arms)
    inputs = torch.cat([block.inputs.flatten(0, 1) for block in blocks.values()])
    return Task(inputs, torch.cat([_targets(block, blocks) for block in blocks.values()]),
                torch.stack(train).to(inputs.device), members, _answers(blocks),
                torch.zeros(len(members), dtype=torch.int64, device=inputs.device))


def untrained(blocks: Mapping[str, Block], arms: Sequence[Arm], seeds: Sequence[int], spec: Specification,
              share: float = 0.9, length: int = 2048, **knobs) -> tuple[Population, Task, Knobs]:
    """A population over arms x seeds before its first step, its task and its knobs.

    knobs: further ones of the objective, numbers or one per arm.
    """
    work = task(blocks, arms, seeds, share, length)
    each = {name: [one for one in value for _ in seeds] if isinstance(value, (list, tuple)) else value
            for name, value in knobs.items()}
    alpha = [arm.alpha for arm in arms for _ in seeds]
    return Population(spec, work.seeds, work.inputs.device), work, Knobs(alpha=alpha, **each)


def students(blocks: Mapping[str, Block], arms: Sequence[Arm], seeds: Sequence[int], spec: Specification,
             objective: Callable, recipe: Recipe, share: float = 0.9, length: int = 2048, **knobs) -> Population:
    """Trained students of every arm and seed; arguments as of `untrained`."""
    population, work, values = untrained(blocks, arms, seeds, spec, share, length, **knobs)
    fit(population, work, objective, values, recipe)
    return population.copy()


def _targets(block: Block, blocks: Mapping[str, Block]) -> Tensor:
    """Targets (S n, d); zeros where the block has none: its arms have alpha 1."""
    if block.targets is not None:
        return block.targets.flatten(0, 1)
    width = next(other.targets.shape[-1] for other in blocks.values() if other.targets is not None)
    return torch.zeros(block.inputs.shape[0] * block.inputs.shape[1], width, device=block.inputs.device)


def _answers(blocks: Mapping[str, Block]) -> dict[str, Tensor]:
    names = next(iter(blocks.values())).answers
    return {name: torch.cat([block.answers[name].flatten(0, 1) for block in blocks.values()])[None] for name in names}
