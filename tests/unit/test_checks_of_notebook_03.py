"""The exercises of notebook 03: solutions pass, stubs are not done yet, wrong answers hear why they are wrong."""

import re

import numpy as np
import pytest

from kdutils.course.checks import check, subclass_distillation

PAGES = {
    "03.1": {"stub": """
import torch


def my_class_logits(logits, sizes):
    blocks = logits.split(sizes, -1)        # one (B, s) block per class
    return None  # <- your line
""", "solution": """
import torch


def my_class_logits(logits, sizes):
    blocks = logits.split(sizes, -1)
    return torch.stack([block.logsumexp(-1) for block in blocks], -1)
"""},
    "03.2": {"stub": """
import math


def my_auxiliary(logits, t_aux):
    n, total = logits.shape
    v = logits - logits.mean(-1, keepdim=True)
    v = v / (v.square().mean(-1, keepdim=True) + 1e-9).sqrt()
    return None  # <- your line, or two
""", "solution": """
import math


def my_auxiliary(logits, t_aux):
    n, total = logits.shape
    v = logits - logits.mean(-1, keepdim=True)
    v = v / (v.square().mean(-1, keepdim=True) + 1e-9).sqrt()
    scores = v @ v.T / (t_aux * total)
    return scores.logsumexp(-1).mean() - 1 / t_aux - math.log(n)
"""},
    "03.3": {"stub": """
my_collapse = None  # <- {"subclasses": ..., "beta": ..., "t_aux": ...}
""", "solution": """
my_collapse = {"subclasses": 5, "beta": 0.0, "t_aux": 0.5}
"""},
    "03.4": {"stub": """
from kdutils.course.checks.subclass_distillation import validate

# validate(subclasses=5, beta=1.0, t_aux=1.0) trains six teachers and looks at held-out images.
my_teacher = None  # <- {"subclasses": ..., "beta": ..., "t_aux": ...}
""", "solution": """
my_teacher = {"subclasses": 5, "beta": 0.1, "t_aux": 0.2}
"""},
}
NAMES = {"03.1": "my_class_logits", "03.2": "my_auxiliary", "03.3": "my_collapse", "03.4": "my_teacher"}


def asked(name: str, code: str):
    space = {}
    exec(code, space)
    return check(name, space[NAMES[name]])


def edited(name: str, swap: dict[str, str]) -> str:
    """The solution with parts of it replaced, as a slip would."""
    code = PAGES[name]["solution"]
    for old, new in swap.items():
        assert code.count(old) == 1, (old, code)
        code = code.replace(old, new)
    return code


@pytest.mark.parametrize("name", PAGES)
def test_the_solution_is_right(name):
    feedback = asked(name, PAGES[name]["solution"])
    assert feedback.state == "right", feedback
    assert feedback.message.endswith(".") and len(feedback.message) > 20


@pytest.mark.parametrize("name", PAGES)
def test_the_stub_is_not_done_yet(name):
    assert asked(name, PAGES[name]["stub"]).state == "not done yet"


LAST = "scores.logsumexp(-1).mean() - 1 / t_aux - math.log(n)"
SLIPS = [
    ("03.1", {"block.logsumexp(-1)": "block.sum(-1)"}, "the plain sum"),
    ("03.1", {"block.logsumexp(-1)": "block.amax(-1)"}, "the largest subclass alone"),
    ("03.1", {"block.logsumexp(-1)": "block.mean(-1)"}, "the mean of the logits"),
    ("03.1", {"block.logsumexp(-1)": "block.exp().mean(-1).log()"}, "divide by the number of subclasses"),
    ("03.1", {"block.logsumexp(-1)": "logits.logsumexp(-1)"}, "over all subclasses of all classes"),
    ("03.1", {"block.logsumexp(-1)": "block.exp().sum(-1)"}, "The logarithm is missing"),
    ("03.1", {"torch.stack([block.logsumexp(-1) for block in blocks], -1)":
              "torch.stack([b.sum(-1) for b in logits.softmax(-1).split(sizes, -1)], -1)"}, "classes' probabilities"),
    ("03.1", {"for block in blocks], -1)": "for block in blocks])"}, "The shape is (2, 4), it should be (4, 2)"),
    ("03.2", {"(t_aux * total)": "t_aux"}, "The division by S is missing"),
    ("03.2", {LAST: "scores.exp().log().sum(-1).mean() - 1 / t_aux - math.log(n)"}, "of each exponential"),
    ("03.2", {LAST: "scores.mean() - 1 / t_aux"}, "the mean score"),
    ("03.2", {"logits.mean(-1, keepdim=True)": "logits.mean(0)", "v.square().mean(-1, keepdim=True)":
              "v.square().mean(0)"}, "standardised over the batch"),
    ("03.2", {" - math.log(n)": ""}, "The term -log n is missing"),
    ("03.2", {" - 1 / t_aux": ""}, "The term -1/T_aux is missing"),
    ("03.2", {" - 1 / t_aux - math.log(n)": ""}, "Both constants are missing"),
    ("03.2", {LAST: f"({LAST}) * n"}, "yours is the sum"),
    ("03.2", {"scores.logsumexp(-1).mean()": "scores.logsumexp(-1)"}, "One value per example is left"),
    ("03.2", {"(t_aux * total)": "total"}, "not divided by T_aux"),
    ("03.2", {"scores.logsumexp(-1)": "scores[scores < scores.diag().min()].view(n, n - 1).logsumexp(-1)"},
     "i itself included"),
    ("03.2", {"v.square().mean(-1, keepdim=True)": "v.square().sum(-1, keepdim=True) / (total - 1)"},
     "divided by S, not by S - 1"),
    ("03.2", {LAST: f"-({LAST})"}, "The sign"),
    ("03.2", {"v @ v.T": "v.T @ v"}, "it should be"),
    ("03.3", {"0.0": "0.3"}, "of 10 subclasses are used. What is it that makes"),
    ("03.3", {"0.0": "0.3", '"t_aux": 0.5': '"t_aux": 0.1'}, "it spreads them more"),
    ("03.3", {"5,": "1,"}, "subclasses must be a whole number between 3 and 20 (with fewer there is little"),
    ("03.3", {'"t_aux": 0.5': '"t_aux": 0'}, "t_aux must be a number > 0"),
    ("03.3", {"0.0": "-1"}, "beta must be a number >= 0"),
    ("03.3", {', "t_aux": 0.5': ""}, "Give all three values"),
    ("03.3", {'"t_aux"': '"T_aux"'}, "setting must be one of subclasses, beta, t_aux"),
    ("03.3", {'{"subclasses": 5, "beta": 0.0, "t_aux": 0.5}': "(5, 0.0, 0.5)"}, "Give the values by name"),
    ("03.4", {"0.1": "1.0", "0.2": "1.0"}, "against"),
    ("03.4", {"0.1": "0.0"}, "The interval has to lie above zero"),
    ("03.4", {"5,": "40,"}, "subclasses must be a whole number between 1 and 20"),
    ("03.4", {"0.2": "'low'"}, "t_aux must be a number > 0"),
]


