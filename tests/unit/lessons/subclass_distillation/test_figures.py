"""Figures of notebook 03: the numbers in them against numbers computed here, and the sentences under them."""

import re

import numpy as np
import pandas as pd
import pytest
from helpers import column
from scipy import stats

from kdutils.lessons.catalog import recorded
from kdutils.lessons.subclass_distillation import figures
from kdutils.lessons.subclass_distillation.figures import MAIN
from kdutils.plots.style import COLOURS, DASHES, MARKERS
from kdutils.results import Results

SCATTER = dict(enumerate((0.0, 1.5, -1.0, 0.5, -0.5)))
SIZES = (20, 100, 1200)
LEVELS = {"hard labels": 80.0, "two-class": 84.0, "subclass": 88.0, "oracle": 90.0, "k-means teacher": 89.0,
          "penultimate layer": 82.0, "no auxiliary loss": 78.0, "two-class, larger head": 85.0}
PARAMS = {"data": "digits-2x5", "subclasses": 5, "beta": 0.1, "t_aux": 0.5, "width": 16}
FIGURES = (figures.discovery, figures.subclasses_used, figures.few_labels, figures.controls, figures.learning_speed,
           figures.click_curves)


def by_hand(values):
    """Mean and 95% Student interval, without kdutils."""
    values = np.asarray(values, float)
    return values.mean(), *stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))


def traces(figure, panel="x"):
    return [trace for trace in figure.data if (trace.xaxis or "x") == panel]


def shown(figure, name, panel="x"):
    """(n, 3): mean, low and high of the markers of this name, whose interval bars are drawn just before them."""
    mine = traces(figure, panel)
    (at,) = [i for i, trace in enumerate(mine) if trace.name == name]
    bars = column(mine[at - 1].y).reshape(-1, 3)
    return np.column_stack([column(mine[at].y), bars[:, :2]])


def banded(figure, name, panel="x"):
    """(n, 3): mean, low and high of the line of this name, whose band is drawn just before it."""
    mine = traces(figure, panel)
    (at,) = [i for i, trace in enumerate(mine) if trace.name == name]
    assert mine[at - 1].fill == "tonexty"
    return np.column_stack([column(mine[i].y) for i in (at, at - 2, at - 1)])


@pytest.fixture
def results():
    rows = []
    for seed, noise in SCATTER.items():
        for i, beta in enumerate((0.1, 0.3)):
            for j, t_aux in enumerate((0.5, 1.0)):
                rows.append({"part": "discovery", "method": "contrastive", "beta": beta, "t_aux": t_aux, "s": 5,
                             "hungarian": 50 + 5 * i + 3 * j + noise, "nmi": 60 + noise, "used": 7 + i,
                             "accuracy": 96 - 2 * i - j + noise / 10})
        for method, s, found in (("no auxiliary loss", 5, 25), ("entropy", 5, 65), ("contrastive", 2, 40),
                                 ("k-means", 2, 45), ("k-means", 5, 85)):
            beta, t_aux = {"entropy": (1.0, None), "contrastive": (0.1, 0.5)}.get(method, (None, None))
            rows.append({"part": "discovery", "method": method, "beta": beta, "t_aux": t_aux, "s": s,
                         "hungarian": found + noise, "nmi": found + 10 + noise, "used": 2 + s + noise / 5,
                         "accuracy": 95 + noise / 10})
        for arm, level in LEVELS.items():
            own = noise * (1 + len(arm) % 3)
            for k, n in enumerate(SIZES):
                rows.append({"part": "few", "method": arm, "transfer": n, "width": 16, "step": 400,
                             "accuracy": level + k + own})
            for step in (20, 40):
                for n in (100, 1200):
                    rows.append({"part": "speed", "method": arm, "transfer": n, "width": 16, "step": step,
                                 "accuracy": level - 200 / step + own})
            for n in (2000, 8000):
                for step, loss in ((20, 0.40), (40, 0.32), (60, 0.33)):
                    for s in ((2, 5) if arm == "subclass" else (None,)):
                        rows.append({"part": "clicks", "method": arm, "transfer": n, "step": step, "s": s,
                                     "log_loss": loss - level / 1000 - (s or 0) / 1000 + own / 1000 + noise / 10,
                                     "auc": 60 + step / 10 + (s or 0) + own})
        for row in rows:
            row.setdefault("seed", seed)
    random = np.random.default_rng(0)
    for row in rows:  # so that no difference is the same for every seed
        row |= {metric: row[metric] + 0.01 * random.standard_normal() * (0.01 if metric == "log_loss" else 1)
                for metric in ("accuracy", "hungarian", "nmi", "used", "log_loss", "auc") if metric in row}
    return Results(pd.DataFrame(rows).sample(frac=1, random_state=0), PARAMS)


