"""What an interval covers: halves of the digits, and the spreads that are compared."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from kdutils.datasets import load, split
from kdutils.lessons import catalog
from kdutils.lessons.start_here import halves
from kdutils.results import Results


def made(shared: float, own: float, cuts: int = 400, seeds: int = 4) -> Results:
    """Results whose halves have a deviation `shared` by all their seeds, beside each seed's `own`."""
    dice, rows = np.random.default_rng(0), []
    for cut in range(cuts):
        for half in "ab":
            base = 90 + shared * dice.standard_normal()
            for seed in range(seeds):
                value = base + own * dice.standard_normal()
                same = {"cut": cut, "half": half, "seed": seed}
                rows += [same | {"method": method, "transfer": n, "accuracy": value + extra}
                         for method, n, extra in (("teacher", 599, 5), ("hard labels", 50, 0),
                                                  ("distilled", 50, 1 + 0.5 * dice.standard_normal()))]
    return Results(pd.DataFrame(rows))


@pytest.mark.parametrize(("shared", "own"), [(0.0, 2.0), (3.0, 4.0)])
def test_the_ratio_is_that_of_the_deviations_that_went_in(shared, own):
    """Catches variances over n, a missing half, and a bootstrap over rows in place of cuts."""
    row = halves.spreads(made(shared, own)).iloc[0]
    assert row.seeds == pytest.approx(own, rel=0.05)
    assert row.halves == pytest.approx(np.hypot(shared, own), rel=0.05)
    assert row.low < np.hypot(shared, own) / own < row.high and row.high - row.low < 0.2


def test_a_gain_is_the_difference_of_the_same_seed():
    """Catches methods that are paired across seeds: their own spread of 2 would not cancel."""
    gain = halves.spreads(made(1, 2)).set_index("quantity").loc["gain of soft targets, 50 images"]
    assert gain.seeds == pytest.approx(0.5, rel=0.05) and gain.halves == pytest.approx(0.5, rel=0.05)


def test_halves_share_no_image_and_are_all_of_them():
    data = load("digits")
    a, b = halves.in_two(data, 3)
    assert sorted(torch.cat([a, b]).tolist()) == list(range(1797)) and abs(len(a) - len(b)) == 1
    assert not torch.equal(halves.in_two(data, 4)[0], a)
    half = halves.part_of(data, a, "half")
    assert torch.equal(half.images, data.images[a]) and torch.equal(half.labels, data.labels[a])


def test_a_run_cuts_the_digits_in_two_and_no_image_is_in_both_halves(monkeypatch):
    """Catches one half that is used twice, a half of another cut, and splits of the whole in place of a half."""
    data, seen = load("digits"), []
    monkeypatch.setattr(halves, "split", lambda half, *more: seen.append(half) or split(half, *more))
    halves.run(replace(halves.DEFAULT, cuts=2, seeds=2, transfer_sizes=(20,), steps=2, teacher_steps=2))
    assert len(seen) == 8 and len({half.fingerprint for half in seen}) == 4
    for cut in (seen[:4], seen[4:]):
        a, b = cut[::2]     # at the first of two seeds each
        both = torch.cat([a.images, b.images]).flatten(1)
        assert sorted(both.tolist()) == sorted(data.images.flatten(1).tolist()) and abs(len(a) - len(b)) == 1


def test_a_small_run_has_a_row_for_each_student_and_teacher():
    results = halves.run(replace(halves.DEFAULT, cuts=2, seeds=2, transfer_sizes=(20,), steps=4, teacher_steps=4))
    assert results.table.groupby(["cut", "half", "seed"]).size().tolist() == [3] * 8
    assert results.table.accuracy.between(0, 100).all()


def test_the_record_says_what_the_page_says():
    """Notebook 00 names these numbers in its text."""
    rows = halves.spreads(catalog.recorded("start_here.halves"))
    assert round(rows.ratio.min(), 2) == 0.91 and round(rows.ratio.max(), 2) == 1.09
    assert (rows.low < 1).all() and (rows.high > 1).all() and round(rows.high.max(), 2) == 1.20
