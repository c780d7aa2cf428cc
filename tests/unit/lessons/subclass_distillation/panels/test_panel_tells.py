"""What the teacher tells: its answers, entropies and names; panels without a reader."""


import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from helpers import (
    per_cent,
    x,
    y,
)

from kdutils.cohorts import Splits
from kdutils.datasets import grouped
from kdutils.lessons.subclass_distillation.panels import scenes
from kdutils.lessons.subclass_distillation.panels.what_teacher_tells import (
    TEMPERATURES,
    WhatTheTeacherTells,
    information,
)
from kdutils.lessons.subclass_distillation.parameters import DEFAULT
from kdutils.lessons.subclass_distillation.teachers import hidden_blocks, label_teachers, subclass_teachers
from kdutils.plots.style import COLOURS, HIDDEN_COLOURS

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


# ---- what does the teacher tell you? --------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def shared_tells() -> WhatTheTeacherTells:
    return WhatTheTeacherTells()


@pytest.fixture
def tells(shared_tells) -> WhatTheTeacherTells:
    shared_tells.reset()
    return shared_tells


@pytest.fixture(scope="module")
def said_by():
    """Logits (1797, S) of the four teachers, without the panel."""
    lab = Splits.of(grouped("digits-2x5"), 1)
    plain, subclass = subclass_teachers(lab, lab.pool, (5, 5), [(0.0, DEFAULT.t_aux), (DEFAULT.beta, DEFAULT.t_aux)])
    return {"subclass": subclass[0], "no auxiliary loss": plain[0],
            "two-class": label_teachers(lab, lab.pool, lab.data.labels, 2)[0][0],
            "oracle": label_teachers(lab, lab.pool, hidden_blocks(lab)[0], 10)[0][0]}


