"""A panel that runs to the answer when its reader lets go of a control."""

from kdutils.live.training_panel import TrainingPanel


class AnsweringPanel(TrainingPanel):
    """A lab: letting go of a control when nothing trains runs to the answer at full speed.

    While a reader watches a run, controls act on it where they can; those that `why_anew` names start it anew. Letting
    go again before an answer is there starts that anew too: it would belong to no single setting. Nothing starts by
    itself in a pause.
    """

    def __init__(self, **values):
        self._anew_because = ""     # why the run starts anew, until it is said
        super().__init__(**values)

    def why_anew(self, changed: frozenset[str]) -> str:
        """Why these controls need another run than the one under way, in a sentence; "" if they act on that one."""
        return ""

    def answer(self) -> None:
        """Start a run that goes to its end at full speed."""
        self.train(fast=True)

    def released(self, changed: frozenset[str]) -> None:
        if self.state == "training":
            answering, why = self.answering, self.why_anew(changed)
            if answering or why:
                self._anew_because = "" if answering else why
                self.stop()
                self.train(fast=answering)
        elif self.state != "paused":
            self.answer()

    def run_changed(self) -> None:
        if self._anew_because and self.runner.under_way and self.runner.at is None:
            self.say(f"{self._anew_because} The run starts anew.", busy=True, hold=2)
            self._anew_because = ""
        else:
            super().run_changed()
