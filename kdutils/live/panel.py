"""A panel: at most three controls, a live figure, a status line and one sentence that reads the figure aloud.

A subclass says which controls there are, how the figure looks and how values become data. Everything else is here, so
that every panel of the course works by hand, by keyboard, from Python, and without a browser.
"""

import html
import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import plotly.graph_objects as go

from kdutils.errors import ParameterError, one_of
from kdutils.headless import headless
from kdutils.live.boxes import row_of
from kdutils.live.chart import Chart
from kdutils.live.control import Choice, Control, LogSlider, Slider  # noqa: F401 (Control: lessons take it from here)
from kdutils.live.debouncer import Debouncer
from kdutils.live.lifetime import close_widgets, shown
from kdutils.live.moment import Moment

log = logging.getLogger(__name__)


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
    controls: tuple[Slider | LogSlider | Choice, ...] = ()
    presets: Mapping[str, Mapping] = MappingProxyType({})
    static_presets: tuple[str, ...] = ()    # shown, folded, where nobody can move a control; without names, two are
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
        self.lock = threading.RLock()      # one method of the subclass at a time
        self._turn = threading.RLock()     # one change of values at a time
        self._moment = Moment()            # the values that are drawn just now, as this thread sees them
        self._values = {control.name: control.default for control in self.controls} | self._accepted(values)
        self.check(self._values)
        self.opened_with = MappingProxyType(dict(self._values))
        self._widget = None
        self.inputs: dict = {}             # the widget of each control, once there is a page
        self._shows: int | None = None     # the thread that moves the controls just now
        self._words = threading.RLock()    # one status or reading at a time on its way to the page
        self._status, self._tone = "", ""
        self._calm = ("", "")              # the status to return to when a refused value was put right
        self._debouncer = Debouncer(self.delay, partial(self.attempt, self.released))
        self.error: Exception | None = None     # what last went wrong in a callback or a run
        self.prepare()
        self.chart = Chart(self.build_figure())
        self.refresh(frozenset(self._values))
        self.say(self.invitation())

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

    def formula(self) -> str:
        """What is computed, in one line, with the numbers of this moment; those of the controls between ⟦ and ⟧."""
        return ""

    def check(self, values: Mapping) -> None:
        """Raise ParameterError if values that are allowed one by one do not go together."""

    def released(self, changed: frozenset[str]) -> None:
        """A reader moved controls and let them rest for `delay` seconds: the moment for work too slow for `draw`.

        Runs in a helper thread that ends afterwards, only after changes by hand, never after set().
        """

    # ---- for kinds of panels --------------------------------------------------------------------------------------

    def moved(self, changed: frozenset[str]) -> None:
        """A reader moves controls just now. By default the panel waits until they rest, then calls `released`."""
        if type(self).released is not Panel.released:
            self._debouncer.touch(changed)

    def values_changed(self, changed: frozenset[str]) -> None:
        """Values have changed: draw what follows, here and now."""
        self.refresh(changed)

    def before_static(self) -> None:
        """The panel is about to be shown where nobody can act on it: what should its figure have?"""

    def before_preset(self) -> None:
        """The same after a preset was set."""

    def change(self, values: Mapping) -> frozenset[str]:
        """Change values, all or none; the names of those that are others now."""
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
                self.say(*self._calm)
        # Outside the lock: drawing may take its time, and reads the values that are newest then.
        self.values_changed(changed)
        return changed

    def refresh(self, changed: frozenset[str]) -> None:
        """Draw what follows from changed values, and show it."""
        with self.lock, self._moment.of(self._values):
            self.draw(changed)
            self.show()

    def words(self) -> str:
        """What stands under the figure: its reading."""
        return self.reading()

    def show(self) -> None:
        """The figure and its reading, as they are now."""
        with self.lock, self._moment.of(self._values):
            reading, formula = self.words(), self.formula()
            self.chart.describe(reading)
            self.chart.push()
        with self._words:
            if self._widget is not None:
                self._reading_line.text = reading
                if self._formula_line is not None:
                    self._formula_line.text = formula

    def say(self, status: str, tone: str = "", busy: bool = False) -> None:
        """Put a sentence into the status line. tone: "", "refused" or "failed"; busy: more sentences follow soon."""
        with self._words:
            self._status, self._tone = status, tone
            if tone != "refused":
                self._calm = (status, tone)
            if self._widget is not None:
                with self._status_line.hold_sync():     # one message
                    line = self._status_line
                    line.text, line.state, line.busy = status, tone, busy

    def attempt(self, action: Callable, *arguments) -> None:
        """What a reader asked for by hand: what goes wrong is said in the status line, and the panel stays usable."""
        try:
            action(*arguments)
        except ParameterError as error:
            with self._turn:
                self._show_values()
                self.say(str(error), "refused")
        except Exception as error:
            self.complain(error)

    def complain(self, error: Exception) -> None:
        """Say that something went wrong by hand; the panel stays usable."""
        self.error = error
        self.say(f"That did not work: {sentence(error)}", "failed")
        log.error("A callback of %s failed", type(self).__name__, exc_info=error)

    def cancel_release(self) -> None:
        """Controls that were moved a moment ago no longer count as about to be released."""
        self._debouncer.cancel()

    def toolbar(self) -> list:
        """More groups of buttons, before the presets."""
        return []

    def button(self, label: str, action: Callable[[], None], help: str = "", icon: str = "", style: str = ""):
        """A button that attempts the action."""
        import ipywidgets as widgets

        button = widgets.Button(description=label, tooltip=help, icon=icon, button_style=style)
        button.on_click(lambda _: self.attempt(action))
        return button

    def invitation(self) -> str:
        """The status of a panel that waits for its reader."""
        return "Move a control: the figure follows."

    def hint(self) -> str:
        """What hovering over the status line explains."""
        return ""

    # ---- from Python ----------------------------------------------------------------------------------------------

    @property
    def values(self) -> Mapping:
        """The values now, while a figure is drawn those that it shows; read-only. What you hold never changes."""
        return MappingProxyType(self._moment.values or self._values)

    @property
    def status(self) -> str:
        """The sentence in the status line."""
        return self._status

    def set(self, **values) -> None:
        """Change values; all are checked before the first one changes."""
        self.cancel_release()
        self.change(values)

    def preset(self, name: str) -> None:
        """Set the values of a named preset; controls that it does not name stay."""
        self.set(**self.presets[one_of("preset", name, self.presets)])

    def reset(self) -> None:
        """Back to the values that the panel was opened with."""
        self.set(**self.opened_with)

    def close(self) -> None:
        """Take the panel off its page and free what that took. From Python it goes on; shown again it is a new one."""
        self.cancel_release()
        with self._turn, self._words:
            card, self._widget, self.inputs = self._widget, None, {}
        self.chart.close()
        if card is not None:
            close_widgets(card)

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

        shown(self)
        display(self._repr_mimebundle_(), raw=True)
        if headless():
            from kdutils.live.settings import folded
            from kdutils.plots.base import caption

            display(caption(self.reading()))
            if others := folded(self):
                display(others, raw=True)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        if headless():
            return self._static_bundle()
        words = f"{self.title}: {self.words()} (A live panel: run the cell to use it.)"
        return {"text/plain": words,
                "application/vnd.jupyter.widget-view+json": {"version_major": 2, "version_minor": 0,
                                                             "model_id": self.widget.model_id}}

    def _static_bundle(self) -> dict:
        from kdutils.plots.static import bundle

        self.before_static()
        return bundle(self.chart.figure(), self.reading())

    def _build_widget(self):
        import ipywidgets as widgets

        from kdutils.live.card import CardTools, asked_on_stage
        from kdutils.live.live_figure import LiveText

        for control in self.controls:
            entry = control.widget(self._values[control.name])
            entry.observe(partial(self._moved, control), names="value")
            self.inputs[control.name] = entry
        presets = [self.button(name, partial(self._by_hand, values)) for name, values in self.presets.items()]
        reset = self.button("Reset", self.reset, help="Back to the values that the panel was opened with")
        self._status_line = LiveText(look="kd-status", spoken=True, text=self._status, state=self._tone,
                                     help=self.hint())
        self._reading_line = LiveText(look="kd-reading", text=self.words())
        formula = self.formula()
        self._formula_line = LiveText(look="kd-formula", text=formula) if formula else None
        title = widgets.HTML(f'<div class="kd-title" role="heading" aria-level="3">{html.escape(self.title)}</div>')
        self.chart.view.layout.width = "100%"
        controls = row_of("kd-controls", self.inputs.values())
        buttons = row_of("kd-bar", [*self.toolbar(), row_of("kd-buttons kd-presets", [*presets, reset])])
        head = row_of("kd-head", [title, self._status_line, CardTools(lines=list(asked_on_stage(self)))])
        lines = [head, controls, buttons, self._formula_line, self.chart.view, self._reading_line]
        card = widgets.VBox([line for line in lines if line is not None])
        return card.add_class("kd-panel")

    # ---- inside ---------------------------------------------------------------------------------------------------

    @classmethod
    def _accepted(cls, values: Mapping) -> dict:
        known = {control.name: control for control in cls.controls}
        for name in values:
            if name not in known:
                raise ParameterError(f"{cls.__name__} has no control {name!r}; it has {', '.join(known) or 'none'}.")
        return {name: known[name].accept(value) for name, value in values.items()}

    def _moved(self, control: Control, change) -> None:
        """A control moved on the page, or in `_show_values`."""
        if self._shows != threading.get_ident():
            self.attempt(self._by_hand, {control.name: change["new"]})

    def _by_hand(self, values: Mapping) -> None:
        changed = self.change(values)
        if changed:
            self.moved(changed)

    def _show_values(self) -> None:
        """Move the controls on the page to the values; what they report meanwhile, in this thread, is no news."""
        self._shows = threading.get_ident()
        try:
            for control in self.controls:
                entry, value = self.inputs.get(control.name), self._values[control.name]
                if entry is None or entry.value == value:
                    continue
                with entry.hold_sync():
                    control.show(entry, value)
        finally:
            self._shows = None


def sentence(error: Exception) -> str:
    """The error in one line: its own words if it is ours, else its kind too."""
    words = " ".join(str(error).split())
    return words if isinstance(error, ParameterError) else f"{type(error).__name__}: {words or 'no message'}"
