"""The data of a figure: changed from any thread, drawn by a browser if one is looking, complete without one."""

import copy
import functools
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real

import numpy as np
import plotly.graph_objects as go

from kdutils.errors import ParameterError
from kdutils.live.column import Column

AXES = ("x", "y", "z")


@dataclass
class Trace:
    """One trace: what JSON holds (look, categories) and the numeric columns that stream."""

    spec: dict
    columns: dict[str, Column]
    fixed: Mapping[str, Sequence]   # axes whose points stay in the JSON: categories, dates, 2-D heat maps
    patch: dict = field(default_factory=dict)

    @property
    def categories(self) -> dict[str, Sequence]:
        """Fixed points that others go with, one to one: not a heat map's axes."""
        return {} if "z" in self.fixed else dict(self.fixed)


@dataclass(frozen=True)
class Frame:
    """One message to the browser: JSON, and all numbers as float32 in the order of content["parts"]."""

    content: dict
    numbers: bytes


class Chart:
    """A figure's data behind one lock; no widget is made until `view` is asked for.

    Every trace is there from the start, each with a `uid`, by which it is named from then on. Points that are numbers
    stream; categories, dates and two-dimensional heat maps stay as they are in the figure. NaN separates segments:
    intervals and error bars are lines with NaN between them. Numbers travel as float32 (whole steps are exact to 2^24)
    and are kept here as float64.

    Errors: ParameterError for a trace without its own uid, an unknown uid, columns of unequal length.
    """

    def __init__(self, figure: go.Figure):
        self._lock = threading.RLock()
        self._first = _read(figure)
        self._view = None
        self._reading = ""
        self._restore()

    # ---- the data -------------------------------------------------------------------------------------------------

    def set(self, uid: str, *, x=None, y=None, z=None) -> None:
        """Replace the points of a trace; axes that are not given stay. One-dimensional numbers, NaN allowed."""
        given = {axis: _numbers(uid, axis, values) for axis, values in zip(AXES, (x, y, z), strict=True)
                 if values is not None}
        with self._lock:
            trace = self._trace(uid, *given)
            kept = {axis: column.values for axis, column in trace.columns.items()}
            _same_length(uid, trace.categories | kept | given)
            for axis, values in given.items():
                trace.columns.setdefault(axis, Column()).replace(values)

    def append(self, uid: str, x, y) -> None:
        """Add one point (two numbers) or several (two sequences) to the end of a trace."""
        x, y = _numbers(uid, "x", x), _numbers(uid, "y", y)
        _same_length(uid, {"x": x, "y": y})
        with self._lock:
            trace = self._trace(uid, "x", "y")
            for axis, values in (("x", x), ("y", y)):
                trace.columns.setdefault(axis, Column()).extend(values)

    def clear(self, *uids: str) -> None:
        """Remove the points of these traces; without names, of all traces."""
        with self._lock:
            for trace in [self._trace(uid) for uid in uids] or self._traces.values():
                for column in trace.columns.values():
                    column.replace(())

    def points(self, uid: str) -> dict[str, np.ndarray]:
        """Copies of the numeric columns of a trace: {"x": float64 (n,), "y": ...}, and "z" if it has one."""
        with self._lock:
            trace = self._trace(uid)
            nothing = {axis: np.empty(0) for axis in ("x", "y") if axis not in trace.fixed}
            return nothing | {axis: column.values.copy() for axis, column in trace.columns.items()}

    @property
    def uids(self) -> tuple[str, ...]:
        """The names of all traces."""
        return tuple(self._traces)

    # ---- the look -------------------------------------------------------------------------------------------------

    def layout(self, patch: Mapping) -> None:
        """Merge a nested patch into the layout: {"xaxis": {"range": [0, 1]}}. Lists replace lists."""
        patch = _plain(patch)
        with self._lock:
            _merge(self._layout, patch)
            _merge(self._layout_patch, patch)

    def restyle(self, uid: str, patch: Mapping) -> None:
        """Merge a nested patch into a trace: {"marker": {"color": [...]}}. Points go through `set` and `append`."""
        if axes := sorted(set(patch) & {*AXES, "uid"}):
            raise ParameterError(f"restyle cannot change {', '.join(axes)} of {uid!r}: use set or append.")
        patch = _plain(patch)
        with self._lock:
            trace = self._trace(uid)
            _merge(trace.spec, patch)
            _merge(trace.patch, patch)

    def describe(self, reading: str) -> None:
        """The figure in one sentence: what a screen reader says in its place."""
        with self._lock:
            self._reading = reading

    def reset(self) -> None:
        """Back to the figure that was given at the start: its points and its look."""
        with self._lock:
            self._restore()
            self._stale = True

    # ---- who looks at it ------------------------------------------------------------------------------------------

    def figure(self) -> go.Figure:
        """A plain plotly figure with all points of this moment: for tests, tables, the static page."""
        with self._lock:
            spec = self._spec()
            for entry, trace in zip(spec["data"], self._traces.values(), strict=True):
                entry |= {axis: column.values.copy() for axis, column in trace.columns.items()}
        return go.Figure(spec)

    def push(self) -> None:
        """Draw soon: at once if the browser has drawn all it got, else as soon as it has. Without a view, nothing."""
        with self._lock:
            view = self._view
        if view is not None:
            view.push()

    @property
    def view(self):
        """The live figure widget, made when first asked for."""
        with self._lock:
            if self._view is None:
                from kdutils.live.live_figure import LiveFigure
                self._view = LiveFigure(self)
            return self._view

    def close(self) -> None:
        """Forget the view, which is closed with its panel; the next one asked for is another."""
        with self._lock:
            self._view = None

    @property
    def lock(self) -> threading.RLock:
        """Hold it to make several changes that must be drawn together."""
        return self._lock

    def frame(self, whole: bool = False) -> Frame | None:
        """All that changed since the last frame, or everything; None if nothing did. It counts as sent."""
        with self._lock:
            frame = self.snapshot() if whole or self._stale else self._changes()
            # New objects rather than cleared ones: the message may be packed after the lock is let go.
            self._layout_patch, self._read_out, self._stale = {}, self._reading, False
            for trace in self._traces.values():
                trace.patch = {}
                for column in trace.columns.values():
                    column.sent()
            return frame

    def snapshot(self) -> Frame:
        """Everything, for a browser that has nothing; it does not count as sent."""
        with self._lock:
            columns = [(uid, axis, ("set", column.values)) for uid, axis, column in self._columns()]
            return _pack({"spec": self._spec(), "reading": self._reading}, columns)

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _changes(self) -> Frame | None:
        content = {}
        if self._layout_patch:
            content["layout"] = self._layout_patch
        if patches := {uid: trace.patch for uid, trace in self._traces.items() if trace.patch}:
            content["traces"] = patches
        if self._reading != self._read_out:
            content["reading"] = self._reading
        news = [(uid, axis, column.news()) for uid, axis, column in self._columns() if column.news()]
        return _pack(content, news) if content or news else None

    def _columns(self) -> Iterator[tuple[str, str, Column]]:
        for uid, trace in self._traces.items():
            for axis, column in trace.columns.items():
                yield uid, axis, column

    def _restore(self) -> None:
        layout, traces = self._first
        self._layout = copy.deepcopy(layout)
        self._traces = {uid: Trace(copy.deepcopy(trace.spec),
                                   {axis: Column(column.values) for axis, column in trace.columns.items()},
                                   trace.fixed)
                        for uid, trace in traces.items()}
        self._layout_patch: dict = {}
        self._read_out: str | None = None     # the reading that the browser has
        self._stale = False                   # the next frame must be whole: the look went back to the start

    def _spec(self) -> dict:
        return {"data": [copy.deepcopy(trace.spec) for trace in self._traces.values()],
                "layout": copy.deepcopy(self._layout)}

    def _trace(self, uid: str, *axes: str) -> Trace:
        if uid not in self._traces:
            raise ParameterError(f"The figure has no trace {uid!r}; it has {', '.join(self._traces) or 'none'}.")
        trace = self._traces[uid]
        if fixed := sorted(trace.fixed.keys() & set(axes)):
            raise ParameterError(f"{fixed[0]} of trace {uid!r} holds categories, dates or a grid: "
                                 "it cannot be streamed.")
        return trace


