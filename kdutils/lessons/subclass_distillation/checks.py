"""Checks of notebook 03."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from kdutils import metrics
from kdutils.cohorts import Splits
from kdutils.course.checks import NotDone, Wrong, answer_of, compare, exercise, teaches
from kdutils.datasets import grouped
from kdutils.errors import at_least, one_of, positive, whole
from kdutils.lessons.subclass_distillation.teachers import subclass_teachers
from kdutils.objectives import class_logits
from kdutils.results import Effect, interval


def _batch(images: int, subclasses: int) -> Tensor:
    """Logits of which no two images and no two subclasses are alike."""
    return (2 * torch.sin(2.3 * torch.arange(float(images))[:, None]
                          + 1.9 * torch.arange(float(subclasses)) ** 1.3)
            + 0.4 * torch.arange(float(subclasses))).double()


DEMO = (5, 1.0, 1.0)        # s, beta and T_aux of the authors' demo
FRESH = 2000                # the first of the seeds that checks train with: no page and no choice of settings uses them


@exercise("03.1")
def my_class_logits(function) -> str:
    """my_class_logits(logits, sizes): one logit per class, (B, C), from subclass logits (B, S) blocked by class."""
    for sizes in ((2, 3), (1, 4), (1, 3, 2)):
        logits = _batch(4, sum(sizes))
        blocks = logits.split(sizes, -1)
        right = _by_block(blocks, lambda block: block.logsumexp(-1))
        got = answer_of(function, logits, sizes)
        if len(sizes) > 2 and got.shape != right.shape:
            raise Wrong(f"Right for two classes, not for {len(sizes)}: {tuple(got.shape)} should be "
                        f"{tuple(right.shape)}. Go over the blocks, however many there are.")
        _compare_classes(got, right, {
            "That is the plain sum: its softmax multiplies the subclasses' exponentials. It is their sum that is the "
            "class's share.": _by_block(blocks, lambda block: block.sum(-1)),
            "That multiplies the subclasses' probabilities; the class has their sum.":
                _by_block(logits.log_softmax(-1).split(sizes, -1), lambda block: block.sum(-1)),
            "That is the largest subclass alone: the others of the class count too, and would get no gradient.":
                _by_block(blocks, lambda block: block.amax(-1)),
            "That is the mean of the logits; the exponentials are to be added.":
                _by_block(blocks, lambda block: block.mean(-1)),
            "You divide by the number of subclasses: a class with more of them would be held down.":
                _by_block(blocks, lambda block: block.logsumexp(-1) - math.log(block.shape[-1])),
            "All classes get the same: either the sum goes over all subclasses of all classes, or each class was "
            "normalised by itself before they were compared.": torch.zeros_like(right),
            "The logarithm is missing: these are sums of exponentials, not logits.":
                _by_block(blocks, lambda block: block.exp().sum(-1)),
            "Those are the classes' probabilities; the logits are their logarithms.": right.softmax(-1),
            "The sign: a class with larger subclasses has to come out as the more probable one.": -right})
    for size in (1000.0, -1000.0):  # exp(1000) is infinite, exp(-1000) is 0
        loud = size + _batch(3, 5)
        if not answer_of(function, loud, (2, 3)).isfinite().all():
            raise Wrong(f"Right, until the logits are near {size:g}: there exp is {'infinite' if size > 0 else '0'}. "
                        "Which function of torch takes the logarithm of such a sum without writing it out?")
    teaches(function, _batch(4, 5), (2, 3))
    return "softmax over these logits gives each class the sum of its subclasses' probabilities."


def _compare_classes(got: Tensor, right: Tensor, slips: Mapping[str, Tensor]) -> None:
    """Raise Wrong unless both class logits give the same probabilities; `slips` as for `compare`.

    A shift of all logits of an image changes nothing, so answers are compared by what they say of the classes.
    """
    images, classes = right.shape
    shapes = {(images * classes,): ": the classes stand one after another, torch.stack(..., -1) puts them side by side",
              (classes, images): ": images and classes have changed places, classes belong in the last dimension",
              (images, 1, classes): ": keepdim has kept a dimension that is not wanted"}
    if got.shape != right.shape:
        raise Wrong(f"The shape is {tuple(got.shape)}, it should be {(images, classes)}{shapes.get(got.shape, '')}.")
    if not got.isfinite().all():
        raise Wrong("Some of these logits are infinite or not a number: a sum of logits may be negative, and then it "
                    "has no logarithm. Which positive numbers are to be added?")
    said, wanted = got.log_softmax(-1), right.log_softmax(-1)
    if torch.allclose(said, wanted, rtol=1e-4, atol=1e-6):
        return
    for why, logits in slips.items():
        if torch.allclose(said, logits.log_softmax(-1), rtol=1e-4, atol=1e-6):
            raise Wrong(why)
    image = int((said.exp() - wanted.exp()).abs().amax(-1).argmax())
    raise Wrong(f"For one image the softmax of your logits gives the first class {said[image, 0].exp():.4f}; its "
                f"subclasses have {wanted[image, 0].exp():.4f} together.")


@exercise("03.2")
def my_auxiliary(function) -> str:
    """my_auxiliary(logits, t_aux): the paper's auxiliary loss of a batch, a number."""
    for z, t in ((_batch(4, 5), 0.5), (_batch(4, 5), 2.0), (_batch(6, 7), 0.8)):
        n, total = z.shape
        scores = _scores(z, t)
        got, constants = answer_of(function, z, t), 1 / t + math.log(n)
        if got.shape == scores.shape:
            raise Wrong(f"That is one number for each of the {n} x {n} pairs; the loss of a batch is a single one.")

        def loss(scores: Tensor, constants=constants) -> Tensor:
            """The loss of other scores, or with other constants."""
            return scores.logsumexp(-1).mean() - constants

        v = _standardised(z)
        over_batch = _standardised(z.T).T
        off = ~torch.eye(n, dtype=torch.bool)
        right = loss(scores)
        compare(got, right, {
            "The division by S is missing: with it, an example's score with itself is exactly 1/T_aux.":
                loss(total * scores),
            "The scores are divided by S, not by its square root: an example's score with itself is 1/T_aux.":
                loss(math.sqrt(total) * scores),
            "The scores are not divided by T_aux.": loss(t * scores),
            "The scores are divided by neither T_aux nor S.": loss(t * total * scores),
            "The scores are multiplied by T_aux; divide by it.": loss(t * t * scores),
            "The logarithm was taken of each exponential, which undoes it; it belongs around their sum over j.":
                scores.sum(-1).mean() - constants,
            "That is the mean score: log and exp have gone, and with them the loss's lower bound.":
                scores.mean() - 1 / t,
            "The logarithm is missing: these are sums of exponentials.": scores.exp().sum(-1).mean() - constants,
            "One sum runs over all pairs. It is over j alone, inside the logarithm; over i it is a mean, outside.":
                scores.flatten().logsumexp(-1) - constants,
            "The logarithm is taken of the mean over all pairs. The mean over i belongs outside.":
                scores.flatten().logsumexp(-1) - constants - math.log(n),
            "You take log n away twice: a mean over j has divided by n already.": right - math.log(n),
            "Those are the scores of the examples with themselves; j runs over the whole batch.":
                scores.diagonal().mean() - constants,
            "v.T @ v compares the subclasses with each other; it is the examples that are to be compared.":
                loss(v.T @ v / (t * total)),
            "The scores are those of the logits; v is what they become with mean 0 and variance 1.":
                loss(z @ z.T / (t * total)),
            "The logits are standardised over the batch; it is each example's own S logits that get mean 0 and "
            "variance 1.": loss(over_batch @ over_batch.T / (t * total)),
            "The term -log n is missing: a collapsed batch should give 0, whatever its size.": loss(scores, 1 / t),
            "The term -1/T_aux is missing: a collapsed batch should give 0.": loss(scores, math.log(n)),
            "Both constants are missing, -1/T_aux and -log n: a collapsed batch should give 0.": loss(scores, 0.0),
            "That is log 4 for any batch: n is the number of its examples, and it differs from batch to batch.":
                loss(scores, 1 / t + math.log(4)),
            "1/T_aux is added; it is to be taken away, so that a collapsed batch gives 0.":
                loss(scores, math.log(n) - 1 / t),
            "log n is added; it is to be taken away, so that a collapsed batch gives 0.":
                loss(scores, 1 / t - math.log(n)),
            "Both constants are added; they are to be taken away, so that a collapsed batch gives 0.":
                loss(scores, -constants),
            "You take T_aux away instead of 1/T_aux.": loss(scores, t + math.log(n)),
            "That is the logarithm of S; n is the number of examples.": loss(scores, 1 / t + math.log(total)),
            "The logarithm of n is the natural one, like that of the sum.": loss(scores, 1 / t + math.log2(n)),
            "The loss is a mean over the examples i, yours is the sum.": n * right,
            "One value per example is left; the loss is their mean.": scores.logsumexp(-1) - constants,
            "j runs over the whole batch, i itself included.": loss(scores[off].view(n, n - 1)),
            "The variance is divided by S, not by S - 1 (correction=0).": loss((total - 1) / total * scores),
            "The sign: examples that look alike must cost more.": -right})
    teaches(function, _batch(6, 7), 0.8)
    return "0 for a batch whose examples all look alike, never below -1/T_aux: the value says how divided they are."


