"""Sweeps: the table of single runs whoever computes it, and nothing lost or counted twice when workers die."""

import itertools
import multiprocessing
import os
import signal
import sys
import textwrap
import threading
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from helpers import until

from kdutils import cli
from kdutils import cohorts as common
from kdutils.lessons import catalog
from kdutils.lessons.start_here import experiment as start_here
from kdutils.networks import MLP
from kdutils.results import Results
from kdutils.sweeps import SweepError, sweep
from kdutils.sweeps.run import _at_once, _measures, _pool, names, one_table, points
from kdutils.training import Recipe

TINY = start_here.StartHere(seeds=2, transfer=20, steps=20)

# An experiment that anybody might have written, in a module of its own: it notes each of its runs in a file, and does
# what it is told to do: fail, or kill its process (once, or always).
MADE_UP = """
import os, signal, time
from dataclasses import asdict, dataclass
from pathlib import Path
import pandas as pd
from kdutils.errors import positive
from kdutils.results import Results, provenance

@dataclass(frozen=True)
class Params:
    folder: str = ""
    size: float = 1.0
    shape: tuple[int, ...] = (1, 2)
    most: int | None = 3
    loud: bool = False
    deadly: tuple[float, ...] = ()
    wrong: tuple[float, ...] = ()
    always: bool = False
    seeds: int = 2
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self):
        positive("size", self.size)

DEFAULT = Params()

def run(params, report):
    note = Path(params.folder)
    with open(note / "runs", "a") as notes:
        notes.write(f"{params.size} {params.seed}\\n")
    time.sleep(0.2)
    if params.size in params.wrong:
        raise ValueError("a wrong size\\nand more")
    if params.size in params.deadly and (params.always or not (note / f"died {params.size}").exists()):
        (note / f"died {params.size}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    rows = [{"method": method, "seed": seed, "value": params.size * seed + len(method)}
            for method in ("a", "bb") for seed in range(params.seed, params.seed + params.seeds)]
    return Results(pd.DataFrame(rows), asdict(params), provenance(params.device, 0.5))
"""


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """The made-up experiment's parameters; workers find its module on the path that they inherit."""
    (tmp_path / "made_up_package").mkdir()
    (tmp_path / "made_up_package" / "__init__.py").touch()
    (tmp_path / "made_up_package" / "experiment.py").write_text(MADE_UP)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("made_up_package", "made_up_package.experiment"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    from made_up_package.experiment import Params

    return Params(folder=str(tmp_path))


@pytest.fixture
def fast_teachers(monkeypatch):
    """Experiments whose teachers train for a few steps only."""
    monkeypatch.setattr(common.teachers, "__defaults__", (MLP(64, (8,), 10), Recipe(steps=20)))


NAME = "made_up_package.experiment"
SIZES = [1.0, 2.0, 3.0, 4.0]


def runs(params):
    """Every run that was begun, a line each."""
    with open(os.path.join(params.folder, "runs")) as notes:
        return notes.read().splitlines()


def expected(params, sizes=SIZES):
    """The table of single runs, written out here."""
    return pd.DataFrame([{"size": size, "method": method, "seed": seed, "value": size * seed + len(method)}
                         for size in sizes for method in ("a", "bb")
                         for seed in range(params.seed, params.seed + params.seeds)])


def same(results, table):
    pd.testing.assert_frame_equal(results.table, table, check_exact=True)


# The same table -----------------------------------------------------------------------------------------------------

def test_a_sweep_is_the_table_of_its_single_runs(tmp_path, fast_teachers):
    """Catches points that lose a parameter, mix up their values or come in another order."""
    results = sweep("start_here", {"temperature": [2, 8.0], "transfer": (20, 30)}, base=TINY, workers=1)
    tables = []
    for temperature in (2, 8.0):
        for transfer in (20, 30):
            start_here.run(replace(TINY, temperature=temperature, transfer=transfer)).save(tmp_path / "one.json")
            table = Results.load(tmp_path / "one.json").table
            table.insert(0, "swept_temperature", temperature)
            table.insert(1, "transfer", transfer)
            tables.append(table)
    pd.testing.assert_frame_equal(results.table, pd.concat(tables, ignore_index=True), check_dtype=False)
    assert results.complete and results.params["grid"] == {"temperature": [2, 8.0], "transfer": [20, 30]}
    assert results.params["experiment"] == "start_here" and results.params["steps"] == 20
    assert {"code", "device", "threads", "torch", "date", "seconds"} <= set(results.provenance)
    assert results.where(swept_temperature=8.0, transfer=30, method="distilled", step=20)["seed"].tolist() == [0, 1]


def test_seeds_spread_over_points_give_the_table_of_one_run(tmp_path, fast_teachers):
    """Catches rows in the order of the workers, and seeds that change because they run in other company."""
    base = replace(TINY, seeds=5, steps=30)
    start_here.run(base).save(tmp_path / "one.json")
    whole = Results.load(tmp_path / "one.json").table
    same(sweep("start_here", {}, base=base, seeds_each=2, workers=1), whole)
    same(sweep("start_here", {"seed": range(5)}, base=replace(base, seeds=1), workers=1), whole)


def test_rows_of_one_run_keep_their_order_when_seeds_are_put_together():
    rows = [(part, seed) for part in "xyz" for seed in range(5)]
    whole = pd.DataFrame(rows, columns=["part", "seed"])
    parts = [whole[whole["seed"].isin(seeds)] for seeds in ((0, 1), (4,), (2, 3))]
    pd.testing.assert_frame_equal(one_table(parts), whole)


def test_values_of_several_parts_and_parameters_of_one_value(made_up):
    results = sweep(NAME, {"shape": [[3], [4, 5]], "size": [2]}, base=made_up, workers=1)
    assert results.table["shape"].unique().tolist() == ["[3]", "[4, 5]"] and set(results.table["size"]) == {2}
    assert results.params["grid"]["shape"] == [(3,), (4, 5)]


def test_any_executor_will_do_and_workers_have_one_thread_unless_asked(made_up, monkeypatch):
    seen = []
    module = sys.modules[NAME]
    plain = module.run
    monkeypatch.setattr(module, "run", lambda *given: seen.append(torch.get_num_threads()) or plain(*given))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with ThreadPoolExecutor(2) as pool:
            same(sweep(NAME, {"size": SIZES}, pool, base=made_up), expected(made_up))
        sweep(NAME, {"size": [1.0]}, base=made_up, threads=3)
        assert seen == [1] * 4 + [3]
        torch.set_num_threads(2)
        sweep(NAME, {"size": [1.0]}, base=made_up)
        assert torch.get_num_threads() == 2, "a sweep in this process gives the threads back"
    finally:
        torch.set_num_threads(before)


# Workers that die ---------------------------------------------------------------------------------------------------

def test_its_own_pool_survives_a_killed_worker(made_up, tmp_path):
    said = []
    params = replace(made_up, deadly=(2.0,))
    results = sweep(NAME, {"size": SIZES}, folder=tmp_path / "points", report=said.append, base=params, workers=2)
    same(results, expected(params))
    assert results.complete and any("died during" in line and "size=2.0" in line for line in said)
    assert sum(line.startswith("4 of 4 points") for line in said) == 1 and any(" left" in line for line in said)


class Deadly(Executor):
    """A pool of two, as far as one process can play it: a deadly point takes along whatever runs beside it."""

    def __init__(self, sizes):
        self.sizes, self.flying, self.broken = sizes, [], False

    def submit(self, call, name, params, threads):
        self.flying.append((Future(), params.size))
        future, _ = self.flying[-1]
        if self.broken or params.size in self.sizes:
            self.broken = True
            for other, _ in self.flying:
                if not other.done():
                    other.set_exception(BrokenProcessPool("A child process terminated abruptly."))
        elif len(self.flying) > 1:  # the first of a pool is still at work when the second comes
            future.set_result(call(name, params, threads))
            if not self.flying[0][0].done():
                self.flying[0][0].set_result(call(name, replace(params, size=self.flying[0][1]), threads))
        elif self.alone:
            future.set_result(call(name, params, threads))
        return future


def test_a_point_that_always_kills_its_worker_is_given_up_and_the_others_are_kept(made_up, tmp_path, monkeypatch):
    """Catches pools rebuilt without end, and points given up because they ran beside the deadly one."""
    pools = []

    @contextmanager
    def pool(workers):
        pools.append(Deadly([1.0]))
        pools[-1].alone = workers == 1
        yield pools[-1]

    monkeypatch.setattr(sys.modules["kdutils.sweeps.run"], "_pool", pool)
    with pytest.raises(SweepError) as caught:
        sweep(NAME, {"size": SIZES}, folder=tmp_path / "points", base=made_up, workers=2)
    sentence = str(caught.value)
    assert "size=1.0" in sentence and "died 3 times" in sentence and sentence.endswith("points: 3 of 4 points.")
    same(caught.value.results, expected(made_up, [2.0, 3.0, 4.0]))
    assert not caught.value.results.complete and len(pools) <= 6


def test_a_dask_cluster_with_a_killed_worker_gives_the_same_table(made_up, tmp_path):
    distributed = pytest.importorskip("distributed", reason="needs kdutils[cluster]")
    params = replace(made_up, deadly=(2.0,))
    quiet = {"distributed.worker.memory.terminate": False, "distributed.admin.tick.interval": "1s"}
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
                                  silence_logs=50, config=quiet) as cluster, distributed.Client(cluster) as client:
        grid = {"size": SIZES}
        results = sweep(NAME, grid, client.get_executor(), tmp_path / "points", base=params)
        assert (tmp_path / "died 2.0").exists(), "no worker was killed"
        same(results, expected(params))
        before = len(runs(params))
        same(sweep(NAME, grid, client.get_executor(), tmp_path / "points", base=params), expected(params))
        assert len(runs(params)) == before
    assert results.complete and before >= 5


