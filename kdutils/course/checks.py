"""How an exercise is checked: one function per exercise, which returns praise or raises Wrong with the reason."""

import html
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kdutils.errors import ParameterError, one_of
from kdutils.lessons import catalog

PASSED, NOT_DONE, WRONG = "right", "not done yet", "not right yet"
_LOOK = {PASSED: ("✓", "#009E73"), NOT_DONE: ("…", "#7f7f7f"), WRONG: ("✗", "#D55E00")}

class Wrong(Exception):
    """The answer is wrong; the message says why, and never gives the solution away."""


class NotDone(Exception):
    """The stub is still there."""


@dataclass(frozen=True)
class Feedback:
    """What a check found: state is "right", "not done yet" or "not right yet"."""

    exercise: str
    state: str
    message: str

    def __str__(self) -> str:
        return f"Exercise {self.exercise}: {self.state}. {self.message}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        sign, colour = _LOOK[self.state]
        page = (f'<div style="border-left:4px solid {colour};padding:.4em .8em"><b>{sign} Exercise '
                f"{html.escape(self.exercise)}: {self.state}.</b> {html.escape(self.message)}</div>")
        return {"text/html": page, "text/plain": str(self)}


def exercise(name: str):
    """Decorator: the function below checks the exercise of this name.

    A check gets the reader's answer; it returns a sentence of praise or raises Wrong. `lessons.catalog` finds it.
    """
    def mark(function):
        function.exercise = name
        return function
    return mark


def check(name: str, answer: Any) -> Feedback:
    """Check an answer. Never raises for a wrong or unfinished one: the page goes on."""
    known = catalog.exercises()
    looks = known[one_of("exercise", name, known)]
    try:
        return Feedback(name, PASSED, looks(answer))
    except NotDone:
        return Feedback(name, NOT_DONE, "Replace the line that is marked, run the cell, and run this one again.")
    except Wrong as reason:
        return Feedback(name, WRONG, str(reason))
    except ParameterError as reason:
        return Feedback(name, WRONG, f"One of your values is not allowed: {reason}")
    except Exception as error:
        said = str(error).rstrip(".") or "no message"
        return Feedback(name, WRONG, f"Your code raised {type(error).__name__}: {said}{_where(error, answer)}.")


def _where(error: Exception, answer: Any) -> str:
    """The last line of the reader's own code on the way to the error; torch's lines and ours would not help."""
    theirs = getattr(getattr(answer, "__code__", None), "co_filename", None)
    lines = [frame.line for frame in traceback.extract_tb(error.__traceback__) if frame.filename == theirs]
    return f", in the line `{lines[-1]}`" if lines and lines[-1] else ""


def answer_of(function: Callable, *arguments) -> Tensor:
    """What the reader's function returns, as a float64 tensor; a stub's None means that it is not done."""
    if not callable(function):
        raise Wrong(f"Give the function itself, not a value of type {type(function).__name__}.")
    # Copies: a function that works in place must not change the examples of this check and of later ones.
    result = function(*(one.clone() if isinstance(one, Tensor) else one for one in arguments))
    if result is None or result is ...:
        raise NotDone
    try:
        return torch.as_tensor(result, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(f"Return a number or a tensor of numbers, not a value of type {type(result).__name__}.") from None


def compare(got: Tensor, right: Tensor, slips: Mapping[str, Tensor]) -> None:
    """Raise Wrong unless got equals right; `slips` maps an explanation to the value that this mistake would give."""
    if got.shape == right.shape and torch.allclose(got, right, rtol=1e-4, atol=1e-6):
        return
    for why, value in slips.items():
        if value.shape == got.shape and torch.allclose(got, value, rtol=1e-4, atol=1e-6):
            raise Wrong(why)
    if got.shape != right.shape:
        raise Wrong(f"The shape is {tuple(got.shape)}, it should be {tuple(right.shape)}.")
    at = (got - right).abs().flatten().argmax()
    raise Wrong(f"On a test input one value is {got.flatten()[at]:.4f}, it should be {right.flatten()[at]:.4f}.")
