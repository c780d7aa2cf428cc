"""A figure that survives everywhere: plotly JSON for JupyterLab, a PNG for the rest, a sentence for every reader.

The PNG is drawn by matplotlib from the same data, so no browser is needed; it covers the kinds of trace that the
course uses (lines and markers, bands, bars, heat maps, pictures) and refuses others.
"""

import base64
import io
import json
import math
import re

import numpy as np
import plotly.graph_objects as go
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

from kdutils.errors import ParameterError

PLOTLY = "application/vnd.plotly.v1+json"
DPI = 96
GREY, LINES = "#7a7a7a", "rgba(128,128,128,0.3)"      # of text and grids on a page whose theme nobody knows
_DASH = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
_MARK = {"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "triangle-down": "v", "triangle-left": "<",
         "pentagon": "p", "star": "*", "cross": "P", "x": "x", "line-ns": "|"}


def bundle(figure: go.Figure, reading: str) -> dict:
    """The mime bundle of a figure: plotly JSON, image/png and the reading as text/plain."""
    return {PLOTLY: on_any_page(figure), "image/png": base64.b64encode(png(figure)).decode(),
            "text/plain": reading}


def on_any_page(figure: go.Figure) -> dict:
    """The figure as plotly JSON, in colours that can be read on a light and on a dark page, where it has none."""
    spec = json.loads(figure.to_json())
    layout = {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)"} | spec["layout"]
    layout["font"] = {"color": GREY} | layout.get("font", {})
    for name in {"xaxis", "yaxis", *(key for key in layout if re.fullmatch(r"[xy]axis\d*", key))}:
        layout[name] = {"gridcolor": LINES, "zerolinecolor": LINES, "linecolor": LINES} | layout.get(name, {})
    return spec | {"layout": layout}


def png(figure: go.Figure, width: int = 900) -> bytes:
    """The figure as PNG, `width` pixels wide and as high as its layout says."""
    height = figure.layout.height or 400
    for trace in figure.data:
        if trace.type not in _KINDS:
            raise ParameterError(f"a static figure can show {', '.join(_KINDS)} traces, got {trace.type!r}.")
    canvas = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(canvas)
    axes = {name: _axes(canvas, figure, name, width, height) for name in _subplots(figure)}
    before: dict[str, object] = {}
    for trace in figure.data:
        if trace.visible in (None, True):
            name = (trace.xaxis or "x")[1:]
            _KINDS[trace.type](axes[name], trace, before.get(name))
            before[name] = trace
    for name, ax in axes.items():
        _finish(ax, figure, name)
    for note in figure.layout.annotations or ():
        _annotate(canvas, axes, note, figure, width, height)
    _legend(canvas, axes, figure, width, height)
    out = io.BytesIO()
    canvas.savefig(out, format="png", bbox_inches=_whole(canvas, width, height))
    return fewer_colours(out.getvalue())


def _whole(canvas: Figure, width: int, height: int) -> Bbox:
    """The figure's area in inches; larger where a legend of two rows or the title of an axis would be cut off."""
    drawn, room = canvas.get_tightbbox(canvas.canvas.get_renderer()), 4 / DPI
    x0, y0 = (low - room if low < 0 else 0 for low in (drawn.x0, drawn.y0))
    x1, y1 = (high + room if high > size / DPI else size / DPI
              for high, size in ((drawn.x1, width), (drawn.y1, height)))
    return Bbox([[math.floor(x0 * DPI) / DPI, math.floor(y0 * DPI) / DPI],
                 [math.ceil(x1 * DPI) / DPI, math.ceil(y1 * DPI) / DPI]])


def fewer_colours(picture: bytes) -> bytes:
    """The same PNG with 128 colours: a line drawing loses nothing that can be seen, and shrinks to less than half."""
    small = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(small, "PNG",
                                                                                               optimize=True)
    return small.getvalue()


def small_webp(figure: go.Figure, share: float = 0.7) -> bytes:
    """The figure as WebP, `share` as large and half as heavy: for a page that shows it beside others."""
    drawn, small = Image.open(io.BytesIO(png(figure))).convert("RGB"), io.BytesIO()
    drawn.resize([round(share * side) for side in drawn.size], Image.Resampling.LANCZOS).save(small, "WEBP", quality=70,
                                                                                              method=6)
    return small.getvalue()


def _subplots(figure: go.Figure) -> list[str]:
    """Suffixes of the axes in use: "" for xaxis, "2" for xaxis2 ..."""
    return list(dict.fromkeys((trace.xaxis or "x")[1:] for trace in figure.data)) or [""]


def _axes(canvas: Figure, figure: go.Figure, name: str, width: int, height: int):
    margin = figure.layout.margin
    left, right, top, bottom = (value if value is not None else standard for value, standard in
                                ((margin.l, 80), (margin.r, 80), (margin.t, 100), (margin.b, 80)))
    x0, x1 = figure.layout[f"xaxis{name}"].domain or (0, 1)
    y0, y1 = figure.layout[f"yaxis{name}"].domain or (0, 1)
    inner_w, inner_h = (width - left - right) / width, (height - top - bottom) / height
    ax = canvas.add_axes((left / width + x0 * inner_w, bottom / height + y0 * inner_h,
                          (x1 - x0) * inner_w, (y1 - y0) * inner_h))
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#cccccc")
    ax.tick_params(color="#cccccc", labelcolor="#4d4d4d", labelsize=9)
    ax.grid(True, color="#e6e6e6", linewidth=0.8)
    ax.set_axisbelow(True)
    return ax


