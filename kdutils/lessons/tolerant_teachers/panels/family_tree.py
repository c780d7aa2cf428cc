"""Panel: lineages of five kinds of ancestors grow generation by generation; any member can be asked about a digit."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots
from torch import Tensor

from kdutils import metrics
from kdutils.cohorts import Splits
from kdutils.datasets import label_noise, take
from kdutils.errors import between, whole
from kdutils.lessons.examples import Example, usual_examples
from kdutils.lessons.tolerant_teachers.experiment import lineages
from kdutils.lessons.tolerant_teachers.parameters import kinds
from kdutils.live.boxes import row_of
from kdutils.live.control import Choice, Slider
from kdutils.live.training_panel import TrainingPanel
from kdutils.objectives import softmax
from kdutils.plots import rounded
from kdutils.plots.style import COLOURS, DASHES, GREYS, MARKERS, base_layout, title_fonts
from kdutils.results import Effect, interval
from kdutils.training import Recipe

CLASSES = np.arange(10)
RANKS = 5
KINDS = {kind.name: kind for kind in kinds(RANKS)}
LAST_GENERATION = 5        # generations after the first teacher


@dataclass(frozen=True)
class Generation:
    """One generation of every kind. logits: (kinds, S, Q, C) of the seeds' test images; of_digits: (kinds, 10, C), what
    the first seed's networks say of the ten digits that the panel shows."""

    step: int
    steps: int
    accuracy: np.ndarray        # (kinds, S) percent
    secondary: np.ndarray       # (kinds, S) percent of the mass on ranks 2 .. 5
    of_digits: Tensor


