"""When a chart's frames leave, and the widget that takes them."""

import json
import threading
import time

import plotly.graph_objects as go
import pytest
from made_chart import Browser, figure

from kdutils.live.chart import Chart, Frame
from kdutils.live.live_figure import LiveFigure, Sender

# ---- pacing ---------------------------------------------------------------------------------------------------------

class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def paced():
    chart, sent, clock = Chart(figure()), [], Clock()
    sender = Sender(chart.frame, lambda frame, number: sent.append((number, frame)), chart.lock, clock)
    return chart, sender, sent, clock


def test_nothing_leaves_before_a_view_opens(paced):
    chart, sender, sent, _ = paced
    chart.append("loss", 0, 1)
    sender.push()
    assert not sent
    sender.opened()
    assert "spec" in sent[0][1].content


def test_one_frame_on_its_way_and_the_last_is_never_lost(paced):
    chart, sender, sent, _ = paced
    browser = Browser()
    sender.opened()
    for step in range(10):
        chart.append("loss", step, step)
        sender.push()
    assert len(sent) == 1
    sender.drawn(1)
    assert len(sent) == 2
    sender.drawn(2)
    assert len(sent) == 2       # nothing is left to send
    for _, frame in sent:
        browser.take(frame)
    assert browser.column("loss") == list(range(10))


def test_a_silent_browser_is_waited_for_only_a_second(paced):
    chart, sender, sent, clock = paced
    sender.opened()
    chart.append("loss", 0, 1)
    clock.now = 0.9
    sender.push()
    assert len(sent) == 1
    clock.now = 1.1
    sender.push()
    assert len(sent) == 2


def test_an_old_acknowledgement_frees_nothing(paced):
    chart, sender, sent, _ = paced
    sender.opened()                 # frame 1, to a page that is then reloaded
    sender.opened()                 # frame 2, to the new page
    chart.append("loss", 0, 1)
    sender.push()
    sender.drawn(1)                 # the old page, late
    assert len(sent) == 2
    sender.drawn(2)
    assert len(sent) == 3


def test_a_second_view_gets_everything_at_once(paced):
    chart, sender, sent, _ = paced
    sender.opened()
    chart.append("loss", 0, 1)
    sender.push()
    sender.opened()
    second = Browser()
    second.take(sent[-1][1])
    assert second.column("loss") == [1]


def test_threads_that_push_and_acknowledge_lose_nothing():
    chart, browser, frames = Chart(go.Figure([go.Scatter(uid="a"), go.Scatter(uid="b")])), Browser(), []
    arrived = threading.Condition()
    over = threading.Event()

    def send(frame, number):
        with arrived:
            frames.append((number, frame))
            arrived.notify()

    def draw():
        numbers = []
        while not (over.is_set() and not frames):
            with arrived:
                arrived.wait_for(lambda: frames or over.is_set(), 0.05)
                batch, frames[:] = list(frames), []
            for number, frame in batch:
                numbers.append(number)
                browser.take(frame)
                sender.drawn(number)
        assert numbers == sorted(numbers)

    def write(uid):
        for step in range(3000):
            chart.append(uid, step, step)
            if step % 7 == 0:
                sender.push()
        sender.push()

    sender = Sender(chart.frame, send, chart.lock)
    sender.opened()
    screen = threading.Thread(target=draw)
    writers = [threading.Thread(target=write, args=(uid,)) for uid in "ab"]
    for thread in (screen, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(browser.column("b")) + len(browser.column("a")) < 6000:
        time.sleep(0.01)
    over.set()
    screen.join()
    for uid in "ab":
        assert browser.column(uid) == list(range(3000))
    assert browser.frames < 2000    # they were gathered, not queued


# ---- the widget -----------------------------------------------------------------------------------------------------

def test_no_widget_until_one_is_asked_for(monkeypatch):
    made = []
    monkeypatch.setattr(LiveFigure, "__init__", lambda self, chart: made.append(chart))
    chart = Chart(figure())
    chart.append("loss", 0, 1)
    chart.push()
    chart.figure()
    assert not made
    assert chart.view is not None
    assert made == [chart]


def test_the_widget_speaks_the_protocol(monkeypatch):
    chart = Chart(figure())
    view, sent = chart.view, []
    monkeypatch.setattr(view, "send", lambda content, buffers=None: sent.append((content, buffers)))
    assert chart.view is view
    chart.append("loss", 0, 1)
    chart.push()
    assert not sent
    view._hear(view, {"kind": "opened"}, [])
    assert sent[0][0]["number"] == 1 and "spec" in sent[0][0]
    chart.append("loss", 1, 2)
    chart.push()
    view._hear(view, {"kind": "drawn", "number": 1, "error": "out of ink"}, [])     # a frame that failed is over too
    assert sent[1][0]["number"] == 2
    view._hear(view, {"kind": "something else"}, [])
    assert len(sent) == 2


def test_a_page_that_asks_for_the_state_gets_the_figure_of_this_moment():
    chart = Chart(figure())
    view = chart.view
    chart.append("loss", 0, 1)
    state, browser = view.get_state(), Browser()
    browser.take(Frame(state["first"], state["numbers"]))
    assert browser.column("loss") == [1]
    assert "first" not in view.get_state("config")
    assert len(json.dumps({**state, "numbers": "", "layout": ""})) < 40_000     # its own code, no plotly.js


def test_plotly_itself_travels_once_per_kernel():
    assert Chart(figure()).view.library == Chart(figure()).view.library


@pytest.mark.alone
def test_frames_are_cheap():
    chart = Chart(figure())
    chart.frame(whole=True)
    start = time.perf_counter()
    for step in range(2000):
        chart.append("loss", step, step)
        chart.frame()
    assert (time.perf_counter() - start) / 2000 < 2e-3      # 0.03 ms on a quiet machine
