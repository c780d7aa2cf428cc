"""Every panel and every figure of the course, small: what the browser's tests look at."""

import importlib
import inspect
from collections.abc import Iterator

from kdutils.course.predict import Prediction
from kdutils.lessons import catalog
from kdutils.live.panel import Panel
from kdutils.plots import Plot

# What makes a panel quick to build; a look needs no dozen seeds.
SMALL = {
    "TemperatureLab": {"seeds": 2}, "ToleranceLab": {"seeds": 2}, "SecondariesPanel": {"seeds": 1},
    "FamilyTree": {"seeds": 2}, "SplitMyClass": {"data": "toy", "seeds": 2}, "FewLabelsRace": {"seeds": 2},
    "ConfidenceMeter": {"seeds": 2, "teacher_steps": 50}, "GazeLab": {"seeds": 2, "teacher_steps": 50},
    "PoisonLabels": {"seeds": 2}, "LongTail": {"seeds": 2}, "MethodRace": {"seeds": 1},
}
# Figures of other results than their lesson's own.
OTHERS = {"inside_groups": "tolerant_teachers.fashion_mnist", "click_curves": "subclass_distillation.clicks",
          "second_scale": "extracurricular_learning.fashion"}
QUESTION = Prediction("Moved by a pixel, the student's answer changes. By how much, and for which images?",
                      ["more: more images carry more messages than a narrow network can keep apart at one time",
                       "much less", "not at all"], "much less", "It is so.")


def panels() -> dict[str, type[Panel]]:
    """Every panel of every lesson by name."""
    return {one.__name__: one for one in sorted(catalog.panels(), key=lambda one: one.__name__)}


def panel(name: str) -> Panel:
    return panels()[name](**SMALL.get(name, {}))


def figures() -> list[tuple[str, str]]:
    """(lesson, function) of every figure that is made of a lesson's results alone."""
    return [(lesson, name) for lesson in catalog.LESSONS for name, _ in _makers(lesson)
            if catalog.recorded_at(lesson).exists()]


def figure(lesson: str, name: str) -> Plot:
    return dict(_makers(lesson))[name](catalog.recorded(OTHERS.get(name, lesson)))


def _makers(lesson: str) -> Iterator:
    module = importlib.import_module(f"kdutils.lessons.{lesson}.figures")
    for name, function in inspect.getmembers(module, inspect.isfunction):
        needed = [one.name for one in inspect.signature(function).parameters.values()
                  if one.default is inspect.Parameter.empty]
        if function.__module__ == module.__name__ and needed == ["results"] \
                and inspect.signature(function).return_annotation in (Plot, "Plot"):
            yield name, function
