"""The figures of notebook 04."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from kdutils.errors import one_of
from kdutils.objectives import largest_probability
from kdutils.plots.base import Plot, Table, intervals, log_temperature_axis
from kdutils.plots.style import COLOURS, MARKERS, base_layout, title_fonts
from kdutils.results import Effect, Results

METRICS = {"accuracy": "test accuracy (%)", "spread": "spread of the logits", "confidence": "confidence (%)",
           "ece": "calibration error (%)"}
FORMS = ("KD", "SKD", "one scalar")
OPTIMISER_LOOKS = {"Adam": ("#009E73", "circle"), "SGD": ("#CC79A7", "square"),
                   "SGD, weight decay": ("#7f7f7f", "triangle-up")}
NOT_YET = "The students have not been trained."
# The rows of the ablation, with what each of them normalises.
ABLATION = {"KD": "KD: nothing", "teacher per image": "the teacher, image by image",
            "one scalar": "the teacher, by one scalar", "student only": "the student alone",
            "SKD": "SKD: both, at m", "per-sample scale": "both, at the teacher's own spread",
            "SKD, the teacher's m": "both, at the teacher's mean spread",
            "normalised temperature": "both, T times each answer's own spread"}


def capacity_gap(results: Results, forms: Sequence[str] = FORMS, optimiser: str = "Adam") -> Plot:
    """Students by the width of their teacher, a panel for each temperature; the teachers above them."""
    rows = _students(results, optimiser)
    temperatures = sorted(rows["temperature"].unique()) if len(rows) else []
    figure = _side_by_side([f"T = {t:g}" for t in temperatures], METRICS["accuracy"])
    if not temperatures:
        return Plot(figure, NOT_YET)
    widths, words = list(results.params["widths"]), []
    for col, t in enumerate(temperatures, 1):
        place = {"row": 1, "col": col, "showlegend": col == 1}
        arms = [("teacher", None)] + [(form, t) for form in forms if form in set(rows["method"])]
        said = []
        for number, (method, temperature) in enumerate(arms):
            effects = [_mean(results, "accuracy", method, optimiser, width, temperature) for width in widths]
            intervals(figure, _aside(range(len(widths)), number), effects, method, COLOURS[method], MARKERS[method],
                      **place)
            if method != "teacher":
                said.append(f"{method} {effects[0].mean:.1f} to {effects[-1].mean:.1f}")
        words.append(f"T = {t:g}: {', '.join(said)}")
    figure.update_xaxes(tickvals=list(range(len(widths))), ticktext=[f"{width:,}" for width in widths],
                        title_text="hidden units of the teacher")
    ends = [_mean(results, "accuracy", "teacher", optimiser, width) for width in (widths[0], widths[-1])]
    return Plot(figure, f"Teachers by {optimiser} go from {ends[0].mean:.1f}% ({widths[0]:,} units) to "
                        f"{ends[1].mean:.1f}% ({widths[-1]:,}). Students behind the smallest and the largest: "
                        f"{'; '.join(words)}. Intervals: 95% over {ends[0].n} seeds.")


def confidence(results: Results, metrics: Sequence[str] = ("spread", "confidence", "ece"), part: str = "gap") -> Plot:
    """How loudly teachers and their students at T = 4 speak, by the teacher's width. part: "gap" or "confidence"."""
    rows = results.where(part=one_of("part", part, ("gap", "confidence")))
    figure = _side_by_side([METRICS[one_of("metric", metric, METRICS)] for metric in metrics], "")
    if rows.empty:
        return Plot(figure, NOT_YET)
    widths = [int(w) for w in sorted(rows["width"].dropna().unique())]
    temperature, words = _nearest_to_four(rows), []
    for col, metric in enumerate(metrics, 1):
        said = []
        for number, (method, t) in enumerate((("teacher", None), ("KD", temperature), ("SKD", temperature))):
            effects = [_mean(results, metric, method, "Adam", width, t, part) for width in widths]
            intervals(figure, _aside(range(len(widths)), number), effects, method if t is None else f"{method} student",
                      COLOURS[method], MARKERS[method], row=1, col=col, showlegend=col == 1)
            said.append(f"{method} {effects[0].mean:.1f} to {effects[-1].mean:.1f}")
        words.append(f"{METRICS[metric]}: {', '.join(said)}")
    figure.update_xaxes(tickvals=list(range(len(widths))), ticktext=[f"{width:,}" for width in widths],
                        title_text="hidden units of the teacher")
    return Plot(figure, f"From {widths[0]:,} to {widths[-1]:,} hidden units, students at T = {temperature:g}. "
                        f"{'; '.join(words)}. Confidence is the mean of the largest probability; a spherical student's "
                        f"is at the scale m, its spread that of its raw logits.")


