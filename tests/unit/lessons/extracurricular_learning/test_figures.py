"""Figures of notebook 05: the numbers in them against the recorded table, and the sentences under them."""

import re

import numpy as np
import pytest
import torch
from helpers import column

from kdutils.datasets.gaze import eyes
from kdutils.lessons import catalog
from kdutils.lessons.extracurricular_learning import figures
from kdutils.lessons.extracurricular_learning.claims import LARGE_EYES, PAGE
from kdutils.lessons.extracurricular_learning.gap import Gap
from kdutils.plots import static
from kdutils.results import Results


@pytest.fixture(scope="module")
def results():
    return catalog.recorded("extracurricular_learning")


@pytest.fixture(scope="module")
def fashion():
    return catalog.recorded("extracurricular_learning.fashion")


def named(figure, name, axis="x"):
    return [trace for trace in figure.data if trace.name == name and (trace.xaxis or "x") == axis]


def test_every_figure_has_a_sentence_and_a_picture(results, fashion):
    shown = [figures.where_it_asked(results), figures.pools(results), figures.pools(results, "digits"),
             figures.pools(results, "equal"), figures.calibration(results), figures.gap_by_number(results),
             figures.keep_or_drop(results), figures.far_from_data(results), figures.second_scale(fashion)]
    for plot in shown:
        assert plot.reading.endswith(".") and "nan" not in plot.reading
        bundle = static.bundle(plot.figure, plot.reading)
        assert len(bundle["image/png"]) > 5_000


def test_the_first_size_of_eyes_need_not_be_the_smallest(results):
    """Catches figures that look for the parts of one size at the smallest: `-p gaze_sizes "[300, 10]"` ended there."""
    table = results.table.copy()
    eyes_of = table["part"].isin(["gaze", "means", "rules", "queries"])
    table.loc[eyes_of, "images"] = table.loc[eyes_of, "images"].map({100: 300, 300: 100})
    turned = Results(table, results.params)
    for draw in (figures.calibration, figures.gap_by_number, figures.keep_or_drop):
        assert draw(turned).reading == draw(results).reading
    assert figures.pools(turned).reading.startswith("Students with 300 inputs of their own")
    assert figures.pools(turned, images=100).reading.startswith("Students with 100 inputs of their own")


def test_the_curve_shows_means_of_the_table(results):
    plot = figures.where_it_asked(results)
    (mixed,) = named(plot.figure, "mixed dots")
    expected = [results.where(part="toy", method="mixup")[region].mean() for region in ("at", "between", "beyond")]
    np.testing.assert_allclose(column(mixed.y), expected)


@pytest.mark.parametrize("part, images, metric, best_last", [("gaze", 100, "degrees", False),
                                                             ("digits", 50, "accuracy", True)])
def test_pools_are_sorted_best_on_top_with_what_was_measured(results, part, images, metric, best_last):
    plot = figures.pools(results, part, images)
    ticks = plot.figure.layout.yaxis.ticktext
    means = [results.mean(metric, part=part, images=images, method=name).mean for name in ticks]
    assert means == sorted(means, reverse=not best_last)
    drawn = {}
    for kind in ("labels, no teacher", "labelled by the teacher"):
        (trace,) = named(plot.figure, kind)
        drawn |= dict(zip(column(trace.y).astype(int).tolist(), column(trace.x), strict=True))
    np.testing.assert_allclose([drawn[i] for i in range(len(ticks))], means)
    green = named(plot.figure, "labels, no teacher")[0]
    assert {ticks[int(i)] for i in column(green.y)} == {name for name in ticks if name.startswith("labels")}


def test_bars_are_the_intervals(results):
    plot = figures.keep_or_drop(results)
    bars = [trace for trace in plot.figure.data if trace.mode == "lines"][0]
    x = column(bars.x).reshape(-1, 3)
    effect = results.mean("degrees", part="rules", rule="sure", method="fresh", images=100)
    np.testing.assert_allclose(x[1, :2], [effect.low, effect.high])


