"""Answers that follow a control while it moves, where they are quick."""

from collections import deque
from collections.abc import Mapping

from kdutils.live.answering import AnsweringPanel
from kdutils.live.work import State

QUICK = 0.4     # seconds that an answer may take for a panel to give answers while a control moves


class FollowingPanel(AnsweringPanel):
    """A panel whose answers come while a control moves, if they are quick, by what the last ones took.

    Then the run under way ends, and the newest values are answered. Where answers take more than `QUICK` seconds,
    letting go of the control starts the run, and letting go again before its answer is there starts it anew.

    A run to an answer belongs to the values that it began with, `asked`: a subclass reads these and not `values` for
    what it trains, and calls begin of this class in its own.
    """

    def __init__(self, **values):
        self._began_with: Mapping = {}
        self._moved_for: frozenset[str] = frozenset()   # the controls that were moved for the newest answer
        self._took: dict[frozenset[str], deque[float]] = {}     # by them: what the last answers took, in seconds
        super().__init__(**values)

    def begin(self) -> None:
        """Before each run. The curves of the last one are the subclass's to clear."""
        self._began_with = self.values

    @property
    def asked(self) -> Mapping:
        """The values for what a run trains next: of a run to an answer, those that it began with."""
        return self._began_with if self.answering else self.values

    def quick(self, changed: frozenset[str]) -> bool:
        """Answers to these controls come fast enough to follow a hand: one hiccup or two in three are forgiven."""
        return changed in self._took and min(self._took[changed]) <= QUICK

    def moved(self, changed: frozenset[str]) -> None:
        busy, quick = self.runner.busy, self.quick(changed)
        # How long an answer takes is unknown at first: nothing is lost by beginning at once.
        if (quick and self.answering) if busy else (quick or changed not in self._took):
            self._moved_for = changed
            self.answer()
        else:
            super().moved(changed)

    def released(self, changed: frozenset[str]) -> None:
        self._moved_for = changed
        super().released(changed)

    def run_changed(self) -> None:
        run = self.runner
        if self.answering and run.state is State.DONE:
            self._took.setdefault(self._moved_for, deque(maxlen=3)).append(run.seconds)
        begins = run.under_way and run.at is None
        if not (begins and self.answering and self.quick(self._moved_for)):     # over before it could be read
            super().run_changed()
