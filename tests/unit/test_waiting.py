"""A page that waits for its experiment says which part is under way and how long it may take; a program prints."""

import contextlib
import re
from types import SimpleNamespace

import IPython.display
import pytest

from kdutils.course import waiting
from kdutils.course.session import Session
from kdutils.course.waiting import Waiting, time_left


@pytest.mark.parametrize(("work", "spent", "running", "left"), [
    ((1, 1, 2), (), 5, None),               # nothing is done: nothing is known
    ((1, 1, 2), (0.1,), 0, None),           # too little to go by
    ((1, 1, 2), (3,), 1, 8),                # 3 s for each unit: 2 of this part, 6 of the last
    ((1, 1, 2), (3, 3), 4, 2),
    ((2, 1, 2), (6,), 5, 2 * 5),            # longer than foreseen: the pace is that of the part under way
    ((9, 1, 1, 1), (0.1, 3), 1, 5),         # the first came from the cache
    ((9, 1, 9), (40, 4), 0, 9 * 40 / 9),    # the long part says more than the short one
    ((1, 1), (1, 1), 0, None),              # all is done
])
def test_the_time_left_follows_from_the_work_that_is_done(work, spent, running, left):
    """Catches a guess from the number of parts alone, and one that takes the cache for a quick machine."""
    assert time_left(work, spent, running) == (None if left is None else pytest.approx(left))


class Place:
    """A place on a page: all that it ever showed."""

    def __init__(self):
        self.shown: list[str] = []

    def update(self, what) -> None:
        self.shown.append(what.data)


@pytest.fixture
def place(monkeypatch):
    """A live page."""
    monkeypatch.setenv("KDUTILS_HEADLESS", "0")
    made = Place()

    def display(what, display_id):
        made.update(what)
        return made

    monkeypatch.setattr(IPython.display, "display", display)
    return made


def test_a_page_says_which_part_is_under_way_and_about_how_long_the_rest_takes():
    now = [0.0]
    told = Waiting((1, 3), clock=lambda: now[0])
    assert "Part" not in told.progress()
    told.report("teachers")
    assert "Part 1 of 2: teachers." in told.progress() and "left" not in told.progress()
    now[0] = 4.0
    told.report("students & <all>")
    now[0] = 5.0
    assert "Part 2 of 2: students &amp; &lt;all&gt;. <b>About 11 s left.</b>" in told.progress()
    assert 'value="0.312"' in told.progress()       # 5 of 16 seconds


def made_up(lines, work=(1, 1), ends=lambda: None, complete=True):
    """An experiment that reports these lines; its results are nothing but complete or not."""
    def run(params, report):
        for line in lines:
            report(line)
        ends()
        return SimpleNamespace(complete=complete)
    return SimpleNamespace(work=lambda params: work, run=run)


def test_a_run_leaves_the_list_of_its_parts_folded(place):
    assert Session("smoke", 0, "cpu", 1).run(made_up(["teachers", "students & <all>"]), "params").complete
    assert "Part 1 of 2: teachers." in place.shown[1] and "left" not in place.shown[1]
    end = place.shown[-1]
    assert re.search(r"<summary>Done: 2 parts in \d+ s\.</summary>", end) and "students &amp; &lt;all&gt;" in end
    assert "<progress" not in end


def test_what_ends_early_says_so(place):
    """Catches a page that calls an interrupted or a failed run done."""
    session = Session("smoke", 0, "cpu", 1)
    lines = ["teachers", "students", "Interrupted: the groups finished so far are kept."]
    for work in ((1, 1), (1, 1, 1)):
        session.run(made_up(lines, work, complete=False), "params")
        assert "Interrupted" in place.shown[-2] and "Stopped after" in place.shown[-1]

    def fails():
        raise ZeroDivisionError

    with contextlib.suppress(ZeroDivisionError):
        session.run(made_up(lines[:2], ends=fails), "params")
    assert "Stopped after" in place.shown[-1]


def test_the_clock_is_looked_at_while_a_part_goes_on(place, monkeypatch):
    """Catches a line that stands still through a long part, and a thread that outlives its run."""
    import threading

    monkeypatch.setattr(waiting, "EVERY", 0.01)
    renewed = threading.Event()
    first = len(place.shown)

    def wait():
        while len(place.shown) < first + 6:
            renewed.wait(0.01)

    Session("smoke", 0, "cpu", 1).run(made_up(["teachers"], work=(1,), ends=wait), "params")
    assert not [thread for thread in threading.enumerate() if thread.name == "kdutils-waiting"]


def test_a_program_gets_plain_lines_and_nothing_else(monkeypatch, capsys):
    """Catches a bar in the output of papermill, and lines that depend on the machine."""
    monkeypatch.setenv("KDUTILS_HEADLESS", "1")
    monkeypatch.setattr(IPython.display, "display", None)
    Session("smoke", 0, "cpu", 1).run(made_up(["teachers", "students"]), "params")
    assert capsys.readouterr().out == "teachers\nstudents\n"
