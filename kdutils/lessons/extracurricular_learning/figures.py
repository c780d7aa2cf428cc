"""The figures of notebook 05."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots
from torch import Tensor

from kdutils import claims
from kdutils.datasets.gaze import Eyes, direction
from kdutils.errors import one_of
from kdutils.lessons.extracurricular_learning.gap import Gap, gap_closed
from kdutils.plots.base import Plot, Table, intervals, marked
from kdutils.plots.style import COLOURS, GREYS, MARKERS, SHADES, base_layout, title_fonts
from kdutils.results import Effect, Results

REGIONS = {"at": "at the dots", "between": "between them", "beyond": "beyond them"}
TOY = {"same": "the dots alone", "jitter": "near the dots", "mixup": "mixed dots", "uniform": "everywhere"}
DATA = {"gaze": ("degrees", "mean angular error (degrees)"), "digits": ("accuracy", "test accuracy (%)"),
        "equal": ("accuracy", "test accuracy (%)")}
RULES = {"all": "all alike", "sure": "the surer half", "unsure": "the less sure half", "most unsure": "the least sure"}


def where_it_asked(results: Results) -> Plot:
    """Distance of student and teacher on the curve: at the dots, between, beyond, for each way to ask."""
    figure = go.Figure(layout=base_layout(
        xaxis={"tickvals": list(range(3)), "ticktext": list(REGIONS.values()), "range": [-0.5, 2.5]},
        yaxis={"title": {"text": "|teacher - student|"}, "rangemode": "tozero"}))
    words = []
    colours = (COLOURS["other"], SHADES[0], COLOURS["distilled"], COLOURS["teacher"])
    for i, (method, name) in enumerate(TOY.items()):
        effects = [results.mean(region, part="toy", method=method) for region in REGIONS]
        intervals(figure, np.arange(3) + 0.1 * (i - 1.5), effects, name, colours[i],
                  ("circle-open", "circle", "diamond", "square")[i])
        words.append(f"{name} {', '.join(f'{effect.mean:.2f}' for effect in effects)}")
    return Plot(figure, f"Distance of the two curves at the dots, between and beyond them: {'; '.join(words)}. "
                        f"Intervals: 95% over {effects[0].n} seeds.")


def _eyes_of_own(results: Results) -> int:
    """How many eyes the students of most parts have: the first of `gaze_sizes`, which need not be the smallest."""
    return int(results.where(part="means")["images"].iloc[0])


def pools(results: Results, part: str = "gaze", images: int | None = None) -> Plot:
    """Every way to train a student, best first: mean and interval, beside its teacher and the same inputs alone.

    part: "gaze" (degrees, low is good), "digits" or "equal" (accuracy). images: of the student; if None the
    first of the eyes, which has all pools, and the fewest digits.
    """
    metric, title = DATA[one_of("part", part, DATA)]
    rows = results.where(part=part)
    figure = go.Figure(layout=base_layout(height=440, margin={"l": 150}, xaxis={"title": {"text": title}}))
    if rows.empty:
        return Plot(figure, "This part has not been measured.")
    if images is None:
        images = _eyes_of_own(results) if part == "gaze" else int(rows["images"].min())
    one_of("images", images, set(rows["images"]))
    names = rows[rows["images"] == images]["method"].unique()
    found = {name: results.mean(metric, part=part, images=images, method=name) for name in names}
    order = sorted((name for name in names if name != "teacher"), key=lambda name: found[name].mean,
                   reverse=metric == "degrees")
    for kind, colour, symbol, chosen in (
            ("labels, no teacher", COLOURS["hard labels"], MARKERS["hard labels"],
             [name for name in order if name.startswith("labels")]),
            ("labelled by the teacher", COLOURS["distilled"], MARKERS["distilled"],
             [name for name in order if not name.startswith("labels")])):
        heights = [order.index(name) for name in chosen]
        _sideways(figure, [found[name] for name in chosen], heights, kind, colour, symbol)
    for name, colour, dash in (("teacher", COLOURS["teacher"], "dash"), ("same", COLOURS["distilled"], "dot")):
        figure.add_scatter(x=[found[name].mean] * 2, y=[-0.6, len(order) - 0.4], mode="lines", hoverinfo="skip",
                           name=name if name == "teacher" else "its own inputs alone",
                           line={"color": colour, "dash": dash, "width": 1.5})
    figure.update_yaxes(tickvals=list(range(len(order))), ticktext=order, range=[-0.6, len(order) - 0.4])
    good, bad = order[-1], order[0]
    unit = "degrees" if metric == "degrees" else "%"
    return Plot(figure, f"Students with {images} inputs of their own, {found[good].n} seeds: {good} is best with "
                        f"{found[good].mean:.2f} {unit}, the same inputs alone {found['same'].mean:.2f}, labels alone "
                        f"{found['labels'].mean:.2f}, {bad} worst with {found[bad].mean:.2f}; their teacher has "
                        f"{found['teacher'].mean:.2f}.")


def calibration(results: Results) -> Plot:
    """NLL and spread of z-scores of gaze students: of labels, of a teacher's distributions, of its means."""
    arms = {"labels": ("gaze", "labels"), "same, means": ("means", "same"), "same, distributions": ("gaze", "same"),
            "fresh, means": ("means", "fresh"), "fresh, distributions": ("gaze", "fresh"),
            "teacher": ("gaze", "teacher")}
    images = _eyes_of_own(results)
    figure = make_subplots(rows=1, cols=3, horizontal_spacing=0.06, shared_yaxes=True,
                           subplot_titles=["angular error (degrees)", "NLL (nats)", "spread of z-scores"])
    said = {}
    for col, metric in enumerate(("degrees", "nll", "spread"), 1):
        for row, (name, (part, method)) in enumerate(arms.items()):
            effect = results.mean(metric, part=part, method=method, images=images)
            kind = "teacher" if name == "teacher" else "hard labels" if name == "labels" else "distilled"
            _sideways(figure, [effect], [row], name, COLOURS[kind], "circle-open" if "means" in name else MARKERS[kind],
                      row=1, col=col, showlegend=False)
            said[name, metric] = effect.mean
    figure.add_vline(x=1, line={"color": COLOURS["other"], "dash": "dot"}, col=3)
    figure.update_layout(base_layout(height=340, margin={"l": 150, "t": 60}))
    title_fonts(figure)
    figure.update_yaxes(tickvals=list(range(len(arms))), ticktext=list(arms), range=[-0.5, len(arms) - 0.5])
    words = ", ".join(f"{name} {said[name, 'nll']:.2f} and {said[name, 'spread']:.2f}" for name in arms)
    return Plot(figure, f"NLL and spread of the z-scores, 1 where an answer is as sure as it should be: {words}. "
                        f"Intervals: 95% over {effect.n} seeds.")


