"""Panel: the nine methods and hard labels learn side by side, and their gains carry intervals from the first step."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from kdutils.cohorts import Splits
from kdutils.lessons.beyond_compression.experiment import noisy_labels
from kdutils.lessons.beyond_compression.figures import LOOKS, order_of
from kdutils.lessons.beyond_compression.race import HARD, race, teach
from kdutils.live.control import Choice, Slider
from kdutils.live.training_panel import TrainingPanel
from kdutils.objectives import METHODS
from kdutils.plots.style import COLOURS, base_layout, title_fonts
from kdutils.results import Effect, interval
from kdutils.training import Recipe, Snapshot

WEIGHTS = ("equal gradients", "public codes")


class MethodRace(TrainingPanel):
    """Ten arms, one population: the same images, starts and batches for all. Controls belong to the next run.

    Clean labels: the teacher saw all 1,200 images, the students a few of them. Wrong labels: 40% are drawn anew, and
    teacher and students see the same images with them.
    """

    title = "Method race"
    openings = {"": {"weights": "public codes"}}
    pace = 30.0
    controls = (
        Choice("labels", "Labels", options=("clean", "40% drawn anew"), help="Of the next run."),
        Slider("images", "Images", low=50, high=400, step=50, default=100, help="That the students see."),
        Choice("weights", "Weights of the terms", options=WEIGHTS,
               help="Each term as strong as the labels at the start, or the weights of public codes."),
    )
    static_presets = ("Few clean images",)
    presets = {"Few clean images": {"labels": "clean", "images": 100, "weights": "equal gradients"},
               "Weights as published": {"labels": "clean", "images": 100, "weights": "public codes"},
               "Wrong labels": {"labels": "40% drawn anew", "images": 400, "weights": "equal gradients"}}

    def __init__(self, seeds: int = 5, steps: int = 150, **values):
        self.lab, self.recipe = Splits.open("digits", seeds), Recipe(steps, 32)
        self.gains: dict[str, Effect] = {}
        super().__init__(**values)

    def build_figure(self) -> go.Figure:
        figure = make_subplots(rows=1, cols=2, column_widths=[0.38, 0.62], horizontal_spacing=0.1,
                               subplot_titles=["test accuracy (%), mean", "gain over hard labels (points)"])
        figure.add_scatter(uid=HARD, x=[], y=[], mode="lines", name=HARD, row=1, col=1,
                           line={"color": COLOURS[HARD], "dash": "dot", "width": 3})
        for name, method in METHODS.items():
            colour, symbol, dash = LOOKS[method.group]
            figure.add_scatter(uid=name, x=[], y=[], mode="lines", name=name, showlegend=False, row=1, col=1,
                               line={"color": colour, "dash": dash, "width": 1})
            figure.add_scatter(uid=f"{name} interval", x=[], y=[], mode="lines", showlegend=False, hoverinfo="skip",
                               line={"color": colour, "width": 2}, row=1, col=2)
            figure.add_scatter(uid=f"{name} gain", x=[], y=[], mode="markers", showlegend=False, row=1, col=2,
                               marker={"color": colour, "symbol": symbol, "size": 10},
                               hovertemplate="%{y:+.1f}<extra>" + name + "</extra>")
        figure.update_layout(base_layout(height=390, margin={"t": 70, "l": 45, "b": 60}, legend={"y": 1.1}))
        title_fonts(figure)
        figure.update_xaxes(title_text="training steps", range=[0, self.recipe.steps], col=1)
        figure.update_yaxes(range=[0, 100], col=1)
        figure.update_xaxes(tickvals=list(range(9)), ticktext=list(METHODS), tickangle=-45, range=[-0.6, 8.6], col=2)
        figure.update_yaxes(range=[-12, 12], col=2)
        figure.add_hline(y=0, line={"color": COLOURS[HARD], "dash": "dot", "width": 1.5}, col=2)
        return figure

    def begin(self) -> None:
        super().begin()
        self.gains = {}

    def forget(self) -> None:
        self.gains = {}

    def start(self):
        self.began_with = dict(self.values)
        few = self.lab.transfer(self.values["images"])
        clean = self.values["labels"] == "clean"
        labels = None if clean else noisy_labels(self.lab, 0.4)
        told = teach(self.lab, self.lab.pool if clean else few, labels=labels, attacked=few)
        self.students = race(self.lab, told, few, labels=labels)
        if self.values["weights"] == "equal gradients":
            self.students.balance()
        return self.students.train(self.recipe, max(1, self.recipe.steps // 15))

    def observe(self, snapshot: Snapshot) -> None:
        right = {name: own.cpu().numpy() for name, own in self.students.accuracy().items()}
        self.gains = {name: interval(right[name] - right[HARD]) for name in METHODS if name in right}
        self.right = right[HARD].mean()
        for name, own in right.items():
            self.chart.append(name, snapshot.step, own.mean())
        ends = []
        for k, (name, effect) in enumerate(self.gains.items()):
            self.chart.set(f"{name} gain", x=[k], y=[effect.mean])
            self.chart.set(f"{name} interval", x=[k, k], y=[effect.low, effect.high])
            ends += [effect.low, effect.high]
        low, high = np.nanmin([*ends, -3]), np.nanmax([*ends, 3])
        self.chart.layout({"yaxis2": {"range": [float(max(low, -30)) - 1, float(min(high, 30)) + 1]}})

    def reading(self) -> str:
        if not self.gains:
            return (f"Press Train: ten arms of {len(self.lab.seeds)} networks each, {self.values['images']} images, "
                    f"labels {self.values['labels']}.")
        order = order_of({name: effect.mean for name, effect in self.gains.items()})
        clear = [name for name in order if self.gains[name].low > 0]
        now = self.began_with
        return (f"{now['images']} images, labels {now['labels']}, weights: {now['weights']}. Hard labels "
                f"{self.right:.1f}%; gains, best first: "
                + ", ".join(f"{name} {self.gains[name].mean:+.1f}" for name in order)
                + f". Clear of zero: {', '.join(clear) or 'none'} ({len(self.lab.seeds)} seeds).")
