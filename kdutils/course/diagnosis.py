"""Why an answer is wrong: slips that were foreseen, alone or times a factor, if they explain every case."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import torch
from torch import Tensor

POWERS = (0, 1, -1, 2, -2)
MOST = 3        # factors that one answer may have too many or too few


class Wrong(Exception):
    """The answer is wrong; the message says why, and never gives the solution away."""


@dataclass(frozen=True)
class Case:
    """One input of a check, and what became of it.

    got, right: the reader's and the right value. slips: {explanation: the value that this mistake gives}.
    factors: {name: value} of the numbers that may be forgotten or doubled, such as T and the size of the batch.
    says: the input in words, such as "4 images, 5 classes, T = 3".
    """

    got: Tensor
    right: Tensor
    slips: Mapping[str, Tensor] = field(default_factory=dict)
    factors: Mapping[str, float] = field(default_factory=dict)
    says: str = ""


def judge(cases: Sequence[Case], otherwise: str = "") -> None:
    """Raise Wrong with the reason unless every case is right.

    All cases have the same slips and factors by name. An explanation is told only if it holds for all of them: a slip
    that gives the reader's value on one input by chance is no diagnosis. otherwise: where to look if nothing does.
    """
    wrong = [case for case in cases if not alike(case.got, case.right)]
    if not wrong:
        return
    for why in cases[0].slips:
        if all(alike(case.got, case.slips[why]) for case in cases):
            raise Wrong(why)
    for case in wrong:
        if case.got.shape != case.right.shape:
            raise Wrong(f"The shape is {tuple(case.got.shape)}, it should be {tuple(case.right.shape)}.")
    if words := _factors(cases, [case.right for case in cases]):
        raise Wrong(f"Right up to a factor: it is {words}.")
    if len(wrong) < len(cases):
        fine = next(case for case in cases if alike(case.got, case.right))
        raise Wrong(f"Right for {fine.says or 'one input'}, not for {wrong[0].says or 'another'}: "
                    f"{_numbers(wrong[0])}. A number, or a case, stands in your code where it has to follow the "
                    "inputs.")
    for why in cases[0].slips:
        if why.startswith("Two things"):
            continue    # with a factor they would be three
        if words := _factors(cases, [case.slips[why] for case in cases]):
            raise Wrong(f"Two things. {why} And then it is {words}.")
    said = f"On a test input {_numbers(wrong[0])}."
    ratios = [_ratio(case.got, case.right) for case in cases]
    if len(cases) > 1 and None not in ratios and max(ratios) - min(ratios) < 1e-4 * abs(ratios[0]):
        said = f"Right up to a factor of {ratios[0]:.4g}, the same on every input."
    raise Wrong(f"{said} {otherwise}".rstrip())


def compare(got: Tensor, right: Tensor, slips: Mapping[str, Tensor], factors: Mapping[str, float] | None = None,
            otherwise: str = "") -> None:
    """`judge` for a single case."""
    judge([Case(got, right, slips, factors or {})], otherwise)


def alike(one: Tensor, other: Tensor) -> bool:
    """The same shape and, to four digits, the same values."""
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def _numbers(case: Case) -> str:
    got, right = case.got.detach().flatten(), case.right.detach().flatten()
    at = (got - right).abs().argmax()
    return f"one value is {got[at]:.4f}, it should be {right[at]:.4f}"


def _factors(cases: Sequence[Case], values: Sequence[Tensor]) -> str:
    """By which named factors the answers are these values, in words; empty if no factors explain every case."""
    ratios = [_ratio(case.got, value) for case, value in zip(cases, values, strict=True)]
    if None in ratios or any(case.got.shape != case.right.shape for case in cases):
        return ""
    for sign, powers in _combinations(len(cases[0].factors)):
        expected = [sign * math.prod(value**power for value, power in zip(case.factors.values(), powers, strict=True))
                    for case in cases]
        if all(math.isclose(ratio, wanted, rel_tol=1e-4) for ratio, wanted in zip(ratios, expected, strict=True)):
            return _in_words(sign, dict(zip(cases[0].factors, powers, strict=True)))
    return ""


def _combinations(count: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Signs and powers, the fewest mistakes first."""
    found = [(sign, powers) for sign in (1, -1) for powers in product(POWERS, repeat=count)
             if 0 < sum(map(abs, powers)) + (sign < 0) <= MOST]
    yield from sorted(found, key=lambda one: sum(map(abs, one[1])) + (one[0] < 0))


def _in_words(sign: int, powers: Mapping[str, int]) -> str:
    words = []
    for size, way in ((1, "too large"), (-1, "too small")):
        named = [_squared(name) if abs(power) == 2 else name for name, power in powers.items() if power * size > 0]
        if named:
            words.append(f"{way} by exactly {' times '.join(named)}")
    return " and ".join(words + ["of the other sign"] * (sign < 0))


def _squared(name: str) -> str:
    return f"the square of {name}" if " " in name else f"{name}^2"


def _ratio(got: Tensor, value: Tensor) -> float | None:
    """The one number by which `value` has to be multiplied to be `got`."""
    got, value = got.detach(), value.detach()
    if got.shape != value.shape or not got.isfinite().all() or float(value.square().sum()) < 1e-16:
        return None
    ratio = float((got * value).sum() / value.square().sum())
    return ratio if ratio and alike(got, ratio * value) else None
