"""Every panel of the course, moved at random by two readers at once: nothing is stuck, nothing fails, nothing is kept.

`make test` asks 300 events of all panels together, `make faults` 10,000: five rounds of 2,000, each others.
"""

import gc
import os
import random
import threading
import tracemalloc
import weakref
from itertools import pairwise

import ipywidgets
import pytest
import showcase
from helpers import descendants, ours, until
from ipywidgets.widgets.widget import _instances
from tiny_panels import Softmax

from kdutils.errors import ParameterError
from kdutils.live.training_panel import TrainingPanel

EVENTS, ROUND = int(os.environ.get("KDUTILS_EVENTS", "300")), int(os.environ.get("KDUTILS_ROUND", "0"))
NAMES = list(showcase.panels())
WRONG = (float("nan"), None, True, "no such value", -1e9, [1.0])


def move(panel, dice: random.Random) -> None:
    """One event: a control moved by hand, a wrong value from a program, or a button pressed."""
    name = dice.choice(list(panel.inputs))
    entry, kind = panel.inputs[name], dice.random()
    if kind < 0.1:
        try:
            panel.set(**{name: dice.choice(WRONG)})
        except ParameterError:
            pass
    elif kind < 0.6:
        values = list(entry.options) if hasattr(entry, "options") else \
            [entry.min + part * (entry.max - entry.min) for part in (0, dice.random(), 1)]
        value = dice.choice(values)
        entry.value = value[1] if isinstance(value, tuple) else type(entry.value)(value)
    else:
        dice.choice([one for one in descendants(panel.widget) if isinstance(one, ipywidgets.Button)]).click()


def moved(panel, seed: int, events: int) -> None:
    dice = random.Random(seed)
    for _ in range(events):
        move(panel, dice)


@pytest.fixture(autouse=True)
def torchs_loop(monkeypatch):
    """The compiler of the kernels works in a thread of its own, minutes on a busy machine, and is nobody's panel."""
    monkeypatch.setenv("KDUTILS_ENGINE", "torch")


@pytest.mark.parametrize("name", NAMES)
def test_two_readers_at_random(name, no_thread_is_left, caplog):
    """Catches a panel that hangs, a callback that fails, a thread that is left, values that no control shows, and a
    panel that stays in memory when it has been closed."""
    gone = weakref.ref(played(showcase.panel(name)))
    assert not [one for one in caplog.records if one.levelname == "ERROR"]
    assert until(lambda: gc.collect() >= 0 and gone() is None), gc.get_referrers(gone())


def played(panel):
    """The panel after its events: at rest, in order, and closed."""
    assert panel.widget
    each = max(1, EVENTS // len(NAMES) // 2)
    seeds = 2 * ROUND, 2 * ROUND + 1
    readers = [threading.Thread(target=moved, args=(panel, seed, each), name=f"reader {seed}") for seed in seeds]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    panel.cancel_release()
    if isinstance(panel, TrainingPanel):
        assert panel.stop() or until(lambda: not panel.runner.busy)
    assert until(lambda: not ours()) and panel.error is None, panel.status
    for control, entry in panel.inputs.items():
        value = panel.values[control]
        assert value == entry.value or value == pytest.approx(entry.value, rel=1e-6)
    panel.close()
    return panel


def test_memory_does_not_grow_with_panels_that_are_opened_and_closed():
    """0.2 MB per 100 cycles at most; catches widgets, layouts and styles that ipywidgets keeps.

    What panels keep grows in every round. What another thread of the process takes meanwhile, it takes once.
    """
    def cycle(times: int) -> tuple[float, int]:
        for _ in range(times):
            panel = Softmax()
            assert panel.widget
            panel.set(temperature=8.0)
            panel.close()
        del panel
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / 1e6, len(_instances)

    tracemalloc.start()
    try:
        cycle(10)
        rounds = [cycle(1), *(cycle(40) for _ in range(3))]
    finally:
        tracemalloc.stop()
    assert len({widgets for _, widgets in rounds}) == 1
    assert min(after - before for (before, _), (after, _) in pairwise(rounds)) < 0.2 * 40 / 100
