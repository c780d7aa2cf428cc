"""Panel: what a teacher of two classes says of one digit, in two probabilities and in ten. No training."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots
from torch import Tensor

from kdutils import metrics
from kdutils.cohorts import Splits
from kdutils.datasets import grouped
from kdutils.lessons.subclass_distillation.panels.matching import match
from kdutils.lessons.subclass_distillation.parameters import DEFAULT
from kdutils.lessons.subclass_distillation.teachers import hidden_blocks, label_teachers, subclass_teachers
from kdutils.live.control import Choice, LogSlider
from kdutils.live.panel import Panel
from kdutils.objectives import class_logits, softmax
from kdutils.plots import percent
from kdutils.plots.style import COLOURS, GREYS, HIDDEN_COLOURS, base_layout, title_fonts

DIGITS = tuple(range(10))
TEMPERATURES = np.geomspace(0.5, 32, 25)
MESSAGES = (("class", "two-class", "classes"), ("subclass", "subclass", "subclasses"))    # uid, colour, words


@dataclass(frozen=True, eq=False)
class Teacher:
    """One teacher. told: in a sentence. logits: (N, S) for every image. sizes: subclasses of each class.

    alike: the digit that each subclass is named after, (S,), -1 if it is largest for no test image. curves: what a
    class, and a subclass, drawn from its answers tells of the image, in bits, at TEMPERATURES.
    """

    told: str
    logits: Tensor
    sizes: tuple[int, ...]
    alike: tuple[int, ...]
    curves: tuple[np.ndarray, np.ndarray]

    @property
    def divides(self) -> bool:
        """It has more outputs than classes."""
        return len(self.alike) > len(self.sizes)


class WhatTheTeacherTells(Panel):
    """One test digit, and the answers of a teacher: class probabilities (two) and subclass probabilities, at T.

    Teachers, one of each, all told 0-4 or 5-9 but the last: "subclass", made to divide its classes by the auxiliary
    loss; "no auxiliary loss", the same ten outputs without it; "two-class", two outputs; "oracle", told the ten digits.
    A subclass is named after the digit that it matches best (Hungarian matching on the test images), which is a name
    for readers: no teacher but the oracle knows it. On the right, in bits and at every T: the entropy of this answer,
    which is large also where nothing is said, and the information that answers give of the image, over all test images.
    """

    title = "What does the teacher tell you?"
    controls = (
        Choice("digit", "Digit", options=DIGITS, default=3,
               help="Ten test digits, one of each kind, of which the subclass teacher has most to say."),
        LogSlider("temperature", "Temperature T", low=0.5, high=32.0, default=4.0,
                  help="The logits are divided by T before the softmax."),
        Choice("teacher", "Teacher", options=("subclass", "no auxiliary loss", "two-class", "oracle"),
               help="What it was trained to do with its ten outputs. The two-class teacher has only two."),
    )
    static_presets = ("Subclasses at T = 4", "Without the auxiliary loss")
    presets = {"Two classes at T = 1": {"teacher": "two-class", "temperature": 1.0},
               "Two classes at T = 4": {"teacher": "two-class", "temperature": 4.0},
               "Subclasses at T = 4": {"teacher": "subclass", "temperature": 4.0},
               "Without the auxiliary loss": {"teacher": "no auxiliary loss", "temperature": 4.0},
               "Oracle": {"teacher": "oracle", "temperature": 4.0}}

    def prepare(self) -> None:
        self.lab = Splits.of(grouped("digits-2x5"), seeds=1)
        self.teachers = _teachers(self.lab)
        self.images = _one_per_digit(self.lab, self.teachers["subclass"])

    # ---- what the figure is made of --------------------------------------------------------------------------------

    @property
    def teacher(self) -> Teacher:
        return self.teachers[self.values["teacher"]]

    def logits(self, teacher: Teacher, digit: int) -> tuple[Tensor, Tensor]:
        """Of the image of a digit: class logits (1, 2) and subclass logits (1, S)."""
        z = teacher.logits[self.images[digit]][None]
        return class_logits(z, teacher.sizes), z

    # ---- the figure ------------------------------------------------------------------------------------------------

    def build_figure(self) -> go.Figure:
        figure = make_subplots(rows=1, cols=4, column_widths=[0.19, 0.16, 0.38, 0.27], horizontal_spacing=0.06,
                               subplot_titles=["the image", "two classes", "subclasses, named after digits",
                                               "bits: told, entropy (dots)"])
        pixels = {"x": np.tile(np.arange(8), 8), "y": np.repeat(np.arange(8), 8), "z": np.zeros(64)}
        figure.add_heatmap(uid="image", colorscale=GREYS, zmin=0, zmax=16, showscale=False, hoverinfo="skip", row=1,
                           col=1, **pixels)
        figure.add_bar(uid="classes", x=[0, 1], y=[0.0, 0.0], width=0.7, offset=-0.35, row=1, col=2, showlegend=False,
                       hovertemplate="%{y:.4f}<extra></extra>")
        figure.add_bar(uid="subclasses", x=[0.0], y=[0.0], width=0.8, offset=-0.4, row=1, col=3, showlegend=False,
                       hovertemplate="%{hovertext}: %{y:.4f}<extra></extra>")
        for name, kind, words in MESSAGES:
            look = {"x": TEMPERATURES, "y": np.zeros(len(TEMPERATURES)), "mode": "lines", "row": 1, "col": 4}
            figure.add_scatter(uid=f"{name} told", name=words, **look,
                               line={"color": COLOURS[kind], "width": 3},
                               hovertemplate="T = %{x:.3g}: %{y:.2f} bits of the image<extra></extra>")
            figure.add_scatter(uid=f"{name} entropy", showlegend=False, **look,
                               line={"color": COLOURS[kind], "width": 1.5, "dash": "dot"},
                               hovertemplate="T = %{x:.3g}: entropy %{y:.2f} bits<extra></extra>")
            figure.add_scatter(uid=f"{name} now", x=[1.0], y=[0.0], mode="markers", showlegend=False, row=1, col=4,
                               marker={"color": COLOURS[kind], "size": 10}, hoverinfo="skip")
        figure.update_layout(base_layout(height=370, margin={"t": 75, "l": 15, "b": 65}, legend={"y": 1.1}))
        title_fonts(figure)
        figure.update_xaxes(title_standoff=5)
        figure.update_xaxes(visible=False, constrain="domain", col=1)
        figure.update_yaxes(visible=False, autorange="reversed", scaleanchor="x", col=1)
        figure.update_xaxes(tickvals=[0, 1], ticktext=list(self.lab.data.classes), tickangle=0, col=2)
        figure.update_xaxes(tickangle=0, showgrid=False, col=3)
        for col in (2, 3):
            figure.update_yaxes(range=[0, 1.02], dtick=0.25, tickformat=".0%", col=col)
        ticks = [0.5, 1, 2, 4, 8, 16, 32]
        figure.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{t:g}" for t in ticks], range=[-0.35, 1.55],
                            title_text="temperature T", col=4)
        figure.update_yaxes(range=[0, 3.45], col=4)
        return figure

    def draw(self, changed: frozenset[str]) -> None:
        t, digit, teacher = self._setting()
        both = self.logits(teacher, digit)
        classes, subclasses = (softmax(z, t)[0].numpy() for z in both)
        if "digit" in changed:
            self.chart.set("image", z=self.lab.data.images[self.images[digit], 0].numpy().ravel())
        x = _places(teacher.sizes)
        self.chart.set("classes", y=classes)
        self.chart.set("subclasses", x=x, y=subclasses)
        label, names = int(self.lab.data.labels[self.images[digit]]), self.lab.data.classes
        of_class = [COLOURS["hard labels" if k == label else "other"] for k in range(len(names))]
        self.chart.restyle("classes", {"marker": {"color": of_class}})
        colours = [HIDDEN_COLOURS[k] if k >= 0 else COLOURS["other"] for k in teacher.alike]
        self.chart.restyle("subclasses", {"marker": {"color": colours if teacher.divides else of_class},
                                          "hovertext": self._hover(teacher)})
        under = "most alike digit (-: none)" if teacher.divides else "no subclasses: the classes again"
        self.chart.layout({
            "xaxis2": {"ticktext": [f"{name}<br>its label" if k == label else name for k, name in enumerate(names)]},
            "xaxis3": {"tickvals": x, "ticktext": _names(teacher), "range": [-0.7, x[-1] + 0.7],
                       "title": {"text": under}}})
        for (name, _, _), z, told in zip(MESSAGES, both, teacher.curves, strict=True):
            # The second message of a teacher without subclasses is the first again, and would lie on top of it.
            shown = name == "class" or teacher.divides
            self.chart.set(f"{name} told", x=TEMPERATURES[:shown * len(told)], y=told[:shown * len(told)])
            self.chart.set(f"{name} entropy", x=TEMPERATURES[:shown * len(told)],
                           y=[_bits(z, one) for one in TEMPERATURES if shown])
            self.chart.set(f"{name} now", x=[t] * shown, y=[_at(t, told)] * shown)

    def _setting(self) -> tuple[float, int, Teacher]:
        """Temperature, digit and teacher, read at once: another thread may change the values in between."""
        values = self.values
        return values["temperature"], values["digit"], self.teachers[values["teacher"]]

    def _hover(self, teacher: Teacher) -> list[str]:
        """A name for each output of a teacher."""
        if not teacher.divides:
            return list(self.lab.data.classes)
        numbered = [(c, k) for c, size in enumerate(teacher.sizes) for k in range(size)]
        return [f"subclass {k + 1} of {self.lab.data.classes[c]}, " + ("largest for no test image" if digit < 0 else
                                                                       f"most like digit {digit}")
                for (c, k), digit in zip(numbered, teacher.alike, strict=True)]

    # ---- the words -------------------------------------------------------------------------------------------------

    def reading(self) -> str:
        t, digit, teacher = self._setting()
        z_class, z = self.logits(teacher, digit)
        p, q = softmax(z_class, t)[0], softmax(z, t)[0]
        label = self.lab.data.labels[self.images[digit]]
        classes, subclasses = (_at(t, curve) for curve in teacher.curves)
        words = (f"Of this {digit} a teacher {teacher.told} says at T = {t:.3g}: {self.lab.data.classes[label]} with "
                 f"{percent(p[label])}, entropy {_bits(z_class, t):.2f} of at most 1 bit; a class drawn from its "
                 f"answers tells {classes:.2f} bits of the image.")
        if not teacher.divides:
            return words + " It has no subclasses."
        names, order = _names(teacher), q.argsort(descending=True)[:2].tolist()
        most = " and ".join(f"{percent(q[k])} on one {_like(names[k])}" for k in order)
        return (f"{words} Its {len(q)} subclasses: {most}, entropy {_bits(z, t):.2f} of at most "
                f"{np.log2(len(q)):.2f} bits; a subclass drawn from them tells {subclasses:.2f} bits.")


def _at(t: float, curve: np.ndarray) -> float:
    """A curve over TEMPERATURES at T = t."""
    return float(np.interp(np.log(t), np.log(TEMPERATURES), curve))


def _teachers(lab: Splits) -> Mapping[str, Teacher]:
    """One teacher of each kind, with the experiment's settings; from the cache if they can."""
    sizes = (DEFAULT.subclasses,) * lab.data.n_classes
    plain, subclass = subclass_teachers(lab, lab.pool, sizes, [(0.0, DEFAULT.t_aux), (DEFAULT.beta, DEFAULT.t_aux)])
    truth, inside = hidden_blocks(lab)
    two, _ = label_teachers(lab, lab.pool, lab.data.labels, lab.data.n_classes)
    oracle, _ = label_teachers(lab, lab.pool, truth, sum(inside))
    return {"subclass": _named(lab, "made to divide its classes", subclass, sizes),
            "no auxiliary loss": _named(lab, "with ten outputs and no auxiliary loss", plain, sizes),
            "two-class": _named(lab, "of two outputs", two, (1, 1)),
            "oracle": _named(lab, "that was told the digits", oracle, inside)}


