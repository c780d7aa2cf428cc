"""Figures: the numbers in them against numbers computed here, the sentences under them, and the static bundle."""

import base64
import io
import json
import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from helpers import column
from matplotlib.image import imread
from PIL import Image
from scipy import stats

from kdutils import claims, plots
from kdutils.datasets import load
from kdutils.lessons.dark_knowledge import figures as dark_knowledge_figures
from kdutils.lessons.start_here import figures as start_here_figures
from kdutils.plots import static
from kdutils.plots.base import log_temperature_axis
from kdutils.plots.style import VERDICT_COLOURS, base_layout, translucent
from kdutils.results import Effect, Results

SEEDS = range(5)
SCATTER = {seed: value for seed, value in zip(SEEDS, (0.0, 1.5, -1.0, 0.5, -0.5), strict=True)}
QUANTILE = 2.7764451051977987        # Student's t, 4 degrees of freedom, from a printed table


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


@pytest.fixture
def curves() -> Results:
    """Hard-label students end at 80 + noise, distilled ones 3 points and once the noise higher."""
    rows = [{"method": "teacher", "step": 20, "seed": seed, "accuracy": 95 + seed} for seed in SEEDS]
    for seed in SEEDS:
        for step, hard, gain in ((10, 60, -5), (20, 80, 3)):
            noise = SCATTER[seed]
            rows.append({"method": "hard labels", "step": step, "seed": seed, "accuracy": hard + noise})
            rows.append({"method": "distilled", "step": step, "seed": seed, "accuracy": hard + gain + 2 * noise})
    return Results(pd.DataFrame(rows).sample(frac=1, random_state=0).sort_values("step", kind="stable"))


SIZES, TEMPERATURES = (50, 1200), (1.0, 4.0, 16.0)
GAINS = {(50, 1.0): 2.0, (50, 4.0): 8.0, (50, 16.0): 9.0, (1200, 1.0): 0.5, (1200, 4.0): -1.0, (1200, 16.0): -3.0}


@pytest.fixture
def sweep() -> Results:
    rows = []

    def arms(part, n, gains, **more):
        for seed in SEEDS:
            same = {"part": part, "transfer": n, "seed": seed}
            rows.append(same | {"method": "hard labels", "temperature": None, "accuracy": 80 + 3 * SCATTER[seed]})
            rows.extend(same | {"method": "distilled", "temperature": t, "accuracy": 80 + 4 * SCATTER[seed] + gain}
                        for t, gain in gains.items())

    for n in SIZES:
        arms("sweep", n, {t: GAINS[n, t] for t in TEMPERATURES})
    arms("same labels", 50, {4.0: 0.0})
    arms("same labels", 70, {4.0: 1.0})          # no sweep of this size: it cannot be compared
    for seed in SEEDS:
        for t, plain, corrected in ((None, 0, 30), (1.0, 5, 60), (8.0, 40, 90)):
            rows.append({"part": "omitted", "transfer": 1080, "seed": seed, "temperature": t,
                         "method": "distilled" if t else "hard labels", "recall": plain + max(0, SCATTER[seed]),
                         "corrected_recall": corrected + SCATTER[seed]})
    return Results(pd.DataFrame(rows), {"omitted": 7})


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
    assert re.search(r"td\.col1 \{\s*white-space: nowrap;", page["text/html"])


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


# ---- the static bundle --------------------------------------------------------------------------------------------

def picture(figure, **options) -> np.ndarray:
    """The PNG as (height, width, 3) numbers from 0 to 1."""
    return imread(io.BytesIO(static.png(figure, **options)), format="png")[..., :3]


def ink(figure, colour, **options) -> np.ndarray:
    """Where the picture has this colour: a mask (height, width)."""
    red, green, blue = (int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5))
    return np.abs(picture(figure, **options) - (red, green, blue)).max(-1) < 0.04


RED = "#D50000"


def framed(*traces, **layout) -> go.Figure:
    """Traces in a square of 300 x 300 pixels: x and y from 0 to 10 unless said otherwise."""
    layout = {"xaxis": {"range": [0, 10]}, "yaxis": {"range": [0, 10]}, "showlegend": False} | layout
    return go.Figure(traces, base_layout(**{"height": 400, "margin": dict.fromkeys("lrtb", 50)} | layout))


def place(mask) -> tuple[float, float]:
    """Centre of the ink in a `framed` picture, as fractions of the axes."""
    y, x = np.nonzero(mask)
    return (x.mean() - 50) / 300, (350 - y.mean()) / 300


