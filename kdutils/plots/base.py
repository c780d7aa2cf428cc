"""What the figures of every notebook share: bands, intervals, images, tables, and how they are shown."""

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from kdutils import claims
from kdutils.datasets import Dataset
from kdutils.headless import headless
from kdutils.plots.static import PLOTLY, bundle, on_any_page
from kdutils.plots.style import COLOURS, DASHES, GREYS, VERDICT_COLOURS, base_layout, title_fonts, translucent
from kdutils.results import Effect, Results


@dataclass(frozen=True)
class Plot:
    """A finished figure and its reading, with the sentence under it.

    On a live page it is drawn as the figures of panels are: in the colours of the page's theme, fitted to its width.
    Beside that stands what a page without a kernel shows; headless, a static bundle.
    """

    figure: go.Figure
    reading: str

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(bundle(self.figure, self.reading) if headless() else live(self.figure, self.reading), raw=True)
        display(caption(self.reading))


def live(figure: go.Figure, reading: str) -> dict:
    """The mime bundle of a figure on a page with a kernel: a view, and plotly JSON for when the kernel has gone."""
    chart = chart_of(figure, reading)
    chart.view.layout.width = "100%"
    return {PLOTLY: on_any_page(figure), "text/plain": reading,
            "application/vnd.jupyter.widget-view+json": {"version_major": 2, "version_minor": 0,
                                                         "model_id": chart.view.model_id}}


def chart_of(figure: go.Figure, reading: str):
    """The figure as panels have theirs: a Chart, whose traces all have a name."""
    from kdutils.live.chart import Chart

    named = go.Figure(figure)
    for number, trace in enumerate(named.data):
        trace.uid = trace.uid or str(number)
    chart = Chart(named)
    chart.describe(reading)
    return chart


def caption(reading: str):
    """The sentence under a static figure, for readers who see the page."""
    from IPython.display import HTML

    return HTML(_sentence(reading))


def _sentence(text: str) -> str:
    return f'<p style="color:var(--jp-ui-font-color1,#333);margin:0 0 1em 0">{html.escape(text)}</p>'


# Said twice, and so stronger than JupyterLab's own rule for the cells of tables, which sets them to the right.
_TABLE = ("<style>table.kd-table.kd-table :is(th, td) { text-align: left; vertical-align: top; white-space: pre-line; }"
          "</style>")


@dataclass(frozen=True)
class Group:
    """Rows of a table that belong together: `size` of them, under `head`, which opens and folds them."""

    head: str
    size: int
    is_open: bool = True


@dataclass(frozen=True)
class Table:
    """A table of text, left-aligned on the page and readable as text. A newline begins a line of a cell.

    css: the style of single columns, by name. Cells of a column "verdict" have the verdict's colour at their side.
    note: a sentence under the table. groups: of all rows, in their order; on a page each is a table of its own, without
    the first column, which its head tells.
    """

    frame: pd.DataFrame
    css: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    groups: Sequence[Group] = ()

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        page = _TABLE + ("".join(self._folded()) if self.groups else self._html(self.frame))
        in_lines = self.frame.map(lambda cell: cell.replace("\n", "; ") if isinstance(cell, str) else cell)
        return {"text/html": page + (_sentence(self.note) if self.note else ""),
                "text/plain": "\n".join(filter(None, [in_lines.to_string(index=False), self.note]))}

    def _folded(self) -> Iterator[str]:
        at = 0
        for group in self.groups:
            rows = self.frame.iloc[at:at + group.size, 1:].reset_index(drop=True)
            yield (f"<details{' open' * group.is_open}><summary>{html.escape(group.head)}</summary>"
                   f"{self._html(rows)}</details>")
            at += group.size

    def _html(self, frame: pd.DataFrame) -> str:
        head = "".join(f"<th>{html.escape(str(name))}</th>" for name in frame.columns)
        rows = ("".join(self._cell(name, f"{value:.6g}" if isinstance(value, float) else str(value))
                        for name, value in row.items())
                for row in frame.to_dict("records"))
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f'<table class="kd-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'

    def _cell(self, column: str, value: str) -> str:
        style = "; ".join(filter(None, [self.css.get(column), _verdict_border(value) if column == "verdict" else ""]))
        return f'<td{f" style={chr(34)}{style}{chr(34)}" if style else ""}>{html.escape(value)}</td>'


