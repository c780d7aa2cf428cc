"""Panel: KD and spherical distillation over the temperature, with the scale m as a second dial. No training."""

import math

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from kdutils.lessons import catalog
from kdutils.live.control import Choice, LogSlider
from kdutils.live.panel import Panel
from kdutils.objectives import largest_probability
from kdutils.plots.style import COLOURS, DASHES, base_layout, title_fonts, translucent
from kdutils.results import Results

TEMPERATURES = np.geomspace(0.5, 64, 43)
TICKS = [0.5, 1, 2, 4, 8, 16, 32, 64]


class TemperatureDial(Panel):
    """Students of soft targets alone, measured at one m, seen at any: they know the ratio m / T only.

    results: of the experiment, with part "dial"; the recorded ones if not given. What was measured at m and T is shown
    at another scale m' at T m' / m: on a logarithmic axis the curve slides. Beyond what was measured it ends.
    """

    title = "Temperature dial"
    controls = (
        LogSlider("temperature", "Temperature T", low=0.5, high=64.0, default=4.0,
                  help="Of teacher and student in the distillation term."),
        LogSlider("m", "Scale m", low=0.5, high=16.0, default=2.0,
                  help="The spread that spherical distillation gives every answer."),
        Choice("classes", "Classes C", options=(2, 10, 100, 1000), default=10,
               help="Of the curve on the right only; the students have ten."),
    )
    presets = {"T = 0.5": {"temperature": 0.5, "m": 2.0}, "T = 64": {"temperature": 64.0, "m": 2.0},
               "m = 8": {"m": 8.0}, "ImageNet's m = 2, C = 1000": {"m": 2.0, "classes": 1000}}

    def __init__(self, results: Results | None = None, **values):
        self.results = results or catalog.recorded("spherical_distillation")
        rows = {method: self.results.where(part="dial", method=method) for method in ("KD", "SKD")}
        self.measured = {method: mine.groupby("temperature")["accuracy"].mean() for method, mine in rows.items()}
        super().__init__(**values)

    def accuracy(self, method: str, temperature, m: float):
        """Mean accuracy at T (an array or a number) and m, between the measured points; NaN beyond them."""
        known = self.measured[method]
        shift = math.log(m / self.results.params["m"]) if method == "SKD" else 0.0
        x = np.log(temperature) - shift
        return np.interp(x, np.log(known.index), known.to_numpy(), left=np.nan, right=np.nan)

    def build_figure(self) -> go.Figure:
        figure = make_subplots(rows=1, cols=2, column_widths=[0.58, 0.42], horizontal_spacing=0.1, subplot_titles=[
            "students' test accuracy (%)", "largest probability that SKD's targets can reach"])
        for kind in ("KD", "SKD"):
            figure.add_scatter(uid=kind, x=TEMPERATURES, y=np.zeros(len(TEMPERATURES)), mode="lines", name=kind,
                               line={"color": COLOURS[kind], "dash": DASHES[kind], "width": 2.5}, row=1, col=1)
            figure.add_scatter(uid=f"{kind} now", x=[1.0], y=[0.0], mode="markers", showlegend=False, row=1, col=1,
                               marker={"color": COLOURS[kind], "size": 11})
        figure.add_scatter(uid="reach", x=TEMPERATURES, y=np.zeros(len(TEMPERATURES)), mode="lines", showlegend=False,
                           line={"color": COLOURS["SKD"], "width": 2.5}, row=1, col=2)
        figure.add_scatter(uid="reach now", x=[1.0], y=[0.0], mode="markers", showlegend=False, row=1, col=2,
                           marker={"color": COLOURS["SKD"], "size": 11})
        figure.add_scatter(uid="uniform", x=TEMPERATURES, y=np.zeros(len(TEMPERATURES)), mode="lines", row=1, col=2,
                           line={"color": translucent(COLOURS["other"], 0.9), "dash": "dot"}, name="1/C: says nothing")
        figure.update_layout(base_layout(height=380, margin={"t": 80, "b": 60}, legend={"y": 1.13}))
        title_fonts(figure)
        figure.update_xaxes(type="log", tickvals=TICKS, ticktext=[f"{t:g}" for t in TICKS], range=[-0.35, 1.86],
                            title_text="temperature T")
        lowest, highest = (edge([series.to_numpy() for series in self.measured.values()]) for edge in (np.min, np.max))
        figure.update_yaxes(range=[lowest - 0.5, highest + 0.5], col=1)
        figure.update_yaxes(range=[0, 1.03], col=2)
        return figure

    def draw(self, changed: frozenset[str]) -> None:
        temperature, m, classes = (self.values[name] for name in ("temperature", "m", "classes"))
        for kind in ("KD", "SKD"):
            self.chart.set(kind, y=self.accuracy(kind, TEMPERATURES, m))
            self.chart.set(f"{kind} now", x=[temperature], y=[self.accuracy(kind, temperature, m)])
        self.chart.set("reach", y=[largest_probability(m, classes, float(t)) for t in TEMPERATURES])
        self.chart.set("reach now", x=[temperature], y=[largest_probability(m, classes, temperature)])
        self.chart.set("uniform", y=np.full(len(TEMPERATURES), 1 / classes))

    def formula(self) -> str:
        t, m, classes = (self.values[name] for name in ("temperature", "m", "classes"))
        return (f"SKD's targets: softmax(m u / T) = softmax(⟦{m:.3g}⟧ u / ⟦{t:.3g}⟧) = softmax({m / t:.3g} u), u of "
                f"spread 1;  with ⟦{classes:,}⟧ classes at most {largest_probability(m, classes, t):.3f}")

    def reading(self) -> str:
        temperature, m, classes = (self.values[name] for name in ("temperature", "m", "classes"))
        kd, skd = (float(self.accuracy(kind, temperature, m)) for kind in ("KD", "SKD"))
        words = f"SKD {skd:.1f}%" if math.isfinite(skd) else "SKD was not measured at this ratio"
        kd_words = f"KD {kd:.1f}%" if math.isfinite(kd) else "KD was not measured at this T"
        return (f"T = {temperature:.3g}, m = {m:.3g}: m/T = {m / temperature:.3g}. Students: {kd_words}, {words}. With "
                f"{classes:,} classes SKD's targets reach at most {largest_probability(m, classes, temperature):.3f}.")