def test_a_bundle_holds_the_figure_the_image_and_the_words(curves):
    plot = start_here_figures.learning_curves(curves)
    bundle = json.loads(json.dumps(static.bundle(plot.figure, plot.reading)))
    assert set(bundle) == {"application/vnd.plotly.v1+json", "image/png", "text/plain"}
    again = go.Figure(bundle["application/vnd.plotly.v1+json"])
    for old, new in zip(plot.figure.data, again.data, strict=True):
        assert new.name == old.name
        np.testing.assert_array_equal(column(new.y), column(old.y))
    assert bundle["text/plain"] == plot.reading
    pixels = imread(io.BytesIO(base64.b64decode(bundle["image/png"])), format="png")
    assert pixels.shape[:2] == (380, 900)
    assert pixels[..., :3].std() > 0.05 and (pixels[0, 0, :3] == 1).all()


def test_width_and_height_are_kept():
    figure = framed(go.Scatter(x=[1, 2], y=[1, 2]), height=250)
    assert picture(figure, width=500).shape[:2] == (250, 500)
    assert picture(go.Figure(go.Scatter(x=[1, 2], y=[1, 2]))).shape[:2] == (400, 900)
    assert picture(go.Figure()).shape[:2] == (400, 900)


def one_red_pixel(row, column) -> str:
    """The address of a see-through picture of 3 x 2 with one red pixel."""
    pixels, file = np.zeros((2, 3, 4), np.uint8), io.BytesIO()
    pixels[..., :3] = [int(RED[i:i + 2], 16) for i in (1, 3, 5)]
    pixels[row, column, 3] = 255
    Image.fromarray(pixels).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize(("trace", "where"), [
    (go.Scatter(x=[2, 2], y=[1, 9], mode="lines", line_color=RED), (0.2, 0.5)),
    (go.Scatter(x=[7], y=[3], mode="markers", marker_color=RED), (0.7, 0.3)),
    (go.Scatter(x=[7], y=[3], mode="markers", marker={"color": RED, "symbol": "circle-open", "size": 20}), (0.7, 0.3)),
    (go.Scatter(x=[6, 8], y=[3, 3], mode="lines+markers", line_color=RED, marker_symbol="square"), (0.7, 0.3)),
    (go.Bar(x=[4], y=[6], width=2, offset=-1, marker_color=RED), (0.4, 0.3)),
    (go.Bar(x=[3], y=[6], width=2, offset=0, marker_color=[RED]), (0.4, 0.3)),
    (go.Bar(y=[4], x=[6], orientation="h", marker_color=RED), (0.3, 0.4)),
    (go.Heatmap(x=[1, 2, 3], y=[7, 8], z=[[0, 0, 0], [0, 0, 1]], colorscale=[[0, "#ffffff"], [1, RED]]), (0.3, 0.8)),
    (go.Heatmap(z=[[0, 0, 0], [0, 0, 1]], colorscale=[[0, "#ffffff"], [1, RED]]), (0.2, 0.1)),
    # As they stream: columns, in any order, with a hole.
    (go.Heatmap(x=[2, 1, 2, 1], y=[8, 7, 7, 8], z=[1, 0, 0, None], colorscale=[[0, "#ffffff"], [1, RED]]), (0.2, 0.8)),
    # A picture of two rows of three, 1 by 1 each; its first row is that of y0.
    (go.Image(x0=6, dx=1, y0=2, dy=1, source=one_red_pixel(row=0, column=2)), (0.8, 0.2)),
    (go.Image(x0=6, dx=1, y0=2, dy=1, source=one_red_pixel(row=1, column=0)), (0.6, 0.3)),
])
def test_every_kind_of_trace_is_drawn_where_it_belongs(trace, where):
    figure = framed(trace)
    assert place(ink(figure, RED, width=400)) == pytest.approx(where, abs=0.012)


def test_a_heat_map_keeps_its_scale():
    def at(z, **scale):
        figure = framed(go.Heatmap(x=[4, 6], y=[5], z=[z], colorscale=[[0, "#000000"], [1, "#ffffff"]], **scale))
        pixels = picture(figure, width=400)
        return pixels[196, 170].mean(), pixels[204, 230].mean()
    assert at([0, 1]) == pytest.approx((0, 1), abs=0.02)
    assert at([0, 1], zmin=0, zmax=2) == pytest.approx((0, 0.5), abs=0.02)


