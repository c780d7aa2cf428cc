"""Panel: a perfect copy of a teacher is changed a little, and nine losses say whether they notice. No training."""

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots
from torch import Tensor

from kdutils.cohorts import Splits
from kdutils.datasets import transfer_set
from kdutils.lessons.beyond_compression.figures import LOOKS
from kdutils.lessons.beyond_compression.race import teach
from kdutils.live.control import Choice, Slider
from kdutils.live.panel import Panel
from kdutils.objectives import (
    METHODS,
    attack,
    attention_map,
    boundary_loss,
    branch_divergence,
    flow_matrix,
    gated_ensemble,
    layers,
    other_class,
    pair_distances,
    similarity_matrix,
)
from kdutils.plots.style import COLOURS, GREYS, base_layout, title_fonts

IMAGES = 8
TALLEST = 400       # percent; a bar that would be taller ends there and says its value
CHANGES = ("one image moves", "rotate all features", "scale all features", "shift all features", "mirror the maps")
WHAT = {"KD": "probabilities at T = 4", "BSS": "probabilities at the boundary", "FitNets": "features",
        "AT": "attention maps", "FSP": "flow matrix of the first image", "RKD": "distances", "SP": "similarities",
        "DML": "probabilities", "ONE": "its own branches, and their union"}

# What each asks for, as a formula: of logits z, flat features f, matrices F of them.
SAYS = {"KD": "4² · KL(softmax(z_T / 4) ‖ softmax(z_S / 4))",
        "BSS": "KL(softmax(z_T / 3) ‖ softmax(z_S / 3)) at the boundary",
        "FitNets": "mean (f_S − f_T)²", "AT": "mean (q_S − q_T)², q = Σ f² over channels, length 1",
        "FSP": "mean (G_S − G_T)², G = F₁ F₂ᵀ / places", "RKD": "Huber of distances over their mean, and of angles",
        "SP": "mean (G_S − G_T)², G = F Fᵀ, rows of length 1", "DML": "KL(softmax(z_T) ‖ softmax(z_S))",
        "ONE": "3² · Σ KL(union ‖ branch)"}


