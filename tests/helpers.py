"""What tests of panels and figures ask again and again."""

import base64
import math
import re
import threading
import time

import numpy as np
import scipy.stats


def ours() -> list[threading.Thread]:
    """The threads that panels have started and that still live."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("kdutils-")]


def until(condition, timeout: float = 20.0) -> bool:
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


def per_cent(words: str) -> list[float]:
    """The percentages in a sentence."""
    return [float(n) for n in re.findall(r"([\d.]+)%", words)]
