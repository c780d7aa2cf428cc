"""The points of a sweep: what is to be measured, and the file in which each finished one is kept.

A *point* is one call of an experiment's `run` with one combination of values. Its file names it, carries its key and a
checksum, and is used only where both are right: a damaged or a misplaced one is measured again.
"""

import hashlib
import inspect
import itertools
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import Field, asdict, dataclass, fields, replace
from functools import cached_property
from importlib import import_module
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any

from kdutils import cache, cohorts, image_lab, metrics
from kdutils.errors import ParameterError, different, one_of, whole
from kdutils.lessons import catalog
from kdutils.results import Results

PROFILES = {"smoke": "SMOKE", "lecture": "DEFAULT", "full": "FULL"}


@dataclass(frozen=True)
class Point:
    """One call of an experiment. group: which combination of swept values it belongs to, seeds apart."""

    experiment: str
    group: int
    values: Mapping[str, Any]
    params: Any

    def __str__(self) -> str:
        said = ", ".join(f"{name}={value}" for name, value in self.values.items())
        return f"{self.experiment}{said and ' with ' + said}"

    @cached_property
    def key(self) -> str:
        """16 hex digits of the experiment, its parameters (device included), its code and torch's version."""
        return cache.key({"experiment": self.experiment, "params": asdict(self.params),
                          "source": _source(self.experiment)})

    def file(self, folder: Path) -> Path:
        """Where it is kept."""
        return folder / f"{self.experiment}-{self.key}.json"

    def keep(self, results: Results, folder: Path) -> None:
        """Write its results, whole or not at all. Raises OSError where that cannot be done."""
        text = results.text()
        marks = {"point": self.key, "checksum": _checksum(text)}
        whole_text = json.dumps(marks | {"results": json.loads(text)})
        cache.write_whole(self.file(folder), lambda target: target.write_text(whole_text + "\n"))

    def found(self, folder: Path) -> Results | None:
        """Its results, if they are kept; ParameterError, with the reason, if what is kept cannot be used."""
        path = self.file(folder)
        if not path.exists():
            return None
        try:
            stored = json.loads(path.read_text())
            key, checksum, text = stored["point"], stored["checksum"], json.dumps(stored["results"])
        except OSError as error:
            raise ParameterError(f"{path} cannot be read ({error.strerror}).") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ParameterError(f"{path} is not the file of a point ({error!r}).") from error
        if key != self.key:
            raise ParameterError(f"{path} holds another point, {key}.")
        if checksum != _checksum(text):
            raise ParameterError(f"{path} has changed since it was written.")
        return Results.of(text, path)


def names() -> list[str]:
    """The experiments of the course."""
    return list(catalog.experiments())


def parameters(experiment: str, profile: str = "lecture") -> Any:
    """The experiment's parameters at a profile: its SMOKE, DEFAULT or FULL."""
    module = module_of(experiment)
    there = [name for name, constant in PROFILES.items() if hasattr(module, constant)]
    return getattr(module, PROFILES[one_of(f"profile of {experiment}", profile, there)])


def changed(experiment: str, base: Any, values: Mapping[str, Any]) -> Any:
    """`base` with other values, each checked; lists become tuples and whole numbers ints where the default is one."""
    known = {field.name: field for field in fields(base)}
    for name in values:
        one_of(f"parameter of {experiment}", name, known)
    return replace(base, **{name: _like(known[name], value, getattr(base, name)) for name, value in values.items()})


def checked(experiment: str, grid: Mapping[str, Iterable], base: Any) -> dict[str, list]:
    """The grid with its values as the experiment has them, or ParameterError."""
    clean = {}
    for name, values in grid.items():
        one_of(f"parameter of {experiment}", name, [field.name for field in fields(base)])
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
            raise ParameterError(f"{name} of a sweep must be a list of values, got {values!r}.")
        clean[name] = [getattr(changed(experiment, base, {name: value}), name) for value in values]
        if not clean[name]:
            raise ParameterError(f"{name} of a sweep must have at least one value, got none.")
        different(f"{name} of a sweep", clean[name])
    return clean


def points(experiment: str, grid: Mapping[str, Sequence], base: Any, seeds_each: int | None = None) -> list[Point]:
    """Every combination, the last parameter varying fastest; a wrong combination is a ParameterError."""
    groups, made = {}, []
    for combination in itertools.product(*grid.values()):
        values = dict(zip(grid, combination, strict=True))
        group = groups.setdefault(tuple((name, value) for name, value in values.items() if name != "seed"), len(groups))
        params = changed(experiment, base, values)
        made += [Point(experiment, group, values | extra, one) for one, extra in _split_seeds(params, seeds_each)]
    _apart(made)
    return made


