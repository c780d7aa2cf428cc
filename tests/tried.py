"""Answers to exercises, as a learner would write them, and what a check says of each."""

import re
from collections.abc import Callable, Mapping, Sequence

import pytest

from kdutils.course.checks import Feedback, check

# A number alone says that an answer is wrong, which the learner knew; it is no direction.
NUMBER_ONLY = re.compile(r"^On a test input one value is [-\w.]+, it should be [-\d.]+\.$")
_IMPORTS = """import math
import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats


def div(one, other):
    return F.kl_div(one.log_softmax(-1), other.softmax(-1), reduction="batchmean")


"""


def asked(name: str, head: str, before: str, code: str) -> Feedback:
    """What the check of this exercise says of a function with these arguments and these two lines."""
    space: dict = {}
    exec(f"{_IMPORTS}def answer({head}):\n    {before}\n    {code}", space)
    return check(name, space["answer"])


def right_in_every_form(heads: Mapping[str, str], before: Mapping[str, str], answers: Sequence) -> Callable:
    """The test of a lesson that its right answers, (exercise, line), are right: by its heads and given lines."""
    @pytest.mark.parametrize(("name", "code"), answers, ids=_names(answers))
    def test(name, code):
        """Catches a check that takes one way of writing for the answer."""
        said = asked(name, heads[name], before[name], code)
        assert said.state == "right", said
    return test


def wrong_with_a_direction(heads: Mapping[str, str], before: Mapping[str, str], answers: Sequence) -> Callable:
    """The test of a lesson that its wrong answers, (exercise, line, words of what is said), hear where to look."""
    @pytest.mark.parametrize(("name", "code", "reason"), answers, ids=_names(answers))
    def test(name, code, reason):
        """Catches a check that is right about one shape or one T alone, or about a value without its gradient."""
        said = asked(name, heads[name], before[name], code)
        assert said.state == "not right yet" and reason in said.message, said
        assert not NUMBER_ONLY.match(said.message)
    return test


def _names(answers: Sequence) -> list[str]:
    return [f"{name}-{code[:30]}" for name, code, *_ in answers]
