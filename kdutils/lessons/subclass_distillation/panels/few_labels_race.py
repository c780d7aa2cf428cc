"""Panel: students with few labels race, each with another message from its teacher, while the reader moves T."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from kdutils import metrics
from kdutils.cohorts import Cohort, Splits
from kdutils.datasets import grouped
from kdutils.errors import ParameterError
from kdutils.lessons.subclass_distillation.parameters import ARMS, DEFAULT
from kdutils.lessons.subclass_distillation.students import cohorts
from kdutils.lessons.subclass_distillation.teachers import hidden_blocks, label_teachers, subclass_teachers
from kdutils.live.control import Choice, LogSlider
from kdutils.live.curves import add_answers, add_band, clear_band, grow_band, show_answers
from kdutils.live.lab import Lab
from kdutils.plots.style import COLOURS, DASHES, base_layout, title_fonts
from kdutils.results import Effect, interval
from kdutils.training import Knobs, Recipe

RACERS = {"hard labels": "hard labels", "two-class": "two-class distillation", "subclass": "subclass distillation",
          "oracle": "oracle"}
GAINERS = tuple(RACERS)[1:]
MAX_LABELS = 1000
APART = dict(zip(GAINERS, (0.95, 1.0, 1.05), strict=True))      # so that the intervals of a run stand side by side


@dataclass(frozen=True)
class Moment:
    """A snapshot of all students. scores: {arm: (S,) percent}."""

    step: int
    steps: int
    scores: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Answer:
    """What one complete run said: each arm's paired gain over hard labels. `mixed`: T moved while it ran."""

    labels: int
    temperature: float
    width: int
    gains: Mapping[str, Effect]
    mixed: bool


@dataclass(frozen=True)
class Mark:
    """One arm of an answer, as the chart shows it."""

    labels: float
    gain: Effect


