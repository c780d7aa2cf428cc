"""A small figure, and what a browser does with its frames."""

import json

import numpy as np
import plotly.graph_objects as go

from kdutils.live.chart import Frame


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
