"""Checks of notebook 06."""

import math
from itertools import product

import torch
from torch import Tensor

from kdutils.cohorts import HARD, Splits, cohort, distilled
from kdutils.course.checks import NotDone, Wrong, answer_of, compare, exercise, teaches
from kdutils.errors import whole
from kdutils.lessons.beyond_compression.experiment import NOISY, noisy_labels, twins
from kdutils.objectives import attention_loss, kd_loss
from kdutils.results import Effect, interval
from kdutils.training import Recipe

LOSSES = ("FitNets", "AT", "SP", "RKD")
BLIND = {"rotate": {"SP", "RKD"}, "scale": {"AT", "SP", "RKD"}, "shift": {"RKD"}}
_WHY = {
    ("rotate", "FitNets"): "FitNets compares number by number, and a rotation changes the numbers",
    ("rotate", "AT"): "the toy's rotation mixes places too, and attention asks where a layer is active",
    ("rotate", "SP"): "a product of two feature vectors is the same after both are turned",
    ("rotate", "RKD"): "distances and angles between images are the same after all of them are turned",
    ("scale", "FitNets"): "three times a number is another number",
    ("scale", "AT"): "the map is brought to length one, so its size is gone",
    ("scale", "SP"): "each row of the similarity matrix is brought to length one",
    ("scale", "RKD"): "distances are divided by their mean",
    ("shift", "FitNets"): "every number is another one",
    ("shift", "AT"): "squares of shifted numbers are not the shifted squares: the map changes its shape",
    ("shift", "SP"): "a product of two vectors knows where the origin is",
    ("shift", "RKD"): "a difference of two vectors does not know where the origin is"}


@exercise("06.1")
def who_is_blind(answer) -> str:
    """{"rotate": [...], "scale": [...], "shift": [...]}: the losses that stay 0."""
    if not isinstance(answer, dict) or set(answer) != set(BLIND):
        raise Wrong(f"Give a dictionary with the keys {', '.join(BLIND)}.")
    if any(value is None or value is ... for value in answer.values()):
        raise NotDone
    for change, right in BLIND.items():
        if isinstance(answer[change], str):
            raise Wrong(f"Give a list of names for {change!r}, such as ['SP'].")
        got = set(answer[change])
        if unknown := got - set(LOSSES):
            raise Wrong(f"{sorted(map(str, unknown))[0]} is none of the four: {', '.join(LOSSES)}.")
        for name in LOSSES:
            if (name in got) != (name in right):
                says = "stays 0" if name in right else "notices"
                raise Wrong(f"{change.capitalize()}: {name} {says}, for {_WHY[change, name]}.")
    return ("Who compares numbers sees everything; who compares relations sees no turn, and RKD not even a shift. A "
            "loss can only teach what it can see.")


def _maps(batch: int, channels: int, side: int) -> Tensor:
    size = batch * channels * side * side
    return torch.sin(1.7 * torch.arange(size).double() ** 1.1).view(batch, channels, side, side)


@exercise("06.2")
def attention(function) -> str:
    """my_attention_loss(student, teacher): maps (B, C, H, W) and (B, D, H, W) -> AT as the authors' code has it."""
    for shape, width in (((3, 2, 4), 5), ((2, 4, 3), 4)):
        s, t = _maps(*shape), 0.5 * _maps(shape[0], width, shape[2]).flip(0) + 0.3
        one, other = (maps.square().mean(1).flatten(1) for maps in (s, t))
        unit = [maps / maps.norm(dim=1, keepdim=True) for maps in (one, other)]
        difference = unit[0] - unit[1]
        signed = [maps.mean(1).flatten(1) for maps in (s, t)]
        signed = [maps / maps.norm(dim=1, keepdim=True) for maps in signed]
        slips = {
            "The maps are not brought to length one: a student whose features are twice as large would be punished.":
                (one - other).square().mean(),
            "Length one is meant for each image by itself, yours is for the whole batch.":
                (one / one.norm() - other / other.norm()).square().mean(),
            "The squares are summed, not averaged: the loss would grow with the batch and the size of the map.":
                difference.square().sum(),
            "You average over images a sum over places; the authors average over both.":
                difference.square().sum(1).mean(),
            "That is the paper's equation, the unsquared distance; the code that everybody runs averages squares.":
                difference.norm(dim=1).mean(),
            "That is the sum of the unsquared distances, nearly the paper's equation; the code averages squares.":
                difference.norm(dim=1).sum(),
            "The activations are squared before the mean over the channels, or positive and negative ones cancel.":
                (signed[0] - signed[1]).square().mean(),
            "The maps are divided by their sum; length one means the root of the sum of squares.":
                (one / one.sum(1, keepdim=True) - other / other.sum(1, keepdim=True)).square().mean()}
        compare(answer_of(function, s, t), attention_loss(s, t), slips)
        teaches(function, s, t)
    return "Sizes and channels are gone, places remain: networks of different widths can be compared."


