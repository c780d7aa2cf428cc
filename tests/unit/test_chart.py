"""The chart's data, the frames that carry it, and the sender that paces them, with a browser made of Python."""

import json
import threading
import time

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdutils.errors import ParameterError
from kdutils.live.chart import Chart, Frame
from kdutils.live.live_figure import LiveFigure, Sender


def figure() -> go.Figure:
    return go.Figure([
        go.Scatter(uid="loss", mode="lines"),
        go.Bar(uid="soft", x=["zero", "one", "two"], y=[0.2, 0.3, 0.5]),
        go.Heatmap(uid="map", x=[0, 1], y=[0, 0], z=[1, 2]),
    ])


class Browser:
    """What live_figure.js keeps: the spec, and the columns as float32."""

    def __init__(self):
        self.spec, self.columns, self.reading, self.frames = None, {}, "", 0

    def take(self, frame: Frame) -> None:
        content = json.loads(json.dumps(frame.content, allow_nan=False))
        if "spec" in content:
            self.spec, self.columns = content["spec"], {}
        if self.spec is None:
            return
        self.frames += 1
        self.reading = content.get("reading", self.reading)
        numbers, start = np.frombuffer(frame.numbers, np.float32), 0
        for uid, axis, how, count in content["parts"]:
            part = numbers[start:start + count]
            start += count
            before = self.columns.get((uid, axis), np.empty(0, np.float32)) if how == "append" else part[:0]
            self.columns[uid, axis] = np.concatenate([before, part])
        assert start == len(numbers)

    def column(self, uid: str, axis: str = "y") -> list[float]:
        return self.columns.get((uid, axis), np.empty(0)).tolist()


# ---- the data -------------------------------------------------------------------------------------------------------

def test_points_are_what_was_put_in():
    chart = Chart(figure())
    chart.append("loss", 0, 2.5)
    chart.append("loss", [1, 2], (2.0, np.nan))
    np.testing.assert_array_equal(chart.points("loss")["x"], [0, 1, 2])
    np.testing.assert_array_equal(chart.points("loss")["y"], [2.5, 2.0, np.nan])
    chart.set("soft", y=np.array([1, 0, 0]))
    assert list(chart.points("soft")) == ["y"]        # its x are words
    chart.set("map", x=[5], y=[6], z=[7])
    assert chart.points("map")["z"].tolist() == [7]


def test_points_are_copies():
    chart = Chart(figure())
    chart.append("loss", 0, 1)
    chart.points("loss")["y"][:] = 9
    assert chart.points("loss")["y"].tolist() == [1]


def test_figure_holds_data_categories_and_patches():
    chart = Chart(figure())
    chart.append("loss", 0.1, 1 / 3)
    chart.layout({"title": {"text": "Now"}, "xaxis": {"range": [0, 1]}})
    chart.layout({"xaxis": {"title": {"text": "step"}}})
    chart.restyle("soft", {"marker": {"color": np.array(["red", "red", "blue"])}})
    shown = chart.figure()
    assert shown.data[0].y[0] == 1 / 3                # not rounded to what a browser gets
    assert list(shown.data[1].x) == ["zero", "one", "two"]
    assert list(shown.data[1].marker.color) == ["red", "red", "blue"]
    assert shown.layout.title.text == "Now"
    assert shown.layout.xaxis.range == (0, 1)
    assert shown.layout.xaxis.title.text == "step"


def test_clear_and_reset():
    chart = Chart(figure())
    chart.append("loss", 0, 1)
    chart.layout({"title": {"text": "Later"}})
    chart.clear("loss")
    assert len(chart.points("loss")["x"]) == 0
    assert len(chart.points("soft")["y"]) == 3
    chart.clear()
    assert len(chart.points("soft")["y"]) == 0
    chart.reset()
    assert chart.points("soft")["y"].tolist() == [0.2, 0.3, 0.5]
    assert chart.figure().layout.title.text is None


def test_the_figure_it_was_given_is_left_alone():
    source = figure()
    chart = Chart(source)
    chart.layout({"title": {"text": "Mine"}})
    chart.set("soft", y=[1, 2, 3])
    assert source.layout.title.text is None
    assert list(source.data[1].y) == [0.2, 0.3, 0.5]


def test_numbers_in_quotes_stay_categories():
    chart = Chart(go.Figure(go.Bar(uid="a", x=["0", "1"], y=[1, 2])))
    assert chart.figure().data[0].x == ("0", "1")
    with pytest.raises(ParameterError, match="x of trace 'a' holds categories"):
        chart.set("a", x=[1, 2])


