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


def test_the_probe_shows_every_method_and_control_in_both_sizes():
    record = catalog.recorded("beyond_compression.probe")
    plot = figures.probe(record)
    assert "image/png" in bundle(plot.figure, plot.reading) and not re.search(r"\bnan\b|None", plot.reading)
    shown = [(trace.xaxis, trace.y[0]) for trace in plot.figure.data if trace.mode == "markers"]
    assert len(shown) == len(set(shown)) == 2 * (len(METHODS) + 3)
    pixels = record.paired("accuracy", {"images": 500, "method": "pixels"}, {"images": 500, "method": "hard labels"})
    assert f"pixels {pixels.mean:+.1f}" in plot.reading
    assert "not been run" in figures.probe(Results(record.table.head(0))).reading


def test_labels_of_the_two_rules_do_not_touch(recorded):
    """Catches heights in points where the axis grew: 16 pixels are a line of text."""
    figure = figures.two_rules(recorded).figure
    values = [y for trace in figure.data for y in column(trace.y)]
    per_point = (figure.layout.height - 70) / (1.12 * (max(values) - min(values)))      # plotly pads an axis by 6%
    heights = sorted(note.y for note in figure.layout.annotations)
    assert len(heights) == len(METHODS) and min(np.diff(heights)) * per_point > 16


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
