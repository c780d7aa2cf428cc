"""The panels of notebook 06 from Python."""

import math
import re

import numpy as np
import pytest
from helpers import y

from kdutils.lessons.beyond_compression.panels.long_tail import METHODS as REPAIRS
from kdutils.lessons.beyond_compression.panels.long_tail import LongTail
from kdutils.lessons.beyond_compression.panels.method_race import MethodRace
from kdutils.lessons.beyond_compression.panels.nine_lenses import CHANGES, TALLEST, NineLenses
from kdutils.lessons.beyond_compression.panels.poison_labels import PoisonLabels
from kdutils.objectives import METHODS

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.fixture(scope="module")
def lenses() -> NineLenses:
    return NineLenses()


@pytest.mark.parametrize(("change", "blind"), [("rotate all features", {"AT", "RKD", "SP"}), ("one image moves", set()),
                                               ("scale all features", {"AT", "RKD", "SP"}),
                                               ("shift all features", {"RKD"}), ("mirror the maps", set())])
def test_who_notices_what(lenses, change, blind):
    lenses.set(change=change, amount=0.6)
    assert {name for name, loss in lenses.found.items() if abs(loss) < 0.1} == blind
    for name in blind:
        assert re.search(rf"\b{name}\b.* see", lenses.reading())


def test_a_perfect_copy_is_zero_for_all_that_have_a_teacher(lenses):
    for change in CHANGES:
        lenses.set(change=change, amount=0.0)
        assert all(abs(loss) < 1e-3 for name, loss in lenses.found.items() if name != "ONE")
    assert "perfect copy" in lenses.reading() and lenses.found["ONE"] == pytest.approx(100)


@pytest.mark.parametrize("method", METHODS)
def test_every_lens_has_two_pictures_which_differ_only_when_something_happens(lenses, method):
    lenses.set(method=method, change="one image moves", amount=0.0)
    same = [lenses.chart.points(uid)["z"] for uid in ("teacher", "student")]
    np.testing.assert_array_equal(*same)
    lenses.set(amount=0.8)
    told, own = (lenses.chart.points(uid)["z"] for uid in ("teacher", "student"))
    np.testing.assert_array_equal(told, same[0])
    assert not np.allclose(told, own) and method in lenses.reading()
    assert len(y(lenses, "loss")) == 9


def test_a_bar_that_would_be_too_tall_says_its_value(lenses):
    """Catches bars that end at the cap and pass for 400%."""
    tall = 0
    for change in CHANGES:
        lenses.set(change=change, amount=1.0)
        said = next(trace for trace in lenses.chart.figure().data if trace.uid == "taller").text
        for name, text, height in zip(lenses.found, said, y(lenses, "loss"), strict=True):
            found = lenses.found[name]
            assert height == pytest.approx(min(found, TALLEST), rel=1e-5)
            assert text == (f"{found:,.0f}" if found > TALLEST else "")
            tall += found > TALLEST
    assert tall


PRESETS = [(NineLenses, {}), (PoisonLabels, {"seeds": 2, "steps": 20}), (LongTail, {"seeds": 2, "steps": 20}),
           (MethodRace, {"seeds": 2, "steps": 15})]


def test_poisoned_labels_are_learnt_by_heart_and_the_gain_is_kept():
    panel = PoisonLabels(seeds=2, steps=40, images=200, noise=0.6)
    assert "press Train" in panel.reading() and "54% are wrong" in panel.reading()
    panel.run()
    assert len(panel.answers) == 1 and panel.answers[0].x == 0.6
    assert panel.answers[0].gain.mean == pytest.approx((panel.scores[1] - panel.scores[0]).mean())
    assert y(panel, "heart hard labels mean")[-1] == pytest.approx(panel.hearts[0].mean())
    assert len(y(panel, "accuracy distilled mean")) == 3 and "by heart" in panel.reading()
    panel.set(noise=0.0)
    panel.run()
    assert panel.hearts is None and len(panel.answers) == 2 and len(y(panel, "answers")) == 2
    panel.set(alpha=0.5)
    assert len(y(panel, "answers")) == 0 and len(y(panel, "others")) == 2     # other settings are hollow


@pytest.mark.parametrize("method", REPAIRS)
def test_the_dial_shows_counts_and_recalls_of_the_method(method):
    panel = LongTail(seeds=2, steps=40, method=method, gamma=0.2)
    assert y(panel, "counts").tolist() == [100, 17, 11, 9, 7, 7, 6, 6, 5, 5]
    panel.run()
    for k, uid in enumerate(("recall hard labels", "recall distilled")):
        np.testing.assert_allclose(y(panel, uid), panel.each[k])
        assert panel.each[k].mean() == pytest.approx(panel.scores[k].mean(), abs=1e-3)
    assert method in panel.reading() and len(panel.answers) == 1
    if method == REPAIRS[2]:        # the same students, other answers: the rare gain
        assert panel.each[1, -3:].mean() > panel.each[0, -3:].mean()


@pytest.mark.parametrize("weights", ["equal gradients", "public codes"])
def test_the_race_has_all_nine_with_intervals(weights):
    panel = MethodRace(seeds=2, steps=15, weights=weights)
    assert "press Train" in panel.reading().replace("Press", "press")
    panel.run()
    assert list(panel.gains) == list(METHODS)
    for name, gain in panel.gains.items():
        assert y(panel, f"{name} gain").tolist() == pytest.approx([gain.mean], abs=1e-4)
        assert y(panel, f"{name} interval").tolist() == pytest.approx([gain.low, gain.high], abs=1e-3)
        assert len(y(panel, name)) == 16
    assert weights in panel.reading() and not math.isnan(panel.right)
