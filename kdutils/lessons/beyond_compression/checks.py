"""Checks of notebook 06."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from kdutils.cohorts import HARD, Splits, cohort, distilled
from kdutils.course.checks import Case, NotDone, Wrong, answer_of, exercise, judge, teaches
from kdutils.errors import whole
from kdutils.lessons.beyond_compression.experiment import NOISY, noisy_labels, twins
from kdutils.objectives import attention_loss, kd_loss, log_softmax, soft_cross_entropy
from kdutils.results import Effect, interval
from kdutils.training import Recipe

LOSSES = ("FitNets", "AT", "SP", "RKD")
BLIND = {"rotate": {"SP", "RKD"}, "negate": {"AT", "SP", "RKD"}, "stretch": {"AT"}}
_WHY = {
    ("rotate", "FitNets"): "FitNets compares number by number, and a rotation changes the numbers",
    ("rotate", "AT"): "this rotation mixes places too, and attention asks where a layer is active",
    ("rotate", "SP"): "a product of two feature vectors is the same after both are turned",
    ("rotate", "RKD"): "distances and angles between images are the same after all of them are turned",
    ("negate", "FitNets"): "every number that is not 0 is another one",
    ("negate", "AT"): "attention looks at squares, and a square has no sign",
    ("negate", "SP"): "both vectors of a product change their sign, so that the product does not",
    ("negate", "RKD"): "a point mirrored at the origin is as far from the other mirrored points as before",
    ("stretch", "FitNets"): "three times a number is another number",
    ("stretch", "AT"): "each image's map is brought to length one by itself, so its own factor is gone",
    ("stretch", "SP"): "a row is brought to length one, which takes away the factor of its own image, and not those of "
                       "the others",
    ("stretch", "RKD"): "one mean divides all distances; factors that differ change their proportions"}


@exercise("06.1")
def who_is_blind(answer) -> str:
    """{"rotate": [...], "negate": [...], "stretch": [...]}: the losses that stay 0."""
    if answer is None or answer is ...:
        raise NotDone
    if not isinstance(answer, dict) or set(answer) != set(BLIND):
        raise Wrong(f"Give a dictionary with the keys {', '.join(BLIND)}.")
    if any(value is None or value is ... for value in answer.values()):
        raise NotDone
    for change, right in BLIND.items():
        got = answer[change]
        if not isinstance(got, (list, tuple, set)):
            raise Wrong(f"Give a list of names for {change!r}, such as ['SP'].")
        if unknown := [name for name in got if not (isinstance(name, str) and name in LOSSES)]:
            raise Wrong(f"{unknown[0]!r} is none of the four: {', '.join(LOSSES)}.")
        for name in LOSSES:
            if (name in got) != (name in right):
                says = "stays 0" if name in right else "notices"
                raise Wrong(f"{change.capitalize()}: {name} {says}, for {_WHY[change, name]}.")
    return ("Who compares numbers sees everything; who compares relations sees neither a turn nor a mirror, and a map "
            "at length one does not know how loud its image was. A loss can only teach what it can see.")


def _maps(batch: int, channels: int, side: int) -> Tensor:
    size = batch * channels * side * side
    return torch.sin(1.7 * torch.arange(size).double() ** 1.1).view(batch, channels, side, side)


@exercise("06.2")
def attention(function) -> str:
    """my_attention_loss(student, teacher): maps (B, C, H, W) and (B, D, H, W) -> AT as the authors' code has it."""
    cases, examples = [], []
    for shape, width in (((3, 2, 4), 5), ((2, 4, 3), 4)):
        s, t = _maps(*shape), 0.5 * _maps(shape[0], width, shape[2]).flip(0) + 0.3
        examples.append((s, t))

        def unlike(made, s=s, t=t) -> Tensor:
            """The difference of what is made of the two networks' energies (B, places)."""
            one, other = (made(maps.square().mean(1).flatten(1)) for maps in (s, t))
            return one - other

        def of_maps(made, s=s, t=t) -> Tensor:
            """The loss of other maps (B, places), at length one."""
            return (normalize(made(s).flatten(1)) - normalize(made(t).flatten(1))).square().mean()

        difference, places = unlike(normalize), shape[2] ** 2
        cases.append(Case(answer_of(function, s, t), attention_loss(s, t), {
            "The maps are not brought to length one: a student whose features are twice as large would be punished.":
                unlike(lambda one: one).square().mean(),
            "Length one is meant for each image by itself, yours is for the whole batch.":
                unlike(lambda one: one / one.norm()).square().mean(),
            "Length one is meant along the places of one image (dim=1), yours is along the images.":
                unlike(lambda one: one / one.norm(dim=0)).square().mean(),
            "The squares are summed, not averaged: the loss would grow with the batch and the size of the map.":
                difference.square().sum(),
            "You average over images a sum over places; the authors average over both.":
                difference.square().sum(1).mean(),
            "That is the paper's equation, the unsquared distance; the code that everybody runs averages squares.":
                difference.norm(dim=1).mean(),
            "That is the sum of the unsquared distances, nearly the paper's equation; the code averages squares.":
                difference.norm(dim=1).sum(),
            "That is one distance of the whole batch; the code averages squares.": difference.norm(),
            "The root at the end is one too many: the code averages squares.": difference.square().mean().sqrt(),
            "You average the sizes of the differences; the code averages their squares.": difference.abs().mean(),
            "You average differences with their sign, which cancel; square them first.": difference.mean(),
            "One value per image is left; the loss is their mean.": difference.square().mean(1),
            "One value per place is left; the loss is their mean.": difference.square(),
            "That is one minus the cosine of the maps, half of their squared distance; the code averages over the "
            "places, too.": difference.square().sum(1).mean() / 2,
            "The activations are squared before the mean over the channels, or positive and negative ones cancel.":
                of_maps(lambda maps: maps.mean(1)),
            "The activations are squared, yours lose their sign only: loud channels count less.":
                of_maps(lambda maps: maps.abs().mean(1)),
            "The square is taken of the mean; it belongs inside, or positive and negative channels cancel.":
                of_maps(lambda maps: maps.mean(1).square()),
            "The maps are divided by their sum; length one means the root of the sum of squares.":
                unlike(lambda one: one / one.sum(1, keepdim=True)).square().mean(),
            "The maps are divided by their mean; length one means the root of the sum of squares.":
                unlike(lambda one: one / one.mean(1, keepdim=True)).square().mean(),
            "The maps are divided by their largest entry; length one means the root of the sum of squares.":
                unlike(lambda one: one / one.amax(1, keepdim=True)).square().mean(),
            "That is a softmax over the places; length one means divided by the root of the sum of squares.":
                unlike(lambda one: one.softmax(1)).square().mean()},
            {"the size of the batch": len(s), "the number of places": places},
            f"{len(s)} images, maps of {shape[2]}x{shape[2]}"))
    judge(cases, "Each image's map at length one, for both networks; then the mean of all squared differences.")
    for s, t in examples:
        teaches(function, s, t, like=attention_loss)
    return "Sizes and channels are gone, places remain: networks of different widths can be compared."


