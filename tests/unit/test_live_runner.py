"""A run in its thread: orders from many hands, pace, errors, threads, memory. No figure, no widget."""

import gc
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref

import numpy as np
import pytest
from helpers import ours, until
from tiny_panels import Snapshot

from kdutils.errors import ParameterError
from kdutils.live.runner import CALM, WORDS, Runner
from kdutils.live.work import Job


class Counting:
    """A work that counts to `total` and writes down what it is asked."""

    pace, frames, patience = 60.0, 8.0, 30.0
    total, nap, heeds = 50, 0.0, 0.0

    def __init__(self, **changes):
        self.lock = threading.RLock()
        self.seen: list[int] = []                       # snapshots of the newest run
        self.drawn: list[frozenset[str]] = []           # names
        self.news: list[tuple] = []                     # (state, step, moment)
        self.shown: list[int] = []                      # how many snapshots there were
        self.pushed: list[int] = []
        self.begun = self.finished = self.closed = self.cleared = 0
        self.complaints: list[Exception] = []
        for name, value in changes.items():
            setattr(self, name, value)
        self.runner = Runner(self, "Counting")

    def begin(self):
        self.begun += 1
        self.seen.clear()

    def start(self):
        try:
            for step in range(self.total + 1):
                time.sleep(self.nap)
                yield Snapshot(step, self.total)
        finally:
            self.closed += 1

    def observe(self, snapshot):
        self.seen.append(snapshot.step)

    def finish(self):
        self.finished += 1

    def clear(self):
        self.cleared += 1
        self.seen.clear()

    def refresh(self, names):
        self.drawn.append(names)

    def show(self):
        self.shown.append(len(self.seen))

    def push(self):
        self.pushed.append(len(self.seen))

    def run_changed(self):
        at = self.runner.at
        self.news.append((str(self.runner.state), at.step if at else None, time.monotonic()))

    def complain(self, error):
        self.complaints.append(error)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert until(lambda: not ours()), ours()


@pytest.fixture
def reported(monkeypatch):
    errors = []
    monkeypatch.setattr(threading, "excepthook", lambda args: errors.append(args.exc_value))
    return errors


def made(**changes) -> tuple[Counting, Runner]:
    """A work that goes at full speed, and its runner."""
    work = Counting(**changes)
    work.runner.full_speed = True
    return work, work.runner