@exercise("03.3")
def a_setting_that_collapses(answer) -> str:
    """{"subclasses": s, "beta": ..., "t_aux": ...} at which at most 3 subclasses are used, with 10 fresh seeds."""
    s, beta, t_aux = _setting(answer)
    whole("subclasses", s, 3, 20, why="with fewer there is little to collapse")
    used, _, right = divided_on_test([(beta, t_aux)], s)[0]
    if used.mean() > 3:
        why = "their auxiliary loss still pays them for a second subclass of a class"
        if t_aux < 0.5:
            why += ", the more so as a smaller T_aux spreads more those examples that are most alike"
        raise Wrong(f"Measured with {len(used)} fresh seeds: {used.mean():.1f} of {2 * s} subclasses are used. At "
                    f"beta = {beta:g} and T_aux = {t_aux:g} {why}.")
    if right.mean() < 90:
        raise Wrong(f"These teachers are only {right.mean():.1f}% right on the two classes: they did not learn, which "
                    "is not what is meant. A collapsed teacher knows its classes well.")
    return (f"Measured with {len(used)} seeds that this page has not used: {used.mean():.1f} of {2 * s} subclasses "
            f"hold at least 1% of the test images, and the teachers are {right.mean():.1f}% right.")


@exercise("03.4")
def a_better_teacher(answer) -> str:
    """{"subclasses": s, "beta": ..., "t_aux": ...} that finds more of the digits than the authors' demo setting."""
    s, beta, t_aux = _setting(answer)
    if (s, beta, t_aux) == DEMO:
        raise Wrong("That is the setting of the authors' demo itself: it cannot find more than it finds.")
    ((_, found_there, right_there),) = divided_on_test([DEMO[1:]], DEMO[0])
    ((used, found, right),) = divided_on_test([(beta, t_aux)], s)
    gain, price = interval(found - found_there), interval(right - right_there)
    if gain.low <= 0:
        raise Wrong(f"Hungarian accuracy {found.mean():.1f}%, against {found_there.mean():.1f}% of the demo's setting: "
                    f"{gain}. The interval has to lie above zero. {_why_no_gain(s, used.mean(), gain, price)}")
    if price.high < 0:
        raise Wrong(f"It finds more ({gain}), but its two classes got worse: {price}. Look for one that does not pay.")
    return (f"Measured with {len(found)} seeds that this page has not used: Hungarian accuracy {found.mean():.1f}%, "
            f"{gain} against beta = T_aux = 1; on the two classes {price}. Now look at k-means in the table of the "
            f"experiment: on images as simple as these it finds more, without a teacher.")


