"""Panel: strict and tolerant teachers learn side by side, then their students, while the reader moves eta, K and T."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots
from torch import Tensor

from kdutils import metrics
from kdutils.cohorts import Splits, cohort, distilled
from kdutils.datasets import take
from kdutils.live.control import LogSlider, Slider
from kdutils.live.curves import add_answers, add_band, clear_band, grow_band
from kdutils.live.lab import Lab
from kdutils.networks import MLP, Population
from kdutils.objectives import tolerant_teacher
from kdutils.plots.style import COLOURS, base_layout, title_fonts, translucent
from kdutils.results import Effect, interval
from kdutils.training import Knobs, Recipe, Task, train

TEACHER = MLP(64, (64,), 10)
RANKS = np.arange(1, 11)
KINDS = ("strict", "tolerant")


@dataclass(frozen=True)
class Moment:
    """A snapshot of one phase. step of steps: of this run. x: its place in the figure. scores: {kind: (S,) percent}."""

    step: int
    steps: int
    phase: str
    x: int
    scores: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Answer:
    """What one complete run said: the students' paired gain. `mixed`: a value that counts moved while it ran."""

    eta: float
    ranks: int
    temperature: float
    gain: Effect
    mixed: bool


class ToleranceLab(Lab):
    """12 strict and 12 tolerant teachers, then a student of each, paired by split, start and batch order.

    One run has two phases: teachers on all 1,200 labels, then students on `transfer` images and their teacher's
    answers alone. eta and K act at once while teachers learn, T while students do. What a control cannot have changed
    is not trained again: strict teachers are trained once, and a new T asks the same teachers. Every complete run adds
    a point on the right.
    """

    title = "Tolerance lab"
    openings = {"": {}}
    over, static = "eta", (0.3, 0.6, 0.9, 1.2)
    controls = (
        Slider("eta", "Tolerance eta", low=0.0, high=1.5, step=0.05, default=0.9,
               help="Weight of the top score difference in the tolerant teachers' loss; 0 is strict."),
        Slider("ranks", "Ranks K", low=2, high=10, default=5,
               help="How many of the largest probabilities the tolerance looks at."),
        LogSlider("temperature", "Temperature T", low=0.5, high=16.0, default=1.0,
                  help="Of teachers and students in the distillation loss; the bars show the teachers at this T."),
    )
    static_presets = ("eta = 0.9 at T = 4",)
    presets = {"eta = 0.9": {"eta": 0.9, "ranks": 5, "temperature": 1.0},
               "eta = 1.2": {"eta": 1.2, "ranks": 5, "temperature": 1.0},
               "eta = 0.9 at T = 4": {"eta": 0.9, "ranks": 5, "temperature": 4.0},
               "eta = 0: all alike": {"eta": 0.0, "ranks": 5, "temperature": 1.0}}

    def __init__(self, seeds: int = 12, steps: int = 200, transfer: int = 100, **values):
        self.lab = Splits.open("digits", seeds)
        self.transfer = self.lab.transfer(transfer)
        self.teaching, self.learning = Recipe(steps=steps, lr=5e-3), Recipe(steps=steps)
        self._forget_teachers()
        super().__init__(**values)

    def forget(self) -> None:
        super().forget()
        self._forget_teachers()

    def _forget_teachers(self) -> None:
        self.teachers: dict[str, Tensor] = {}       # kind -> logits (S, N, C) of teachers that are trained
        self.made_of: tuple[float, int] | None = None     # eta and K of the tolerant ones; None if they moved
        self.test_logits: dict[str, Tensor] = {}      # kind -> logits (S, Q, C) of the test images, at this moment
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.knobs: Knobs | None = None             # those of the phase that runs
        self.phase = ""
        self.measured: dict = {}                    # the values that belong to `scores`; controls may have moved on
        self.scores: dict[str, np.ndarray] = {}     # kind -> the students' (S,) test accuracies

    # ---- the figure ------------------------------------------------------------------------------------------------

    def build_figure(self) -> go.Figure:
        figure = make_subplots(
            rows=1, cols=3, column_widths=[0.27, 0.40, 0.33], horizontal_spacing=0.08,
            subplot_titles=["what teachers say, by rank", "test accuracy (%)", "students' gain by tolerance (points)"])
        figure.add_bar(uid="tolerant mass", x=RANKS, y=np.full(10, np.nan), width=0.8, offset=-0.4, showlegend=False,
                       marker={"color": translucent(COLOURS["tolerant"], 0.6)}, row=1, col=1,
                       hovertemplate="rank %{x}: %{y:.4f}<extra>tolerant</extra>")
        figure.add_scatter(uid="strict mass", x=[], y=[], mode="lines", showlegend=False, row=1, col=1,
                           line={"color": COLOURS["strict"], "width": 3})
        for kind in KINDS:
            add_band(figure, f"{kind} teachers", kind, f"{kind} teachers, then their students", col=2)
            add_band(figure, f"{kind} students", kind, f"students of {kind} teachers", col=2, shown=False)
        split = self.teaching.steps
        figure.add_scatter(uid="border", x=[split, split], y=[0, 105], mode="lines", hoverinfo="skip",
                           line={"color": COLOURS["other"], "width": 1, "dash": "dot"}, showlegend=False, row=1, col=2)
        add_answers(figure, "tolerant", "distilled", col=3)
        figure.update_layout(base_layout(height=390, margin={"t": 70, "l": 50}, legend={"y": 1.1}))
        title_fonts(figure)
        figure.update_xaxes(title_text="rank", tickvals=RANKS.tolist(), range=[0.4, 10.6], col=1)
        figure.update_yaxes(type="log", range=[-4, 0.05], tickvals=[1e-4, 1e-3, 1e-2, 0.1, 1],
                            ticktext=["0.01%", "0.1%", "1%", "10%", "100%"], col=1)
        end = split + self.learning.steps
        figure.update_xaxes(title_text="training steps", range=[0, end], col=2,
                            tickvals=[0, split // 2, split, split + self.learning.steps // 2, end],
                            ticktext=["0", f"{split // 2}", "0", f"{self.learning.steps // 2}", f"{end - split}"])
        figure.update_yaxes(range=[60, 100], col=2)
        for middle, words in ((split / 2, "teachers"), (split + self.learning.steps / 2, "students")):
            figure.add_annotation(x=middle, y=61, text=words, showarrow=False, yanchor="bottom", row=1, col=2)
        figure.update_xaxes(title_text="tolerance eta", range=[-0.08, 1.58], dtick=0.3, col=3)
        figure.add_hline(y=0, line={"color": COLOURS["strict"], "dash": "dash", "width": 1.5}, col=3)
        return figure

    def draw(self, changed: frozenset[str]) -> None:
        super().draw(changed)
        self._draw_mass()

    def turned(self) -> list[tuple[Knobs, dict]]:
        return [(self.knobs, self._wanted())] if self.knobs is not None else []

    def _draw_mass(self) -> None:
        mass = {kind: metrics.mass_by_rank(logits, self.values["temperature"]).mean(0).cpu().numpy()
                for kind, logits in self.test_logits.items()}
        self.chart.set("tolerant mass", y=mass.get("tolerant", np.full(10, np.nan)))
        strict = mass.get("strict", np.full(10, np.nan))
        self.chart.set("strict mass", x=np.ravel([[k - 0.4, k + 0.4, np.nan] for k in RANKS]), y=np.repeat(strict, 3))

    def draw_answers(self) -> None:
        super().draw_answers()
        ends = [end for a in self.answers for end in (a.gain.mean, a.gain.low, a.gain.high) if not math.isnan(end)]
        self.chart.layout({"yaxis3": {"range": [min([-2, *ends]) - 1, max([2, *ends]) + 1]}})

    # ---- the run ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        super().begin()
        self._begin_anew()
        if self.made_of != (self.asked["eta"], self.asked["ranks"]):
            self.teachers.pop("tolerant", None)
        for kind in KINDS:
            clear_band(self.chart, f"{kind} students")
            if kind not in self.teachers:
                clear_band(self.chart, f"{kind} teachers")
                self.test_logits.pop(kind, None)

    def start(self) -> Iterator[Moment]:
        missing = [kind for kind in KINDS if kind not in self.teachers]
        before = self.teaching.steps if missing else 0
        return self._both(missing, before, before + self.learning.steps)

    def _both(self, missing: list[str], before: int, total: int) -> Iterator[Moment]:
        if missing:
            yield from self._teach(missing, total)
        yield from self._distil(before, total)

    def _teach(self, kinds: list[str], total: int) -> Iterator[Moment]:
        seeds = self.lab.seeds * len(kinds)
        population = Population(TEACHER, seeds)
        task = Task(self.lab.data.inputs, self.lab.data.labels, self.lab.pool.repeat(len(kinds), 1), seeds)
        self.phase, self.kinds, self.knobs = "teachers", kinds, Knobs()
        self.knobs.set(**self._wanted())
        for snapshot in train(population, task, tolerant_teacher, self.knobs, self.teaching, self._every()):
            logits = population.predict(take(self.lab.data.inputs, self.lab.test.repeat(len(kinds), 1)))
            self.test_logits |= dict(zip(kinds, logits.chunk(len(kinds)), strict=True))
            yield Moment(snapshot.step, total, self.phase, snapshot.step, self._scores(logits, kinds))
        self.teachers |= dict(zip(kinds, population.predict(self.lab.data.inputs).chunk(len(kinds)), strict=True))
        self.made_of = None if self.mixed else (self.asked["eta"], self.asked["ranks"])
        self.measured = {name: self.knobs[name][-1] for name in ("eta", "ranks")}

    def _distil(self, before: int, total: int) -> Iterator[Moment]:
        if not self.measured:
            self.measured = dict(zip(("eta", "ranks"), self.made_of, strict=True))
        temperature = self.asked["temperature"]
        students = cohort(self.lab, torch.stack([self.teachers[kind] for kind in KINDS]), self.transfer,
                          [distilled(temperature, teacher) for teacher in range(len(KINDS))])
        self.phase, self.knobs = "students", students.knobs
        for snapshot in students.train(self.learning, self._every()):
            self.scores = dict(zip(KINDS, students.accuracy().cpu().numpy(), strict=True))
            self.measured["temperature"] = self.knobs["temperature"][0]
            yield Moment(before + snapshot.step, total, self.phase, self.teaching.steps + snapshot.step, self.scores)

    def _every(self) -> int:
        """Steps from one look at the test images to the next: a tenth of the time of a run to an answer, at most."""
        return 20 if self.answering else 10

    def _wanted(self) -> dict:
        """The knobs of this phase as the controls stand."""
        s = len(self.lab.seeds)
        if self.phase == "students":
            return {"temperature": (self.asked["temperature"],) * (s * len(KINDS))}
        etas = {"strict": 0.0, "tolerant": self.asked["eta"]}
        return {"eta": tuple(etas[kind] for kind in self.kinds for _ in range(s)),
                "ranks": (self.asked["ranks"],) * (s * len(self.kinds))}

    def _scores(self, logits: Tensor, kinds: list[str]) -> dict[str, np.ndarray]:
        labels = self.lab.data.labels[self.lab.test].repeat(len(kinds), 1)
        scores = 100 * metrics.accuracy(logits, labels).cpu().numpy()
        return dict(zip(kinds, np.split(scores, len(kinds)), strict=True))

    def observe(self, snapshot: Moment) -> None:
        for kind, scores in snapshot.scores.items():
            grow_band(self.chart, f"{kind} {snapshot.phase}", snapshot.x, scores)
        if snapshot.phase == "teachers":
            self._draw_mass()

    def finish(self) -> None:
        self.knobs = None
        self.add(Answer(**self.measured, gain=self._gain(), mixed=self.mixed))

    def _gain(self) -> Effect:
        return interval(self.scores["tolerant"] - self.scores["strict"])

    def why_anew(self, changed: frozenset[str]) -> str:
        return "Other teachers." if self.phase == "students" and changed & {"eta", "ranks"} else ""

    # ---- the words -------------------------------------------------------------------------------------------------

    def position(self) -> str:
        return f", {self.phase}{super().position()}" if self.phase else super().position()

    def formula(self) -> str:
        eta, ranks, t = (f"⟦{self.values[name]:.3g}⟧" for name in ("eta", "ranks", "temperature"))
        return (f"teacher: cross-entropy + {eta} · (rank 1 − mean of ranks 2 to {ranks});  student: {t}² · "
                f"KL(softmax(teacher / {t}) ‖ softmax(student / {t}))")

    def reading(self) -> str:
        now = dict(self.values) | (self.measured if self.scores else {})
        setting = f"eta = {now['eta']:g}, K = {now['ranks']:g}, T = {now['temperature']:.3g}"
        if not self.test_logits.keys() >= set(KINDS):
            s = 2 * len(self.lab.seeds)
            return f"{setting}: press Train, or let go of a control; {s} teachers learn, then {s} students."
        ranks, t = self.values["ranks"], self.values["temperature"]
        mass, right = {}, {}
        for kind, logits in self.test_logits.items():
            mass[kind] = 100 * metrics.mass_by_rank(logits, t)[:, 1:ranks].sum(-1).mean().item()
            right[kind] = self._scores(logits, [kind])[kind].mean()
        secondary = "rank 2" if ranks == 2 else f"ranks 2 to {ranks}"
        words = (f"{setting}. Tolerant teachers are {right['tolerant']:.1f}% right and give {secondary} "
                 f"{mass['tolerant']:.1f}% at T = {t:.3g}; strict ones {right['strict']:.1f}% and "
                 f"{mass['strict']:.1f}%.")
        if self.scores:
            tolerant, strict = (self.scores[kind].mean() for kind in ("tolerant", "strict"))
            words += (f" Their students on {self.transfer.shape[1]:,} images: {tolerant:.1f}% against {strict:.1f}%, "
                      f"gain {self._gain()}.")
        return words + (" A control moved during this run." if self.mixed else "")

