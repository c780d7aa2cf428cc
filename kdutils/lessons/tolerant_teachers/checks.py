"""Checks of notebook 02."""

from itertools import product

import torch
from torch import Tensor

from kdutils.cohorts import Splits, cohort, distilled
from kdutils.course.checks import Case, NotDone, Wrong, answer_of, exercise, judge, teaches
from kdutils.errors import between
from kdutils.lessons.tolerant_teachers.experiment import ancestors
from kdutils.lessons.tolerant_teachers.parameters import STRICT, tolerant
from kdutils.results import Effect, interval
from kdutils.training import Recipe

ETA = 0.9


def _logits(images: int, classes: int) -> Tensor:
    """Logits of which no two images and no two classes are alike; the images disagree about who is second."""
    return (2.5 * torch.sin(2.3 * torch.arange(float(images))[:, None]
                            + 1.9 * torch.arange(float(classes)) ** 1.3)).double()


# The label is first for some of the images only.
_BATCHES = ((_logits(4, 7), torch.tensor([0, 4, 1, 6]), 4), (_logits(5, 9), torch.tensor([0, 4, 8, 2, 7]), 3))


@exercise("02.1")
def best_share(function) -> str:
    """best_share(eta, ranks): the label's probability at the free optimum of CE + eta * TSD."""
    cases = []
    for eta, k in ((1.5, 5), (0.9, 5), (0.75, 2), (0.5, 5), (0.1, 4), (0.7, 2), (1.2, 3)):
        p = (k - 1) / (eta * k)
        right, upside = min(1.0, p), k / (eta * (k - 1))
        slips = {"A probability is at most 1: below the threshold the best answer is one-hot.": p,
                 "That is the share of ranks 2 to K together; the label has the rest of it.": 1 - right,
                 "That is the share of each single secondary class; the label has what they leave.":
                     (1 - right) / (k - 1),
                 "The mean over ranks 2 to K has K - 1 terms, yours divides by K.": min(1.0, k / (eta * (k + 1))),
                 "Nearly: the derivative of the loss by p is -1/p + eta K/(K - 1). Your fraction is upside down.":
                     min(1.0, upside),
                 "Two things: your fraction is upside down, and a probability is at most 1.": upside,
                 "Your whole answer is upside down: more tolerance has to leave the label less.":
                     min(1.0, eta * k / (k - 1)),
                 "Upside down, and a probability is at most 1: more tolerance has to leave the label less.":
                     eta * k / (k - 1),
                 "You left K out: with p on the label, the mean of the others is (1 - p)/(K - 1), not 0.":
                     min(1.0, 1 / eta),
                 "max takes the larger of the two; a probability is at most 1.": max(1.0, p),
                 "That is 1 for every tolerance: above a threshold the term pays for giving some of it away.": 1.0,
                 "eta is a weight in the loss, and no share that is given away: set the derivative by p to zero.":
                     1 - eta,
                 "eta is a weight in the loss, and no share that is given away: set the derivative by p to zero, also "
                 "where 1 - eta is negative.": max(0.0, 1 - eta),
                 "The threshold is not 1 for every K: it is where your own formula reaches 1.":
                     1.0 if eta <= 1 else p,
                 "The threshold 0.8 is that of K = 5; for another K it lies elsewhere.": 1.0 if eta <= 0.8 else p,
                 "That is the threshold of eta, (K - 1)/K; the share falls with eta beyond it.": (k - 1) / k,
                 "That is the convex form, eta * CE + (1 - eta) * TSD; here CE has the weight 1.":
                     min(1.0, eta / (1 - eta) * (k - 1) / k)}
        cases.append(Case(answer_of(function, eta, k), _number(right),
                          {why: _number(value) for why, value in slips.items()}, {}, f"eta = {eta:g} and K = {k}"))
    judge(cases, "The derivative of -log p + eta (p - (1 - p)/(K - 1)) by p has to be 0; where that p is above 1, the "
                 "best answer is 1.")
    return "p* = (K - 1)/(eta K), never more than 1: with K = 5 nothing moves until eta passes 0.8."