def dial(results: Results, m: float | None = None) -> Plot:
    """Accuracy over the temperature: KD, SKD with m fixed, and SKD with m / T fixed."""
    rows = results.where(part="dial")
    if rows.empty:
        return Plot(go.Figure(layout=base_layout()), NOT_YET)
    temperatures = sorted(rows["temperature"].unique())
    figure = go.Figure(layout=base_layout(height=420, xaxis=log_temperature_axis(temperatures),
                                          yaxis={"title": {"text": METRICS["accuracy"]}}))
    words = []
    for number, (method, kind) in enumerate((("KD", "KD"), ("SKD", "SKD"), ("SKD, m/T fixed", "one scalar"))):
        if method not in set(rows["method"]):
            continue
        effects = [results.mean("accuracy", part="dial", method=method, temperature=t) for t in temperatures]
        name = {"SKD": f"SKD, m = {results.params['m']:g}"}.get(method, method)
        intervals(figure, [t * 1.03 ** (number - 1) for t in temperatures], effects, name, COLOURS[kind], MARKERS[kind])
        means = [effect.mean for effect in effects]
        words.append(f"{name}: {means[0]:.1f} at T = {temperatures[0]:g}, best {max(means):.1f}, {means[-1]:.1f} at "
                     f"T = {temperatures[-1]:g}")
    return Plot(figure, f"Test accuracy (%) over T. {'; '.join(words)}. Intervals: 95% over {effects[0].n} seeds.")


def ablation(results: Results, temperatures: Sequence[float] = ()) -> Plot:
    """What each way of normalising gains over KD behind the largest teacher, paired; at the first two temperatures."""
    rows = results.where(part="ablation")
    figure = go.Figure(layout=base_layout(height=430, margin={"l": 270}, xaxis={
        "title": {"text": "gain over KD at the same T (points)"}}))
    if rows.empty:
        return Plot(figure, NOT_YET)
    temperatures = temperatures or sorted(rows["temperature"].dropna().unique())[:2]
    names = [name for name in ABLATION if name != "KD" and name in set(rows["method"])]
    words = []
    for number, t in enumerate(temperatures):
        effects = {name: results.paired("accuracy", {"part": "ablation", "method": name, "temperature": float(t)},
                                        {"part": "ablation", "method": "KD", "temperature": float(t)})
                   for name in names}
        y = [len(names) - 1 - i + 0.16 * (0.5 - number) for i in range(len(names))]
        _across(figure, list(effects.values()), y, f"T = {t:g}", number)
        words.append(f"T = {t:g}: " + ", ".join(f"{ABLATION[name]} {effect.mean:+.1f}"
                                               for name, effect in effects.items()))
    figure.add_vline(x=0, line={"color": COLOURS["other"], "dash": "dot", "width": 1.5})
    figure.update_yaxes(tickvals=list(range(len(names)))[::-1], ticktext=[ABLATION[name] for name in names],
                        range=[-0.6, len(names) - 0.4])
    return Plot(figure, f"Gain over KD of the same T, in points. {'; '.join(words)}. Intervals: 95% over "
                        f"{next(iter(effects.values())).n} seeds.")


def optimisers(results: Results) -> Plot:
    """The same widths by other optimisers: the teachers' spread, and how KD students suffer from width."""
    rows = results.where(part="gap")
    temperature = _nearest_to_four(rows[rows["optimiser"] != "Adam"]) if len(rows) else 4.0
    figure = _side_by_side([f"teachers: {METRICS['spread']}", f"KD students, T = {temperature:g}: accuracy (%)"], "")
    if rows.empty:
        return Plot(figure, NOT_YET)
    widths, words = list(results.params["widths"]), []
    for number, (optimiser, (colour, symbol)) in enumerate(
            (name, look) for name, look in OPTIMISER_LOOKS.items() if name in set(rows["optimiser"])):
        said = []
        for col, (metric, method, t) in enumerate((("spread", "teacher", None), ("accuracy", "KD", temperature)), 1):
            effects = [_mean(results, metric, method, optimiser, width, t) for width in widths]
            intervals(figure, _aside(range(len(widths)), number), effects, optimiser, colour, symbol,
                      row=1, col=col, showlegend=col == 1)
            said.append(f"{'spread' if col == 1 else 'students'} {effects[0].mean:.1f} to {effects[-1].mean:.1f}")
        words.append(f"{optimiser}: {', '.join(said)}")
    figure.update_xaxes(tickvals=list(range(len(widths))), ticktext=[f"{width:,}" for width in widths],
                        title_text="hidden units of the teacher")
    return Plot(figure, f"From {widths[0]:,} to {widths[-1]:,} hidden units. {'; '.join(words)}. Intervals: 95% over "
                        f"{effects[0].n} seeds.")


def table(results: Results, images: int = 100) -> Table:
    """{KD term raw, spherical} x {labels raw, spherical} x m: accuracy and calibration error."""
    frames = []
    rows = results.where(part="table", transfer=images)
    for (method, m), group in rows.groupby(["method", "m"], dropna=False, sort=False):
        soft, hard = method.split(", ")
        accuracy, ece = (Results(group).mean(metric) for metric in ("accuracy", "ece"))
        frames.append({"KD term": soft, "labels": hard, "m": "-" if pd.isna(m) else f"{m:g}",
                       "accuracy (%)": _span(accuracy), "calibration error (%)": f"{ece.mean:.1f}"})
    return Table(pd.DataFrame(frames, columns=["KD term", "labels", "m", "accuracy (%)", "calibration error (%)"]))