class NineLenses(Panel):
    """Eight digits, one trained network as the teacher, and its copy as the student, whose last features are changed.

    One image moves: its features go towards those of the next image. The logits follow from the changed features by
    the teacher's own last layer. 100% is what each loss says of a network that was trained from another start; ONE has
    no teacher, and its 100% is what its branches say before anything is changed.
    """

    title = "Nine lenses"
    controls = (
        Choice("method", "Look through", options=tuple(METHODS), default="KD",
               help="Which of the nine compares student and teacher; the two pictures show what it sees."),
        Choice("change", "What happens to the student", options=CHANGES,
               help="What is done to the features of its last hidden layer."),
        Slider("amount", "How much", low=0.0, high=1.0, step=0.02, default=0.0, help="0 is a perfect copy."),
    )
    static_presets = ("Shift", "Scale")
    presets = {"A perfect copy": {"amount": 0.0},
               "One image moves": {"change": "one image moves", "amount": 0.6},
               "Rotate": {"change": "rotate all features", "amount": 0.6},
               "Scale": {"change": "scale all features", "amount": 0.6},
               "Shift": {"change": "shift all features", "amount": 0.6}}

    def prepare(self) -> None:
        lab = Splits.open("digits", 2)
        teachers = teach(lab, lab.pool)
        shown = transfer_set(lab.data, lab.test[0], 10)[:IMAGES]
        self.images, self.labels = lab.data.inputs[shown], lab.data.labels[shown]
        with torch.no_grad():
            both = teachers.population.features(self.images)
        self.teacher = {name: value[0] for name, value in both.items()}
        other = {name: value[1] for name, value in both.items()}
        parameters = teachers.population.parameters
        self.head = parameters["logits.weight"][0], parameters["logits.bias"][0]
        alone = teachers.population.member(0)
        moved, self.crossed = attack(alone, self.images,
                                     other_class(self.teacher["logits"], torch.Generator().manual_seed(0)))
        with torch.no_grad():
            far = teachers.population.features(moved)
        self.far = far["stage2"][0]
        self.far_logits = self._logits(self.far)
        random = torch.Generator().manual_seed(1)
        self.nudges = 0.15 * torch.randn(3, *self.head[0].shape, generator=random)
        skew = torch.randn(16, 16, generator=random)
        self.skew, self.step = (skew - skew.T) / 4, torch.rand(16, generator=random)
        self.unit = self.losses(other["stage2"], far["stage2"][1], other)
        self.unit["ONE"] = self.losses(self.teacher["stage2"], self.far)["ONE"]

    # ---- what happens ------------------------------------------------------------------------------------------------

    def changed(self, maps: Tensor) -> Tensor:
        """The last stage's maps (8, 16, 2, 2) after the change."""
        amount, how = self.values["amount"], self.values["change"]
        if how == "one image moves":
            return torch.cat([maps[:1] + amount * (maps[1:2] - maps[:1]), maps[1:]])
        if how == "rotate all features":
            return torch.einsum("dc,bchw->bdhw", torch.linalg.matrix_exp(amount * self.skew), maps)
        if how == "scale all features":
            return maps * (1 + 2 * amount)
        if how == "shift all features":
            return maps + amount * self.step[:, None, None]
        return (1 - amount) * maps + amount * maps.flip(-1)

    def _logits(self, maps: Tensor, nudge: Tensor | float = 0.0) -> Tensor:
        weight, bias = self.head
        return maps.flatten(1) @ (weight + nudge).T + bias

    def losses(self, maps: Tensor, far: Tensor, other: dict | None = None) -> dict[str, float]:
        """Each method's own term for a student with these maps: on the images, and on those moved to the boundary."""
        student = {"stage1": (other or self.teacher)["stage1"], "stage2": maps,
                   "logits": other["logits"] if other else self._logits(maps), "hint": maps}
        teacher = self.teacher | {"hint": self.teacher["stage2"]}
        s, t = layers(student), layers(teacher)
        found = {}
        for name, method in METHODS.items():
            if name == "BSS":
                logits, exact = self._logits(far), self.far_logits
                found[name] = (boundary_loss(logits, exact, self.crossed)
                               - boundary_loss(exact, exact, self.crossed)).item()
            elif name == "ONE":
                found[name] = branch_divergence(self._branches(maps), torch.zeros(IMAGES, 3)).item()
            else:
                found[name] = method.term(s, t, student, teacher).item()
        return found

    def _branches(self, maps: Tensor) -> Tensor:
        return torch.stack([self._logits(maps, nudge) for nudge in self.nudges], 1)

    def seen(self, maps: Tensor, far: Tensor) -> Tensor:
        """What the chosen method looks at, as a matrix."""
        name, flat = self.values["method"], maps.flatten(1)
        if name == "ONE":
            branches = self._branches(maps)
            return torch.cat([branches[:, 0], gated_ensemble(branches, torch.zeros(IMAGES, 3))]).softmax(-1)
        views = {"KD": lambda: (self._logits(maps) / 4).softmax(-1), "DML": lambda: self._logits(maps).softmax(-1),
                 "BSS": lambda: self._logits(far).softmax(-1), "FitNets": lambda: flat,
                 "AT": lambda: attention_map(maps),
                 "FSP": lambda: flow_matrix(self.teacher["stage1"], maps)[0], "RKD": lambda: pair_distances(flat),
                 "SP": lambda: similarity_matrix(flat)}
        return views[name]()

    # ---- the figure --------------------------------------------------------------------------------------------------

    def build_figure(self) -> go.Figure:
        figure = make_subplots(rows=1, cols=3, column_widths=[0.3, 0.3, 0.4], horizontal_spacing=0.09,
                               subplot_titles=["the teacher", "the student", "who notices (%)"])
        for column, uid in ((1, "teacher"), (2, "student")):
            figure.add_heatmap(uid=uid, x=[0.0], y=[0.0], z=[0.0], colorscale=GREYS, showscale=False, row=1, col=column,
                               hovertemplate="%{z:.3f}<extra>" + uid + "</extra>")
        figure.add_bar(uid="loss", x=np.arange(9.0), y=np.zeros(9), width=0.7, showlegend=False, row=1, col=3,
                       marker={"color": [LOOKS[method.group][0] for method in METHODS.values()]},
                       hovertemplate="%{y:.1f}%<extra></extra>")
        figure.add_scatter(uid="taller", x=np.arange(9.0), y=np.zeros(9), mode="text", text=[""] * 9, row=1, col=3,
                           textposition="top center", textfont={"size": 11}, showlegend=False, hoverinfo="skip")
        figure.add_scatter(uid="chosen", x=[0.0], y=[0.0], mode="markers", showlegend=False, hoverinfo="skip", row=1,
                           col=3, marker={"symbol": "triangle-up", "size": 13, "color": COLOURS["distilled"]})
        figure.update_layout(base_layout(height=360, margin={"t": 60, "l": 40}))
        title_fonts(figure)
        for column in (1, 2):
            figure.update_yaxes(autorange="reversed", col=column, showticklabels=False)
            figure.update_xaxes(showticklabels=False, col=column)
        figure.update_xaxes(tickvals=list(range(9)), ticktext=list(METHODS), tickangle=-45, col=3)
        figure.update_yaxes(range=[-6, 110], col=3)
        return figure

    def draw(self, changed: frozenset[str]) -> None:
        maps, far = self.changed(self.teacher["stage2"]), self.changed(self.far)
        own, told = self.seen(maps, far).numpy(), self.seen(self.teacher["stage2"], self.far).numpy()
        # One scale for both, or a change of size could not be seen.
        scale = {"zmin": float(min(own.min(), told.min())), "zmax": float(max(own.max(), told.max(), 1e-9))}
        for uid, matrix in (("teacher", told), ("student", own)):
            rows, columns = matrix.shape
            self.chart.set(uid, x=np.tile(np.arange(columns), rows), y=np.repeat(np.arange(rows), columns),
                           z=matrix.ravel())
            self.chart.restyle(uid, scale)
        self.found = {name: 100 * loss / self.unit[name] for name, loss in self.losses(maps, far).items()}
        heights = np.array(list(self.found.values()))
        shown = np.minimum(heights, TALLEST)
        self.chart.set("loss", y=shown)
        self.chart.set("taller", y=shown)
        self.chart.restyle("taller", {"text": [f"{height:,.0f}" if height > TALLEST else "" for height in heights]})
        self.chart.set("chosen", x=[list(METHODS).index(self.values["method"])], y=[-3.0])
        self.chart.layout({"yaxis3": {"range": [-6, float(max(110, 1.1 * shown.max()))]}})

    # ---- the words ---------------------------------------------------------------------------------------------------

    def formula(self) -> str:
        name, amount = self.values["method"], self.values["amount"]
        a = f"⟦{amount:g}⟧"
        change = {"one image moves": f"f₁ = (1 − {a}) f₁ + {a} f₂", "rotate all features": f"f_S = exp({a} A) f_T",
                  "scale all features": f"f_S = (1 + 2 · {a}) f_T", "shift all features": f"f_S = f_T + {a} s",
                  "mirror the maps": f"f_S = (1 − {a}) f_T + {a} mirrored"}[self.values["change"]]
        return f"{change};  {name}: {SAYS[name]} = {self.found[name]:z.1f}% of another network's"

    def reading(self) -> str:
        name, amount = self.values["method"], self.values["amount"]
        still = [method for method, value in self.found.items() if abs(value) < 0.1 and method != "ONE"]
        value = f"{self.found[name]:.1f}%"
        if not amount:
            return (f"{name} compares {METHODS[name].matches}; pictured: {WHAT[name]}. The student is a perfect copy: "
                    f"every loss that has a teacher is 0. 100% is another network.")
        blind = f"{', '.join(still)} see{'s' * (len(still) == 1)} nothing" if still else "every loss notices"
        return (f"{name} compares {METHODS[name].matches}; pictured: {WHAT[name]}. "
                f"{self.values['change'].capitalize()}, amount {amount:.2f}: {name} says {value}; {blind}.")
