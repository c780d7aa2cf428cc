"""Figures and tables of the notebooks, against means and intervals by hand."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from helpers import column
from made_results import GAINS, QUANTILE, SCATTER, SEEDS, TEMPERATURES

from kdutils import claims, plots
from kdutils.datasets import load
from kdutils.lessons.dark_knowledge import figures as dark_knowledge_figures
from kdutils.lessons.start_here import figures as start_here_figures
from kdutils.plots import static
from kdutils.plots.base import log_temperature_axis
from kdutils.plots.style import VERDICT_COLOURS, base_layout, translucent
from kdutils.results import Effect, Results


def by_hand(values) -> tuple[float, float, float]:
    """Mean and 95% interval of five values, without kdutils."""
    values = np.asarray(values, float)
    half = QUANTILE * np.sqrt(((values - values.mean()) ** 2).sum() / 4 / 5)
    return values.mean(), values.mean() - half, values.mean() + half


def named(figure, name) -> go.Scatter:
    (trace,) = [trace for trace in figure.data if trace.name == name]
    return trace


def intervals_before(figure, name) -> np.ndarray:
    """The (low, high) pairs drawn just before the markers of this name."""
    traces = list(figure.data)
    bars = traces[traces.index(named(figure, name)) - 1]
    y, x = column(bars.y).reshape(-1, 3), column(bars.x).reshape(-1, 3)
    assert np.isnan(y[:, 2]).all() and np.isnan(x[:, 2]).all() and np.array_equal(x[:, 0], x[:, 1])
    assert not bars.connectgaps
    return y[:, :2]


def gains_of(size, temperature) -> list[float]:
    return [GAINS[size, temperature] + SCATTER[seed] for seed in SEEDS]


# ---- the figures --------------------------------------------------------------------------------------------------

def test_learning_curves_show_means_bands_and_the_teacher(curves):
    figure, reading = (plot := start_here_figures.learning_curves(curves)).figure, plot.reading
    for name, factor, levels in (("student, hard labels", 1, (60, 80)), ("student, distilled", 2, (55, 83))):
        expected = np.array([by_hand([level + factor * SCATTER[seed] for seed in SEEDS]) for level in levels])
        line = named(figure, name)
        low, high = figure.data[(at := list(figure.data).index(line)) - 2], figure.data[at - 1]
        assert list(line.x) == [10, 20]
        for trace, want in zip((line, low, high), expected.T, strict=True):
            np.testing.assert_allclose(column(trace.y), want, rtol=1e-12)
        assert high.fill == "tonexty" and low.fill is None
    assert named(figure, "student, hard labels").line.color == plots.COLOURS["hard labels"]
    assert named(figure, "student, distilled").line.dash == plots.DASHES["distilled"]
    assert named(figure, "teacher").y == (97, 97) and named(figure, "teacher").x == (0, 20)
    assert "After 20 steps" in reading and "3.1 points more accurate" in reading and "over 5 seeds" in reading


def test_a_loss_is_called_less(curves):
    distilled = curves.table["method"] == "distilled"
    curves.table.loc[distilled, "accuracy"] -= 6
    assert "2.9 points less accurate" in start_here_figures.learning_curves(curves).reading


def test_one_seed_has_curves_and_no_bands(curves):
    one = Results(curves.table[curves.table["seed"] == 0])
    plot = start_here_figures.learning_curves(one)
    assert column(named(plot.figure, "student, distilled").y).tolist() == [55, 83]
    assert np.isnan(column(plot.figure.data[0].y)).all()
    assert static.png(plot.figure)


def test_gain_by_temperature_shows_paired_differences(sweep):
    figure, reading = (plot := dark_knowledge_figures.gain_by_temperature(sweep)).figure, plot.reading
    for size, name in ((50, "50 images"), (1200, "1,200 images")):
        expected = np.array([by_hand(gains_of(size, t)) for t in TEMPERATURES])
        markers = named(figure, name)
        assert markers.x == TEMPERATURES
        np.testing.assert_allclose(column(markers.y), expected[:, 0])
        np.testing.assert_allclose(intervals_before(figure, name), expected[:, 1:])
    assert "50 images: +2.1 at T = 1, +9.1 at T = 16" in reading
    assert "1,200 images: +0.6 at T = 1, -2.9 at T = 16" in reading and "5 seeds" in reading
    assert figure.layout.xaxis.type == "log" and figure.layout.xaxis.ticktext == ("1", "4", "16")
    (zero,) = figure.layout.shapes
    assert zero.y0 == zero.y1 == 0


def test_whose_labels_compares_equal_sizes_at_equal_temperature(sweep):
    figure, reading = (plot := dark_knowledge_figures.whose_labels(sweep)).figure, plot.reading
    for name, gains in (("teacher saw all labels", gains_of(50, 4.0)),
                        ("teacher saw the same labels", [SCATTER[seed] for seed in SEEDS])):
        mean, low, high = by_hand(gains)
        np.testing.assert_allclose(column(named(figure, name).y), [mean])
        np.testing.assert_allclose(intervals_before(figure, name), [[low, high]])
        assert abs(named(figure, name).x[0]) < 0.2
    assert figure.layout.xaxis.ticktext == ("50 images",)
    assert "T = 4" in reading and "all labels: +8.1 with 50; teacher saw the same labels: +0.1 with 50" in reading


@pytest.mark.parametrize("lacking", [{"temperature": 4.0, "part": "sweep"}, {"part": "same labels"}])
def test_whose_labels_says_when_there_is_nothing_to_compare(sweep, lacking):
    """Other temperatures in the parameters cell, or a run that was interrupted before its control."""
    without = sweep.table.drop(sweep.where(**lacking).index)
    plot = dark_knowledge_figures.whose_labels(Results(without))
    assert not plot.figure.data and plot.reading.startswith("No size of the transfer set")
    assert static.png(plot.figure)


def test_omitted_digit_shows_recall_before_and_after_the_correction(sweep):
    figure, reading = (plot := dark_knowledge_figures.omitted_digit(sweep)).figure, plot.reading
    plain = np.array([by_hand([level + max(0, SCATTER[s]) for s in SEEDS]) for level in (0, 5, 40)])
    corrected = np.array([by_hand([level + SCATTER[s] for s in SEEDS]) for level in (30, 60, 90)])
    for name, expected in (("as trained", plain), ("bias corrected", corrected)):
        np.testing.assert_allclose(column(named(figure, name).y), expected[:, 0])
        np.testing.assert_allclose(intervals_before(figure, name), expected[:, 1:])
    assert figure.layout.xaxis.ticktext == ("hard labels", "T = 1", "T = 8")
    assert "How many 7s" in reading
    assert "as trained: hard labels 0%, T = 1 5%, T = 8 40%" in reading
    assert "bias corrected: hard labels 30%, T = 1 60%, T = 8 90%" in reading


def test_omitted_digit_of_an_interrupted_run_says_so(sweep):
    plot = dark_knowledge_figures.omitted_digit(Results(sweep.table[sweep.table["part"] == "sweep"]))
    assert "have not been trained" in plot.reading and static.png(plot.figure)


def test_the_gallery_shows_the_images_that_were_asked_for():
    data = load("digits")
    plot = plots.digit_gallery(data, [3, 1700], ["three", "later"])
    for trace, index in zip(plot.figure.data, (3, 1700), strict=True):
        np.testing.assert_array_equal(np.array(trace.z, float), data.images[index, 0].numpy())
    assert plot.reading == "2 images from digits: three, later."
    assert [note.text for note in plot.figure.layout.annotations] == ["three", "later"]
    assert all(axis.autorange == "reversed" for axis in plot.figure.select_yaxes())      # row 0 is the top
    own = plots.digit_gallery(data, [0, 1])
    assert [note.text for note in own.figure.layout.annotations] == ["0", "1"]


def test_a_plot_shows_itself_with_its_sentence(curves, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda what, **_: shown.append(what))
    plot = start_here_figures.learning_curves(curves)
    plot._ipython_display_()
    bundle, line = shown
    assert bundle["text/plain"] == plot.reading and plot.reading in line.data


# ---- the tables ---------------------------------------------------------------------------------------------------

CLAIM = claims.Claim("X1", "here", "Few images gain, all images do not.", "dark_knowledge", (
    claims.Part("gain with 50", lambda r: r.paired("accuracy", _arm(50, 4.0), _arm(50)), low=3),
    claims.Part("gain with 1,200", lambda r: r.paired("accuracy", _arm(1200, 16.0), _arm(1200)), low=0),
    claims.Part("gain with 9", lambda r: r.paired("accuracy", _arm(9, 4.0), _arm(9)), low=0)),
    paper="Not available.", why="Other data.")


def _arm(n, temperature=None):
    same = {"part": "sweep", "transfer": n}
    return same | ({"method": "distilled", "temperature": temperature} if temperature else {"method": "hard labels"})


def test_the_table_of_claims_has_a_row_per_part(sweep):
    frame = plots.claims_table(sweep, [CLAIM]).frame
    _, low, high = by_hand(gains_of(50, 4.0))
    assert frame["measured [95%]"].tolist()[0] == f"+8.1 [{low:+.1f}, {high:+.1f}]"
    assert frame["measured [95%]"].tolist()[1].startswith("-2.9 [-4") and frame["measured [95%]"].tolist()[2] == "-"
    assert frame["verdict"].tolist() == ["✓ seen", "⇄ opposite", "– not measured"]
    page = plots.claims_table(sweep, [CLAIM])._repr_mimebundle_()["text/html"]
    for verdict in ("seen", "opposite", "not measured"):
        assert f"border-left: 4px solid {VERDICT_COLOURS[verdict]}" in page
    assert frame["in"].tolist() == ["points"] * 3 and frame["said to be"].tolist()[0] == "above 3"
    assert frame["claim"].tolist() == ["X1: Few images gain, all images do not.", "", ""]
    one_seed = plots.claims_table(Results(sweep.table[sweep.table["seed"] == 0]), [CLAIM]).frame
    assert one_seed["measured [95%]"].tolist() == ["+8.0 (1 seed)", "-3.0 (1 seed)", "-"]


def test_what_was_seen_is_folded_under_its_claim(sweep):
    """Catches a table of three screens in which every verdict looks alike, and one that folds what was not seen."""
    seen = claims.Claim("X2", "a paper", "Few images gain.", "dark_knowledge", CLAIM.parts[:1], paper="", why="")
    page = plots.claims_table(sweep, [CLAIM, seen])._repr_mimebundle_()["text/html"]
    first, second = page.split("<details")[1:]
    assert first.startswith(" open><summary>") and "X1: Few images gain, all" in first and first.count("<tr>") == 4
    assert second.startswith("><summary>✓ seen · X2: Few images gain.</summary>") and second.count("<tr>") == 2
    assert "gain with 1,200" not in second and "<th" in second


def test_the_table_of_many_claims_says_how_many_intervals_miss_by_chance(sweep):
    table = plots.claims_table(sweep, [CLAIM] * 10)
    assert table.note.startswith("Of 30 intervals at 95%, about 2 ") and "Holm" in table.note
    assert all(table.note in shown for shown in table._repr_mimebundle_().values())
    assert plots.claims_table(sweep, [CLAIM]).note == ""


def test_the_paper_and_us_gives_both_sides(sweep):
    table = plots.paper_and_us(sweep, [CLAIM])
    (row,) = table.frame.to_dict("records")
    assert row["the paper"] == "Not available." and row["why they may differ"] == "Other data."
    seeds, few, many, none = row["ours"].split("\n")
    assert seeds == "5 seeds" and few.startswith("gain with 50: +8.1 [") and few.endswith("] points")
    assert many.startswith("gain with 1,200: -2.9 [") and none == "gain with 9: not measured"
    assert row["verdict"] == "– not measured"
    page = table._repr_mimebundle_()
    assert "Not available." in page["text/plain"] and "text-align: left" in page["text/html"]
    assert "points; gain with 1,200" in page["text/plain"]


def test_the_paper_and_us_gives_the_seeds_of_each_where_they_differ(sweep):
    """Catches one number of seeds, printed for parts that have others."""
    parts = (CLAIM.parts[0], claims.Part("alone", lambda r: Effect(1.0, float("nan"), float("nan"), 1), unit="steps"))
    (row,) = plots.paper_and_us(sweep, [replace(CLAIM, parts=parts)]).frame.to_dict("records")
    few, alone = row["ours"].split("\n")
    assert few.endswith("] points (5 seeds)") and alone == "alone: +1.0 steps (1 seed)"


def test_a_table_keeps_lines_and_signs():
    """Catches a "<" taken for markup, and the style of a column that the table's own overrules."""
    table = plots.Table(pd.DataFrame({"a": ["x < y\nz"], "b": ["+1.0 [0.5, 1.5]"]}), {"b": "white-space: nowrap"})
    page = table._repr_mimebundle_()
    assert "x &lt; y\nz" in page["text/html"] and "x < y; z" in page["text/plain"]
    assert '<td style="white-space: nowrap">' in page["text/html"]


