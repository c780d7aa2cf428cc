"""One experiment at many parameter values, on this machine's cores or on a cluster, as one table.

    sweep("start_here", {"temperature": [1, 4, 16], "transfer": [50, 100]}, folder="runs/temperatures")

A *point* is one combination of values: one call of the experiment's `run`. Points are handed to an executor (any
`concurrent.futures.Executor`: a pool of processes of its own by default, Dask's from `Client.get_executor()`) and
kept one by one, so that a sweep outlives killed workers, interrupts and restarts; started again it does the rest.
"""

import hashlib
import inspect
import itertools
import json
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import contextmanager
from dataclasses import Field, asdict, dataclass, fields, replace
from importlib import import_module
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import torch

from kdutils import cache, cohorts, image_lab, metrics
from kdutils.errors import ParameterError, different, one_of, whole
from kdutils.lessons import catalog
from kdutils.results import Results

# A point is given up when it was lost with its worker this often; the last time it ran alone, so it is its own doing.
ATTEMPTS = 3
PROFILES = {"smoke": "SMOKE", "lecture": "DEFAULT", "full": "FULL"}


class SweepError(RuntimeError):
    """Some points could not be measured; one sentence says which and why. `results`: the others, complete=False."""

    def __init__(self, sentence: str, results: Results | None = None):
        super().__init__(sentence)
        self.results = results


@dataclass(frozen=True)
class Point:
    """One call of an experiment. group: which combination of swept values it belongs to, seeds apart."""

    experiment: str
    group: int
    values: Mapping[str, Any]
    params: Any

    def __str__(self) -> str:
        said = ", ".join(f"{name}={value}" for name, value in self.values.items())
        return f"{self.experiment}{said and ' with ' + said}"

    @property
    def key(self) -> str:
        """16 hex digits of the experiment, its parameters (device included), its code and torch's version."""
        return cache.key({"experiment": self.experiment, "params": asdict(self.params),
                          "source": _source(self.experiment)})


def sweep(experiment: str, grid: Mapping[str, Iterable], executor: Executor | None = None,
          folder: str | Path | None = None, report: Callable[[str], None] = lambda line: None, threads: int = 1, *,
          base: Any = None, workers: int | None = None, seeds_each: int | None = None,
          progress: Callable[[int, int], None] | None = None) -> Results:
    """Run an experiment for every combination of the values in `grid`; one table with a column per swept parameter.

    experiment: a name of `lessons.catalog` ("start_here", "dark_knowledge.image_pairs"), or the dotted path of a module
        of your own: a dataclass of parameters, `DEFAULT`, and `run(params, report) -> Results`. If it has a function
        `prepare(params)`, which looks at data and device and trains nothing, that is called for every point before
        the first of them runs; not with an executor of yours, whose workers may have other data and devices than
        this machine.
    grid: {parameter: values}. The parameters that are not named have the value of `base`, else of DEFAULT.
    executor: where the points run. By default a pool of `workers` processes (as many as cores; one on a GPU, which
        they would have to share), rebuilt if one of them dies; with workers=1 this process. Dask:
        `Client(address).get_executor()`. It is left open.
    folder: every finished point is written there at once, and found again by a later call of the same experiment,
        parameters, code and device. None keeps the points until the call ends.
    threads: CPU threads of torch in a worker.
    seeds_each: splits the seeds of every point into calls of at most so many, for more workers; the table is that of
        one call. An experiment may not compare seeds inside a run for that (the omitted digit of dark_knowledge does).
    report: is told, in a line each, how far it is and how long it will take, and what went wrong.
    progress: is called with (points done, all points) instead of the first two, for a bar that shows them itself.

    A parameter called `seed` is the first of the run's seeds: sweeping it needs no column of its own, and its runs may
    not overlap. A swept parameter whose name the table has already, for another thing, is called swept_NAME there.
    Values with several parts are written as JSON text in the table.
    Raises ParameterError before any work, for a name or value that the experiment does not take or data that are not
    there; SweepError at the end if a point failed or killed its worker ATTEMPTS times. A keyboard interrupt returns
    what is finished, complete=False.
    The script that calls this with a pool needs the usual `if __name__ == "__main__":`.
    """
    base = _module(experiment).DEFAULT if base is None else base
    grid = checked(experiment, grid, base)
    todo = points(experiment, grid, base, seeds_each)
    threads = whole("threads", threads, 1, 256)
    workers = whole("workers", _at_once(todo) if workers is None else workers, 1, 1024)
    with _folder(folder) as place:
        run = _Run(todo, place, f" in {place}" if folder is not None else "", report, progress)
        if executor is None:  # another's workers have data and devices of their own
            run.try_out()
        run.begin()
        try:
            if executor is not None:
                _through(run, executor, threads)
            elif workers == 1 or len(run.missing) <= 1:
                _here(run, threads)
            else:
                _own_pool(run, threads, workers)
        except KeyboardInterrupt:
            report(f"Interrupted: {run.kept}.")
            return run.results(grid, base, complete=False)
        results = run.results(grid, base, complete=not run.failures)
        if run.failures:
            more = f" (and {len(run.failures) - 1} more)" * (len(run.failures) > 1)
            raise SweepError(f"{next(iter(run.failures.values()))}{more}; {run.kept}.", results)
        return results


