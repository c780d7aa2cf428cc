"""Panel: one answer whose ten logits are free, and where tolerance, smoothing or a penalty lead it. No training."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from kdutils.lessons.examples import Example, usual_examples
from kdutils.live.control import Choice, Slider
from kdutils.live.panel import Panel
from kdutils.objectives import optimum, penalty_optimum, smoothing_optimum, threshold
from kdutils.plots import rounded
from kdutils.plots.style import COLOURS, base_layout, title_fonts

CLASSES = np.arange(10)
STEPS = 2000                # of gradient descent: about 25 ms, and within half a point of nearly every optimum
# The rate starts and ends near zero: gentle steps keep the ranks of the start in order, and where two ranks are tied a
# constant rate would jump for ever.
RATES = np.sin(np.pi * np.arange(1, STEPS + 1) / (STEPS + 1))
SEEN = np.unique(np.geomspace(1, STEPS, 60).astype(int))
STRENGTHS = np.linspace(0, 1.5, 61)
SHARES = {"label": ("hard labels", "solid", "the label"), "secondary": ("tolerant", "dash", "ranks 2 to K"),
          "rest": ("other", "dot", "the rest")}


class Share(NamedTuple):
    """How one answer spends its probability: on the label, on ranks 2 .. K, on the rest; 1 in all."""

    label: float
    secondary: float
    rest: float


class Rule(NamedTuple):
    """A loss of one answer. symbol: its strength's letter. name: in a sentence. most: the largest strength that it has.
    rate: the largest step of descent; tolerance takes smaller ones, a leap would change the order of the ranks.

    gradient(p, strength, ranks): the derivative, by the logits (10,), of what is added to the cross-entropy.
    best(strength, ranks): the Share at which the whole loss is smallest, in closed form.
    """

    symbol: str
    name: str
    most: float
    rate: float
    gradient: Callable[[np.ndarray, float, int], np.ndarray]
    best: Callable[[float, int], Share]


def _tolerance(p: np.ndarray, eta: float, ranks: int) -> np.ndarray:
    ranked = (-p).argsort()
    weights = np.zeros(10)
    weights[ranked[0]] = 1.0
    weights[ranked[1:ranks]] = -1 / (ranks - 1)
    return eta * p * (weights - p @ weights)


def _penalty(p: np.ndarray, beta: float, ranks: int) -> np.ndarray:
    log_p = np.log(p)
    return beta * p * (log_p - p @ log_p)


def _tolerant_best(eta: float, ranks: int) -> Share:
    p = optimum(eta, ranks)
    return Share(p, 1 - p, 0.0)


def _even(p: float, ranks: int) -> Share:
    """The other nine classes alike."""
    return Share(p, (1 - p) * (ranks - 1) / 9, (1 - p) * (10 - ranks) / 9)


RULES: Mapping[str, Rule] = {
    "tolerant": Rule("eta", "Tolerance", 1.5, 2.0, _tolerance, _tolerant_best),
    # Smoothing moves the target from the label to all classes: its gradient is that of the changed target.
    "smoothing": Rule("epsilon", "Label smoothing", 1.0, 4.0, lambda p, epsilon, ranks: -epsilon * 0.1,
                      lambda epsilon, ranks: _even(smoothing_optimum(epsilon, 10), ranks)),
    "penalty": Rule("beta", "A confidence penalty", 1.5, 4.0, _penalty,
                    lambda beta, ranks: _even(penalty_optimum(beta, 10), ranks)),
}


class OneAnswerPanel(Panel):
    """Gradient descent on the logits of one digit's answer, to the optimum that the closed form names.

    It starts from what a real teacher said of the digit, divided by 4: an answer of a network that is not sure yet.
    """

    title = "Tolerance of one answer"
    controls = (
        Choice("rule", "What is added to the cross-entropy", options=tuple(RULES),
               help="tolerant: eta times the top score difference. smoothing: epsilon of the label spread over all "
                    "classes. penalty: beta times the entropy, subtracted."),
        Slider("strength", "Strength (eta, epsilon or beta)", low=0.0, high=1.5, step=0.025, default=0.9,
               help="One slider for all three. Epsilon is a share and stays at 1 beyond 1."),
        Slider("ranks", "Ranks K", low=2, high=10, default=5,
               help="Tolerance looks at the K largest probabilities. The rivals know no K: there it only sorts."),
    )
    static_presets = ("Below the threshold", "Smoothing")
    presets = {"Strict": {"rule": "tolerant", "strength": 0.0},
               "Below the threshold": {"rule": "tolerant", "strength": 0.7, "ranks": 5},
               "Tolerant": {"rule": "tolerant", "strength": 0.9, "ranks": 5},
               "Smoothing": {"rule": "smoothing", "strength": 0.125, "ranks": 5},
               "Penalty": {"rule": "penalty", "strength": 0.25, "ranks": 5}}

    def __init__(self, digit: int = 3, examples: Sequence[Example] | None = None, **values):
        shown = {example.label: example for example in examples or usual_examples()}
        self.example = shown[Choice("digit", "Digit", options=tuple(shown)).accept(digit)]
        super().__init__(**values)

    # ---- what the figure is made of --------------------------------------------------------------------------------

    @property
    def rule(self) -> Rule:
        return RULES[self.values["rule"]]

    @property
    def strength(self) -> float:
        """The strength that acts: epsilon ends at 1."""
        return min(self.values["strength"], self.rule.most)

    def descent(self) -> np.ndarray:
        """Probabilities after the steps SEEN of gradient descent: (len(SEEN), 10)."""
        rule, strength, ranks = self.rule, self.strength, self.values["ranks"]
        wanted = np.eye(10)[self.example.label] * (1 - strength if rule.symbol == "epsilon" else 1)
        z = self.example.logits.double().numpy() / 4
        seen, due = np.empty((len(SEEN), 10)), set(SEEN.tolist())
        p, row = _softmax(z), 0
        for step, rate in enumerate(rule.rate * RATES, 1):
            z = z - rate * (p - wanted + rule.gradient(p, strength, ranks))
            p = _softmax(z)
            if step in due:
                seen[row], row = p, row + 1
        return seen

    def share(self, p: np.ndarray) -> np.ndarray:
        """Probabilities (..., 10) as shares of label, ranks 2 .. K and the rest, (..., 3)."""
        ranked = -np.sort(-p, axis=-1)
        top = ranked[..., :self.values["ranks"]].sum(-1)
        label = p[..., self.example.label]
        return np.stack([label, top - label, 1 - top], -1)

    # ---- the figure ------------------------------------------------------------------------------------------------

    def build_figure(self) -> go.Figure:
        figure = make_subplots(
            rows=1, cols=3, column_widths=[0.38, 0.29, 0.33], horizontal_spacing=0.075,
            subplot_titles=[f"the answer about a {self.example.label}", "on the way there", "the optimum by strength"])
        figure.add_bar(uid="answer", x=CLASSES, y=np.zeros(10), width=0.8, offset=-0.4, showlegend=False, row=1, col=1,
                       hovertemplate="class %{x}: %{y:.4f}<extra></extra>")
        figure.add_scatter(uid="optimum", x=[], y=[], mode="lines", name="closed form (ranks alike)", row=1, col=1,
                           line={"color": COLOURS["distilled"], "width": 3})
        for share, (colour, dash, name) in SHARES.items():
            line = {"color": COLOURS[colour], "dash": dash, "width": 2.5}
            figure.add_scatter(uid=f"{share} descends", x=SEEN, y=np.zeros(len(SEEN)), mode="lines", line=line,
                               name=name, row=1, col=2)
            figure.add_scatter(uid=f"{share} by strength", x=STRENGTHS, y=np.zeros(len(STRENGTHS)), mode="lines",
                               line=line, showlegend=False, row=1, col=3)
            figure.add_scatter(uid=f"{share} now", x=[0.0], y=[0.0], mode="markers", showlegend=False, row=1, col=3,
                               marker={"color": COLOURS[colour], "size": 10})
        figure.add_scatter(uid="now", x=[0.0, 0.0], y=[0.0, 1.03], mode="lines", showlegend=False, hoverinfo="skip",
                           line={"color": COLOURS["distilled"], "width": 1.5}, row=1, col=3)
        figure.update_layout(base_layout(height=370, margin={"t": 75, "l": 45}, legend={"y": 1.1}))
        title_fonts(figure)
        figure.update_yaxes(range=[0, 1.03], tickformat=".0%")
        figure.update_xaxes(title_text="class", tickvals=list(range(10)), range=[-0.6, 9.6], col=1)
        figure.update_xaxes(title_text="steps of descent", type="log", range=[0, np.log10(STEPS)],
                            tickvals=[1, 10, 100, 1000], ticktext=["1", "10", "100", "1,000"], col=2)
        figure.update_xaxes(range=[-0.03, 1.53], dtick=0.5, col=3)
        return figure

    def draw(self, changed: frozenset[str]) -> None:
        ranks, ways = self.values["ranks"], self.descent()
        end = ways[-1]
        order = np.argsort(-end)
        best = self.rule.best(self.strength, ranks)
        each = np.full(10, best.rest / max(1, 10 - ranks))
        each[order[1:ranks]] = best.secondary / (ranks - 1)
        each[self.example.label] = best.label
        self.chart.set("answer", y=end)
        colours = np.full(10, COLOURS["other"], dtype=object)
        colours[order[1:ranks]] = COLOURS["tolerant"]
        colours[self.example.label] = COLOURS["hard labels"]
        self.chart.restyle("answer", {"marker": {"color": colours}})
        self.chart.set("optimum", x=np.ravel([[k - 0.4, k + 0.4, np.nan] for k in CLASSES]),
                       y=np.repeat(each, 3))
        curves = _optima(self.values["rule"], ranks)
        for column, share in enumerate(SHARES):
            self.chart.set(f"{share} descends", y=self.share(ways)[:, column])
            self.chart.set(f"{share} by strength", y=curves[:, column])
            self.chart.set(f"{share} now", x=[self.values["strength"]], y=[best[column]])
        self.chart.set("now", x=[self.values["strength"]] * 2)
        self.chart.layout({"xaxis3": {"title": {"text": f"{self.rule.symbol}, the strength"}}})

    # ---- the words -------------------------------------------------------------------------------------------------

    def formula(self) -> str:
        """The loss of the answer that the descent ends with."""
        p, strength, ranks = self.chart.points("answer")["y"], self.strength, self.values["ranks"]
        log_p = np.log(p)
        right, w = -log_p[self.example.label], f"⟦{strength:g}⟧"
        match self.values["rule"]:
            case "tolerant":
                ranked = -np.sort(-p)
                gap = ranked[0] - ranked[1:ranks].mean()
                return (f"loss = −log p(label) + η · (rank 1 − mean of ranks 2 to ⟦{ranks}⟧) = {right:.3f} + {w} · "
                        f"({ranked[0]:.3f} − {ranked[1:ranks].mean():.3f}) = {right + strength * gap:.3f}")
            case "smoothing":
                return (f"loss = −(1 − ε) log p(label) − ε · mean of log p = (1 − {w}) · {right:.3f} + {w} · "
                        f"{-log_p.mean():.3f} = {(1 - strength) * right - strength * log_p.mean():.3f}")
            case _:
                entropy = -(p @ log_p)
                return (f"loss = −log p(label) − β · entropy = {right:.3f} − {w} · {entropy:.3f} = "
                        f"{right - strength * entropy:.3f}")

    def reading(self) -> str:
        rule, ranks, label = self.rule, self.values["ranks"], self.example.label
        p = self.chart.points("answer")["y"]
        mine, secondary, rest = self.share(p)
        best = rule.best(self.strength, ranks)
        last = "" if ranks == 10 else f", {rounded(rest)} on the rest"
        return (f"{rule.name} with {rule.symbol} = {self.strength:g}: {STEPS:,} steps of descent leave "
                f"{rounded(mine)} on the label {label} (the optimum: {rounded(best.label)}), {rounded(secondary)} "
                f"on {_ranks(ranks)}{last}. {self._why(p)}")

    def _why(self, p: np.ndarray) -> str:
        ranks, edge = self.values["ranks"], threshold(self.values["ranks"])
        if not self.strength:
            return "Nothing is added: only the end of the training keeps the answer from being one-hot."
        if self.values["rule"] != "tolerant":
            return "The optimum treats the nine other classes alike: nothing is left of who resembles whom."
        if self.strength <= edge:
            return (f"Up to (K - 1)/K = {edge:.3g} the best answer is one-hot: tolerance only slows the way there.")
        first, last = np.argsort(-p)[[1, ranks - 1]]
        if first == last:
            return f"Above (K - 1)/K = {edge:.3g} the best answer keeps a second class, here the {first}."
        return (f"Above (K - 1)/K = {edge:.3g} {_ranks(ranks)} keep a share; only its sum is fixed, so the order of "
                f"the start stays: most for the {first} ({rounded(p[first])}), least for the {last} "
                f"({rounded(p[last])}).")


@cache
def _optima(rule: str, ranks: int) -> np.ndarray:
    """The optimum's shares along STRENGTHS: (len(STRENGTHS), 3)."""
    return np.array([RULES[rule].best(min(strength, RULES[rule].most), ranks) for strength in STRENGTHS])


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max())
    return e / e.sum()


def _ranks(ranks: int) -> str:
    return "rank 2" if ranks == 2 else f"ranks 2 to {ranks}"