# ---- the look -----------------------------------------------------------------------------------------------------

def test_base_layout_merges_and_keeps_itself():
    changed = base_layout(height=200, xaxis={"title": {"text": "steps"}, "range": [0, 1]}, margin={"t": 9})
    assert changed["xaxis"]["title"] == {"font": {"size": 13}, "text": "steps"} and changed["xaxis"]["range"] == [0, 1]
    assert changed["margin"] == {"l": 60, "r": 20, "t": 9, "b": 50} and changed["height"] == 200
    assert base_layout()["xaxis"]["title"] == {"font": {"size": 13}} and base_layout()["margin"]["t"] == 50
    assert "font" in base_layout(yaxis={"title": {"text": "z"}})["yaxis"]["title"]


def test_translucent():
    assert translucent("#0072B2", 0.5) == "rgba(0,114,178,0.5)"


def test_a_temperature_axis_holds_all_its_temperatures():
    axis = log_temperature_axis((1, 4, 32))
    assert axis["range"][0] < 0 and axis["range"][1] > math.log10(32) and axis["ticktext"] == ["1", "4", "32"]


def test_a_claim_at_three_scales_has_one_row_with_its_own_verdicts():
    """Catches verdicts that are put together by their order, and a scale that is judged by another's rules."""
    def claim(name, low):
        part = claims.Part("value", claims.Mean("value", {"method": name[0]}), low=low)
        return claims.Claim(name, "somebody", f"Statement of {name[0]}.", "made_up", (part,), "nothing", "nothing")

    def results(values):
        return Results(pd.DataFrame([{"method": method, "seed": seed, "value": value + SCATTER[seed] / 100}
                                     for method, value in values.items() for seed in SEEDS]), {"seeds": 5}, {})

    table = plots.scales({"small": (results({"A": 5.0, "B": -5.0}), [claim("A", 0), claim("B", 0)]),
                          "middle": (results({"A": 5.0, "C": 1.0}), [claim("C", 9), claim("A-20", 9)]),
                          "large": (results({"A": -5.0, "B": 5.0, "C": 5.0}),
                                    [claim("B-100", 9), claim("C-100", 0), claim("A-100", 0)])}).frame
    assert table["claim"].tolist() == ["B: Statement of B.", "C: Statement of C.", "A: Statement of A."]
    assert list(table) == ["claim", "small", "middle", "measured: large", "large"]
    assert table["small"].tolist() == ["⇄ opposite", "not asked", "✓ seen"]
    assert table["middle"].tolist() == ["not asked", "✗ not seen", "✗ not seen"]
    assert table["large"].tolist() == ["✗ not seen", "✓ seen", "⇄ opposite"]
    assert "value: +5.0 [+5.0, +5.0] points" in table["measured: large"][0]
