"""Two tiny panels for tests: a formula, and a made-up training whose loss falls."""

import math
import threading
import time

import ipywidgets
import numpy as np
import plotly.graph_objects as go
from helpers import descendants

from kdutils.errors import ParameterError
from kdutils.live.control import Choice, LogSlider, Slider
from kdutils.live.panel import Panel
from kdutils.live.training_panel import TrainingPanel


class Softmax(Panel):
    """A formula panel: no training."""

    title = "Softmax & co."
    controls = (LogSlider("temperature", "Temperature", low=0.5, high=50.0, default=4.0, help="How soft"),
                Slider("classes", "Classes", low=2, high=10, default=5),
                Choice("shape", "Shape", options=("linear", "square")))
    presets = {"hot": {"temperature": 20.0}, "few": {"classes": 2, "shape": "square"}}
    delay = 0.03
    release_error = False

    def __init__(self, **values):
        self.draws, self.releases = [], []
        super().__init__(**values)

    def build_figure(self):
        return go.Figure(go.Scatter(uid="p"))

    def draw(self, changed):
        self.draws.append(changed)
        n = self.values["classes"]
        logits = np.arange(n) ** (1 if self.values["shape"] == "linear" else 2) / self.values["temperature"]
        p = np.exp(logits - logits.max())
        self.chart.set("p", x=np.arange(n), y=p / p.sum())

    def reading(self):
        return f"The top class has {self.chart.points('p')['y'].max():.0%}."

    def check(self, values):
        if values["shape"] == "square" and values["classes"] > 8:
            raise ParameterError(f"classes must be <= 8 for squares, got {values['classes']}.")

    def released(self, changed):
        if self.release_error:
            raise ZeroDivisionError
        self.releases.append((changed, threading.current_thread().name))


class Snapshot:
    def __init__(self, step, steps):
        self.step, self.steps = step, steps


class Training(TrainingPanel):
    """The fake: a loss that falls, one snapshot per step."""

    title = "Training"
    controls = (LogSlider("temperature", "Temperature", low=0.5, high=50.0, default=4.0),)
    presets = {"hot": {"temperature": 20.0}}
    total, nap = 50, 0.0
    patience = 30.0     # a busy machine must not fail a test

    def __init__(self, **values):
        self.finished = self.closed = 0
        self.seen: list[float] = []
        self.threads: set[str] = set()
        super().__init__(**values)

    def build_figure(self):
        return go.Figure([go.Scatter(uid="loss"), go.Scatter(uid="target", x=[0], y=[0])])

    def draw(self, changed):
        self.chart.set("target", x=[0], y=[self.values["temperature"]])

    def reading(self):
        return f"{len(self.chart.points('loss')['y'])} points."

    def start(self):
        try:
            for step in range(self.total + 1):
                time.sleep(self.nap)
                self.seen.append(self.values["temperature"])
                self.threads.add(threading.current_thread().name)
                yield Snapshot(step, self.total)
        finally:
            self.closed += 1

    def observe(self, snapshot):
        self.chart.append("loss", snapshot.step, math.exp(-snapshot.step / 10))

    def finish(self):
        self.finished += 1

    @property
    def points(self) -> int:
        return len(self.chart.points("loss")["y"])


def shown(panel: Panel) -> Panel:
    """The panel with its widget made, as on a page."""
    assert panel.widget is panel.widget
    return panel


def button(panel, label) -> ipywidgets.Button:
    return next(widget for widget in descendants(panel.widget)
                if isinstance(widget, ipywidgets.Button) and widget.description == label)
