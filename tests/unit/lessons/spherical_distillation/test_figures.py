"""Figures of notebook 04: the numbers in them against the results, and the sentences under them."""

import numpy as np
import pandas as pd
import pytest
from helpers import column

from kdutils.lessons import catalog
from kdutils.lessons.spherical_distillation import figures
from kdutils.plots.static import png
from kdutils.results import Results


@pytest.fixture(scope="module")
def results():
    return catalog.recorded("spherical_distillation")


def lines(figure, name):
    """The marker traces of this name, panel by panel."""
    return [trace for trace in figure.data if trace.name == name]


def test_the_gap_shows_every_arm_in_every_panel(results):
    plot = figures.capacity_gap(results)
    for method in ("KD", "SKD", "one scalar"):
        for trace, t in zip(lines(plot.figure, method), (1.0, 4.0, 16.0), strict=True):
            expected = [results.mean("accuracy", part="gap", optimiser="Adam", method=method, width=w,
                                     temperature=t).mean for w in results.params["widths"]]
            np.testing.assert_allclose(column(trace.y), expected)
    assert "T = 4: KD 93.9 to 92.3" in plot.reading and "12 seeds" in plot.reading


def test_the_dial_shows_m_fixed_and_the_ratio_fixed(results):
    plot = figures.dial(results)
    (fixed,) = lines(plot.figure, "SKD, m/T fixed")
    assert np.ptp(column(fixed.y)) < 0.1 and "SKD, m = 2: 87.9 at T = 0.5" in plot.reading


def test_the_ablation_is_paired_with_kd_of_the_same_temperature(results):
    plot = figures.ablation(results)
    (at_one,) = lines(plot.figure, "T = 1")
    expected = results.paired("accuracy", {"part": "ablation", "method": "one scalar", "temperature": 1.0},
                              {"part": "ablation", "method": "KD", "temperature": 1.0})
    place = list(plot.figure.layout.yaxis.ticktext).index("the teacher, by one scalar")
    assert column(at_one.x)[place] == pytest.approx(expected.mean)
    assert column(at_one.y)[place] == pytest.approx(plot.figure.layout.yaxis.tickvals[place], abs=0.2)


def test_optimisers_are_told_apart_by_spread_and_by_their_students(results):
    plot = figures.optimisers(results)
    spread, accuracy = lines(plot.figure, "SGD")
    assert np.all(np.diff(column(spread.y)) < 0) and column(accuracy.y).min() > 92
    assert "Adam: spread 3.6 to 6.7, students 93.9 to 92.3" in plot.reading


def test_tables_hold_what_was_measured(results):
    table = figures.table(results).frame
    assert len(table) == 10 and table["m"].tolist()[0] == "-"
    assert table["accuracy (%)"][0].startswith("92.3 [")
    time = figures.more_time(results).frame
    assert time["steps"].tolist() == ["300", "300", "1,200", "1,200"]
    assert time["difference (points)"][2].startswith("+0.2")
    assert figures.two_classes(results).frame["accuracy (%)"].tolist()[-1].startswith("49.8")
    assert figures.reach().loc["m = 2, T = 1", "C = 10"] == pytest.approx(0.9887, abs=1e-4)


@pytest.mark.parametrize("make", [figures.capacity_gap, figures.confidence, figures.dial, figures.ablation,
                                  figures.optimisers])
def test_a_figure_without_results_says_so_and_one_with_them_can_be_printed(make, results):
    columns = ["part", "method", "optimiser", "width", "temperature", "m", "transfer", "seed", "accuracy"]
    empty = make(Results(pd.DataFrame(columns=columns), results.params))
    assert empty.reading == figures.NOT_YET
    assert len(png(make(results).figure)) > 5000


def test_the_hundred_has_the_same_figures():
    hundred = catalog.recorded("spherical_distillation.hundred")
    assert "T = 4: KD 16.4 to 16.8" in figures.capacity_gap(hundred, forms=("KD", "SKD")).reading
    assert "SGD: spread 2.3 to 2.6" in figures.optimisers(hundred).reading
