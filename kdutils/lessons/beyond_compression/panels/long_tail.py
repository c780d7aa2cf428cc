"""Panel: classes become rare, and per-class recall shows who pays."""

import math

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots
from torch import Tensor

from kdutils import metrics
from kdutils.cohorts import HARD, Cohort, Setting, cohort, teachers
from kdutils.datasets import power_law_counts
from kdutils.lessons.beyond_compression.experiment import STUDENT, TEACHER, log_prior, recalls, tails
from kdutils.lessons.beyond_compression.panels.pair_lab import PairLab
from kdutils.live.control import Choice, LogSlider
from kdutils.plots.style import COLOURS, base_layout, title_fonts
from kdutils.training import Recipe

METHODS = ("KD", "KD, adjusted teacher", "labels, adjusted answers")
CLASSES = np.arange(1.0, 11.0)


class LongTail(PairLab):
    """Counts by the study's power law; students of the labels beside those of a teacher that saw the same images.

    Adjusted: the log of the class shares is taken off the logits, of the teacher before the students learn, or of the
    finished answers. Which digit is rare differs from seed to seed; the figure has the most frequent class first.
    """

    title = "Long-tail dial"
    openings = {"": {"gamma": 10.0}}
    axis = "gamma"
    gains_axis = 3
    controls = (
        LogSlider("gamma", "Gamma", low=0.1, high=10.0, default=0.2,
                  help="Of the power law: the smaller, the more skewed. 100 and 5 images at the ends, always."),
        Choice("method", "Beside the labels", options=METHODS,
               help="Soft targets at T = 4 alone, or the labels' own students with adjusted answers."),
    )
    static_presets = ("Skewed, KD", "Skewed, adjusted teacher", "Skewed, the control")
    presets = {"Skewed, KD": {"gamma": 0.2, "method": "KD"},
               "Skewed, adjusted teacher": {"gamma": 0.2, "method": "KD, adjusted teacher"},
               "Skewed, the control": {"gamma": 0.2, "method": "labels, adjusted answers"},
               "Nearly even": {"gamma": 10.0, "method": "KD"}}

    @staticmethod
    def counts_at(gamma: float) -> tuple[int, ...]:
        """Images of each class, the most frequent first."""
        return power_law_counts(100, 5, 10, gamma)

    def build_figure(self) -> go.Figure:
        figure = make_subplots(rows=1, cols=3, horizontal_spacing=0.08, subplot_titles=[
            "images", "recall (%)", "balanced accuracy, gain (points)"])
        figure.add_bar(uid="counts", x=CLASSES, y=np.zeros(10), width=0.8, showlegend=False, row=1, col=1,
                       marker={"color": COLOURS["other"]}, hovertemplate="%{y} images<extra></extra>")
        for uid, name, symbol in (("hard labels", "labels", "diamond"), ("distilled", "the other method", "circle")):
            figure.add_scatter(uid=f"recall {uid}", x=[], y=[], mode="lines+markers", name=name, row=1, col=2,
                               line={"color": COLOURS[uid]}, marker={"symbol": symbol, "size": 9})
        self.add_gains(figure, 3)
        figure.update_layout(base_layout(height=380, margin={"t": 70, "l": 45, "b": 60}, legend={"y": 1.1}))
        title_fonts(figure)
        figure.update_xaxes(title_text="class, the most frequent first", dtick=1, range=[0.4, 10.6], col=1)
        figure.update_xaxes(title_text="class, the most frequent first", dtick=1, range=[0.4, 10.6], col=2)
        figure.update_yaxes(range=[0, 100], col=2)
        figure.update_xaxes(title_text="gamma", type="log", range=[-1.1, 1.1], tickvals=[0.1, 0.2, 0.6, 1, 2, 10],
                            ticktext=["0.1", "0.2", "0.6", "1", "2", "10"], col=3)
        return figure

    def draw(self, changed: frozenset[str]) -> None:
        self.chart.set("counts", y=np.array(self.counts_at(self.values["gamma"]), float))
        super().draw(changed)

    def make(self) -> Cohort:
        images = tails(self.lab, self.counts_at(self.began_with["gamma"]))
        self.prior = log_prior(self.lab, images)[:, None]
        told = teachers(self.lab, images, TEACHER, Recipe(self.recipe.steps, 64, 3e-3))
        if self.began_with["method"] == METHODS[1]:
            told = told - self.prior
        other = HARD if self.began_with["method"] == METHODS[2] else Setting("distilled", 4.0)
        return cohort(self.lab, told, images, [HARD, other], STUDENT)

    def adjusted(self, logits: Tensor) -> Tensor:
        if self.began_with["method"] == METHODS[2]:
            return torch.stack([logits[0], logits[1] - self.prior])
        return logits

    def score(self, logits: Tensor) -> Tensor:
        return recalls(self.lab, logits)["balanced"]

    def observe(self, snapshot) -> None:
        logits = self.adjusted(self.students.test_logits()[0].unflatten(0, (2, -1)))
        self.scores = torch.stack([self.score(own) for own in logits]).cpu().numpy()
        self.each = np.stack([self._recall(own) for own in logits])
        for uid, own in zip(("hard labels", "distilled"), self.each, strict=True):
            self.chart.set(f"recall {uid}", x=CLASSES, y=own)

    def _recall(self, logits: Tensor) -> np.ndarray:
        """Recall by place in the order of frequency, percent, mean over seeds: (10,)."""
        labels = self.lab.data.labels[self.lab.test]
        own = 100 * torch.stack([metrics.recall(logits, labels, label) for label in range(10)], -1)
        order = (torch.arange(10) + torch.tensor(self.lab.seeds)[:, None]) % 10
        return own.gather(1, order).mean(0).numpy()

    def formula(self) -> str:
        gamma = self.values["gamma"]
        counts = self.counts_at(gamma)
        share = counts[-1] / sum(counts)
        log = f"log({counts[-1]}/{sum(counts)}) = {math.log(share):.2f}"
        first = f"class c has a / (b + c^⟦{gamma:.3g}⟧) images;  "
        match self.values["method"]:
            case "KD":
                return f"{first}KD learns softmax(z_T / 4); the shares are in it, for the rarest class {log}"
            case "KD, adjusted teacher":
                return f"{first}KD learns softmax((z_T − log share) / 4), for the rarest class {log}"
        return f"{first}the answer is the largest z_S − log share, for the rarest class {log}"

    def reading(self) -> str:
        measured = self.scores is not None
        gamma = (self.began_with if measured else self.values)["gamma"]
        counts = self.counts_at(gamma)
        words = f"gamma {gamma:.3g}: {sum(counts)} images, {counts[0]} to {counts[-1]} a class"
        if not measured:
            return f"{words}. Press Train, or let go of a control."
        rare = self.each[:, -3:].mean(1)
        labels, other = self.scores.mean(1)
        return (f"{words}. Balanced accuracy {labels:.1f}% with the labels, {other:.1f}% with "
                f"{self.began_with['method']}: {self.gain}. The three rarest classes: {rare[0]:.0f}%, {rare[1]:.0f}%.")
