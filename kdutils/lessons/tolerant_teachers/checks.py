"""Checks of notebook 02."""

import math
from itertools import product

import torch
from torch import Tensor

from kdutils.cohorts import Splits, cohort, distilled
from kdutils.course.checks import NotDone, Wrong, answer_of, compare, exercise
from kdutils.errors import positive
from kdutils.lessons.tolerant_teachers.experiment import ancestors
from kdutils.lessons.tolerant_teachers.parameters import STRICT, tolerant
from kdutils.results import Effect, interval
from kdutils.training import Recipe

# Four images and seven classes; the label is first for two of them, and the images disagree about who is second.
_LOGITS = (2.5 * torch.sin(2.3 * torch.arange(4.0)[:, None] + 1.9 * torch.arange(7.0) ** 1.3)).double()
_LABELS = torch.tensor([0, 4, 1, 6])
ETA = 0.9


@exercise("02.1")
def best_share(function) -> str:
    """best_share(eta, ranks): the label's probability at the free optimum of CE + eta * TSD."""
    for eta, k in ((1.5, 5), (0.9, 5), (0.75, 2), (0.5, 5), (0.1, 4)):
        p = (k - 1) / (eta * k)
        right = min(1.0, p)
        slips = {"A probability is at most 1: below the threshold the best answer is one-hot.": p,
                 "That is the share of ranks 2 to K together; the label has the rest of it.": 1 - right,
                 "That is the share of each single secondary class; the label has what they leave.":
                     (1 - right) / (k - 1),
                 "The mean over ranks 2 to K has K - 1 terms, yours divides by K.": min(1.0, k / (eta * (k + 1))),
                 "Nearly: the derivative of the loss by p is -1/p + eta K/(K - 1). Your fraction is upside down.":
                     min(1.0, k / (eta * (k - 1))),
                 "You left K out: with p on the label, the mean of the others is (1 - p)/(K - 1), not 0.":
                     min(1.0, 1 / eta),
                 "That is the convex form, eta * CE + (1 - eta) * TSD; here CE has the weight 1.":
                     min(1.0, eta / (1 - eta) * (k - 1) / k)}
        compare(answer_of(function, eta, k), _number(right),
                {why: _number(value) for why, value in slips.items() if not math.isclose(value, right)})
    return "p* = (K - 1)/(eta K), never more than 1: with K = 5 nothing moves until eta passes 0.8."


@exercise("02.2")
def top_score_difference(function) -> str:
    """top_score_difference(logits, ranks): mean over the batch of the first probability less the mean of the next."""
    ranked = _LOGITS.softmax(-1).sort(-1, descending=True).values
    for k in (3, 5):
        first, others = ranked[:, 0], ranked[:, 1:k]
        each = first - others.mean(-1)
        compare(answer_of(function, _LOGITS, k), each.mean(), {
            "One value per image is left; the term is their mean over the batch.": each,
            "The term is the mean over the batch, yours is the sum.": each.sum(),
            "Ranks 2 to K are K - 1 classes: divide by their number, not by K.": (first - others.sum(-1) / k).mean(),
            "The sum of the first K holds the first probability too: take it away before you divide.":
                (first - ranked[:, :k].sum(-1) / (k - 1)).mean(),
            "Ranks 2 to K: their mean is wanted, you subtract their sum.": (first - others.sum(-1)).mean(),
            "You took one rank too many: position 0 is rank 1, so ranks 2 to K are the positions 1 to K - 1.":
                (first - ranked[:, 1:k + 1].mean(-1)).mean(),
            "The mean goes over ranks 2 to K; yours includes the first one.": (first - ranked[:, :k].mean(-1)).mean(),
            "The mean goes over ranks 2 to K; yours goes over all the others.":
                (first - ranked[:, 1:].mean(-1)).mean(),
            "That is the margin between the first two; the term looks at ranks 2 to K.": (first - ranked[:, 1]).mean(),
            "The sign: the first probability less the others.": -each.mean()})
    return "Ranked anew for every image, and divided by K - 1: between 0 (K classes alike) and 1 (one-hot)."


