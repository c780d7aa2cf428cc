"""The lessons in the order of the course, and their experiments, claims, checks and recordings, found by name.

A lesson is a folder beside this file, and its name stands in LESSONS: nothing else makes it known. Its main experiment
(`experiment.py`) has the name of the lesson, another (`mnist.py`) has both: "subclass_distillation.mnist".
"""

import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import is_dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from kdutils.claims import Claim
from kdutils.errors import one_of
from kdutils.results import Results

LESSONS = ("start_here", "dark_knowledge", "tolerant_teachers", "subclass_distillation", "spherical_distillation",
           "extracurricular_learning", "beyond_compression")

_PACKAGE = "kdutils.lessons"
_SHOWN = ("claims", "figures", "checks", "page", "panels")  # what stands on top of a lesson's experiments


def is_experiment(module: ModuleType) -> bool:
    """Whether a module has what an experiment needs: a dataclass of parameters, DEFAULT, and a function run."""
    return callable(getattr(module, "run", None)) and is_dataclass(getattr(module, "DEFAULT", None))


def experiments() -> dict[str, ModuleType]:
    """Every experiment of the course by its name."""
    found = {}
    for lesson in LESSONS:
        names = [module.name for module in pkgutil.iter_modules(import_module(f"{_PACKAGE}.{lesson}").__path__)]
        # The main experiment first.
        for name in sorted(set(names) - set(_SHOWN), key=lambda name: (name != "experiment", name)):
            module = import_module(f"{_PACKAGE}.{lesson}.{name}")
            if is_experiment(module):
                found[lesson if name == "experiment" else f"{lesson}.{name}"] = module
    return found


def experiment(name: str) -> ModuleType:
    """One experiment of the course."""
    found = experiments()
    return found[one_of("experiment", name, found)]


def claims() -> dict[str, Claim]:
    """Every claim of the course by its id."""
    return {claim.id: claim for lesson in LESSONS for claim in getattr(_part(lesson, "claims"), "CLAIMS", ())}


def select(ids: Iterable[str] = ()) -> list[Claim]:
    """The claims of these ids, all if none is named."""
    known = claims()
    return [known[one_of("claim", one, known)] for one in ids] or list(known.values())


def exercises() -> dict[str, Callable]:
    """The check of every exercise: "03.2" is the second of the fourth lesson."""
    return {function.exercise: function for lesson in LESSONS
            for function in getattr(_part(lesson, "checks"), "__dict__", {}).values() if hasattr(function, "exercise")}


def panels() -> list[type]:
    """Every panel that pages show, in the order of the course; needs the notebook packages."""
    found = []
    for lesson in LESSONS:
        room = _part(lesson, "panels")
        for module in pkgutil.iter_modules(room.__path__) if room else ():
            path = f"{_PACKAGE}.{lesson}.panels.{module.name}"
            found += [value for value in vars(import_module(path)).values()  # without a title: a base of others
                      if isinstance(value, type) and value.__module__ == path and getattr(value, "title", "")]
    return found


def page(lesson: str) -> Callable:
    """The function that checks the parameters of a lesson's notebook and makes its experiment's of them."""
    return import_module(f"{_PACKAGE}.{one_of('lesson', lesson, LESSONS)}.page").parameters


def recorded_at(name: str) -> Path:
    """Where the results committed with the course lie: "mnist" in "subclass_distillation.mnist" is a recording."""
    lesson, _, recording = name.partition(".")
    return Path(__file__).parent / lesson / f"recorded{recording and '_' + recording}.json"


def recorded(name: str) -> Results:
    """The results committed with the course, with their provenance."""
    return Results.load(recorded_at(name))


def measure(name: str, report: Callable[[str], None] = print) -> Results:
    """Run an experiment with its default parameters (lecture scale), "tolerant_teachers.fresh" with its fresh seeds."""
    lesson, _, recording = name.rpartition(".")
    module = experiment(lesson if recording == "fresh" else name)
    return module.run(module.FRESH if recording == "fresh" else module.DEFAULT, report)


def _part(lesson: str, name: str) -> ModuleType | None:
    """A part of a lesson, None where it has none."""
    path = f"{_PACKAGE}.{lesson}.{name}"
    return import_module(path) if find_spec(path) else None