def marked(verdict: str, words: str = "") -> str:
    """A verdict after its mark; `words` in place of the verdict's own."""
    return f"{claims.MARKS[verdict]} {words or verdict}"


def _verdict_border(marked: str) -> str:
    verdict = next(verdict for verdict, mark in claims.MARKS.items() if marked.startswith(mark))
    return f"border-left: 4px solid {VERDICT_COLOURS[verdict]}"


def digit_gallery(data: Dataset, indices: Sequence[int], titles: Sequence[str] = (), marked: str = "") -> Plot:
    """A row of images. marked: the title of the one that a page carries through, if there is one."""
    names = list(titles) or [data.classes[int(data.labels[i])] for i in indices]
    titles = [f"<b>▼ {name}</b>" if name == marked else name for name in names]
    figure = make_subplots(rows=1, cols=len(indices), subplot_titles=titles, horizontal_spacing=0.02)
    for column, index in enumerate(indices, 1):
        image = data.images[index, 0].cpu().numpy()
        figure.add_heatmap(z=image, row=1, col=column, colorscale=GREYS, showscale=False, hoverinfo="skip")
    figure.update_layout(base_layout(height=190, margin={"l": 10, "r": 10, "t": 35, "b": 10}))
    title_fonts(figure)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, autorange="reversed")
    which = f" The {marked} is the one that this page follows." if marked in names else ""
    return Plot(figure, f"{len(indices)} images from {data.name}: {', '.join(names)}.{which}")


def claims_table(results: Results, chosen: Sequence[claims.Claim]) -> Table:
    """Claims, what was measured and the verdicts: a row per part, and how many intervals miss by chance alone.

    On a page a claim is a line with its verdict, and its parts are folded where all of it was seen.
    """
    rows, groups = [], []
    for claim in chosen:
        found, said = claims.findings(claim, results), f"{claim.id}: {claim.statement}"
        whole = claims.verdict(claim, results)
        groups.append(Group(f"{marked(whole)} · {said}", len(found), whole != claims.SEEN))
        rows += [{"claim": "" if i else said, "what is measured": finding.part.says,
                  "measured [95%]": _span(finding.effect), "in": finding.part.unit, "said to be": finding.part.rule,
                  "verdict": marked(finding.verdict, finding.words)} for i, finding in enumerate(found)]
    return Table(pd.DataFrame(rows), {"measured [95%]": "white-space: nowrap"}, _by_chance(len(rows)), groups)


def _by_chance(intervals: int) -> str:
    """What to expect of so many intervals, whether or not they depend on each other; nothing to say of a few."""
    if (missed := round(intervals / 20)) < 1:
        return ""
    return (f"Of {intervals} intervals at 95%, about {missed} will miss the true value by chance alone. Each verdict "
            "here is that of its own interval; that on a whole claim is corrected for the number of its parts (Holm).")


def paper_and_us(results: Results, chosen: Sequence[claims.Claim]) -> Table:
    """What the paper reports beside what these results say, and why they may differ: a row per claim."""
    rows = [{"claim": f"{claim.id}: {claim.statement}", "the paper": claim.paper,
             "ours": "\n".join(_measured(claims.findings(claim, results))),
             "verdict": marked(claims.verdict(claim, results)), "why they may differ": claim.why} for claim in chosen]
    return Table(pd.DataFrame(rows), {"ours": "min-width: 22em"})


def scales(at: Mapping[str, tuple[Results, Sequence[claims.Claim]]]) -> Table:
    """Verdicts of claims at several scales, a row per statement: "G2-100" is asked as "G2" and "G2-20" are.

    at: by name, smallest scale first, its results and its claims. The last one's measurements are shown, and only what
    is asked there has a row.
    """
    *before, (name, (results, asked)) = at.items()
    found = {scale: {_stem(claim): marked(claims.verdict(claim, measured)) for claim in chosen}
             for scale, (measured, chosen) in before}
    rows = [{"claim": f"{_stem(claim)}: {claim.statement}",
             **{scale: verdicts.get(_stem(claim), "not asked") for scale, verdicts in found.items()},
             f"measured: {name}": "\n".join(_measured(claims.findings(claim, results))),
             name: marked(claims.verdict(claim, results))} for claim in asked]
    return Table(pd.DataFrame(rows), {f"measured: {name}": "min-width: 26em"},
                 "Each scale's column has its verdict. A verdict on a whole claim is corrected for the number of its "
                 "parts (Holm).")


