"""Figures of notebook 06 on the recorded results: words, numbers, and nothing that is not a number."""

import re

import numpy as np
import pytest
from helpers import column

from kdutils.lessons import catalog
from kdutils.lessons.beyond_compression import figures
from kdutils.objectives import METHODS
from kdutils.plots.static import bundle
from kdutils.results import Results


@pytest.fixture(scope="module")
def recorded():
    return catalog.recorded("beyond_compression")


DRAWN = {"gains": figures.gains, "rules": figures.two_rules, "noise": figures.noise_curves,
         "rare": figures.rare_classes, "rarest": lambda r: figures.rare_classes(r, "rare"), "gap": figures.gap,
         "mimicry": figures.mimicry, "full": lambda r: figures.gains(r, "full"),
         "noise race": lambda r: figures.gains(r, "noise race")}


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_reads_itself_aloud_and_becomes_a_picture(recorded, name):
    plot = DRAWN[name](recorded)
    assert len(plot.reading) > 60 and not re.search(r"\bnan\b|None|\.\.$", plot.reading)
    assert "image/png" in bundle(plot.figure, plot.reading)


def test_gains_are_those_of_the_results(recorded):
    plot = figures.gains(recorded)
    shown = {name: x for trace in plot.figure.data if trace.mode == "markers"
             for name, x in zip(trace.y, column(trace.x), strict=True)}
    assert set(shown) == set(METHODS)
    for name, gain in shown.items():
        pair = [recorded.where(part="few-shot", method=method).set_index("seed")["accuracy"]
                for method in (name, "hard labels")]
        assert gain == pytest.approx((pair[0] - pair[1]).mean())


def test_the_mimicry_matrix_names_its_diagonal(recorded):
    plot = figures.mimicry(recorded)
    own = 100 * recorded.where(part="mimicry", method="AT", measure="AT")["left"].mean()
    assert f"AT {own:.0f}" in plot.reading
    (heat,) = plot.figure.data
    assert np.shape(heat.z) == (9, 8) and np.isfinite(heat.z).all()


def test_figures_without_runs_say_so():
    nothing = Results(catalog.recorded("beyond_compression").table.head(0))
    for draw in DRAWN.values():
        assert re.search(r"not been|yet|No teachers", draw(nothing).reading)


def test_rankings_have_places_for_every_method_that_was_measured():
    frame = figures.rankings(catalog.recorded("beyond_compression.fashion")).frame
    assert frame.loc[0, "KD"] == "+1.7 (1)" and frame.loc[2, "RKD"] == "+1.6 (1)" and frame.loc[0, "DML"] == "-"
    ours = frame[frame["who"].str.startswith("ours")]
    assert len(ours) == 4 and ours["KD"].str.contains("±").all()


def test_an_unknown_part_or_metric_is_refused(recorded, refuses):
    with refuses("part", "many"):
        figures.gains(recorded, "many")
    with refuses("metric", "recall"):
        figures.rare_classes(recorded, "recall")