# ---- what is to be done ------------------------------------------------------------------------------------------

def names() -> list[str]:
    """The experiments of the course."""
    return list(catalog.experiments())


def parameters(experiment: str, profile: str = "lecture") -> Any:
    """The experiment's parameters at a profile: its SMOKE, DEFAULT or FULL."""
    module = _module(experiment)
    there = [name for name, constant in PROFILES.items() if hasattr(module, constant)]
    return getattr(module, PROFILES[one_of(f"profile of {experiment}", profile, there)])


def changed(experiment: str, base: Any, values: Mapping[str, Any]) -> Any:
    """`base` with other values, each checked; lists become tuples and whole numbers ints where the default is one."""
    known = {field.name: field for field in fields(base)}
    for name in values:
        one_of(f"parameter of {experiment}", name, known)
    return replace(base, **{name: _like(known[name], value, getattr(base, name)) for name, value in values.items()})


def checked(experiment: str, grid: Mapping[str, Iterable], base: Any) -> dict[str, list]:
    """The grid with its values as the experiment has them, or ParameterError."""
    clean = {}
    for name, values in grid.items():
        one_of(f"parameter of {experiment}", name, [field.name for field in fields(base)])
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
            raise ParameterError(f"{name} of a sweep must be a list of values, got {values!r}.")
        clean[name] = [getattr(changed(experiment, base, {name: value}), name) for value in values]
        if not clean[name]:
            raise ParameterError(f"{name} of a sweep must have at least one value, got none.")
        different(f"{name} of a sweep", clean[name])
    return clean


def points(experiment: str, grid: Mapping[str, Sequence], base: Any, seeds_each: int | None = None) -> list[Point]:
    """Every combination, the last parameter varying fastest; a wrong combination is a ParameterError."""
    groups, made = {}, []
    for combination in itertools.product(*grid.values()):
        values = dict(zip(grid, combination, strict=True))
        group = groups.setdefault(tuple((name, value) for name, value in values.items() if name != "seed"), len(groups))
        params = changed(experiment, base, values)
        made += [Point(experiment, group, values | extra, one) for one, extra in _parts(params, seeds_each)]
    _apart(made)
    return made


def _parts(params: Any, seeds_each: int | None) -> Iterator[tuple[Any, dict]]:
    """The point's seeds in runs of at most `seeds_each`."""
    if seeds_each is None:
        yield params, {}
        return
    each = whole("seeds_each", seeds_each, 1)
    if not (hasattr(params, "seed") and hasattr(params, "seeds")):
        raise ParameterError(f"seeds_each needs an experiment with parameters seed and seeds, got {params!r}.")
    for start in range(0, params.seeds, each):
        part = {"seed": params.seed + start, "seeds": min(each, params.seeds - start)}
        yield replace(params, **part), part


def _apart(made: Sequence[Point]) -> None:
    """No seed may be run twice with the same parameters."""
    seen = {}
    for point in made:
        if not hasattr(point.params, "seed"):
            continue
        for seed in range(point.params.seed, point.params.seed + getattr(point.params, "seeds", 1)):
            if seen.setdefault((point.group, seed), point) is not point:
                raise ParameterError(f"the runs of a sweep must have seeds of their own, got seed {seed} both at "
                                     f"seed={seen[point.group, seed].params.seed} and at seed={point.params.seed}, "
                                     f"each with seeds={point.params.seeds}.")


def _like(field: Field, value: Any, default: Any) -> Any:
    """`value` as the kind of thing that `default` is: 4 and 4.0 are one temperature, and one key."""
    name, value = field.name, value.item() if hasattr(value, "item") else value
    if value is None and ("None" in str(field.type) or "Optional" in str(field.type)):
        return None
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ParameterError(f"{name} must be true or false, got {value!r}.")
    elif isinstance(default, int):
        if name == "seed":
            return whole(name, value, 0)
        if isinstance(value, bool) or not isinstance(value, Real) or value != value // 1:
            raise ParameterError(f"{name} must be a whole number, got {value!r}.")
        return int(value)
    elif isinstance(default, float):
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ParameterError(f"{name} must be a number, got {value!r}.")
        return float(value)
    elif isinstance(default, str) and not isinstance(value, str):
        raise ParameterError(f"{name} must be a word, got {value!r}.")
    elif isinstance(default, tuple):
        if not isinstance(value, (list, tuple)):
            raise ParameterError(f"{name} must be a list, such as {json.dumps(default)}, got {value!r}.")
        return _tuples(value)
    return value


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value