def test_a_line_breaks_at_nan():
    y = [5.0] * 11
    whole = ink(framed(go.Scatter(x=list(range(11)), y=y, mode="lines", line_color=RED)), RED, width=400)
    y[4:7] = [math.nan] * 3
    broken = ink(framed(go.Scatter(x=list(range(11)), y=y, mode="lines", line_color=RED)), RED, width=400)
    columns = broken.any(0)
    assert whole.any(0)[60:340].all()
    assert columns[60:138].all() and not columns[144:256].any() and columns[262:340].all()


def test_a_band_fills_between_its_edges():
    edge = {"x": [0, 10], "mode": "lines", "line": {"width": 0}}
    band = framed(go.Scatter(y=[2, 2], **edge), go.Scatter(y=[6, 6], fill="tonexty", fillcolor=RED, **edge))
    rows = ink(band, RED, width=400)[:, 200]
    assert np.nonzero(rows)[0].min() == pytest.approx(350 - 180, abs=2)
    assert np.nonzero(rows)[0].max() == pytest.approx(350 - 60, abs=2)


def test_a_translucent_colour_is_mixed_with_white():
    edge = {"x": [0, 10], "mode": "lines", "line": {"width": 0}}
    band = framed(go.Scatter(y=[0, 0], **edge), go.Scatter(y=[10, 10], fill="tonexty", fillcolor=translucent(RED, 0.5),
                                                           **edge), xaxis={"showticklabels": False})
    assert picture(band, width=400)[215, 215] == pytest.approx((0.918, 0.5, 0.5), abs=0.03)


def test_a_logarithmic_axis_places_and_labels_decades():
    """Ranges of logarithmic axes are exponents of ten, as in plotly."""
    trace = go.Scatter(x=[10], y=[5], mode="markers", marker_color=RED)
    figure = framed(trace, xaxis={"type": "log", "range": [0, 4], "tickvals": [1, 10], "ticktext": ["one", "ten"]})
    assert place(ink(figure, RED, width=400)) == pytest.approx((0.25, 0.5), abs=0.01)
    upward = framed(trace, xaxis={"range": [0, 20]}, yaxis={"type": "log", "range": [-1, 1]})
    assert place(ink(upward, RED, width=400)) == pytest.approx((0.5, (math.log10(5) + 1) / 2), abs=0.01)


def test_bars_on_a_logarithmic_axis_start_at_its_lower_edge():
    figure = framed(go.Bar(x=[5], y=[0.01], width=2, offset=-1, marker_color=RED),
                    yaxis={"type": "log", "range": [-4, 0]})
    rows = np.nonzero(ink(figure, RED, width=400)[:, 200])[0]
    assert rows.min() == pytest.approx(200, abs=2) and rows.max() == pytest.approx(349, abs=2)


def test_straight_lines_across_a_subplot():
    figure = framed(go.Scatter(x=[0], y=[0], mode="markers"))
    figure.add_hline(y=7, line={"color": RED})
    rows, columns = np.nonzero(ink(figure, RED, width=400))
    assert (350 - rows.mean()) / 300 == pytest.approx(0.7, abs=0.01) and np.ptp(columns) > 290
    figure = framed(go.Scatter(x=[0], y=[0], mode="markers"))
    figure.add_vline(x=3, line={"color": RED, "dash": "dot"})
    rows, columns = np.nonzero(ink(figure, RED, width=400))
    assert (columns.mean() - 50) / 300 == pytest.approx(0.3, abs=0.01) and np.ptp(rows) > 280


def test_a_line_across_the_second_of_two_subplots_stays_there():
    figure = go.Figure(layout=base_layout(
        height=400, margin=dict.fromkeys("lrtb", 50), showlegend=False,
        xaxis={"domain": [0, 0.4]}, xaxis2={"domain": [0.6, 1], "anchor": "y2"}, yaxis={"range": [0, 10]},
        yaxis2={"range": [0, 10], "anchor": "x2"}))
    figure.add_scatter(x=[1], y=[1], mode="markers")
    figure.add_scatter(x=[1], y=[1], mode="markers", xaxis="x2", yaxis="y2")
    figure.add_shape(type="line", xref="x2 domain", yref="y2", x0=0, x1=1, y0=7, y1=7, line={"color": RED})
    columns = np.nonzero(ink(figure, RED, width=400))[1]
    assert columns.min() > 50 + 0.55 * 300


