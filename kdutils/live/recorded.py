"""Recorded answers: what a panel shows, pale, until its reader runs it.

A recording is what a run with default settings adds to the figure: the points and the look of every trace that it
changed, and the axes. `record` makes one; the file `recorded.json` beside a lesson's panels keeps them.
"""

import inspect
import json
import math
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from kdutils.cache import write_whole
from kdutils.live.chart import Chart

PALE = 0.5      # opacity of what is recorded
FILE = "recorded.json"


@dataclass(frozen=True)
class RecordedAnswer:
    """One panel's recording. traces: {uid: {"points": {axis: numbers}, "look": patch}}. layout: a patch.

    values: of its controls. settings: what else it hangs on, by the panel's own word. reading: the panel's sentence
    about it. seeds: how many networks of each kind. seconds: what the run took.
    """

    values: Mapping
    settings: Mapping
    traces: Mapping
    layout: Mapping
    reading: str
    date: str
    seeds: int
    torch: str
    seconds: float

    @property
    def label(self) -> str:
        """Where the pale picture comes from, in a few words."""
        return f"recorded on {self.date}, {self.seeds} seeds"

    def put(self, chart: Chart) -> None:
        """Lay it over the figure; traces that this figure lacks are left out."""
        with chart.lock:
            for uid, trace in self.traces.items():
                if uid in chart.uids:
                    chart.set(uid, **{axis: [math.nan if value is None else value for value in values]
                                      for axis, values in trace["points"].items()})
                    chart.restyle(uid, trace["look"] | {"opacity": PALE})
            chart.layout(self.layout)


def record(panel) -> RecordedAnswer:
    """Run a fresh panel at the values that it was opened with, and keep what that changes in its figure."""
    import torch

    before, points = panel.chart.snapshot().content["spec"], _points(panel.chart)
    start = time.perf_counter()
    panel.run()      # one answer: those of other settings are what a page asks its reader to predict
    seconds = time.perf_counter() - start
    after, now = panel.chart.snapshot().content["spec"], _points(panel.chart)
    traces = {}
    for old, new in zip(before["data"], after["data"], strict=True):
        uid = new["uid"]
        look = _difference(old, new)
        moved = {axis: values for axis, values in now[uid].items()
                 if not np.array_equal(values, points[uid].get(axis, ()), equal_nan=True)}
        if look or moved:       # columns of a trace must be equally long: all of them or none
            traces[uid] = {"points": {axis: _short(values) for axis, values in now[uid].items()} if moved else {},
                           "look": look}
    return RecordedAnswer(dict(panel.values), dict(panel.settings()), traces,
                          _difference(before["layout"], after["layout"]), panel.reading(), time.strftime("%Y-%m-%d"),
                          panel.n_seeds, torch.__version__, round(seconds, 1))


def name_of(panel) -> str:
    """Under what a panel's recording is kept: its class, and its variant if it has one."""
    return " ".join(filter(None, [type(panel).__name__, panel.variant]))


def path_of(kind: type) -> Path:
    """The file with the recordings of this panel's lesson."""
    return Path(inspect.getfile(kind)).parent / FILE


def load(panel) -> RecordedAnswer | None:
    """The recording of this panel, if its lesson has one; none of other values than the panel was opened with."""
    try:
        path = path_of(type(panel))
    except (OSError, TypeError):        # a panel that was defined in a notebook
        return None
    name, values, settings = name_of(panel), dict(panel.opened_with), dict(panel.settings())
    try:
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        entry = kept.get(name)
        answer = RecordedAnswer(**entry) if entry else None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        warnings.warn(f"The recorded answers in {path} cannot be used ({error}); install the course again.",
                      stacklevel=2)
        return None
    return answer if answer and answer.values == values and answer.settings == settings else None


def save(panel, answer: RecordedAnswer) -> Path:
    """Put a recording into its lesson's file, in the place of a former one."""
    path = path_of(type(panel))
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept[name_of(panel)] = asdict(answer)
    text = "{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(kept[name], allow_nan=False)}"
                              for name in sorted(kept)) + "\n}\n"
    write_whole(path, lambda target: target.write_text(text, encoding="utf-8"))
    return path


def _points(chart: Chart) -> dict[str, dict[str, np.ndarray]]:
    return {uid: chart.points(uid) for uid in chart.uids}


def _short(values: np.ndarray) -> list[float | None]:
    """Four digits are more than a screen shows; NaN is null."""
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values]


def _difference(old: Mapping, new: Mapping) -> dict:
    """What is another in `new`, whole: a part alone would not fit a figure that begins otherwise."""
    return {key: value for key, value in new.items() if old.get(key) != value}