def _module(experiment: str) -> ModuleType:
    """The module of an experiment, by its name in the course or by its dotted path."""
    known = catalog.experiments()
    if experiment in known or "." not in experiment:
        return known[one_of("experiment", experiment, known)]
    try:
        module = import_module(experiment)
    except (ImportError, TypeError) as error:  # the latter for a name that begins with a dot
        raise ParameterError(f"the experiment {experiment} cannot be imported ({error}).") from error
    if not catalog.is_experiment(module):
        raise ParameterError(f"{experiment} is no experiment: it needs a dataclass DEFAULT and a function run.")
    return module


def _source(experiment: str) -> str:
    """12 hex digits over the code that measures, beside that which trains (cache.code_version)."""
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in _measures(experiment))).hexdigest()[:12]


def _measures(experiment: str) -> list[Path]:
    """The experiment's own file, those beside it if it is a lesson's, and what experiments share."""
    own = Path(inspect.getsourcefile(_module(experiment)))
    beside = sorted(own.parent.glob("*.py")) if experiment in catalog.experiments() else []
    shared = [Path(inspect.getsourcefile(module)) for module in (cohorts, image_lab, metrics)]
    return [own, *(file for file in beside if file.stem not in ("claims", "figures", "checks")), *shared]


# ---- doing it ----------------------------------------------------------------------------------------------------

def measure(experiment: str, params: Any, threads: int) -> Results:
    """One point, in a worker."""
    torch.set_num_threads(threads)
    return _module(experiment).run(params, lambda line: None)


class _Run:
    """The points of one call, by their number: which are finished, which failed, which were lost with a worker."""

    def __init__(self, todo: Sequence[Point], folder: Path, kept: str, report: Callable, progress: Callable | None):
        self.points, self.folder, self.report = todo, folder, report
        self.progress = progress or self._say
        self.paths = [folder / f"{point.experiment}-{point.key}.json" for point in todo]
        self.done: dict[int, Results] = {}
        self.failures: dict[int, str] = {}
        self.attempts = [0] * len(todo)
        self.start, self.fresh, self._kept, self._shown = time.perf_counter(), 0, kept, progress is not None
        for i, path in enumerate(self.paths):
            if (found := self._found(path)) is not None:
                self.done[i] = found

    def try_out(self) -> None:
        """Let every missing point look at its data and device: what its experiment refuses, it refuses here."""
        for i in self.missing:
            if prepare := getattr(_module(self.points[i].experiment), "prepare", None):
                prepare(self.points[i].params)

    def begin(self) -> None:
        """Say what is there already."""
        if self.done:
            self.report(f"{len(self.done)} of {len(self.points)} points were finished before.")
        if self._shown:
            self.progress(len(self.done), len(self.points))

    @property
    def missing(self) -> list[int]:
        return [i for i in range(len(self.points)) if i not in self.done and i not in self.failures]

    @property
    def kept(self) -> str:
        return f"finished and kept{self._kept}: {len(self.done)} of {len(self.points)} points"

    def finish(self, i: int, results: Results) -> None:
        """Keep the results of a point. Only this process writes: a worker thought lost may finish unheard."""
        code = results.provenance.get("code", cache.code_version())
        if not results.complete:
            self.fail(i, "it was interrupted")
        elif code != cache.code_version():
            self.fail(i, f"its worker has another version of kdutils, {code} instead of {cache.code_version()}")
        else:
            results.save(self.paths[i])
            self.done[i] = Results.load(self.paths[i])  # what is kept is what counts, now and after a restart
            self.fresh += 1
            self.progress(len(self.done), len(self.points))

    def fail(self, i: int, why: str | Exception) -> None:
        """Give a point up."""
        if isinstance(why, ParameterError):
            why = str(why).rstrip(".")
        elif isinstance(why, Exception):
            lines = str(why).strip().splitlines()
            why = type(why).__name__ + (f": {lines[0].rstrip('.')}" if lines else "")
        self.failures[i] = f"{self.points[i]} failed ({why})"
        self.report(f"{self.failures[i]}.")

    def lost(self, i: int) -> None:
        """Count that a point went down with its worker."""
        self.attempts[i] += 1
        if self.attempts[i] >= ATTEMPTS:
            self.fail(i, f"its worker died {ATTEMPTS} times, the last time with nothing beside it")
        else:
            self.report(f"A worker died during {self.points[i]}; the point is run again.")

    def results(self, grid: Mapping[str, Sequence], base: Any, complete: bool = True) -> Results:
        """The table of all finished points, in the order of the grid."""
        made_with = [results.provenance for results in self.done.values()]
        provenance = {name: ", ".join(dict.fromkeys(str(one[name]) for one in made_with if name in one))
                      for name in dict.fromkeys(name for one in made_with for name in one) if name != "seconds"}
        provenance["threads"] = int(provenance["threads"]) if provenance.get("threads", "").isdigit() else 1
        provenance["seconds"] = round(sum(one.get("seconds", 0.0) for one in made_with), 1)
        fixed = {name: value for name, value in asdict(base).items() if name not in grid}
        params = fixed | {"experiment": self.points[0].experiment, "grid": {k: list(v) for k, v in grid.items()}}
        return Results(self._table(grid), params, provenance, complete)

    def _table(self, grid: Mapping[str, Sequence]) -> pd.DataFrame:
        groups: dict[int, list[int]] = {}
        for i in sorted(self.done):
            groups.setdefault(self.points[i].group, []).append(i)
        taken = {column for results in self.done.values() for column in results.table}
        swept = {name: f"swept_{name}" if name in taken else name for name in grid
                 if not (name == "seed" and "seed" in taken)}
        tables = []
        for members in groups.values():
            table = one_table([self.done[i].table for i in members])
            values = self.points[members[0]].values
            for place, (name, column) in enumerate(swept.items()):
                table.insert(place, column, [_cell(values[name])] * len(table))
            tables.append(table)
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(swept.values()))

    def _found(self, path: Path) -> Results | None:
        if not path.exists():
            return None
        try:
            return Results.load(path)
        except ParameterError as error:
            self.report(f"{error} The point is measured anew.")
            return None

    def _say(self, done: int, total: int) -> None:
        left = round((time.perf_counter() - self.start) / self.fresh * (total - done))
        self.report(f"{done} of {total} points" + (f", {left // 60}:{left % 60:02} left" if done < total else ""))


