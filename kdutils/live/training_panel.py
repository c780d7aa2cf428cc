"""A panel with a run: Train, Pause, Step, Stop, while the figure grows.

One thread per panel pulls snapshots out of a generator; nothing else touches what it trains. Callbacks only write down
what the reader wants (plain values, one condition variable), so a slider answers while training runs at full speed.
"""

import threading
import time
import weakref
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from kdutils.errors import ParameterError, positive
from kdutils.live.panel import Panel, _row, _sentence


class Progress(Protocol):
    """What a panel must know of a snapshot; kdutils.training.Snapshot has it."""

    step: int
    steps: int


class Position(NamedTuple):
    """Where a run stands; a snapshot itself would keep a whole population alive."""

    step: int
    steps: int


class TrainingPanel(Panel):
    """A panel whose figure grows while something trains.

    A subclass adds start, observe and finish, and reads `values` in its generator where a reader may change them while
    it runs. The run lives in one daemon thread, which calls begin, start, observe, finish and, while it lives, draw.

    state: "idle", "training", "paused", "done", "stopped" or "failed". pause, step, stop and reset return when it has
    happened, or after `patience` seconds if a step takes that long; it happens all the same.

    Full speed is as fast as it goes; otherwise `pace` steps per second, so that a reader can watch.

    Without a reader (headless) showing the panel runs it to its end first, in the calling thread.

    Interrupting the kernel does not reach a thread: Stop does.
    """

    pace = 60.0         # steps per second when not at full speed
    unit = "step"       # what a snapshot counts, in the status line
    frames = 8.0        # figures per second, at most, that the run asks for
    patience = 2.0      # seconds to wait for a step under way on pause, stop or reset
    variant = ""        # panels of one class whose variants differ live side by side on a page

    def __init__(self, *, full_speed: bool = False, **values):
        positive("pace", self.pace)
        self._news = threading.Condition()      # guards everything below
        self._state = "idle"
        self._busy = False                      # a run is under way, in a thread or in run()
        self._runner: threading.Thread | None = None        # the newest thread; it may have ended
        self._driver: int | None = None         # identifier of the thread that runs the run: the runner's, or run()'s
        self._order = "run"                     # what the reader wants of the run: run, pause, stop
        self._credit = 0                        # snapshots that may still be taken in a pause
        self._parked = False                    # the run waits in a pause, and everything is drawn
        self._job = "train"                     # what the thread does, see _take_up
        self._after: str | None = None          # the job that follows when this one has ended
        self._waiting_names: frozenset[str] = frozenset()   # values that changed and are not drawn
        self._full_speed = bool(full_speed)
        self._speed_button = None
        self._rewind()
        super().__init__(**values)
        _stop_former(self)

    def _rewind(self) -> None:
        self._at: Position | None = None
        self._resumed: tuple[float, int] | None = None      # when, and at which step, the run last began to move
        self._began = self._due = self._framed = self._told = self._hold = 0.0

    # ---- for subclasses -------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Before each run: by default the figure goes back to its start. Override it to keep the last run's curves."""
        self.chart.reset()
        self.draw(frozenset(self._values))

    def start(self) -> Iterator[Progress]:
        """A fresh generator of snapshots over the current values: kdutils.training.train(...)."""
        raise TypeError(f"{type(self).__name__} must define start().")

    def observe(self, snapshot: Progress) -> None:
        """Put a snapshot into the chart."""

    def finish(self) -> None:
        """The run is complete."""

    def forget(self) -> None:
        """Reset: drop what earlier runs left in the subclass. The figure is back at its start; draw follows."""

    # ---- from Python ----------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        return self._state

    @property
    def full_speed(self) -> bool:
        return self._full_speed

    @full_speed.setter
    def full_speed(self, wish: bool) -> None:
        with self._news:
            if self._full_speed == bool(wish):
                return
            self._full_speed = bool(wish)
            self._resumed = None        # another speed: the time left is measured anew
            self._due = time.monotonic()
            self._news.notify_all()
        if self._speed_button is not None:
            self._speed_button.value = self._full_speed

    def train(self, fast: bool = False) -> None:
        """Start afresh, or go on after a pause. While it trains, only a sentence in the status line.

        fast: a fresh run goes at full speed, whatever the toggle says.
        """
        job = "fast" if fast else "train"
        with self._news:
            if not self._busy:
                self._launch(job)
            elif self._order == "stop":
                self._after = job
            elif self._order == "pause":
                self._order, self._state, self._credit = "run", "training", 0
                self._resumed = None
                self._due = time.monotonic()
                self._say(f"Training{self._place()}.", busy=True)
            else:
                self._say("This run is training already: Stop ends it, then Train starts afresh.", busy=True)
                self._hold = time.monotonic() + 2
            self._news.notify_all()

    def pause(self) -> None:
        """Hold the run after the step under way. Train goes on."""
        with self._news:
            if self._busy and self._order == "run":
                self._order, self._state = "pause", "paused"
                self._credit, self._parked = 0, False
                self._news.notify_all()
        self._until(lambda: self._parked or not self._busy)

    def step(self) -> None:
        """Take one snapshot, then pause. Starts a run if there is none."""
        with self._news:
            if not self._busy:
                self._launch("step")
            elif self._order == "stop":
                self._after = "step"
            else:
                self._order, self._state = "pause", "paused"
                self._credit, self._parked = self._credit + 1, False
            self._news.notify_all()
        self._until(lambda: self._parked or not self._busy)

    def stop(self) -> bool:
        """End the run and keep its curves. True if it has ended, False if a long step is still under way."""
        self._debouncer.cancel()
        with self._news:
            self._after = None
            if self._busy and self._order != "stop":
                self._order = "stop"
                self._say("Stopping after the step under way.", busy=True)
                self._news.notify_all()
        return self._until(lambda: not self._busy)

    def reset(self) -> None:
        """End the run, clear the figure, and go back to the values that the panel was opened with."""
        self.stop()
        self._change(self._opened_with)
        with self._news:
            if self._busy:
                self._order, self._after = "stop", "reset"
            else:
                self._launch("reset")
        self._until(lambda: not self._busy)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the run has ended: True, or False after `timeout` seconds. A paused run does not end by itself.

        Errors: what went wrong in the run is raised here again.
        """
        with self._news:
            ended = self._news.wait_for(lambda: not self._busy, 0 if self._is_here() else timeout)
            if ended and self._runner is not None:
                self._runner.join()     # it only has to return
        if ended and self._state == "failed" and self.error is not None:
            raise self.error
        return ended

    def run(self) -> None:
        """Train from the start to the end, at full speed, in the calling thread. What goes wrong is raised.

        An interrupt ends the run; what it has until then is kept.
        """
        with self._news:
            if self._busy:
                raise ParameterError(f"{type(self).__name__} is {self._state}: stop it before running it to its end.")
            self._take_up("fast")
        try:
            self._live(report=False)
        except BaseException:       # an interrupt: the run has ended, but nobody has said so
            with self._news:
                self._busy = False
                self._news.notify_all()
            raise
        if self._state == "failed":
            raise self.error

    # ---- the run --------------------------------------------------------------------------------------------------

    def _until(self, happened) -> bool:
        """Wait, at most `patience` seconds, for what was asked; the run's own thread cannot wait for itself."""
        with self._news:
            return self._news.wait_for(happened, 0 if self._is_here() else self.patience)

    def _is_here(self) -> bool:
        """True in the thread that runs the run."""
        return self._busy and self._driver == threading.get_ident()

    def _launch(self, job: str) -> None:
        if self._runner is not None:
            self._runner.join()     # it has ended its last run and only has to return: never two threads at a time
        self._runner = threading.Thread(target=self._live, name=f"kdutils-{type(self).__name__}", daemon=True)
        self._driver = None
        self._take_up(job)
        self._runner.start()

    def _take_up(self, job: str) -> None:
        """job: "train"; "fast", at full speed; "step", pausing after one snapshot; "reset", clearing the figure."""
        self._debouncer.cancel()
        self._rewind()
        self.error = None
        self._job, self._busy, self._parked, self._after = job, True, False, None
        self._credit = int(job == "step")
        self._order = {"step": "pause", "reset": "stop"}.get(job, "run")
        self._state = {"step": "paused", "reset": "idle"}.get(job, "training")
        self._began = self._due = time.monotonic()
        if job != "reset":
            self._say("Getting ready.", busy=True)

    def _live(self, report: bool = True) -> None:
        """The thread: one job, and what was asked for while that one was being stopped."""
        self._driver = threading.get_ident()
        while True:
            if self._job == "reset":
                self._try(self._clear)
            else:
                self._run_once()
                if report and self._state == "failed" and not isinstance(self.error, ParameterError):
                    _report(self.error)
            if not self._next_job():
                return

    def _next_job(self) -> bool:
        """Draw what nobody has drawn yet; then take up the next job, or, in the same breath, be free."""
        while True:
            with self._news:
                names, self._waiting_names = self._waiting_names, frozenset()
                if not names:
                    if self._after is None:
                        self._busy = False
                        self._news.notify_all()
                        return False
                    self._take_up(self._after)
                    return True
            self._try(self._refresh, names)

    def _run_once(self) -> None:
        state, source = "stopped", iter(())
        try:
            with self._work:
                self.begin()
                source = self.start()
            if self._pull(source):
                with self._work:
                    self.finish()
                state = "done"
        except Exception as error:
            state, self.error = "failed", error
        finally:
            self._end(state, source)

    def _pull(self, source: Iterator[Progress]) -> bool:
        """Take snapshots until there are no more (True) or the reader has had enough (False)."""
        while self._turn_comes():
            snapshot = next(source, None)
            if snapshot is None:
                return True
            with self._work:
                self.observe(snapshot)
            self._note(snapshot)
            time.sleep(0)       # let callbacks have the interpreter
        return False

    def _turn_comes(self) -> bool:
        """Wait until the next snapshot may be taken, drawing what changes meanwhile; False: stop."""
        while True:
            with self._news:
                if self._order == "stop":
                    return False
                names, self._waiting_names = self._waiting_names, frozenset()
                if not names and self._order == "pause":
                    if self._credit:
                        self._credit -= 1
                        return True
                    if self._parked:
                        self._news.wait()
                        continue
                if not names and self._order == "run":
                    left = self._due - time.monotonic()
                    if left <= 0 or self._full_speed or self._job == "fast":
                        return True
                    self._news.wait(left)
                    continue
            if names:
                self._refresh(names)
            else:
                self._park()

    def _park(self) -> None:
        """A pause begins: show everything up to here."""
        self._show()
        with self._news:
            if self._order == "pause" and not self._credit:
                self._parked = True
                self._say(f"Paused{self._place()}. Train goes on, Step takes one more, Stop ends the run.")
                self._news.notify_all()

    def _note(self, snapshot: Progress) -> None:
        """A snapshot was observed: when is the next one due, is it time for a figure, for a status?"""
        now = time.monotonic()
        with self._news:
            before = self._at.step if self._at else 0
            self._at = Position(snapshot.step, snapshot.steps)
            if self._resumed is None:
                self._resumed = now, snapshot.step
            # A step that took too long is not made up for by a burst.
            self._due = max(self._due + (snapshot.step - before) / self.pace, now)
        if now - self._told >= 0.5:     # reading twice a second is fast enough for words
            self._told = self._framed = now
            self._show()
            with self._news:
                if self._order == "run" and now >= self._hold:
                    self._say(f"Training{self._place()}{self._left(now)}.", busy=True)
        elif now - self._framed >= 1 / self.frames:
            self._framed = now
            self.chart.push()

    def _end(self, state: str, source: Iterator[Progress]) -> None:
        """The last figure and the last word. Nothing may be lost here, whatever went wrong before."""
        try:
            if close := getattr(source, "close", None):
                close()
            self._show()
        except Exception as error:
            state, self.error = "failed", self.error or error
        with self._news:
            # "stop": whoever presses Train from here on gets a new run, not a sentence about this one.
            self._state, self._order = state, "stop"
            match state:
                case "done":
                    steps = f": {self._at.step} {self.unit}s" if self._at else ""
                    self._say(f"Done{steps} in {_duration(time.monotonic() - self._began)}. Train starts afresh.")
                case "stopped":
                    self._say(f"Stopped{self._place()}. Train starts afresh.")
                case "failed":
                    self._say(f"The run failed{self._place()}: {_sentence(self.error)}", "failed")

    def _clear(self) -> None:
        with self._work:
            self.chart.reset()
            self.forget()
            self._refresh(frozenset(self._values))
        self._say(self._invitation())

    def _changed(self, changed: frozenset[str]) -> None:
        with self._news:
            if self._busy and not self._is_here():
                self._waiting_names |= changed      # the run draws it, between two steps
                self._news.notify_all()
                return
        self._refresh(changed)

    # ---- words and buttons ----------------------------------------------------------------------------------------

    def _place(self) -> str:
        return f" at {self.unit} {self._at.step} of {self._at.steps}" if self._at else ""

    def _left(self, now: float) -> str:
        if self._resumed is None:       # the speed was changed since the snapshot was noted
            return ""
        since, step = self._resumed
        done = self._at.step - step
        if now - since < 0.4 or done <= 0:
            return ""
        return f", about {_duration((self._at.steps - self._at.step) * (now - since) / done)} left"

    def _invitation(self) -> str:
        return "Ready: Train starts a run."

    def _help(self) -> str:
        return "A run goes on beside the notebook. Interrupting the kernel (Ctrl+C) does not end it; Stop does."

    def _say(self, status: str, tone: str = "", busy: bool = False) -> None:
        if tone == "refused":
            self._hold = time.monotonic() + 3       # long enough to be read before progress goes on
        super()._say(status, tone, busy)

    def _rows(self) -> list:
        import ipywidgets as widgets

        self._speed_button = widgets.Checkbox(
            value=self._full_speed, description="Full speed", indent=False, layout={"width": "auto"},
            tooltip="As fast as it goes, instead of a pace that can be watched")
        self._speed_button.observe(lambda change: setattr(self, "full_speed", change["new"]), names="value")
        return [_row("kd-buttons kd-transport", [
            self._button("Train", self.train, "Start a run, or go on after a pause", "play", "primary"),
            self._button("Pause", self.pause, "Hold the run after the step under way", "pause"),
            self._button("Step", self.step, "Take one more step, then pause", "step-forward"),
            self._button("Stop", self.stop, "End the run and keep its curves. Interrupting the kernel does not end "
                         "a run; this does", "stop"),
            self._speed_button,
        ])]

    def _static_bundle(self) -> dict:
        if self._busy:      # somebody pressed Train in a cell above
            self.full_speed = True
            self.train()
            self.wait()
        elif self._state == "idle":
            self.run()
        return super()._static_bundle()


