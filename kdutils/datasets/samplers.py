"""What a student may be shown beyond its own inputs: samplers that approximate the density of the data.

One interface: `sample(name, inputs, n, seed)` gives `n` new inputs, made from `inputs` (N, c, h, w). A sampler yields
inputs and never a label: the teacher labels them, whatever they are made of. `labelled` is beside it for the control
without a teacher: the same inputs with the labels that augmentation would give them, kept or mixed with the same draw.

    empirical   the inputs themselves, again: plain distillation
    jitter      an input and Gaussian noise on every pixel
    shifts      an input moved by a part of a pixel or a pixel, in both directions
    mixup       lam x_i + (1 - lam) x_j, lam uniform (Zhang et al. 2018, arXiv 1710.09412, with a = 1)
    between     mixup with lam in 0.35 .. 0.65: pictures between two, of which the teacher is unsure
    cutmix      a box of one input in another (Yun et al. 2019, arXiv 1905.04899, with a = 1)
    neighbours  mixup with one of the five nearest inputs (Chawla et al. 2002, SMOTE, without its labels)
    gaussian    a normal density of all inputs, on the directions that hold 95% of their variance
    shuffled    every pixel from another input: the right values in the wrong places
    noise       uniform in 0 .. 1: nothing of the data, the warning

Two more need what only their owner has: a renderer (the true density, `gaze.eyes`) and unlabelled data (a pool).
Everything random is drawn on the CPU from the seed; the arithmetic runs on the device of the inputs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from kdutils import rng
from kdutils.datasets.base import take
from kdutils.errors import ParameterError, between, one_of, whole

JITTER = 0.1            # standard deviation, of inputs in about 0 .. 1
MOST_SHIFT = 1.0        # pixels
NEIGHBOURS = 5
VARIANCE_KEPT = 0.95


@dataclass(frozen=True, eq=False)
class Mixing:
    """n pairs of inputs and how much of the first is in each: first, second (n,); share (n, 1, h or 1, w or 1)."""

    first: Tensor
    second: Tensor
    share: Tensor

    def inputs(self, inputs: Tensor) -> Tensor:
        """The mixed inputs (n, c, h, w)."""
        return self.share * take(inputs, self.first) + (1 - self.share) * take(inputs, self.second)

    def labels(self, labels: Tensor) -> Tensor:
        """Labels (N, d) mixed as the inputs are, (n, d): for the control only, a student of a teacher needs none."""
        share = self.share.flatten(1).mean(1, keepdim=True)
        return share * take(labels, self.first) + (1 - share) * take(labels, self.second)


def sample(name: str, inputs: Tensor, n: int, seed: int) -> Tensor:
    """`n` inputs (n, c, h, w) of the sampler `name`, made from `inputs` (N, c, h, w)."""
    sampler = SAMPLERS[one_of("sampler", name, SAMPLERS)]
    _checked(inputs, n)
    return sampler(inputs, n, seed)


def labelled(name: str, inputs: Tensor, labels: Tensor, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """The same inputs as `sample`, and what augmentation takes for their labels: labels (N, d) -> (n, d).

    A shifted or jittered input keeps its label, a mixed one gets a mixed one. A student of a teacher needs none.
    """
    if name in MIXINGS:
        draw = mixing(name, inputs, n, seed)
        return draw.inputs(inputs), draw.labels(labels)
    one_of("sampler with labels", name, (*KEEPING, *MIXINGS))
    return sample(name, inputs, n, seed), take(labels, _each(inputs, n, rng.generator(seed, name)))


def mixing(name: str, inputs: Tensor, n: int, seed: int) -> Mixing:
    """The draw of a sampler that mixes: what `sample` of the same name and seed uses."""
    _checked(inputs, n)
    return MIXINGS[one_of("mixing sampler", name, MIXINGS)](inputs, n, rng.generator(seed, name))


def keep(unsure: Tensor, n: int, rule: str, seed: int = 0) -> Tensor:
    """Which n of N candidates to ask about, by how unsure the teacher is of each (N,): int64 (n,) indices.

    rule: "all", at random; "sure", at random from the half of which it is surer, which is what filtering does;
    "unsure", at random from the other half; "most unsure", those n; "by chance", without replacement, one candidate
    twice as likely as another where the teacher is twice as unsure.
    """
    one_of("rule", rule, RULES)
    count = len(unsure)
    room = count // 2 if rule in ("sure", "unsure") else count
    n = whole("queries", n, 1, room, why=f"{count} candidates, rule {rule!r}")
    random = torch.rand(count, generator=rng.generator(seed, "keep"), dtype=torch.float64).to(unsure.device)
    order = unsure.argsort(stable=True)
    if rule == "most unsure":
        return order[count - n:]
    if rule == "by chance":     # Efraimidis and Spirakis 2006: the n largest u^(1/w)
        return (random.log() / unsure.double().clamp(min=1e-12)).topk(n).indices
    chosen = {"all": order.sort().values, "sure": order[:count // 2], "unsure": order[count - count // 2:]}[rule]
    return chosen[random[chosen].argsort()[:n]]


def crops(picture: Tensor, n: int, seed: int, size: tuple[int, int], largest: float = 8.0) -> Tensor:
    """`n` crops (n, 1, h, w) of one grey picture (H, W): places and sizes at random, each scaled to `size`.

    A crop has between 1 and `largest` pixels of the picture for one of its own, on a logarithmic scale.
    """
    whole("crops", n, 1)
    between("largest", largest, 1, min(picture.shape[0] / size[0], picture.shape[1] / size[1]))
    u = torch.rand(n, 3, generator=rng.generator(seed, "crops")).to(picture.device)
    scale = largest ** u[:, 0]
    half = torch.stack([scale * size[1] / picture.shape[1], scale * size[0] / picture.shape[0]], 1)
    centre = (2 * u[:, 1:] - 1) * (1 - half)
    theta = torch.zeros(n, 2, 3, device=picture.device)
    theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = half[:, 0], half[:, 1], centre
    grid = F.affine_grid(theta, [n, 1, *size], align_corners=False)
    return F.grid_sample(picture.expand(n, 1, -1, -1), grid, align_corners=False, padding_mode="border")


def shifted(inputs: Tensor, moves: Tensor) -> Tensor:
    """Inputs (n, c, h, w), each moved by (right, down) pixels (n, 2), bilinear, 0 from outside."""
    n, _, height, width = inputs.shape
    theta = torch.zeros(n, 2, 3, device=inputs.device)
    theta[:, 0, 0] = theta[:, 1, 1] = 1
    theta[:, :, 2] = -2 * moves.to(inputs) / torch.tensor([width, height], device=inputs.device)
    return F.grid_sample(inputs, F.affine_grid(theta, list(inputs.shape), align_corners=False), align_corners=False)


# ---- the samplers -------------------------------------------------------------------------------------------------

def _empirical(inputs: Tensor, n: int, seed: int) -> Tensor:
    return take(inputs, _each(inputs, n, rng.generator(seed, "empirical")))


def _jitter(inputs: Tensor, n: int, seed: int) -> Tensor:
    random = rng.generator(seed, "jitter")
    picked = take(inputs, _each(inputs, n, random))
    return picked + JITTER * torch.randn(picked.shape, generator=random).to(inputs.device)


def _shifts(inputs: Tensor, n: int, seed: int) -> Tensor:
    random = rng.generator(seed, "shifts")
    picked = take(inputs, _each(inputs, n, random))
    return shifted(picked, MOST_SHIFT * (2 * torch.rand(n, 2, generator=random) - 1))


def _gaussian(inputs: Tensor, n: int, seed: int) -> Tensor:
    flat = inputs.flatten(1)
    mean = flat.mean(0)
    _, spread, axes = torch.linalg.svd(flat - mean, full_matrices=False)
    held = spread.square().cumsum(0) / spread.square().sum().clamp(min=1e-12)
    kept = min(int((held < VARIANCE_KEPT).sum()) + 1, len(spread))
    z = torch.randn(n, kept, generator=rng.generator(seed, "gaussian")).to(flat)
    made = mean + z * (spread[:kept] / max(len(flat) - 1, 1) ** 0.5) @ axes[:kept]
    return made.view(n, *inputs.shape[1:])


def _shuffled(inputs: Tensor, n: int, seed: int) -> Tensor:
    flat = inputs.flatten(1)
    source = torch.randint(len(flat), (n, flat.shape[1]), generator=rng.generator(seed, "shuffled"))
    return flat.gather(0, source.to(inputs.device)).view(n, *inputs.shape[1:])


def _noise(inputs: Tensor, n: int, seed: int) -> Tensor:
    return torch.rand(n, *inputs.shape[1:], generator=rng.generator(seed, "noise")).to(inputs)


def _mixed(name: str) -> Callable[[Tensor, int, int], Tensor]:
    return lambda inputs, n, seed: mixing(name, inputs, n, seed).inputs(inputs)


def _mixup(inputs: Tensor, n: int, random: torch.Generator) -> Mixing:
    return _pairs(inputs, n, random, torch.rand(n, generator=random))


def _between(inputs: Tensor, n: int, random: torch.Generator) -> Mixing:
    return _pairs(inputs, n, random, 0.35 + 0.3 * torch.rand(n, generator=random))


def _cutmix(inputs: Tensor, n: int, random: torch.Generator) -> Mixing:
    """The box has 1 - lam of the area before it is clipped at the edges; the share is what is left after."""
    height, width = inputs.shape[-2:]
    side = (1 - torch.rand(n, generator=random)).sqrt()
    at = torch.rand(n, 2, generator=random)

    def inside(length: int, middle: Tensor) -> Tensor:
        low = (middle - side / 2).clamp(min=0) * length
        high = (middle + side / 2).clamp(max=1) * length
        place = torch.arange(length) + 0.5
        return (place >= low[:, None]) & (place < high[:, None])

    box = inside(height, at[:, 0])[:, :, None] & inside(width, at[:, 1])[:, None, :]
    return _pairs(inputs, n, random, 1 - box[:, None].float())


def _neighbours(inputs: Tensor, n: int, random: torch.Generator) -> Mixing:
    """One of the nearest in squared pixels; with few inputs, of those there are."""
    first = _each(inputs, n, random)
    flat = inputs.flatten(1)
    count = min(NEIGHBOURS, len(flat) - 1)
    lam, which = torch.rand(n, generator=random), torch.randint(max(count, 1), (n,), generator=random)
    if not count:
        return Mixing(first, first, lam.to(inputs)[:, None, None, None])
    distance = torch.cdist(flat, flat).fill_diagonal_(torch.inf)
    nearest = distance.topk(count, largest=False).indices
    return Mixing(first, nearest[first, which.to(inputs.device)], lam.to(inputs)[:, None, None, None])


def _pairs(inputs: Tensor, n: int, random: torch.Generator, share: Tensor) -> Mixing:
    first = _each(inputs, n, random)
    second = torch.randint(len(inputs), (n,), generator=random).to(inputs.device)
    share = share if share.ndim == 4 else share[:, None, None, None]
    return Mixing(first, second, share.to(inputs))


def _each(inputs: Tensor, n: int, random: torch.Generator) -> Tensor:
    """n indices: every input equally often, up to one, in random order."""
    rounds = [torch.randperm(len(inputs), generator=random) for _ in range(-(-n // len(inputs)))]
    return torch.cat(rounds)[:n].to(inputs.device)


def _checked(inputs: Tensor, n: int) -> None:
    if inputs.ndim != 4 or not len(inputs):
        raise ParameterError(f"a sampler needs inputs (N, c, h, w), at least one of them, got {tuple(inputs.shape)}.")
    whole("queries", n, 1)


KEEPING = ("empirical", "jitter", "shifts")     # the label stays; the first thing they draw is whose it is
MIXINGS = {"mixup": _mixup, "between": _between, "cutmix": _cutmix, "neighbours": _neighbours}
SAMPLERS: dict[str, Callable[[Tensor, int, int], Tensor]] = {
    "empirical": _empirical, "jitter": _jitter, "shifts": _shifts, **{name: _mixed(name) for name in MIXINGS},
    "gaussian": _gaussian, "shuffled": _shuffled, "noise": _noise}
RULES = ("all", "sure", "unsure", "most unsure", "by chance")
