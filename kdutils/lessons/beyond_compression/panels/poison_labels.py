"""Panel: labels are drawn anew at random, and students with and without a teacher learn what is left."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from kdutils.cohorts import HARD, Cohort, Setting, cohort
from kdutils.datasets import wrong_share
from kdutils.lessons.beyond_compression.experiment import NOISY, by_heart, noisy_labels, twins
from kdutils.lessons.beyond_compression.panels.pair_lab import KINDS, PairLab
from kdutils.live.control import Choice, Slider
from kdutils.live.curves import add_band, grow_band
from kdutils.plots.style import base_layout, title_fonts
from kdutils.training import Recipe, Snapshot

TEACHERS = {"stopped early": 60, "trained to the end": 600}


class PoisonLabels(PairLab):
    """Two populations on the same wrong labels: from the labels alone, and from a teacher that saw them too.

    Left, test accuracy against the true labels. Middle, what the networks have learnt by heart: on the training images
    whose label is wrong, how often they say that wrong label. Right, the gain of complete runs.
    """

    title = "Poison the labels"
    openings = {"": {"noise": 0.0, "teacher": "trained to the end"}}
    axis = "noise"
    gains_axis = 3
    controls = (
        Slider("noise", "Labels drawn anew", low=0.0, high=0.8, step=0.05, default=0.6,
               help="Each is replaced by a class drawn from all ten, the true one among them. Drawn once."),
        Choice("teacher", "The teacher is", options=tuple(TEACHERS),
               help="A network of the students' size on the same wrong labels: 60 steps, or 600."),
        Slider("alpha", "Weight of the teacher, alpha", low=0.0, high=1.0, step=0.05, default=1.0,
               help="The labels have the weight 1 - alpha."),
    )
    static_presets = ("Poisoned, by heart", "Poisoned, early stop")
    presets = {"Clean": {"noise": 0.0},
               "Poisoned, early stop": {"noise": 0.6, "teacher": "stopped early", "alpha": 1.0},
               "Poisoned, by heart": {"noise": 0.6, "teacher": "trained to the end", "alpha": 1.0},
               "Half and half": {"noise": 0.6, "teacher": "stopped early", "alpha": 0.5}}

    def __init__(self, seeds: int = 10, steps: int = 600, images: int = 500, **values):
        self.shown = images
        super().__init__(seeds, steps, **values)

    def build_figure(self) -> go.Figure:
        figure = make_subplots(
            rows=1, cols=3, horizontal_spacing=0.08, column_widths=[0.36, 0.32, 0.32],
            subplot_titles=["test accuracy (%)", "wrong labels known by heart (%)", "gain by the teacher (points)"])
        self.add_curves(figure, 1, ("labels", "soft targets"))
        for kind in KINDS:
            add_band(figure, f"heart {kind}", kind, kind, 2, shown=False)
        self.add_gains(figure, 3)
        figure.update_layout(base_layout(height=380, margin={"t": 70, "l": 45, "b": 60}, legend={"y": 1.1}))
        title_fonts(figure)
        figure.update_yaxes(range=[0, 100], col=1)
        figure.update_yaxes(range=[0, 100], col=2)
        figure.update_xaxes(title_text="training steps", range=[0, self.recipe.steps], col=2)
        figure.update_xaxes(title_text="labels drawn anew", range=[-0.04, 0.84], tickformat=".0%", col=3)
        return figure

    def make(self) -> Cohort:
        self.labels = noisy_labels(self.lab, self.began_with["noise"])
        self.images = self.lab.transfer(self.shown)
        told = twins(self.lab, self.images, self.labels, Recipe(TEACHERS[self.began_with["teacher"]]))
        arms = [HARD, Setting("distilled", 4.0, self.began_with["alpha"])]
        return cohort(self.lab, told, self.images, arms, NOISY, self.labels)

    def observe(self, snapshot: Snapshot) -> None:
        super().observe(snapshot)
        self.hearts = None
        if self.began_with["noise"]:
            logits = self.students.population.predict(self.lab.data.inputs).unflatten(0, (2, -1))
            self.hearts = np.stack([by_heart(self.lab, own, self.images, self.labels).cpu().numpy() for own in logits])
            for kind, own in zip(KINDS, self.hearts, strict=True):
                grow_band(self.chart, f"heart {kind}", snapshot.step, own)

    def formula(self) -> str:
        noise, alpha = self.values["noise"], self.values["alpha"]
        return (f"loss = ⟦{alpha:.3g}⟧ · 4² · KL(softmax(z_T / 4) ‖ softmax(z_S / 4)) + ⟦{1 - alpha:.3g}⟧ · "
                f"cross-entropy with labels of which ⟦{noise:.3g}⟧ · 9/10 = {wrong_share(noise, 10):.0%} are wrong")

    def reading(self) -> str:
        measured = self.scores is not None
        noise = (self.began_with if measured else self.values)["noise"]
        words = f"{noise:.0%} of the labels drawn anew, so {wrong_share(noise, 10):.0%} are wrong"
        if not measured:
            return f"{words}: press Train, or let go of a control."
        words += (f". On clean test images the labels alone give {self.scores[0].mean():.1f}%, with the teacher "
                  f"({self.began_with['teacher']}) {self.scores[1].mean():.1f}%: {self.gain}.")
        if self.hearts is not None:
            words += (f" Of the wrong labels they know {self.hearts[0].mean():.0f}% and "
                      f"{self.hearts[1].mean():.0f}% by heart.")
        return words
