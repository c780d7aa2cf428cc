"""What two labs of this lesson share: students of the labels beside students of another method, paired by seed."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kdutils import metrics
from kdutils.cohorts import Cohort, Splits
from kdutils.live.curves import add_answers, add_band, grow_band, show_answers
from kdutils.live.following import FollowingPanel
from kdutils.results import Effect, interval
from kdutils.training import Recipe, Snapshot

KINDS = ("hard labels", "distilled")


@dataclass(frozen=True)
class Answer:
    """What one complete run said: the paired gain at this setting of the controls."""

    gain: Effect
    x: float
    setting: tuple


class PairLab(FollowingPanel):
    """Two arms of a cohort, `hard labels` and `distilled`; a subclass makes the cohort and says what is measured.

    axis: the control that the answers are drawn over. steps: of the students. A new setting is a new run.
    """

    axis = ""

    def __init__(self, seeds: int = 10, steps: int = 400, **values):
        self.lab = Splits.open("digits", seeds)
        self.recipe = Recipe(steps=steps)
        self.answers: list[Answer] = []
        self.students: Cohort | None = None
        self.scores: np.ndarray | None = None       # of the run that the words are about
        super().__init__(**values)

    def make(self) -> Cohort:
        """The two arms at the setting `began_with`; the slow part of a start, in the run's own thread."""
        raise TypeError(f"{type(self).__name__} must define make().")

    def score(self, logits: Tensor) -> Tensor:
        """What counts, in percent: test logits (S, Q, C) -> (S,)."""
        return 100 * metrics.accuracy(logits, self.lab.data.labels[self.lab.test])

    def adjusted(self, logits: Tensor) -> Tensor:
        """Test logits (2, S, Q, C) as they are judged; as they are by default."""
        return logits

    def forget(self) -> None:
        self.answers.clear()
        self.students = self.scores = None

    # ---- figure ------------------------------------------------------------------------------------------------------

    def add_curves(self, figure, col: int, names: tuple[str, str]) -> None:
        for kind, name in zip(KINDS, names, strict=True):
            add_band(figure, f"accuracy {kind}", kind, name, col)
        figure.update_xaxes(title_text="training steps", range=[0, self.recipe.steps], col=col)

    def add_gains(self, figure, col: int) -> None:
        add_answers(figure, "distilled", "highlight", col)
        figure.add_hline(y=0, line={"color": "#009E73", "dash": "dot", "width": 1.5}, col=col)

    def draw(self, changed: frozenset[str]) -> None:
        now = self._setting()
        show_answers(self.chart, self.answers, [one for one in self.answers if one.setting == now], "x")
        ends = [end for one in self.answers for end in (one.gain.low, one.gain.high) if not math.isnan(end)]
        self.chart.layout({f"yaxis{self.gains_axis}": {"range": [min([-2, *ends]) - 1, max([2, *ends]) + 1]}})

    def _setting(self) -> tuple:
        return tuple(value for name, value in self.values.items() if name != self.axis)

    # ---- run ---------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        super().begin()
        self.chart.reset()
        self.draw(frozenset(self.values))

    def start(self) -> Iterator[Snapshot]:
        self.began_with = dict(self.asked)
        self.scores = None
        self.students = self.make()
        return self.students.train(self.recipe, 20)

    def observe(self, snapshot: Snapshot) -> None:
        logits = self.adjusted(self.students.test_logits()[0].unflatten(0, (2, -1)))
        self.logits = logits
        self.scores = torch.stack([self.score(own) for own in logits]).cpu().numpy()
        for kind, own in zip(KINDS, self.scores, strict=True):
            grow_band(self.chart, f"accuracy {kind}", snapshot.step, own)

    def finish(self) -> None:
        setting = tuple(value for name, value in self.began_with.items() if name != self.axis)
        answer = Answer(self.gain, self.began_with[self.axis], setting)
        # A former answer to the same values says the same.
        self.answers[:] = [old for old in self.answers if (old.x, old.setting) != (answer.x, setting)] + [answer]
        self.draw(frozenset(self.values))

    @property
    def gain(self) -> Effect:
        return interval(self.scores[1] - self.scores[0])

    def why_anew(self, changed: frozenset[str]) -> str:
        return "Other labels, other students."