@exercise("02.3")
def repaired_tolerance(function) -> str:
    """A top score difference with three mistakes, repaired."""
    k = 4
    got = answer_of(function, _LOGITS, _LABELS, k)
    if torch.allclose(got, _mistaken(k, forced=True, once=True, by_k=True)[0], rtol=1e-4):
        raise NotDone
    said = {"forced": "a_1 is the class that the network puts first; where that is not the label, it is to be held "
                      "down like any other",
            "once": "each image has its own ranking, one for the whole batch names the wrong classes",
            "by_k": "ranks 2 to K are K - 1 classes, so their sum is divided by K - 1"}
    for flags in product((True, False), repeat=3):
        left = {name: flag for name, flag in zip(said, flags, strict=True) if flag}
        if left and any(torch.allclose(got, value, rtol=1e-4) for value in _mistaken(k, **left)):
            number = "One mistake is" if len(left) == 1 else "Two mistakes are"
            raise Wrong(f"{number} left: {'; and '.join(said[name] for name in left)}.")
    compare(got, _on(_LOGITS.softmax(-1), k), {
        "Take the softmax first: the term is about probabilities, not about logits.": _on(_LOGITS, k)})
    return ("The labels are not needed at all. Divided by K the same eta is a weaker tolerance: with K = 5 the "
            "threshold moves from 0.80 to 0.83.")


@exercise("02.4")
def a_temperature_that_replaces_tolerance(answer) -> str:
    """A temperature at which eta = 0.9 no longer helps the students, measured with 10 fresh seeds."""
    if answer is None:
        raise NotDone
    temperature = float(positive("temperature", answer))
    at_one, there, by_temperature = gains_at(temperature)
    if there.low > 0:
        raise Wrong(f"At T = {temperature:g} tolerance still helps: {there}. What makes a strict teacher say as much?")
    if by_temperature.high < 0:
        raise Wrong(f"At T = {temperature:g} tolerance is worth {there}, but even students of strict teachers got "
                    f"worse than at T = 1: {by_temperature}. Find a T that serves both.")
    if there.high >= 0.5:
        raise Wrong(f"At T = {temperature:g} the interval {there} still has room for half a point. Go further.")
    return (f"Measured with 10 seeds that this page has not used: tolerance is worth {at_one} at T = 1 and {there} at "
            f"T = {temperature:g}, where the strict teacher's students gain {by_temperature} from T alone.")


def gains_at(temperature: float, seeds: int = 10) -> tuple[Effect, Effect, Effect]:
    """Students of 100 images: gain by eta = 0.9 at T = 1 and at `temperature`; the strict teacher's gain by T."""
    lab = Splits.open("digits", seeds, seed=1000)
    logits = ancestors(lab, lab.pool, [STRICT, tolerant(ETA)])
    students = cohort(lab, logits, lab.transfer(100),
                      [distilled(t, teacher) for t in (1.0, temperature) for teacher in (0, 1)])
    for _ in students.train(Recipe(steps=600)):
        pass
    strict, tolerated, strict_there, tolerated_there = students.accuracy().cpu().numpy()
    return interval(tolerated - strict), interval(tolerated_there - strict_there), interval(strict_there - strict)


def _number(value: float) -> Tensor:
    return torch.tensor(value).double()


def _on(scores: Tensor, k: int) -> Tensor:
    ranked = scores.sort(-1, descending=True).values
    return (ranked[:, 0] - ranked[:, 1:k].mean(-1)).mean()


def _mistaken(k: int, forced: bool = False, once: bool = False, by_k: bool = False) -> list[Tensor]:
    """What the loss is with these mistakes; two values where a mistake can be half repaired in two ways."""
    p = _LOGITS.softmax(-1)
    ranked = p[:, p.mean(0).argsort(descending=True)] if once else p.sort(-1, descending=True).values
    mine = p.gather(1, _LABELS[:, None])
    firsts, others = [mine[:, 0] if forced else ranked[:, 0]], [ranked[:, 1:k]]
    if forced and not once:     # followed by ranks 2 .. K, or by the largest of the other classes
        firsts *= 2
        others.append(p.scatter(1, _LABELS[:, None], -1.0).sort(-1, descending=True).values[:, :k - 1])
    elif once and not forced:   # one ranking for all, or only for those after the first
        firsts, others = [ranked[:, 0], p.amax(-1)], others * 2
    return [(first - rest.sum(-1) / (k - (not by_k))).mean() for first, rest in zip(firsts, others, strict=True)]
