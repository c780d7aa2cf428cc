"""Labs: answers that follow a control, values that a run belongs to, answers kept; with a tiny made-up training."""

import time
from dataclasses import dataclass

import plotly.graph_objects as go
import pytest
from helpers import ours, until, x
from plotly.subplots import make_subplots
from tiny_panels import Snapshot, button

from kdutils.live.control import Slider
from kdutils.live.curves import add_answers
from kdutils.live.following import QUICK
from kdutils.live.lab import Lab
from kdutils.results import Effect
from kdutils.training import Knobs


@dataclass(frozen=True)
class Answer:
    temperature: float
    size: int
    gain: Effect
    mixed: bool


class TinyLab(Lab):
    """Its answer is the sum of the temperatures of all its steps."""

    title = "Tiny"
    controls = (Slider("temperature", "T", low=1.0, high=100.0, step=0.25, default=4.0),
                Slider("size", "n", low=1, high=9))
    presets = {"hot": {"temperature": 50.0}}
    over, static = "temperature", (1.0, 10.0)
    delay, patience = 0.05, 60.0
    total, nap = 20, 0.0005

    def __init__(self, **values):
        self.knobs, self.sum, self.sizes = None, 0.0, []
        super().__init__(**values)

    def build_figure(self):
        figure = make_subplots(rows=1, cols=1)
        add_answers(figure, "tolerant", "distilled", col=1)
        return go.Figure(figure)

    def turned(self):
        return [(self.knobs, {"temperature": self.values["temperature"]})] if self.knobs else []

    def begin(self):
        super().begin()
        self.knobs, self.sum = None, 0.0

    def start(self):
        self.knobs = Knobs(temperature=self.asked["temperature"])
        size = self.asked["size"]
        for step in range(self.total + 1):
            time.sleep(self.nap)
            yield Snapshot(step, self.total)
        self.sizes.append((size, self.asked["size"]))

    def observe(self, snapshot):
        self.sum += self.knobs["temperature"]

    def finish(self):
        t, self.knobs = self.knobs["temperature"], None
        size = self.sizes[-1][1]
        self.add(Answer(t, size, Effect(self.sum, self.sum, self.sum, 3), self.mixed))

    def reading(self):
        return f"{len(self.answers)} answers, the newest {self.sum:g}."


class SlowLab(TinyLab):
    """An answer takes longer than a hand should wait for."""

    nap = 1.3 * QUICK / 21


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert until(lambda: not ours()), ours()


def on_page(kind=TinyLab, **values):
    lab = kind(**values)
    assert lab.widget
    return lab


def pure(lab) -> bool:
    """Every answer is that of one temperature, from the first step to the last, and drawn where it belongs."""
    return all(a.gain.mean == pytest.approx(21 * a.temperature) and not a.mixed for a in lab.answers)


def test_answers_follow_a_control_and_none_is_of_two_settings():
    """The kernel's half of dragging: new values in the middle of runs."""
    lab = on_page()
    moving = [2.0 + 0.25 * i for i in range(40)]
    for value in moving:
        lab.inputs["temperature"].value = value
        time.sleep(0.01)
    during = len(lab.answers)
    assert lab.wait(60) and until(lambda: lab.answers[-1].temperature == moving[-1])
    assert during >= 3, "while the control moves"
    assert pure(lab) and {a.temperature for a in lab.answers} <= set(moving)
    assert lab.answers[-1].temperature == lab.values["temperature"]
    assert x(lab, "answers") == [a.temperature for a in lab.answers] and x(lab, "latest") == [moving[-1]]
    assert lab.reading() == f"{len(lab.answers)} answers, the newest {21 * moving[-1]:g}."


def test_a_run_under_way_ends_and_the_newest_value_is_answered():
    lab = on_page(nap := type("Measured", (TinyLab,), {"nap": 0.005}))
    lab.inputs["temperature"].value = 8.0
    assert until(lambda: lab.answers)
    lab.inputs["temperature"].value = 9.0       # runs
    assert until(lambda: lab.knobs is not None and lab.state == "training")
    for value in (10.0, 11.0, 12.0):            # wait
        lab.inputs["temperature"].value = value
    assert until(lambda: not lab.runner.busy)
    assert [a.temperature for a in lab.answers] == [8, 9, 12] and pure(lab) and nap.total == 20


def test_presets_follow_too():
    lab = on_page()
    button(lab, "hot").click()
    assert until(lambda: [a.temperature for a in lab.answers] == [50.0])


def test_where_answers_are_slow_letting_go_starts_them_by_itself():
    lab = on_page(SlowLab)
    lab.inputs["temperature"].value = 8.0       # nobody knows yet how long it takes
    assert until(lambda: lab.runner.busy and not lab.answers, 0.5) and lab.wait(60)
    began = []
    begin = lab.begin
    lab.begin = lambda: (began.append(lab.values["temperature"]), begin())
    for value in (9.0, 10.0, 11.0):
        lab.inputs["temperature"].value = value
    assert not lab.runner.busy or began == [11.0], "not before it was let go"
    assert until(lambda: lab.answers[-1].temperature == 11) and began == [11.0] and pure(lab)


