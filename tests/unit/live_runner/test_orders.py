"""The runner's orders: Train, Pause, Step, Stop, answers, and values that change."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from counting import Counting, made
from helpers import ours, until

from kdutils.live.runner import CALM
from kdutils.live.work import Job


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
