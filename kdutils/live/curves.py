"""What labs draw alike: a mean with its band that grows step by step, and the answers of complete runs."""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import plotly.graph_objects as go

from kdutils.live.chart import Chart
from kdutils.plots.style import COLOURS, DASHES, MARKERS, translucent
from kdutils.results import Effect, interval

PARTS = ("low", "high", "mean")


class Answered(Protocol):
    """What one complete run said: a gain."""

    gain: Effect


def add_band(figure: go.Figure, uid: str, kind: str, name: str, col: int, shown: bool = True, row: int = 1) -> None:
    """Traces `uid low`, `uid high` and `uid mean`, empty, in the colour and dash of `kind`.

    A click on `kind` in the legend hides all that is drawn of it, in every subplot.
    """
    place = {"row": row, "col": col, "legendgroup": kind}
    edge = {"x": [], "y": [], "mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"} | place
    figure.add_scatter(uid=f"{uid} low", **edge)
    figure.add_scatter(uid=f"{uid} high", fill="tonexty", fillcolor=translucent(COLOURS[kind]), **edge)
    figure.add_scatter(uid=f"{uid} mean", x=[], y=[], mode="lines", name=name, showlegend=shown, **place,
                       line={"color": COLOURS[kind], "dash": DASHES[kind], "width": 2.5})


def grow_band(chart: Chart, uid: str, x: float, scores: np.ndarray) -> None:
    """One more point: mean and 95% interval of `scores`, one per seed; a single seed is its own band."""
    effect = interval(scores)
    for part in PARTS:
        value = getattr(effect, part)
        chart.append(f"{uid} {part}", x, effect.mean if math.isnan(value) else value)


def clear_band(chart: Chart, uid: str) -> None:
    """Back to an empty band."""
    chart.clear(*(f"{uid} {part}" for part in PARTS))


def add_answers(figure: go.Figure, kind: str, ring: str, col: int, prefix: str = "", others: str = "other") -> None:
    """Traces for gains with intervals: those like the present setting, the others hollow, a ring on the latest.

    prefix: before the uids "others", "answers" and "latest", where several kinds of gain share a figure.
    """
    shape, place = MARKERS[kind], {"showlegend": False, "legendgroup": kind, "row": 1, "col": col}
    for uid, colour, symbol, size in (("others", others, f"{shape}-open", 8), ("answers", kind, shape, 9),
                                      ("latest", ring, "circle-open", 16)):
        figure.add_scatter(uid=f"{prefix}{uid} interval", mode="lines", line={"color": COLOURS[colour], "width": 2},
                           x=[], y=[], hoverinfo="skip", **place)
        figure.add_scatter(uid=f"{prefix}{uid}", mode="markers", x=[], y=[], **place,
                           marker={"color": COLOURS[colour], "symbol": symbol, "size": size})


def show_answers(chart: Chart, answers: Sequence[Answered], alike: Sequence[Answered], axis: str,
                 prefix: str = "") -> None:
    """Draw all answers at their value of `axis`; `alike` are those of the present setting."""
    others = [answer for answer in answers if answer not in alike]
    for uid, chosen in (("answers", alike), ("others", others), ("latest", answers[-1:])):
        x = [getattr(answer, axis) for answer in chosen]
        chart.set(f"{prefix}{uid}", x=x, y=[answer.gain.mean for answer in chosen])
        if uid != "latest":
            edges = [[answer.gain.low, answer.gain.high, math.nan] for answer in chosen]
            chart.set(f"{prefix}{uid} interval", x=np.repeat(x, 3), y=np.ravel(edges))
