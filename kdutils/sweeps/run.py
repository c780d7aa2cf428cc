"""One experiment at many parameter values, on this machine's cores or on a cluster, as one table.

    sweep("start_here", {"temperature": [1, 4, 16], "transfer": [50, 100]}, folder="runs/temperatures")

Points are handed to an executor (any `concurrent.futures.Executor`: a pool of processes of its own by default, Dask's
from `Client.get_executor()`) and kept one by one, so that a sweep outlives killed workers, interrupts and restarts;
started again it does the rest. Several tasks may each take a part of the points, and a last call put them together.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from kdutils import cache
from kdutils.errors import ParameterError, whole
from kdutils.folders import named, tried_out
from kdutils.results import Results
from kdutils.sweeps import pool
from kdutils.sweeps.points import Point, checked, module_of, part_of, points


class SweepError(RuntimeError):
    """Some points could not be measured; one sentence says which and why. `results`: the others, complete=False."""

    def __init__(self, sentence: str, results: Results | None = None):
        super().__init__(sentence)
        self.results = results


def sweep(experiment: str, grid: Mapping[str, Iterable], executor: Executor | None = None,
          folder: str | Path | None = None, report: Callable[[str], None] = lambda line: None, threads: int = 1, *,
          base: Any = None, workers: int | None = None, seeds_each: int | None = None,
          part: str | None = None, progress: Callable[[int, int], None] | None = None) -> Results:
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
        one call. An experiment may not compare seeds inside a run for that.
    part: "i/n" measures share i of n of the points and returns their table, complete=False if that is not all of them.
        n tasks that share `folder` do the whole; the call without `part` finds every point there.
    report: is told, in a line each, how far it is and how long it will take, and what went wrong.
    progress: is called with (points done, all points) instead of the first two, for a bar that shows them itself.

    A parameter called `seed` is the first of the run's seeds: sweeping it needs no column of its own, and its runs may
    not overlap. A swept parameter whose name the table has already, for another thing, is called swept_NAME there.
    Values with several parts are written as JSON text in the table.
    Raises ParameterError before any work, for a name or value that the experiment does not take or data that are not
    there; SweepError at the end if a point failed or killed its worker again and again. A keyboard interrupt returns
    what is finished, complete=False. A point for which the disk has no room is said, and is in the table all the same.
    The script that calls this with a pool needs the usual `if __name__ == "__main__":`.
    """
    base = module_of(experiment).DEFAULT if base is None else base
    grid = checked(experiment, grid, base)
    todo = part_of(points(experiment, grid, base, seeds_each), part)
    if part is not None and folder is None:
        raise ParameterError(f"part {part} of a sweep needs a folder in which the parts meet, got none.")
    threads = whole("threads", threads, 1, 256)
    workers = whole("workers", default_workers(todo) if workers is None else workers, 1, 1024)
    with _folder(folder) as place:
        run = _Run(todo, place, f" in {place}" if folder is not None else "", report, progress)
        if executor is None:  # another's workers have data and devices of their own
            run.try_out()
        run.begin()
        try:
            if executor is not None:
                pool.through(run, executor, threads)
            elif workers == 1 or len(run.missing) <= 1:
                pool.here(run, threads)
            else:
                pool.own_pool(run, threads, workers)
        except KeyboardInterrupt:
            report(f"Interrupted: {run.kept}.")
            return run.results(experiment, grid, base, complete=False)
        whole_grid = part is None or len(todo) == len(points(experiment, grid, base, seeds_each))
        results = run.results(experiment, grid, base, complete=whole_grid and not run.failures)
        if run.failures:
            more = f" (and {len(run.failures) - 1} more)" * (len(run.failures) > 1)
            raise SweepError(f"{next(iter(run.failures.values()))}{more}; {run.kept}.", results)
        return results