def gap_by_number(results: Results) -> Plot:
    """The share of the gap closed against the number of fresh eyes, and of stored views of each digit."""
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.1, subplot_titles=[
        "gaze: fresh eyes asked about", "digits: stored views of each image"])
    words = []
    for col, (part, gaps) in enumerate((("eyes", _by_queries(results)), ("views", _by_views(results))), 1):
        x = list(gaps)
        effects = [Effect(gap.share, gap.low, gap.high, gap.n) for gap in gaps.values()]
        intervals(figure, x, effects, "gap closed", COLOURS["distilled"], MARKERS["distilled"], row=1, col=col,
                  showlegend=False)
        words.append(", ".join(f"{n:,} {part}: {gap}" for n, gap in gaps.items()))
        figure.update_xaxes(type="log", tickvals=x, ticktext=[f"{n:,}" for n in x], row=1, col=col)
    figure.add_hline(y=100, line={"color": COLOURS["teacher"], "dash": "dash"})
    figure.add_hline(y=0, line={"color": COLOURS["distilled"], "dash": "dot"})
    figure.update_layout(base_layout(height=380, margin={"t": 60}))
    figure.update_yaxes(title_text="gap closed (%)", col=1)
    title_fonts(figure)
    return Plot(figure, "Share of the gap between the same inputs (0%) and the teacher (100%), 95% bootstrap, then the "
                        f"three means. {'. '.join(words)}.")