def test_hollow_markers_do_not_hide_what_is_beneath():
    under = go.Scatter(x=[5], y=[5], mode="markers", marker={"color": RED, "size": 10})
    over = go.Scatter(x=[5], y=[5], mode="markers", marker={"color": "#0000ff", "size": 30, "symbol": "circle-open"})
    figure = framed(under, over)
    assert place(ink(figure, RED, width=400)) == pytest.approx((0.5, 0.5), abs=0.01)


def test_hidden_traces_and_reversed_axes():
    hidden = go.Scatter(x=[5], y=[5], mode="markers", marker_color=RED, visible="legendonly")
    assert not ink(framed(hidden), RED).any()
    top = framed(go.Scatter(x=[5], y=[2], mode="markers", marker_color=RED),
                 yaxis={"range": None, "autorange": "reversed"})
    top.add_scatter(x=[5, 5], y=[0, 10], mode="markers", marker_color="#0000ff")
    assert place(ink(top, RED, width=400))[1] > 0.7


def test_names_are_in_the_legend_unless_they_ask_not_to_be():
    def words(**trace):
        figure = framed(go.Scatter(x=[5], y=[20], mode="markers", marker_color=RED, **trace), showlegend=True)
        return ink(figure, RED).any()        # the point lies outside: red can only be the legend's
    assert words(name="students") and not words(name="students", showlegend=False) and not words()


@pytest.mark.parametrize("trace", [go.Pie(values=[1, 2]), go.Box(y=[1, 2]), go.Scatter3d(x=[1], y=[1], z=[1])])
def test_other_traces_are_refused_in_one_sentence(trace, refuses):
    with refuses("scatter, bar, heatmap", repr(trace.type)):
        static.bundle(go.Figure(trace), "words")


def test_the_figures_of_the_notebooks_stay_small(curves, sweep):
    data = load("digits")
    made = [start_here_figures.learning_curves(curves), dark_knowledge_figures.gain_by_temperature(sweep),
            dark_knowledge_figures.whose_labels(sweep),
            dark_knowledge_figures.omitted_digit(sweep), plots.digit_gallery(data, range(10))]
    for plot in made:
        assert len(json.dumps(static.bundle(plot.figure, plot.reading))) < 120_000
        assert len(plot.figure.to_json()) < 20_000       # no template of plotly's in it


def test_the_quantile_used_here_is_student_t():
    assert stats.t.ppf(0.975, 4) == pytest.approx(QUANTILE)


def test_slanted_tick_labels_are_slanted_in_the_image_too():
    """Long class names under each other would be one black line: slanted, they reach further down."""
    def depth(angle):
        axis = {"tickvals": [0, 1], "ticktext": ["Ankle boot", "T-shirt/top"], "tickangle": angle}
        figure = go.Figure(go.Bar(x=[0, 1], y=[1, 2], width=0.8, offset=-0.4),
                           layout=base_layout(height=300, margin={"b": 110}, xaxis=axis))
        picture = imread(io.BytesIO(static.png(figure)))[..., :3].mean(-1)
        return int(np.flatnonzero((picture[200:] < 0.8).any(1)).max())

    assert depth(-40) > depth(0) + 20


def test_a_claim_at_two_scales_has_one_row_with_its_own_verdicts():
    """Catches verdicts that are put together by their order, and a first scale that is judged by the second's rules."""
    def claim(name, low):
        part = claims.Part("value", claims.Mean("value", {"method": name[0]}), low=low)
        return claims.Claim(name, "somebody", f"Statement of {name[0]}.", "made_up", (part,), "nothing", "nothing")

    def results(values):
        return Results(pd.DataFrame([{"method": method, "seed": seed, "value": value + SCATTER[seed] / 100}
                                     for method, value in values.items() for seed in SEEDS]), {"seeds": 5}, {})

    table = plots.both_scales(results({"A": 5.0, "B": -5.0}), results({"A": -5.0, "B": 5.0, "C": 5.0}),
                              [claim("A", 0), claim("B", 0)], [claim("B-20", 9), claim("C", 0), claim("A-20", 0)],
                              ("small", "large")).frame
    assert table["claim"].tolist() == ["B: Statement of B.", "C: Statement of C.", "A: Statement of A."]
    assert table["small"].tolist() == ["⇄ opposite", "not asked", "✓ seen"]
    assert table["verdict"].tolist() == ["✗ not seen", "✓ seen", "⇄ opposite"]
    assert "value: +5.0 [+5.0, +5.0] points" in table["measured: large"][0]