def _why_no_gain(s: int, used: float, gain: Effect, price: Effect) -> str:
    """What holds a setting back that does not find clearly more than the demo's."""
    if 2 * s < 10:
        return f"{2 * s} subclasses can stand for at most {2 * s} of the ten digits."
    if gain.mean > 0:
        return "The mean is above it, but seeds scatter so much that this may be chance."
    if price.high < 0:
        return f"On the two classes: {price}. Teachers cannot divide well what they confuse."
    if used < 5:
        return f"Only {used:.1f} of {2 * s} subclasses are used: too few digits get one of their own."
    if used > 12:
        return f"{used:.1f} subclasses are used for ten digits, and only one of a digit's subclasses counts."
    return "Digits and subclasses cross: the classes are subclass_teachers, but not by digits."


def divided_on_test(values: list[tuple[float, float]], subclasses: int, seeds: int = 10) -> list[tuple]:
    """Of teachers with these (beta, T_aux): subclasses used, Hungarian and class accuracy, (seeds,) each, in percent.

    Measured on the test images of fresh seeds.
    """
    return _divided(Splits.of(grouped("digits-2x5"), seeds, FRESH), values, subclasses)


def validate(subclasses: int, beta: float, t_aux: float, seeds: int = 6, held_out: int = 300) -> tuple[Effect, Effect]:
    """Hungarian and class accuracy (percent) on images held out of the pool: what settings may be chosen by.

    The teachers learn from the rest of the pool; no test image is looked at.
    """
    lab = Splits.of(grouped("digits-2x5"), seeds)
    lab = replace(lab, pool=lab.pool[:, held_out:], test=lab.pool[:, :held_out])
    _, found, right = _divided(lab, [_checked(subclasses, beta, t_aux)[1:]], int(subclasses))[0]
    return interval(found), interval(right)


