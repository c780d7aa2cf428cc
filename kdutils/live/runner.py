"""A run in a thread of its own: watched, paused, taken step by step, stopped, started afresh.

One thread pulls snapshots out of a generator; nothing else touches what it trains. Whoever gives an order only writes
down what is wanted (plain values, one condition variable), so a slider answers while training goes at full speed. It
knows no figure and no widget: it calls back.
"""

import threading
import time
from collections.abc import Callable, Iterator

from kdutils.errors import ParameterError
from kdutils.live.work import Job, Position, Progress, State, Work, report_error

CALM = 0.3      # seconds for which a run to the answer draws nothing: most are over by then
WORDS = 0.5     # seconds from one sentence about a run to the next: reading twice a second is fast enough


class Runner:
    """Runs a Work, one run at a time; orders come from any thread.

    state, at, error, seconds, busy, parked: for others to read, not to write. pause, step, stop and clear return when
    it has happened, or after `patience` seconds if a step takes that long; it happens all the same.
    """

    def __init__(self, work: Work, name: str, full_speed: bool = False):
        self.state = State.IDLE
        self.at: Position | None = None
        self.error: Exception | None = None     # what ended the run
        self.seconds = 0.0                      # from the order to the end of the newest run that ended
        self._work, self._name = work, name
        self.busy = False                       # a run is under way, in the thread or in run(), or being stopped
        self.parked = False                     # it waits in a pause, and everything is drawn
        self._news = threading.Condition()      # guards everything here
        self._stopping = False                  # it ends after the step under way
        self._job = Job.TRAIN
        self._after: Job | None = None          # what follows when this job has ended
        self._credit = 0                        # snapshots that may still be taken in a pause
        self._names: frozenset[str] = frozenset()           # values that changed and are not drawn
        self._full_speed = full_speed
        self._thread: threading.Thread | None = None        # the newest one; it may have ended
        self._driver: int | None = None         # identifier of the thread that runs the run: ours, or run()'s
        self._rewind()

    def _rewind(self) -> None:
        self.at, self.error = None, None
        self._resumed: tuple[float, int] | None = None      # when, and at which step, the run last began to move
        self._began = self._due = time.monotonic()
        self._framed = self._said = 0.0                     # when the figure was last shown, and a sentence last said

    @property
    def answering(self) -> bool:
        """The newest run goes, or went, straight to its end. Whoever pauses or steps watches it from there on."""
        return self._job is Job.ANSWER

    @property
    def under_way(self) -> bool:
        """A run is training or paused, and nobody has asked it to stop."""
        return self.busy and not self._stopping

    @property
    def left(self) -> float | None:
        """Seconds until the end of the run, by what it did since it last began to move; None if that is too little."""
        with self._news:
            if self._resumed is None or self.at is None:
                return None
            since, step = self._resumed
            passed, done = time.monotonic() - since, self.at.step - step
            return (self.at.steps - self.at.step) * passed / done if passed >= 0.4 and done > 0 else None

    # ---- orders ---------------------------------------------------------------------------------------------------

    @property
    def full_speed(self) -> bool:
        """As fast as it goes, instead of `pace` steps per second."""
        return self._full_speed

    @full_speed.setter
    def full_speed(self, wish: bool) -> None:
        with self._news:
            self._full_speed = wish
            self._resumed = None        # another speed: the time left is measured anew
            self._due = time.monotonic()
            self._news.notify_all()

    def train(self, job: Job = Job.TRAIN) -> bool:
        """Start afresh, after a run to the answer; or go on after a pause. False: a watched run goes on already."""
        with self._news:
            if not self.busy:
                self._launch(job)
            elif self._stopping or (self.state is State.TRAINING and self.answering):
                self._after = job
            elif self.state is State.PAUSED:
                self.state, self._credit, self.parked = State.TRAINING, 0, False
                self._resumed = None
                self._due = time.monotonic()
                self._work.run_changed()
            else:
                return False
            self._news.notify_all()
            return True

    def pause(self) -> None:
        """Hold the run after the step under way."""
        with self._news:
            if self.under_way and self.state is State.TRAINING:
                self._hold(credit=0)
        self._until_parked()

    def step(self, first: int = 1) -> None:
        """Take one snapshot, then pause. Starts a run if there is none, with its `first` snapshots."""
        with self._news:
            if not self.busy:
                self._launch(Job.STEP)
                self._credit = first
            elif self._stopping:
                self._after = Job.STEP
            else:
                self._hold(self._credit + 1)
        self._until_parked()

    def _hold(self, credit: int) -> None:
        self.state, self._job, self._after = State.PAUSED, Job.TRAIN, None
        self._credit, self.parked = credit, False
        self._news.notify_all()

    def stop(self) -> bool:
        """End the run. True if it has ended, False if a long step is still under way."""
        with self._news:
            self._after = None
            if self.under_way:
                self._stopping = True
                self._work.run_changed()
                self._news.notify_all()
        return self._until(lambda: not self.busy)

    def clear(self) -> None:
        """Go back to the start, after the run under way if there is one."""
        with self._news:
            if self.busy:
                self._stopping, self._after = True, Job.CLEAR
                self._news.notify_all()
            else:
                self._launch(Job.CLEAR)
        self._until(lambda: not self.busy)

    def changed(self, names: frozenset[str]) -> bool:
        """Values changed: True if the run draws them, between two steps; False if the caller has to."""
        with self._news:
            if self.busy and not self._is_here():
                self._names |= names
                self._news.notify_all()
                return True
            return False

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the run has ended: True, or False after `timeout` seconds. A paused run does not end by itself.

        Errors: what went wrong in the run is raised here again.
        """
        with self._news:
            ended = self._news.wait_for(lambda: not self.busy, 0 if self._is_here() else timeout)
            if ended and self._thread is not None:
                self._thread.join()     # it only has to return
        if ended and self.state is State.FAILED:
            raise self.error
        return ended

    def run(self) -> None:
        """Run to the end, at full speed, in the calling thread. What goes wrong is raised.

        An interrupt ends the run; what it has until then is kept.
        """
        with self._news:
            if self.busy:
                raise ParameterError(f"{self._name} is {self.state}: stop it before running it to its end.")
            self._take_up(Job.ANSWER)
        try:
            self._live(report=False)
        except BaseException:       # an interrupt: the run has ended, but nobody has said so
            with self._news:
                self.busy = False
                self._news.notify_all()
            raise
        if self.state is State.FAILED:
            raise self.error

    # ---- the thread -----------------------------------------------------------------------------------------------

    def _until(self, happened: Callable[[], bool]) -> bool:
        """Wait, at most `patience` seconds, for what was asked; the run's own thread cannot wait for itself."""
        with self._news:
            return self._news.wait_for(happened, 0 if self._is_here() else self._work.patience)

    def _until_parked(self) -> None:
        self._until(lambda: self.parked or not self.busy)

    def _is_here(self) -> bool:
        """True in the thread that runs the run."""
        return self.busy and self._driver == threading.get_ident()

    def _launch(self, job: Job) -> None:
        if self._thread is not None:
            self._thread.join()     # it has ended its last run and only has to return: never two threads at a time
        self._thread = threading.Thread(target=self._live, name=f"kdutils-{self._name}", daemon=True)
        self._driver = None
        self._take_up(job)
        self._thread.start()

    def _take_up(self, job: Job) -> None:
        self._rewind()
        self._job, self._after = job, None
        self.busy, self._stopping, self.parked = True, job is Job.CLEAR, False
        self._credit = int(job is Job.STEP)
        self.state = {Job.STEP: State.PAUSED, Job.CLEAR: State.IDLE}.get(job, State.TRAINING)
        if job is Job.ANSWER:
            self._framed = self._began + CALM - 1 / self._work.frames
            self._said = self._began + CALM - WORDS
        if job is not Job.CLEAR:
            self._work.run_changed()

    def _live(self, report: bool = True) -> None:
        """One job, and what was asked for while that one went on."""
        self._driver = threading.get_ident()
        while True:
            if self._job is Job.CLEAR:
                self._guarded(self._work.clear)
            else:
                self._run_once()
                if report and self.state is State.FAILED and not isinstance(self.error, ParameterError):
                    report_error(self.error)
            if not self._next_job():
                return

    def _next_job(self) -> bool:
        """Draw what nobody has drawn yet; then take up the next job or, under the same lock, be free."""
        while True:
            with self._news:
                names, self._names = self._names, frozenset()
                if not names:
                    if self._after is None:
                        self.busy = False
                        self._news.notify_all()
                        return False
                    self._take_up(self._after)
                    return True
            self._guarded(self._work.refresh, names)

    def _guarded(self, action: Callable, *arguments) -> None:
        try:
            action(*arguments)
        except Exception as error:
            self._work.complain(error)

    def _run_once(self) -> None:
        state, source = State.STOPPED, iter(())
        try:
            with self._work.lock:
                self._work.begin()
                source = self._work.start()
            if self._pull(source):
                with self._work.lock:
                    self._work.finish()
                state = State.DONE
        except Exception as error:
            state, self.error = State.FAILED, error
        finally:
            self._end(state, source)

    def _pull(self, source: Iterator[Progress]) -> bool:
        """Take snapshots until there are no more (True) or the reader has had enough (False)."""
        while self._turn_comes():
            snapshot = next(source, None)
            if snapshot is None:
                return True
            with self._work.lock:
                self._work.observe(snapshot)
            self._note(snapshot)
            time.sleep(0)       # let callbacks have the interpreter
        return False

    def _turn_comes(self) -> bool:
        """Wait until the next snapshot may be taken, drawing what changes meanwhile; False: stop."""
        while True:
            with self._news:
                if self._stopping:
                    return False
                names = self._names
                if self.answering and time.monotonic() < self._began + CALM:
                    names = frozenset()     # they are drawn with the answer
                self._names -= names
                if not names and self.state is State.PAUSED:
                    if self._credit:
                        self._credit -= 1
                        return True
                    if self.parked:
                        self._news.wait()
                        continue
                if not names and self.state is State.TRAINING:
                    left = self._due - time.monotonic()
                    if left <= 0 or self._full_speed or self.answering:
                        return True
                    self._news.wait(left)
                    continue
            if names:
                self._work.refresh(names)
            else:
                self._park()

    def _park(self) -> None:
        """A pause begins: show everything up to here."""
        self._work.show()
        with self._news:
            if self.under_way and self.state is State.PAUSED and not self._credit:
                self.parked = True
                self._work.run_changed()
                self._news.notify_all()

    def _note(self, snapshot: Progress) -> None:
        """A snapshot was observed: when is the next one due, is it time for a figure, for a sentence?"""
        now = time.monotonic()
        with self._news:
            before = self.at.step if self.at else 0
            self.at = Position(snapshot.step, snapshot.steps, snapshot.step - before)
            if self._resumed is None:
                self._resumed = now, snapshot.step
            # A step that took too long is not made up for by a burst.
            self._due = max(self._due + (snapshot.step - before) / self._work.pace, now)
        if now - self._said >= WORDS:
            self._said = self._framed = now
            self._work.show()
            with self._news:
                if self.under_way and self.state is State.TRAINING:
                    self._work.run_changed()
        elif now - self._framed >= 1 / self._work.frames:
            self._framed = now
            self._work.push()

    def _end(self, state: State, source: Iterator[Progress]) -> None:
        """The last figure and the last word. Nothing may be lost here, whatever went wrong before."""
        try:
            getattr(source, "close", lambda: None)()
            self._work.show()
        except Exception as error:
            state, self.error = State.FAILED, self.error or error
        with self._news:
            # Stopping: whoever presses Train from here on gets a new run, not a sentence about this one.
            self.state, self._stopping = state, True
            self.seconds = time.monotonic() - self._began
            self._work.run_changed()