def part_of(todo: Sequence[Point], part: str | None) -> list[Point]:
    """Share i of n of the points, "i/n" with i from 1: every n-th, as neighbours are much alike in what they take."""
    if part is None:
        return list(todo)
    given = re.fullmatch(r"(\d+)/(\d+)", part) if isinstance(part, str) else None
    i, n = map(int, given.groups()) if given else (0, 0)
    if not 1 <= i <= n:
        raise ParameterError(f"part must be i/n, such as 1/8, with i between 1 and n, got {part!r}.")
    return list(todo[i - 1::n])


def _split_seeds(params: Any, seeds_each: int | None) -> Iterator[tuple[Any, dict]]:
    """The point's seeds in runs of at most `seeds_each`."""
    if seeds_each is None:
        yield params, {}
        return
    each = whole("seeds_each", seeds_each, 1)
    if not (hasattr(params, "seed") and hasattr(params, "seeds")):
        raise ParameterError(f"seeds_each needs an experiment with parameters seed and seeds, got {params!r}.")
    for start in range(0, params.seeds, each):
        part = {"seed": params.seed + start, "seeds": min(each, params.seeds - start)}
        yield replace(params, **part), part


def _apart(made: Sequence[Point]) -> None:
    """No seed may be run twice with the same parameters."""
    seen = {}
    for point in made:
        if not hasattr(point.params, "seed"):
            continue
        for seed in range(point.params.seed, point.params.seed + getattr(point.params, "seeds", 1)):
            if seen.setdefault((point.group, seed), point) is not point:
                raise ParameterError(f"the runs of a sweep must have seeds of their own, got seed {seed} both at "
                                     f"seed={seen[point.group, seed].params.seed} and at seed={point.params.seed}, "
                                     f"each with seeds={point.params.seeds}.")


def _like(field: Field, value: Any, default: Any) -> Any:
    """`value` as the kind of thing that `default` is: 4 and 4.0 are one temperature, and one key."""
    name, value = field.name, value.item() if hasattr(value, "item") else value
    if value is None and ("None" in str(field.type) or "Optional" in str(field.type)):
        return None
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ParameterError(f"{name} must be true or false, got {value!r}.")
    elif isinstance(default, int):
        if name == "seed":
            return whole(name, value, 0)
        if isinstance(value, bool) or not isinstance(value, Real) or value != value // 1:
            raise ParameterError(f"{name} must be a whole number, got {value!r}.")
        return int(value)
    elif isinstance(default, float):
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ParameterError(f"{name} must be a number, got {value!r}.")
        return float(value)
    elif isinstance(default, str) and not isinstance(value, str):
        raise ParameterError(f"{name} must be a word, got {value!r}.")
    elif isinstance(default, tuple):
        if not isinstance(value, (list, tuple)):
            raise ParameterError(f"{name} must be a list, such as {json.dumps(default)}, got {value!r}.")
        return _tuples(value)
    return value


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value


def module_of(experiment: str) -> ModuleType:
    """The module of an experiment, by its name in the course or by its dotted path."""
    known = catalog.experiments()
    if experiment in known or "." not in experiment:
        return known[one_of("experiment", experiment, known)]
    try:
        module = import_module(experiment)
    except (ImportError, TypeError) as error:  # the latter for a name that begins with a dot
        raise ParameterError(f"the experiment {experiment} cannot be imported ({error}).") from error
    if not catalog.is_experiment(module):
        raise ParameterError(f"{experiment} is no experiment: it needs a dataclass DEFAULT and a function run.")
    return module


def _source(experiment: str) -> str:
    """12 hex digits over the code that measures, beside that which trains (cache.code_version)."""
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in measuring_files(experiment))).hexdigest()[:12]


def measuring_files(experiment: str) -> list[Path]:
    """The experiment's own file, those beside it if it is a lesson's, and what experiments share."""
    own = Path(inspect.getsourcefile(module_of(experiment)))
    beside = sorted(own.parent.glob("*.py")) if experiment in catalog.experiments() else []
    shared = [Path(inspect.getsourcefile(module)) for module in (cohorts, image_lab, metrics)]
    return [own, *(file for file in beside if file.stem not in ("claims", "figures", "checks")), *shared]


def _checksum(text: str) -> str:
    """Of what the file of a point holds; a CRC finds what rots."""
    return f"{zlib.crc32(text.encode()):08x}"