def _divided(lab: Splits, values: list[tuple[float, float]], s: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    rows = []
    for logits in subclass_teachers(lab, lab.pool, (s, s), values):
        of_test = [(one[test], test) for one, test in zip(logits, lab.test, strict=True)]
        rows.append(tuple(np.array(column) for column in zip(*(
            (metrics.classes_used(z.argmax(-1)), 100 * metrics.hungarian_accuracy(z.argmax(-1), lab.data.hidden[test]),
             100 * float(metrics.accuracy(class_logits(z, (s, s)), lab.data.labels[test])))
            for z, test in of_test), strict=True)))
    return rows


def _setting(answer) -> tuple[int, float, float]:
    """s, beta and T_aux of an answer."""
    if answer is None or answer is ...:
        raise NotDone
    names = ("subclasses", "beta", "t_aux")
    if not isinstance(answer, Mapping):
        raise Wrong('Give the values by name: {"subclasses": ..., "beta": ..., "t_aux": ...}.')
    for name in answer:
        one_of("setting", name, names)
    if set(answer) != set(names):
        raise Wrong("Give all three values: subclasses, beta and t_aux.")
    return _checked(*(answer[name] for name in names))


def _checked(subclasses, beta, t_aux) -> tuple[int, float, float]:
    return whole("subclasses", subclasses, 1, 20), float(at_least("beta", beta, 0)), float(positive("t_aux", t_aux))


def _by_block(blocks, function) -> Tensor:
    return torch.stack([function(block) for block in blocks], -1)


def _scores(logits: Tensor, t_aux: float) -> Tensor:
    """c_ij of the paper's auxiliary loss, (B, B)."""
    v = _standardised(logits)
    return v @ v.T / (t_aux * logits.shape[-1])


def _standardised(logits: Tensor) -> Tensor:
    """Each row with mean 0 and variance 1."""
    return (logits - logits.mean(-1, keepdim=True)) / (logits.var(-1, keepdim=True, correction=0) + 1e-9).sqrt()