def test_discovery_shows_what_is_found_and_its_price_beside_the_controls(results):
    figure = figures.discovery(results)
    for panel, metric in (("x", "hungarian"), ("x2", "accuracy")):
        for t_aux in (0.5, 1.0):
            expected = [by_hand(results.per_seed(metric, part="discovery", method="contrastive", s=5, beta=beta,
                                                 t_aux=t_aux)) for beta in (0.1, 0.3)]
            np.testing.assert_allclose(shown(figure.figure, f"T_aux = {t_aux:g}", panel), expected)
        levels = {trace.name: set(column(trace.y)) for trace in traces(figure.figure, panel) if trace.mode == "lines"
                  and trace.name}
        for line, method in (("beta = 0", "no auxiliary loss"), ("k-means of the pixels", "k-means")):
            expected = results.per_seed(metric, part="discovery", method=method, s=5).mean()
            assert list(levels[line]) == [pytest.approx(expected)]
    assert "25.1 at beta = 0" in figure.reading and "85.1" in figure.reading
    assert re.search(r"T_aux = 0.5: at best 55.1 at beta = 0.3, with 94.\d% on the classes", figure.reading)
    assert "T_aux" in figures.discovery(results, "used").reading
    with pytest.raises(ValueError, match="hungarian"):
        figures.discovery(results, "beauty")


def test_subclasses_used_by_the_number_there_are(results):
    figure = figures.subclasses_used(results)
    expected = [by_hand(results.per_seed("used", part="discovery", method="contrastive", s=s, beta=0.1, t_aux=0.5))
                for s in (2, 5)]
    assert list(traces(figure.figure)[1].x) == [2, 5]
    np.testing.assert_allclose(shown(figure.figure, "subclass teacher"), expected)
    assert "at beta = 0.1 and T_aux = 0.5" in figure.reading
    (line,) = [trace for trace in figure.figure.data if trace.name == "all there are"]
    assert list(line.x) == [2, 5] and list(line.y) == [4, 10]
    assert "1% of the test images" in figure.reading and "of 10 are used" in figure.reading


@pytest.mark.parametrize("arms", [MAIN, ("subclass", "k-means teacher", "penultimate layer", "no auxiliary loss")])
def test_few_labels_has_a_band_for_every_arm(results, arms):
    figure = figures.few_labels(results, arms)
    for arm in arms:
        expected = [by_hand(results.per_seed("accuracy", part="few", method=arm, transfer=n)) for n in SIZES]
        np.testing.assert_allclose(banded(figure.figure, arm), expected)
    lines = [trace for trace in figure.figure.data if trace.name in arms]
    assert len({(line.line.color, line.line.dash) for line in lines}) == len(arms), "each is told apart"
    assert list(lines[0].x) == list(SIZES) and "20, 100, 1,200 images" in figure.reading


def test_controls_are_paired_differences_from_the_best_down(results):
    figure = figures.controls(results, 100)
    markers = {trace.name: trace for trace in figure.figure.data if trace.mode == "markers"}
    assert set(markers) == set(LEVELS) - {"two-class"}
    for arm in markers:
        difference = (results.per_seed("accuracy", part="few", method=arm, transfer=100)
                      - results.per_seed("accuracy", part="few", method="two-class", transfer=100))
        mean, low, high = by_hand(difference)
        (bar,) = [trace for trace in figure.figure.data if trace.mode == "lines" and trace.y[0] == arm]
        np.testing.assert_allclose([markers[arm].x[0], *bar.x], [mean, low, high])
    low, high = figure.figure.layout.xaxis.range
    assert all(low < end < high for trace in figure.figure.data for end in trace.x), "an interval that is cut"
    said = re.findall(r"([a-z,\- ]+) ([+-][\d.]+)[;.]", figure.reading.split("points: ")[1])
    assert [float(value) for _, value in said] == sorted((float(value) for _, value in said), reverse=True)
    assert figures.controls(results).reading == figure.reading
    assert "on 1,200 images" in figures.controls(Results(results.table.query("transfer != 100"), PARAMS),
                                               minus="oracle", transfer=1200).reading
    assert "on 20 images" in figures.controls(Results(results.table.query("transfer != 100"), PARAMS)).reading
    with pytest.raises(ValueError, match="transfer"):
        figures.controls(results, 60)
    with pytest.raises(ValueError, match="arm"):
        figures.controls(results, 100, "nobody")


def test_learning_speed_has_a_panel_for_each_number_of_images(results):
    figure = figures.learning_speed(results)
    for panel, n in (("x", 100), ("x2", 1200)):
        for arm in MAIN:
            expected = [by_hand(results.per_seed("accuracy", part="speed", method=arm, transfer=n, step=step))
                        for step in (20, 40)]
            np.testing.assert_allclose(banded(figure.figure, arm, panel), expected)
    assert "subclass 80.8 on average and 83.3 at the end" in figure.reading
    low, high = figure.figure.layout.yaxis.range
    assert figure.figure.layout.yaxis2.range == (low, high), "panels that are compared"
    heights = np.concatenate([column(trace.y) for trace in figure.figure.data])
    assert low < heights.min() and heights.max() < high