@exercise("02.2")
def top_score_difference(function) -> str:
    """top_score_difference(logits, ranks): mean over the batch of the first probability less the mean of the next."""
    cases = []
    for logits, k in ((_BATCHES[0][0], 3), (_BATCHES[0][0], 5), (_BATCHES[1][0], 4)):
        p = logits.softmax(-1)
        ranked, raw = (z.sort(-1, descending=True).values for z in (p, logits))
        first, others = ranked[:, 0], ranked[:, 1:k]
        each = first - others.mean(-1)
        short = ranked[:, 1:k - 1]
        cases.append(Case(answer_of(function, logits, k), each.mean(), {
            "One value per image is left; the term is their mean over the batch.": each,
            "The term is the mean over the batch, yours is the sum.": each.sum(),
            "Ranks 2 to K are K - 1 classes: divide by their number, not by K.": (first - others.sum(-1) / k).mean(),
            "The sum of the first K holds the first probability too: take it away before you divide.":
                (first - ranked[:, :k].sum(-1) / (k - 1)).mean(),
            "Ranks 2 to K: their mean is wanted, you subtract their sum.": (first - others.sum(-1)).mean(),
            "You took one rank too many: position 0 is rank 1, so ranks 2 to K are the positions 1 to K - 1.":
                (first - ranked[:, 1:k + 1].mean(-1)).mean(),
            "You took one rank too few: a slice leaves its end out, so ranks 2 to K are 1:ranks.":
                (first - short.mean(-1)).mean(),
            "You took one rank too few, and divided by the number of the right ones.":
                (first - short.sum(-1) / (k - 1)).mean(),
            "The mean goes over ranks 2 to K; yours includes the first one.": (first - ranked[:, :k].mean(-1)).mean(),
            "The mean goes over ranks 2 to K; yours goes over all the others.":
                (first - ranked[:, 1:].mean(-1)).mean(),
            "That is the margin between the first two; the term looks at ranks 2 to K.": (first - ranked[:, 1]).mean(),
            "The others are missing: take the mean of ranks 2 to K away from the first.": first.mean(),
            "Take the softmax first: the term is about probabilities, not about logits.":
                (raw[:, 0] - raw[:, 1:k].mean(-1)).mean(),
            "The order is ascending: rank 1 is the largest probability.":
                (ranked.flip(-1)[:, 0] - ranked.flip(-1)[:, 1:k].mean(-1)).mean(),
            "Sort first: these are the classes by their number, not by their rank.":
                (p[:, 0] - p[:, 1:k].mean(-1)).mean(),
            "You add up the differences to each of the others; their mean is wanted.":
                (first[:, None] - others).sum(-1).mean(),
            "The sign: the first probability less the others.": -each.mean()},
            {"K - 1": k - 1, "the size of the batch": len(logits)}, f"{len(logits)} images and K = {k}"))
    judge(cases, "For each image: the first probability, less the mean of ranks 2 to K; then the mean over the batch.")
    for logits, _, k in _BATCHES:
        teaches(function, logits, k, like=lambda z, ranks: _on(z.softmax(-1), ranks))
    return "Ranked anew for every image, and divided by K - 1: between 0 (K classes alike) and 1 (one-hot)."


@exercise("02.3")
def repaired_tolerance(function) -> str:
    """A top score difference with three mistakes, repaired."""
    said = {"forced": "a_1 is the class that the network puts first; where that is not the label, it is to be held "
                      "down like any other",
            "once": "each image has its own ranking, one for the whole batch names the wrong classes",
            "by_k": "ranks 2 to K are K - 1 classes, so their sum is divided by K - 1"}
    slips: list[dict[str, Tensor]] = []
    for logits, labels, k in _BATCHES:
        told = {}
        for flags in product((True, False), repeat=3):
            left = {name: flag for name, flag in zip(said, flags, strict=True) if flag}
            number = {1: "One mistake is", 2: "Two mistakes are", 3: _ALL}.get(len(left), "")
            for form, value in enumerate(_mistaken(logits, labels, k, **left) if left else []):
                told[f"{number} left: {'; and '.join(said[name] for name in left)}.{' ' * form}"] = value
        told["Take the softmax first: the term is about probabilities, not about logits."] = _on(logits, k)
        slips.append(told)
    cases = [Case(answer_of(function, logits, labels, k), _on(logits.softmax(-1), k), told,
                  {"the size of the batch": len(logits), "K - 1": k - 1}, f"{len(logits)} images and K = {k}")
             for (logits, labels, k), told in zip(_BATCHES, slips, strict=True)]
    try:
        judge(cases, "Three things: who is first, in which order the others stand, and by what their sum is divided.")
    except Wrong as reason:
        if str(reason).startswith(_ALL):
            raise NotDone from None
        raise Wrong(str(reason).strip()) from None
    for logits, labels, k in _BATCHES:
        teaches(function, logits, labels, k, like=lambda z, _, ranks: _on(z.softmax(-1), ranks))
    return ("The labels are not needed at all. Divided by K the same eta is a weaker tolerance: with K = 5 the "
            "threshold moves from 0.80 to 0.83.")


_ALL = "All three mistakes are"


@exercise("02.4")
def a_temperature_that_replaces_tolerance(answer) -> str:
    """A temperature at which eta = 0.9 no longer helps the students, measured with 10 fresh seeds."""
    if answer is None:
        raise NotDone
    temperature = float(between("temperature", answer, 0.5, 32))
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


def _mistaken(logits: Tensor, labels: Tensor, k: int, forced: bool = False, once: bool = False,
              by_k: bool = False) -> list[Tensor]:
    """What the loss is with these mistakes; two values where a mistake can be half repaired in two ways."""
    p = logits.softmax(-1)
    ranked = p[:, p.mean(0).argsort(descending=True)] if once else p.sort(-1, descending=True).values
    mine = p.gather(1, labels[:, None])
    firsts, others = [mine[:, 0] if forced else ranked[:, 0]], [ranked[:, 1:k]]
    if forced and not once:     # followed by ranks 2 .. K, or by the largest of the other classes
        firsts *= 2
        others.append(p.scatter(1, labels[:, None], -1.0).sort(-1, descending=True).values[:, :k - 1])
    elif once and not forced:   # one ranking for all, or only for those after the first
        firsts, others = [ranked[:, 0], p.amax(-1)], others * 2
    return [(first - rest.sum(-1) / (k - (not by_k))).mean() for first, rest in zip(firsts, others, strict=True)]
