"""Panel: one digit's logits, and the probabilities that a temperature makes of them. No training."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from kdutils import metrics
from kdutils.lessons.examples import Example, usual_examples
from kdutils.live.control import Choice, LogSlider
from kdutils.live.panel import Panel
from kdutils.plots import percent
from kdutils.plots.style import COLOURS, GREYS, base_layout, title_fonts

CLASSES = list(range(10))
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class SoftmaxPanel(Panel):
    """softmax(z / T) for one of ten test digits: image, logits z, probabilities."""

    title = "Softmax at temperature T"
    controls = (
        LogSlider("temperature", "Temperature T", low=0.25, high=32.0, default=1.0,
                  help="The logits are divided by T before the softmax."),
        Choice("digit", "Digit", options=tuple(CLASSES), default=3,
               help="Ten test digits, one per class, about which the teacher has most to say."),
        Choice("axis", "Probability axis", options=("linear", "logarithmic"),
               help="A logarithmic axis shows what a T of 1 hides."),
    )
    presets = {"T = 1: as trained": {"temperature": 1.0}, "T = 4: soft": {"temperature": 4.0},
               "T = 20: almost uniform": {"temperature": 20.0}, "T = 0.25: almost hard": {"temperature": 0.25}}

    def __init__(self, examples: Sequence[Example] | None = None, **values):
        self.examples = {example.label: example for example in examples or usual_examples()}
        super().__init__(**values)

    @property
    def example(self) -> Example:
        return self.examples[self.values["digit"]]

    def build_figure(self) -> go.Figure:
        figure = make_subplots(rows=1, cols=3, column_widths=[0.22, 0.39, 0.39], horizontal_spacing=0.09,
                               subplot_titles=["the image", "the teacher's logits z", "softmax(z / T)"])
        pixels = {"x": np.tile(np.arange(8), 8), "y": np.repeat(np.arange(8), 8), "z": np.zeros(64)}
        figure.add_heatmap(uid="image", colorscale=GREYS, zmin=0, zmax=16, showscale=False, hoverinfo="skip",
                           row=1, col=1, **pixels)
        for column, uid in ((2, "logits"), (3, "probabilities")):
            figure.add_bar(uid=uid, x=CLASSES, y=[0.0] * 10, width=0.8, offset=-0.4, row=1, col=column,
                           hovertemplate="class %{x}: %{y:.4f}<extra></extra>")
        figure.update_layout(base_layout(height=330, showlegend=False, margin={"t": 40}))
        title_fonts(figure)
        figure.update_xaxes(tickvals=CLASSES, title_text="class", col=2)
        figure.update_xaxes(tickvals=CLASSES, title_text="class", col=3)
        figure.update_xaxes(visible=False, constrain="domain", col=1)
        figure.update_yaxes(visible=False, autorange="reversed", scaleanchor="x", col=1)
        logits = np.concatenate([example.logits.numpy() for example in self.examples.values()])
        figure.update_yaxes(range=[logits.min() * 1.05, logits.max() * 1.05], col=2)
        self.titles = [title.to_plotly_json() for title in figure.layout.annotations]
        return figure

    def draw(self, changed: frozenset[str]) -> None:
        example = self.example
        if "digit" in changed:
            self.chart.set("image", z=example.image.ravel())
            self.chart.set("logits", y=example.logits.numpy())
            colours = [COLOURS["hard labels" if k == example.label else "teacher"] for k in CLASSES]
            for uid in ("logits", "probabilities"):
                self.chart.restyle(uid, {"marker": {"color": colours}})
        if "axis" in changed:
            linear = self.values["axis"] == "linear"
            self.chart.layout({"yaxis3": {"type": "linear" if linear else "log",
                                          "range": [0, 1] if linear else [-12.5, 0.05],  # all of T = 1
                                          "exponentformat": "power", "dtick": 0.2 if linear else 3}})
        *others, equation = self.titles
        equation = equation | {"text": f"softmax(z / {self.values['temperature']:.3g})"}
        self.chart.layout({"annotations": [*others, equation]})
        self.chart.set("probabilities", y=example.probabilities(self.values["temperature"]).numpy())

    def formula(self) -> str:
        temperature, example = self.values["temperature"], self.example
        z = example.logits.double() / temperature
        name = str(example.label).translate(SUBSCRIPTS)
        return (f"p{name} = exp(z{name} / T) / Σₖ exp(zₖ / T) = exp({example.logits[example.label]:.1f} / "
                f"⟦{temperature:.3g}⟧) / {z.exp().sum():.4g} = {z.softmax(-1)[example.label]:.3g}")

    def reading(self) -> str:
        temperature, example = self.values["temperature"], self.example
        p = example.probabilities(temperature)
        bits = float(metrics.entropy(example.logits[None], temperature)[0])
        # Told once T has moved: a page asks first what T can change.
        moved = temperature != self.opened_with["temperature"]
        order = " The largest logit stays the largest at every T." if moved else ""
        return (f"At T = {temperature:.3g} this {example.label} gets probability {percent(p[example.label])}, the "
                f"runner-up {example.second} gets {percent(p[example.second])}; the entropy is {bits:.2f} of at most "
                f"3.32 bits.{order}")