@pytest.mark.parametrize(("name", "swap", "reason"), SLIPS, ids=[f"{name}-{why[:20]}" for name, _, why in SLIPS])
def test_a_wrong_answer_hears_why(name, swap, reason):
    feedback = asked(name, edited(name, swap))
    assert feedback.state == "not right yet" and reason in feedback.message, feedback
    assert not re.search(r"\.\.$|nan|Traceback", feedback.message)


@pytest.mark.parametrize(("name", "swap"), [
    ("03.1", {"block.logsumexp(-1)": "block.exp().sum(-1).log()"}),
    # Another logit of the same probabilities: each image's are shifted.
    ("03.1", {"torch.stack([block.logsumexp(-1) for block in blocks], -1)":
              "torch.stack([b.sum(-1).log() for b in logits.softmax(-1).split(sizes, -1)], -1)"}),
    ("03.1", {"block.logsumexp(-1)": "block.sub_(1).logsumexp(-1)"}),
    ("03.2", {LAST: "(scores - 1 / t_aux).exp().mean(-1).log().mean()"}),
    ("03.2", {"v.square().mean(-1, keepdim=True)": "v.var(-1, keepdim=True, correction=0)"}),
    ("03.3", {"5,": "10,", "0.5": "50"}),
])
def test_other_ways_to_be_right_are_right_twice(name, swap):
    """In place too: the examples of the check must survive it."""
    for _ in range(2):
        assert asked(name, edited(name, swap)).state == "right"
    assert asked(name, PAGES[name]["solution"]).state == "right"


def made_up(used, found, right):
    """Ten teachers with these means, scattered by one."""
    return tuple(mean + np.resize([1.0, -1.0], 10) for mean in (used, found, right))


@pytest.mark.parametrize(("used", "right", "state", "reason"), [
    (2.2, 96.0, "right", "2.2 of 10 subclasses hold"), (3.1, 96.0, "not right yet", "3.1 of 10 subclasses are used"),
    (2.0, 60.0, "not right yet", "they did not learn")])
def test_a_teacher_that_learnt_nothing_is_no_collapse(monkeypatch, used, right, state, reason):
    asked_for = []
    monkeypatch.setattr(subclass_distillation, "divided_on_test",
                        lambda *values: (asked_for.append(values), [made_up(used, 25.0, right)])[1])
    feedback = check("03.3", {"subclasses": 5, "beta": 0.01, "t_aux": 1})
    assert feedback.state == state and reason in feedback.message and asked_for == [([(0.01, 1.0)], 5)]


@pytest.mark.parametrize(("found", "right", "state", "reason"), [
    (58.0, 95.0, "right", "+6.0"), (52.0, 95.0, "not right yet", "has to lie above zero"),
    (58.0, 90.0, "not right yet", "its two classes got worse")])
def test_a_better_teacher_does_not_pay(monkeypatch, found, right, state, reason):
    def measured(values, s):
        shift = np.resize([0.5, -0.5, 0.0], 10)
        used, hungarian, accuracy = made_up(9.0, *((52.0, 92.0) if values == [(1.0, 1.0)] else (found, right)))
        return [(used, hungarian + shift * (values != [(1.0, 1.0)]), accuracy + shift * (values != [(1.0, 1.0)]))]

    monkeypatch.setattr(subclass_distillation, "divided_on_test", measured)
    feedback = check("03.4", {"subclasses": 6, "beta": 0.2, "t_aux": 0.3})
    assert feedback.state == state and reason in feedback.message


def test_settings_may_be_chosen_on_images_that_no_test_looks_at(refuses):
    found, right = subclass_distillation.validate(subclasses=5, beta=0.1, t_aux=0.2, seeds=2)
    assert 30 < found.mean < 90 and 90 < right.mean <= 100 and found.n == right.n == 2
    with refuses("t_aux", "0"):
        subclass_distillation.validate(5, 0.1, 0)