def test_a_gap_that_nothing_closed_is_zero_without_a_sign():
    """Catches "-0% [-0, 0]", which share = 0 brings."""
    assert str(Gap(-0.2, -0.4, 0.1, 17, 17, 11, 3)).startswith("0% [0, 0] (17 to 17, teacher 11)")


def test_a_gap_is_never_shown_without_its_three_numbers(results, fashion):
    for table in (figures.gap_table(results), figures.gap_table(results, "digits", ("shifts", "fresh")),
                  figures.second_gaps(fashion)):
        frame = table.frame
        for _, row in frame.iterrows():
            base, student, teacher = (float(row[name]) for name in ("same inputs", "student", "teacher"))
            share = float(re.match(r"(-?\d+)%", row["gap closed [95%]"])[1])
            assert share == pytest.approx(100 * (student - base) / (teacher - base), abs=2)
            assert re.search(r"\[-?\d+, -?\d+\]", row["gap closed [95%]"])
    reading = figures.gap_by_number(results).reading
    assert reading.count("teacher 96.8") == 5 and reading.count("teacher 3.64") == 4


def test_far_from_the_data_the_two_teachers_change_places(results):
    plot = figures.far_from_data(results)
    small, large = (column(trace.y) for trace in plot.figure.data if trace.name)
    assert large[0] > small[0] and large[-1] < small[-1]


def test_both_scales_stand_side_by_side_with_their_verdicts(results):
    large = catalog.recorded("extracurricular_learning.large_eyes")
    frame = figures.both_scales(results, large, [(PAGE[1], LARGE_EYES[0])]).frame
    mixed = frame[frame["what is measured"].str.contains("mixed eyes against the same")].iloc[0]
    assert mixed["10×14 [95%]"].startswith("+0.4") and "opposite" in mixed["10×14 [95%]"]
    assert mixed["36×60 [95%]"].startswith("-0.4") and "✓ seen" in mixed["36×60 [95%]"]
    nothing = Results(large.table.head(0))
    missing = figures.both_scales(results, nothing, [(PAGE[1], LARGE_EYES[0])]).frame
    assert missing["36×60 [95%]"].str.contains("not measured").all()


def test_pools_and_calibration_read_the_large_eyes_too():
    large = catalog.recorded("extracurricular_learning.large_eyes")
    assert "fresh is best" in figures.pools(large).reading and "6 seeds" in figures.calibration(large).reading


def test_pointers_end_where_the_iris_is():
    height, width = 36, 60
    seen = eyes(40, 0, "mpiigaze", noise=0.0)
    wide = seen.opening > 0.8
    dark = (0.3 - seen.inputs[wide, 0] / seen.inputs[wide, 0].amax((1, 2), keepdim=True)).clamp(min=0)
    x = (dark.sum(1) * torch.arange(width)).sum(1) / dark.sum((1, 2))
    at = figures.point(seen.gaze[wide].numpy(), height, width)
    assert np.abs(at[:, 0] - x.numpy()).mean() < 3


def test_an_ellipse_is_two_sigma_around_its_mean():
    x, y = figures.ellipse(np.zeros(2), np.array([0.1, 0.05]), 10, 14)
    right = figures.point(np.array([0.2, 0.0]), 10, 14)
    up = figures.point(np.array([0.0, 0.1]), 10, 14)
    assert x.max() == pytest.approx(right[0], abs=1e-3) and y.min() == pytest.approx(up[1], abs=1e-3)


def test_eyes_and_pictures_are_described_in_words():
    seen = eyes(8, 1)
    answer = {"teacher": (seen.gaze, torch.full((8, 2), -5.0))}
    plot = figures.eye_gallery(seen, answer)
    assert len(named(plot.figure, "teacher")) == 1 and "lids open" in plot.reading
    assert "8 of the student's own" in figures.picture_gallery(seen.inputs, seen.inputs).reading


def test_an_unknown_part_is_refused(results, refuses):
    with refuses("part", "faces"):
        figures.pools(results, "faces")
    with refuses("images", "77"):
        figures.pools(results, "gaze", 77)