class Forgetful(Executor):
    """Cancels its first future, as a cluster does that lost a worker, and runs that task all the same."""

    def __init__(self):
        self.lost = []

    def submit(self, call, *arguments):
        future = Future()
        if not self.lost:
            self.lost.append(call(*arguments))
            future.set_exception(CancelledError())
        else:
            future.set_result(call(*arguments))
        return future


def test_a_lost_future_is_asked_for_again_and_counted_once(made_up, tmp_path):
    executor, seen = Forgetful(), []
    results = sweep(NAME, {"size": SIZES}, executor, tmp_path / "points", base=made_up,
                    progress=lambda done, points: seen.append((done, points)))
    same(results, expected(made_up))
    assert seen == [(done, 4) for done in range(5)] and len(runs(made_up)) == 5


class Twice(Executor):
    """Runs every task twice, as Dask may."""

    def submit(self, call, *arguments):
        future = Future()
        call(*arguments)
        future.set_result(call(*arguments))
        return future


def test_a_task_that_runs_twice_is_counted_once(made_up):
    same(sweep(NAME, {"size": SIZES}, Twice(), base=made_up), expected(made_up))
    assert len(runs(made_up)) == 8


def test_a_broken_executor_of_somebody_else_is_named_and_what_is_finished_is_kept(made_up, tmp_path):
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(SweepError, match="executor broke.*shutdown.*: 0 of 1 points"):
        sweep(NAME, {"size": [1.0]}, pool, tmp_path / "points", base=made_up)


