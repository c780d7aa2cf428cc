"""What the runner reports: figures, sentences, errors; the threads and the memory it leaves."""

import gc
import threading
import time
import tracemalloc
import weakref

import numpy as np
import pytest
from counting import Counting, made
from helpers import ours, until

from kdutils.errors import ParameterError
from kdutils.live.runner import CALM, WORDS
from kdutils.live.work import Job


@pytest.fixture
def reported(monkeypatch):
    errors = []
    monkeypatch.setattr(threading, "excepthook", lambda args: errors.append(args.exc_value))
    return errors


# ---- figures and sentences ---------------------------------------------------------------------------------------

def test_sentences_twice_a_second_with_the_time_that_is_left():
    work = Counting(pace=50, total=60)
    left = []
    said = work.run_changed
    work.run_changed = lambda: (said(), left.append(work.runner.left))
    work.runner.train()
    assert work.runner.wait(60)
    moments = [moment for state, step, moment in work.news if state == "training" and step is not None]
    assert len(moments) >= 2 and np.diff(moments).min() > 0.9 * WORDS
    assert work.news[0][:2] == ("training", None) and work.news[-1][:2] == ("done", 60)
    assert 0 < left[-2] < 2


def test_the_speed_may_change_at_any_moment():
    """Also between the note of a snapshot and the words about the time that is left."""
    work, run = made(total=30, nap=0.05)       # long enough to be told about twice
    work.show = lambda: setattr(run, "full_speed", True)
    run.train()
    assert run.wait(60) and run.state == "done"


def test_frames_are_few_and_the_last_word_comes_with_everything():
    work, run = made(total=20_000)
    start = time.monotonic()
    run.train()
    assert run.wait(60)
    assert work.shown[-1] == 20_001 and len(work.shown) + len(work.pushed) < 6 + 12 * (time.monotonic() - start)


def test_a_short_answer_draws_nothing_on_its_way():
    """A browser that draws the beginning is not free for the end."""
    work, run = made(nap=0.0005)
    run.train(Job.ANSWER)
    assert run.wait(60)
    assert run.seconds > CALM or (work.shown, work.pushed) == ([51], [])
    run.train()
    assert run.wait(60) and len(work.shown) > 2, "a watched run is seen from its first step"


def test_a_pause_shows_everything_up_to_it():
    work, run = made(total=50_000, frames=0.1)
    run.train()
    assert until(lambda: len(work.seen) > 50)
    run.pause()
    assert work.shown[-1] == len(work.seen) and work.news[-1][:2] == ("paused", work.seen[-1])
    run.stop()


# ---- errors, threads, memory ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("method", ["begin", "start", "observe", "finish", "show"])
def test_errors_anywhere_end_the_run_in_order(method, reported):
    work, run = made()

    def fail(*_):
        raise RuntimeError("no luck")

    setattr(work, method, fail)
    run.train()
    with pytest.raises(RuntimeError, match="no luck"):
        run.wait(60)
    assert run.state == "failed" and reported == [run.error] and work.news[-1][0] == "failed"
    assert work.closed == (method in ("observe", "finish", "show"))
    delattr(work, method)
    run.train()
    assert run.wait(60) and run.state == "done" and run.error is None


def test_an_error_outside_a_run_is_complained_of_and_kills_no_thread():
    work, run = made()
    work.clear = lambda: 1 / 0
    run.clear()
    assert [type(error) for error in work.complaints] == [ZeroDivisionError] and run.state == "idle"
    run.train()
    assert run.wait(60) and run.state == "done"


def test_a_parameter_error_is_for_the_reader_only(reported):
    work, run = made()

    def refuse():
        raise ParameterError("temperature must be lower, got 4.")

    work.start = refuse
    run.train()
    with pytest.raises(ParameterError):
        run.wait(60)
    assert run.state == "failed" and not reported


def test_stop_and_values_from_inside_the_run_do_not_wait_for_themselves():
    work, run = made()

    def stop_at_five(snapshot):
        Counting.observe(work, snapshot)
        if snapshot.step == 5:
            assert run.stop() is False and run.wait() is False and run.changed(frozenset("t")) is False

    work.observe = stop_at_five
    run.train()
    assert run.wait(60) and run.state == "stopped" and work.seen == list(range(6))


def test_in_the_calling_thread_an_interrupt_keeps_what_there_is(reported):
    work, run = made()

    def interrupted(snapshot):
        if snapshot.step == 7:
            raise KeyboardInterrupt
        Counting.observe(work, snapshot)

    work.observe = interrupted
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert run.state == "stopped" and len(work.seen) == 7 and work.closed == 1 and not run.busy
    del work.observe
    run.run()
    assert run.state == "done" and len(work.seen) == 51 and not reported


def test_snapshots_are_not_kept():
    work, run = made()
    alive = weakref.WeakSet()
    work.observe = alive.add
    for _ in range(3):
        run.step()
    assert run.state == "paused"
    run.stop()
    gc.collect()
    assert not list(alive)      # a snapshot holds a whole population


@pytest.mark.alone
def test_a_hundred_runs_leave_no_thread_and_no_memory():
    work, run = made(total=10_000)
    sizes = []
    tracemalloc.start()
    try:
        for cycle in range(100):
            run.train()
            assert len(ours()) == 1
            assert until(lambda: len(work.seen) > 5)
            assert run.stop()
            if cycle in (20, 99):
                for kept in (work.seen, work.news, work.shown, work.pushed):
                    kept.clear()
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert work.closed == 100 and until(lambda: not ours())
    assert sizes[1] - sizes[0] < 100_000