def more_time(results: Results) -> Table:
    """Students at T = 4 with the usual steps and with more of them, behind the smallest and the largest teacher."""
    small, large = results.params["widths"][0], results.params["widths"][-1]
    found = []
    for part, steps in (("gap", 1), ("longer", results.params["patience"])):
        for method in ("KD", "SKD"):
            arm = {"part": part, "optimiser": "Adam", "method": method, "temperature": 4.0}
            if len(results.where(**arm)):
                ends = [results.mean("accuracy", width=width, **arm) for width in (small, large)]
                gap = results.paired("accuracy", arm | {"width": large}, arm | {"width": small})
                found.append({"steps": f"{steps * results.params['student_steps']:,}", "": method,
                              f"behind {small:,} units (%)": f"{ends[0].mean:.1f}",
                              f"behind {large:,} (%)": f"{ends[1].mean:.1f}", "difference (points)": gap.span})
    return Table(pd.DataFrame(found))


def two_classes(results: Results) -> Table:
    """0-4 against 5-9: the teacher, and what its students learn when they hear logits, directions, or labels."""
    says = {"teacher": "teacher, 1,200 labels", "KD": "student of KD, T = 4",
            "teacher per image": "student of the teacher's directions, itself free",
            "hard labels": "student of hard labels", "SKD": "student of SKD"}
    found = [{"": words, "accuracy (%)": _span(results.mean("accuracy", part="two classes", method=method))}
             for method, words in says.items() if len(results.where(part="two classes", method=method))]
    return Table(pd.DataFrame(found, columns=["", "accuracy (%)"]))


def reach(scales: Sequence[float] = (1.0, 2.0, 3.0, 6.0), classes: Sequence[int] = (2, 10, 100, 1000),
          temperatures: Sequence[float] = (1.0, 4.0)) -> pd.DataFrame:
    """The highest probability that an answer at scale m can give a class, by m, classes and temperature."""
    return pd.DataFrame({f"C = {c:,}": [largest_probability(m, c, t) for t in temperatures for m in scales]
                         for c in classes}, index=[f"m = {m:g}, T = {t:g}" for t in temperatures for m in scales])


def _students(results: Results, optimiser: str) -> pd.DataFrame:
    rows = results.where(part="gap", optimiser=optimiser)
    return rows[rows["method"] != "teacher"]


def _mean(results: Results, metric: str, method: str, optimiser: str, width: int, temperature: float | None = None,
          part: str = "gap") -> Effect:
    arm = {"part": part, "method": method, "optimiser": optimiser, "width": width}
    return results.mean(metric, **arm | ({} if temperature is None else {"temperature": temperature}))


def _nearest_to_four(rows: pd.DataFrame) -> float:
    return min(rows["temperature"].dropna().unique(), key=lambda t: abs(np.log(t / 4)))


def _span(effect: Effect) -> str:
    """A mean with its interval, without a sign; the mean alone for one seed."""
    return f"{effect.mean:.1f}" if effect.n < 2 else f"{effect.mean:.1f} [{effect.low:.1f}, {effect.high:.1f}]"


def _aside(places, number: int) -> list[float]:
    """Places on an axis, moved a little so that intervals do not cover each other."""
    return [place + 0.07 * (number - 1) for place in places]


def _across(figure: go.Figure, effects: Sequence[Effect], y: Sequence[float], name: str, number: int) -> None:
    """Horizontal intervals with their means."""
    colour, symbol = (("#fdae6b", "circle"), ("#7f2704", "diamond"))[number % 2]
    nothing = [np.nan] * len(effects)
    figure.add_scatter(x=np.column_stack([[e.low for e in effects], [e.high for e in effects], nothing]).ravel(),
                       y=np.column_stack([y, y, nothing]).ravel(), mode="lines", line={"color": colour, "width": 2.5},
                       showlegend=False, hoverinfo="skip", connectgaps=False)
    figure.add_scatter(x=[e.mean for e in effects], y=list(y), mode="markers", name=name,
                       marker={"color": colour, "size": 10, "symbol": symbol},
                       hovertemplate="%{x:.2f}<extra>" + name + "</extra>")


def _side_by_side(titles: Sequence[str], y: str) -> go.Figure:
    """An empty figure with a panel for each title."""
    figure = make_subplots(rows=1, cols=max(1, len(titles)), subplot_titles=list(titles), horizontal_spacing=0.08)
    figure.update_layout(base_layout(height=400, margin={"l": 60, "r": 20, "t": 90, "b": 50}, legend={"y": 1.12}))
    title_fonts(figure)
    figure.update_xaxes(ticks="outside")
    figure.update_yaxes(ticks="outside")
    if y:
        figure.update_yaxes(title_text=y, col=1)
    return figure
