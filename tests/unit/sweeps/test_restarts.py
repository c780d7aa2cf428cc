"""Failures, interrupts and restarts: what is finished is kept, and only what is right is taken up again."""

import itertools
import multiprocessing
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from helpers import until
from made_up import NAME, SIZES, expected, runs, same

from kdutils.results import Results
from kdutils.sweeps import SweepError, sweep
from kdutils.sweeps.points import measuring_files
from kdutils.sweeps.pool import pool_of


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


def test_after_an_interrupt_nothing_is_left_to_wait_for():
    """Catches the traceback that a second Ctrl-C gets from a pool that is still ending."""
    before, workers = threading.enumerate(), []
    with pytest.raises(KeyboardInterrupt), pool_of(2) as pool:
        long = [pool.submit(time.sleep, 600) for _ in range(2)]
        assert until(lambda: all(future.running() for future in long))
        workers += multiprocessing.active_children()
        raise KeyboardInterrupt
    assert threading.enumerate() == before and len(workers) == 2 and not any(worker.is_alive() for worker in workers)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no signal mask")
def test_a_worker_hears_no_interrupt_from_its_first_moment_on(monkeypatch):
    """Catches workers that fill the terminal with tracebacks if Ctrl-C comes while they are still starting."""
    monkeypatch.setattr(sys.modules["kdutils.sweeps.pool"], "watch_parent", None)  # nor is it their own doing
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with pool_of(1) as pool:
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


def test_a_damaged_point_and_changed_code_are_measured_again(made_up, tmp_path, monkeypatch):
    folder, said = tmp_path / "points", []
    sweep(NAME, {"size": [1.0, 2.0]}, folder=folder, base=made_up, workers=1)
    damaged = sorted(folder.iterdir())[0]
    damaged.write_text("{half a fi")
    same(sweep(NAME, {"size": [1.0, 2.0]}, folder=folder, report=said.append, base=made_up, workers=1),
         expected(made_up, [1.0, 2.0]))
    assert len(runs(made_up)) == 3 and any("not the file of a point" in line for line in said)
    source = tmp_path / "made_up_package" / "experiment.py"
    source.write_text(source.read_text() + "# changed\n")
    sweep(NAME, {"size": [1.0, 2.0]}, folder=folder, base=made_up, workers=1)
    assert len(runs(made_up)) == 5


def test_a_change_of_what_experiments_share_is_a_change_of_their_code():
    """Catches kept points of clicks that were simulated by other code."""
    named = {file.name for file in measuring_files("subclass_distillation")}
    assert {"experiment.py", "clicks.py", "cohorts.py", "metrics.py"} <= named
    assert not {"run.py", "figures.py", "claims.py"} & named, "how points are spread and shown does not change them"


def test_one_value_is_one_point_however_it_is_written(made_up, tmp_path):
    """Catches 4 and 4.0, or NumPy's 4, kept under different keys and measured again."""
    for sizes in ([2], [2.0], np.array([2.0], dtype=np.float32)):
        same(sweep(NAME, {"size": sizes, "seed": np.arange(0, 2, 2)}, folder=tmp_path / "points", base=made_up),
             expected(made_up, [2.0]))
    assert len(runs(made_up)) == 1
    results = sweep(NAME, {"most": [None, 5]}, folder=tmp_path / "points", base=made_up, workers=1)
    assert results.params["grid"] == {"most": [None, 5]} and len(results.table) == 8
