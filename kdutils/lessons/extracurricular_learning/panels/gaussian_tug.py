"""Panel: two bells, three losses, and how hard each loss pulls. No training."""

import math

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from kdutils.live.control import LogSlider, Slider
from kdutils.live.panel import Panel
from kdutils.objectives import gaussian_kl, half_squared_error
from kdutils.plots.style import COLOURS, base_layout, title_fonts, translucent

X = np.linspace(-4, 4, 321)
LOSSES = ("KL(T||S)", "KL(S||T)", "squared error / 2")


class GaussianTug(Panel):
    """The teacher says 0, more or less surely; the student says something else. What would each loss do about it?"""

    title = "Gaussian tug"
    controls = (
        Slider("mean", "Student's mean", low=-3.0, high=3.0, step=0.05, default=1.5,
               help="The teacher's mean is 0."),
        LogSlider("student", "Student's width s_S", low=0.1, high=3.0, default=0.5,
                  help="Standard deviation of the student's answer."),
        LogSlider("teacher", "Teacher's width s_T", low=0.1, high=3.0, default=0.5,
                  help="Standard deviation of the teacher's answer."),
    )
    static_presets = ("Teacher unsure",)
    presets = {"Both sure": {"mean": 1.5, "student": 0.5, "teacher": 0.5},
               "Teacher unsure": {"mean": 1.5, "student": 0.5, "teacher": 2.0},
               "Both unsure": {"mean": 1.5, "student": 2.0, "teacher": 2.0},
               "Too sure": {"mean": 0.0, "student": 0.2, "teacher": 1.0}}

    def losses(self) -> dict[str, tuple[float, float, float]]:
        """Value, and the derivatives by the student's mean and by the logarithm of its width, of every loss."""
        found = {}
        for name in LOSSES:
            mean = torch.tensor([[self.values["mean"]]], dtype=torch.float64, requires_grad=True)
            log_width = torch.tensor([[math.log(self.values["student"])]], dtype=torch.float64, requires_grad=True)
            zero, teacher = torch.zeros_like(mean), torch.full_like(mean, 2 * math.log(self.values["teacher"]))
            loss = {"KL(T||S)": lambda m=mean, v=log_width, z=zero, t=teacher: gaussian_kl(m, 2 * v, z, t),
                    "KL(S||T)": lambda m=mean, v=log_width, z=zero, t=teacher: gaussian_kl(z, t, m, 2 * v),
                    "squared error / 2": lambda m=mean, v=log_width, z=zero, t=teacher:
                        half_squared_error(m, z) + 0 * v.sum()}[name]()
            by_mean, by_width = torch.autograd.grad(loss, (mean, log_width))
            found[name] = (loss.item(), by_mean.item(), by_width.item())
        return found

    def build_figure(self) -> go.Figure:
        figure = make_subplots(rows=1, cols=3, column_widths=[0.44, 0.28, 0.28], horizontal_spacing=0.09,
                               subplot_titles=["two answers", "pull on the mean", "pull on the width"])
        for who, colour, dash in (("teacher", "teacher", "dash"), ("student", "distilled", "solid")):
            figure.add_scatter(uid=who, x=X, y=np.zeros(len(X)), mode="lines", name=who, fill="tozeroy", row=1, col=1,
                               fillcolor=translucent(COLOURS[colour]),
                               line={"color": COLOURS[colour], "dash": dash, "width": 2.5})
        figure.add_scatter(uid="pull", x=[0.0, 0.0], y=[0.05, 0.05], mode="lines", name="KL(T||S) pulls", row=1, col=1,
                           line={"color": COLOURS["highlight"], "width": 4})
        figure.add_scatter(uid="tip", x=[0.0], y=[0.05], mode="markers", showlegend=False, hoverinfo="skip", row=1,
                           col=1, marker={"color": COLOURS["highlight"], "size": 11, "symbol": "diamond"})
        for col, uid in ((2, "by mean"), (3, "by width")):
            figure.add_bar(uid=uid, x=list(range(3)), y=[0.0] * 3, showlegend=False, row=1, col=col, width=0.7,
                           marker={"color": [COLOURS["distilled"], COLOURS["penalised"], COLOURS["other"]]},
                           hovertemplate="%{y:.3f}<extra></extra>")
        figure.update_layout(base_layout(height=350, margin={"t": 70, "l": 45, "b": 40}, legend={"y": 1.12}))
        title_fonts(figure)
        figure.update_xaxes(range=[-4, 4], col=1)
        figure.update_xaxes(tickvals=[0, 1, 2], ticktext=["KL(T||S)", "KL(S||T)", "error"], range=[-0.6, 2.6], col=2)
        figure.update_xaxes(tickvals=[0, 1, 2], ticktext=["KL(T||S)", "KL(S||T)", "error"], range=[-0.6, 2.6], col=3)
        return figure

    def draw(self, changed: frozenset[str]) -> None:
        mean, student, teacher = (self.values[name] for name in ("mean", "student", "teacher"))
        bells = {"teacher": _bell(0.0, teacher), "student": _bell(mean, student)}
        for who, y in bells.items():
            self.chart.set(who, y=y)
        found = self.losses()
        # The way down is against the derivative; an arrow longer than the figure says no more than its end.
        pulls = {"by mean": [-one[1] for one in found.values()], "by width": [-one[2] for one in found.values()]}
        for uid, values in pulls.items():
            self.chart.set(uid, y=values)
            reach = 1.15 * max(1.0, *map(abs, values))
            self.chart.layout({f"yaxis{2 if uid == 'by mean' else 3}": {"range": [-reach, reach]}})
        height = 0.1 * max(bells["student"].max(), bells["teacher"].max())
        tip = mean + float(np.clip(pulls["by mean"][0] / 4, -3, 3))
        self.chart.set("pull", x=[mean, tip], y=[height] * 2)
        self.chart.set("tip", x=[tip], y=[height])

    def reading(self) -> str:
        forward, backward, error = self.losses().values()
        wider = "wider" if forward[2] < 0 else "narrower"
        width = "and leaves the width alone" if abs(forward[2]) < 0.005 else f"and wants the student {wider}"
        return (f"KL(T||S) = {forward[0]:.3g} nats pulls the mean with {abs(forward[1]):.3g} {width}; KL(S||T) = "
                f"{backward[0]:.3g} pulls with {abs(backward[1]):.3g}; half the squared error, {error[0]:.3g}, with "
                f"{abs(error[1]):.3g} whatever the widths are, and never on the width.")


def _bell(mean: float, width: float) -> np.ndarray:
    return np.exp(-0.5 * ((X - mean) / width) ** 2) / (width * math.sqrt(2 * math.pi))
