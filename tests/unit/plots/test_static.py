"""The static image beside a figure: every kind of trace is drawn where it belongs."""

import base64
import io
import json
import math

import numpy as np
import plotly.graph_objects as go
import pytest
from helpers import column
from made_results import QUANTILE
from matplotlib.image import imread
from PIL import Image
from scipy import stats

from kdutils import plots
from kdutils.datasets import load
from kdutils.lessons.dark_knowledge import figures as dark_knowledge_figures
from kdutils.lessons.start_here import figures as start_here_figures
from kdutils.plots import static
from kdutils.plots.style import base_layout, translucent

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


def test_no_name_of_a_long_legend_is_cut_off_and_names_read_in_rows():
    """Six names above a figure with little room: the first ones stood above the picture's edge."""
    colours = ["#d50000", "#00d500", "#0000d5", "#d5d500", "#00d5d5", "#d500d5"]
    figure = framed(*(go.Scatter(x=[5], y=[20], mode="markers", marker_color=colour, name=f"students of the kind {i}")
                      for i, colour in enumerate(colours)), showlegend=True, margin={"t": 20})
    rows = [np.nonzero(ink(figure, colour, width=900)) for colour in colours]
    assert all(len(y) > 50 for y, _ in rows)                                    # whole markers
    middles = [(y.mean().round(), x.mean()) for y, x in rows]
    assert middles == sorted(middles) and len({y for y, _ in middles}) == 2     # row by row, each from left to right
    assert picture(figure, width=900).shape[0] > 400
    assert picture(figure.update_layout(margin_t=60), width=900).shape[0] == 400         # there is room: nothing grows


def test_a_title_of_an_axis_is_not_cut_off():
    """Beneath labels of three lines, and beside long numbers where the margin is small."""
    lines = {"tickvals": [5], "ticktext": ["one<br>two<br>three"], "title": {"text": "MMM"}}
    short, tall = (picture(framed(go.Scatter(x=[5], y=[5]), xaxis=lines, margin={"b": room}), width=400)
                   for room in (50, 99))
    assert short.shape[0] > 400 and tall.shape[:2] == (400, 400)
    numbers = {"range": [0, 10], "tickvals": [5], "ticktext": ["1,000,000"], "title": {"text": "MMM"}}
    wide = picture(framed(go.Scatter(x=[5], y=[5]), yaxis=numbers), width=400)
    assert wide.shape[0] == 400 and wide.shape[1] > 400
    for page, edge in ((short, short[-3:]), (wide, wide[:, :3])):
        assert (page < 0.6).any() and (edge > 0.9).all()                        # ends before the edge


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
