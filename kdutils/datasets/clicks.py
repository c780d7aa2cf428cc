"""A click-through log that never was: synthetic impressions of advertisements with hidden user segments.

Everything here is drawn from the equations below; no person and no advertisement is behind it. It stands in for the
click-through logs of the subclass paper (arXiv 2002.03936), whose classes, click and no click, hide who the users are.
What a log does not tell is known here: each row's segment, and the true probability of a click.

    segment        s ~ Categorical(pi),                    pi_s proportional to 1 / (1 + s)^(1/2)
    numbers        x | s ~ Normal(separation * m_s, I)     m_s in R^F, standard normal
    categories     c_k | s ~ Categorical(q_sk)             q_sk = softmax(separation * g_sk), g_sk standard normal
    reasons        r_s(x, c) = v_s . (x - separation * m_s) / sqrt(F) + sum_k w_sk[c_k] / sqrt(K) + u_s
                                                           v_s, w_sk standard normal, u_s half as wide
    click          y | s, x, c ~ Bernoulli(sigmoid(b + strength * r_s(x, c)))

A segment is a kind of user: it shows in the fields (m, g), and it has its own reasons to click (v, w: which of the
fields draw it, and which put it off). So clickers are a mixture of segments that click for different reasons, and so
are those who do not click; no segment clicks always or never. m, g, v, w and u are drawn once for each `world`; b is
set so that the expected click rate of that world is `rate`. A model that sees only the fields can at best know

    p(y = 1 | x, c) = sum_s p(s | x, c) sigmoid(b + strength * r_s(x, c)),   p(s | x, c) by Bayes' rule,

which is `probability`; its entropy, averaged, is the Bayes log-loss that no model can beat in expectation.
"""

from dataclasses import dataclass
from functools import cache

import torch
from scipy.optimize import brentq
from torch import Tensor

from kdutils import rng
from kdutils.datasets.table import Table
from kdutils.errors import at_least, between, whole

NUMBERS = ("hour", "visits", "minutes_on_page", "days_since_last_visit", "price")
CATEGORIES = {"device": 4, "weekday": 7, "advertisement": 12, "site": 16, "region": 20}
REFERENCE = 20_000  # rows over which a world's expected click rate is taken


@dataclass(frozen=True, eq=False)
class World:
    """The fixed quantities of one simulated world; float64, S segments, F numbers, sum(q) categories side by side.

    share (S,): pi; centre (S, F): separation * m; odds: K tensors (S, q_k), log q_sk; pull (S, F): strength * v /
    sqrt(F); push: K tensors (S, q_k), strength * w / sqrt(K); offset (S,): b + strength * u.
    """

    share: Tensor
    centre: Tensor
    odds: tuple[Tensor, ...]
    pull: Tensor
    push: tuple[Tensor, ...]
    offset: Tensor

    def draw(self, n: int, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Segments (n,), numbers (n, F) and categories (n, K) of n impressions."""
        segment = _choose(self.share.log().expand(n, -1), random)
        x = self.centre[segment] + torch.randn(n, self.centre.shape[1], generator=random, dtype=torch.float64)
        c = torch.stack([_choose(odds[segment], random) for odds in self.odds], 1)
        return segment, x, c

    def logits(self, x: Tensor, c: Tensor) -> Tensor:
        """(n, S): the log-odds of a click, if the user were of each segment."""
        drawn = x @ self.pull.T - (self.centre * self.pull).sum(1)
        return self.offset + drawn + sum(push.T[c[:, k]] for k, push in enumerate(self.push))

    def posterior(self, x: Tensor, c: Tensor) -> Tensor:
        """(n, S): the probability of each segment, given all fields, by Bayes' rule."""
        distance = torch.cdist(x, self.centre, compute_mode="donot_use_mm_for_euclid_dist").square()
        log_joint = self.share.log() - distance / 2 + sum(odds.T[c[:, k]] for k, odds in enumerate(self.odds))
        return log_joint.softmax(1)

    def probability(self, x: Tensor, c: Tensor) -> Tensor:
        """(n,): the probability of a click, given all fields but not the segment."""
        return (self.posterior(x, c) * self.logits(x, c).sigmoid()).sum(1)


def clicks(seed: int = 0, n: int = 20_000, segments: int = 6, rate: float = 0.1, separation: float = 1.0,
           strength: float = 1.0, world: int = 0) -> Table:
    """n impressions: labels 0 (no click) and 1 (click), the segment in `hidden`, P(click | fields) in `probability`.

    seed: of this sample. segments: 1 to 50 kinds of user. rate: expected click rate, 0 < rate < 1. separation >= 0: how
    clearly a segment shows in the fields, 0 not at all. strength >= 0: how much the fields decide, 0 nothing.
    world: the seed of the world; samples of one world differ by `seed` only and can serve as training and test data.
    There is no official test set: `split` draws one for each seed.

    The defaults are meant to look like a click-through log and were not chosen by how any method does on them: one
    impression in ten is clicked, and the true probability tells clicks from others with an AUC of about 0.80, which is
    what good models reach on real logs (a constant has a log-loss of 0.32 nats, the Bayes rule of 0.27).
    """
    whole("n", n, 1)
    made = the_world(whole("world", world, 0), whole("segments", segments, 1, 50),
                     between("click rate", rate, 0.001, 0.999), at_least("separation", separation, 0),
                     at_least("strength", strength, 0))
    random = rng.generator(seed, "clicks")
    segment, x, c = made.draw(n, random)
    clicked = made.logits(x, c).gather(1, segment[:, None])[:, 0].sigmoid() > torch.rand(
        n, generator=random, dtype=torch.float64)
    return Table("clicks", x.float(), c, tuple(CATEGORIES.values()), clicked.long(), ("no click", "click"),
                 fields=(*NUMBERS, *CATEGORIES), hidden=segment,
                 hidden_classes=tuple(f"segment {index}" for index in range(segments)),
                 probability=made.probability(x, c))


@cache
def the_world(world: int, segments: int, rate: float, separation: float, strength: float) -> World:
    """The world of these values; its intercept makes the expected click rate `rate` over a reference sample."""
    random = rng.generator(world, "world of clicks")

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    share = (1 + torch.arange(segments, dtype=torch.float64)).rsqrt()
    free = World(
        share=share / share.sum(), centre=separation * normal(segments, len(NUMBERS)),
        odds=tuple((separation * normal(segments, size)).log_softmax(1) for size in CATEGORIES.values()),
        pull=strength * normal(segments, len(NUMBERS)) / len(NUMBERS) ** 0.5,
        push=tuple(strength * normal(segments, size) / len(CATEGORIES) ** 0.5 for size in CATEGORIES.values()),
        offset=strength * normal(segments) / 2)
    segment, x, c = free.draw(REFERENCE, random)
    logits = free.logits(x, c).gather(1, segment[:, None])
    b = brentq(lambda shift: float((logits + shift).sigmoid().mean()) - rate, -100, 100)
    return World(free.share, free.centre, free.odds, free.pull, free.push, free.offset + b)


def bayes_log_loss(data: Table) -> float:
    """The log-loss in nats, averaged over the rows, of a model that knows the true probabilities of `clicks`."""
    p = data.probability
    return float(-(p.xlogy(p) + (1 - p).xlogy(1 - p)).mean())


def _choose(log_odds: Tensor, random: torch.Generator) -> Tensor:
    """One category for each row of (n, q) log-probabilities, by inverting the cumulative distribution."""
    edges = log_odds.softmax(1).cumsum(1)
    drawn = torch.rand(len(log_odds), 1, generator=random, dtype=torch.float64)
    return (drawn > edges[:, :-1]).sum(1)