def _scatter(ax, trace, before) -> None:
    mode = trace.mode or "lines"
    x, y = _numbers(trace.x), _numbers(trace.y)
    label = trace.name if trace.showlegend is not False and trace.name else "_nolegend_"
    if trace.fill == "tonexty" and before is not None:
        colour, alpha = _colour(trace.fillcolor)
        ax.fill_between(x.astype(float), _numbers(before.y).astype(float), y.astype(float), color=colour, alpha=alpha,
                        linewidth=0, label=label)
    if "lines" in mode and trace.line.width != 0:
        colour, alpha = _colour(trace.line.color)
        ax.plot(x, y, color=colour, alpha=alpha, linestyle=_DASH.get(trace.line.dash or "solid", "-"),
                linewidth=trace.line.width or 2, label=label,
                marker=_mark(trace.marker.symbol) if "markers" in mode else None, markersize=6)
    elif "markers" in mode:
        colour, alpha = _colour(trace.marker.color or trace.line.color)
        hollow = str(trace.marker.symbol).endswith("open")
        ax.plot(x, y, linestyle="", marker=_mark(trace.marker.symbol), color=colour, alpha=alpha, label=label,
                markersize=(trace.marker.size or 8) * 0.75, markerfacecolor="none" if hollow else colour)
    for xi, yi, text in zip(x, y, trace.text if "text" in mode and trace.text is not None else (), strict=False):
        # Plotly's default is the middle; beside a marker there would be no room.
        middle = mode == "text" or trace.textposition == "middle center"
        ax.text(xi, yi, _plain(text), fontsize=0.65 * (trace.textfont.size or 12), ha="center",
                va="center" if middle else "bottom", color=trace.textfont.color or "#4d4d4d")


def _mark(symbol: str | None) -> str:
    """Hollow or not, the shape is the same."""
    return _MARK.get((symbol or "circle").removesuffix("-open"), "o")


def _bar(ax, trace, before) -> None:
    x, y = _numbers(trace.x), _numbers(trace.y)
    colours = trace.marker.color
    rgba = ([to_rgba(*_colour(one)) for one in colours] if isinstance(colours, (tuple, list, np.ndarray))
            else to_rgba(*_colour(colours)))
    # Plotly puts grouped bars side by side with offset and width; the course always states both.
    width = trace.width if trace.width is not None else 0.8
    offset = trace.offset if trace.offset is not None else -width / 2
    place = np.arange(len(x)) if x.dtype.kind in "OUS" else x.astype(float)
    if trace.orientation == "h":
        ax.barh(_numbers(trace.y), _numbers(trace.x), color=rgba, label=trace.name)
        return
    ax.bar(place + offset, y.astype(float), width, align="edge", color=rgba, label=trace.name or "_nolegend_")
    if x.dtype.kind in "OUS":
        ax.set_xticks(place, x)


def _heatmap(ax, trace, before) -> None:
    z = np.asarray(trace.z, float)
    x, y = (None if values is None else _numbers(values) for values in (trace.x, trace.y))
    if z.ndim == 1:  # columns x, y, z, as they stream
        columns, rows = np.unique(x), np.unique(y)
        z = np.full((len(rows), len(columns)), math.nan)
        z[np.searchsorted(rows, _numbers(trace.y)), np.searchsorted(columns, _numbers(trace.x))] = trace.z
        x, y = columns, rows
    scale = trace.colorscale
    stops = [(place, to_rgba(*_colour(colour))) for place, colour in scale or ()]
    cmap = LinearSegmentedColormap.from_list("scale", stops) if stops else "Greys"
    across, up = (_edges(np.arange(n) if at is None else at) for n, at in ((z.shape[1], x), (z.shape[0], y)))
    ax.pcolormesh(across, up, z, cmap=cmap, vmin=trace.zmin, vmax=trace.zmax)
    ax.grid(False)


def _image(ax, trace, before) -> None:
    """A picture in the trace itself, a data address; its corner places are where x0 and y0 say."""
    with Image.open(io.BytesIO(base64.b64decode(trace.source.partition(",")[2]))) as picture:
        pixels = np.asarray(picture.convert("RGBA"))
    (left, right), (top, bottom) = ((start - step / 2, start + step * (count - 0.5)) for start, step, count in (
        (trace.x0, trace.dx, pixels.shape[1]), (trace.y0, trace.dy, pixels.shape[0])))
    ax.imshow(pixels, extent=(left, right, bottom, top), aspect="auto", zorder=0,
              interpolation="bilinear" if trace.zsmooth else "nearest")
    ax.grid(False)


