"""Results as figures with intervals; every figure comes with the sentence that says what it shows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from kdutils import claims
from kdutils.datasets import Dataset
from kdutils.plots.static import bundle
from kdutils.plots.style import (
    COLOURS,
    DASHES,
    GREYS,
    MARKERS,
    SHADE_MARKERS,
    SHADES,
    base_layout,
    title_fonts,
    translucent,
)
from kdutils.results import Effect, Results


@dataclass(frozen=True)
class Plot:
    """A finished figure and its reading. Shown in a notebook as a static bundle with the sentence under it."""

    figure: go.Figure
    reading: str

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        display(bundle(self.figure, self.reading), raw=True)
        display(HTML(f'<p style="color:var(--jp-ui-font-color2,#666);margin:0 0 1em 0">{self.reading}</p>'))


def learning_curves(results: Results) -> Plot:
    """Test accuracy against steps: hard-label and distilled students with 95% bands, the teacher as a line."""
    figure = go.Figure(layout=base_layout(xaxis={"title": {"text": "training steps"}},
                                          yaxis={"title": {"text": "test accuracy (%)"}, "range": [40, 100]}))
    summary = results.summary("accuracy", by=["method", "step"])
    for method in ("hard labels", "distilled"):
        rows = summary[summary["method"] == method]
        _band(figure, rows["step"], rows, method, f"student, {method}")
    last = int(summary["step"].max())
    teacher = summary[summary["method"] == "teacher"].iloc[0]
    figure.add_scatter(x=[0, last], y=[teacher["mean"]] * 2, mode="lines", name="teacher",
                       line={"color": COLOURS["teacher"], "dash": DASHES["teacher"]})
    at_end = {"step": last}
    gain = results.paired("accuracy", this=at_end | {"method": "distilled"}, minus=at_end | {"method": "hard labels"})
    return Plot(figure, f"After {last} steps, students of soft targets are {_points(gain)} {_more(gain)} accurate than "
                        f"students of hard labels; bands are 95% intervals over {gain.n} seeds.")


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
        _intervals(figure, temperatures, effects, f"{n:,} images", SHADES[index % 3], SHADE_MARKERS[index % 3])
    words = "; ".join(f"{n:,} images: {_points(_gain(results, 'sweep', n, temperatures[0]), sign=True)} at "
                      f"T = {temperatures[0]:g}, {_points(_gain(results, 'sweep', n, temperatures[-1]), sign=True)} at "
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
        _intervals(figure, np.arange(len(sizes)) + shift, effects, name, COLOURS[colour], MARKERS[colour], line=False)
        gains = [f"{_points(effect, sign=True)} with {n}" for n, effect in zip(sizes, effects, strict=True)]
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
        _intervals(figure, np.arange(len(arms)) + shift, effects, name, COLOURS[colour], symbol, line=False)
        words.append(f"{name}: " + ", ".join(f"{arm} {e.mean:.0f}%" for arm, e in zip(names, effects, strict=True)))
    if not arms:
        return Plot(figure, "The students that never see one of the digits have not been trained.")
    digit = results.params.get("omitted", "?")
    return Plot(figure, f"How many {digit}s are recognised by students that never saw one; {'; '.join(words)}.")


def digit_gallery(data: Dataset, indices: Sequence[int], titles: Sequence[str] = ()) -> Plot:
    """A row of images."""
    titles = list(titles) or [data.classes[int(data.labels[i])] for i in indices]
    figure = make_subplots(rows=1, cols=len(indices), subplot_titles=titles, horizontal_spacing=0.02)
    for column, index in enumerate(indices, 1):
        image = data.images[index, 0].cpu().numpy()
        figure.add_heatmap(z=image, row=1, col=column, colorscale=GREYS, showscale=False, hoverinfo="skip")
    figure.update_layout(base_layout(height=190, margin={"l": 10, "r": 10, "t": 35, "b": 10}))
    title_fonts(figure)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, autorange="reversed")
    return Plot(figure, f"{len(indices)} images from {data.name}: {', '.join(titles)}.")


@dataclass(frozen=True)
class Table:
    """A table of text, left-aligned on the page and readable as text."""

    frame: pd.DataFrame

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        left = [{"selector": "th, td", "props": "text-align: left; vertical-align: top; white-space: normal"}]
        page = self.frame.style.hide(axis="index").set_table_styles(left).to_html()
        return {"text/html": page, "text/plain": self.frame.to_string(index=False)}


def claims_table(results: Results, chosen: Sequence[claims.Claim]) -> Table:
    """Claims, what was measured and the verdicts: a row per part."""
    table = claims.table(results, chosen)
    statements = {claim.id: f"{claim.id}: {claim.statement}" for claim in chosen}
    first = ~table["claim"].duplicated()
    measured = ["-" if row.seeds == 0 else f"{row.mean:+.1f} (1 seed)" if row.seeds == 1 else
                f"{row.mean:+.1f} [{row.low:+.1f}, {row.high:+.1f}]" for row in table.itertuples()]
    return Table(pd.DataFrame({
        "claim": table["claim"].map(statements).where(first, ""), "what is measured": table["says"],
        "measured [95%]": measured, "said to be": table["rule"], "verdict": table["part verdict"]}))


def paper_and_us(results: Results, chosen: Sequence[claims.Claim]) -> Table:
    """What the paper reports beside what these results say, and why they may differ: a row per claim."""
    rows = []
    for claim in chosen:
        ours = [f"{finding.part.says}: {finding.effect or 'not measured'}"
                for finding in claims.findings(claim, results)]
        rows.append({"claim": f"{claim.id}: {claim.statement}", "the paper": claim.paper, "ours": "; ".join(ours),
                     "verdict": claims.verdict(claim, results), "why they may differ": claim.why})
    return Table(pd.DataFrame(rows))


def log_temperature_axis(temperatures: Sequence[float]) -> dict:
    """A logarithmic axis that is labelled at the temperatures tried."""
    low, high = np.log10(min(temperatures)), np.log10(max(temperatures))
    return {"type": "log", "title": {"text": "temperature T"}, "tickvals": list(temperatures),
            "ticktext": [f"{t:g}" for t in temperatures], "range": [low - 0.08, high + 0.08]}


def _gain(results: Results, part: str, n: int, temperature: float) -> Effect:
    same = {"part": part, "transfer": n}
    return results.paired("accuracy", this=same | {"method": "distilled", "temperature": temperature},
                          minus=same | {"method": "hard labels"})


def _band(figure: go.Figure, x, rows: pd.DataFrame, colour: str, name: str) -> None:
    """A mean line with its 95% band."""
    edge = {"x": x, "mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
    figure.add_scatter(y=rows["low"], **edge)
    figure.add_scatter(y=rows["high"], fill="tonexty", fillcolor=translucent(COLOURS[colour]), **edge)
    figure.add_scatter(x=x, y=rows["mean"], mode="lines", name=name,
                       line={"color": COLOURS[colour], "dash": DASHES[colour], "width": 2.5})


def _intervals(figure: go.Figure, x, effects: Sequence[Effect], name: str, colour: str, symbol: str,
               line: bool = True) -> None:
    """Means with vertical 95% intervals."""
    nothing = [np.nan] * len(effects)
    bars_x = np.column_stack([x, x, nothing]).ravel()
    bars_y = np.column_stack([[e.low for e in effects], [e.high for e in effects], nothing]).ravel()
    figure.add_scatter(x=bars_x, y=bars_y, mode="lines", line={"color": colour, "width": 2}, showlegend=False,
                       hoverinfo="skip", connectgaps=False)
    figure.add_scatter(x=list(x), y=[e.mean for e in effects], mode="lines+markers" if line else "markers", name=name,
                       line={"color": colour, "width": 1.5}, marker={"color": colour, "size": 9, "symbol": symbol},
                       hovertemplate="%{y:.2f}<extra>" + name + "</extra>")


def _points(effect: Effect, sign: bool = False) -> str:
    return f"{effect.mean:+.1f}" if sign else f"{abs(effect.mean):.1f} points"


def _more(effect: Effect) -> str:
    return "more" if effect.mean >= 0 else "less"
