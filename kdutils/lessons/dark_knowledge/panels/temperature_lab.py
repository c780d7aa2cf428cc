"""Panel: students learn from soft targets beside students of hard labels, while the reader moves T."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from kdutils.cohorts import HARD, Cohort, Setting, Splits, cohort, teachers
from kdutils.lessons.examples import one_per_class
from kdutils.live.control import Choice, LogSlider, Slider
from kdutils.live.curves import add_answers, add_band, clear_band, grow_band
from kdutils.live.lab import Lab
from kdutils.objectives import softmax
from kdutils.plots.style import COLOURS, DASHES, base_layout, title_fonts
from kdutils.results import Effect, interval
from kdutils.training import Knobs, Recipe, Snapshot

SIZES = (20, 50, 100, 200, 500, 1200)


@dataclass(frozen=True)
class Answer:
    """What one complete run said: the paired gain over hard labels. `mixed`: T or alpha moved while it ran."""

    temperature: float
    alpha: float
    transfer: int
    gain: Effect
    mixed: bool


class TemperatureLab(Lab):
    """12 students of soft targets beside 12 of hard labels, paired by split, start and batch order.

    T and alpha act at once, also while students train; a new number of images starts new students. Every complete run
    adds a point on the right. Students of hard labels know neither T nor alpha: for a run to an answer they are trained
    once per number of images.
    """

    title = "Temperature lab"
    openings = {"": {}}
    over, static = "temperature", (1.0, 20.0)
    controls = (
        LogSlider("temperature", "Temperature T", low=0.5, high=32.0, default=4.0,
                  help="Of teacher and student in the distillation loss."),
        Slider("alpha", "Alpha", low=0.0, high=1.0, step=0.05, default=1.0,
               help="Weight of the soft targets; 1 - alpha weighs the hard labels."),
        Choice("transfer", "Transfer images", options=SIZES, default=100,
               help="How many images the students see. The teacher saw all 1,200."),
    )
    static_presets = ("50 images", "All the data")
    presets = {"T = 1": {"temperature": 1.0}, "T = 4": {"temperature": 4.0}, "T = 20": {"temperature": 20.0},
               "50 images": {"transfer": 50}, "All the data": {"transfer": 1200}}

    def __init__(self, seeds: int = 12, steps: int = 300, **values):
        self.lab = Splits.open("digits", seeds)
        self.recipe = Recipe(steps=steps)
        self.teacher_logits = teachers(self.lab, self.lab.pool)
        self.example = one_per_class(self.lab, self.teacher_logits)[3]
        self.hard: dict[int, dict[int, np.ndarray]] = {}    # images -> step -> accuracies (S,) of hard-label students
        self.students: Cohort | None = None
        self.scores: np.ndarray | None = None  # (2, S): test accuracies of the last snapshot, hard labels first
        self.measured: dict = {}               # the values that belong to `scores`; the controls may have moved on
        super().__init__(**values)

    # ---- the figure ------------------------------------------------------------------------------------------------

    def build_figure(self) -> go.Figure:
        figure = make_subplots(
            rows=1, cols=3, column_widths=[0.42, 0.24, 0.34], horizontal_spacing=0.075,
            subplot_titles=["test accuracy (%)", f"one {self.example.label}: soft target and student",
                            "gain over hard labels (points)"])
        for arm, kind in (("hard", "hard labels"), ("distilled", "distilled")):
            add_band(figure, arm, kind, f"student, {kind}", col=1)
        teacher = self.lab.accuracy(self.teacher_logits).mean().item()
        figure.add_scatter(uid="teacher", x=[0, self.recipe.steps], y=[teacher] * 2, mode="lines", name="teacher",
                           line={"color": COLOURS["teacher"], "dash": DASHES["teacher"]}, row=1, col=1)
        figure.add_bar(uid="soft targets", x=list(range(10)), y=[0.0] * 10, width=0.8, offset=-0.4, row=1, col=2,
                       marker={"color": COLOURS["teacher"]}, showlegend=False)
        figure.add_scatter(uid="student's answer", x=list(range(10)), y=[math.nan] * 10, mode="markers", row=1, col=2,
                           marker={"color": COLOURS["distilled"], "size": 8}, showlegend=False)
        add_answers(figure, "distilled", "highlight", col=3)
        figure.update_layout(base_layout(height=390, margin={"t": 70, "l": 45}, legend={"y": 1.1}))
        title_fonts(figure)
        figure.update_xaxes(title_text="training steps", range=[0, self.recipe.steps], col=1)
        figure.update_yaxes(range=[40, 100], col=1)
        figure.update_xaxes(title_text="class", tickvals=list(range(10)), col=2)
        figure.update_yaxes(range=[0, 1], col=2)
        ticks = [0.5, 1, 2, 4, 8, 16, 32]
        figure.update_xaxes(title_text="temperature T", type="log", tickvals=ticks, ticktext=[f"{t:g}" for t in ticks],
                            range=[-0.4, 1.6], col=3)
        figure.update_yaxes(range=[-6, 18], col=3)   # holds every interval of 12 seeds, from 20 to 1,200 images
        figure.add_hline(y=0, line={"color": COLOURS["hard labels"], "dash": "dot", "width": 1.5}, col=3)
        return figure

    def draw(self, changed: frozenset[str]) -> None:
        super().draw(changed)
        self.chart.set("soft targets", y=self.example.probabilities(self.values["temperature"]).numpy())

    def turned(self) -> list[tuple[Knobs, dict]]:
        if self.students is None:
            return []
        s, hard = len(self.lab.seeds), len(self.students.arms) - 1      # hard: 1 if they train too, else 0
        return [(self.students.knobs, {"temperature": (1.0,) * s * hard + (self.values["temperature"],) * s,
                                       "alpha": (0.0,) * s * hard + (self.values["alpha"],) * s})]

    # ---- the run ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        super().begin()
        self.students, self.scores = None, None
        for arm in ("hard", "distilled"):
            clear_band(self.chart, arm)

    def start(self) -> Iterator[Snapshot]:
        now, answering = self.asked, self.answering     # once: whoever pauses a run to an answer watches it from there
        self.running = now["transfer"]
        arms = [] if answering and self.running in self.hard else [HARD]
        arms.append(Setting("distilled", now["temperature"], now["alpha"]))
        self.students = cohort(self.lab, self.teacher_logits, self.lab.transfer(self.running), arms)
        self.curve = {} if len(arms) > 1 else self.hard[self.running]
        return self.students.train(self.recipe, every=20 if answering else 5)

    def observe(self, snapshot: Snapshot) -> None:
        *hard, soft = self.students.accuracy().cpu().numpy()
        if hard:
            self.curve[snapshot.step] = hard[0]
        self.scores = np.stack([self.curve[snapshot.step], soft])
        self.measured = {name: self.students.knobs[name][-1] for name in ("temperature", "alpha")}
        self.measured["transfer"] = self.running
        for arm, scores in zip(("hard", "distilled"), self.scores, strict=True):
            grow_band(self.chart, arm, snapshot.step, scores)
        logits = self.students.population.predict(self.lab.data.inputs[self.example.index][None])
        answer = softmax(logits, self.values["temperature"])[-len(self.lab.seeds):, 0].mean(0)
        self.chart.set("student's answer", y=answer.cpu().numpy())

    def finish(self) -> None:
        self.students, self.hard[self.running] = None, self.curve
        self.add(Answer(**self.measured, gain=interval(self.scores[1] - self.scores[0]), mixed=self.mixed))

    def why_anew(self, changed: frozenset[str]) -> str:
        return "Other images: other students." if "transfer" in changed else ""

    def forget(self) -> None:
        super().forget()
        self.students, self.scores = None, None

    # ---- the words -------------------------------------------------------------------------------------------------

    def formula(self) -> str:
        t, alpha = f"⟦{self.values['temperature']:.3g}⟧", self.values["alpha"]
        return (f"loss = ⟦{alpha:.3g}⟧ · {t}² · KL(softmax(teacher / {t}) ‖ softmax(student / {t})) + "
                f"⟦{1 - alpha:.3g}⟧ · cross-entropy with the labels")

    def reading(self) -> str:
        now = self.values if self.scores is None else self.measured
        setting = f"T = {now['temperature']:.3g}, alpha = {now['alpha']:g}, {now['transfer']:,} images"
        if self.scores is None:
            return f"{setting}: press Train, or let go of a control, and {2 * len(self.lab.seeds)} students learn."
        hard, soft = self.scores.mean(1)
        note = " T or alpha moved during this run." if self.mixed else ""
        return (f"{setting}: distilled students {soft:.1f}%, hard-label students {hard:.1f}%, gain "
                f"{interval(self.scores[1] - self.scores[0])}. The teacher saw 1,200 labels.{note}")

