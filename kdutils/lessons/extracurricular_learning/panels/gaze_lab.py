"""Panel: gaze students learn from the pool that the reader chose, beside students of the same eyes alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from kdutils.lessons.extracurricular_learning.experiment import ExtracurricularLearning
from kdutils.lessons.extracurricular_learning.figures import ellipse, point, reversed_greys
from kdutils.lessons.extracurricular_learning.gaze import World, scores
from kdutils.lessons.extracurricular_learning.transfer import Arm, Block, untrained
from kdutils.live.control import Choice
from kdutils.live.curves import add_band, clear_band, grow_band, show_answers
from kdutils.live.following import FollowingPanel
from kdutils.networks import Population
from kdutils.objectives import gaussian, gaussian_distillation, mean_distillation
from kdutils.plots.style import COLOURS, DASHES, base_layout, title_fonts
from kdutils.results import Effect, interval
from kdutils.training import Recipe, Snapshot, train

POOLS = ("fresh", "jitter", "shifts", "mixup", "gaussian", "noise")
SHOWN, LOOKED_AT = 4, 400               # eyes with pointers; test eyes measured while it trains
MATCH = {"distributions": gaussian_distillation, "means": mean_distillation}


@dataclass(frozen=True)
class Answer:
    """What one complete run said: how many degrees the pool took off, paired. position: of the pool on the axis."""

    position: int
    queries: int
    match: str
    gain: Effect


class GazeLab(FollowingPanel):
    """Students with 100 eyes of their own, and beside them the same students with a pool that the teacher labels.

    All controls start other students. Letting go of one when nothing trains runs to the answer at full speed; every
    complete run adds a point on the right.
    """

    title = "Gaze lab"
    openings = {"": {}}
    controls = (
        Choice("pool", "Eyes to ask about", options=POOLS,
               help="fresh: new renders, which nobody labelled. The others are made of the student's own eyes."),
        Choice("queries", "How many", options=(50, 200, 800, 2000), default=800,
               help="Answers that the teacher is asked for, beside those about the student's own eyes."),
        Choice("match", "What is matched", options=tuple(MATCH),
               help="distributions: mean and width, by the divergence. means: squared errors, widths untrained."),
    )
    static_presets = ("Two eyes in one",)
    presets = {"Fresh eyes": {"pool": "fresh", "queries": 800}, "Jitter": {"pool": "jitter", "queries": 800},
               "Two eyes in one": {"pool": "mixup", "queries": 800}, "Noise": {"pool": "noise", "queries": 800}}

    def __init__(self, seeds: int = 12, steps: int = 300, labels: int = 1000, own: int = 100,
                 teacher_steps: int = 800, seed: int = 0, **values):
        self.world = World(ExtracurricularLearning(seeds=seeds, gaze_labels=labels, gaze_sizes=(own,),
                                                   teacher_steps=teacher_steps, seed=seed))
        self.recipe = Recipe(steps, 64, 5e-3)
        self.own = self.world.own(own)
        self.blocks: dict[tuple[str, int], Block] = {}      # what has been asked already
        self.test = self.world.test.inputs[:, :LOOKED_AT], self.world.test.gaze[:, :LOOKED_AT]
        # From nearly closed lids to wide open ones.
        order = self.world.test.opening[0, :LOOKED_AT].argsort()
        self.shown = order[(torch.arange(SHOWN) * 2 + 1) * LOOKED_AT // (2 * SHOWN)]
        self.eyes = self.test[0][0, self.shown, 0], self.test[1][0, self.shown]
        self.answers: list[Answer] = []
        self.forget()
        super().__init__(**values)

    def forget(self) -> None:
        self.answers.clear()
        self.scores: np.ndarray | None = None       # (2, S) degrees of the last snapshot, the same eyes first
        self.said: tuple[np.ndarray, np.ndarray] | None = None      # mean and sigma about the shown eyes
        self.running: dict = {}

    # ---- the figure ------------------------------------------------------------------------------------------------

    def build_figure(self) -> go.Figure:
        figure = make_subplots(rows=2, cols=4, row_heights=[0.36, 0.64], vertical_spacing=0.13, horizontal_spacing=0.05,
                               specs=[[{}] * 4, [{"colspan": 2}, None, {"colspan": 2}, None]],
                               subplot_titles=["", "", "", "", "mean angular error (degrees)",
                                               "degrees less, by what was asked about"])
        images, gaze = self.eyes
        height, width = images.shape[-2:]
        for col, (image, truth) in enumerate(zip(images.numpy(), gaze.numpy(), strict=True), 1):
            figure.add_heatmap(uid=f"eye {col}", y=list(range(height)), z=image.tolist(), zmin=0, zmax=1.1, row=1,
                               col=col, colorscale=reversed_greys(), showscale=False, hoverinfo="skip")
            for uid, name, colour, at in (("truth", "true gaze", "hard labels", truth),
                                          ("student", "student, two sigma", "distilled", truth * np.nan)):
                x, y = point(at, height, width)
                figure.add_scatter(uid=f"{uid} {col}", x=[(width - 1) / 2, x], y=[(height - 1) / 2, y], mode="lines",
                                   name=name, legendgroup=uid, showlegend=col == 1, row=1, col=col, hoverinfo="skip",
                                   line={"color": COLOURS[colour], "width": 3})
            figure.add_scatter(uid=f"ellipse {col}", x=[], y=[], mode="lines", showlegend=False, row=1, col=col,
                               line={"color": COLOURS["distilled"], "width": 2}, hoverinfo="skip")
            figure.update_xaxes(visible=False, range=[-0.5, width - 0.5], row=1, col=col)
            figure.update_yaxes(visible=False, range=[height - 0.5, -0.5], row=1, col=col)
        add_band(figure, "same", "other", "the same eyes alone", col=1, row=2)
        add_band(figure, "pool", "distilled", "with the pool", col=1, row=2)
        teacher = scores(*self._teachers_answers(), self.test[1])["degrees"].mean().item()
        figure.add_scatter(uid="teacher", x=[0, self.recipe.steps], y=[teacher] * 2, mode="lines", name="teacher",
                           line={"color": COLOURS["teacher"], "dash": DASHES["teacher"]}, row=2, col=1)
        for uid, kind, symbol, size in (("others", "other", "circle-open", 8), ("answers", "distilled", "circle", 9),
                                        ("latest", "highlight", "circle-open", 16)):
            figure.add_scatter(uid=f"{uid} interval", mode="lines", line={"color": COLOURS[kind], "width": 2}, x=[],
                               y=[], showlegend=False, hoverinfo="skip", row=2, col=3)
            figure.add_scatter(uid=uid, mode="markers", x=[], y=[], showlegend=False, row=2, col=3,
                               marker={"color": COLOURS[kind], "symbol": symbol, "size": size})
        figure.update_layout(base_layout(height=440, margin={"t": 40, "l": 45, "b": 55}, legend={"y": 1.03}))
        title_fonts(figure)
        figure.update_xaxes(title_text="training steps", range=[0, self.recipe.steps], row=2, col=1)
        figure.update_yaxes(range=[2, 16], row=2, col=1)
        figure.update_xaxes(tickvals=list(range(len(POOLS))), ticktext=list(POOLS), range=[-0.5, len(POOLS) - 0.5],
                            row=2, col=3)
        figure.update_yaxes(range=[-3, 3], row=2, col=3)
        figure.add_hline(y=0, line={"color": COLOURS["other"], "dash": "dot", "width": 1.5}, row=2, col=3)
        return figure

    def draw(self, changed: frozenset[str]) -> None:
        now = (self.values["queries"], self.values["match"])
        alike = [one for one in self.answers if (one.queries, one.match) == now]
        show_answers(self.chart, self.answers, alike, "position")
        if self.said is not None:
            self._point()

    def _point(self) -> None:
        """The pointers and ellipses of the first seed's student."""
        height, width = self.eyes[0].shape[-2:]
        for col, (mean, sigma) in enumerate(zip(*self.said, strict=True), 1):
            x, y = point(mean, height, width)
            self.chart.set(f"student {col}", x=[(width - 1) / 2, x], y=[(height - 1) / 2, y])
            outline = ellipse(mean, sigma, height, width) if self.running["match"] == "distributions" else ([], [])
            self.chart.set(f"ellipse {col}", x=outline[0], y=outline[1])

    def settings(self) -> dict:
        params = self.world.params
        return {"labels": params.gaze_labels, "own": params.gaze_sizes[0], "seed": params.seed}

    @property
    def n_seeds(self) -> int:
        return len(self.world.seeds)

    # ---- the run ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        super().begin()
        self.scores = self.said = None
        for arm in ("same", "pool"):
            clear_band(self.chart, arm)

    def start(self) -> Iterator[Snapshot]:
        self.running = dict(self.asked)
        blocks = {"own": self.own, "pool": self._block_of(self.running["pool"], self.running["queries"])}
        arms = [Arm("same"), Arm("pool", "pool")]
        population, work, knobs = untrained(blocks, arms, self.world.seeds, self.world.scale.student,
                                            self.world.params.share)
        return train(population, work, MATCH[self.running["match"]], knobs, self.recipe,
                     every=20 if self.answering else 10)

    def observe(self, snapshot: Snapshot) -> None:
        mean, log_variance = self._answers(snapshot.population)
        truth = self.test[1].repeat(2, 1, 1)
        self.scores = scores(mean, log_variance, truth)["degrees"].view(2, -1).numpy()
        self.said = tuple(values[len(self.world.seeds), self.shown].numpy()
                          for values in (mean, (0.5 * log_variance).exp()))
        for arm, values in zip(("same", "pool"), self.scores, strict=True):
            grow_band(self.chart, arm, snapshot.step, values)
        self._point()

    def finish(self) -> None:
        answer = Answer(POOLS.index(self.running["pool"]), self.running["queries"], self.running["match"], self._gain())
        # A former answer to the same values says the same.
        self.answers[:] = [old for old in self.answers if replace(old, gain=answer.gain) != answer] + [answer]
        self.draw(frozenset())

    def why_anew(self, changed: frozenset[str]) -> str:
        return "Other questions: other students."

    def _gain(self) -> Effect:
        return interval(self.scores[0] - self.scores[1])

    def _block_of(self, pool: str, queries: int) -> Block:
        if (pool, queries) not in self.blocks:
            inputs = (self.world.eyes("fresh", queries).inputs if pool == "fresh"
                      else self.world.sampled(pool, self.own.inputs, queries))
            self.blocks[pool, queries] = self.world.block(inputs)
        return self.blocks[pool, queries]

    def _answers(self, population: Population) -> tuple:
        repeats = len(population) // len(self.world.seeds)
        return gaussian(population.predict(self.test[0].repeat(repeats, 1, 1, 1, 1)))

    def _teachers_answers(self) -> tuple:
        answers = self.world.teachers.gaussians(self.test[0])
        return answers["mean"], answers["log_variance"]

    # ---- the words -------------------------------------------------------------------------------------------------

    def reading(self) -> str:
        now = self.values if self.scores is None else self.running
        setting = f"{now['queries']:,} answers about {now['pool']} eyes, {now['match']} matched"
        if self.scores is None:
            return (f"{setting}: press Train, or let go of a control, and {2 * len(self.world.seeds)} students learn.")
        same, pool = self.scores.mean(1)
        return (f"{setting}: {pool:.1f} degrees, {same:.1f} with the same eyes alone; "
                f"the pool takes {self._gain()} degrees off.")
