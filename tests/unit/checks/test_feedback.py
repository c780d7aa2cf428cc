"""Checks of what is measured, code that breaks, and how feedback is shown."""

import math
import re

import numpy as np
import pytest
import torch
from pages import PAGES, asked

from kdutils.course import checks as base
from kdutils.course.checks import check
from kdutils.lessons import catalog
from kdutils.lessons.subclass_distillation import checks as subclass_distillation
from kdutils.lessons.tolerant_teachers import checks as tolerant_teachers
from kdutils.results import Effect


def test_where_distillation_helps_is_told_from_where_it_hurts():
    """Not a made-up run: the stub's own example."""
    assert "Here distillation helps: +" in check("01.4", {"transfer": 100, "temperature": 4}).message


@pytest.mark.parametrize(("gain", "by_temperature", "state", "reason"), [
    ((-0.1, -0.4, 0.2), (3.0, 2.0, 4.0), "right", "worth +1.2 [+0.4, +1.9] (10 seeds) at T = 1 and -0.1 [-0.4, +0.2]"),
    ((-0.5, -0.8, -0.1), (0.1, -0.2, 0.4), "right", "gain +0.1 [-0.2, +0.4]"),
    ((0.5, 0.1, 0.9), (3.0, 2.0, 4.0), "not right yet", "still helps: +0.5 ["),
    ((0.2, -0.3, 0.7), (3.0, 2.0, 4.0), "not right yet", "still has room for half a point"),
    ((0.0, -0.2, 0.2), (-7.0, -9.0, -5.0), "not right yet", "got worse than at T = 1: -7.0 ["),
])
def test_tolerance_is_useless_if_nothing_is_lost_without_it(monkeypatch, gain, by_temperature, state, reason):
    asked_for = []
    effects = [Effect(*numbers, 10) for numbers in ((1.2, 0.4, 1.9), gain, by_temperature)]
    monkeypatch.setattr(tolerant_teachers, "gains_at", lambda t: (asked_for.append(t), effects)[1])
    feedback = asked("02.4", "my_temperature = 3")
    assert feedback.state == state and reason in feedback.message and asked_for == [3.0]


def teachers_with(used, found, right):
    """Ten teachers with these means, scattered by one."""
    return tuple(mean + np.resize([1.0, -1.0], 10) for mean in (used, found, right))


@pytest.mark.parametrize(("used", "right", "state", "reason"), [
    (2.2, 96.0, "right", "2.2 of 10 subclasses hold"), (3.1, 96.0, "not right yet", "3.1 of 10 subclasses are used"),
    (2.0, 60.0, "not right yet", "they did not learn")])
def test_a_teacher_that_learnt_nothing_is_no_collapse(monkeypatch, used, right, state, reason):
    asked_for = []
    monkeypatch.setattr(subclass_distillation, "divided_on_test",
                        lambda *values: (asked_for.append(values), [teachers_with(used, 25.0, right)])[1])
    feedback = check("03.3", {"subclasses": 5, "beta": 0.01, "t_aux": 1})
    assert feedback.state == state and reason in feedback.message and asked_for == [([(0.01, 1.0)], 5)]


@pytest.mark.parametrize(("found", "right", "state", "reason"), [
    (58.0, 95.0, "right", "+6.0"), (52.1, 95.0, "not right yet", "this may be chance"),
    (50.0, 95.0, "not right yet", "has to lie above zero. Digits and subclasses cross"),
    (58.0, 90.0, "not right yet", "its two classes got worse")])
def test_a_better_teacher_does_not_pay(monkeypatch, found, right, state, reason):
    def measured(values, s):
        shift = np.resize([0.5, -0.5, 0.0], 10)
        used, hungarian, accuracy = teachers_with(9.0, *((52.0, 92.0) if values == [(1.0, 1.0)] else (found, right)))
        return [(used, hungarian + shift * (values != [(1.0, 1.0)]), accuracy + shift * (values != [(1.0, 1.0)]))]

    monkeypatch.setattr(subclass_distillation, "divided_on_test", measured)
    feedback = check("03.4", {"subclasses": 6, "beta": 0.2, "t_aux": 0.3})
    assert feedback.state == state and reason in feedback.message