def test_a_worker_with_other_code_is_refused(made_up, monkeypatch):
    """Catches a cluster whose machines have an older kdutils: its numbers would be kept under this code's key."""
    module = sys.modules[NAME]
    monkeypatch.setattr(module, "provenance", lambda *given: {"code": "0ld", "seconds": 0.0})
    with pytest.raises(SweepError, match="another version of kdutils, 0ld"):
        sweep(NAME, {"size": [1.0]}, base=made_up)


# Failures, interrupts and restarts ----------------------------------------------------------------------------------

@pytest.mark.parametrize("make", [lambda: None, lambda: ThreadPoolExecutor(2)], ids=["here", "elsewhere"])
def test_an_error_in_a_point_names_it_and_the_others_are_kept(made_up, tmp_path, make):
    params = replace(made_up, wrong=(1.0, 3.0))
    with pytest.raises(SweepError) as caught:
        sweep(NAME, {"size": SIZES}, make(), tmp_path / "points", base=params, workers=1)
    sentence = str(caught.value)
    assert "size=" in sentence and "(ValueError: a wrong size) (and 1 more)" in sentence and "\n" not in sentence
    assert sentence.endswith(f"finished and kept in {tmp_path / 'points'}: 2 of 4 points.")
    same(caught.value.results, expected(params, [2.0, 4.0]))


