"""One axis of a trace: numbers that grow, and how many of them a browser has."""

import numpy as np


class Column:
    """A growing row of float64 numbers that knows how many of them the browser has."""

    def __init__(self, values=()):
        self._room = np.empty(0)
        self._length = 0
        self.replace(values)

    def __len__(self) -> int:
        return self._length

    @property
    def values(self) -> np.ndarray:
        """The numbers, as a view: copy it before the lock is let go."""
        return self._room[:self._length]

    def replace(self, values) -> None:
        self._length = 0
        self.extend(values)
        self.known: int | None = None     # None: whatever the browser has is out of date

    def extend(self, values) -> None:
        length = self._length + len(values)
        if length > len(self._room):
            # Doubling: a curve of n points costs n copies in all, not n squared.
            room = np.empty(max(length, 2 * len(self._room)))
            room[:self._length] = self.values
            self._room = room
        self._room[self._length:length] = values
        self._length = length

    def news(self) -> tuple[str, np.ndarray] | None:
        """What the browser lacks: ("set", everything), ("append", the new end), or None."""
        if self.known is None:
            return "set", self.values
        return ("append", self.values[self.known:]) if self.known < self._length else None

    def sent(self) -> None:
        """The browser has everything, or will have it: frames arrive in order."""
        self.known = self._length
