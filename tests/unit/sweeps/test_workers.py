"""Workers that die: nothing is lost, and nothing counted twice."""

import sys
import textwrap
import threading
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace

import pytest
from helpers import until
from made_up import NAME, SIZES, expected, runs, same

from kdutils.sweeps import SweepError, sweep
from kdutils.sweeps.points import points
from kdutils.sweeps.pool import cores
from kdutils.sweeps.run import default_workers


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

    monkeypatch.setattr(sys.modules["kdutils.sweeps.pool"], "pool_of", pool)
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


def test_a_gpu_is_not_shared_by_default(made_up):
    (on_cpu, *_), (on_gpu, *_) = (points(NAME, {"device": [name]}, made_up) for name in ("cpu", "cuda"))
    assert default_workers([on_cpu] * 3) == min(3, cores()) and default_workers([on_cpu, on_gpu]) == 1
