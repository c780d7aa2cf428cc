"""Every panel of the course, small enough that the contract of panels can be asked of each."""

import math
from dataclasses import dataclass
from functools import cache

import showcase

from kdutils.lessons import catalog
from kdutils.live.answering import AnsweringPanel
from kdutils.live.control import Choice, Control, Slider
from kdutils.live.panel import Panel
from kdutils.live.training_panel import TrainingPanel

# Beside what showcase says: runs of a moment.
QUICK = {
    "TemperatureLab": {"steps": 30}, "ToleranceLab": {"steps": 30}, "SecondariesPanel": {"steps": 60},
    "FamilyTree": {"generations": 2, "steps": 20, "transfer": 60}, "SplitMyClass": {"steps": 30},
    "FewLabelsRace": {"steps": 30}, "ConfidenceMeter": {"steps": 30, "teacher_steps": 20, "width": 32},
    "GazeLab": {"steps": 30, "labels": 80, "own": 30, "teacher_steps": 60, "queries": 50},
    "PoisonLabels": {"steps": 30, "images": 60}, "LongTail": {"steps": 30}, "MethodRace": {"steps": 5},
}
# Where a snapshot is a generation, or a share of all steps.
APART = {"FamilyTree", "LongTail", "MethodRace", "PoisonLabels"}


@dataclass(frozen=True)
class Case:
    """A panel of the course; more: with what it is made in place of what showcase says."""

    kind: type[Panel]
    more: tuple[tuple[str, object], ...] = ()

    def __str__(self) -> str:
        return " ".join([self.kind.__name__, *(str(value) for _, value in self.more)])

    @property
    def arguments(self) -> dict:
        name = self.kind.__name__
        return showcase.SMALL.get(name, {}) | QUICK.get(name, {}) | dict(self.more)

    def make(self, **values) -> Panel:
        """A new one. A step under way is waited for, however busy the machine."""
        panel = self.kind(**self.arguments | values)
        panel.patience = 60.0
        return panel


CASES = [Case(kind) for kind in catalog.panels()]
CASES += [Case(one.kind, (("data", "digits"),)) for one in CASES if one.arguments.get("data") == "toy"]
STILL = [case for case in CASES if not issubclass(case.kind, TrainingPanel)]
TRAINING = [case for case in CASES if issubclass(case.kind, TrainingPanel)]
ANSWERING = [case for case in CASES if issubclass(case.kind, AnsweringPanel)]


@cache
def shared(case: Case) -> Panel:
    """The one that tests share, opened with other values than the defaults: it is reset after each."""
    return case.make(**{control.name: another(control, control.default) for control in case.kind.controls})


@cache
def endless(case: Case) -> Panel:
    """Shared too: a run goes on until it is stopped, at full speed, or where snapshots lie far apart, slowly."""
    if case.kind.__name__ not in APART:
        return case.make(steps=1_000_000, full_speed=True)
    panel = case.make()
    panel.pace = 0.01
    return panel


def wrong_values(control: Control) -> list:
    """What a control must refuse: what is no number or no option, what is beyond its ends or between its steps."""
    wrong = [math.nan, math.inf, None, True, "no such value", [1.0]]
    if isinstance(control, Choice):
        numbers = [option for option in control.options if isinstance(option, int)]
        wrong += [min(numbers) - 1, max(numbers) + 1, min(numbers) + 0.5] if numbers else ["", 0]
        return [value for value in wrong if value not in control.options]
    wrong += [control.low - 0.1, control.high + 1, -abs(control.high)] if control.low >= 0 else [
        control.low - 0.1, control.high + 1]
    return wrong + ([control.low + 0.5] if isinstance(control, Slider) and control.whole else [])


def allowed_values(control: Control) -> list:
    """Some values that a control has, the ends among them."""
    if isinstance(control, Choice):
        return list(control.options)
    middle = (control.low + control.high) / 2
    return [control.low, int(middle) if isinstance(control, Slider) and control.whole else middle, control.high]


def another(control: Control, now):
    """An allowed value that is not `now`, and that the page offers."""
    values = control.options if isinstance(control, Choice) else (control.low, control.high)
    return next(value for value in values if value != now)


def looks(panel: Panel) -> tuple[str, str]:
    """All that a panel shows: its figure and the sentence beneath."""
    return panel.chart.figure().to_json(), panel.reading()