def test_a_sweep_that_was_interrupted_goes_on_where_it_stood(made_up, tmp_path, monkeypatch):
    module, folder, said = sys.modules[NAME], tmp_path / "points", []
    plain, calls = module.run, []

    def interrupted(params, report):
        calls.append(params.size)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return plain(params, report)

    monkeypatch.setattr(module, "run", interrupted)
    half = sweep(NAME, {"size": SIZES}, folder=folder, report=said.append, base=made_up, workers=1)
    assert not half.complete and said[-1].endswith("2 of 4 points.")
    same(half, expected(made_up, SIZES[:2]))
    whole = sweep(NAME, {"size": SIZES}, folder=folder, report=said.append, base=made_up, workers=1)
    same(whole, expected(made_up))
    assert whole.complete and calls == [1.0, 2.0, 3.0, 3.0, 4.0]
    assert "2 of 4 points were finished before." in said
    sweep(NAME, {"size": [*SIZES, 5.0]}, folder=folder, base=made_up, workers=1)
    assert calls[5:] == [5.0], "a larger grid runs what it adds"


def test_an_experiment_that_catches_the_interrupt_itself_stops_the_sweep(made_up, tmp_path, monkeypatch):
    """Catches half a point kept as a whole one."""
    module = sys.modules[NAME]
    monkeypatch.setattr(module, "run", lambda params, report: Results(pd.DataFrame({"seed": [0]}), complete=False))
    results = sweep(NAME, {"size": SIZES}, folder=tmp_path / "points", base=made_up, workers=1)
    assert not results.complete and results.table.empty and not list((tmp_path / "points").iterdir())


def test_half_a_point_of_somebody_elses_worker_is_not_kept(made_up, tmp_path, monkeypatch):
    """Catches the rows of a worker that was interrupted, taken for all of its rows."""
    monkeypatch.setattr(sys.modules[NAME], "run",
                        lambda params, report: Results(pd.DataFrame({"seed": [0]}), complete=False))
    with pytest.raises(SweepError, match="it was interrupted.*: 0 of 1 points"):
        sweep(NAME, {"size": [1.0]}, ThreadPoolExecutor(1), tmp_path / "points", base=made_up)
    assert not list((tmp_path / "points").iterdir())


def test_an_interrupt_ends_the_workers(made_up, tmp_path):
    """Catches a sweep that goes on waiting for points of minutes after Ctrl-C, and workers left behind."""
    workers = []

    def interrupt(done, points):
        if done == 1:
            workers.extend(multiprocessing.active_children())
            raise KeyboardInterrupt

    results = sweep(NAME, {"size": SIZES}, folder=tmp_path / "points", base=made_up, workers=2, progress=interrupt)
    assert not results.complete and 1 <= len(results.where(method="a", seed=0)) < 4
    # The pool's own thread reaps the workers too: is_alive() is true a little longer for the one it comes first to.
    assert len(workers) == 2 and until(lambda: not any(worker.is_alive() for worker in workers))


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no signal mask")
def test_a_worker_hears_no_interrupt_from_its_first_moment_on(monkeypatch):
    """Catches workers that fill the terminal with tracebacks if Ctrl-C comes while they are still starting."""
    monkeypatch.setattr(sys.modules["kdutils.sweeps.run"], "_worker", None)  # nor is it their own doing
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with _pool(1) as pool:
        assert signal.SIGINT in pool.submit(signal.pthread_sigmask, signal.SIG_BLOCK, []).result()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before, "this process hears them as before"


def test_the_time_left_is_that_of_the_points_measured_now(made_up, tmp_path, monkeypatch):
    """Catches points of an earlier call, which took no time in this one, in the estimate."""
    module, said, clock = sys.modules["kdutils.sweeps.run"], [], itertools.count(0, 60)
    sweep(NAME, {"size": SIZES[:1]}, folder=tmp_path / "points", base=made_up)
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    sweep(NAME, {"size": SIZES}, folder=tmp_path / "points", report=said.append, base=made_up, workers=1)
    assert said == ["1 of 4 points were finished before.", "2 of 4 points, 2:00 left", "3 of 4 points, 1:00 left",
                    "4 of 4 points"]


