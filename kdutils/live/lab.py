"""A lab: students learn under the controls, and every complete run leaves its answer in the figure."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from kdutils.live.curves import Answered, show_answers
from kdutils.live.training_panel import AnsweringPanel
from kdutils.live.work import State
from kdutils.training import Knobs

QUICK = 0.4     # seconds that an answer may take for a lab to give answers while a control moves


class Lab(AnsweringPanel):
    """A panel whose controls are the knobs of what trains, and which keeps the answers of complete runs.

    While a reader watches a run, controls act on it at its next steps, ten at most, and the run is `mixed`. A run to an
    answer belongs to the values that it began with: controls that move meanwhile do not touch it.

    Where answers are quick, by what the last ones took, they come while a control moves: the run under way ends, then
    the newest values are answered. Where they take more than `QUICK` seconds, letting go of the control starts the run,
    and letting go again before its answer is there starts it anew.

    A subclass gives turned, calls begin and draw of this class in its own, and `add` in finish.
    over: the control along whose axis the answers lie. static: its values that are answered, beside the one that is
    set, where nobody can move a control.
    """

    over = ""
    static: tuple = ()

    def __init__(self, **values):
        self.answers: list[Answered] = []
        self.mixed = False                              # a control moved during the newest run and acted on it
        self._began_with: Mapping = {}
        self._moved_for: frozenset[str] = frozenset()   # the controls that were moved for the newest answer
        self._took: dict[frozenset[str], deque[float]] = {}     # by them: what the last answers took, in seconds
        super().__init__(**values)

    # ---- for subclasses -------------------------------------------------------------------------------------------

    def turned(self) -> Iterable[tuple[Knobs, dict]]:
        """The knobs of the run under way, each with the values that the controls ask of it. None: nothing trains."""
        return ()

    def begin(self) -> None:
        """Before each run. The curves of the last one are the subclass's to clear."""
        self.mixed = False
        self._began_with = self.values

    @property
    def asked(self) -> Mapping:
        """The values for what a run trains next: of a run to an answer, those that it began with."""
        return self._began_with if self.answering else self.values

    def draw(self, changed: frozenset[str]) -> None:
        """Turn the knobs of a run that is watched, and draw the answers."""
        if self.state in (State.TRAINING, State.PAUSED) and not self.answering:
            for knobs, wanted in self.turned():
                # A control that moved before these knobs were made has not moved during their run.
                if any(knobs[name] != value for name, value in wanted.items()):
                    knobs.set(**wanted)
                    self.mixed = True
        self.draw_answers()

    def add(self, answer: Answered) -> None:
        """A complete run has this answer; a former one to the same values, which says the same, gives way."""
        self.answers[:] = [old for old in self.answers if old.mixed or answer.mixed or self._values_of(old)
                           != self._values_of(answer)] + [answer]
        self.draw_answers()

    def alike(self, answer: Answered) -> bool:
        """It belongs to the values that are set, apart from the control along its axis."""
        return not answer.mixed and all(getattr(answer, control.name) == self.values[control.name]
                                        for control in self.controls if control.name != self.over)

    def draw_answers(self) -> None:
        """All answers along the axis, those of other settings hollow."""
        if self.over:
            show_answers(self.chart, self.answers, [one for one in self.answers if self.alike(one)], self.over)

    def forget(self) -> None:
        self.answers.clear()
        self.mixed = False

    def _values_of(self, answer: Answered) -> list:
        return [getattr(answer, control.name) for control in self.controls]

    # ---- runs to an answer ----------------------------------------------------------------------------------------

    def sweep(self, values: Sequence = ()) -> None:
        """Run to the end for each of these values of `over`, or of `static`, and then for the one that was set."""
        mine = self.values[self.over]
        for value in [*(value for value in values or self.static if value != mine), mine]:
            self.set(**{self.over: value})
            self.run()

    def before_static(self) -> None:
        if self.state == State.IDLE and self.static:
            self.sweep()        # one point alone would say little
        super().before_static()

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