def test_where_answers_are_slow_letting_go_again_starts_anew():
    lab = on_page(SlowLab)
    lab.inputs["temperature"].value = 8.0
    assert until(lambda: lab.knobs is not None)
    lab.inputs["temperature"].value = 9.0
    assert until(lambda: lab.answers) and until(lambda: not lab.runner.busy)
    assert [a.temperature for a in lab.answers] == [9.0] and pure(lab)


def test_one_slow_answer_does_not_end_following():
    lab = on_page()
    lab.inputs["temperature"].value = 8.0
    assert until(lambda: lab.answers)
    lab.nap = 1.3 * QUICK / 21
    lab.inputs["temperature"].value = 9.0
    assert until(lambda: len(lab.answers) == 2) and lab.quick(frozenset({"temperature"}))
    for value in (10.0, 11.0):
        lab.inputs["temperature"].value = value
        assert until(lambda value=value: lab.answers[-1].temperature == value)
    assert not lab.quick(frozenset({"temperature"})), "three in a row do"
    lab.nap = 0.0
    lab.inputs["temperature"].value = 12.0
    assert until(lambda: lab.answers[-1].temperature == 12) and lab.quick(frozenset({"temperature"}))


def test_the_status_line_is_calm_while_answers_follow():
    lab = on_page()
    lab.inputs["temperature"].value = 8.0
    assert until(lambda: lab.answers) and lab.wait(60)
    said, say = [], lab.say
    lab.say = lambda status, *more, **named: (said.append(status), say(status, *more, **named))
    for value in range(10, 40):
        lab.inputs["temperature"].value = float(value)
        time.sleep(0.01)
    assert lab.wait(60) and until(lambda: lab.answers[-1].temperature == 39)
    assert all(words.startswith("Done: 20 steps in 0.") for words in said), set(said)


def test_a_control_acts_on_a_run_that_is_watched_and_marks_its_answer():
    lab = TinyLab()
    lab.step()
    lab.set(temperature=50)
    assert until(lambda: lab.mixed)
    lab.full_speed = True
    lab.train()
    assert lab.wait(60)
    assert lab.answers[-1].mixed and lab.answers[-1].gain.mean == 4 + 20 * 50 and x(lab, "others") == [50]


def test_from_python_too_a_control_does_not_touch_a_run_to_an_answer():
    lab = type("Measured", (TinyLab,), {"nap": 0.005})()
    lab.answer()
    assert until(lambda: lab.knobs is not None)
    lab.set(temperature=50, size=7)
    assert lab.wait(60) and pure(lab)
    assert [(a.temperature, a.size) for a in lab.answers] == [(4.0, 1)] and lab.sizes == [(1, 1)]
    assert x(lab, "others") == [4] and x(lab, "answers") == [], "of another size"


def test_whoever_pauses_an_answer_watches_it_and_controls_act_again():
    lab = type("Measured", (TinyLab,), {"nap": 0.01})()
    lab.answer()
    assert until(lambda: lab.knobs is not None)
    lab.pause()
    lab.set(temperature=50)
    assert lab.state == "paused" and until(lambda: lab.mixed and lab.knobs["temperature"] == 50)
    assert lab.stop()


def test_nothing_follows_in_a_watched_run_or_a_pause():
    lab = on_page()
    lab.step()
    lab.inputs["temperature"].value = 9.0
    assert until(lambda: [thread.name for thread in ours()] == ["kdutils-TinyLab"])      # nobody waits for letting go
    assert lab.state == "paused" and not lab.answers
    assert lab.stop()


def test_train_during_an_answer_follows_it():
    lab = type("Measured", (TinyLab,), {"nap": 0.005})()
    lab.answer()
    assert until(lambda: lab.runner.busy)
    lab.train()
    lab.full_speed = True
    assert lab.wait(60) and not lab.answering and lab.state == "done"


def test_an_answer_to_the_same_values_takes_the_place_of_the_former():
    lab = TinyLab()
    for t in (4.0, 8.0, 4.0):
        lab.set(temperature=t)
        lab.run()
    assert [a.temperature for a in lab.answers] == [8, 4] and x(lab, "latest") == [4]


def test_a_sweep_ends_with_what_was_set():
    lab = TinyLab(temperature=4.0)
    lab.sweep((2.0, 4.0, 8.0))
    assert [a.temperature for a in lab.answers] == [2, 8, 4] and lab.values["temperature"] == 4


def test_without_a_reader_the_static_values_are_answered_beside_the_one_that_was_set(monkeypatch):
    monkeypatch.setenv("KDUTILS_HEADLESS", "1")
    lab = TinyLab()
    assert lab._repr_mimebundle_()["text/plain"] == "3 answers, the newest 84."
    assert [a.temperature for a in lab.answers] == [1, 10, 4] and not ours()


def test_reset_forgets_the_answers():
    lab = TinyLab()
    lab.run()
    lab.reset()
    assert not lab.answers and lab.state == "idle" and x(lab, "answers") == []