class FewLabelsRace(Lab):
    """12 students of each of four kinds, paired by split, start and batch order, on n labelled digits 0-4 / 5-9.

    hard labels; two-class distillation, from a teacher of two classes; subclass distillation, from a teacher that
    divided each class into five by itself; oracle, from a teacher that was told the ten digits. All teachers have seen
    the labels of 1,200 images. The last two have ten outputs, the first two have two. alpha is 1/2.

    T acts at once, also while students train; other labels or another width are other students. Every complete run adds
    a point for each kind on the right.
    """

    title = "Few-labels race"
    openings = {"": {}}
    over, static = "labels", (20, 100, MAX_LABELS)
    controls = (
        LogSlider("labels", "Labelled images n", low=20, high=MAX_LABELS, default=50,
                  help="What the students are trained on: images with a label, 0-4 or 5-9."),
        LogSlider("temperature", "Temperature T", low=0.5, high=16.0, default=4.0,
                  help="Of teacher and student in the distillation loss."),
        Choice("width", "Student's hidden units", options=(8, 16, 32), default=16,
               help="A student is a network 64-width-2 or 64-width-10; its teacher has 64 hidden units."),
    )
    static_presets = ("20 labels", "1,000")
    presets = {"20 labels": {"labels": 20}, "50": {"labels": 50}, "200": {"labels": 200},
               "1,000": {"labels": MAX_LABELS},
               "T = 1": {"temperature": 1.0}, "T = 4": {"temperature": 4.0}}

    def __init__(self, seeds: int = 12, steps: int = 250, **values):
        self.lab = Splits.of(grouped("digits-2x5"), seeds)
        self.recipe = Recipe(steps=steps)
        self.arms = [arm for arm in ARMS if arm.name in RACERS]
        self._begin_anew()
        super().__init__(**values)

    def prepare(self) -> None:
        self.told = _teachers(self.lab)

    def _begin_anew(self) -> None:
        self.cohorts: list[Cohort] = []
        self.scores: Mapping[str, np.ndarray] = {}      # test accuracies of the last snapshot, (S,) percent
        self.measured: dict = {}        # the values that belong to `scores`; the controls may have moved on

    def check(self, values: Mapping) -> None:
        if values["labels"] != int(values["labels"]):
            raise ParameterError(f"labels must be a whole number between 20 and {MAX_LABELS}, "
                                 f"got {values['labels']:g}.")

    # ---- the figure ------------------------------------------------------------------------------------------------

    def build_figure(self) -> go.Figure:
        figure = make_subplots(rows=1, cols=2, column_widths=[0.56, 0.44], horizontal_spacing=0.08,
                               subplot_titles=["test accuracy, two classes (%)", "gain over hard labels (points)"])
        for name, words in RACERS.items():
            add_band(figure, name, name, words, col=1)
        teacher = np.mean([self._accuracy(name).mean() for name in ("two-class", "subclass")])
        figure.add_scatter(uid="teacher", x=[0, self.recipe.steps], y=[teacher] * 2, mode="lines", name="teachers",
                           line={"color": COLOURS["teacher"], "dash": DASHES["teacher"]}, row=1, col=1)
        for name in GAINERS:
            add_answers(figure, name, "other", col=2, prefix=f"{name} ", others=name)
        for name, words in {**RACERS, "teacher": "teachers"}.items():
            uid = name if name == "teacher" else f"{name} mean"
            figure.update_traces(hovertemplate=f"{words}: %{{y:.1f}}%<extra></extra>", selector={"uid": uid})
        figure.update_layout(base_layout(height=405, margin={"t": 75, "l": 45}, legend={"y": 1.09}))
        title_fonts(figure)
        figure.update_xaxes(title_standoff=5)
        figure.update_xaxes(title_text="training steps", range=[0, self.recipe.steps], col=1)
        figure.update_yaxes(range=[50, 100], col=1)
        ticks = [20, 50, 100, 200, 500, 1000]
        figure.update_xaxes(title_text="labelled images n", type="log", tickvals=ticks,
                            ticktext=[f"{tick:,}" for tick in ticks], range=[1.22, 3.1], col=2)
        figure.update_yaxes(range=[-3, 22], col=2)
        figure.add_hline(y=0, line={"color": COLOURS["hard labels"], "dash": "dot", "width": 1.5}, col=2)
        return figure

    def _accuracy(self, teacher: str) -> np.ndarray:
        """Test accuracies of a teacher's two classes, (S,) percent."""
        logits = self.told[teacher]["logits"]
        p = logits.softmax(-1).unflatten(-1, (2, -1)).sum(-1)
        return self.lab.accuracy(p).numpy()

    def turned(self) -> list[tuple[Knobs, dict]]:
        return [(students.knobs, {"temperature": (self.values["temperature"],) * len(students.population)})
                for students in self.cohorts]

    def draw_answers(self) -> None:
        alike = [answer for answer in self.answers if self.alike(answer)]
        for name in GAINERS:
            marks, same = ([Mark(a.labels * APART[name], a.gains[name]) for a in chosen]
                           for chosen in (self.answers, alike))
            show_answers(self.chart, marks, same, "labels", prefix=f"{name} ")
            others = [a for a in self.answers if a not in alike]
            for uid, chosen in (("answers", alike), ("others", others), ("latest", self.answers[-1:])):
                self.chart.restyle(f"{name} {uid}", {"hovertext": [_told(name, a) for a in chosen],
                                                     "hovertemplate": "%{hovertext}<extra></extra>"})
        ends = [end for a in self.answers for gain in a.gains.values() for end in (gain.low, gain.mean, gain.high)
                if not math.isnan(end)]
        self.chart.layout({"yaxis2": {"range": [min([-2, *ends]) - 1, max([15, *ends]) + 1]}})

    # ---- the run ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        super().begin()
        self._begin_anew()
        for name in RACERS:
            clear_band(self.chart, name)

    def start(self) -> Iterator[Moment]:
        now = self.asked
        self.measured = dict(now) | {"labels": int(now["labels"])}
        train = self.lab.transfer(self.measured["labels"])
        self.cohorts = cohorts(self.lab, self.told, self.arms, train, self.measured["width"], DEFAULT)
        for students in self.cohorts:
            students.knobs.set(temperature=(self.measured["temperature"],) * len(students.population))
        return self._side_by_side(every=20 if self.answering else 5)

    def _side_by_side(self, every: int) -> Iterator[Moment]:
        runs = [students.train(self.recipe, every) for students in self.cohorts]
        for snapshots in zip(*runs, strict=True):
            labels = self.lab.data.labels[self.lab.test]
            scores = {arm.name: 100 * metrics.accuracy(logits, labels).cpu().numpy() for students in self.cohorts
                      for arm, logits in zip(students.arms, students.answers(), strict=True)}
            yield Moment(snapshots[0].step, snapshots[0].steps, scores)

    def observe(self, snapshot: Moment) -> None:
        self.scores = snapshot.scores
        self.measured["temperature"] = self.cohorts[0].knobs["temperature"][0]
        for name, scores in snapshot.scores.items():
            grow_band(self.chart, name, snapshot.step, scores)

    def finish(self) -> None:
        self.cohorts = []
        self.add(Answer(**self.measured, gains={name: self._gain(name) for name in GAINERS}, mixed=self.mixed))

    def _gain(self, name: str) -> Effect:
        return interval(self.scores[name] - self.scores["hard labels"])

    def forget(self) -> None:
        super().forget()
        self._begin_anew()

    def why_anew(self, changed: frozenset[str]) -> str:
        return "Other students." if changed & {"labels", "width"} else ""

    # ---- the words -------------------------------------------------------------------------------------------------

    def reading(self) -> str:
        now = self.measured if self.scores else self.values
        setting = f"n = {now['labels']:,.0f}, T = {now['temperature']:.3g}, {now['width']} hidden units"
        if not self.scores:
            s = len(self.lab.seeds)
            return f"{setting}: press Train, or let go of a control, and {s} students of each kind race."
        gains = "; ".join(f"{RACERS[name]} {self.scores[name].mean():.1f}%, gain {self._gain(name)}"
                          for name in GAINERS)
        note = " T moved during this run." if self.mixed else ""
        if len(self.answers) > 1:
            note += " On the right a ring marks the latest run; hollow: another T or width."
        return f"{setting}: hard labels {self.scores['hard labels'].mean():.1f}%; {gains}.{note}"


def _told(name: str, answer: Answer) -> str:
    """What hovering over an arm of an answer says."""
    moved = ", which moved" if answer.mixed else ""
    return (f"{RACERS[name]}, n = {answer.labels:,}<br>T = {answer.temperature:.3g}{moved}, {answer.width} hidden "
            f"units<br>gain {answer.gains[name]}")


def _teachers(lab: Splits) -> dict[str, dict]:
    """The teachers of the experiment that these students need, from the cache if they can."""
    params = DEFAULT
    sizes = (params.subclasses,) * lab.data.n_classes
    _, subclass = subclass_teachers(lab, lab.pool, sizes, [(0.0, params.t_aux), (params.beta, params.t_aux)])
    truth, inside = hidden_blocks(lab)
    return {"two-class": {"logits": label_teachers(lab, lab.pool, lab.data.labels, lab.data.n_classes)[0]},
            "subclass": {"logits": subclass},
            "oracle": {"logits": label_teachers(lab, lab.pool, truth, sum(inside))[0]}}