def test_the_runner_knows_no_figure_and_no_widget():
    code = ("import sys, kdutils.live.runner\n"
            "assert not {'plotly', 'ipywidgets', 'anywidget', 'IPython', 'torch'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# ---- orders ------------------------------------------------------------------------------------------------------

def test_step_starts_a_run_and_reaches_its_end():
    work, run = made(total=2)
    for taken in (1, 2, 3):
        run.step()
        assert (len(work.seen), run.state, run.parked) == (taken, "paused", True)
    run.step()
    assert run.state == "done" and work.finished == work.closed == 1


def test_after_the_end_train_starts_afresh():
    work, run = made()
    for _ in range(3):
        assert run.train() and run.wait(60)
        assert work.seen == list(range(51)) and run.state == "done"
    assert work.finished == work.begun == 3


def test_train_is_no_order_while_a_watched_run_goes_on():
    work, run = made(total=50_000)
    assert run.train() and not run.train() and not run.train(Job.ANSWER)
    assert until(lambda: work.seen) and work.begun == 1
    assert run.stop() and run.state == "stopped"


def test_train_during_a_slow_stop_starts_afresh_in_the_same_thread():
    work, run = made(nap=0.1, total=50_000, patience=0.0)
    run.train()
    assert until(lambda: work.seen) and run.stop() is False
    run.train()
    assert len(ours()) == 1
    assert until(lambda: work.closed == 1)
    assert until(lambda: len(work.seen) > 1) and run.state == "training"
    work.patience = 60
    assert run.stop() and work.seen == list(range(len(work.seen))), "afresh: from step 0"


def test_stop_forgets_what_was_to_follow():
    work, run = made(nap=0.05, total=50_000, patience=0.0)
    run.train()
    run.stop()
    run.train()
    run.stop()
    assert run.wait(60) and run.state == "stopped" and work.begun == 1


def test_orders_during_an_answer_wait_for_its_end_and_the_newest_counts():
    """Neither a second answer nor Train may cut short an answer that somebody waits for."""
    work, run = made(nap=0.002)
    run.train(Job.ANSWER)
    assert until(lambda: work.seen)
    for job in (Job.ANSWER, Job.ANSWER, Job.TRAIN):
        assert run.train(job)
    assert run.wait(60) and work.begun == work.finished == 2
    assert not run.answering, "the last order was a run to be watched"


def test_an_answer_goes_at_full_speed_and_whoever_pauses_watches_it():
    work = Counting(pace=0.001)
    run = work.runner
    run.train(Job.ANSWER)
    assert run.wait(60) and run.answering and work.finished == 1
    work.nap = 0.005
    run.train(Job.ANSWER)
    assert until(lambda: len(work.seen) > 2 and work.begun == 2)
    run.pause()
    assert run.state == "paused" and not run.answering
    run.full_speed = True
    assert run.train() and run.wait(60) and work.finished == 2


def test_pace_and_full_speed():
    work = Counting(pace=200, total=40)
    run, start = work.runner, time.monotonic()
    run.train()
    assert run.wait(60) and time.monotonic() - start > 0.19      # 40 steps at 200 a second
    work.pace = 0.001
    run.train()
    assert until(lambda: work.begun == 2 and work.seen)
    run.pause()                                 # in the middle of a wait of a quarter of an hour
    run.train()
    run.full_speed = True                       # and again
    assert run.wait(60) and run.state == "done" and work.seen[-1] == 40


def test_clear_ends_the_run_first():
    work, run = made(total=50_000)
    run.train()
    assert until(lambda: len(work.seen) > 2)
    run.clear()
    assert (run.state, run.at, work.cleared, work.seen) == ("idle", None, 1, [])
    run.clear()
    assert work.cleared == 2 and work.begun == 1


def test_many_hands_give_all_orders():
    work, run = made(total=200, nap=0.0005, patience=0.05)
    failures = []

    def press(seed):
        random = np.random.default_rng(seed)
        orders = [run.train, lambda: run.train(Job.ANSWER), run.pause, run.step, run.stop, run.clear,
                  lambda: run.changed(frozenset({"t"})),
                  lambda: setattr(run, "full_speed", bool(random.integers(2)))]
        try:
            for _ in range(60):
                orders[random.integers(len(orders))]()
                assert len(ours()) <= 1
        except Exception as error:
            failures.append(error)

    hands = [threading.Thread(target=press, args=(seed,)) for seed in range(4)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join(120)
    assert not any(hand.is_alive() for hand in hands) and not failures and not work.complaints
    work.patience = 60
    run.clear()
    assert run.state == "idle" and not work.seen
    run.full_speed = True
    run.train()
    assert run.wait(60) and len(work.seen) == 201


# ---- values ------------------------------------------------------------------------------------------------------

def test_values_are_drawn_by_the_run_or_by_whoever_changed_them():
    work, run = made(total=50_000, nap=0.001)
    assert not run.changed(frozenset({"t"})), "nothing runs"
    run.train()
    assert until(lambda: work.seen) and run.changed(frozenset({"t"}))
    assert until(lambda: work.drawn == [{"t"}])
    run.pause()
    assert run.changed(frozenset({"alpha"})) and until(lambda: work.drawn[1:] == [{"alpha"}])
    assert run.stop() and not run.changed(frozenset({"t"}))


def test_an_answer_draws_new_values_when_it_is_there():
    """Not in the middle: its figure would be half of one setting, half of another."""
    work, run = made(nap=0.001)
    at = []
    work.refresh = lambda names: at.append((names, len(work.seen), run.state))
    work.begin = lambda: (work.seen.clear(), threading.Thread(target=run.changed, args=(frozenset("t"),)).start())
    run.train(Job.ANSWER)
    assert run.wait(60)
    assert run.seconds > CALM or at == [({"t"}, 51, "done")]


@pytest.mark.parametrize("late", ["train", "values"])
def test_what_is_asked_in_the_very_moment_of_the_end_is_done(late):
    """The run has said its last word and draws values that changed meanwhile: the thread must look once more."""
    work, run = made()
    asked = []

    def last_moment(names):
        work.drawn.append(names)
        if run.state == "done" and not asked:
            order = run.train if late == "train" else lambda: run.changed(frozenset({"late"}))
            asked.append(threading.Thread(target=order))
            asked[0].start()
            asked[0].join()

    work.refresh = last_moment
    work.finish = lambda: (Counting.finish(work), run.changed(frozenset({"never"})), hand.start(), hand.join())
    hand = threading.Thread(target=run.changed, args=(frozenset({"first"}),))
    run.train()
    if late == "train":
        assert until(lambda: work.finished == 1 and asked)
        work.finish = lambda: Counting.finish(work)
    assert run.wait(60) and run.state == "done" and asked
    assert work.finished == (2 if late == "train" else 1)
    assert late == "train" or work.drawn == [{"first"}, {"late"}]


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
