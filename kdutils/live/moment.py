"""A figure and the sentence under it are of one setting, whatever another thread changes while they are made."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Moment(threading.local):
    """The values that this thread draws just now; None where it draws nothing."""

    values: Mapping | None = None

    @contextmanager
    def of(self, values: Mapping) -> Iterator[None]:
        """Draw these values in the block; in a block inside it, still those of the outer one."""
        outer = self.values
        self.values = values if outer is None else outer
        try:
            yield
        finally:
            self.values = outer
