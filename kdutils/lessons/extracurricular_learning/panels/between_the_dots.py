"""Panel: a teacher's curve, a few dots, and a student that follows it where it asked. No training."""

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from kdutils.datasets.samplers import keep
from kdutils.lessons.extracurricular_learning.toy import EDGE, REGIONS, asked, curve, dots, regions
from kdutils.live.control import Choice, Slider
from kdutils.live.panel import Panel
from kdutils.plots.style import COLOURS, base_layout, title_fonts, translucent

GRID = torch.linspace(-EDGE, EDGE, 241)
CENTRES, WIDTH, PENALTY = torch.linspace(-3.4, 3.4, 41), 0.3, 1e-2      # of the student's features
WAYS = {"at the dots": "same", "near the dots": "jitter", "mixed dots": "mixup", "everywhere": "uniform",
        "where the teacher is unsure": "unsure"}


class BetweenTheDots(Panel):
    """The student is ridge regression on bumps, in closed form: mean and log-width follow every control at once.

    It has the teacher's answers at the dots, and at `queries` further places. It never sees a label.
    """

    title = "Ask the teacher between the dots"
    controls = (
        Choice("way", "Where to ask", options=tuple(WAYS),
               help="Every way makes places; the teacher alone says what is there."),
        Slider("queries", "Queries beside the 12 dots", low=0, high=60, default=0,
               help="How many more answers the student may ask for."),
        Slider("curve", "Curve", low=0, high=9, default=0, help="Another teacher with other dots."),
    )
    static_presets = ("Between them",)
    presets = {"The dots alone": {"way": "at the dots", "queries": 0},
               "Near them": {"way": "near the dots", "queries": 40},
               "Between them": {"way": "mixed dots", "queries": 40},
               "Everywhere": {"way": "everywhere", "queries": 40}}

    def places(self) -> torch.Tensor:
        """Where the student has answers: the dots first, then the queries."""
        seed, n, way = self.values["curve"], self.values["queries"], WAYS[self.values["way"]]
        own = dots(seed)
        if not n:
            return own
        if way == "unsure":
            candidates = asked("uniform", own, 8 * n, seed)
            width = (0.5 * curve(seed, candidates)[1]).exp()
            return torch.cat([own, candidates[keep(width.square(), n, "by chance", seed)]])
        return torch.cat([own, asked(way, own, n, seed)])

    def student(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of its answers on GRID."""
        x = self.places()
        mean, log_variance = curve(self.values["curve"], x)
        answers = torch.stack([mean, log_variance / 2], 1).double()
        middle = answers.mean(0)
        bumps = _bumps(x)
        gram = bumps.T @ bumps + PENALTY * torch.eye(len(CENTRES), dtype=torch.float64)
        weight = torch.linalg.solve(gram, bumps.T @ (answers - middle))
        said = _bumps(GRID) @ weight + middle
        return said[:, 0].numpy(), said[:, 1].clamp(-4, 1).exp().numpy()

    def build_figure(self) -> go.Figure:
        figure = make_subplots(rows=2, cols=1, row_heights=[0.76, 0.24], shared_xaxes=True, vertical_spacing=0.06)
        grid = GRID.numpy()
        for who, colour, name in (("teacher", COLOURS["teacher"], "teacher, two standard deviations"),
                                  ("student", COLOURS["distilled"], "student")):
            edge = {"x": grid, "y": np.zeros(241), "mode": "lines", "line": {"width": 0}, "showlegend": False,
                    "hoverinfo": "skip", "row": 1, "col": 1}
            figure.add_scatter(uid=f"{who} low", **edge)
            figure.add_scatter(uid=f"{who} high", fill="tonexty", fillcolor=translucent(colour, 0.15), **edge)
            figure.add_scatter(uid=who, x=grid, y=np.zeros(241), mode="lines", name=name, row=1, col=1,
                               line={"color": colour, "width": 2.5, "dash": "dash" if who == "teacher" else "solid"})
        figure.add_scatter(uid="dots", x=[0.0], y=[0.0], mode="markers", name="the student's own inputs", row=1, col=1,
                           marker={"color": COLOURS["teacher"], "size": 10, "symbol": "square"})
        figure.add_scatter(uid="queries", x=[0.0], y=[0.0], mode="markers", name="queries", row=1, col=1,
                           marker={"color": COLOURS["highlight"], "size": 7, "symbol": "x"})
        figure.add_scatter(uid="apart", x=grid, y=np.zeros(241), mode="lines", fill="tozeroy", showlegend=False,
                           fillcolor=translucent(COLOURS["distilled"], 0.5), line={"color": COLOURS["distilled"]},
                           row=2, col=1)
        figure.update_layout(base_layout(height=400, margin={"t": 45, "l": 55, "b": 35}, legend={"y": 1.03}))
        title_fonts(figure)
        figure.update_xaxes(range=[-EDGE, EDGE])
        figure.update_yaxes(range=[-2.6, 2.6], row=1, col=1)
        figure.update_yaxes(range=[0, 2], title_text="|T - S|", row=2, col=1)
        return figure

    def draw(self, changed: frozenset[str]) -> None:
        seed, places = self.values["curve"], self.places()
        mean, log_variance = (values.numpy() for values in curve(seed, GRID))
        said, sure = self.student()
        for who, centre, sigma in (("teacher", mean, np.exp(log_variance / 2)), ("student", said, sure)):
            self.chart.set(who, y=centre)
            self.chart.set(f"{who} low", y=centre - 2 * sigma)
            self.chart.set(f"{who} high", y=centre + 2 * sigma)
        answers = curve(seed, places)[0].numpy()
        own = len(dots(seed))
        self.chart.set("dots", x=places[:own].numpy(), y=answers[:own])
        self.chart.set("queries", x=places[own:].numpy(), y=answers[own:])
        self.chart.set("apart", y=np.abs(said - mean))

    def distances(self) -> dict[str, float]:
        """Mean distance of the two curves at the dots, between, and beyond them."""
        apart = torch.from_numpy(np.abs(self.student()[0] - curve(self.values["curve"], GRID)[0].numpy()))
        where = regions(GRID, dots(self.values["curve"]))
        return {name: apart[where[name]].mean().item() for name in REGIONS}

    def reading(self) -> str:
        at, between, beyond = self.distances().values()
        asked_for = f"{self.values['queries']} queries {self.values['way']}" if self.values["queries"] else "no queries"
        return (f"With {asked_for}, student and teacher are {at:.2f} apart at the dots, {between:.2f} in the gap "
                f"between them and {beyond:.2f} beyond them.")


def _bumps(x: torch.Tensor) -> torch.Tensor:
    """(n,) -> (n, 41) features, bumps around CENTRES."""
    return torch.exp(-0.5 * ((x[:, None] - CENTRES) / WIDTH).square()).double()
