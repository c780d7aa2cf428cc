"""What a runner and those who use it share: where a run stands, what it is there for, and what it calls."""

import threading
from collections.abc import Iterator
from enum import Enum, StrEnum, auto
from typing import NamedTuple, Protocol


class State(StrEnum):
    """Where a run stands. TRAINING and PAUSED hold until it has ended, also while it is being stopped."""

    IDLE = auto()
    TRAINING = auto()
    PAUSED = auto()
    DONE = auto()
    STOPPED = auto()
    FAILED = auto()


class Job(Enum):
    """What the thread is there for."""

    TRAIN = auto()      # a run to be watched
    ANSWER = auto()     # a run to its end at full speed, whatever the speed is set to
    STEP = auto()       # a run that pauses after its first snapshot
    CLEAR = auto()      # no run: back to the start


class Progress(Protocol):
    """What a runner must know of a snapshot; kdutils.training.Snapshot has it."""

    step: int
    steps: int


class Position(NamedTuple):
    """Where a run stands, and how far from the snapshot before; a snapshot itself would keep a population alive."""

    step: int
    steps: int
    stride: int = 0


class Work(Protocol):
    """What a runner runs, and whom it tells. All but `run_changed` are called by the run's thread, one at a time."""

    pace: float                 # steps per second when not at full speed
    frames: float               # figures per second, at most
    patience: float             # seconds to wait for a step under way on pause, stop and clear
    lock: threading.RLock       # held around begin, start, observe and finish

    def begin(self) -> None: ...
    def start(self) -> Iterator[Progress]: ...
    def observe(self, snapshot: Progress) -> None: ...
    def finish(self) -> None: ...

    def clear(self) -> None:
        """Back to the start; nothing runs."""

    def refresh(self, names: frozenset[str]) -> None:
        """Values changed: draw what follows from them, and show it."""

    def show(self) -> None:
        """Show everything up to here."""

    def push(self) -> None:
        """Show the figure alone: it may be left out if there is no time."""

    def run_changed(self) -> None:
        """The run has moved on: say so. Called under the runner's lock, by whoever gave the order, too."""

    def complain(self, error: Exception) -> None:
        """`refresh` or `clear` failed outside a run."""


def report_error(error: Exception) -> None:
    """Tell the interpreter, as if the thread had died of it: course.session counts such errors."""
    thread = threading.current_thread()
    threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, thread)))