@pytest.mark.parametrize("metric", ["log_loss", "auc"])
def test_click_curves_are_seed_by_seed_against_the_best_of_hard_labels(results, metric):
    """Against its last value, or the mean over seeds, the bands would be others."""
    figure = figures.click_curves(results, metric, s=2)
    for panel, n in (("x", 2000), ("x2", 8000)):
        hard = [results.per_seed(metric, part="clicks", method="hard labels", transfer=n, step=step)
                for step in (20, 40, 60)]
        best = pd.concat(hard, axis=1).agg("min" if metric == "log_loss" else "max", axis=1)
        mine = [by_hand(results.per_seed(metric, part="clicks", method="subclass", s=2, transfer=n, step=step) - best)
                for step in (20, 40, 60)]
        np.testing.assert_allclose(banded(figure.figure, "subclass, s = 2", panel), mine)
    assert "2,000 rows" in figure.reading and "oracle" in figure.reading
    assert f"{'below' if metric == 'log_loss' else 'above'} 0 a student is better" in figure.reading
    assert "subclass, s = 5" in {trace.name for trace in figures.click_curves(results, metric).figure.data}
    with pytest.raises(ValueError, match="s must be one of 2, 5"):
        figures.click_curves(results, metric, s=3)


@pytest.mark.parametrize("figure", FIGURES)
def test_what_was_not_measured_is_said(figure):
    empty = Results(pd.DataFrame({"part": ["other"], "method": ["none"], "seed": [0]}))
    shown = figure(empty)
    assert shown.reading.endswith(".") and " not been " in shown.reading and "nan" not in shown.reading


@pytest.mark.parametrize("figure", FIGURES)
def test_recorded_results_are_drawn_with_words_and_without_nan(figure):
    shown = figure(recorded("subclass_distillation").beside(recorded("subclass_distillation.clicks")))
    assert "nan" not in shown.reading and shown.reading.endswith(".") and "95%" in shown.reading
    assert all(not trace.name or trace.name == trace.name.strip() for trace in shown.figure.data)


def test_one_seed_is_drawn_without_intervals(results):
    one = Results(results.table[results.table.seed == 0], PARAMS)
    for figure in FIGURES:
        assert "inf" not in figure(one).reading


def test_the_demonstration_stands_beside_what_its_authors_printed():
    rows = [{"method": method, "epoch": epoch, "seed": seed, "accuracy": 98 + i / 10 + epoch / 10 + noise / 100}
            for i, method in enumerate(("teacher", "hard labels", "two-class", "subclass", "hard labels, larger head"))
            for epoch in (1, 2) for seed, noise in SCATTER.items()]
    results = Results(pd.DataFrame(rows))
    frame = figures.demo_table(results).frame.set_index("network")
    assert frame["published, one run"].to_dict() == {
        "teacher": "99.35", "hard labels": "98.53", "two-class": "98.72", "subclass": "99.01",
        "hard labels, larger head": "-"}
    mean, low, high = by_hand([98.5 + noise / 100 for noise in SCATTER.values()])
    assert frame["ours [95%]"]["subclass"] == f"{mean:.2f} [{low:.2f}, {high:.2f}]" and (frame.seeds == 5).all()


def test_every_arm_that_has_a_name_in_the_style_has_colour_dash_and_marker():
    assert set(COLOURS) - {"highlight"} <= set(DASHES) and set(DASHES) == set(MARKERS)


def test_the_second_scale_shows_what_is_found_and_gains_over_the_classes_teacher():
    """Catches gains over hard labels, arms under another's name, and betas as if they were one teacher."""
    rows = []
    for seed, noise in SCATTER.items():
        kinds = [{"method": "no auxiliary loss", "beta": 0.0}, {"method": "contrastive", "beta": 0.1},
                 {"method": "contrastive", "beta": 1.0},
                 *({"method": one} for one in ("k-means", "k-means of features", "oracle", "classes"))]
        rows += [{"part": "discovery", "seed": seed, "hungarian": 10.0 * i + noise} | kind
                 for i, kind in enumerate(kinds)]
        rows += [{"part": "few", "seed": seed, "transfer": n, "method": arm, "accuracy": 50 + gain * (1 + noise / 10)}
                 for n, factor in ((200, 1), (9000, 2))
                 for arm, gain in (("hard labels", -3 * factor), ("classes", 0), ("no auxiliary loss", 1),
                                   ("subclass", 5 * factor), ("oracle", 9), ("classes, larger head", 30))]
    plot = figures.second_scale(Results(pd.DataFrame(rows)))
    for arm, gains in (("hard labels", (-3, -6)), ("subclass", (5, 10)), ("oracle", (9, 9))):
        expected = [by_hand([gain * (1 + noise / 10) for noise in SCATTER.values()]) for gain in gains]
        np.testing.assert_allclose(shown(plot.figure, arm, "x2"), expected, atol=1e-9)
    found = [column(trace.y)[0] for trace in traces(plot.figure) if trace.name == "found"]
    np.testing.assert_allclose(found, [10 * i + 0.1 for i in range(6)], atol=1e-9)
    assert "beta 1 20.1, k-means, pixels 30.1" in plot.reading and "(50.0, 50.0%)" in plot.reading