def keep_or_drop(results: Results) -> Plot:
    """Which fresh eyes to ask about, at equal numbers, by how sure the teacher is."""
    images = _eyes_of_own(results)
    same = {"method": "fresh", "images": images}
    found = {rule: results.mean("degrees", part="gaze" if rule == "all" else "rules",
                                **same | ({} if rule == "all" else {"rule": rule})) for rule in RULES}
    figure = go.Figure(layout=base_layout(height=300, margin={"l": 150},
                                          xaxis={"title": {"text": "mean angular error (degrees)"}}))
    _sideways(figure, list(found.values()), range(4), "fresh eyes", COLOURS["distilled"], MARKERS["distilled"],
              showlegend=False)
    figure.update_yaxes(tickvals=list(range(4)), ticktext=list(RULES.values()), range=[-0.5, 3.5])
    words = ", ".join(f"{RULES[rule]} {effect.mean:.2f}" for rule, effect in found.items())
    return Plot(figure, f"Degrees by which fresh eyes are asked about, as many for each: {words}. Intervals: 95% over "
                        f"{found['all'].n} seeds.")


def far_from_data(results: Results) -> Plot:
    """Students that see only inputs of one kind, of a small and of a large teacher."""
    kinds = {"fresh": "fresh digits", "shuffled": "shuffled pixels", "crops": "one photograph", "noise": "noise"}
    figure = go.Figure(layout=base_layout(
        xaxis={"tickvals": list(range(4)), "ticktext": list(kinds.values()), "range": [-0.5, 3.5]},
        yaxis={"title": {"text": "test accuracy (%)"}}))
    words = []
    for i, (size, colour, symbol) in enumerate((("small", SHADES[0], "circle"), ("large", SHADES[2], "square"))):
        effects = [results.mean("accuracy", part="far", method=method, teacher=size) for method in kinds]
        own = results.mean("accuracy", part="far", method="teacher", teacher=size)
        intervals(figure, np.arange(4) + 0.16 * (i - 0.5), effects, f"{size} teacher ({own.mean:.1f}%)", colour, symbol,
                  line=False)
        words.append(f"{size} teacher ({own.mean:.1f}%): " + ", ".join(
            f"{name} {effect.mean:.1f}" for name, effect in zip(kinds.values(), effects, strict=True)))
    return Plot(figure, f"Test accuracy of students that saw nothing but these inputs. {'; '.join(words)}. Intervals: "
                        f"95% over {effects[0].n} seeds.")


def second_scale(results: Results) -> Plot:
    """Fashion-MNIST at 14x14: points by who labels them, and at which T."""
    points = ("same", "shifts", "mixup", "cutmix", "shuffled", "fresh")
    figure = go.Figure(layout=base_layout(
        height=400, xaxis={"tickvals": list(range(len(points))), "ticktext": list(points)},
        yaxis={"title": {"text": "test accuracy (%)"}}))
    words = []
    arms = [("labels", None, COLOURS["hard labels"], MARKERS["hard labels"])]
    arms += [("teacher", t, SHADES[1 + i], ("circle", "triangle-up")[i])
             for i, t in enumerate(results.params["temperatures"])]
    for i, (by, temperature, colour, symbol) in enumerate(arms):
        same = {"labels": by} | ({} if temperature is None else {"temperature": temperature})
        there = [name for name in points if len(results.where(method=name, **same))]
        effects = [results.mean("accuracy", method=name, **same) for name in there]
        name = "labels, kept or mixed" if temperature is None else f"teacher, T = {temperature:g}"
        intervals(figure, [points.index(one) + 0.12 * (i - 1) for one in there], effects, name, colour, symbol,
                  line=False)
        words.append(f"{name}: " + ", ".join(f"{one} {effect.mean:.1f}"
                                             for one, effect in zip(there, effects, strict=True)))
    teacher = results.mean("accuracy", method="teacher")
    figure.add_hline(y=teacher.mean, line={"color": COLOURS["teacher"], "dash": "dash"})
    return Plot(figure, f"Fashion-MNIST, 14x14, {results.params['images']} images of their own: {'; '.join(words)}. "
                        f"Teacher {teacher.mean:.1f}. Intervals: 95% over {teacher.n} seeds.")


def gap_table(results: Results, part: str = "gaze", chosen: Sequence[str] = ("jitter", "mixup", "fresh")) -> Table:
    """The gap closed with its interval and the three means: a row for each way to ask."""
    metric, _ = DATA[one_of("part", part, DATA)]
    rows = []
    for images in sorted(results.where(part=part)["images"].unique()):
        for name in chosen:
            gap = _gap(results, metric, {"part": part, "images": images, "method": name})
            rows.append({"own inputs": int(images), "asked about": name} | _columns(gap))
    return Table(pd.DataFrame(rows))