def test_a_damaged_point_and_changed_code_are_measured_anew(made_up, tmp_path, monkeypatch):
    folder, said = tmp_path / "points", []
    sweep(NAME, {"size": [1.0, 2.0]}, folder=folder, base=made_up, workers=1)
    damaged = sorted(folder.iterdir())[0]
    damaged.write_text("{half a fi")
    same(sweep(NAME, {"size": [1.0, 2.0]}, folder=folder, report=said.append, base=made_up, workers=1),
         expected(made_up, [1.0, 2.0]))
    assert len(runs(made_up)) == 3 and any("not a results file" in line for line in said)
    source = tmp_path / "made_up_package" / "experiment.py"
    source.write_text(source.read_text() + "# changed\n")
    sweep(NAME, {"size": [1.0, 2.0]}, folder=folder, base=made_up, workers=1)
    assert len(runs(made_up)) == 5


def test_a_change_of_what_experiments_share_is_a_change_of_their_code():
    """Catches kept points of clicks that were simulated by other code."""
    named = {file.name for file in _measures("subclass_distillation")}
    assert {"subclass_distillation.py", "subclass_clicks.py", "common.py", "metrics.py"} <= named
    assert "sweep.py" not in named, "how points are spread does not change them"


def test_one_value_is_one_point_however_it_is_written(made_up, tmp_path):
    """Catches 4 and 4.0, or NumPy's 4, kept under different keys and measured again."""
    for sizes in ([2], [2.0], np.array([2.0], dtype=np.float32)):
        same(sweep(NAME, {"size": sizes, "seed": np.arange(0, 2, 2)}, folder=tmp_path / "points", base=made_up),
             expected(made_up, [2.0]))
    assert len(runs(made_up)) == 1
    results = sweep(NAME, {"most": [None, 5]}, folder=tmp_path / "points", base=made_up, workers=1)
    assert results.params["grid"] == {"most": [None, 5]} and len(results.table) == 8


def test_a_gpu_is_not_shared_by_default(made_up):
    (on_cpu, *_), (on_gpu, *_) = (points(NAME, {"device": [name]}, made_up) for name in ("cpu", "cuda"))
    assert _at_once([on_cpu] * 3) == min(3, os.cpu_count()) and _at_once([on_cpu, on_gpu]) == 1


# What is refused ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("grid", "words"), [
    ({"temprature": [1]}, ("parameter of start_here", "temperature", "'temprature'")),
    ({"temperature": [1, 0]}, ("temperature", "> 0", "got 0")),
    ({"temperature": ["hot"]}, ("temperature", "'hot'")),
    ({"temperature": [True]}, ("temperature", "True")),
    ({"temperature": 4}, ("temperature", "list of values", "got 4")),
    ({"device": "cpu"}, ("device", "list of values", "'cpu'")),
    ({"device": [3]}, ("device", "word", "3")),
    ({"temperature": []}, ("temperature", "none")),
    ({"temperature": [4, 4.0]}, ("temperature", "4.0 twice")),
    ({"temperature": [None]}, ("temperature", "None")),
    ({"steps": [2.5]}, ("steps must be a whole number, got 2.5",)),
    ({"steps": [True]}, ("steps", "True")),
    ({"steps": [float("inf")]}, ("steps", "inf")),
    ({"seed": [-1]}, ("seed", "-1")),
    ({"seed": [0, 1]}, ("seed 1", "seed=0", "seed=1", "seeds=2")),
])
def test_wrong_names_and_values_are_refused_before_any_work(grid, words, refuses, tmp_path, monkeypatch):
    monkeypatch.setattr(start_here, "run", lambda *_: pytest.fail("it has begun"))
    with refuses(*words):
        sweep("start_here", {"transfer": [20, 30]} | grid, base=TINY, folder=tmp_path / "points", workers=1)
    assert not (tmp_path / "points").exists()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("grid", "words"), [
    ({"transfer": [20, 1201]}, ("transfer images", "between 1 and 1200", "got 1201")),
    ({"device": ["cpu", "nowhere"]}, ("device", "such as cpu", "nowhere")),
])
def test_what_the_data_forbid_is_refused_before_the_first_point_runs(grid, words, workers, refuses, monkeypatch):
    monkeypatch.setattr(start_here, "run", lambda *_: pytest.fail("it has begun"))
    said = []
    with refuses(*words):
        sweep("start_here", grid, base=TINY, workers=workers, progress=lambda *now: said.append(now))
    assert not said, "no bar is drawn"