def test_settings_may_be_chosen_on_images_that_no_test_looks_at(refuses):
    found, right = subclass_distillation.validate(subclasses=5, beta=0.1, t_aux=0.2, seeds=2)
    assert 30 < found.mean < 90 and 90 < right.mean <= 100 and found.n == right.n == 2
    with refuses("t_aux", "0"):
        subclass_distillation.validate(5, 0.1, 0)


# ---- code that breaks ---------------------------------------------------------------------------------------------

FUNCTIONS = [name for name in catalog.exercises() if "def " in PAGES[name]["stub"]]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_code_that_raises_is_reported_with_its_line(name, tmp_path):
    called = re.search(r"def (\w+)\((.*)\)", PAGES[name]["stub"])
    file = tmp_path / "cell.py"         # a notebook's cell has a file too, where its lines are found
    file.write_text(f"def {called[1]}({called[2]}):\n    return [][1]\n")
    space = {}
    exec(compile(file.read_text(), str(file), "exec"), space)
    feedback = check(name, space[called[1]])
    assert feedback.state == "not right yet"
    assert feedback.message == "Your code raised IndexError: list index out of range, in the line `return [][1]`."


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("function", "reason"), [
    (lambda: None, "Your code raised TypeError: <lambda>() takes 0 positional arguments"),
    (lambda *_: "0.5", "Return a number or a tensor of numbers, not a value of type str"),
    (lambda *_: {"gain": 3}, "not a value of type dict"),
    (0.5, "Give the function itself, not a value of type float"),
])
def test_answers_of_another_kind(name, function, reason):
    feedback = check(name, function)
    assert feedback.state == "not right yet" and reason in feedback.message
    assert "result = function" not in feedback.message         # our lines are no help


def test_the_line_is_the_readers_even_if_torch_raised():
    def wrong(distilled, hard):
        return torch.nn.functional.cross_entropy(distilled, hard.long())
    message = check("00.1", wrong).message
    assert message.endswith("in the line `return torch.nn.functional.cross_entropy(distilled, hard.long())`.")


def test_errors_without_words_and_without_source():
    space = {}
    exec("def silent(*_):\n    raise ArithmeticError", space)
    assert check("00.1", space["silent"]).message == "Your code raised ArithmeticError: no message."


def test_nan_is_not_right():
    feedback = check("00.1", lambda distilled, hard: math.nan)
    assert feedback.state == "not right yet" and "one value is nan, it should be 3.4000" in feedback.message


def test_a_value_out_of_range_is_said_in_the_packages_words():
    from kdutils.objectives import kd_loss

    def asks_too_much(student, teacher, temperature):
        from kdutils.errors import positive
        return kd_loss(student, teacher, positive("temperature", -temperature))
    assert "That cannot be tried: temperature must be a number > 0" in check("01.3", asks_too_much).message


def test_an_interrupt_is_not_swallowed():
    def interrupted(*_):
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        check("00.1", interrupted)


def test_unknown_exercises_are_the_authors_mistake(refuses):
    with refuses("exercise", "00.1"):
        check("99.9", None)


# ---- how it is shown ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("state", "sign"), [(base.PASSED, "✓"), (base.NOT_DONE, "…"), (base.WRONG, "✗")])
def test_feedback_is_said_in_words_and_safe_on_a_page(state, sign):
    feedback = base.Feedback("00.1", state, "a < b & c.")
    page = feedback._repr_mimebundle_()
    assert page["text/plain"] == f"Exercise 00.1: {state}. a < b & c."
    assert sign in page["text/html"] and "a &lt; b &amp; c." in page["text/html"]
