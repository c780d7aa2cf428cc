"""Answers to exercises, as a learner would write them, and what a check says of each."""

import re

from kdutils.course.checks import Feedback, check

# A number alone says that an answer is wrong, which the learner knew; it is no direction.
NUMBER_ONLY = re.compile(r"^On a test input one value is [-\w.]+, it should be [-\d.]+\.$")
_IMPORTS = """import math
import numpy as np
import torch
import torch.nn.functional as F


def div(one, other):
    return F.kl_div(one.log_softmax(-1), other.softmax(-1), reduction="batchmean")


"""


def asked(name: str, head: str, before: str, code: str) -> Feedback:
    """What the check of this exercise says of a function with these arguments and these two lines."""
    space: dict = {}
    exec(f"{_IMPORTS}def answer({head}):\n    {before}\n    {code}", space)
    return check(name, space["answer"])
