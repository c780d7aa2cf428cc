"""Figures of notebook 02: the numbers in them against numbers computed here, and the sentences under them."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from helpers import column
from scipy import stats

from kdutils.lessons.tolerant_teachers import figures
from kdutils.plots import static
from kdutils.plots.style import COLOURS, DASHES, MARKERS
from kdutils.results import Results

SCATTER = dict(enumerate((0.0, 1.5, -1.0, 0.5, -0.5)))
ETAS, TEMPERATURES = (0.0, 0.9, 1.2), (1.0, 4.0)
KINDS = ("strict", "tolerant", "very tolerant", "smoothed", "penalised")
GAINS = {(1.0, 0.9): 2.0, (1.0, 1.2): -1.0, (4.0, 0.9): 0.5, (4.0, 1.2): -3.0}
LAST = 2


def by_hand(values):
    """Mean and 95% Student interval, without kdutils."""
    values = np.asarray(values, float)
    return values.mean(), *stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))


def named(figure, name, panel="x"):
    (trace,) = [trace for trace in figure.data if trace.name == name and (trace.xaxis or "x") == panel]
    return trace


def shown(figure, name, panel="x"):
    """(n, 3): mean, low and high of the markers of this name, whose interval bars are drawn just before them."""
    traces = list(figure.data)
    markers = named(figure, name, panel)
    bars = traces[traces.index(markers) - 1]
    assert (bars.xaxis or "x") == panel and not bars.connectgaps
    y = column(bars.y).reshape(-1, 3)
    assert np.isnan(y[:, 2]).all()
    return np.column_stack([column(markers.y), y[:, :2]])


def banded(figure, name, panel="x"):
    """(n, 3): mean, low and high of the line of this name, whose band is drawn just before it."""
    traces = list(figure.data)
    line = named(figure, name, panel)
    low, high = (traces[traces.index(line) - back] for back in (2, 1))
    assert high.fill == "tonexty" and {one.xaxis or "x" for one in (low, high)} == {panel}
    return np.column_stack([column(one.y) for one in (line, low, high)])


@pytest.fixture
def results():
    rows = []
    for seed, noise in SCATTER.items():
        for part, wrong, paid in (("teacher", 0.0, 1), ("noise", 0.4, 5)):
            for i, eta in enumerate(ETAS):
                rows.append({"part": part, "noise": wrong, "transfer": 1200, "method": "teacher", "eta": eta,
                             "seed": seed, "accuracy": 96 + 2 * noise - paid * i * (1 + noise), "primary": 80.0,
                             "secondary": 5 + 10 * i + noise, "rest": i + 0.1 * noise, "entropy": 0.1})
        for part, wrong, sizes in (("student", 0.0, (100, 1200)), ("noise", 0.4, (1200,))):
            for n in sizes:
                same = {"part": part, "noise": wrong, "transfer": n, "seed": seed}
                rows.append(same | {"method": "hard labels", "accuracy": 50.0})
                for t in TEMPERATURES:
                    for eta in ETAS:
                        gain = GAINS[t, eta] + noise + n / 1000 if eta else 0
                        rows.append(same | {"method": "distilled", "temperature": t, "eta": eta,
                                            "accuracy": 90 + 3 * noise + (gain if part == "student" else -gain)})
        for wrong, n in ((0.0, 200), (0.3, 400)):
            same = {"noise": wrong, "transfer": n, "seed": seed}
            for k, kind in enumerate(KINDS):
                for g in range(LAST + 1):
                    rows.append(same | {"part": "generations", "method": kind, "generation": g,
                                        "accuracy": 80 + k + 2 * g - 10 * wrong + noise, "secondary": 20 - g + noise})
                    rows.append(same | {"part": "ensemble", "method": kind, "members": g + 1,
                                        "accuracy": 70 + k + g + noise})
            rows.append(same | {"part": "generations", "method": "longer", "generation": LAST, "accuracy": 60 + noise,
                                "secondary": 1.0})
            rows.extend(same | {"part": "ensemble", "method": "independent", "members": g + 1,
                                "accuracy": 75 + g + noise} for g in range(LAST + 1))
        rows.extend({"part": "probe", "noise": 0.0, "transfer": 700, "seed": seed, "method": kind, "generation": g,
                     "accuracy": 85 + k + g + noise} for k, kind in enumerate(KINDS) for g in range(LAST + 1))
        rows.append({"part": "probe", "noise": 0.0, "transfer": 700, "seed": seed, "method": "pixels",
                     "generation": 0, "accuracy": 88 + noise})
    return Results(pd.DataFrame(rows).sample(frac=1, random_state=0), {"ranks": 5})


def scattered(*means, factor=1.0):
    return np.array([by_hand([mean + factor * noise for noise in SCATTER.values()]) for mean in means])


@pytest.mark.parametrize("part", ["student", "noise"])
def test_where_the_mass_goes_shows_both_masses_and_the_free_answer(results, part):
    plot = figures.where_the_mass_goes(results, part)
    np.testing.assert_allclose(shown(plot.figure, "ranks 2-5"), scattered(5, 15, 25))
    np.testing.assert_allclose(shown(plot.figure, "the rest"), scattered(0, 1, 2, factor=0.1))
    assert named(plot.figure, "ranks 2-5").x == ETAS
    free = named(plot.figure, "ranks 2-5, a free answer")
    at = dict(zip(np.round(free.x, 6), free.y, strict=True))
    assert at[0.0] == at[0.8] == 0 and at[0.9] == pytest.approx(100 / 9) and at[1.2] == pytest.approx(100 / 3)
    assert "hold 5.1% at eta = 0 and 25.1% at eta = 1.2, the rest 2.0%" in plot.reading
    assert "up to eta = 0.8." in plot.reading and "5 seeds" in plot.reading


def test_pay_and_gain_shows_differences_to_eta_0_of_the_same_seed(results):
    plot = figures.pay_and_gain(results)
    nothing = np.zeros(3)
    np.testing.assert_allclose(shown(plot.figure, "teacher"), np.vstack([
        nothing, *(by_hand([-i * (1 + noise) for noise in SCATTER.values()]) for i in (1, 2))]), atol=1e-9)
    for t in TEMPERATURES:
        np.testing.assert_allclose(shown(plot.figure, f"student, T = {t:g}"), np.vstack([
            nothing, scattered(GAINS[t, 0.9] + 0.1, GAINS[t, 1.2] + 0.1)]), atol=1e-9)
    assert "students with 100 images, clean labels" in plot.reading and "over 5 seeds" in plot.reading
    assert "student, T = 1: +2.2 at 0.9, -0.8 at 1.2" in plot.reading and "teacher: -1.1 at 0.9" in plot.reading


def test_pay_and_gain_of_other_images_and_of_wrong_labels(results, refuses):
    all_images = figures.pay_and_gain(results, 1200)
    np.testing.assert_allclose(shown(all_images.figure, "student, T = 1")[1:], scattered(3.2, 0.2))
    noisy = figures.pay_and_gain(results, part="noise")
    np.testing.assert_allclose(shown(noisy.figure, "student, T = 1")[1:, 0], [-3.3, -0.3])
    np.testing.assert_allclose(shown(noisy.figure, "teacher")[1:, 0], [-5.5, -11])
    assert "students with 1,200 images, 40% wrong labels" in noisy.reading
    with refuses("transfer", "300"):
        figures.pay_and_gain(results, 300)
    with refuses("part", "teachers"):
        figures.pay_and_gain(results, part="teachers")


def test_generations_show_every_kind_with_its_band_for_each_share_of_wrong_labels(results):
    plot = figures.generations(results)
    for panel, base in (("x", 80), ("x2", 77)):
        for k, kind in enumerate(KINDS):
            expected = scattered(base + k, base + k + 2, base + k + 4)
            np.testing.assert_allclose(banded(plot.figure, kind, panel), expected)
            line = named(plot.figure, kind, panel)
            assert list(line.x) == [0, 1, 2] and line.showlegend == (panel == "x")
            assert (line.line.color, line.line.dash) == (COLOURS[kind], DASHES[kind])
        np.testing.assert_allclose(shown(plot.figure, "one network, whole budget", panel), scattered(60))
    assert [note.text for note in plot.figure.layout.annotations] == [
        "clean labels, 200 images", "30% wrong labels, 400 images"]
    assert "from generation 0 to 2. clean labels: strict 80.1 to 84.1, tolerant 81.1 to 85.1" in plot.reading
    assert "30% wrong labels: strict 77.1 to 81.1" in plot.reading and "5 seeds" in plot.reading


def test_generations_of_one_kind_leave_room_for_those_that_are_uncovered_later(results, refuses):
    plot, whole = figures.generations(results, only=["tolerant"]), figures.generations(results)
    assert {trace.name for trace in plot.figure.data if trace.name} == {"tolerant"}
    low, high = plot.figure.layout.yaxis.range
    drawn = np.concatenate([trace.y for trace in whole.figure.data if trace.name in (*KINDS, None)])
    assert low < np.nanmin(drawn[drawn > 70]) and high > np.nanmax(drawn)       # the cross at 60 is not a lineage
    assert "tolerant 81.1 to 85.1" in plot.reading and "strict" not in plot.reading
    with refuses("kind", "tolerent"):
        figures.generations(results, only=["tolerent"])


def test_a_click_in_the_legend_hides_a_kind_with_its_band_in_every_subplot(results):
    figure = figures.generations(results).figure
    mine = [trace for trace in figure.data if trace.legendgroup == "strict"]
    assert len(mine) == 6 and {trace.xaxis for trace in mine} == {"x", "x2"}    # line, low and high, twice
    assert all(trace.legendgroup for trace in figure.data)


def test_generations_of_another_metric(results, refuses):
    plot = figures.generations(results, "secondary")
    np.testing.assert_allclose(banded(plot.figure, "tolerant"), scattered(20, 19, 18))
    assert plot.reading.startswith("Mass of ranks 2 to K (%) from generation 0 to 2.")
    assert not [trace for trace in plot.figure.data if trace.name == "one network, whole budget"]
    with refuses("metric", "loss"):
        figures.generations(results, "loss")


def test_ensembles_show_lineages_beside_independent_networks(results):
    plot = figures.ensembles(results)
    for panel in ("x", "x2"):
        np.testing.assert_allclose(shown(plot.figure, "tolerant lineage", panel), scattered(71, 72, 73))
        np.testing.assert_allclose(shown(plot.figure, "independent strict networks", panel), scattered(75, 76, 77))
        assert np.round(named(plot.figure, "strict lineage", panel).x).tolist() == [1, 2, 3]
    assert "clean labels: strict lineage 70.1 to 72.1, tolerant lineage 71.1 to 73.1" in plot.reading
    assert "one to 3 networks" in plot.reading


def test_the_probe_shows_kinds_and_pixels(results):
    plot = figures.linear_probe(results)
    for k, kind in enumerate(KINDS[:4]):
        np.testing.assert_allclose(shown(plot.figure, kind), scattered(85 + k, 86 + k, 87 + k))
        assert named(plot.figure, kind).marker.symbol == MARKERS[kind]
    assert column(named(plot.figure, "the pixels themselves").y) == pytest.approx([88.1, 88.1])
    assert "tolerant 86.1 to 88.1" in plot.reading and "of the pixels 88.1" in plot.reading


def test_the_share_inside_groups_stands_beside_a_lot(results):
    rows = [{"part": "groups", "method": "teacher", "eta": eta, "seed": seed, "inside": 60 + 10 * eta + noise}
            for seed, noise in SCATTER.items() for eta in ETAS]
    plot = figures.inside_groups(Results(pd.concat([results.table, pd.DataFrame(rows)]), {"grouped": "fashion-mnist"}))
    np.testing.assert_allclose(shown(plot.figure, "tolerant teachers"), scattered(60, 69, 72))
    assert column(named(plot.figure, "by lot").y) == pytest.approx([36.11, 36.11], abs=0.01)
    assert "60.1% at 0, 69.1% at 0.9, 72.1% at 1.2; 36.1% if drawn by lot" in plot.reading
    assert "No data set with groups" in figures.inside_groups(results).reading


FIGURES = [figures.where_the_mass_goes, figures.pay_and_gain, figures.generations, figures.ensembles,
           figures.linear_probe, figures.inside_groups]


@pytest.mark.parametrize("figure", FIGURES)
def test_an_interrupted_run_says_what_is_lacking(results, figure):
    nothing = Results(results.table[:0], {"ranks": 5})
    plot = figure(nothing)
    assert re.search("not been|No data set", plot.reading) and static.png(plot.figure)


@pytest.mark.parametrize("figure", FIGURES)
def test_figures_stay_small_and_can_be_drawn_without_a_browser(results, figure):
    plot = figure(results)
    assert len(json.dumps(static.bundle(plot.figure, plot.reading))) < 200_000
    assert len(plot.figure.to_json()) < 20_000


@pytest.mark.parametrize("figure", FIGURES)
def test_one_seed_has_means_and_no_intervals(results, figure):
    plot = figure(Results(results.table[results.table.seed == 0], {"ranks": 5}))
    assert static.png(plot.figure) and "nan" not in plot.reading


def test_every_kind_of_ancestor_has_its_colour_dash_and_marker():
    for style in (COLOURS, DASHES, MARKERS):
        assert set(KINDS) <= set(style)
    assert len({COLOURS[kind] for kind in KINDS}) == len({MARKERS[kind] for kind in KINDS}) == 5


@pytest.fixture
def twenty():
    """Six kinds of teachers, and students of two sizes of transfer set, each at its own distance from eta = 0."""
    rows = []
    for seed, noise in SCATTER.items():
        kinds = [{"method": "teacher", "eta": eta} for eta in ETAS] + [{"method": "smoothed"}, {"method": "penalised"}]
        rows += [{"part": "teacher", "seed": seed, "accuracy": 40 - i * noise, "inside": 50 + i + noise} | kind
                 for i, kind in enumerate(kinds)]
        rows += [{"part": "student", "method": "distilled", "seed": seed, "transfer": n, "temperature": t, "eta": eta,
                  "accuracy": 30 + noise + GAINS.get((t, eta), 0.0) * (10 if n == 9000 else 1) * (1 + noise / 10)}
                 for n in (900, 9000) for t, eta in ((t, eta) for t in TEMPERATURES for eta in ETAS)]
        rows += [{"part": "student", "method": "distilled", "seed": seed, "transfer": 900, "temperature": 1.0,
                  "teacher": "smoothed", "accuracy": 99.0}]
    return Results(pd.DataFrame(rows))


def test_the_second_scale_shows_paired_gains_and_shares(twenty):
    """Catches students of one transfer set shown as another's, rivals among the etas, and means that are not paired."""
    figure = figures.second_scale(twenty).figure
    for name, factor, t in (("student, 900 images, T = 1", 1, 1.0), ("student, 900 images, T = 4", 1, 4.0),
                            ("student, 9,000 images, T = 1", 10, 1.0)):
        gains = [[factor * GAINS[t, eta] * (1 + noise / 10) for noise in SCATTER.values()] for eta in ETAS[1:]]
        np.testing.assert_allclose(shown(figure, name)[1:], [by_hand(one) for one in gains], atol=1e-9)
    shares = [trace for trace in figure.data if trace.name == "share"]
    assert [column(trace.y)[0] for trace in shares] == pytest.approx([50.1, 51.1, 52.1, 53.1, 54.1])
    assert list(figure.layout.xaxis2.ticktext) == ["eta 0", "eta 0.9", "eta 1.2", "smoothed", "penalised"]
    assert column(named(figure, "by lot", "x2").y)[0] == pytest.approx(100 * 4 / 19)
    hundred = figures.second_scale(Results(twenty.table, {"families": [], "data": "cifar-100-coarse"}))
    assert column(named(hundred.figure, "by lot", "x2").y)[0] == pytest.approx(100 * 4 / 99)
    assert hundred.reading.startswith("100 classes of 20 families.")


def test_the_sentence_under_the_second_scale_says_its_numbers(twenty):
    plot = figures.second_scale(twenty)
    assert "right on 40.0%" in plot.reading and "smoothed 53.1" in plot.reading and "over 5 seeds" in plot.reading
    assert "student, 9,000 images, T = 1 +20.2 at 0.9" in plot.reading and len(static.png(plot.figure)) > 5000
