"""How an exercise is checked: one function per exercise, which returns praise or raises Wrong with the reason."""

import dis
import html
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kdutils.course.diagnosis import Case, Wrong, compare, judge
from kdutils.errors import ParameterError, one_of
from kdutils.lessons import catalog

__all__ = ["Case", "Feedback", "NotDone", "Wrong", "answer_of", "by_hand", "check", "compare", "exercise", "judge",
           "teaches"]

PASSED, NOT_DONE, WRONG = "right", "not done yet", "not right yet"
_LOOK = {PASSED: ("✓", "#009E73"), NOT_DONE: ("…", "#7f7f7f"), WRONG: ("✗", "#D55E00")}


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
        _unquoted(answer)
        return Feedback(name, PASSED, looks(_plain(answer)))
    except NotDone:
        return Feedback(name, NOT_DONE, "Replace the line that is marked, run the cell, and run this one again.")
    except Wrong as reason:
        return Feedback(name, WRONG, str(reason))
    except ParameterError as reason:
        return Feedback(name, WRONG, f"That cannot be tried: {reason}")
    except Exception as error:
        said = str(error).rstrip(".") or "no message"
        return Feedback(name, WRONG, f"Your code raised {type(error).__name__}: {said}{_where(error, answer)}.")


def _plain(answer: Any) -> Any:
    """A number that comes in a tensor or an array, as that number."""
    return answer.item() if isinstance(answer, (Tensor, np.ndarray)) and answer.ndim == 0 else answer


def _where(error: Exception, answer: Any) -> str:
    """The last line of the reader's own code on the way to the error; torch's lines and ours would not help."""
    theirs = getattr(getattr(answer, "__code__", None), "co_filename", None)
    lines = [frame.line for frame in traceback.extract_tb(error.__traceback__) if frame.filename == theirs]
    return f", in the line `{lines[-1]}`" if lines and lines[-1] else ""


def _unquoted(answer: Any) -> None:
    """Raise Wrong for a number in quotes, the commonest slip where a setting is asked for."""
    for value in answer.values() if isinstance(answer, Mapping) else [answer]:
        if isinstance(value, str):
            try:
                float(value)
            except ValueError:
                continue
            raise Wrong(f"{value!r} is a text. Write the number without quotes: {value}.")


def answer_of(function: Callable, *arguments) -> Tensor:
    """What the reader's function returns, as a float64 tensor; a stub's None means that it is not done."""
    if not callable(function):
        raise Wrong(f"Give the function itself, not a value of type {type(function).__name__}.")
    # Copies: a function that works in place must not change the examples of this check and of later ones.
    result = function(*(one.clone() if isinstance(one, Tensor) else one for one in arguments))
    if result is None and not _says_none(function):
        raise Wrong("Your function gave nothing back: is `return` missing in its last line?")
    if result is None or result is ...:
        raise NotDone
    try:
        return torch.as_tensor(result, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(f"Return a number or a tensor of numbers, not a value of type {type(result).__name__}.") from None


def teaches(function: Callable, *arguments, like: Callable | None = None, of: int = 1) -> None:
    """Raise Wrong unless what the function makes of the student's outputs has a gradient: without one nothing is
    learnt. For a check to ask once the value is right.

    of: how many of the arguments, from the first, are the student's. like: the right function, where the gradient
    itself is to be compared: a value may be right while half of it is detached.
    """
    found = _slopes(function, arguments, of)
    rights = found if like is None else _slopes(like, arguments, of)
    if not all(torch.allclose(one, right, rtol=1e-3, atol=1e-5) for one, right in zip(found, rights, strict=True)):
        raise Wrong("The value is right, its gradient is not: a part of it is detached, and teaches nothing.")


def by_hand(function: Callable, *arguments, otherwise: str) -> Tensor:
    """`answer_of` for a gradient that the reader writes out: autograd cannot work here. otherwise: what to write."""
    try:
        with torch.no_grad():
            return answer_of(function, *arguments)
    except RuntimeError as error:
        if "grad" not in str(error):
            raise
        raise Wrong(f"That asks autograd. {otherwise}") from None


def _slopes(function: Callable, arguments: Sequence, of: int) -> list[Tensor]:
    """The gradient of a function's value, which may be a tensor, by the first `of` of its arguments; zeros for those
    that take no part, Wrong if none does."""
    leaves = [one.clone().requires_grad_() for one in arguments[:of]]
    try:
        # Not the leaves themselves, on which no function may work in place.
        value = function(*(leaf.clone() for leaf in leaves), *(one.clone() if isinstance(one, Tensor) else one
                                                               for one in arguments[of:]))
    except RuntimeError as error:
        if "numpy()" not in str(error):
            raise
        value = None
    if not (isinstance(value, Tensor) and value.requires_grad):
        raise Wrong("The value is right, but no gradient leads back to the student, so nothing would be learnt. "
                    "Return the tensor itself: no .item(), .detach(), float() or numpy.")
    weights = torch.arange(value.numel(), dtype=value.dtype).cos().view(value.shape)   # the sum of all may be constant
    try:
        found = torch.autograd.grad((weights * value).sum(), leaves, allow_unused=True)
    except RuntimeError as error:
        if "inplace" not in str(error):
            raise
        raise Wrong("The value is right, but the gradient cannot be computed: a line that works in place (`/=`, "
                    "`.exp_()`) overwrites what it needs. Write `x = x / y` there.") from None
    return [torch.zeros_like(leaf) if slope is None else slope for slope, leaf in zip(found, leaves, strict=True)]


def _says_none(function: Callable) -> bool:
    """Whether the last line of a function is `return None`, as a stub's is, rather than a line without return."""
    code = getattr(function, "__code__", None)
    if code is None:
        return True
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("RESUME", "NOP", "COPY_FREE_VARS")]
    last = steps[-1].positions.lineno
    return all(step.opname in ("RETURN_VALUE", "RETURN_CONST") or (step.opname == "LOAD_CONST" and step.argval is None)
               for step in steps if step.positions.lineno == last)