def _stem(claim: claims.Claim) -> str:
    """What a claim is called at every scale."""
    return claim.id.partition("-")[0]


def _measured(findings: Sequence[claims.Finding]) -> list[str]:
    """A line per part; the number of seeds is said once where it is the same for all."""
    counts = [finding.effect.n for finding in findings if finding.effect]
    once = len(set(counts)) == 1
    lines = [_seeds(counts[0])] if once else []
    for finding in findings:
        words = f"{finding.effect.span} {finding.part.unit}" if finding.effect else "not measured"
        seeds = f" ({_seeds(finding.effect.n)})" if finding.effect and not once else ""
        lines.append(f"{finding.part.says}: {words}{seeds}")
    return lines


def _span(effect: Effect | None) -> str:
    return effect.span + " (1 seed)" * (effect.n == 1) if effect else "-"


def _seeds(n: int) -> str:
    return f"{n} seed{'s' * (n > 1)}"


def percent(p: float) -> str:
    """A probability in percent, in words that survive small values."""
    return f"{100 * float(p):.3g}%"


def rounded(p: float) -> str:
    """The same where only tenths of a percent matter: what is nearly none or nearly all says so."""
    if 0 < p < 0.0005:
        return "less than 0.1%"
    return "more than 99.9%" if 0.9995 < p < 1 else percent(p)


def provenance(results: Results) -> str:
    """With how many seeds, where and when these results were measured, in one line."""
    made = results.provenance
    return (f"{results.params['seeds']} seeds, {made['device']}, torch {made['torch']}, {made['date']}, "
            f"{made['seconds']:.0f} s")


def log_temperature_axis(temperatures: Sequence[float]) -> dict:
    """A logarithmic axis that is labelled at the temperatures tried."""
    low, high = np.log10(min(temperatures)), np.log10(max(temperatures))
    return {"type": "log", "title": {"text": "temperature T"}, "tickvals": list(temperatures),
            "ticktext": [f"{t:g}" for t in temperatures], "range": [low - 0.08, high + 0.08]}


def band(figure: go.Figure, x, rows: pd.DataFrame, colour: str, name: str, **more) -> None:
    """A mean line with its 95% band; `more` (row, col, showlegend) goes to the line, row and col also to the band.

    A click on its name in the legend hides the band with the line, in all subplots.
    """
    place = {key: more[key] for key in ("row", "col") if key in more} | {"legendgroup": name}
    edge = {"x": x, "mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"} | place
    figure.add_scatter(y=rows["low"], **edge)
    figure.add_scatter(y=rows["high"], fill="tonexty", fillcolor=translucent(COLOURS[colour]), **edge)
    figure.add_scatter(x=x, y=rows["mean"], mode="lines", name=name, legendgroup=name,
                       line={"color": COLOURS[colour], "dash": DASHES[colour], "width": 2.5}, **more)


def intervals(figure: go.Figure, x, effects: Sequence[Effect], name: str, colour: str, symbol: str,
              line: bool = True, **more) -> None:
    """Means with vertical 95% intervals; `more` and the legend as for `band`."""
    place = {key: more[key] for key in ("row", "col") if key in more} | {"legendgroup": name}
    nothing = [np.nan] * len(effects)
    bars_x = np.column_stack([x, x, nothing]).ravel()
    bars_y = np.column_stack([[e.low for e in effects], [e.high for e in effects], nothing]).ravel()
    figure.add_scatter(x=bars_x, y=bars_y, mode="lines", line={"color": colour, "width": 2}, showlegend=False,
                       hoverinfo="skip", connectgaps=False, **place)
    figure.add_scatter(x=list(x), y=[e.mean for e in effects], mode="lines+markers" if line else "markers", name=name,
                       legendgroup=name,
                       line={"color": colour, "width": 1.5}, marker={"color": colour, "size": 9, "symbol": symbol},
                       hovertemplate="%{y:.2f}<extra>" + name + "</extra>", **more)
