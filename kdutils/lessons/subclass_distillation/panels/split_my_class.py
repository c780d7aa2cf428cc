"""Panel: teachers of two classes divide each into subclasses of their own, and a map takes on their colours."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from kdutils import metrics
from kdutils.datasets import take
from kdutils.errors import one_of, whole
from kdutils.lessons.subclass_distillation.panels.matching import match
from kdutils.lessons.subclass_distillation.panels.plane import NOBODY, SIDE, Plane, picture
from kdutils.lessons.subclass_distillation.panels.scenes import SCENES, scene
from kdutils.live.control import LogSlider, Slider
from kdutils.live.curves import PARTS, add_band, clear_band, grow_band
from kdutils.live.lab import Lab
from kdutils.networks import Population
from kdutils.objectives import class_logits, subclass_auxiliary, subclass_teacher
from kdutils.plots.style import COLOURS, HIDDEN_COLOURS, HIDDEN_MARKERS, base_layout, title_fonts
from kdutils.results import Effect, interval
from kdutils.training import Knobs, Recipe, Snapshot, Task, train

KNOBS = ("beta", "t_aux")
MAX_SUBCLASSES = 10     # subclasses of a class
COMPARED = 256          # test examples that the auxiliary loss compares with each other
TINT = 0.3              # how much of its colour a region of the plane has; one of a hollow subclass has half of that
FORMS = {"collapse": "all examples look alike",
         "one per class": "one subclass of each class stands out, the rest are equal",
         "flat in class": "all subclasses of the class are equally large",
         "one-hot": "one subclass stands out, and all are used alike",
         "bound": "no logits go below -1/T_aux"}


@dataclass(frozen=True)
class Found:
    """What S teachers make of their test examples, each in percent except `used`: (S,). aux: the loss, (S,)."""

    used: np.ndarray
    hungarian: np.ndarray
    right: np.ndarray
    aux: np.ndarray


class SplitMyClass(Lab):
    """Teachers learn two classes with s subclasses each; nobody tells them the digits that hide inside.

    The left map shows, for one teacher, the subclass that is largest for each test example, in the colour and shape of
    the digit that it matches best (Hungarian matching; it names the colours and nothing else). A subclass beyond the
    tenth, or beyond those that match, is hollow, in the colour of its most frequent digit. The right map is the truth.
    `seeds` teachers train side by side: figures and band are theirs, the maps are those of the first. On the toy, whose
    map is the plane itself, the left one is also coloured between the dots, and a line parts the two classes.

    beta and T_aux act at once, also while teachers train; another number of subclasses is another network and starts
    the run anew. data: "digits", 0-4 against 5-9, or "toy", two clouds of four blobs in the plane.
    """

    title = "Split my class"
    openings = {"digits": {"beta": 0.1}, "toy": {"data": "toy", "subclasses": 4, "t_aux": 0.2}}
    controls = (
        Slider("subclasses", "Subclasses s per class", low=1, high=MAX_SUBCLASSES, default=5,
               help="How many subclass logits each of the two classes has; the teacher decides what they mean."),
        Slider("beta", "Beta", low=0.0, high=3.0, step=0.05, default=0.3,
               help="Weight of the auxiliary loss, which spreads the examples of a batch over the subclasses."),
        LogSlider("t_aux", "Temperature T_aux", low=0.1, high=2.0, default=0.5,
                  help="Of the auxiliary loss: the smaller, the more it cares about the examples that are most alike."),
    )
    static_presets = ("No auxiliary loss",)
    presets = {"No auxiliary loss": {"subclasses": 5, "beta": 0.0},
               "A little": {"subclasses": 5, "beta": 0.1, "t_aux": 0.5},
               "More": {"subclasses": 5, "beta": 0.3, "t_aux": 0.5},
               "The authors' demo": {"subclasses": 5, "beta": 1.0, "t_aux": 1.0},
               "Too much": {"subclasses": 5, "beta": 1.5, "t_aux": 0.2}}

    def __init__(self, data: str = "digits", seeds: int = 6, steps: int = 300, **values):
        self.variant = one_of("data", data, SCENES)
        self.seeds = tuple(range(whole("seeds", seeds, 1)))
        self.scene = scene(data, self.seeds)
        self.recipe = Recipe(steps=steps, batch=128, lr=self.scene.lr)
        self.shown = self.scene.test[0].numpy()        # the examples on the maps: the first seed's, never trained on
        self.places = self.scene.places[self.shown]
        self.hidden = self.scene.hidden[self.shown].numpy()
        low, high = self.places.min(0), self.places.max(0)
        room = 0.04 * (high - low)
        self.spans = tuple(zip(low - room, high + room, strict=True))       # of the maps: x, y
        self.plane = Plane(*self.spans) if self.scene.is_plane else None
        self._begin_anew()
        super().__init__(**values)

    def _begin_anew(self) -> None:
        self.knobs: Knobs | None = None         # those of the run
        self.running = 0                        # subclasses of the run
        self.found: Found | None = None
        self.subclass = np.full(len(self.shown), NOBODY)    # of each example on the map
        self.matches: np.ndarray | None = None          # the kind that each subclass is coloured by
        self.measured: dict = {}                # the values that belong to `found`; the controls may have moved on

    # ---- the figure ------------------------------------------------------------------------------------------------

    def build_figure(self) -> go.Figure:
        kinds, kind = self.scene.kinds, self.scene.kind
        figure = make_subplots(
            rows=2, cols=3, column_widths=[0.37, 0.37, 0.26], row_heights=[0.38, 0.62], horizontal_spacing=0.035,
            vertical_spacing=0.22, specs=[[{"rowspan": 2}, {"rowspan": 2}, {}], [None, None, {}]],
            subplot_titles=["what one teacher found", f"the {kind}s, which nobody told it",
                            "examples per subclass (%)", "auxiliary loss"])
        if self.plane:
            figure.add_trace(self.plane.trace("regions"), row=1, col=1)
            figure.add_scatter(uid="class line", x=[], y=[], mode="lines", row=1, col=1, showlegend=False,
                               line={"color": COLOURS["other"], "width": 2},
                               hovertemplate="both classes are equally probable<extra></extra>")
        figure.add_scatter(uid="not sorted", x=self.places[:, 0], y=self.places[:, 1], mode="markers", row=1, col=1,
                           marker={"color": COLOURS["other"], "size": 4, "opacity": 0.5}, showlegend=False,
                           hoverinfo="skip")
        for k in range(MAX_SUBCLASSES * len(self.scene.classes)):
            figure.add_scatter(uid=f"subclass {k}", x=[], y=[], mode="markers", showlegend=False, row=1, col=1)
        for place, name in enumerate(kinds):
            mine = self.places[self.hidden == place]
            figure.add_scatter(uid=f"is {name}", x=mine[:, 0], y=mine[:, 1], mode="markers", marker=self._dot(place),
                               row=1, col=2, showlegend=False, hovertemplate=f"{kind} {name}<extra></extra>")
        middles = np.array([np.median(self.places[self.hidden == place], 0) for place in range(len(kinds))])
        figure.add_scatter(uid="names", x=middles[:, 0], y=middles[:, 1], mode="markers+text", text=list(kinds), row=1,
                           col=2, marker={"color": "rgba(255,255,255,0.85)", "size": 22}, textposition="middle center",
                           textfont={"size": 16, "color": "#202020"}, showlegend=False, hoverinfo="skip")
        figure.add_bar(uid="usage", x=[0.0], y=[math.nan], width=0.8, offset=-0.4, showlegend=False, row=1, col=3,
                       hovertemplate="%{hovertext}: %{y:.1f}% of the examples<extra></extra>")
        figure.add_scatter(uid="closed forms", x=[], y=[], mode="lines", showlegend=False, row=2, col=3,
                           line={"color": COLOURS["other"], "width": 1, "dash": "dot"},
                           hovertemplate="%{hovertext}<extra></extra>")
        add_band(figure, "auxiliary", "teacher", "teachers", col=3, row=2, shown=False)
        figure.update_traces(hovertemplate="mean over seeds at step %{x}: %{y:.2f}<extra></extra>",
                             selector={"uid": "auxiliary mean"})
        figure.update_layout(base_layout(height=430, showlegend=False, margin={"l": 12, "r": 138, "t": 40, "b": 50}))
        title_fonts(figure)
        for col in (1, 2):
            frame = {"showticklabels": False, "ticks": "", "showgrid": False}
            figure.update_xaxes(range=self.spans[0], **frame, row=1, col=col)
            figure.update_yaxes(range=self.spans[1], scaleanchor=False, **frame, row=1, col=col)
        figure.update_xaxes(title_text=f"most alike {kind}", title_standoff=5, tickangle=0, showgrid=False, row=1,
                            col=3)
        figure.update_yaxes(range=[0, 55], side="right", row=1, col=3)
        figure.update_xaxes(title_text="training steps", title_standoff=5, range=[0, self.recipe.steps], row=2, col=3)
        figure.update_yaxes(side="right", row=2, col=3)
        return figure

    def draw(self, changed: frozenset[str]) -> None:
        super().draw(changed)
        self._draw_closed_forms()
        self._draw_map()

    def turned(self) -> list[tuple[Knobs, dict]]:
        return [(self.knobs, {name: self.values[name] for name in KNOBS})] if self.knobs is not None else []

    def _draw_map(self) -> None:
        waiting = self.subclass == NOBODY
        self.chart.set("not sorted", x=self.places[waiting, 0], y=self.places[waiting, 1])
        s = self.running or self.values["subclasses"]
        matches = np.full(2 * s, NOBODY) if self.matches is None else self.matches
        names = np.array(self.scene.kinds)
        for k in range(MAX_SUBCLASSES * len(self.scene.classes)):
            mine = self.subclass == k
            self.chart.set(f"subclass {k}", x=self.places[mine, 0], y=self.places[mine, 1])
            if mine.any():
                told = f"{self.scene.kind} %{{hovertext}}, in {self._name(k, s)}<extra></extra>"
                self.chart.restyle(f"subclass {k}", {"marker": self._dot(matches[k]), "hovertemplate": told,
                                                     "hovertext": names[self.hidden[mine]]})
        self._draw_usage(s, matches)

    def _name(self, k: int, s: int) -> str:
        """A subclass in words, of s per class."""
        return f"subclass {k % s + 1} of {self.scene.classes[k // s]}"

    def _dot(self, match: int) -> dict:
        """The marker of a subclass by its match; hollow if it is a further one of its kind."""
        further, kind = divmod(int(match), len(self.scene.kinds))
        return {"color": HIDDEN_COLOURS[kind], "symbol": HIDDEN_MARKERS[kind] + "-open" * further, "size": 6}

    def _draw_plane(self, population: Population | None = None) -> None:
        """Colour the plane by what the first member answers at each place; without one, by nothing."""
        if self.plane is None:
            return
        owners, x, y = np.full(SIDE**2, NOBODY), (), ()
        if population is not None:
            s, first = self.running, {name: values[:1] for name, values in population.parameters.items()}
            logits = Population.of(population.spec, first).predict(self.plane.inputs, SIDE**2)[0]
            owners = self.matches[logits.argmax(-1).numpy()]
            left, right = class_logits(logits, (s, s)).T.numpy()
            x, y = self.plane.border(left - right)
        tints = [(HIDDEN_COLOURS[kind], share * TINT) for share in (1, 0.5) for kind in range(len(self.scene.kinds))]
        self.chart.restyle("regions", {"source": picture(owners, tints)})
        self.chart.set("class line", x=x, y=y)

    def _draw_usage(self, s: int, matches: np.ndarray) -> None:
        """A bar per subclass, with a gap between the classes."""
        kinds = np.array([*self.scene.kinds * 2, ""])
        x = np.arange(2 * s) + 0.8 * (np.arange(2 * s) >= s)
        share = 100 * np.bincount(self.subclass[self.subclass >= 0], minlength=2 * s) / len(self.shown)
        self.chart.set("usage", x=x, y=share)
        self.chart.restyle("usage", {"marker": {"color": [HIDDEN_COLOURS[match % len(self.scene.kinds)] if match >= 0
                                                          else COLOURS["other"] for match in matches]},
                                     "hovertext": [self._name(k, s) for k in range(2 * s)]})
        # Where bars are narrow, the names under them take turns in two rows.
        names = ["<br>" * (s > 6 and k % 2) + kinds[match] if share[k] else "" for k, match in enumerate(matches)]
        self.chart.layout({"xaxis3": {"tickvals": x, "ticktext": names, "range": [-0.7, x[-1] + 0.7]},
                           "yaxis3": {"range": [0, max(55.0, 1.05 * share.max())]}})

    def _draw_closed_forms(self) -> None:
        forms = self._closed_forms()
        along = np.append(np.linspace(0, self.recipe.steps, 9), math.nan)       # so that all of a line can be hovered
        self.chart.set("closed forms", x=np.tile(along, len(forms)), y=np.repeat(list(forms.values()), len(along)))
        self.chart.restyle("closed forms", {"hovertext": [f"{name}: {FORMS[name]}" for name in forms for _ in along]})
        self._fit_closed_forms()

    def _fit_closed_forms(self) -> None:
        """The axis of the loss holds what was seen, and the bound only where that is not far away."""
        forms = self._closed_forms()
        seen = [value for part in PARTS for value in self.chart.points(f"auxiliary {part}")["y"]]
        low = min([forms["one-hot"], *seen, max(forms["bound"], 1.3 * forms["one-hot"])])
        span = [1.08 * low, -0.06 * low]
        ticks = _apart(forms, span)
        self.chart.layout({"yaxis4": {"range": span, "tickvals": list(ticks), "ticktext": list(ticks.values())}})

    def _closed_forms(self) -> dict[str, float]:
        t_aux = self.values["t_aux"]
        return closed_forms(self.running or self.values["subclasses"], t_aux) | {"bound": -1 / t_aux}

    @property
    def n_seeds(self) -> int:
        return len(self.seeds)

    # ---- the run ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        super().begin()
        self._begin_anew()
        clear_band(self.chart, "auxiliary")
        self.running = self.asked["subclasses"]
        self._draw_map()
        self._draw_plane()
        self._draw_closed_forms()

    def start(self) -> Iterator[Snapshot]:
        s = self.running
        self.knobs = Knobs(**{name: self.asked[name] for name in KNOBS})
        task = Task(self.scene.inputs, self.scene.labels, self.scene.pool, self.seeds)
        return train(Population(self.scene.network(s), self.seeds), task, subclass_teacher((s, s)), self.knobs,
                     self.recipe, every=20 if self.answering else 5)

    def observe(self, snapshot: Snapshot) -> None:
        s, now = self.running, {name: self.knobs[name] for name in KNOBS}
        logits = snapshot.population.predict(take(self.scene.inputs, self.scene.test))
        subclasses = logits.argmax(-1)
        labels, hidden = (take(values, self.scene.test) for values in (self.scene.labels, self.scene.hidden))
        self.found = Found(
            np.array([metrics.classes_used(one) for one in subclasses]),
            100 * np.array([metrics.hungarian_accuracy(*pair) for pair in zip(subclasses, hidden, strict=True)]),
            100 * metrics.accuracy(class_logits(logits, (s, s)), labels).numpy(),
            subclass_auxiliary(logits[:, :COMPARED], now["t_aux"]).numpy())
        self.measured = now | {"subclasses": s}
        self.subclass = subclasses[0].numpy()
        self.matches = match(self.subclass, self.hidden, 2 * s, len(self.scene.kinds), self.matches)
        grow_band(self.chart, "auxiliary", snapshot.step, self.found.aux)
        self._draw_map()
        self._draw_plane(snapshot.population)
        self._fit_closed_forms()

    def finish(self) -> None:
        self.knobs = None

    def forget(self) -> None:
        super().forget()
        self._begin_anew()

    def why_anew(self, changed: frozenset[str]) -> str:
        return "Other subclasses: other networks." if "subclasses" in changed else ""

    # ---- the words -------------------------------------------------------------------------------------------------

    def reading(self) -> str:
        now = self.measured or self.values
        setting = f"s = {now['subclasses']}, beta = {now['beta']:g}, T_aux = {now['t_aux']:.3g}"
        if self.found is None:
            return (f"{setting}: press Train, or let go of a control, and {len(self.seeds)} teachers learn "
                    f"{self.scene.told}. {self.scene.source}")
        found, total = self.found, 2 * now["subclasses"]
        note = " Beta or T_aux moved during this run." if self.mixed else ""
        if (self.matches >= len(self.scene.kinds)).any():
            note += f" Hollow: a further subclass of the same {self.scene.kind}."
        return (f"{setting}: told {self.scene.told} alone, teachers use {found.used.mean():.1f} of {total} subclasses, "
                f"auxiliary loss {found.aux.mean():.2f}; Hungarian accuracy on the {self.scene.kind}s "
                f"{_words(interval(found.hungarian))}, on the two classes {_words(interval(found.right))} "
                f"({len(self.seeds)} seeds). The maps are those of seed 0: {found.used[0]} subclasses, "
                f"{found.hungarian[0]:.1f}%.{note} {self.scene.source}")


def closed_forms(s: int, t_aux: float) -> dict[str, float]:
    """The auxiliary loss of two balanced classes with s subclasses each, in four configurations of their logits.

    collapse: all examples alike. one per class: one logit of each class stands out, the rest are equal. flat in class:
    all logits of an example's class are equally high. one-hot: one of the 2 s logits stands out, each equally often.
    """
    total = 2 * s

    def of(share: float, correlation: float) -> float:
        """A share of the batch looks like the example, the others have this correlation with it."""
        return math.log(share + (1 - share) * math.exp((correlation - 1) / t_aux))

    return {"collapse": 0.0, "one per class": of(0.5, -1 / (total - 1)), "flat in class": of(0.5, -1.0),
            "one-hot": of(1 / total, -1 / (total - 1))}


def _apart(forms: dict[str, float], span: list[float]) -> dict[float, str]:
    """Ticks with the names of the values inside the span; one too near the tick below stands above its name."""
    ticks: dict[float, str] = {}
    for name, value in sorted(forms.items(), key=lambda item: item[1]):
        if value < span[0]:
            continue
        words = f"{name} {value:.2f}"
        lines = 1 + ticks[max(ticks)].count("<br>") if ticks else 0
        if ticks and value - max(ticks) < 0.05 * (1 + lines) * (span[1] - span[0]):
            ticks[max(ticks)] = f"{words}<br>{ticks[max(ticks)]}"
        else:
            ticks[value] = words
    return ticks


def _words(effect: Effect) -> str:
    """A mean of percentages with its interval, which Student's t may let pass their ends."""
    if math.isnan(effect.low):
        return f"{effect.mean:.1f}%"
    return f"{effect.mean:.1f}% [{max(effect.low, 0):.1f}, {min(effect.high, 100):.1f}]"