def _edges(centres: np.ndarray) -> np.ndarray:
    """Edges of the cells around these centres; a single cell is 1 wide."""
    centres = np.asarray(centres, float)
    half = np.diff(centres) / 2 if len(centres) > 1 else np.array([0.5])
    return np.concatenate([centres[:1] - half[0], centres[:-1] + half[:len(centres) - 1], centres[-1:] + half[-1]])


_KINDS = {"scatter": _scatter, "bar": _bar, "heatmap": _heatmap, "image": _image}


def _finish(ax, figure: go.Figure, name: str) -> None:
    for which, axis in (("x", figure.layout[f"xaxis{name}"]), ("y", figure.layout[f"yaxis{name}"])):
        getattr(ax, f"set_{which}label")(_plain(axis.title.text), fontsize=10, color="#4d4d4d")
        log = axis.type == "log"
        if log:
            getattr(ax, f"set_{which}scale")("log", base=2)
        if axis.range is not None:
            low, high = (10**edge if log else edge for edge in axis.range)
            getattr(ax, f"set_{which}lim")(low, high)
        if axis.tickvals is not None:
            labels = axis.ticktext if axis.ticktext is not None else axis.tickvals
            getattr(ax, f"set_{which}ticks")(list(axis.tickvals), [_plain(str(one)) for one in labels])
        if axis.tickangle:  # plotly turns clockwise, matplotlib the other way
            for label in getattr(ax, f"get_{which}ticklabels")():
                label.set(rotation=-axis.tickangle, ha="right", rotation_mode="anchor")
        if axis.side == "right":
            ax.yaxis.tick_right()
            ax.spines["left"].set_visible(False)
        if axis.visible is False or axis.showticklabels is False:
            getattr(ax, f"get_{which}axis")().set_ticks([])
        if axis.visible is False:
            ax.spines[["left" if which == "y" else "bottom"]].set_visible(False)
        if axis.autorange == "reversed":
            getattr(ax, f"invert_{which}axis")()
    if figure.layout[f"yaxis{name}"].scaleanchor:
        ax.set_aspect("equal")
    for shape in figure.layout.shapes or ():
        if (shape.xref or "x").split(" ")[0] in (f"x{name}", "paper") and shape.type == "line":
            colour, _ = _colour(shape.line.color)
            if shape.y0 == shape.y1 and (shape.yref or "y") == f"y{name}":
                ax.axhline(shape.y0, color=colour, linewidth=1, linestyle=_DASH.get(shape.line.dash, "-"), zorder=1)
            elif shape.x0 == shape.x1:
                ax.axvline(shape.x0, color=colour, linewidth=1, linestyle=_DASH.get(shape.line.dash, "-"), zorder=1)


def _annotate(canvas: Figure, axes: dict, note, figure: go.Figure, width: int, height: int) -> None:
    across = note.xanchor if note.xanchor in ("left", "right") else "center"
    up = "bottom" if note.yanchor == "bottom" else "center"
    if (note.xref or "x") == "paper" and (note.yref or "y") == "paper":
        margin = figure.layout.margin
        x = (margin.l + note.x * (width - margin.l - margin.r)) / width
        y = (margin.b + note.y * (height - margin.t - margin.b)) / height
        canvas.text(x, y, _plain(note.text), ha=across, va=up, fontsize=10, color="#4d4d4d")
    elif (ax := axes.get((note.xref or "x")[1:])) is not None:
        ax.text(note.x, note.y, _plain(note.text), ha=across, va=up, fontsize=9, color="#4d4d4d")


def _legend(canvas: Figure, axes: dict, figure: go.Figure, width: int, height: int) -> None:
    entries: dict = {}
    for ax in axes.values():
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(_plain(label), handle)
    if entries and figure.layout.showlegend is not False:
        margin = figure.layout.margin
        left, top, bottom = margin.l or 80, margin.t or 100, margin.b or 80
        above = (figure.layout.legend.y or 1) * (height - top - bottom) + bottom
        for columns in range(len(entries), 0, -1):      # as plotly: as many in a row as fit, and row by row
            names = [name for column in range(columns) for name in list(entries)[column::columns]]
            legend = canvas.legend([entries[name] for name in names], names, loc="lower left", ncols=columns,
                                   frameon=False, fontsize=9, labelcolor="#4d4d4d", columnspacing=1.5,
                                   bbox_to_anchor=(left / width, above / height))
            if legend.get_window_extent(canvas.canvas.get_renderer()).x1 <= width or columns == 1:
                break
            legend.remove()


def _numbers(values) -> np.ndarray:
    return np.asarray(() if values is None else values)


def _colour(text: str | None) -> tuple[str | tuple, float]:
    """A CSS colour as matplotlib's colour and opacity."""
    if text and (found := re.match(r"rgba?\(([\d., ]+)\)", text)):
        numbers = [float(part) for part in found[1].split(",")]
        return tuple(value / 255 for value in numbers[:3]), numbers[3] if len(numbers) > 3 else 1.0
    return text or "#4d4d4d", 1.0


def _plain(text: str | None) -> str:
    """Plotly's small HTML as plain text."""
    return re.sub(r"<[^>]+>", "", (text or "").replace("<br>", "\n"))