class FamilyTree(TrainingPanel):
    """Strict, tolerant, very tolerant, smoothed and penalised ancestors, and what becomes of their lineages.

    Each generation learns from labels, weighed by lambda, and from the generation before it at T = 1, from a fresh
    start and with the same budget; only generation 0 differs in its loss. One seed is one lineage of every kind, on the
    same images. Train grows the tree; the controls choose a member of it, while it grows and afterwards. `uncover`
    shows one kind of ancestor after the other.

    seeds: lineages per kind. transfer: images that all of them learn from. noise: share of wrong labels among these.
    label_weight: lambda; 1 - lambda weighs the generation before.
    """

    title = "Family tree"
    openings = {"": {}}
    pace = 1.0          # generations per second
    unit = "generation"
    first_step = 1      # the ancestors are a step of their own
    draws_at_once = True    # also while a generation learns for a second or more: to choose a member touches nothing
    controls = (
        Choice("kind", "Ancestor", options=tuple(KINDS), default="tolerant",
               help="How the first teacher of the lineage was trained. Its children know nothing of it."),
        Slider("generation", "Generation", low=0, high=LAST_GENERATION, default=0,
               help="0 is the ancestor; each later one learnt from the one before it."),
        Choice("digit", "Digit", options=tuple(range(10)), default=3,
               help="A test digit of this class, which no member of the first seed's lineages was trained on."),
    )
    static_presets = ("Strict ancestor", "Smoothed ancestor")
    presets = {"Strict ancestor": {"kind": "strict", "generation": 0},
               "Smoothed ancestor": {"kind": "smoothed", "generation": 0},
               "Tolerant, generation 5": {"kind": "tolerant", "generation": LAST_GENERATION}}

    def __init__(self, seeds: int = 12, generations: int = LAST_GENERATION, steps: int = 300, transfer: int = 200,
                 noise: float = 0.0, label_weight: float = 0.5, examples: Sequence[Example] | None = None, **values):
        self.lab = Splits.open("digits", seeds)
        self.examples = {example.label: example for example in examples or usual_examples()}
        self.train_on = self.lab.transfer(transfer)
        self.generations = whole("generations", generations, 1, LAST_GENERATION)
        self.recipe = Recipe(steps=steps)
        self.noise = between("label noise", noise, 0, 1)
        self.label_weight = between("lambda", label_weight, 0, 1)
        self.labels = torch.stack([label_noise(self.lab.data.labels, noise, 10, seed) for seed in self.lab.seeds])
        self.tree: list[Generation] = []
        self.covered: tuple[str, ...] = ()      # kinds whose curves are not uncovered yet
        super().__init__(**values)

    @property
    def example(self) -> Example:
        return self.examples[self.values["digit"]]

    @property
    def chosen(self) -> int:
        """The generation that is shown: the one asked for, or the last one there is."""
        return min(self.values["generation"], len(self.tree) - 1)

    # ---- the figure ------------------------------------------------------------------------------------------------

    def build_figure(self) -> go.Figure:
        figure = make_subplots(
            rows=1, cols=4, column_widths=[0.36, 0.24, 0.13, 0.27], horizontal_spacing=0.055,
            subplot_titles=["test accuracy (%)", "mass on ranks 2 to 5 (%)", "the digit", "what this member says"])
        for name in KINDS:
            colour, symbol = COLOURS[name], MARKERS[name]
            line = {"color": colour, "dash": DASHES[name], "width": 2}
            figure.add_scatter(uid=f"{name} interval", x=[], y=[], mode="lines", line={"color": colour, "width": 1.5},
                               showlegend=False, legendgroup=name, hoverinfo="skip", row=1, col=1)
            figure.add_scatter(uid=name, x=[], y=[], mode="lines+markers", line=line, name=name, row=1, col=1,
                               legendgroup=name, marker={"color": colour, "symbol": symbol, "size": 8},
                               hovertemplate="%{y:.1f}%<extra>" + name + "</extra>")
            figure.add_scatter(uid=f"{name} secondary", x=[], y=[], mode="lines+markers", line=line, showlegend=False,
                               legendgroup=name, marker={"color": colour, "symbol": symbol, "size": 7}, row=1, col=2,
                               hovertemplate="%{y:.1f}%<extra>" + name + "</extra>")
        for column in (1, 2):
            figure.add_scatter(uid=f"chosen {column}", x=[], y=[], mode="markers", showlegend=False, hoverinfo="skip",
                               marker={"color": COLOURS["distilled"], "symbol": "circle-open", "size": 18,
                                       "line": {"width": 2.5}}, row=1, col=column)
        figure.add_heatmap(uid="image", colorscale=GREYS, zmin=0, zmax=16, showscale=False, hoverinfo="skip", row=1,
                           col=3, x=np.tile(np.arange(8), 8), y=np.repeat(np.arange(8), 8), z=np.zeros(64))
        figure.add_bar(uid="member", x=CLASSES, y=np.full(10, np.nan), width=0.8, offset=-0.4, showlegend=False, row=1,
                       col=4, hovertemplate="class %{x}: %{y:.4f}<extra></extra>")
        figure.add_scatter(uid="ancestor", x=[], y=[], mode="lines", name="its ancestor", row=1, col=4,
                           line={"color": COLOURS["other"], "width": 3})
        figure.update_layout(base_layout(height=380, margin={"t": 75, "l": 40}, legend={"y": 1.1}))
        title_fonts(figure)
        for column in (1, 2):
            figure.update_xaxes(title_text="generation", tickvals=list(range(self.generations + 1)),
                                range=[-0.4, self.generations + 0.4], col=column)
        figure.update_yaxes(range=[80, 96], col=1)
        figure.update_yaxes(range=[0, 40], col=2)
        figure.update_xaxes(visible=False, constrain="domain", col=3)
        figure.update_yaxes(visible=False, autorange="reversed", scaleanchor="x3", col=3)
        figure.update_xaxes(title_text="class", tickvals=CLASSES.tolist(), range=[-0.6, 9.6], col=4)
        figure.update_yaxes(type="log", range=[-3, 0.05], tickvals=[1e-3, 1e-2, 0.1, 1],
                            ticktext=["0.1%", "1%", "10%", "100%"], col=4)
        return figure

    def draw(self, changed: frozenset[str]) -> None:
        if "digit" in changed:
            self.chart.set("image", z=self.example.image.ravel())
        self._draw_member()

    def _draw_tree(self) -> None:
        """Dots side by side within a generation, so that their intervals can be told apart."""
        ends: dict[int, list[float]] = {1: [], 2: []}
        for place, name in enumerate(KINDS):
            x = [g.step + 0.09 * (place - 2) for g in self.tree]
            effects = [interval(g.accuracy[place]) for g in self.tree]
            edges = [[e.low, e.high, math.nan] for e in effects]
            self.chart.set(name, x=x, y=[e.mean for e in effects])
            self.chart.set(f"{name} interval", x=np.repeat(x, 3), y=np.ravel(edges))
            secondary = [g.secondary[place].mean() for g in self.tree]
            self.chart.set(f"{name} secondary", x=x, y=secondary)
            ends[1] += [end for e in effects for end in (e.mean, e.low, e.high) if not math.isnan(end)]
            ends[2] += secondary
        if self.tree:
            low, high = min(ends[1]), max(ends[1])
            self.chart.layout({"yaxis": {"range": [low - 0.5, high + 0.5]},
                               "yaxis2": {"range": [0, max(ends[2]) * 1.1]}})

    def _draw_member(self) -> None:
        if not self.tree:
            return
        place, member = list(KINDS).index(self.values["kind"]), self.tree[self.chosen]
        x = member.step + 0.09 * (place - 2)
        self.chart.set("chosen 1", x=[x], y=[member.accuracy[place].mean()])
        self.chart.set("chosen 2", x=[x], y=[member.secondary[place].mean()])
        mine, first = (self._says(generation) for generation in (member, self.tree[0]))
        colours = [COLOURS["hard labels" if k == self.example.label else "teacher"] for k in CLASSES]
        self.chart.set("member", y=mine)
        self.chart.restyle("member", {"marker": {"color": colours}})
        self.chart.set("ancestor", x=np.ravel([[k - 0.4, k + 0.4, np.nan] for k in CLASSES]), y=np.repeat(first, 3))

    def _says(self, generation: Generation) -> np.ndarray:
        """Probabilities (10,) that the chosen kind's network of this generation gives the chosen digit."""
        logits = generation.of_digits[list(KINDS).index(self.values["kind"]), self.values["digit"]]
        return softmax(logits).numpy()

    # ---- the run ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self.tree.clear()
        super().begin()
        self._cover()

    def start(self) -> Iterator[Generation]:
        grown = lineages(self.lab, self.train_on, tuple(KINDS.values()), self.generations, self.label_weight,
                         recipe=self.recipe, labels=self.labels if self.noise else None)
        return (self._measured(number, population) for number, population in enumerate(grown))

    def _measured(self, number: int, population) -> Generation:
        data, test = self.lab.data, self.lab.test.repeat(len(KINDS), 1)
        logits = population.predict(take(data.inputs, test))
        right = 100 * metrics.accuracy(logits, data.labels[test])
        secondary = 100 * metrics.mass_by_rank(logits)[:, 1:RANKS].sum(-1)
        shown = data.inputs[[self.examples[label].index for label in range(10)]]
        of_digits = population.predict(shown)[::len(self.lab.seeds)].cpu()
        return Generation(number, self.generations, right.view(len(KINDS), -1).cpu().numpy(),
                          secondary.view(len(KINDS), -1).cpu().numpy(), of_digits)

    def observe(self, snapshot: Generation) -> None:
        self.tree.append(snapshot)
        self._draw_tree()
        self._draw_member()

    def forget(self) -> None:
        self.tree.clear()
        self.covered = ()

    # ---- one kind after the other ----------------------------------------------------------------------------------

    def toolbar(self) -> list:
        uncover = self.button("Uncover next", self.uncover, "The curves of the first kind alone; then one kind more "
                              "with each press")
        return [*super().toolbar(), row_of("kd-buttons", [uncover])]

    def uncover(self) -> None:
        """Show the curves of the first kind alone; pressed again, one kind more; after the last it begins anew."""
        shown = len(KINDS) - len(self.covered)
        self.covered = tuple(KINDS)[shown % len(KINDS) + 1:]
        with self.lock:
            self._cover()
            self.show()
        left = f" Covered: {', '.join(self.covered)}." if self.covered else " All kinds are uncovered."
        self.say(f"Shown: {', '.join(name for name in KINDS if name not in self.covered)}.{left}", hold=2)

    def _cover(self) -> None:
        for name in KINDS:
            for uid in (name, f"{name} interval", f"{name} secondary"):
                self.chart.restyle(uid, {"visible": name not in self.covered})

    # ---- the words -------------------------------------------------------------------------------------------------

    def _accuracy(self, name: str, generation: int) -> np.ndarray:
        return self.tree[generation].accuracy[list(KINDS).index(name)]

    def reading(self) -> str:
        name, digit = self.values["kind"], self.values["digit"]
        images = f"{self.train_on.shape[1]:,} images" + (f", {self.noise:.0%} wrong labels" if self.noise else "")
        if not self.tree:
            return (f"Press Train: {len(KINDS)} kinds of ancestors, {len(self.lab.seeds)} of each, and "
                    f"{self.generations} generations after them learn from {images}.")
        number = self.chosen
        p = self._says(self.tree[number])
        second = int(np.argsort(-np.where(CLASSES == digit, -1, p))[0])
        who = "The ancestor" if not number else f"Generation {number}"
        wanted = self.values["generation"]
        missing = f" (generation {wanted} is not there yet)" if number < wanted else ""
        right = self._accuracy(name, number).mean()
        words = (f"{who} of the {name} lineage{missing}, taught with {images}, is {right:.1f}% right; the first seed's "
                 f"gives this {digit} {rounded(p[digit])} and the {second} {rounded(p[second])}.")
        last = len(self.tree) - 1
        if last:
            words += f" From generation 0 to {last} it changes by {self._climb(name, last)}"
            if name != "strict":
                gap = interval(self._accuracy(name, last) - self._accuracy("strict", last))
                words += f"; against the strict lineage it is then {gap}"
            words += "."
        return words

    def _climb(self, name: str, last: int) -> Effect:
        return interval(self._accuracy(name, last) - self._accuracy(name, 0))
