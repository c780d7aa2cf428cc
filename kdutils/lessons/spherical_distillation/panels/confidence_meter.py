"""Panel: how loudly a teacher speaks, how loudly its students learn to, and what becomes of their accuracy."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots
from torch import Tensor

from kdutils.cohorts import Cohort, Splits
from kdutils.lessons.spherical_distillation.experiment import teachers_by_width
from kdutils.lessons.spherical_distillation.parameters import FORMS, Arm
from kdutils.lessons.spherical_distillation.students import distil, measures, students_of
from kdutils.live.control import Choice, LogSlider
from kdutils.live.curves import add_answers, show_answers
from kdutils.live.following import FollowingPanel
from kdutils.objectives import spread
from kdutils.plots.style import COLOURS, base_layout, title_fonts, translucent
from kdutils.results import Effect, interval
from kdutils.training import Recipe, Snapshot

WIDTHS = (32, 128, 512, 2048)
WAYS = ("KD", "SKD", "one scalar")
EDGES = np.linspace(0, 12, 25)
MIDDLES = (EDGES[1:] + EDGES[:-1]) / 2


@dataclass(frozen=True)
class Answer:
    """What one complete run said: the students' accuracy. `mixed`: T moved while it ran."""

    place: int
    way: str
    temperature: float
    gain: Effect
    mixed: bool