class AnsweringPanel(TrainingPanel):
    """A lab: letting go of a control when nothing trains runs to the answer at full speed.

    While a reader watches a run, controls act on it at once where they can; those that `why_anew` names start it anew.
    Letting go again before an answer is there starts that anew too: it would belong to no single setting. Nothing
    starts by itself in a pause.
    """

    def why_anew(self, changed: frozenset[str]) -> str:
        """Why these controls need another run than the one under way, in a sentence; "" if they act on it at once."""
        return ""

    def answer(self) -> None:
        """Start a run that goes to its end at full speed."""
        self.train(fast=True)

    def released(self, changed: frozenset[str]) -> None:
        if self.state == "training":
            answering, why = self._job == "fast", self.why_anew(changed)
            if answering or why:
                self.stop()
                self.train(fast=answering)
                if why:
                    self._tell(why)
        elif self.state != "paused":
            self.answer()

    def _tell(self, why: str) -> None:
        """Say it for as long as it takes to read, unless there is something else to be said by now."""
        with self._news:
            if self._busy and self._order == "run":
                self._say(f"{why} The run starts anew.", busy=True)
                self._hold = time.monotonic() + 2


# ---- one run per kind of panel ------------------------------------------------------------------------------------

_newest: dict[str, weakref.ref] = {}
_newest_lock = threading.Lock()


def _stop_former(panel: TrainingPanel) -> None:
    """Running a cell again makes a new panel: the former one of the same kind must not go on training behind it.

    Kinds are told apart by name: a class that is defined in a notebook is a new class after its cell ran again.
    """
    kind = f"{type(panel).__module__}.{type(panel).__qualname__} {panel.variant}"
    with _newest_lock:
        former = _newest.get(kind, lambda: None)()
        _newest[kind] = weakref.ref(panel)
    if former is not None:
        former.stop()


def _report(error: Exception) -> None:
    """Tell the interpreter, as if the thread had died of it: course.session counts such errors."""
    thread = threading.current_thread()
    threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, thread)))


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