def _named(lab: Splits, told: str, logits: Tensor, sizes: tuple[int, ...]) -> Teacher:
    """The first seed's teacher, its subclasses named by the test images."""
    test = lab.test[0]
    found, truth = logits[0, test].argmax(-1).numpy(), lab.data.hidden[test].numpy()
    colours = match(found, truth, sum(sizes), len(DIGITS))
    alike = tuple(int(k) % len(DIGITS) if k >= 0 else -1 for k in colours)
    z = logits[0, test]
    curves = tuple(np.array([information(message, t) for t in TEMPERATURES]) for message in (class_logits(z, sizes), z))
    return Teacher(told, logits[0], sizes, alike, curves)


def information(logits: Tensor, temperature: float) -> float:
    """Bits that an output drawn from softmax(z / T) gives of the image, (N, K) logits of equally likely images:
    the entropy of the mean answer less the mean entropy of the answers. The same answer to every image gives none."""
    p = softmax(logits, float(temperature)).mean(0)
    return float(torch.special.entr(p).sum() / np.log(2) - metrics.entropy(logits, float(temperature)).mean())


def _one_per_digit(lab: Splits, teacher: Teacher) -> dict[int, int]:
    """For each digit the test image whose class is sure, at least 98% at T = 1, and whose subclasses say most at T = 4.

    Where no image of a digit is sure, the one with most to say.
    """
    test = lab.test[0]
    z = teacher.logits[test]
    sure = softmax(class_logits(z, teacher.sizes)).gather(-1, lab.data.labels[test][:, None])[:, 0] >= 0.98
    told = metrics.entropy(z, 4.0).masked_fill(~sure, -1.0)
    return {digit: int(mine[told[lab.data.hidden[test] == digit].argmax()]) for digit in DIGITS
            if len(mine := test[lab.data.hidden[test] == digit])}


def _places(sizes: tuple[int, ...]) -> np.ndarray:
    """Where the bars stand: a gap between the classes."""
    return np.concatenate([np.arange(size) + sum(sizes[:c]) + 0.8 * c for c, size in enumerate(sizes)])


def _names(teacher: Teacher) -> list[str]:
    if not teacher.divides:
        return ["0-4", "5-9"]
    return [str(k) if k >= 0 else "-" for k in teacher.alike]


def _like(name: str) -> str:
    return "that no image is sorted into" if name == "-" else f"like {'an' if name == '8' else 'a'} {name}"


def _bits(logits: Tensor, temperature: float) -> float:
    return float(metrics.entropy(logits, float(temperature))[0])
