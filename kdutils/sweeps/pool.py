"""Where the points of a sweep run: this process, a pool of processes of its own, or somebody else's executor.

The pool is our own and not loky's, measured with loky 3.6: its workers outlive a parent that was killed, hear the
interrupts that are meant for the parent, and a killed worker breaks the whole pool there too. All that this file does
about these would stay, and one dependency come.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import contextmanager
from typing import Any, Protocol

import torch

from kdutils.errors import ParameterError
from kdutils.results import Results
from kdutils.sweeps.points import Point, module_of

# A point is given up when it was lost with its worker this often; the last time it ran alone, so it is its own doing.
ATTEMPTS = 3


class Run(Protocol):
    """What is asked of the one who keeps the books: the points by their number, and what became of each."""

    points: Sequence[Point]
    attempts: list[int]
    failures: dict[int, str]

    @property
    def missing(self) -> list[int]:
        """Points that are neither finished nor given up."""

    def finish(self, i: int, results: Results) -> None:
        """Keep the results of a point."""

    def fail(self, i: int, why: str | Exception) -> None:
        """Give a point up."""

    def lost(self, i: int) -> None:
        """Count that a point went down with its worker."""


def measure(experiment: str, params: Any, threads: int) -> Results:
    """One point, in a worker."""
    torch.set_num_threads(threads)
    return module_of(experiment).run(params, lambda line: None)


def cores() -> int:
    """Cores that this process may use: on a node of a cluster it has been given some of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def here(run: Run, threads: int) -> None:
    """One point after the other in this process."""
    before = torch.get_num_threads()
    try:
        for i in run.missing:
            try:
                results = measure(run.points[i].experiment, run.points[i].params, threads)
            except Exception as error:
                run.fail(i, error)
                continue
            if not results.complete:  # the experiment has caught the interrupt and kept its half
                raise KeyboardInterrupt
            run.finish(i, results)
    finally:
        torch.set_num_threads(before)


def own_pool(run: Run, threads: int, workers: int) -> None:
    """A pool of processes, rebuilt when it breaks; a point lost before runs alone the last time."""
    while missing := run.missing:
        suspects = [i for i in missing if run.attempts[i] == ATTEMPTS - 1]
        others = [i for i in missing if i not in suspects]
        now, room = (others, workers) if others else (suspects[:1], 1)
        with pool_of(min(room, len(now))) as pool:
            _drive(run, pool, now, threads, room)


def through(run: Run, executor: Executor, threads: int) -> None:
    """All points to somebody else's executor, which alone knows how many run at once."""
    broken = _drive(run, executor, run.missing, threads, len(run.points))
    for i in run.missing:
        run.fail(i, f"the executor broke: {broken}")


def dask_client(address: str) -> Any:
    """A client of the Dask cluster at `address`, to be closed."""
    try:
        from distributed import Client
    except ImportError:
        raise ParameterError("--dask needs Dask, which is not installed: pip install 'kdutils[cluster]'.") from None
    try:
        return Client(address, timeout="10s")
    except (OSError, ValueError, TimeoutError) as error:
        raise ParameterError(f"no Dask scheduler answers at {address} ({error}).") from error


def _drive(run: Run, executor: Executor, todo: Sequence[int], threads: int, room: int) -> str:
    """Points through an executor, at most `room` at a time; returns what broke the executor, or ""."""
    waiting, flying, broken = list(reversed(todo)), {}, ""
    try:
        while flying or (waiting and not broken):
            while waiting and len(flying) < room and not broken:
                i = waiting.pop()
                try:
                    flying[executor.submit(measure, run.points[i].experiment, run.points[i].params, threads)] = i
                except Exception as error:  # closed, broken, or its cluster is gone
                    broken = f"{type(error).__name__}: {error}".rstrip(".")
            for future in wait_for(flying, return_when=FIRST_COMPLETED).done:
                broken = _landed(run, future, flying.pop(future), waiting) or broken
    except KeyboardInterrupt:
        for future in flying:
            future.cancel()
        raise
    return broken


def _landed(run: Run, future: Future, i: int, waiting: list[int]) -> str:
    """Deal with a future that is done; returns what broke its executor, or ""."""
    try:
        run.finish(i, future.result())
    except BrokenExecutor as error:
        run.lost(i)
        return f"{type(error).__name__}: {error}".rstrip(".")
    except CancelledError:
        run.lost(i)
        if i not in run.failures:
            waiting.append(i)
    except Exception as error:
        run.fail(i, error)
    return ""


class _Pool(ProcessPoolExecutor):
    """Processes that leave interrupts to the one that started them, from their first moment on."""

    def submit(self, *call):
        """A process is started here, and inherits what its parent does not hear."""
        with deaf_to_interrupts():
            return super().submit(*call)


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """An interrupt waits until the end of the block; on Windows, which has no such mask, it does not."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def pool_of(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Fresh interpreters: a forked copy of a process whose torch has threads can hang."""
    pool = _Pool(workers, multiprocessing.get_context("spawn"), watch_parent)
    try:
        yield pool
    except BaseException:
        # Python 3.14 has kill_workers for this; without it an interrupt would wait for whole points. Who presses Ctrl-C
        # twice must find nothing left to wait for, or would get the traceback of that.
        with deaf_to_interrupts():
            for process in list((getattr(pool, "_processes", None) or {}).values()):
                process.kill()
            pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


def watch_parent() -> None:
    """A worker leaves interrupts to the process that started it, also on Windows, and ends when that one is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
