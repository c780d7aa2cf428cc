"""The exercises of notebook 04: slips that a learner would make hear why they are wrong."""

import re
from pathlib import Path

import nbformat
import pytest

from kdutils.course.checks import check
from kdutils.lessons.spherical_distillation import checks
from kdutils.results import Effect

PAGE = nbformat.read(Path(__file__).parents[4] / "notebooks" / "04_spherical_distillation.ipynb", as_version=4)
SOLUTIONS = {tag.partition(":")[2]: re.search(r"```python\n(.*?)```", cell.source, re.S)[1]
             for cell in PAGE.cells for tag in cell.metadata.get("tags", []) if tag.startswith("solution:")}
NAMES = {"04.1": "to_the_sphere", "04.2": "spherical_loss", "04.3": "repaired_spherical_kd", "04.4": "my_number"}
CENTRED, STD = "logits - logits.mean(-1, keepdim=True)", "centred.std(-1, correction=0, keepdim=True)"
BOTH = "m * (z - z.mean(-1, keepdim=True)) / z.std(-1, correction=0, keepdim=True)"


def said(name: str, swap: dict[str, str]):
    """What the check says of the page's solution with parts of it replaced."""
    code = SOLUTIONS[name]
    for old, new in swap.items():
        assert code.count(old) == 1, (old, code)
        code = code.replace(old, new)
    space: dict = {}
    exec(code, space)
    return check(name, space[NAMES[name]])


SLIPS = [
    ("04.1", {CENTRED: "logits"}, "Centre first"),
    ("04.1", {CENTRED: "logits - logits.mean(0)", STD: "centred.std(0, correction=0)"}, "the last axis"),
    ("04.1", {CENTRED: "logits - logits.mean()", STD: "centred.std(correction=0)"}, "one number for the whole batch"),
    ("04.1", {STD: "centred.norm(dim=-1, keepdim=True)"}, "You divided by the L2 norm. It is sqrt(C)"),
    ("04.1", {STD: "centred.std(-1, keepdim=True)"}, "divides by C - 1"),
    ("04.1", {STD: "centred.var(-1, correction=0, keepdim=True)"}, "take its root"),
    ("04.1", {"return m * centred": "return centred"}, "now give it the scale m"),
    ("04.1", {"return m * centred": "return 2 * centred"}, "it should be"),          # right for the first batch only
    ("04.1", {"return m * centred": "return m * centred.detach()", STD: STD.replace("centred", "centred.detach()")},
     "no gradient leads"),
    ("04.2", {"F.cross_entropy(student, labels)": "F.cross_entropy(student_logits, labels)"}, "labels see the raw"),
    ("04.2", {"temperature**2 * ": ""}, "multiplied by T^2"),
    ("04.2", {'reduction="batchmean"': 'reduction="mean"'}, "sum over the classes"),
    ("04.2", {"alpha * temperature**2": "(1 - alpha) * temperature**2", "(1 - alpha) * F": "alpha * F"},
     "alpha weighs the teacher's term"),
    ("04.2", {'reduction="batchmean"': 'reduction="mean"', "temperature**2 * ": ""}, "Two things"),
    ("04.2", {"temperature**2 * soft + (1 - alpha) * F.cross_entropy(student, labels)": "temperature**2 * soft"},
     "the teacher's term alone"),
    ("04.2", {"temperature**2": "16"}, "it should be"),
    ("04.2", {"temperature**2 * soft": "temperature**2 * soft.detach()",
              "F.cross_entropy(student, labels)": "F.cross_entropy(student, labels).detach()"}, "no gradient leads"),
    ("04.3", {BOTH: "m * F.normalize(z - z.mean(-1, keepdim=True), dim=-1)"}, "One mistake is left: m is a standard"),
    ("04.3", {BOTH: "m * F.normalize(z, dim=-1)"}, "Two mistakes are left"),
    ("04.3", {BOTH + " / temperature": BOTH}, "One mistake is left: a temperature before"),
    ("04.3", {"return temperature**2 * kl": "return kl"}, "T^2 got lost"),
    ("04.3", {"z.std(-1, correction=0, keepdim=True)": "z.std(-1, keepdim=True)"}, "correction=0"),
    ("04.3", {"return temperature**2 * kl": "return (temperature**2 * kl).item()"}, "no gradient leads"),
    ("04.4", {"3": "0"}, "must be a number > 0"),
    ("04.4", {"3": "'three'"}, "must be a number > 0"),
]


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")     # that is the slip
@pytest.mark.parametrize("name, swap, why", SLIPS)
def test_a_slip_hears_why_it_is_wrong(name, swap, why):
    feedback = said(name, swap)
    assert feedback.state == "not right yet" and why in feedback.message, feedback


def test_dividing_by_the_deviation_without_centring_is_right_too():
    """The softmax does not see the mean, and the standard deviation does not either."""
    assert said("04.3", {BOTH: "m * z / z.std(-1, correction=0, keepdim=True)"}).state == "right"


@pytest.mark.parametrize("number, low, state, why", [
    (3, 3.0, "right", "not cooled"), (3, 1.9, "not right yet", "on the way"), (1.5, 0.5, "not right yet", "shouts"),
    (0.5, -3.0, "not right yet", "louder still"), (100, -1.0, "not right yet", "next to nothing")])
def test_one_number_is_judged_by_its_whole_interval(monkeypatch, number, low, state, why):
    monkeypatch.setattr(checks, "gain_of", lambda divided: Effect(low + 0.5, low, low + 1, 10))
    feedback = check("04.4", number)
    assert feedback.state == state and why in feedback.message