class _Run:
    """The points of one call, by their number: which are finished, which failed, which were lost with a worker."""

    def __init__(self, todo: Sequence[Point], folder: Path, kept: str, report: Callable, progress: Callable | None):
        self.points, self.folder, self.report = todo, folder, report
        self.progress = progress or self._say
        self.done: dict[int, Results] = {}
        self.failures: dict[int, str] = {}
        self.attempts = [0] * len(todo)
        self.unkept = 0
        self.start, self.fresh, self._kept, self._shown = time.perf_counter(), 0, kept, progress is not None
        for i, point in enumerate(todo):
            try:
                found = point.found(folder)
            except ParameterError as error:
                report(f"{error} The point is measured again.")
            else:
                self.done |= {i: found} if found is not None else {}

    def try_out(self) -> None:
        """Let every missing point look at its data and device: what its experiment refuses, it refuses here."""
        for i in self.missing:
            if prepare := getattr(module_of(self.points[i].experiment), "prepare", None):
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
        return f"finished and kept{self._kept}: {len(self.done) - self.unkept} of {len(self.points)} points"

    def finish(self, i: int, results: Results) -> None:
        """Keep the results of a point. Only this process writes: a worker thought lost may finish unheard."""
        code = dict(results.provenance or {}).get("code", cache.code_version())
        if not results.complete:
            self.fail(i, "it was interrupted")
        elif code != cache.code_version():
            self.fail(i, f"its worker has another version of kdutils, {code} instead of {cache.code_version()}")
        else:
            self.done[i] = Results.of(results.text())  # as a file gives it back: the same now and after a restart
            self.fresh += 1
            try:
                self.points[i].keep(results, self.folder)
            except OSError as error:
                self.unkept += 1
                self.report(f"{self.points[i]} cannot be kept in {self.folder} ({error.strerror}).")
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
        if self.attempts[i] >= pool.ATTEMPTS:
            self.fail(i, f"its worker died {pool.ATTEMPTS} times, the last time with nothing beside it")
        else:
            self.report(f"A worker died during {self.points[i]}; the point is run again.")

    def results(self, experiment: str, grid: Mapping[str, Sequence], base: Any, complete: bool = True) -> Results:
        """The table of all finished points, in the order of the grid."""
        provenance = one_provenance([results.provenance for results in self.done.values()])
        fixed = {name: value for name, value in asdict(base).items() if name not in grid}
        params = fixed | {"experiment": experiment, "grid": {k: list(v) for k, v in grid.items()}}
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

    def _say(self, done: int, total: int) -> None:
        left = round((time.perf_counter() - self.start) / self.fresh * (total - done))
        self.report(f"{done} of {total} points" + (f", {left // 60}:{left % 60:02} left" if done < total else ""))


def one_provenance(made_with: Sequence[Mapping]) -> dict:
    """What the points say of themselves: seconds added up, rates per second averaged, of all else each value once."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for one in made_with for name in one):
        values = [one[name] for one in made_with if name in one]
        if name.endswith("seconds"):
            found[name] = round(sum(values), 1)
        elif name.endswith("per_second"):
            found[name] = round(sum(values) / len(values))
        else:
            found[name] = ", ".join(dict.fromkeys(map(str, values)))
    threads = found.get("threads", "")
    return found | {"threads": int(threads) if threads.isdigit() else 1, "seconds": found.get("seconds", 0)}


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


def default_workers(todo: Sequence[Point]) -> int:
    """Processes at once where nobody says how many: as many as cores; one on a GPU, which they would have to share."""
    on_gpu = any(str(getattr(point.params, "device", "cpu")).startswith("cuda") for point in todo)
    return 1 if on_gpu else max(1, min(len(todo), pool.cores()))


@contextmanager
def _folder(folder: str | Path | None) -> Iterator[Path]:
    """The folder of the points, made and tried out before the work; a temporary one where none is wanted."""
    if folder is None:
        with tempfile.TemporaryDirectory() as place:
            yield Path(place)
        return
    place = named("folder", folder)
    try:
        tried_out(place)
    except OSError as error:
        raise ParameterError(f"the points of a sweep cannot be kept in {place} ({error.strerror}).") from error
    yield place