class ConfidenceMeter(FollowingPanel):
    """12 students of teachers of one size, and the spreads of all their answers to test digits.

    T acts at once, also while students train; another teacher or another way to distil starts new students. Every
    complete run adds its accuracy on the right, above the size of the teacher.
    """

    title = "Confidence-gap meter"
    openings = {"": {}}
    static_presets = ("Large teacher", "Large, on the sphere")
    presets = {"Small teacher": {"width": 32}, "Large teacher": {"width": 2048},
               "Large, on the sphere": {"width": 2048, "way": "SKD"},
               "Large, one scalar": {"width": 2048, "way": "one scalar"}}
    controls = (
        Choice("width", "Hidden units of the teacher", options=WIDTHS, default=512,
               help="The student has 16."),
        Choice("way", "Way to distil", options=WAYS, default="KD",
               help="KD; on the sphere with m = 2; KD with the teacher's logits divided by one number."),
        LogSlider("temperature", "Temperature T", low=0.5, high=32.0, default=4.0,
                  help="Of teacher and student in the distillation term."),
    )

    def __init__(self, seeds: int = 12, steps: int = 300, teacher_steps: int = 600, m: float = 2.0, **values):
        self.lab = Splits.open("digits", seeds)
        self.transfer = self.lab.transfer(100)
        self.recipe, self.teacher_steps, self.m = Recipe(steps=steps), teacher_steps, m
        self.answers: list[Answer] = []
        self.known: dict[int, Tensor] = {}      # width -> teachers' logits (S, N, 10)
        self._begin_anew()
        super().__init__(**values)

    def _begin_anew(self) -> None:
        self.students: Cohort | None = None
        self.scores: dict[str, np.ndarray] = {}     # what was measured of the students: {name: (S,)}
        self.measured: dict = {}                    # the values that belong to `scores`; controls may have moved on
        self.mixed = False

    # ---- the figure ------------------------------------------------------------------------------------------------

    def build_figure(self) -> go.Figure:
        figure = make_subplots(rows=1, cols=3, column_widths=[0.4, 0.26, 0.34], horizontal_spacing=0.085,
                               subplot_titles=["spread of each answer's logits", "mean largest probability (%)",
                                               "students' accuracy (%)"])
        for uid, kind in (("teacher", "teacher"), ("student", "distilled")):
            figure.add_scatter(uid=f"{uid} spreads", x=MIDDLES, y=np.full(len(MIDDLES), np.nan), mode="lines", name=uid,
                               line={"color": COLOURS[kind], "width": 2.5, "shape": "hvh",
                                     "dash": "dash" if uid == "teacher" else "solid"}, row=1, col=1)
        figure.add_bar(uid="sure", x=[0, 1, 2], y=[np.nan] * 3, width=0.7, offset=-0.35, showlegend=False, row=1, col=2,
                       marker={"color": [COLOURS["teacher"], COLOURS["distilled"],
                                         translucent(COLOURS["distilled"], 0.45)]})
        add_answers(figure, "distilled", "highlight", col=3)
        figure.update_layout(base_layout(height=390, margin={"t": 80, "l": 50, "b": 60}, legend={"y": 1.13}))
        title_fonts(figure)
        figure.update_xaxes(title_text="standard deviation over the classes", range=[0, 12], col=1)
        figure.update_yaxes(title_text="share of answers (%)", rangemode="tozero", col=1)
        figure.update_xaxes(tickvals=[0, 1, 2], ticktext=["teacher", "student", "accuracy"], col=2)
        figure.update_yaxes(range=[0, 102], col=2)
        figure.update_xaxes(title_text="hidden units of the teacher", tickvals=list(range(len(WIDTHS))),
                            ticktext=[f"{width:,}" for width in WIDTHS], range=[-0.5, len(WIDTHS) - 0.5],
                            col=3)
        figure.update_yaxes(range=[84, 97], col=3)
        return figure

    def draw(self, changed: frozenset[str]) -> None:
        temperature = self.values["temperature"]
        watched = self.state in ("training", "paused") and not self.answering
        if self.students is not None and watched:
            wanted = (temperature,) * len(self.lab.seeds)
            if self.students.knobs["temperature"] != wanted:
                self.students.knobs.set(temperature=wanted)
                self.mixed = True
        self._draw_answers()

    def _draw_answers(self) -> None:
        alike = [a for a in self.answers if (a.way, a.temperature) == (self.values["way"], self.values["temperature"])
                 and not a.mixed]
        show_answers(self.chart, self.answers, alike, "place")

    def _share(self, logits: Tensor) -> np.ndarray:
        """Percent of the answers (S, Q, 10) in each bin of the spread; the last one takes all above it."""
        values = spread(logits).flatten().clamp(max=EDGES[-1] - 1e-3).cpu().numpy()
        return 100 * np.histogram(values, EDGES)[0] / len(values)

    # ---- the run ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        super().begin()
        self._begin_anew()
        nothing = np.full(len(MIDDLES), np.nan)
        self.chart.set("student spreads", y=nothing)
        self.chart.set("sure", y=[np.nan] * 3)

    def start(self) -> Iterator[Snapshot]:
        now = dict(self.asked)
        if now["width"] not in self.known:
            self.known[now["width"]] = teachers_by_width(self.lab, [now["width"]], "Adam", self.teacher_steps)[0]
        logits, test = self.known[now["width"]], self.lab.test
        answers = logits.gather(1, test[..., None].expand(-1, -1, logits.shape[-1]))
        self.teacher = {name: value.cpu().numpy() for name, value in
                        measures(answers, self.lab.data.labels[test]).items()}
        self.chart.set("teacher spreads", y=self._share(answers))
        self.running = {"width": now["width"], "way": now["way"]}
        arm = Arm(now["way"], now["temperature"], self.m)
        self.students = students_of(self.lab, logits[None], self.transfer, now["way"], [arm])
        return distil(self.students, now["way"], self.recipe, every=20 if self.answering else 10)

    def observe(self, snapshot: Snapshot) -> None:
        answers, labels = self.students.test_logits()
        scale = torch.full((len(answers),), self.m) if FORMS[self.running["way"]].read == "m" else None
        self.scores = {name: value.cpu().numpy() for name, value in measures(answers, labels, scale).items()}
        self.measured = self.running | {"temperature": self.students.knobs["temperature"][0]}
        self.chart.set("student spreads", y=self._share(answers))
        self.chart.set("sure", y=[self.teacher["confidence"].mean(), self.scores["confidence"].mean(),
                                  self.scores["accuracy"].mean()])

    def finish(self) -> None:
        answer = Answer(WIDTHS.index(self.measured["width"]), self.measured["way"], self.measured["temperature"],
                        interval(self.scores["accuracy"]), self.mixed)
        # A former answer to the same values says the same; one during which T moved belongs to no values.
        self.answers[:] = [old for old in self.answers if old.mixed or replace(old, gain=answer.gain) != answer
                           ] + [answer]
        self.students = None
        self._draw_answers()

    def why_anew(self, changed: frozenset[str]) -> str:
        return "" if changed == {"temperature"} else "Another teacher or another loss: other students."

    def forget(self) -> None:
        self.answers.clear()
        self._begin_anew()

    def settings(self) -> dict:
        return {"m": self.m}

    def before_static(self) -> None:
        """Where nobody can move a control: the smallest and the largest teacher, then the one that was asked for."""
        if self.state == "idle":
            asked = dict(self.values)
            for width in (WIDTHS[0], WIDTHS[-1], asked["width"]):
                self.set(width=width)
                self.run()
        super().before_static()

    # ---- the words -------------------------------------------------------------------------------------------------

    def formula(self) -> str:
        t, m = f"⟦{self.values['temperature']:.3g}⟧", f"{self.m:g}"
        teacher, student = {
            "KD": ("z_T", "z_S"), "SKD": (f"{m} z_T / spread(z_T)", f"{m} z_S / spread(z_S)"),
            "one scalar": (f"{m} z_T / mean spread", "z_S")}[self.values["way"]]
        return f"⟦{self.values['way']}⟧ = T² KL = {t}² · KL(softmax({teacher} / {t}) ‖ softmax({student} / {t}))"

    def reading(self) -> str:
        now = self.measured if self.scores else self.values
        setting = f"{now['width']:,} hidden units, {now['way']}, T = {now['temperature']:.3g}"
        if not self.scores:
            return f"{setting}: press Train, or let go of a control, and {len(self.lab.seeds)} students learn."
        note = " T moved during this run." if self.mixed else ""
        both = self.teacher, self.scores
        loud, right = ([values[name].mean() for values in both] for name in ("spread", "accuracy"))
        return (f"{setting}: the teachers' spread is {loud[0]:.1f}, the students' {loud[1]:.1f}; the teachers are "
                f"{right[0]:.1f}% right, the students {right[1]:.1f}%.{note}")
