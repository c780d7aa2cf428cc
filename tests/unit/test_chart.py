"""A chart's data, and the frames in which they travel."""


import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_chart import Browser, figure

from kdutils.errors import ParameterError
from kdutils.live.chart import Chart

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