def one_table(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables of runs that differ in their seeds only, with the rows in the order of one run over all these seeds.

    An experiment lists each of its settings for all seeds in turn: the k-th row of every seed belongs together.
    """
    table = pd.concat(tables, ignore_index=True)
    if len(tables) == 1 or "seed" not in table:
        return table
    place = table.groupby("seed", dropna=False).cumcount()
    return table.assign(place=place).sort_values(["place", "seed"], kind="stable", ignore_index=True).drop(
        columns="place")


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (tuple, Mapping)) else value


def _at_once(todo: Sequence[Point]) -> int:
    """Processes by default."""
    on_gpu = any(str(getattr(point.params, "device", "cpu")).startswith("cuda") for point in todo)
    return 1 if on_gpu else min(len(todo), os.cpu_count() or 1)


def _here(run: _Run, threads: int) -> None:
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


def _own_pool(run: _Run, threads: int, workers: int) -> None:
    """A pool of processes, made anew when it breaks; a point lost before runs alone the last time."""
    while missing := run.missing:
        suspects = [i for i in missing if run.attempts[i] == ATTEMPTS - 1]
        others = [i for i in missing if i not in suspects]
        now, room = (others, workers) if others else (suspects[:1], 1)
        with _pool(min(room, len(now))) as pool:
            _drive(run, pool, now, threads, room)


def _through(run: _Run, executor: Executor, threads: int) -> None:
    """All points to somebody else's executor, which alone knows how many run at once."""
    broken = _drive(run, executor, run.missing, threads, len(run.points))
    for i in run.missing:
        run.fail(i, f"the executor broke: {broken}")


def _drive(run: _Run, executor: Executor, todo: Sequence[int], threads: int, room: int) -> str:
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


def _landed(run: _Run, future: Future, i: int, waiting: list[int]) -> str:
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
        with _deaf_to_interrupts():
            return super().submit(*call)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
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
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Fresh interpreters: a forked copy of a process whose torch has threads can hang."""
    pool = _Pool(workers, multiprocessing.get_context("spawn"), _worker)
    try:
        yield pool
    except BaseException:
        # Python 3.14 has terminate_workers for this; without it an interrupt would wait for whole points.
        for process in list((getattr(pool, "_processes", None) or {}).values()):
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _worker() -> None:
    """A worker leaves interrupts to the process that started it, also on Windows, and ends when that one is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


@contextmanager
def _folder(folder: str | Path | None) -> Iterator[Path]:
    """The folder of the points, made and tried out before the work; a temporary one where none is wanted."""
    if folder is None:
        with tempfile.TemporaryDirectory() as place:
            yield Path(place)
        return
    place = Path(folder).expanduser()
    try:
        place.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        raise ParameterError(f"the points of a sweep cannot be kept in {place} ({error.strerror}).") from error
    yield place
