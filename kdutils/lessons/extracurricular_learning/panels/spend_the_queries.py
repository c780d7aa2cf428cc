"""Panel: a map of three classes and sixty tokens to spend on it, by hand or by a rule. No training."""

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from kdutils import rng
from kdutils.datasets.samplers import keep
from kdutils.errors import ParameterError, whole
from kdutils.live.control import Choice, Slider
from kdutils.live.panel import Panel
from kdutils.plots.style import COLOURS, HIDDEN_COLOURS, HIDDEN_MARKERS, base_layout, title_fonts, translucent

BUDGET, OWN, SIDE = 60, 9, 41
CORNERS = torch.tensor([[-1.0, -0.6], [1.0, -0.8], [0.1, 1.0]])        # where each class has its inputs
RULES = ("by hand", "like the data", "anywhere", "where it is sure", "where it is unsure", "between two classes")
AREAS = {f"{row} {column}".strip(): (x, y) for row, y in (("top", 1.0), ("middle", 0.0), ("bottom", -1.0))
         for column, x in (("left", -1.0), ("centre", 0.0), ("right", 1.0))}
WIDTH, PENALTY = 0.55, 3e-2


class SpendTheQueries(Panel):
    """The teacher knows the map; the student has nine inputs of its own and sixty tokens.

    The student is ridge regression on bumps, of the teacher's logits, in closed form. The meter counts on inputs of the
    data's density how many of the student's classes are the teacher's: 0% is what it knew before, 100% the teacher.
    """

    title = "Spend the queries"
    controls = (
        Choice("rule", "Who chooses", options=RULES, default="like the data",
               help="by hand: tokens go to the area that you aim at, one for each step of the slider."),
        Slider("tokens", "Tokens spent", low=0, high=BUDGET, default=0, help="Down again takes the last ones back."),
        Choice("aim", "Aim, by hand", options=tuple(AREAS), default="middle centre",
               help="Only for tokens that are placed by hand; others have their rule."),
    )
    static_presets = ("Sure ones",)
    presets = {"Like the data": {"rule": "like the data", "tokens": BUDGET},
               "Sure ones": {"rule": "where it is sure", "tokens": BUDGET},
               "Unsure ones": {"rule": "where it is unsure", "tokens": BUDGET},
               "By hand": {"rule": "by hand", "tokens": 0}}

    def __init__(self, seed: int = 0, **values):
        self.own, self.test = _data(seed, OWN, 0.25), _data(seed + 1, 600)
        self.placed: list[tuple[float, float]] = []     # by hand, in their order
        self._seed = seed
        self.truth = self.teacher(self.test).argmax(1)
        self.before = self.agreement(torch.zeros(0, 2))
        self.now = self.before
        super().__init__(**values)

    # ---- the two maps ----------------------------------------------------------------------------------------------

    def teacher(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, 3): the curved borders that the classes have in truth."""
        near = -1.5 * torch.cdist(x, CORNERS).square()
        across, up = x.unbind(1)
        return near + 4 * torch.stack([torch.sin(3 * up), torch.sin(2.8 * across), -torch.cos(2.5 * across + up)], 1)

    def tokens(self) -> torch.Tensor:
        """(tokens, 2): where they lie."""
        n, rule = self.values["tokens"], self.values["rule"]
        if not n:
            return torch.zeros(0, 2)
        if rule == "by hand":
            return torch.tensor(self.placed[:n], dtype=torch.float32)
        if rule == "anywhere":
            return 4 * torch.rand(BUDGET, 2, generator=rng.generator(self._seed, "anywhere"))[:n] - 2
        data = _data(self._seed + 2, 4 * BUDGET)
        if rule == "between two classes":
            pick = torch.randint(OWN, (BUDGET, 2), generator=rng.generator(self._seed, "pairs"))[:n]
            return self.own[pick].mean(1)
        unsure = _entropy(self.teacher(data))
        name = {"like the data": "all", "where it is sure": "sure", "where it is unsure": "most unsure"}[rule]
        return data[keep(unsure, BUDGET, name, self._seed)][-n:]

    def student(self, x: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Logits (n, 3) of a student that asked about its own inputs and the tokens."""
        seen = torch.cat([self.own, tokens])
        wanted = self.teacher(seen)
        wanted = wanted - wanted.mean(1, keepdim=True)
        bumps = _bumps(seen)
        gram = bumps.T @ bumps + PENALTY * torch.eye(bumps.shape[1])
        return _bumps(x) @ torch.linalg.solve(gram, bumps.T @ wanted)

    def agreement(self, tokens: torch.Tensor) -> float:
        """On how many of the test inputs the student names the teacher's class, in percent."""
        same = self.student(self.test, tokens).argmax(1) == self.truth
        return 100 * same.float().mean().item()

    def gap_closed(self) -> float:
        """The meter, in percent; below 0 where the tokens made it worse."""
        return 100 * (self.now - self.before) / (100 - self.before)

    # ---- by hand ---------------------------------------------------------------------------------------------------

    def place(self, *points: tuple[float, float]) -> None:
        """Spend a token at each of these points (x, y), -2 .. 2: by hand with slider and aim, but exactly."""
        whole("tokens", self.values["tokens"] + len(points), 1, BUDGET, why="the budget")
        if any(abs(value) > 2 for point in points for value in point):
            raise ParameterError(f"a token lies within -2 and 2 in both directions, got {points!r}.")
        self.placed = self.placed[:self.values["tokens"] if self.values["rule"] == "by hand" else 0] + list(points)
        self.set(rule="by hand", tokens=len(self.placed))

    def _follow_the_hand(self) -> None:
        """Tokens that the slider added go to the area aimed at, each a little beside the one before."""
        n = self.values["tokens"]
        self.placed = self.placed[:n]
        x, y = AREAS[self.values["aim"]]
        while len(self.placed) < n:
            turn = 2.4 * len(self.placed)
            reach = 0.1 + 0.06 * (len(self.placed) % 8)
            self.placed.append((x + reach * np.cos(turn), y + reach * np.sin(turn)))

    # ---- the figure ------------------------------------------------------------------------------------------------

    def build_figure(self) -> go.Figure:
        figure = make_subplots(rows=1, cols=3, column_widths=[0.4, 0.4, 0.2], horizontal_spacing=0.06,
                               subplot_titles=["the teacher's map", "the student's map", "gap closed (%)"])
        for col, who in ((1, "teacher"), (2, "student")):
            for k in range(3):
                figure.add_scatter(uid=f"{who} class {k}", x=[0.0], y=[0.0], mode="markers", showlegend=False, row=1,
                                   col=col, hoverinfo="skip", marker={
                                       "color": translucent(HIDDEN_COLOURS[k], 0.45), "size": 7,
                                       "symbol": HIDDEN_MARKERS[k]})
            figure.add_scatter(uid=f"own of {who}", x=self.own[:, 0].numpy(), y=self.own[:, 1].numpy(), mode="markers",
                               name="the student's own inputs", showlegend=col == 1, row=1, col=col,
                               marker={"color": COLOURS["teacher"], "size": 10, "symbol": "square"})
            figure.add_scatter(uid=f"tokens of {who}", x=[0.0], y=[0.0], mode="markers", name="tokens",
                               showlegend=col == 1, row=1, col=col,
                               marker={"color": COLOURS["distilled"], "size": 8, "symbol": "x"})
            figure.update_xaxes(visible=False, range=[-2.05, 2.05], col=col)
            figure.update_yaxes(visible=False, range=[-2.05, 2.05], col=col)
        figure.add_bar(uid="meter", x=[0], y=[0.0], width=0.6, marker={"color": COLOURS["distilled"]}, showlegend=False,
                       row=1, col=3, hovertemplate="%{y:.0f}%<extra></extra>")
        figure.add_hline(y=100, line={"color": COLOURS["teacher"], "dash": "dash"}, col=3)
        figure.update_layout(base_layout(height=370, margin={"t": 70, "l": 20, "r": 20, "b": 25}, legend={"y": 1.12}))
        title_fonts(figure)
        figure.update_xaxes(visible=False, range=[-0.6, 0.6], col=3)
        figure.update_yaxes(range=[-25, 105], col=3)
        return figure

    def draw(self, changed: frozenset[str]) -> None:
        if self.values["rule"] == "by hand":
            self._follow_the_hand()
        tokens = self.tokens()
        self.now = self.agreement(tokens)
        grid = torch.cartesian_prod(torch.linspace(-2, 2, SIDE), torch.linspace(-2, 2, SIDE))
        for who, logits in (("teacher", self.teacher(grid)), ("student", self.student(grid, tokens))):
            label = logits.argmax(1)
            for k in range(3):
                self.chart.set(f"{who} class {k}", x=grid[label == k, 0].numpy(), y=grid[label == k, 1].numpy())
            self.chart.set(f"tokens of {who}", x=tokens[:, 0].numpy(), y=tokens[:, 1].numpy())
        self.chart.set("meter", y=[self.gap_closed()])

    def reading(self) -> str:
        n, before, now = self.values["tokens"], self.before, self.now
        if not n:
            return (f"With its nine own inputs the student names the teacher's class on {before:.0f}% of the data. "
                    "Spend tokens and watch the meter.")
        rule = "placed by hand" if self.values["rule"] == "by hand" else f"spent {self.values['rule']}"
        return (f"{n} tokens {rule}: the student agrees with its teacher on {now:.0f}% of the data, {before:.0f}% "
                f"before; {self.gap_closed():.0f}% of the gap is closed.")


def _data(seed: int, n: int, spread: float = 0.6) -> torch.Tensor:
    """n inputs of the data's density: a third around each corner; the student's own lie nearer to it."""
    random = rng.generator(seed, "map")
    return CORNERS.repeat(-(-n // 3), 1)[:n] + spread * torch.randn(n, 2, generator=random)


def _bumps(x: torch.Tensor) -> torch.Tensor:
    """(n, 2) -> (n, 82): bumps on a lattice, and one that is always there."""
    centres = torch.cartesian_prod(torch.linspace(-2, 2, 9), torch.linspace(-2, 2, 9))
    return torch.cat([torch.exp(-0.5 * (torch.cdist(x, centres) / WIDTH).square()), torch.ones(len(x), 1)], 1)


def _entropy(logits: torch.Tensor) -> torch.Tensor:
    log_p = logits.log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1)