EMBEDDED = {"dark_knowledge.image_pairs": "digits", "subclass_distillation.images": "digits-2x5",
            "subclass_distillation.mnist": "digits-2x5"}


@pytest.mark.parametrize("name", names())
def test_every_experiment_of_the_course_looks_at_its_data_first(name, monkeypatch, tmp_path, refuses):
    monkeypatch.setenv("KDUTILS_DATA", str(tmp_path))
    module = catalog.experiment(name)
    monkeypatch.setattr(module, "run", lambda *_: pytest.fail("it has begun"))
    with refuses("nowhere"):
        sweep(name, {"device": ["nowhere"]} | ({"data": [EMBEDDED[name]]} if name in EMBEDDED else {}), workers=1)
    if hasattr(module.DEFAULT, "data"):
        with refuses("The data set fashion-mnist is not in", str(tmp_path)):
            sweep(name, {"data": ["fashion-mnist" if name == "dark_knowledge.image_pairs" else "fashion-2"]}, workers=1)


def test_another_s_workers_have_data_of_their_own(fast_teachers):
    with pytest.raises(SweepError, match=r"failed \(transfer images must be .*, got 1201\); finished"):
        sweep("start_here", {"transfer": [1201]}, ThreadPoolExecutor(1), base=TINY)


def test_other_wrong_arguments_are_refused(made_up, refuses, tmp_path):
    for name in ("start_hear", "common", ""):  # unknown; there, but no experiment; nothing
        with refuses("experiment", "start_here", "dark_knowledge", repr(name)):
            sweep(name, {})
    with refuses("cannot be imported", "../start_here"):
        sweep("../start_here", {})
    with refuses("cannot be imported", "no_such_package"):
        sweep("no_such_package.experiment", {})
    with refuses("kdutils.metrics", "DEFAULT"):
        sweep("kdutils.metrics", {})
    with refuses("shape", "list", "3"):
        sweep(NAME, {"shape": [3]}, base=made_up)
    with refuses("loud", "true or false", "1"):
        sweep(NAME, {"loud": [1]}, base=made_up)
    for name in ("threads", "workers", "seeds_each"):
        with refuses(name, "0"):
            sweep("start_here", {}, base=TINY, **{name: 0})
    (tmp_path / "file").touch()
    with refuses("cannot be kept", "file"):
        sweep("start_here", {}, base=TINY, folder=tmp_path / "file")


# The command --------------------------------------------------------------------------------------------------------

def call(*words):
    return CliRunner().invoke(cli.app, ["sweep", *map(str, words)])


def test_the_command_runs_resumes_and_says_where_the_table_is(made_up, tmp_path):
    words = (NAME, "--set", "size=1,2", "--set", f"folder={made_up.folder}", "--set", "shape=[[3], [4, 5]]",
             "--workers", 1, "--out", tmp_path / "out")
    result = call(*words)
    assert result.exit_code == 0, result.output
    path = tmp_path / "out" / f"{NAME}.json"
    assert result.stdout == f"16 rows in {path}\n" and "4/4" in result.stderr
    table = Results.load(path).table
    assert table.groupby(["size", "shape"], sort=False).size().index.tolist() == [
        (1, "[3]"), (1, "[4, 5]"), (2, "[3]"), (2, "[4, 5]")]
    again = call(*words)
    assert again.exit_code == 0 and "finished before" in again.stderr and len(runs(made_up)) == 4


