"""A panel with a run: Train, Pause, Step, Stop, while the figure grows. The run itself is a Runner's."""

import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Protocol

from kdutils.errors import positive
from kdutils.headless import headless
from kdutils.live import recorded
from kdutils.live.boxes import row_of
from kdutils.live.lifetime import stop_former
from kdutils.live.panel import Panel, sentence
from kdutils.live.runner import Runner
from kdutils.live.work import Job, Progress, State


class Question(Protocol):
    """What a panel must know of a prediction; kdutils.course.predict.Prediction has it."""

    choice: str | None      # None: not predicted yet

    def listen(self, listener: Callable[[], None]) -> None: ...


class TrainingPanel(Panel):
    """A panel whose figure grows while something trains.

    A subclass adds start, observe and finish, and reads `values` in its generator where a reader may change them while
    it runs. The run lives in one daemon thread, which calls begin, start, observe, finish and, while it lives, draw.

    state: "idle", "training", "paused", "done", "stopped" or "failed". pause, step, stop and reset return when it has
    happened, or after `patience` seconds if a step takes that long; it happens all the same.

    Full speed is as fast as it goes; otherwise `pace` steps per second, so that a reader can watch.

    Until its reader runs it, a panel on a page shows the answer that was recorded for it, pale (kdutils.live.recorded).
    question: what a page asks its reader above the panel, where the recorded answer would tell; then it is not shown
    before there is a prediction.

    Without a reader (headless) showing the panel runs it to its end first, in the calling thread.

    Interrupting the kernel does not reach a thread: Stop does.
    """

    pace = 60.0         # steps per second when not at full speed
    unit = "step"       # what a snapshot counts, in the status line
    frames = 8.0        # figures per second, at most, that the run asks for
    patience = 2.0      # seconds to wait for a step under way on pause, stop or reset
    first_step = 2      # snapshots that the first press of Step takes: the start, and one that has moved
    openings = {}       # {variant: arguments} with which pages open it and its answers are recorded; {}: none is
    variant = ""        # panels of one class whose variants differ live side by side on a page
    draws_at_once = False   # values are drawn by whoever changes them, also during a step: draw touches nothing of it

    def __init__(self, *, full_speed: bool = False, question: Question | None = None, **values):
        positive("pace", self.pace)
        self.question = question
        self.runner = Runner(self, type(self).__name__, bool(full_speed))
        self.recorded: recorded.RecordedAnswer | None = None       # what the figure shows until the first run
        self._speed_button = None
        self._buttons: dict = {}        # of the transport, by their words, once there is a page
        self._off: frozenset[str] = frozenset()     # those that wait for their turn
        self._hold = 0.0        # until when a sentence stays before progress goes on
        super().__init__(**values)
        stop_former(self)
        if question is not None:
            # The question outlives the panel, and must not keep it.
            predicted = weakref.WeakMethod(self._predicted)
            question.listen(lambda: (told := predicted()) and told())

    # ---- for subclasses -------------------------------------------------------------------------------------------

    @property
    def n_seeds(self) -> int:
        """How many networks of each kind learn side by side."""
        return len(self.lab.seeds)

    def begin(self) -> None:
        """Before each run: by default the figure goes back to its start. Override it to keep the last run's curves."""
        self.chart.reset()
        self.draw(frozenset(self.values))

    def start(self) -> Iterator[Progress]:
        """A fresh generator of snapshots over the current values: kdutils.training.train(...)."""
        raise TypeError(f"{type(self).__name__} must define start().")

    def observe(self, snapshot: Progress) -> None:
        """Put a snapshot into the chart."""

    def finish(self) -> None:
        """The run is complete."""

    @property
    def may_tell(self) -> bool:
        """What the page asks above the panel is predicted, or nobody is there to predict it."""
        return self.question is None or self.question.choice is not None or headless()

    def settings(self) -> Mapping:
        """What its answers hang on beside its controls, such as {"m": 2.0}: a recording of others is not shown."""
        return {}

    def forget(self) -> None:
        """Reset: drop what earlier runs left in the subclass. The figure is back at its start; draw follows."""

    def position(self) -> str:
        """Where the run stands, in words that follow "Training" or "Paused"; "" before its first snapshot."""
        at = self.runner.at
        return f" at {self.unit} {at.step} of {at.steps}" if at else ""

    def before_static(self) -> None:
        """Run to the end, unless somebody has run it; a run under way ends first."""
        if self.runner.busy:      # somebody pressed Train in a cell above
            self.full_speed = True
            if not self.answering:
                self.train()
            self.wait()
        elif self.state == "idle":
            self.run()

    def before_preset(self) -> None:
        """Run to the end, unless the values only choose what of the last run is drawn."""
        if not self.draws_at_once:
            self.run()

    # ---- from Python ----------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        return self.runner.state

    @property
    def answering(self) -> bool:
        """The run goes straight to its end, at full speed: nobody watches it, and controls do not act on it."""
        return self.runner.answering

    @property
    def full_speed(self) -> bool:
        return self.runner.full_speed

    @full_speed.setter
    def full_speed(self, wish: bool) -> None:
        if self.full_speed != bool(wish):
            self.runner.full_speed = bool(wish)
            if self._speed_button is not None:
                self._speed_button.value = self.full_speed

    def train(self, fast: bool = False) -> None:
        """Start afresh, or go on after a pause. While it trains, only a sentence in the status line.

        fast: a fresh run goes at full speed, whatever the toggle says.
        """
        self.cancel_release()
        self._give_way()
        if not self.runner.train(Job.ANSWER if fast else Job.TRAIN):
            self.say("This run is training already: Stop ends it, then Train starts afresh.", busy=True, hold=2)

    def pause(self) -> None:
        """Hold the run after the step under way. Train goes on."""
        self.runner.pause()

    def step(self, first: int = 1) -> None:
        """Take one snapshot, then pause. Starts a run if there is none, with its `first` snapshots."""
        self._give_way()
        self.runner.step(first)

    def stop(self) -> bool:
        """End the run and keep its curves. True if it has ended, False if a long step is still under way."""
        self.cancel_release()
        return self.runner.stop()

    def reset(self) -> None:
        """End the run, clear the figure, and go back to the values that the panel was opened with."""
        self.stop()
        self.change(self.opened_with)
        self.runner.clear()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the run has ended: True, or False after `timeout` seconds. A paused run does not end by itself.

        Errors: what went wrong in the run is raised here again.
        """
        return self.runner.wait(timeout)

    def run(self) -> None:
        """Train from the start to the end, at full speed, in the calling thread. What goes wrong is raised.

        An interrupt ends the run; what it has until then is kept.
        """
        self.cancel_release()
        self._give_way()
        self.runner.run()

    def close(self) -> None:
        """End the run, then leave the page."""
        self.stop()
        super().close()

    # ---- what the runner calls ------------------------------------------------------------------------------------

    def clear(self) -> None:
        """The figure of the start."""
        with self.lock:
            self.chart.reset()
            self.forget()
            self.recorded = None if self._widget is None else self._recording()
            self.refresh(frozenset(self.values))
        self.say(self.invitation())

    def push(self) -> None:
        """Draw the figure soon."""
        self.chart.push()

    def run_changed(self) -> None:
        """Put into words where the run stands."""
        run, where = self.runner, self.position()
        self.error = run.error
        self._mark_buttons()
        match run.state:
            case State.DONE:
                steps = f": {run.at.step} {self.unit}s" if run.at else ""
                self.say(f"Done{steps} in {_duration(run.seconds)}. Train starts afresh.")
            case State.STOPPED:
                self.say(f"Stopped{where}. Train starts afresh.")
            case State.FAILED:
                self.say(f"The run failed{where}: {sentence(self.error)}", "failed")
            case _ if not run.under_way:
                self.say("Stopping after the step under way.", busy=True)
            case State.PAUSED if run.parked:
                more = run.at.stride if run.at and run.at.stride > 1 else "one"
                self.say(f"Paused{where}. Train goes on, Step takes {more} more, Stop ends the run.")
            case _ if run.at is None:
                self._hold = 0.0
                self.say("Getting ready.", busy=True)
            case State.TRAINING if time.monotonic() >= self._hold:
                left = run.left
                self.say(f"Training{where}{'' if left is None else f', about {_duration(left)} left'}.", busy=True)

    # ---- what a panel asks ----------------------------------------------------------------------------------------

    def values_changed(self, changed: frozenset[str]) -> None:
        if self.draws_at_once or not self.runner.changed(changed):
            self.refresh(changed)

    def refresh(self, changed: frozenset[str]) -> None:
        with self.lock, self._moment.of(self._values):
            self.draw(changed)
            if self.recorded is not None:
                self.recorded.put(self.chart)
            self.show()

    def words(self) -> str:
        if self.recorded is None:
            return self.reading()
        return f"Pale: {self.recorded.label}. {self.recorded.reading}"

    def invitation(self) -> str:
        if self.recorded is not None:
            return "Ready: Train starts your run; the pale one is recorded."
        if not self.may_tell and recorded.load(self) is not None:
            return "Ready: answer the question above, and a recorded run appears; or Train starts yours."
        return "Ready: Train starts a run."

    def hint(self) -> str:
        return "A run goes on beside the notebook. Interrupting the kernel (Ctrl+C) does not end it; Stop does."

    def say(self, status: str, tone: str = "", busy: bool = False, hold: float = 0.0) -> None:
        """hold: seconds for which progress does not take the sentence's place, so that it can be read."""
        if hold or tone == "refused":
            self._hold = time.monotonic() + (hold or 3)
        super().say(status, tone, busy)

    def toolbar(self) -> list:
        import ipywidgets as widgets

        self._speed_button = widgets.Checkbox(
            value=self.full_speed, description="Full speed", indent=False, layout={"width": "auto"},
            tooltip="As fast as it goes, instead of a pace that can be watched")
        buttons = (("Train", self.train, "Start a run, or go on after a pause", "play", "primary"),
                   ("Pause", self.pause, "Hold the run after the step under way", "pause"),
                   ("Step", partial(self.step, self.first_step), "On to the next measurement, then pause",
                    "step-forward"),
                   ("Stop", self.stop, "End the run and keep its curves. Interrupting the kernel does not end a run; "
                    "this does", "stop"))
        self._buttons = {words: self.button(words, *more) for words, *more in buttons}
        self._off = frozenset()
        self._mark_buttons()
        self._speed_button.observe(lambda change: setattr(self, "full_speed", change["new"]), names="value")
        return [row_of("kd-buttons kd-transport", [*self._buttons.values(), self._speed_button])]

    def _build_widget(self):
        if self.state == State.IDLE:
            self._show_recording()
        return super()._build_widget()

    def _recording(self) -> recorded.RecordedAnswer | None:
        return recorded.load(self) if self.may_tell else None

    def _show_recording(self) -> None:
        self.recorded = self._recording()
        self.refresh(frozenset(self.values))
        self.say(self.invitation())

    def _predicted(self) -> None:
        """The reader answered the question above: the recording may be seen."""
        if self._widget is not None and self.state == State.IDLE and not self.runner.busy:
            self._show_recording()

    def _give_way(self) -> None:
        """The reader's own run begins: the recorded answer goes."""
        with self.lock:
            if self.recorded is not None:
                self.recorded = None
                self.chart.reset()
                self.draw(frozenset(self.values))

    def _mark_buttons(self) -> None:
        """Buttons that have nothing to do now look like it; pressed, they still say why."""
        run = self.runner
        if run.under_way and self.answering and run.state is State.TRAINING:
            return      # over before it could be read
        match run.state:
            case State.TRAINING if run.under_way:
                off = frozenset({"Train"})
            case State.PAUSED if run.under_way:
                off = frozenset({"Pause"})
            case _:
                off = frozenset({"Pause", "Stop"})
        for words in off ^ self._off:
            if words in self._buttons:
                (self._buttons[words].add_class if words in off else self._buttons[words].remove_class)("kd-off")
        self._off = off


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