def _pack(content: dict, columns: list[tuple[str, str, tuple[str, np.ndarray]]]) -> Frame:
    parts = [[uid, axis, how, len(values)] for uid, axis, (how, values) in columns]
    numbers = [values.astype(np.float32) for _, _, (_, values) in columns]
    return Frame(content | {"parts": parts}, np.concatenate([np.empty(0, np.float32), *numbers]).tobytes())


def _read(figure: go.Figure) -> tuple[dict, dict[str, Trace]]:
    """Split a figure into its JSON layout and its traces, and those into JSON and numeric columns."""
    spec = json.loads(figure.to_json())
    layout = spec["layout"]
    if layout.get("template") == _default_template():
        del layout["template"]            # 7 kB that plotly puts in by itself
    layout.setdefault("uirevision", "keep")   # zoom and hidden traces survive new data
    traces: dict[str, Trace] = {}
    for entry, source in zip(spec["data"], figure.data, strict=True):
        uid = source.uid
        if not uid or uid in traces:
            raise ParameterError(f"Every trace needs a uid of its own, got {uid!r}.")
        entry["uid"] = uid                # to_json leaves it out
        columns, fixed = {}, {}
        for axis in AXES:
            values = source[axis] if axis in source else None
            if values is None:
                continue
            if _streams(values):
                columns[axis] = Column(np.asarray(values, dtype=float))
                entry.pop(axis, None)
            else:
                fixed[axis] = tuple(values)
        traces[uid] = Trace(entry, columns, fixed)
    return layout, traces


@functools.cache
def _default_template() -> dict:
    return json.loads(go.Figure(layout_template="plotly").to_json())["layout"]["template"]


def _streams(values) -> bool:
    """One-dimensional numbers; a number in quotes is a category, and stays one."""
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return values.ndim == 1 and values.dtype.kind in "fiu"
    return all(value is None or isinstance(value, Real) for value in values)


def _numbers(uid: str, axis: str, values) -> np.ndarray:
    try:
        array = np.atleast_1d(np.asarray(values, dtype=float))
    except (TypeError, ValueError):
        raise ParameterError(f"{axis} of trace {uid!r} must be numbers, got {values!r}.") from None
    if array.ndim != 1:
        raise ParameterError(f"{axis} of trace {uid!r} must be one-dimensional, got shape {array.shape}.")
    return array


def _same_length(uid: str, columns: Mapping[str, Sequence]) -> None:
    lengths = {axis: len(values) for axis, values in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{axis} has {length}" for axis, length in lengths.items())
        raise ParameterError(f"The columns of trace {uid!r} must be equally long: {told} points.")


def _merge(target: dict, patch: Mapping) -> None:
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = copy.deepcopy(value)


def _plain(value):
    """The same value in what JSON knows: numpy becomes numbers and lists, NaN and infinity become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    raise ParameterError(f"A patch holds text, numbers, lists and mappings, got {type(value).__name__}.")
