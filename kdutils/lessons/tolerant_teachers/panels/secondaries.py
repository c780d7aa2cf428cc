"""Panel: which classes a teacher names beside the right one, and whether its kind changes who they are. No training."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots
from torch import Tensor

from kdutils import metrics
from kdutils.cohorts import TEACHER_RECIPE, Splits
from kdutils.datasets import take
from kdutils.lessons.tolerant_teachers.experiment import ancestors
from kdutils.lessons.tolerant_teachers.parameters import kinds
from kdutils.live.control import Choice, LogSlider, Slider
from kdutils.live.panel import Panel
from kdutils.networks import MLP
from kdutils.objectives import softmax
from kdutils.plots.style import COLOURS, base_layout, title_fonts
from kdutils.training import Recipe

KINDS = tuple(kind.name for kind in kinds())
WHITE_TO_ORANGE = [[0.0, "#ffffff"], [0.5, "#fdc692"], [1.0, "#f07818"]]    # black figures stay readable on it


class SecondariesPanel(Panel):
    """Rank 2 .. K of what teachers say, from the class of the image to the class that is named.

    Teachers of five kinds, trained once on every label of the pool (then from the cache). A cell is the mean over test
    images of the row's class, and over seeds, of the probability of the column's class where it is of rank 2 .. K.
    Rows do not count their own class: it is secondary only where the teacher is wrong.

    seeds: teachers of each kind. data: any data set that is there. groups: classes that belong together, where the data
    have such groups; the reading then says how much of the secondary mass stays inside them.
    """

    title = "Who are the secondaries?"
    controls = (
        Choice("teacher", "Teacher", options=KINDS, default="tolerant",
               help="Tolerant, smoothed and penalised leave the label the same share at their free optimum, 8/9."),
        Slider("ranks", "Ranks K", low=2, high=10, default=5,
               help="How many of the largest probabilities of an image count. All teachers were made with K = 5."),
        LogSlider("temperature", "Temperature T", low=0.5, high=16.0, default=1.0,
                  help="The teachers' logits are divided by T."),
    )
    presets = {"Strict": {"teacher": "strict", "temperature": 1.0},
               "Tolerant": {"teacher": "tolerant", "temperature": 1.0},
               "Smoothed": {"teacher": "smoothed", "temperature": 1.0},
               "Strict at T = 4": {"teacher": "strict", "temperature": 4.0}}

    def __init__(self, seeds: int = 4, steps: int = TEACHER_RECIPE.steps, data: str = "digits",
                 groups: Sequence[Sequence[int]] = (), **values):
        self.lab = Splits.open(data, seeds)
        self.groups = tuple(tuple(group) for group in groups)
        if self.groups:  # refused before any teacher is trained
            metrics.group_index(self.groups, self.lab.data.n_classes)
        spec = MLP(self.lab.data.inputs[0].numel(), (128,), self.lab.data.n_classes)
        recipe = Recipe(steps, TEACHER_RECIPE.batch, TEACHER_RECIPE.lr)
        logits = ancestors(self.lab, self.lab.pool, kinds(5, self.lab.data.n_classes), spec, recipe)
        test = self.lab.test[None, ..., None].expand(len(KINDS), -1, -1, logits.shape[-1])
        self.logits = dict(zip(KINDS, logits.gather(2, test), strict=True))       # kind -> (S, Q, C)
        self.labels = take(self.lab.data.labels, self.lab.test)                       # (S, Q)
        super().__init__(**values)

    def matrix(self, teacher: str) -> np.ndarray:
        """Mean secondary probability, from the class of the image (rows) to the class named: (C, C) percent."""
        p, classes = softmax(self.logits[teacher], self.values["temperature"]), self.lab.data.n_classes
        secondary = _of_ranks(p, self.values["ranks"])
        of_class = torch.nn.functional.one_hot(self.labels, classes).to(p)
        mean = torch.einsum("sqa,sqb->ab", of_class, secondary) / of_class.sum((0, 1))[:, None]
        return 100 * mean.fill_diagonal_(0).cpu().numpy()

    # ---- the figure ------------------------------------------------------------------------------------------------

    def build_figure(self) -> go.Figure:
        names, n = self.lab.data.classes, self.lab.data.n_classes
        figure = make_subplots(rows=1, cols=2, column_widths=[0.58, 0.42], horizontal_spacing=0.11, subplot_titles=[
            "secondary probability (%), a row per class of the image", "in all, by class of the image (%)"])
        across, down = np.tile(np.arange(n), n), np.repeat(np.arange(n), n)
        figure.add_heatmap(uid="mass", x=across, y=down, z=np.zeros(n * n), colorscale=WHITE_TO_ORANGE, zmin=0,
                           zmax=1, showscale=False, row=1, col=1,
                           hovertemplate="image of %{y}, named %{x}: %{z:.2f}%<extra></extra>")
        figure.add_scatter(uid="figures", x=across, y=down, mode="text", text=[""] * n * n, showlegend=False, row=1,
                           col=1, textfont={"color": "#202020", "size": 11}, hoverinfo="skip")
        figure.add_scatter(uid="groups", x=[], y=[], mode="lines", line={"color": COLOURS["teacher"], "width": 2},
                           showlegend=False, hoverinfo="skip", row=1, col=1)
        figure.add_bar(uid="by class", x=list(range(n)), y=np.zeros(n), width=0.8, offset=-0.4, name="this teacher",
                       marker={"color": COLOURS["tolerant"]}, showlegend=False, row=1, col=2,
                       hovertemplate="images of %{x}: %{y:.2f}%<extra></extra>")
        figure.add_scatter(uid="strict", x=[], y=[], mode="lines", name="the strict teacher, at the same T", row=1,
                           col=2, line={"color": COLOURS["strict"], "width": 3})
        longest = max(map(len, names))
        figure.update_layout(base_layout(height=440 + 4 * longest, legend={"x": 0.62, "y": 1.08},
                                         margin={"t": 75, "l": 50 + 6 * longest, "b": 50 + 4 * longest}))
        title_fonts(figure)
        ticks = {"tickvals": list(range(n)), "ticktext": list(names)}
        slanted = ticks | {"tickangle": -40 if longest > 2 else 0}   # words would run into each other
        figure.update_xaxes(title_text="class that is named", range=[-0.5, n - 0.5], showgrid=False, **slanted, col=1)
        figure.update_yaxes(title_text="class of the image", range=[n - 0.5, -0.5], showgrid=False, **ticks, col=1)
        figure.update_xaxes(title_text="class of the image", range=[-0.6, n - 0.4], **slanted, col=2)
        return figure

    def draw(self, changed: frozenset[str]) -> None:
        n = self.lab.data.n_classes
        mass, strict = self.matrix(self.values["teacher"]), self.matrix("strict")
        self.chart.set("mass", z=mass.ravel())
        self.chart.restyle("mass", {"zmax": float(mass.max())})
        # What rounds to 0.0 is left white: the eye finds the others faster.
        self.chart.restyle("figures", {"text": [f"{value:.1f}" if value >= 0.05 else "" for value in mass.ravel()]})
        self.chart.set("by class", y=mass.sum(1))
        self.chart.restyle("by class", {"marker": {"color": COLOURS[self.values["teacher"]]}})
        self.chart.set("strict", x=np.ravel([[k - 0.4, k + 0.4, np.nan] for k in range(n)]),
                       y=np.repeat(strict.sum(1), 3))
        self.chart.layout({"yaxis2": {"range": [0, 1.1 * max(mass.sum(1).max(), strict.sum(1).max())]}})
        outline = [side for group in self.groups for side in _blocks(group)]
        self.chart.set("groups", x=[x for x, _ in outline], y=[y for _, y in outline])

    # ---- the words -------------------------------------------------------------------------------------------------

    def formula(self) -> str:
        return (f"a cell = mean of p(class named) where its rank is 2 to ⟦{self.values['ranks']}⟧,  "
                f"p = softmax(z / ⟦{self.values['temperature']:.3g}⟧)")

    def reading(self) -> str:
        kind, ranks, names = self.values["teacher"], self.values["ranks"], self.lab.data.classes
        mass, strict = self.matrix(kind), self.matrix("strict")
        row, column = np.unravel_index(mass.argmax(), mass.shape)
        secondary = "rank 2" if ranks == 2 else f"ranks 2 to {ranks}"
        given = mass.sum(1).mean()
        words = (f"{kind.capitalize()} teachers at T = {self.values['temperature']:.3g} give {given:.1f}% to other "
                 f"classes of {secondary}; most from {names[row]} to {names[column]}, {mass.max():.1f}%.")
        if kind != "strict":
            off = ~np.eye(len(names), dtype=bool)
            r = np.corrcoef(mass[off], strict[off])[0, 1]
            words += (f" Strict ones give {strict.sum(1).mean():.1f}%; over the {off.sum()} pairs of classes the two "
                      f"correlate with r = {r:.2f}.")
        if self.groups:
            words += f" {self._inside(kind):.0%} of it stays inside a group of similar classes."
        return words

    def _inside(self, kind: str) -> float:
        logits = self.logits[kind] / self.values["temperature"]
        return float(metrics.mass_inside_groups(logits, self.labels, self.groups, self.values["ranks"]).mean())


def _of_ranks(p: Tensor, ranks: int) -> Tensor:
    """The probabilities (..., C) of ranks 2 .. K where they are, 0 elsewhere."""
    top = p.topk(ranks, -1)
    return torch.zeros_like(p).scatter(-1, top.indices[..., 1:], top.values[..., 1:])


def _blocks(group: Sequence[int]) -> list[tuple[float, float]]:
    """The cells of pairs within a group, each outlined; NaN between two."""
    sides = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (np.nan, np.nan)]
    return [(a + x, b + y) for a in group for b in group if a != b for x, y in sides]