@pytest.mark.parametrize(("action", "message"), [
    (lambda chart: chart.append("los", 0, 1), "no trace 'los'; it has loss, soft, map"),
    (lambda chart: chart.append("soft", 0, 1), "x of trace 'soft' holds categories"),
    (lambda chart: chart.append("loss", [0, 1], 1), "x has 2, y has 1 points"),
    (lambda chart: chart.set("loss", x=[1, 2], y=[1]), "must be equally long"),
    (lambda chart: chart.set("map", z=[1, 2, 3]), "must be equally long"),
    (lambda chart: chart.set("soft", y=[1, 2]), "must be equally long"),
    (lambda chart: chart.set("loss", y=["a"]), "y of trace 'loss' must be numbers"),
    (lambda chart: chart.set("loss", y=[[1, 2]]), "one-dimensional, got shape"),
    (lambda chart: chart.restyle("loss", {"y": [1]}), "use set or append"),
    (lambda chart: chart.layout({"title": object()}), "text, numbers, lists and mappings, got object"),
    (lambda chart: chart.points("nope"), "no trace 'nope'"),
])
def test_wrong_input_is_refused_and_changes_nothing(action, message):
    chart = Chart(figure())
    chart.append("loss", 0, 1)
    before = chart.figure().to_json()
    with pytest.raises(ParameterError, match=message):
        action(chart)
    assert chart.figure().to_json() == before


@pytest.mark.parametrize("traces", [
    [go.Scatter()], [go.Scatter(uid="a"), go.Scatter(uid="a")],
])
def test_every_trace_needs_its_own_uid(traces):
    with pytest.raises(ParameterError, match="uid of its own"):
        Chart(go.Figure(traces))


# ---- frames ---------------------------------------------------------------------------------------------------------

def test_only_news_travels():
    chart, browser = Chart(figure()), Browser()
    for step in range(1000):
        chart.append("loss", step, step / 1000)
    browser.take(chart.frame(whole=True))
    assert chart.frame() is None
    chart.append("loss", 1000, 1)
    frame = chart.frame()
    assert frame.content["parts"] == [["loss", "x", "append", 1], ["loss", "y", "append", 1]]
    assert len(frame.numbers) == 8
    browser.take(frame)
    np.testing.assert_allclose(browser.column("loss"), chart.points("loss")["y"], rtol=1e-6)


def test_a_frame_is_valid_json_and_keeps_gaps():
    chart, browser = Chart(figure()), Browser()
    chart.append("loss", [0, 1, 2], [1, np.nan, np.inf])
    chart.layout({"yaxis": {"range": [0, np.nan]}, "shapes": [{"x0": np.float32(0.5), "y1": np.int64(3)}]})
    browser.take(chart.frame(whole=True))       # json.dumps(allow_nan=False) is in there
    assert np.isnan(browser.column("loss")[1])
    assert browser.spec["layout"]["yaxis"]["range"] == [0, None]
    assert browser.spec["layout"]["shapes"] == [{"x0": 0.5, "y1": 3}]


def test_a_look_that_changed_travels_once():
    chart = Chart(figure())
    chart.frame(whole=True)
    chart.layout({"xaxis": {"range": [0, 1]}})
    chart.layout({"xaxis": {"range": [0, 2]}})
    chart.restyle("loss", {"line": {"dash": "dot"}})
    chart.describe("It falls.")
    frame = chart.frame()
    assert frame.content == {"layout": {"xaxis": {"range": [0, 2]}}, "traces": {"loss": {"line": {"dash": "dot"}}},
                             "reading": "It falls.", "parts": []}
    chart.layout({"xaxis": {"range": [0, 3]}})
    assert frame.content["layout"]["xaxis"]["range"] == [0, 2]      # one that left does not change any more


def test_reset_takes_patches_back_in_the_browser_too():
    chart, browser = Chart(figure()), Browser()
    chart.layout({"title": {"text": "Later"}})
    browser.take(chart.frame(whole=True))
    chart.reset()
    browser.take(chart.frame())
    assert "title" not in browser.spec["layout"]
    assert chart.frame() is None


def test_a_snapshot_takes_nothing_from_the_stream():
    chart, browser = Chart(figure()), Browser()
    browser.take(chart.frame(whole=True))
    chart.append("loss", 0, 1)
    chart.snapshot()
    browser.take(chart.frame())
    assert browser.column("loss") == [1]


changes = st.lists(st.one_of(
    st.tuples(st.just("append"), st.integers(0, 5)),
    st.tuples(st.just("set"), st.integers(0, 5)),
    st.tuples(st.sampled_from(["clear", "reset", "frame", "open"]), st.just(0)),
), max_size=30)


@settings(deadline=None, max_examples=60)
@given(changes)
def test_whatever_happens_the_browser_ends_with_the_same_data(todo):
    chart, browser, value = Chart(figure()), Browser(), 0
    browser.take(chart.frame(whole=True))
    for what, count in todo:
        values = list(range(value, value + count))
        value += count
        match what:
            case "append":
                chart.append("loss", values, values)
            case "set":
                chart.set("loss", x=values, y=values)
            case "clear":
                chart.clear()
            case "reset":
                chart.reset()
            case _:
                if frame := chart.frame(whole=what == "open"):
                    browser.take(frame)
    if frame := chart.frame():
        browser.take(frame)
    for uid in ("loss", "soft", "map"):
        for axis, points in chart.points(uid).items():
            np.testing.assert_array_equal(browser.column(uid, axis), points.astype(np.float32))


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
