"""A panel: at most three controls, a live figure, a status line and one sentence that reads the figure aloud.

A subclass says which controls there are, how the figure looks and how values become data. Everything else is here, so
that every panel of the course works by hand, by keyboard, from Python, and without a browser.
"""

import html
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from numbers import Real
from types import MappingProxyType

import plotly.graph_objects as go

from kdutils.errors import ParameterError, between, one_of, positive
from kdutils.headless import headless
from kdutils.live.chart import Chart

log = logging.getLogger(__name__)
KINDS = ("slider", "log", "choice")
ROUND = (1, 1.1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3.2, 3.5, 4, 4.5, 5, 5.5, 6, 7, 8, 9)   # 20 to a decade


@dataclass(frozen=True)
class Control:
    """One thing that a reader can change.

    name:    the value's name in Python. label: its full words on the page. help: a few plain words, shown on hover.
    kind:    "slider": numbers from low to high in steps of `step`, whole numbers if all three are ints;
             "log": positive numbers from low to high; by hand round ones, 20 to a decade, from Python any;
             "choice": one of `options`.
    default: low, or the first option, if not given.
    """

    name: str
    label: str
    kind: str = "slider"
    low: float = 0.0
    high: float = 1.0
    step: float | None = None
    options: tuple = ()
    default: float | str | None = None
    help: str = ""

    def __post_init__(self):
        one_of("kind", self.kind, KINDS)
        if self.kind == "choice":
            if not self.options:
                raise ParameterError(f"The choice {self.name!r} needs options.")
        elif not self.low < self.high:
            raise ParameterError(f"{self.name}: low must be < high, got {self.low!r} and {self.high!r}.")
        if self.kind == "log":
            positive(f"low of {self.name}", self.low)
        if self.kind == "slider" and self.step is None:
            whole = isinstance(self.low, int) and isinstance(self.high, int)
            object.__setattr__(self, "step", 1 if whole else (self.high - self.low) / 100)
        if self.kind == "slider":
            positive(f"step of {self.name}", self.step)
        first = self.options[0] if self.kind == "choice" else self.low
        object.__setattr__(self, "default", self.accept(first if self.default is None else self.default))

    @property
    def whole(self) -> bool:
        """True if only whole numbers are meant."""
        return self.kind == "slider" and all(isinstance(n, int) for n in (self.low, self.high, self.step))

    def accept(self, value):
        """The value as a plain int, float or option; ParameterError if it is not allowed."""
        if self.kind == "choice":
            return self.options[self.options.index(one_of(self.name, value, self.options))]
        if not isinstance(value, Real) and getattr(value, "ndim", None) == 0:
            value = value.item()      # a number out of a tensor
        if isinstance(value, Real) and not isinstance(value, bool):
            value = float(value)
        # Sliders compute in floating point: their ends may come out a hair beyond.
        for end in (self.low, self.high):
            if isinstance(value, float) and math.isclose(value, end, rel_tol=1e-9, abs_tol=1e-12):
                value = float(end)
        between(self.name, value, self.low, self.high)
        if self.whole and value != int(value):
            raise ParameterError(f"{self.name} must be a whole number, got {value!r}.")
        return int(value) if self.whole else value

    def round_values(self, *more: float) -> list[tuple[str, float]]:
        """What a logarithmic slider offers, with words: round numbers, both ends, the default, and `more`."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        grid = {float(f"{mantissa}e{decade}") for decade in decades for mantissa in ROUND}
        values = {self.low, self.high, self.default, *more} | {n for n in grid if self.low <= n <= self.high}
        return [(f"{value:.4g}", float(value)) for value in sorted(values)]

    def widget(self, value):
        """A control of ipywidgets that holds `value`."""
        import ipywidgets as widgets

        common = {"description": self.label, "tooltip": self.help, "style": {"description_width": "initial"}}
        if self.kind == "choice":
            return widgets.Dropdown(options=[(str(option), option) for option in self.options], value=value, **common)
        common |= {"value": value, "continuous_update": True}
        if self.kind == "log":
            # Not FloatLogSlider: its grid starts at `low`, so that 4 is shown as 3.97.
            return widgets.SelectionSlider(options=self.round_values(value), **common)
        kind, form = (widgets.IntSlider, "d") if self.whole else (widgets.FloatSlider, f".{_digits(self.step)}f")
        return kind(min=self.low, max=self.high, step=self.step, readout_format=form, **common)


def _digits(step: float) -> int:
    """How many decimals a slider with this step needs: 0.25 -> 2, 0.1 -> 1, 2.0 -> 0."""
    return next(n for n in range(12) if n == 11 or math.isclose(step * 10**n, round(step * 10**n), abs_tol=1e-9))


class Debouncer:
    """Calls `action(names)` once, `delay` seconds after the last `touch`, in a thread that then ends."""

    def __init__(self, delay: float, action: Callable[[frozenset[str]], None]):
        self._delay, self._action = delay, action
        self._changed = threading.Condition()
        self._names: frozenset[str] = frozenset()
        self._due = 0.0
        self._thread: threading.Thread | None = None

    def touch(self, names: frozenset[str]) -> None:
        with self._changed:
            self._names |= names
            self._due = time.monotonic() + self._delay
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="kdutils-released", daemon=True)
                self._thread.start()

    def cancel(self) -> None:
        with self._changed:
            self._names = frozenset()
            self._changed.notify_all()

    def _run(self) -> None:
        while names := self._next():
            self._action(names)

    def _next(self) -> frozenset[str]:
        """Wait until it is quiet; no names: cancelled, or nothing came while the action ran."""
        with self._changed:
            while self._names and (left := self._due - time.monotonic()) > 0:
                self._changed.wait(left)
            names, self._names = self._names, frozenset()
            if not names:
                self._thread = None
            return names


class Panel:
    """Controls around one live figure.

    A subclass gives `title`, `controls`, `presets` ({name: {control: value}}) and the methods build_figure, draw and
    reading; more state belongs into its __init__, before super().__init__(**values). No two of its methods run at the
    same time, except check, which sees plain values only.

    A panel is the same from Python (`panel.set(temperature=8)`) as by hand. Named as the last line of a cell it shows
    itself: alive where a reader can act on it, once as a static picture where a program runs the notebook.

    Errors: ParameterError with one sentence for a wrong value or an unknown name. From Python it is raised and nothing
    has changed; by hand the sentence appears in the status line and the control goes back.
    """

    title: str = ""
    controls: tuple[Control, ...] = ()
    presets: Mapping[str, Mapping] = MappingProxyType({})
    delay = 0.15      # seconds of quiet after which a control counts as released

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        names = [control.name for control in cls.controls]
        if len(names) > 3 or len(set(names)) < len(names):
            raise TypeError(f"{cls.__name__} must have at most 3 controls with different names, got {names}.")
        for name, values in cls.presets.items():
            try:
                cls._accepted(values)
            except ParameterError as error:
                raise TypeError(f"Preset {name!r} of {cls.__name__}: {error}") from error

    def __init__(self, **values):
        self._turn = threading.RLock()     # one change of values at a time
        self._work = threading.RLock()     # one method of the subclass at a time
        self._values = {control.name: control.default for control in self.controls} | self._accepted(values)
        self.check(self._values)
        self._opened_with = dict(self._values)
        self._widget = None
        self._inputs: dict = {}
        self._shows: int | None = None     # the thread that moves the controls just now
        self._words = threading.RLock()    # one status or reading at a time on its way to the page
        self._status, self._tone = "", ""
        self._calm = ("", "")              # the status to return to when a refused value was put right
        self._debouncer = Debouncer(self.delay, partial(self._try, self.released))
        self.error: Exception | None = None     # what last went wrong in a callback or a run
        self.prepare()
        self.chart = Chart(self.build_figure())
        self._refresh(frozenset(self._values))
        self._say(self._invitation())

    # ---- for subclasses -------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Called once, when the first values have been accepted: the place for what takes long, such as teachers."""

    def build_figure(self) -> go.Figure:
        """The empty figure: every trace with its uid, axes, titles. `values` are known, data is not needed."""
        raise TypeError(f"{type(self).__name__} must define build_figure().")

    def draw(self, changed: frozenset[str]) -> None:
        """Values changed: put into the chart what follows from them. Called with all names at the start."""

    def reading(self) -> str:
        """One sentence that says in words what the figure shows now."""
        return ""

    def check(self, values: Mapping) -> None:
        """Raise ParameterError if values that are allowed one by one do not go together."""

    def released(self, changed: frozenset[str]) -> None:
        """A reader moved controls and let them rest for `delay` seconds: the moment for work too slow for `draw`.

        Runs in a helper thread that ends afterwards, only after changes by hand, never after set().
        """

    # ---- from Python ----------------------------------------------------------------------------------------------

    @property
    def values(self) -> Mapping:
        """The values now, by name; read-only. A new mapping for each change: one that you hold never changes."""
        return MappingProxyType(self._values)

    @property
    def status(self) -> str:
        """The sentence in the status line."""
        return self._status

    def set(self, **values) -> None:
        """Change values; all are checked before the first one changes."""
        self._debouncer.cancel()
        self._change(values)

    def preset(self, name: str) -> None:
        """Set the values of a named preset; controls that it does not name stay."""
        self.set(**self.presets[one_of("preset", name, self.presets)])

    def reset(self) -> None:
        """Back to the values that the panel was opened with."""
        self.set(**self._opened_with)

    # ---- on the page ----------------------------------------------------------------------------------------------

    @property
    def widget(self):
        """The panel as one widget, made when first asked for."""
        with self._turn:
            if self._widget is None:
                self._widget = self._build_widget()
            return self._widget

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self._repr_mimebundle_(), raw=True)
        if headless():
            from kdutils.plots.base import caption

            display(caption(self.reading()))

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        if headless():
            return self._static_bundle()
        words = f"{self.title}: {self.reading()} (A live panel: run the cell to use it.)"
        return {"text/plain": words,
                "application/vnd.jupyter.widget-view+json": {"version_major": 2, "version_minor": 0,
                                                             "model_id": self.widget.model_id}}

    def _static_bundle(self) -> dict:
        from kdutils.plots.static import bundle
        return bundle(self.chart.figure(), self.reading())

    def _build_widget(self):
        import ipywidgets as widgets

        from kdutils.live.live_figure import LiveText

        for control in self.controls:
            entry = control.widget(self._values[control.name])
            entry.observe(partial(self._moved, control), names="value")
            self._inputs[control.name] = entry
        presets = [self._button(name, partial(self._by_hand, values))
                   for name, values in self.presets.items()]
        reset = self._button("Reset", self.reset, help="Back to the values that the panel was opened with")
        self._status_line = LiveText(look="kd-status", spoken=True, text=self._status, state=self._tone,
                                     help=self._help())
        self._reading_line = LiveText(look="kd-reading", text=self.reading())
        title = widgets.HTML(f'<div class="kd-title" role="heading" aria-level="3">{html.escape(self.title)}</div>')
        self.chart.view.layout.width = "100%"
        controls = _row("kd-controls", self._inputs.values())
        buttons = _row("kd-bar", [*self._rows(), _row("kd-buttons kd-presets", [*presets, reset])])
        card = widgets.VBox([title, controls, buttons, self._status_line, self.chart.view, self._reading_line])
        return card.add_class("kd-panel")

    def _rows(self) -> list:
        """More groups of buttons, before the presets."""
        return []

    def _button(self, label: str, action: Callable[[], None], help: str = "", icon: str = "", style: str = ""):
        import ipywidgets as widgets

        button = widgets.Button(description=label, tooltip=help, icon=icon, button_style=style)
        button.on_click(lambda _: self._try(action))
        return button

    def _invitation(self) -> str:
        """The status of a panel that waits for its reader."""
        return "Move a control: the figure follows."

    def _help(self) -> str:
        """What hovering over the status line explains."""
        return ""

    # ---- inside ---------------------------------------------------------------------------------------------------

    @classmethod
    def _accepted(cls, values: Mapping) -> dict:
        known = {control.name: control for control in cls.controls}
        for name in values:
            if name not in known:
                raise ParameterError(f"{cls.__name__} has no control {name!r}; it has {', '.join(known) or 'none'}.")
        return {name: known[name].accept(value) for name, value in values.items()}

    def _change(self, values: Mapping) -> frozenset[str]:
        with self._turn:
            accepted = self._accepted(values)
            changed = frozenset(name for name in accepted if accepted[name] != self._values[name])
            if not changed:
                return changed
            wanted = {**self._values, **accepted}
            self.check(wanted)
            self._values = wanted
            self._show_values()
            if self._tone == "refused":
                self._say(*self._calm)
        # Outside the lock: drawing may take its time, and reads the values that are newest then.
        self._changed(changed)
        return changed

    def _changed(self, changed: frozenset[str]) -> None:
        self._refresh(changed)

    def _moved(self, control: Control, change) -> None:
        """A control moved on the page, or in `_show_values`."""
        if self._shows != threading.get_ident():
            self._try(self._by_hand, {control.name: change["new"]})

    def _by_hand(self, values: Mapping) -> None:
        changed = self._change(values)
        if changed and type(self).released is not Panel.released:
            self._debouncer.touch(changed)

    def _show_values(self) -> None:
        """Move the controls on the page to the values; what they report meanwhile, in this thread, is no news."""
        self._shows = threading.get_ident()
        try:
            for control in self.controls:
                entry, value = self._inputs.get(control.name), self._values[control.name]
                if entry is None or entry.value == value:
                    continue
                with entry.hold_sync():
                    if control.kind == "log" and value not in dict(entry.options).values():
                        entry.options = control.round_values(value)
                    entry.value = value
        finally:
            self._shows = None

    def _try(self, action: Callable, *arguments) -> None:
        """What a reader asked for by hand: what goes wrong is said in the status line, and the panel stays usable."""
        try:
            action(*arguments)
        except ParameterError as error:
            with self._turn:
                self._show_values()
                self._say(str(error), "refused")
        except Exception as error:
            self.error = error
            self._say(f"That did not work: {_sentence(error)}", "failed")
            log.exception("A callback of %s failed", type(self).__name__)

    def _refresh(self, changed: frozenset[str]) -> None:
        with self._work:
            self.draw(changed)
            self._show()

    def _show(self) -> None:
        """The figure and its reading, as they are now."""
        with self._work:
            reading = self.reading()
            self.chart.describe(reading)
            self.chart.push()
        with self._words:
            if self._widget is not None:
                self._reading_line.text = reading

    def _say(self, status: str, tone: str = "", busy: bool = False) -> None:
        """Put a sentence into the status line. tone: "", "refused" or "failed"; busy: more sentences follow soon."""
        with self._words:
            self._status, self._tone = status, tone
            if tone != "refused":
                self._calm = (status, tone)
            if self._widget is not None:
                with self._status_line.hold_sync():     # one message
                    line = self._status_line
                    line.text, line.state, line.busy = status, tone, busy


def _row(look: str, children):
    import ipywidgets as widgets
    row = widgets.Box(list(children))
    for name in look.split():
        row.add_class(name)
    return row


def _sentence(error: Exception) -> str:
    """The error in one line: its own words if it is ours, else its kind too."""
    words = " ".join(str(error).split())
    return words if isinstance(error, ParameterError) else f"{type(error).__name__}: {words or 'no message'}"
