"""A run that counts, and a runner around it."""

import threading
import time

from tiny_panels import Snapshot

from kdutils.live.runner import Runner


class Counting:
    """A work that counts to `total` and writes down what it is asked."""

    pace, frames, patience = 60.0, 8.0, 30.0
    total, nap, heeds = 50, 0.0, 0.0

    def __init__(self, **changes):
        self.lock = threading.RLock()
        self.seen: list[int] = []                       # snapshots of the newest run
        self.drawn: list[frozenset[str]] = []           # names
        self.news: list[tuple] = []                     # (state, step, moment)
        self.shown: list[int] = []                      # how many snapshots there were
        self.pushed: list[int] = []
        self.begun = self.finished = self.closed = self.cleared = 0
        self.complaints: list[Exception] = []
        for name, value in changes.items():
            setattr(self, name, value)
        self.runner = Runner(self, "Counting")

    def begin(self):
        self.begun += 1
        self.seen.clear()

    def start(self):
        try:
            for step in range(self.total + 1):
                time.sleep(self.nap)
                yield Snapshot(step, self.total)
        finally:
            self.closed += 1

    def observe(self, snapshot):
        self.seen.append(snapshot.step)

    def finish(self):
        self.finished += 1

    def clear(self):
        self.cleared += 1
        self.seen.clear()

    def refresh(self, names):
        self.drawn.append(names)

    def show(self):
        self.shown.append(len(self.seen))

    def push(self):
        self.pushed.append(len(self.seen))

    def run_changed(self):
        at = self.runner.at
        self.news.append((str(self.runner.state), at.step if at else None, time.monotonic()))

    def complain(self, error):
        self.complaints.append(error)


def made(**changes) -> tuple[Counting, Runner]:
    """A work that goes at full speed, and its runner."""
    work = Counting(**changes)
    work.runner.full_speed = True
    return work, work.runner