@exercise("06.3")
def repaired_distillation(function) -> str:
    """A distillation loss with two mistakes, repaired: T^2 is missing, and the mean runs over the classes too."""
    cases, examples = [], []
    for batch, classes, t in ((3, 5, 4.0), (4, 7, 2.5)):
        index = torch.arange(float(batch))[:, None]
        s = (2 * torch.sin(1.3 * index + 0.7 * torch.arange(float(classes)))).double()
        z = (2 * torch.cos(0.9 * index + 1.1 * torch.arange(float(classes)))).double()
        examples.append((s, z, t))
        student, teacher = log_softmax(s, t), log_softmax(z, t)
        got, right = answer_of(function, s, z, t), kd_loss(s, z, t)
        if got.isnan().any():
            raise Wrong("The loss is not a number: a logarithm is taken of something negative. The logarithms of the "
                        "teacher need log_target=True in F.kl_div; the lines of the stub were right.")
        cases.append(Case(got, right, {
            _BOTH: right / (t**2 * classes),
            "The student comes first in yours: KL(student || teacher) is another divergence.": kd_loss(z, s, t),
            "Without the temperature inside the softmax the targets are not soft.": t**2 * kd_loss(s, z, 1.0),
            "Both logits are multiplied by the temperature; they are divided by it.": t**2 * kd_loss(t * s, t * z, 1.0),
            "The softmax goes over the classes (the last axis), yours over the images.": t**2 * _across(s, z, t),
            "That is the cross-entropy with soft targets. Its gradient is the same, but it is not 0 where the two "
            "agree.": soft_cross_entropy(s, z, t),
            "The student's probabilities are the weights, with the teacher's sign.": -kd_loss(z, s, t),
            "F.kl_div wants the student as logarithms: log_softmax, not softmax.":
                t**2 * (teacher.exp() * (teacher - student.exp())).sum(-1).mean(),
            "That is a squared error of probabilities; the divergence was right.":
                t**2 * (teacher.exp() - student.exp()).square().sum(-1).mean(),
            "That is a squared error of logits; the divergence was right.": t**2 * (s - z).square().mean(),
            "One value per image is left; the loss is their mean.":
                t**2 * (teacher.exp() * (teacher - student)).sum(-1)},
            {"T": t, "the number of classes": classes, "the size of the batch": batch},
            f"{batch} images, {classes} classes and T = {t:g}"))
    try:
        judge(cases, "T^2 times the mean over the images of the sum over the classes of p_T (log p_T - log p_S).")
    except Wrong as reason:
        if str(reason) == _BOTH:
            raise NotDone from None
        raise
    for s, z, t in examples:
        teaches(function, s, z, t, like=kd_loss)
        for size in (2000 * t, -2000 * t):
            if not answer_of(function, size + s, size + z, t).isfinite():
                raise Wrong(f"Right, until the logits are near {size:g}: there exp is "
                            f"{'infinite' if size > 0 else '0'}. log_softmax, as in the stub, writes no exponential "
                            "out.")
    return ("Both mistakes only change the size: with T = 4 and 100 classes the teacher would be 1,600 times weaker "
            "than meant, and the run would look like hard labels.")


_BOTH = "Both mistakes are left."


def _across(s: Tensor, z: Tensor, t: float) -> Tensor:
    student, teacher = ((logits / t).log_softmax(0) for logits in (s, z))
    return (teacher.exp() * (teacher - student)).sum(-1).mean()


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