@exercise("06.3")
def repaired_distillation(function) -> str:
    """A distillation loss with two mistakes, repaired: T^2 is missing, and the mean runs over the classes too."""
    for batch, classes, t in ((3, 5, 4.0), (4, 7, 2.5)):
        index = torch.arange(float(batch))[:, None]
        s = (2 * torch.sin(1.3 * index + 0.7 * torch.arange(float(classes)))).double()
        z = (2 * torch.cos(0.9 * index + 1.1 * torch.arange(float(classes)))).double()
        got, right = answer_of(function, s, z, t), kd_loss(s, z, t)
        if got.shape == () and torch.allclose(got, right / (t**2 * classes), rtol=1e-4):
            raise NotDone
        if got.shape == () and not torch.allclose(got, right, rtol=1e-4):
            _factor(got, right, batch, classes, t)
        compare(got, right, {
            "The student comes first in yours: KL(student || teacher) is another divergence.": kd_loss(z, s, t),
            "Without the temperature inside the softmax the targets are not soft.": kd_loss(s, z, 1.0)})
        teaches(function, s, z, t)
    return ("Both mistakes only change the size: with T = 4 and 100 classes the teacher would be 1,600 times weaker "
            "than meant, and the run would look like hard labels.")


@exercise("06.4")
def a_recipe_without_a_teacher(answer) -> str:
    """Steps after which labels alone do as well as KD of a stopped teacher, 60% of the labels drawn anew."""
    if answer is None or answer is ...:
        raise NotDone
    steps = whole("steps", answer, 1, 600)
    over_end, over_kd = _stopped(steps)
    if not over_end.low > 0:
        raise Wrong(f"After {steps} steps the labels alone are no better than after 600: {over_end}. The whole "
                    "interval has to lie above zero.")
    if over_kd.high < 0:
        raise Wrong(f"After {steps} steps the labels alone are worse than KD: {over_kd}. Too early, or too late? Look "
                    "at the labels' own curve in panel 2.")
    return (f"Measured with 10 seeds that this page has not used: {over_end} over 600 steps, and {over_kd} against KD "
            "of a teacher that was stopped early. The teacher brought its recipe, and the recipe needs no teacher.")


def _stopped(steps: int, seeds: int = 10) -> tuple[Effect, Effect]:
    """Labels alone for `steps`: gain over 600 steps, and over KD of a teacher of 60 steps (500 images, 60% noise)."""
    lab = Splits.open("digits", seeds, seed=1000)
    labels, images = noisy_labels(lab, 0.6), lab.transfer(500)
    told = twins(lab, images, labels, Recipe(60))
    groups = (cohort(lab, told, images, [HARD, distilled(4.0)], NOISY, labels),
              cohort(lab, told, images, [HARD], NOISY, labels))
    for group, recipe in zip(groups, (Recipe(600), Recipe(steps)), strict=True):
        for _ in group.train(recipe):
            pass
    (to_the_end, by_kd), (stopped,) = (group.accuracy().cpu().numpy() for group in groups)
    return interval(stopped - to_the_end), interval(stopped - by_kd)


def _factor(got: Tensor, right: Tensor, batch: int, classes: int, t: float) -> None:
    """Say which factors are missing or too many, if only factors are wrong."""
    named = {"T": t, "the number of classes": classes, "the size of the batch": batch}
    # The fewest mistakes first: several products of factors may be alike.
    for powers in sorted(product((-2, -1, 0, 1, 2), (-1, 0, 1), (-1, 0, 1)), key=lambda one: sum(map(abs, one))):
        factor = math.prod(value**power for value, power in zip(named.values(), powers, strict=True))
        if any(powers) and torch.allclose(got, right * factor, rtol=1e-4):
            words = [f"{'too large' if power > 0 else 'too small'} by {name}{' squared' * (abs(power) == 2)}"
                     for (name, power) in zip(named, powers, strict=True) if power]
            raise Wrong(f"Your loss is {' and '.join(words)}.")
