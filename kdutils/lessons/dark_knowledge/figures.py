"""The figures of notebook 01."""

import numpy as np
import plotly.graph_objects as go

from kdutils.plots.base import Plot, intervals, log_temperature_axis
from kdutils.plots.style import COLOURS, MARKERS, SHADE_MARKERS, SHADES, base_layout
from kdutils.results import Effect, Results


def gain_by_temperature(results: Results) -> Plot:
    """Paired gain over the hard-label student against temperature, one line per transfer-set size."""
    sweep = results.where(part="sweep")
    sizes = sorted(sweep["transfer"].unique())
    temperatures = sorted(sweep["temperature"].dropna().unique())
    figure = go.Figure(layout=base_layout(
        height=420, xaxis=log_temperature_axis(temperatures),
        yaxis={"title": {"text": "gain over hard labels (points)"}}))
    figure.add_hline(y=0, line={"color": COLOURS["hard labels"], "dash": "dot", "width": 1.5})
    for index, n in enumerate(sizes):
        effects = [_gain(results, "sweep", n, t) for t in temperatures]
        intervals(figure, temperatures, effects, f"{n:,} images", SHADES[index % 3], SHADE_MARKERS[index % 3])
    words = "; ".join(f"{n:,} images: {_points(_gain(results, 'sweep', n, temperatures[0]))} at "
                      f"T = {temperatures[0]:g}, {_points(_gain(results, 'sweep', n, temperatures[-1]))} at "
                      f"T = {temperatures[-1]:g}" for n in sizes)
    seeds = sweep["seed"].nunique()
    return Plot(figure, f"Gain of distilled over hard-label students, paired over {seeds} seeds. {words}.")


def whose_labels(results: Results) -> Plot:
    """Gain of a student whose teacher saw all labels beside one whose teacher saw only the student's."""
    control = results.where(part="same labels")
    temperature = control["temperature"].max()      # the one that was tried; NaN if the control was not run
    both = set(results.where(part="sweep", temperature=temperature)["transfer"])
    sizes = [n for n in sorted(control["transfer"].unique()) if n in both]
    figure = go.Figure(layout=base_layout(
        yaxis={"title": {"text": "gain over hard labels (points)"}},
        xaxis={"tickvals": list(range(len(sizes))), "ticktext": [f"{n} images" for n in sizes],
               "range": [-0.6, len(sizes) - 0.4]}))
    figure.add_hline(y=0, line={"color": COLOURS["hard labels"], "dash": "dot", "width": 1.5})
    kinds = (("sweep", "teacher saw all labels", "distilled", -0.1),
             ("same labels", "teacher saw the same labels", "other", 0.1))
    if not sizes:
        return Plot(figure, "No size of the transfer set was tried with both kinds of teacher at the same temperature.")
    words = []
    for part, name, colour, shift in kinds:
        effects = [_gain(results, part, n, temperature) for n in sizes]
        intervals(figure, np.arange(len(sizes)) + shift, effects, name, COLOURS[colour], MARKERS[colour], line=False)
        gains = [f"{_points(effect)} with {n}" for n, effect in zip(sizes, effects, strict=True)]
        words.append(f"{name}: {', '.join(gains)}")
    return Plot(figure, f"Gain at T = {temperature:g}; {'; '.join(words)} images.")


def omitted_digit(results: Results) -> Plot:
    """Recall of the digit no student saw, plain and after the label-free bias correction."""
    rows = results.where(part="omitted")
    arms = list(dict.fromkeys(zip(rows["method"], rows["temperature"].fillna(0), strict=True)))
    names = ["hard labels" if not t else f"T = {t:g}" for _, t in arms]
    figure = go.Figure(layout=base_layout(
        yaxis={"title": {"text": "recall of the unseen digit (%)"}, "range": [-3, 105]},
        xaxis={"tickvals": list(range(len(arms))), "ticktext": names, "range": [-0.6, len(arms) - 0.4]}))
    words = []
    for metric, name, colour, symbol, shift in (("recall", "as trained", "other", "circle-open", -0.08),
                                                ("corrected_recall", "bias corrected", "distilled", "circle", 0.08)):
        effects = [results.mean(metric, part="omitted", method=method, **({"temperature": t} if t else {}))
                   for method, t in arms]
        intervals(figure, np.arange(len(arms)) + shift, effects, name, COLOURS[colour], symbol, line=False)
        words.append(f"{name}: " + ", ".join(f"{arm} {e.mean:.0f}%" for arm, e in zip(names, effects, strict=True)))
    if not arms:
        return Plot(figure, "The students that never see one of the digits have not been trained.")
    digit = results.params.get("omitted", "?")
    return Plot(figure, f"How many {digit}s are recognised by students that never saw one; {'; '.join(words)}.")


def _gain(results: Results, part: str, n: int, temperature: float) -> Effect:
    same = {"part": part, "transfer": n}
    return results.paired("accuracy", this=same | {"method": "distilled", "temperature": temperature},
                          minus=same | {"method": "hard labels"})


def _points(effect: Effect) -> str:
    return f"{effect.mean:+.1f}"