@pytest.mark.parametrize("teacher", ["subclass", "no auxiliary loss", "two-class", "oracle"])
@pytest.mark.parametrize(("digit", "t"), [(3, 4.0), (8, 1.0), (0, 0.5)])
def test_the_bars_are_the_answers_of_the_teacher(tells, said_by, teacher, digit, t):
    tells.set(teacher=teacher, digit=digit, temperature=t)
    index = tells.images[digit]
    data = grouped("digits-2x5")
    assert data.hidden[index] == digit and index in tells.lab.test[0] and index not in tells.lab.pool[0]
    np.testing.assert_array_equal(tells.chart.points("image")["z"], data.images[index, 0].numpy().ravel())
    z = said_by[teacher][index].double().numpy()
    q = scipy.special.softmax(z / t)
    np.testing.assert_allclose(y(tells, "subclasses"), q, rtol=1e-4, atol=1e-9)
    a = scipy.special.logsumexp(z.reshape(2, -1), axis=1)
    p = scipy.special.softmax(a / t)
    np.testing.assert_allclose(y(tells, "classes"), p, rtol=1e-4, atol=1e-9)
    said = tells.reading()
    assert f"Of this {digit} " in said and f"at T = {t:g}:" in said
    assert f"entropy {scipy.stats.entropy(p, base=2):.2f} of at most 1 bit" in said
    if teacher == "two-class":
        assert said.endswith("It has no subclasses.")
    else:
        assert f"entropy {scipy.stats.entropy(q, base=2):.2f} of at most 3.32 bits" in said
    assert per_cent(said)[0] == pytest.approx(100 * p[digit // 5], rel=0.01)


def test_the_curves_are_entropy_and_information(tells, said_by):
    tells.set(teacher="subclass", digit=5, temperature=float(TEMPERATURES[8]))
    z = said_by["subclass"][tells.lab.test[0]].double().numpy()
    for place in (0, 8, 24):
        t = TEMPERATURES[place]
        q = scipy.special.softmax(z / t, axis=1)
        told = scipy.stats.entropy(q.mean(0), base=2) - scipy.stats.entropy(q, axis=1, base=2).mean()
        assert y(tells, "subclass told")[place] == pytest.approx(told, abs=1e-3)
        p = scipy.special.softmax(scipy.special.logsumexp(z.reshape(-1, 2, 5), axis=2) / t, axis=1)
        told = scipy.stats.entropy(p.mean(0), base=2) - scipy.stats.entropy(p, axis=1, base=2).mean()
        assert y(tells, "class told")[place] == pytest.approx(told, abs=1e-3)
        mine = scipy.special.softmax(said_by["subclass"][tells.images[5]].double().numpy() / t)
        assert y(tells, "subclass entropy")[place] == pytest.approx(scipy.stats.entropy(mine, base=2), abs=1e-3)
    assert y(tells, "subclass now")[0] == pytest.approx(y(tells, "subclass told")[8])
    assert x(tells, "class now") == [TEMPERATURES[8]]


def test_the_same_answer_to_every_image_tells_nothing_however_large_its_entropy():
    logits = torch.randn(1, 10, generator=torch.Generator().manual_seed(0)).expand(50, -1)
    assert information(logits, 4.0) == pytest.approx(0, abs=1e-5)
    assert information(100 * torch.eye(8), 1.0) == pytest.approx(3, abs=1e-5)


def test_ten_outputs_without_the_auxiliary_loss_tell_no_more_than_two(tells):
    told = {name: teacher.curves for name, teacher in tells.teachers.items()}
    at_one = np.abs(TEMPERATURES - 1).argmin()
    assert abs(told["no auxiliary loss"][1][at_one] - told["two-class"][0][at_one]) < 0.3
    assert told["oracle"][1][at_one] > told["subclass"][1][at_one] > told["two-class"][0][at_one] + 0.5


def test_subclasses_are_named_after_digits(tells, said_by):
    test = tells.lab.test[0]
    hidden = tells.lab.data.hidden[test].numpy()
    for name in ("subclass", "no auxiliary loss", "oracle"):
        tells.set(teacher=name)
        figure = tells.chart.figure()
        bars = next(trace for trace in figure.data if trace.uid == "subclasses")
        found = said_by[name][test].argmax(-1).numpy()
        for k, digit in enumerate(tells.teacher.alike):
            assert (digit < 0) == (not (found == k).any())
            assert figure.layout.xaxis3.ticktext[k] == ("-" if digit < 0 else str(digit))
            assert bars.marker.color[k] == (COLOURS["other"] if digit < 0 else HIDDEN_COLOURS[digit])
    assert tells.teachers["oracle"].alike == tuple(range(10))
    counts = np.bincount(hidden[said_by["subclass"][test].argmax(-1).numpy() == 3], minlength=10)
    assert tells.teachers["subclass"].alike[3] in np.argsort(-counts)[:2]


def test_the_label_has_its_colour(tells):
    for digit in (2, 7):
        tells.set(digit=digit)
        colours = next(trace for trace in tells.chart.figure().data if trace.uid == "classes").marker.color
        assert [colour == COLOURS["hard labels"] for colour in colours] == [digit < 5, digit >= 5]


def test_a_teacher_without_subclasses_has_one_message(tells):
    """Catches bars in the colours of digits that it knows nothing of and curves that lie on top of those of classes."""
    for teacher, curve in (("two-class", 0), ("subclass", len(TEMPERATURES))):
        tells.set(teacher=teacher, digit=7)
        figure = tells.chart.figure()
        assert [len(y(tells, f"{name} {what}")) for name in ("class", "subclass") for what in ("told", "entropy")] == [
            len(TEMPERATURES)] * 2 + [curve] * 2
        assert [len(x(tells, f"{name} now")) for name in ("class", "subclass")] == [1, int(curve > 0)]
        assert ("no subclasses" in figure.layout.xaxis3.title.text) == (not curve)
        classes, bars = ([trace for trace in figure.data if trace.uid == uid][0] for uid in ("classes", "subclasses"))
        assert (bars.marker.color == classes.marker.color) == (not curve)
    assert figure.layout.xaxis2.ticktext == ("0-4", "5-9<br>its label")


def test_hovering_names_the_outputs(tells):
    tells.set(teacher="subclass")
    (bars,) = [trace for trace in tells.chart.figure().data if trace.uid == "subclasses"]
    for k, digit in enumerate(tells.teacher.alike):
        alike = "largest for no test image" if digit < 0 else f"most like digit {digit}"
        assert bars.hovertext[k] == f"subclass {k % 5 + 1} of {('0-4', '5-9')[k // 5]}, {alike}"
    tells.set(teacher="oracle", digit=8, temperature=1.0)
    assert "on one like an 8 and" in tells.reading()


def test_the_file_of_a_map_is_small():
    assert scenes.MAP.stat().st_size < 10_000


def test_a_setting_that_changes_while_it_is_drawn_is_not_mixed_in(tells, monkeypatch):
    """Catches bars of one digit at the temperature of the next, where another thread moves a control in between."""
    tells.set(digit=3, temperature=1.0, teacher="subclass")
    kept, plain = tells.values, tells.logits

    def meanwhile(teacher, digit):
        monkeypatch.setattr(type(tells), "values", {**kept, "digit": 8, "temperature": 30.0, "teacher": "two-class"})
        return plain(teacher, digit)

    expected = y(tells, "subclasses").copy(), tells.reading()
    monkeypatch.setattr(tells, "logits", meanwhile)
    tells.draw(frozenset(kept))
    np.testing.assert_array_equal(y(tells, "subclasses"), expected[0])
    monkeypatch.undo()
    assert tells.reading() == expected[1]