def second_gaps(results: Results) -> Table:
    """The gap closed on Fashion-MNIST at each T: points that the teacher labelled, beside its answers about its own."""
    rows = []
    for temperature in results.params["temperatures"]:
        base = {"method": "same", "labels": "teacher", "temperature": temperature}
        for name in ("shifts", "mixup", "cutmix", "shuffled", "fresh"):
            gap = gap_closed(results, "accuracy", base | {"method": name}, base, {"method": "teacher"})
            rows.append({"T": f"{temperature:g}", "asked about": name} | _columns(gap))
    return Table(pd.DataFrame(rows))


def both_scales(small: Results, large: Results, pairs: Sequence[tuple[claims.Claim, claims.Claim]]) -> Table:
    """Claims asked by the same rules at two scales, (small, large): a row per part, both effects and verdicts."""
    rows = []
    for pair in pairs:
        for i, (one, other) in enumerate(zip(*map(claims.findings, pair, (small, large)), strict=True)):
            rows.append({"claim": "" if i else pair[0].id, "what is measured": one.part.says, "in": one.part.unit,
                         "said to be": one.part.rule}
                        | {f"{size} [95%]": f"{found.effect.span if found.effect else '-'}\n"
                                            f"{marked(found.verdict, found.words)}"
                           for size, found in (("10×14", one), ("36×60", other))})
    return Table(pd.DataFrame(rows))


def eye_gallery(eyes: Eyes, answers: Mapping | None = None, n: int = 8) -> Plot:
    """A row of eyes with pointers along their true gaze.

    answers: {"student": (mean (N, 2), log_variance (N, 2))}; each adds a pointer and the ellipse of two sigma.
    """
    figure = make_subplots(rows=1, cols=n, horizontal_spacing=0.01)
    height, width = eyes.inputs.shape[-2:]
    for col in range(n):
        figure.add_heatmap(z=eyes.inputs[col, 0].cpu().numpy(), zmin=0, zmax=1.1, colorscale=list(reversed_greys()),
                           showscale=False, hoverinfo="skip", row=1, col=col + 1)
        _arrow(figure, eyes.gaze[col], "true gaze", COLOURS["hard labels"], height, width, col + 1)
        for name, (mean, log_variance) in (answers or {}).items():
            colour = COLOURS["teacher"] if name == "teacher" else COLOURS["distilled"]
            _arrow(figure, mean[col], name, colour, height, width, col + 1)
            x, y = ellipse(mean[col].numpy(), (0.5 * log_variance[col]).exp().numpy(), height, width)
            figure.add_scatter(x=x, y=y, mode="lines", line={"color": colour, "width": 1.5}, showlegend=False,
                               hoverinfo="skip", row=1, col=col + 1)
    figure.update_layout(base_layout(height=170, margin={"l": 10, "r": 10, "t": 35, "b": 10}))
    figure.update_xaxes(visible=False, range=[-0.5, width - 0.5])
    figure.update_yaxes(visible=False, range=[height - 0.5, -0.5])
    lids = "" if eyes.opening is None else ", lids open " + ", ".join(f"{o:.0%}" for o in eyes.opening[:n].tolist())
    gaze = "; ".join(f"({yaw:+.0f}, {pitch:+.0f})" for yaw, pitch in (eyes.gaze[:n] * 180 / np.pi).tolist())
    return Plot(figure, f"{n} rendered eyes{lids}; gaze (yaw, pitch) in degrees: {gaze}.")


def picture_gallery(own: Tensor, made: Tensor, n: int = 8) -> Plot:
    """Pictures (N, 1, h, w) of a student, and below them those that it asks about."""
    figure = make_subplots(rows=2, cols=n, horizontal_spacing=0.02, vertical_spacing=0.05)
    for row, images in enumerate((own, made), 1):
        for col in range(1, n + 1):
            figure.add_heatmap(z=images[col - 1, 0].cpu().numpy(), zmin=0, zmax=1, colorscale=GREYS, showscale=False,
                               hoverinfo="skip", row=row, col=col)
    figure.update_layout(base_layout(height=270, margin={"l": 10, "r": 10, "t": 15, "b": 10}))
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, autorange="reversed")
    return Plot(figure, f"Above, {n} of the student's own pictures; below, {n} that it asks its teacher about.")


