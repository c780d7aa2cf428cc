"""Every panel and every figure of the course, small: what the browser's tests look at."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import nbformat

from kdutils.course.predict import Prediction
from kdutils.datasets import load
from kdutils.lessons import catalog
from kdutils.lessons.examples import usual_examples
from kdutils.lessons.start_here import experiment as start_here
from kdutils.lessons.start_here.figures import learning_curves
from kdutils.live.panel import Panel
from kdutils.plots import Plot, digit_gallery

# What makes a panel quick to build; a look needs no dozen seeds.
SMALL = {
    "TemperatureLab": {"seeds": 2}, "ToleranceLab": {"seeds": 2}, "SecondariesPanel": {"seeds": 1},
    "FamilyTree": {"seeds": 2}, "FewLabelsRace": {"seeds": 2},
    "SplitMyClass": {"data": "toy", "subclasses": 4, "t_aux": 0.2, "seeds": 2},
    "ConfidenceMeter": {"seeds": 2, "teacher_steps": 50}, "GazeLab": {"seeds": 2, "teacher_steps": 50},
    "PoisonLabels": {"seeds": 2}, "LongTail": {"seeds": 2}, "MethodRace": {"seeds": 1},
}
# What pages call the recordings that they draw, where it is not the recording's own name.
OTHER_NAMES = {"results": "", "clicked": ".clicks", "tolerant_teachers fashion": ".fashion_mnist"}
QUESTION = Prediction("Moved by a pixel, the student's answer changes. By how much, and for which images?",
                      ["more: more images carry more messages than a narrow network can keep apart at one time",
                       "much less", "not at all"], "much less", "It is so.")


def panels() -> dict[str, type[Panel]]:
    """Every panel of every lesson by name."""
    return {kind.__name__: kind for kind in sorted(catalog.panels(), key=lambda kind: kind.__name__)}


def panel(name: str) -> Panel:
    return panels()[name](**SMALL.get(name, {}))


def shown(name: str) -> Panel:
    """The panel as it stands on a page before its first run: with its recorded answer."""
    made = panel(name)
    assert made.widget
    return made


def figures() -> dict[str, Plot]:
    """Every figure of results that a page shows, of the recorded ones, by its lesson and its call; and galleries."""
    examples = usual_examples()
    quick = start_here.run(start_here.StartHere(seeds=2, steps=100, teacher_steps=100))
    drawn = {"learning curves": learning_curves(quick),
             "gallery": digit_gallery(load("digits"), [one.index for one in examples],
                                      [str(one.label) for one in examples], marked="3")}
    pages = {lesson: _Page(lesson) for lesson in catalog.LESSONS}
    for lesson, call in calls():
        drawn[f"{lesson}: {call}"] = eval(call, {"catalog": catalog, "figures": _figures_of(lesson)}, pages[lesson])
    return drawn


def calls() -> Iterator[tuple[str, str]]:
    """(lesson, code) of every cell that ends with a figure of its lesson's results."""
    for path in sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb")):
        lesson = path.stem[3:]
        for cell in nbformat.read(path, as_version=4).cells:
            last = ast.parse(cell.source).body[-1:] if cell.cell_type == "code" and "figures." in cell.source else []
            match last:
                case [ast.Expr(ast.Call(ast.Attribute(ast.Name("figures"), name)) as call)]:
                    made = getattr(_figures_of(lesson), name)
                    if made.__annotations__["return"] is Plot and "results" in made.__annotations__:
                        yield lesson, ast.unparse(call)


class _Page(dict):
    """What a page's names stand for: the recorded results, and their parameters."""

    def __init__(self, lesson: str):
        super().__init__()
        self.lesson = lesson

    def __missing__(self, name: str):
        recording = OTHER_NAMES.get(f"{self.lesson} {name}", OTHER_NAMES.get(name, f".{name}"))
        if not catalog.recorded_at(self.lesson + recording).exists():
            return self["results"].params[name]
        self[name] = catalog.recorded(self.lesson + recording)      # read once
        return self[name]


def _figures_of(lesson: str):
    return import_module(f"kdutils.lessons.{lesson}.figures")
