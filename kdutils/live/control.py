"""What a reader can change: a slider, a logarithmic slider, a choice. Each checks its values and makes its widget."""

import math
from dataclasses import dataclass
from numbers import Real

from kdutils.errors import ParameterError, between, one_of, positive

ROUND = (1, 1.1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3.2, 3.5, 4, 4.5, 5, 5.5, 6, 7, 8, 9)   # 20 to a decade


@dataclass(frozen=True)
class Slider:
    """Numbers from low to high in steps of `step`; whole numbers if all three are ints.

    name: the value's name in Python. label: its full words on the page. default: low if not given. step: 1 between two
    ints, else a hundredth of the way. help: a few plain words, shown on hover.
    """

    name: str
    label: str
    low: float = 0.0
    high: float = 1.0
    step: float | None = None
    default: float | None = None
    help: str = ""

    def __post_init__(self):
        _check_ends(self)
        if self.step is None:
            whole = isinstance(self.low, int) and isinstance(self.high, int)
            _settle(self, "step", 1 if whole else (self.high - self.low) / 100)
        positive(f"step of {self.name}", self.step)
        _settle(self, "default", self.accept(self.low if self.default is None else self.default))

    @property
    def whole(self) -> bool:
        """True if only whole numbers are meant."""
        return all(isinstance(n, int) for n in (self.low, self.high, self.step))

    def accept(self, value) -> int | float:
        """The value as a plain number; ParameterError if it is not allowed."""
        value = _number(self, value)
        if self.whole and value != int(value):
            raise ParameterError(f"{self.name} must be a whole number, got {value!r}.")
        return int(value) if self.whole else value

    def widget(self, value):
        """A slider of ipywidgets that holds `value`."""
        import ipywidgets as widgets

        kind, form = (widgets.IntSlider, "d") if self.whole else (widgets.FloatSlider, f".{_digits(self.step)}f")
        return kind(min=self.low, max=self.high, step=self.step, readout_format=form, value=value,
                    continuous_update=True, **_words(self))

    def show(self, widget, value) -> None:
        """Move the widget to an accepted value."""
        widget.value = value


@dataclass(frozen=True)
class LogSlider:
    """Positive numbers from low to high: by hand round ones, 20 to a decade, from Python any.

    name: the value's name in Python. label: its full words on the page. default: low if not given. help: on hover.
    """

    name: str
    label: str
    low: float
    high: float
    default: float | None = None
    help: str = ""

    def __post_init__(self):
        _check_ends(self)
        positive(f"low of {self.name}", self.low)
        _settle(self, "default", self.accept(self.low if self.default is None else self.default))

    def accept(self, value) -> float:
        """The value as a plain float; ParameterError if it is not allowed."""
        return _number(self, value)

    def round_values(self, *more: float) -> list[tuple[str, float]]:
        """What is offered, with words: round numbers, both ends, the default, and `more`."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        grid = {float(f"{mantissa}e{decade}") for decade in decades for mantissa in ROUND}
        values = {self.low, self.high, self.default, *more} | {n for n in grid if self.low <= n <= self.high}
        return [(f"{value:.4g}", float(value)) for value in sorted(values)]

    def widget(self, value):
        """A slider of ipywidgets that holds `value`."""
        import ipywidgets as widgets

        # Not FloatLogSlider: its grid starts at `low`, so that 4 is shown as 3.97.
        return widgets.SelectionSlider(options=self.round_values(value), value=value, continuous_update=True,
                                       **_words(self))

    def show(self, widget, value) -> None:
        """Move the widget to an accepted value, which it offers from now on."""
        if value not in dict(widget.options).values():
            widget.options = self.round_values(value)
        widget.value = value


@dataclass(frozen=True)
class Choice:
    """One of `options`; the first one if no default is given. name, label and help as for sliders."""

    name: str
    label: str
    options: tuple
    default: object = None
    help: str = ""

    def __post_init__(self):
        if not self.options:
            raise ParameterError(f"The choice {self.name!r} needs options.")
        _settle(self, "default", self.accept(self.options[0] if self.default is None else self.default))

    def accept(self, value):
        """The option that equals `value`; ParameterError if there is none."""
        return self.options[self.options.index(one_of(self.name, value, self.options))]

    def widget(self, value):
        """A menu of ipywidgets that holds `value`."""
        import ipywidgets as widgets

        return widgets.Dropdown(options=[(str(option), option) for option in self.options], value=value, **_words(self))

    def show(self, widget, value) -> None:
        """Move the widget to an accepted value."""
        widget.value = value


def Control(name: str, label: str, kind: str = "slider", **more) -> Slider | LogSlider | Choice:
    """The control of this kind: "slider", "log" or "choice"."""
    made = {"slider": Slider, "log": LogSlider, "choice": Choice}[one_of("kind", kind, ("slider", "log", "choice"))]
    if made is LogSlider:
        more.pop("step", None)
    return made(name, label, **more)


def _check_ends(control: Slider | LogSlider) -> None:
    if not control.low < control.high:
        raise ParameterError(f"{control.name}: low must be < high, got {control.low!r} and {control.high!r}.")


def _settle(control, name: str, value) -> None:
    """Set a field of a frozen control while it is being made."""
    object.__setattr__(control, name, value)


def _number(control: Slider | LogSlider, value) -> float:
    """The value as a plain float between the control's ends; ParameterError if it is none."""
    if not isinstance(value, Real) and getattr(value, "ndim", None) == 0:
        value = value.item()      # a number out of a tensor
    if isinstance(value, Real) and not isinstance(value, bool):
        value = float(value)
    # Sliders compute in floating point: their ends may come out a hair beyond.
    for end in (control.low, control.high):
        if isinstance(value, float) and math.isclose(value, end, rel_tol=1e-9, abs_tol=1e-12):
            value = float(end)
    return between(control.name, value, control.low, control.high)


def _words(control: Slider | LogSlider | Choice) -> dict:
    return {"description": control.label, "tooltip": control.help, "style": {"description_width": "initial"}}


def _digits(step: float) -> int:
    """How many decimals a slider with this step needs: 0.25 -> 2, 0.1 -> 1, 2.0 -> 0."""
    return next(n for n in range(12) if n == 11 or math.isclose(step * 10**n, round(step * 10**n), abs_tol=1e-9))