def point(gaze: np.ndarray, height: int, width: int) -> np.ndarray:
    """Where gazes (..., 2) point to, in pixels of the image (x, y): (..., 2)."""
    x, y, _ = direction(torch.as_tensor(np.asarray(gaze), dtype=torch.float32)).unbind(-1)
    scale = (width - 1) / 2.8
    return np.stack([(width - 1) / 2 + scale * x.numpy(), (height - 1) / 2 - (height - 1) / 2 * y.numpy()], -1)


def ellipse(mean: np.ndarray, sigma: np.ndarray, height: int, width: int, turns: int = 33) -> tuple:
    """The outline of two standard deviations around a gaze, in pixels: x (turns,), y (turns,)."""
    angle = np.linspace(0, 2 * np.pi, turns)
    return tuple(point(mean + 2 * sigma * np.stack([np.cos(angle), np.sin(angle)], -1), height, width).T)


def reversed_greys() -> list:
    """Black to white: a picture, not ink."""
    (_, white), (_, black) = GREYS
    return [[0.0, black], [1.0, white]]


def _arrow(figure: go.Figure, gaze, name: str, colour: str, height: int, width: int, col: int) -> None:
    x, y = point(gaze.numpy(), height, width)
    figure.add_scatter(x=[(width - 1) / 2, x], y=[(height - 1) / 2, y], mode="lines", showlegend=False,
                       line={"color": colour, "width": 2.5}, row=1, col=col, hoverinfo="skip")
    figure.add_scatter(x=[x], y=[y], mode="markers", name=name, legendgroup=name, showlegend=col == 1, row=1, col=col,
                       marker={"color": colour, "size": 8}, hoverinfo="skip")


def _columns(gap: Gap) -> dict:
    """A gap as cells of a table: its three numbers before the ratio."""
    share = f"{gap.share:z.0f}% [{gap.low:z.0f}, {gap.high:z.0f}]" if np.isfinite(gap.low) else "no interval"
    return {"same inputs": f"{gap.base:.2f}", "student": f"{gap.student:.2f}", "teacher": f"{gap.teacher:.2f}",
            "gap closed [95%]": share, "seeds": gap.n}


def _by_queries(results: Results) -> dict:
    """The gap in degrees by how many fresh eyes were asked about; the most are those of part "gaze"."""
    images = _eyes_of_own(results)
    gaps = {int(n): _gap(results, "degrees", {"part": "queries", "images": images, "queries": n})
            for n in sorted(results.where(part="queries")["queries"].dropna().unique())}
    return gaps | {results.params["gaze_extra"]: _gap(results, "degrees", {"part": "gaze", "images": images,
                                                                          "method": "fresh"})}


def _by_views(results: Results) -> dict:
    rows = results.where(part="views", method="shifts")
    images = int(rows["images"].iloc[0])
    return {int(n): _gap(results, "accuracy", {"part": "views", "images": images, "views": n}, "digits")
            for n in sorted(rows["views"].unique())}


def _gap(results: Results, metric: str, arm: dict, part: str | None = None):
    part = part or {"queries": "gaze"}.get(arm["part"], arm["part"])
    same = {"part": part, "images": arm["images"]}
    return gap_closed(results, metric, arm, same | {"method": "same"}, same | {"method": "teacher"})


def _sideways(figure: go.Figure, effects: Sequence[Effect], y, name: str, colour: str, symbol: str, **more) -> None:
    """Means with horizontal 95% intervals at heights y."""
    place = {key: more[key] for key in ("row", "col") if key in more}
    nothing = [np.nan] * len(effects)
    figure.add_scatter(x=np.column_stack([[e.low for e in effects], [e.high for e in effects], nothing]).ravel(),
                       y=np.column_stack([list(y), list(y), nothing]).ravel(), mode="lines", showlegend=False,
                       line={"color": colour, "width": 2}, hoverinfo="skip", connectgaps=False, **place)
    figure.add_scatter(x=[e.mean for e in effects], y=list(y), mode="markers", name=name,
                       marker={"color": colour, "size": 10, "symbol": symbol},
                       hovertemplate="%{x:.2f}<extra>" + name + "</extra>", **more)
