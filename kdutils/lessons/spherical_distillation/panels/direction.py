"""Panel: three logits as an arrow. What a student is asked to do by KD and by spherical distillation. No training."""

import math

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots
from torch import Tensor

from kdutils.live.control import Slider
from kdutils.live.panel import Panel
from kdutils.objectives import kd_loss, on_sphere, softmax, spherical_kd
from kdutils.plots.style import COLOURS, base_layout, title_fonts

M, T = 2.0, 1.0         # the common scale, and the temperature of both losses
CLASSES = ["a", "b", "c"]
LENGTHS = np.linspace(0.1, 8, 80)
# The plane of three centred logits: class a points to 0 degrees, b to 120, c to 240; an arrow's length is its spread.
TURNS = 2 * torch.pi * torch.arange(3.0, dtype=torch.float64) / 3
PLANE = math.sqrt(2.0) * torch.stack([TURNS.cos(), TURNS.sin()], 1)


class DirectionPanel(Panel):
    """The teacher's answer points at 20 degrees; the student's angle and both lengths are the reader's."""

    title = "Direction and norm"
    controls = (
        Slider("angle", "Student's angle to the teacher", low=-180, high=180, step=5, default=40,
               help="Degrees between the two arrows: what they say."),
        Slider("student", "Student's length", low=0.1, high=8.0, step=0.1, default=1.5,
               help="The spread of its logits: how loudly it says it."),
        Slider("teacher", "Teacher's length", low=0.1, high=8.0, step=0.1, default=3.0,
               help="The spread of the teacher's logits; it grows with the teacher's size."),
    )
    presets = {"Right, but quiet": {"angle": 0, "student": 1.0, "teacher": 6.0},
               "Loud and wrong": {"angle": 60, "student": 6.0, "teacher": 3.0},
               "A louder teacher": {"angle": 40, "student": 1.5, "teacher": 7.0}}

    AT = 20.0           # degrees at which the teacher points

    def build_figure(self) -> go.Figure:
        figure = make_subplots(rows=1, cols=3, column_widths=[0.36, 0.27, 0.37], horizontal_spacing=0.09,
                               subplot_titles=["answers, and a step down each loss", "probabilities, T = 1",
                                               "loss by the student's length"])
        for k, name in enumerate(CLASSES):
            x, y = (8 * PLANE[k] / math.sqrt(2)).tolist()
            figure.add_scatter(uid=f"axis {name}", x=[0, x], y=[0, y], mode="lines+text", text=["", name], row=1, col=1,
                               line={"color": COLOURS["other"], "width": 1, "dash": "dot"}, showlegend=False,
                               hoverinfo="skip")
        turn = np.linspace(0, 2 * np.pi, 61)
        figure.add_scatter(uid="sphere", x=M * np.cos(turn), y=M * np.sin(turn), mode="lines", showlegend=False,
                           line={"color": COLOURS["SKD"], "width": 1, "dash": "dot"}, row=1, col=1, hoverinfo="skip")
        for uid, kind, width in (("teacher", "teacher", 4), ("student", "distilled", 4), ("KD step", "one scalar", 3),
                                 ("SKD step", "SKD", 3)):
            figure.add_scatter(uid=uid, x=[0.0, 0.0], y=[0.0, 0.0], mode="lines+markers", name=uid, row=1, col=1,
                               showlegend=not uid.endswith("step"), line={"color": COLOURS[kind], "width": width},
                               marker={"size": [0, 9], "symbol": "circle", "color": COLOURS[kind]})
        for uid, kind, offset in (("teacher says", "teacher", -0.4), ("student says", "distilled", 0.0)):
            figure.add_bar(uid=uid, x=[0, 1, 2], y=[0.0] * 3, width=0.4, offset=offset, showlegend=False, row=1, col=2,
                           marker={"color": COLOURS[kind]}, hovertemplate="%{y:.4f}<extra></extra>")
        figure.add_scatter(uid="student on the sphere", x=[0.2, 1.2, 2.2], y=[0.0] * 3, mode="markers", row=1, col=2,
                           marker={"color": COLOURS["SKD"], "size": 9, "symbol": "diamond"},
                           name="the answer on the sphere")
        figure.add_scatter(uid="teacher on the sphere", x=[-0.2, 0.8, 1.8], y=[0.0] * 3, mode="markers", row=1, col=2,
                           marker={"color": COLOURS["SKD"], "size": 9, "symbol": "diamond"}, showlegend=False)
        for uid, kind in (("KD", "one scalar"), ("SKD", "SKD")):
            figure.add_scatter(uid=f"{uid} by length", x=LENGTHS, y=np.zeros(len(LENGTHS)), mode="lines", row=1, col=3,
                               name=f"{uid}, step and loss", line={"color": COLOURS[kind], "width": 2.5,
                                                         "dash": "solid" if uid == "KD" else "dash"})
            figure.add_scatter(uid=f"{uid} now", x=[0.0], y=[0.0], mode="markers", showlegend=False, row=1, col=3,
                               marker={"color": COLOURS[kind], "size": 10})
        figure.update_layout(base_layout(height=390, margin={"t": 80, "l": 30, "b": 60}, legend={"y": 1.13}))
        title_fonts(figure)
        figure.update_xaxes(range=[-8.6, 8.6], visible=False, constrain="domain", col=1)
        figure.update_yaxes(range=[-8.6, 8.6], visible=False, scaleanchor="x", col=1)
        figure.update_xaxes(tickvals=[0, 1, 2], ticktext=CLASSES, title_text="class", col=2)
        figure.update_yaxes(range=[0, 1], col=2)
        figure.update_xaxes(title_text="spread of the student's logits", range=[0, 8.2], col=3)
        figure.update_yaxes(rangemode="tozero", col=3)
        return figure

    def draw(self, changed: frozenset[str]) -> None:
        teacher, student = self._answers()
        self.losses, self.slopes = {}, {}
        for name, loss in (("KD", lambda s: kd_loss(s, teacher, T)), ("SKD", lambda s: spherical_kd(s, teacher, T, M))):
            leaf = student.clone().requires_grad_()
            value = loss(leaf)
            (slope,) = torch.autograd.grad(value, leaf)
            self.losses[name], self.slopes[name] = float(value.detach()), slope[0]
            longer = student * torch.tensor(LENGTHS / self.values["student"])[:, None, None]     # (80, 1, 3)
            self.chart.set(f"{name} by length", y=loss(longer).numpy())
            self.chart.set(f"{name} now", x=[self.values["student"]], y=[self.losses[name]])
            start, end = at(student[0]), at(student[0] - 6 * self.slopes[name])
            self.chart.set(f"{name} step", x=[start[0], end[0]], y=[start[1], end[1]])
        for name, z in (("teacher", teacher), ("student", student)):
            x, y = at(z[0])
            self.chart.set(name, x=[0.0, x], y=[0.0, y])
            self.chart.set(f"{name} says", y=softmax(z)[0].numpy())
            self.chart.set(f"{name} on the sphere", y=softmax(on_sphere(z, M))[0].numpy())

    def _answers(self) -> tuple[Tensor, Tensor]:
        """Logits (1, 3) of teacher and student."""
        return tuple(logits(length, degrees) for length, degrees in (
            (self.values["teacher"], self.AT), (self.values["student"], self.AT + self.values["angle"])))

    def formula(self) -> str:
        teacher, student = (f"⟦{self.values[name]:g}⟧" for name in ("teacher", "student"))
        return (f"KD = KL(softmax(z_T) ‖ softmax(z_S)) = {self.losses['KD']:z.3f};  SKD = KL(softmax({M:g} z_T / "
                f"{teacher}) ‖ softmax({M:g} z_S / {student})) = {self.losses['SKD']:z.3f}")

    def reading(self) -> str:
        _, student = self._answers()
        outward = student[0] / student[0].norm()
        along = {name: -float(slope @ outward) for name, slope in self.slopes.items()}
        kd = ("does not change it" if abs(along["KD"]) < 0.005 else
              f"asks for a {'longer' if along['KD'] > 0 else 'shorter'} arrow ({along['KD']:+.2f} along it)")
        step = float(self.slopes["SKD"].std(correction=0))      # in the unit of the arrows
        return (f"{abs(self.values['angle']):g} degrees apart, spreads {self.values['student']:g} (student) and "
                f"{self.values['teacher']:g} (teacher). KD loss {self.losses['KD']:z.3f}: its step {kd}. SKD loss "
                f"{self.losses['SKD']:z.3f}: its step, {step:z.3f}, is across the arrow ({along['SKD']:+z.2f} along "
                f"it), whatever the lengths.")


def logits(spread: float, degrees: float) -> Tensor:
    """Three centred logits (1, 3) of this spread that point this way."""
    angle = math.radians(degrees)
    return spread * (PLANE @ torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64))[None]


def at(z: Tensor) -> list[float]:
    """Where centred logits (3,) lie in the plane; the distance from the middle is their spread."""
    return (z @ PLANE / 3).tolist()
