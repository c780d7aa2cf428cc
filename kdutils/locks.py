"""One process at a time: locks that end with the process that holds them, however it ends."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def alone(path: Path, patience: float, waits: Callable[[], None] = lambda: None) -> Iterator[None]:
    """A block that one process at a time runs for each lock file `path`.

    waits: is called once if another process is in the block. After `patience` seconds, and where no lock can be had (a
    folder that is closed to us, a file system without locks), the block runs all the same: locks save work, not data.
    """
    lock = at(path)
    with suppress(Timeout, OSError, NotImplementedError):  # the last is filelock's word for a file system without locks
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            waits()
            lock.acquire(timeout=patience)
    try:
        yield
    finally:
        if lock.is_locked:
            give_back(lock)


def at(path: Path) -> FileLock:
    """The lock with this file; everybody who may reach its folder may take it."""
    return FileLock(path, mode=0o666)


def give_back(lock: FileLock) -> None:
    """Release a lock without leaving its file: who waits for it sees that the file is gone, and takes the next one."""
    with suppress(OSError):
        os.unlink(lock.lock_file)
    lock.release()