def test_one_value_is_one_run_with_a_changed_parameter(made_up, tmp_path):
    result = call(NAME, "--set", f"folder={made_up.folder}", "--set", "size=3", "--set", "shape=[7]", "--set",
                  "seeds=1", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    results = Results.load(tmp_path / f"{NAME}.json")
    assert results.params["shape"] == [7] and results.params["size"] == 3 and results.params["grid"] == {}
    assert results.table["value"].tolist() == [1, 2] and runs(made_up) == ["3.0 0"]


def test_a_failed_point_ends_the_command_with_1_and_keeps_the_rest(made_up, tmp_path):
    result = call(NAME, "--set", f"folder={made_up.folder}", "--set", "size=1,2", "--set", "wrong=[2]", "--workers", 1,
                  "--out", tmp_path)
    assert result.exit_code == 1 and result.stdout.startswith("Not complete: 4 rows")
    assert "size=2.0 failed (ValueError: a wrong size); finished and kept" in result.stderr


@pytest.mark.parametrize(("words", "said"), [
    (("start_here", "--set", "temperature"), "NAME=VALUES"),
    (("start_here", "--set", "temperature=1,x"), "'x'"),
    (("start_here", "--profile", "quick"), "profile of start_here must be one of lecture"),
    (("tolerant_teachers", "--set", "etas=1"), "--set 'etas=["),
    (("tolerant_teachers", "--set", "etas=[1, \"x\"]", "--set", "no=1"), "parameter of tolerant_teachers"),
    (("nothing",), "experiment must be one of"),
    (("start_here", "--set", "steps=1", "--set", "steps=2"), "--set steps must be given once"),
    (("start_here", "--set", "steps=[]"), "steps of a sweep must have at least one value, got none"),
    (("start_here", "--set", "transfer=1201"), "transfer images must be a whole number between 1 and 1200"),
])
def test_the_command_refuses_in_one_sentence(words, said):
    result = call(*words)
    assert result.exit_code == 2 and said in result.stderr and len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""


def test_the_help_has_examples_and_names_what_there_is():
    said = " ".join(call("--help").stdout.split())
    assert "kdutils sweep start_here --set temperature=1,4,16" in said
    listed = said[said.index("EXPERIMENT is"): said.index("or the dotted path")]
    assert sorted(listed.replace(",", " ").split()[2:]) == names()


def test_the_parameters_of_an_experiment_are_listed_and_nothing_is_run(monkeypatch):
    monkeypatch.setattr(start_here, "run", lambda *_: pytest.fail("it has begun"))
    result = call("start_here", "--parameters")
    assert result.exit_code == 0 and "images each student sees" in result.stdout
    assert "\ntransfer=100\n" in result.stdout and "\ntemperature=4.0\n" in result.stdout
    assert "\nsizes=[2, 10]\n" in call("subclass_distillation", "--profile", "smoke", "--parameters").stdout


def test_a_sweep_without_a_row_leaves_an_older_table_alone(made_up, tmp_path):
    words = (NAME, "--set", f"folder={made_up.folder}", "--out", tmp_path, "--set", "size=2")
    assert call(*words).exit_code == 0
    before = (tmp_path / f"{NAME}.json").read_text()
    result = call(*words, "--set", "wrong=[2]")
    assert result.exit_code == 1 and "no rows" in result.stdout
    assert (tmp_path / f"{NAME}.json").read_text() == before


def test_a_worker_ends_with_the_process_that_started_it(made_up, tmp_path):
    """Catches workers that live on for ever when the sweep itself is killed."""
    psutil = pytest.importorskip("psutil")
    import subprocess

    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(f"""
        import os, signal, sys, time
        sys.path.insert(0, {str(tmp_path)!r})
        if __name__ == "__main__":
            from dataclasses import replace
            from made_up_package.experiment import DEFAULT
            from kdutils.sweeps import sweep
            def kill(done, points):
                if done == 1:
                    os.kill(os.getpid(), signal.SIGKILL)
            sweep({NAME!r}, {{"size": [1.0, 2.0, 3.0]}}, base=replace(DEFAULT, folder={str(tmp_path)!r}), workers=2,
                  folder={str(tmp_path / "points")!r}, progress=kill)
    """))
    workers = []
    with subprocess.Popen([sys.executable, str(script)]) as process:
        watch = threading.Event()
        while process.poll() is None:
            try:
                workers = psutil.Process(process.pid).children(recursive=True) or workers
            except psutil.NoSuchProcess:
                break
            watch.wait(0.1)
    def ended(worker):
        try:
            return worker.status() == psutil.STATUS_ZOMBIE  # an orphan that nobody has reaped yet
        except psutil.NoSuchProcess:
            return True

    assert workers and until(lambda: all(map(ended, workers)))
    assert len(list((tmp_path / "points").iterdir())) == 1
    start = len(runs(made_up))
    same(sweep(NAME, {"size": [1.0, 2.0, 3.0]}, folder=tmp_path / "points", base=made_up, workers=1),
         expected(made_up, [1.0, 2.0, 3.0]))
    assert len(runs(made_up)) == start + 2
