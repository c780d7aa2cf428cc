"""Noticing that somebody has let go."""

import threading
import time
from collections.abc import Callable


class Debouncer:
    """Calls `action(names)` once, `delay` seconds after the last `touch`, in a thread that then ends."""

    def __init__(self, delay: float, action: Callable[[frozenset[str]], None]):
        self._delay, self._action = delay, action
        self._changed = threading.Condition()
        self._names: frozenset[str] = frozenset()
        self._due = 0.0
        self._thread: threading.Thread | None = None

    def touch(self, names: frozenset[str]) -> None:
        with self._changed:
            self._names |= names
            self._due = time.monotonic() + self._delay
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="kdutils-released", daemon=True)
                self._thread.start()

    def cancel(self) -> None:
        with self._changed:
            self._names = frozenset()
            self._changed.notify_all()

    def _run(self) -> None:
        while names := self._next():
            self._action(names)

    def _next(self) -> frozenset[str]:
        """Wait until it is quiet; no names: cancelled, or nothing came while the action ran."""
        with self._changed:
            while self._names and (left := self._due - time.monotonic()) > 0:
                self._changed.wait(left)
            names, self._names = self._names, frozenset()
            if not names:
                self._thread = None
            return names
