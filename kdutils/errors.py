"""One clear sentence for every wrong value: what it is, what it may be."""

import math
from collections.abc import Collection, Hashable, Sequence
from dataclasses import fields
from numbers import Real

MOST_STEPS = 10_000_000  # beyond every training, below a slip of the hand
MOST_SEEDS = 10_000  # the same of an experiment's seeds


class ParameterError(ValueError):
    """A value the reader chose is outside its range; the message is one sentence."""


class AbsentError(ParameterError):
    """What was asked for is not there, which is another thing than being there and damaged."""


class NotMeasuredError(ParameterError):
    """The results have no run of the setting that is asked for: not wrong, but not there (yet)."""


def positive(name: str, value: float) -> float:
    """Return `value` if it is a finite number > 0, else raise ParameterError."""
    if not (_is_number(value) and value > 0):
        raise ParameterError(f"{name} must be a number > 0, got {_shown(value)}.")
    return value


def at_least(name: str, value: float, low: float) -> float:
    """Return `value` if it is a finite number >= low, else raise ParameterError."""
    if not (_is_number(value) and value >= low):
        raise ParameterError(f"{name} must be a number >= {low:g}, got {_shown(value)}.")
    return value


def between(name: str, value: float, low: float, high: float) -> float:
    """Return `value` if low <= value <= high, else raise ParameterError."""
    if not (_is_number(value) and low <= value <= high):
        raise ParameterError(f"{name} must be between {low:g} and {high:g}, got {_shown(value)}.")
    return value


def whole(name: str, value: int, low: int, high: int | None = None, why: str = "") -> int:
    """Return `value` as an int if it is whole and low <= value <= high, else raise ParameterError."""
    bounds = f"at least {low}" if high is None else f"between {low} and {high}"
    ok = _is_number(value) and value == int(value) and value >= low and (high is None or value <= high)
    if not ok:
        raise ParameterError(f"{name} must be a whole number {bounds}{why and ' (' + why + ')'}, got {_shown(value)}.")
    return int(value)


def one_of(name: str, value: str, allowed: Collection[str]) -> str:
    """Return `value` if it is one of `allowed`, else raise ParameterError."""
    try:
        known = isinstance(value, Hashable) and value in allowed
    except (RuntimeError, TypeError, ValueError):  # an array that holds several values equals none of them
        known = False
    if not known:
        raise ParameterError(f"{name} must be one of {', '.join(map(str, allowed))}; got {_shown(value)}.")
    return value


def different(name: str, values: Sequence) -> Sequence:
    """Return `values` if none is there twice, else raise ParameterError: what is measured twice counts as one."""
    if twice := [value for i, value in enumerate(values) if value in values[:i]]:
        raise ParameterError(f"{name} must be different values, got {twice[0]!r} twice.")
    return values


def filled(name: str, values: Sequence, least: int = 1) -> tuple:
    """Return `values` as a tuple if they are a list of at least so many, else raise ParameterError."""
    if not isinstance(values, (list, tuple)) or len(values) < least:
        raise ParameterError(f"{name} must be a list of at least {least} value{'s' * (least > 1)}, such as [1, 4], "
                             f"got {_shown(values)}.")
    return tuple(values)


def each_between(name: str, values: Sequence[float], low: float, high: float, least: int = 1) -> tuple:
    """Return `values` as a tuple if they are a list of at least so many numbers from low to high, else raise."""
    return tuple(between(f"each of {name}", value, low, high) for value in filled(name, values, least))


def each_whole(name: str, values: Sequence[int], low: int, high: int, least: int = 1) -> tuple:
    """Return `values` as a tuple if they are a list of at least so many whole numbers from low to high, else raise."""
    return tuple(whole(f"each of {name}", value, low, high) for value in filled(name, values, least))


def sound(params) -> None:
    """What holds for the parameters of every experiment, or ParameterError: lists are lists, there is a seed and a
    device, and steps come to an end. `params`: a dataclass; its defaults tell what is a list.
    """
    for one in fields(params):
        name, value = one.name, getattr(params, one.name)
        if isinstance(one.default, tuple) and not isinstance(value, (list, tuple)):
            raise ParameterError(f"{name} must be a list, such as {list(one.default)}, got {_shown(value)}.")
        if name == "seed":
            whole("seed", value, 0)
        if name == "device" and (not str(value) or value is None or isinstance(value, Real)):
            raise ParameterError(f"device must be one that torch can use here, such as cpu, got {_shown(value)}.")
        if name.endswith("steps") and _is_number(value) and value > MOST_STEPS:
            whole(name.replace("_", " "), value, 1, MOST_STEPS)
        if name == "seeds":
            whole("seeds", value, 1, MOST_SEEDS)


def _shown(value) -> str:
    """A value in one line of at most 80 characters; a list that became a tuple on its way, as the list."""
    line = " ".join(repr(list(value) if type(value) is tuple else value).split())
    return line if len(line) <= 80 else f"{line[:77]}..."


def _is_number(value) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


class Named(dict):
    """A dictionary that says in a sentence what is missing: Named("knob", {...})["eta"] raises ParameterError."""

    def __init__(self, kind: str, values):
        super().__init__(values)
        self.kind = kind

    def __missing__(self, name):
        known = ", ".join(map(str, self)) or "none"
        raise ParameterError(f"the objective asks for the {self.kind} {name!r}; this training has {known}.")
