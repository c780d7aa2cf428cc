"""A lab: students learn under the controls, and every complete run leaves its answer in the figure."""

from collections.abc import Iterable, Sequence

from kdutils.live.curves import Answered, show_answers
from kdutils.live.following import FollowingPanel
from kdutils.live.work import State
from kdutils.training import Knobs


class Lab(FollowingPanel):
    """A panel whose controls are the knobs of what trains, and which keeps the answers of complete runs.

    While a reader watches a run, controls act on it at its next steps, ten at most, and the run is `mixed`. A run to an
    answer belongs to the values that it began with: controls that move meanwhile do not touch it.

    A subclass gives turned, calls begin and draw of this class in its own, and `add` in finish.
    over: the control along whose axis the answers lie. static: its values that are answered, beside the one that is
    set, where nobody can move a control.
    """

    over = ""
    static: tuple = ()

    def __init__(self, **values):
        self.answers: list[Answered] = []
        self.mixed = False                              # a control moved during the newest run and acted on it
        super().__init__(**values)

    # ---- for subclasses -------------------------------------------------------------------------------------------

    def turned(self) -> Iterable[tuple[Knobs, dict]]:
        """The knobs of the run under way, each with the values that the controls ask of it. None: nothing trains."""
        return ()

    def begin(self) -> None:
        """Before each run. The curves of the last one are the subclass's to clear."""
        super().begin()
        self.mixed = False

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
