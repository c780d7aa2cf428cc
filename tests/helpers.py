"""What tests of panels and figures ask again and again."""

import base64
import math
import re
import statistics
import sys
import threading
import time

import numpy as np
import plotly.graph_objects as go
import scipy.stats


def ours() -> list[threading.Thread]:
    """The threads that panels have started and that still live."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("kdutils-")]


def until(condition, timeout: float = 60.0) -> bool:
    """Wait for a condition; whether it came."""
    end = time.monotonic() + timeout
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
    return bool(condition())


def x(panel, uid: str) -> list[float]:
    """Where the points of a panel's trace stand."""
    return panel.chart.points(uid)["x"].tolist()


def y(panel, uid: str) -> np.ndarray:
    """How high they are."""
    return panel.chart.points(uid)["y"]


def column(values) -> np.ndarray:
    """The numbers of an axis: plotly gives None for NaN, and packs arrays in its JSON."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"]).astype(float)
    return np.array([math.nan if value is None else value for value in values], float)


def student_interval(values) -> tuple[float, float]:
    """95% of Student's t, by SciPy."""
    return scipy.stats.t.interval(0.95, len(values) - 1, values.mean(), scipy.stats.sem(values))


def answers_at_once(panel, settings) -> None:
    """The contract: under 100 ms; with the widget, as on a page. The median of many, for busy machines."""
    assert panel.widget
    took = []
    for values in settings:
        start = time.perf_counter()
        panel.set(**values)
        took.append(time.perf_counter() - start)
    assert statistics.median(took) < 0.1


def acts_at_once(panel, name: str, values, acted) -> None:
    """While a run goes on at full speed, with the widget made: a value set from Python is soon back, and soon acts."""
    assert panel.widget
    panel.train()
    assert until(lambda: acted(panel) is not None)
    back, done = [], []
    for value in values:
        start = time.perf_counter()
        panel.set(**{name: value})
        back.append(time.perf_counter() - start)
        assert until(lambda value=value: acted(panel) == value)
        done.append(time.perf_counter() - start)
    assert statistics.median(back) < 0.1 and statistics.median(done) < 0.5      # room for a busy machine
    assert panel.stop()


def headless_page(make, monkeypatch):
    """The panel that `make` makes where nobody can act on it, once it has shown itself: whole, and without a widget."""
    monkeypatch.setenv("KDUTILS_HEADLESS", "1")
    panel = make()
    monkeypatch.setitem(sys.modules, "ipywidgets", None)        # no widget can be made
    bundle = panel._repr_mimebundle_()
    assert set(bundle) == {"application/vnd.plotly.v1+json", "image/png", "text/plain"}
    assert bundle["text/plain"] == panel.reading()
    assert "press train" not in panel.reading().lower()
    drawn = go.Figure(bundle["application/vnd.plotly.v1+json"])
    for trace, now in zip(drawn.data, panel.chart.figure().data, strict=True):
        if trace.type != "image":       # a picture has no points
            np.testing.assert_allclose(column(trace.y), column(now.y))
    assert len(str(bundle)) < 150_000
    return panel


def descendants(widget):
    """A widget and all that is in it."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from descendants(child)


def line(panel, look: str):
    """The line of text on a panel's page with this CSS class: "kd-status" or "kd-reading"."""
    (found,) = [widget for widget in descendants(panel.widget) if getattr(widget, "look", "") == look]
    return found


def per_cent(words: str) -> list[float]:
    """The percentages in a sentence."""
    return [float(n) for n in re.findall(r"([\d.]+)%", words)]
