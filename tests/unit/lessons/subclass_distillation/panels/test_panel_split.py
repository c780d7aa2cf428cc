"""Split my class: scenes, closed forms, colours, and what a run says."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from helpers import (
    student_interval,
    x,
    y,
)
from quick_subclass_panels import SEEDS, STEPS, QuickSplit

from kdutils.cohorts import Splits
from kdutils.datasets import grouped, take
from kdutils.lessons.subclass_distillation.panels import scenes
from kdutils.lessons.subclass_distillation.panels.matching import match
from kdutils.lessons.subclass_distillation.panels.split_my_class import (
    MAX_SUBCLASSES,
    SplitMyClass,
    closed_forms,
)
from kdutils.networks import MLP, Population
from kdutils.objectives import class_logits, subclass_auxiliary, subclass_teacher
from kdutils.plots.style import COLOURS, HIDDEN_COLOURS, HIDDEN_MARKERS
from kdutils.training import Knobs, Recipe, Task, train

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


# ---- scenes -------------------------------------------------------------------------------------------------------

def test_the_stored_map_is_of_these_digits():
    """A map of other digits, or in another order, would show chaos: neighbours must share their digit."""
    places = np.load(scenes.MAP).astype(float)
    truth = grouped("digits-2x5").hidden.numpy()
    assert places.shape == (1797, 2) and np.isfinite(places).all()
    distance = scipy.spatial.distance.cdist(places, places)
    np.fill_diagonal(distance, np.inf)
    assert (truth[distance.argmin(1)] == truth).mean() > 0.97


def test_the_map_can_be_made_again(monkeypatch):
    """Of fewer digits, in fewer iterations: they come apart all the same."""
    data = grouped("digits-2x5")
    few = dataclasses.replace(data, images=data.images[:400], labels=data.labels[:400], hidden=data.hidden[:400])
    monkeypatch.setattr(scenes, "grouped", lambda name: few)
    places = scenes.make_map(iterations=250).astype(float)
    assert places.shape == (400, 2)
    distance = scipy.spatial.distance.cdist(places, places)
    np.fill_diagonal(distance, np.inf)
    assert (few.hidden.numpy()[distance.argmin(1)] == few.hidden.numpy()).mean() > 0.9


def test_the_toy_is_two_clouds_of_four_blobs():
    scene = scenes.scene("toy", (0, 1))
    assert scene.inputs.shape == (1200, 1, 1, 2) and torch.equal(scene.labels, scene.hidden // 4)
    assert (scene.places[:, 0] < 0).astype(int).mean() == pytest.approx(0.5, abs=0.05)
    np.testing.assert_allclose(scene.inputs[:, 0, 0].numpy(), scene.places, atol=1e-6)
    assert scene.pool.shape == scene.test.shape == (2, 600) and not set(scene.pool[0].tolist()) & set(
        scene.test[0].tolist())
    middles = [scene.places[scene.hidden.numpy() == k].mean(0) for k in range(8)]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(middles, 2)) > 4 * 0.12
    for k in range(8):
        assert scene.places[scene.hidden.numpy() == k].std(0) == pytest.approx(0.12, abs=0.02)


# ---- split my class: closed forms and colours -----------------------------------------------------------------------

def batch_of(kind: str, s: int, n: int = 1000) -> torch.Tensor:
    """Logits of two balanced classes in one of the configurations, float64 (n, 2 s)."""
    z = torch.zeros(n, 2 * s, dtype=torch.float64)
    label, k = torch.arange(n) % 2, torch.arange(n) // 2 % s
    rows = torch.arange(n)
    if kind == "collapse":
        z[:, 0] = 1
    elif kind == "one per class":
        z[rows, label * s] = 1
    elif kind == "flat in class":
        z = (torch.arange(2 * s) // s == label[:, None]).double()
    else:
        z[rows, label * s + k] = 1
    return z


@pytest.mark.parametrize("kind", ["collapse", "one per class", "flat in class", "one-hot"])
@pytest.mark.parametrize(("s", "t"), [(5, 1.0), (5, 0.5), (2, 0.3), (10, 2.0), (1, 1.0)])
def test_the_ticks_are_the_loss_of_these_logits(kind, s, t):
    assert closed_forms(s, t)[kind] == pytest.approx(subclass_auxiliary(batch_of(kind, s), t).item(), abs=1e-4)


def test_the_ticks_of_five_subclasses_at_one():
    """Section 1.5 of the reading: the values of the official formula."""
    assert [round(value, 4) for value in closed_forms(5, 1.0).values()] == [0.0, -0.4086, -0.5662, -0.9257]


def test_subclasses_take_the_colour_of_the_digit_they_match():
    truth = np.repeat(np.arange(4), 10)
    found = np.array([3, 0, 1, 2])[truth]
    assert match(found, truth, 4, 4).tolist() == [1, 2, 3, 0]
    # Two subclasses of one digit: the larger has it, the other is hollow; the unused one has no colour.
    found = np.where(truth == 0, np.where(np.arange(40) < 7, 0, 1), truth + 1)
    assert match(found, truth, 6, 4).tolist() == [0, 4, 1, 2, 3, -1]
    # One subclass holds two digits: the other digit stays without a subclass.
    found = np.where(truth < 2, 0, truth)
    assert match(found, truth, 4, 4).tolist()[0] in (0, 1) and match(found, truth, 4, 4)[1] == -1


def test_colours_do_not_flicker():
    """A subclass that is split evenly between two digits keeps its colour while they take turns."""
    truth = np.repeat([0, 1, 2], 50)
    found = truth.copy()
    found[:50] = 0
    before = None
    seen = []
    for swing in (0, 1, -1, 1, -1):
        half = np.zeros(150, int)
        half[:25 + swing], half[50:75 - swing] = 0, 0
        half[25 + swing:50], half[75 - swing:100] = 1, 1
        half[100:] = 2
        before = match(half, truth, 3, 3, before)
        seen.append(before.tolist())
    assert all(one == seen[0] for one in seen)
    assert match(np.array([1, 0, 2])[truth], truth, 3, 3, before).tolist() == [1, 0, 2]      # a real change is shown


def taught(s=5, beta=0.3, t_aux=0.5) -> tuple[Splits, torch.Tensor]:
    """Test logits (S, Q, 2 s) of the panel's teachers, without the panel."""
    lab = Splits.of(grouped("digits-2x5"), SEEDS)
    population = Population(MLP(64, (64,), 2 * s), lab.seeds)
    task = Task(lab.data.inputs, lab.data.labels, lab.pool, lab.seeds)
    for _ in train(population, task, subclass_teacher((s, s)), Knobs(beta=beta, t_aux=t_aux),
                   Recipe(STEPS, 128, 5e-3), STEPS):
        pass
    return lab, population.predict(take(lab.data.inputs, lab.test))


@pytest.mark.parametrize(("s", "beta", "t_aux"), [(5, 0.3, 0.5), (2, 1.0, 1.0), (10, 0.3, 0.5), (1, 0.5, 0.3)])
def test_a_run_is_that_of_plain_code(split, s, beta, t_aux):
    split.set(subclasses=s, beta=beta, t_aux=t_aux)
    split.train()
    assert split.wait(60) and split.state == "done" and split.status.startswith("Done: 30 steps")
    lab, logits = taught(s, beta, t_aux)
    hidden = lab.data.hidden[lab.test].numpy()
    found = logits.argmax(-1).numpy()
    right = 100 * (class_logits(logits, (s, s)).argmax(-1) == lab.data.labels[lab.test]).float().mean(-1).numpy()
    np.testing.assert_allclose(split.found.right, right, atol=0.2)
    np.testing.assert_allclose(split.found.aux, subclass_auxiliary(logits[:, :256], t_aux).numpy(), atol=0.01)
    for seed in range(SEEDS):
        counts = np.bincount(found[seed], minlength=2 * s)
        assert abs(split.found.used[seed] - (counts >= 0.01 * len(hidden[seed])).sum()) <= 1
        table = np.zeros((2 * s, 10))
        np.add.at(table, (found[seed], hidden[seed]), 1)
        rows, columns = scipy.optimize.linear_sum_assignment(-table)
        assert split.found.hungarian[seed] == pytest.approx(100 * table[rows, columns].sum() / 597, abs=0.5)
    assert (split.subclass == found[0]).mean() > 0.99
    said = split.reading()
    assert said.startswith(f"s = {s}, beta = {beta:g}, T_aux = {t_aux:g}: told 0-4 or 5-9 alone, teachers use ")
    assert f"of {2 * s} subclasses" in said and "moved" not in said and "t-SNE of the pixels" in said
    assert f"{split.found.used[0]} subclasses, {split.found.hungarian[0]:.1f}%" in said and "seed 0" in said
    low, high = student_interval(split.found.hungarian)
    assert f"{split.found.hungarian.mean():.1f}% [{low:.1f}, {high:.1f}]" in said


def test_every_point_of_the_maps_is_there_once(split):
    def shown():
        return sum(len(x(split, f"subclass {k}")) for k in range(2 * MAX_SUBCLASSES))
    assert len(x(split, "not sorted")) == 597 and shown() == 0
    split.set(subclasses=10)
    split.run()
    assert len(x(split, "not sorted")) == 0 and shown() == 597
    hollow = [trace for trace in split.chart.figure().data if trace.type == "scatter" and len(trace.x)
              and "-open" in str(trace.marker.symbol)]
    assert ("Hollow: a further subclass" in split.reading()) == bool(hollow)
    assert y(split, "usage").sum() == pytest.approx(100)
    for digit in range(10):
        mine = scenes.digits((0,)).places[split.shown[split.hidden == digit]]
        np.testing.assert_allclose(np.column_stack([x(split, f"is {digit}"), y(split, f"is {digit}")]), mine)


def test_both_maps_name_a_digit_with_the_same_colour_and_shape(split):
    """A further subclass of a digit is hollow; catches a map that colours by the number of a subclass."""
    split.set(subclasses=10, t_aux=0.2)
    split.run()
    figure = {trace.uid: trace for trace in split.chart.figure().data}
    further = 0
    for k in range(20):
        if not len(figure[f"subclass {k}"].x):
            continue
        hollow, digit = divmod(split.matches[k], 10)
        further += hollow
        for uid, symbol in ((f"is {digit}", ""), (f"subclass {k}", "-open" * hollow)):
            assert figure[uid].marker.color == HIDDEN_COLOURS[digit]
            assert figure[uid].marker.symbol == HIDDEN_MARKERS[digit] + symbol
    assert further
    assert len(set(zip(HIDDEN_COLOURS, HIDDEN_MARKERS, strict=True))) == len(set(HIDDEN_MARKERS)) == 10


@pytest.mark.parametrize(("data", "s", "words"), [("digits", 5, "digit {}, in subclass {} of {}"),
                                                  ("toy", 3, "blob {}, in subclass {} of {}")])
def test_hovering_names_the_truth_and_the_subclass(data, s, words):
    """Catches names that stand in the order of the map and not in that of a subclass's dots."""
    panel = QuickSplit(data, seeds=1, steps=STEPS, subclasses=s)
    panel.run()
    where = {tuple(place): i for i, place in enumerate(panel.places.tolist())}
    named = 0
    for trace in panel.chart.figure().data:
        if not str(trace.uid).startswith("subclass"):
            continue
        k = int(trace.uid.split()[1])
        for at, truth in zip(zip(trace.x, trace.y, strict=True), trace.hovertext or (), strict=len(trace.x) > 0):
            i = where[at]
            told = trace.hovertemplate.replace("%{hovertext}", truth).removesuffix("<extra></extra>")
            place = panel.scene.classes[k // s]
            assert told == words.format(panel.scene.kinds[panel.hidden[i]], k % s + 1, place)
            assert panel.subclass[i] == k
            named += 1
    assert named == len(panel.shown)


def test_the_histogram_has_the_colours_of_the_map(split):
    split.run()
    figure = split.chart.figure()
    usage = next(trace for trace in figure.data if trace.uid == "usage")
    for k in range(10):
        mine = (split.subclass == k).sum()
        assert usage.y[k] == pytest.approx(100 * mine / 597)
        digit = split.matches[k] % 10
        assert usage.marker.color[k] == (HIDDEN_COLOURS[digit] if mine else COLOURS["other"])
        assert figure.layout.xaxis3.ticktext[k] == (str(digit) if mine else "")
    assert usage.x[5] - usage.x[4] > usage.x[1] - usage.x[0]        # a gap between the classes


def test_the_curve_of_the_loss_and_its_ticks(split):
    split.run()
    assert x(split, "auxiliary mean") == [0, 20, 30]
    assert y(split, "auxiliary mean")[-1] == pytest.approx(split.found.aux.mean())
    low, high = student_interval(split.found.aux)
    assert (y(split, "auxiliary low")[-1], y(split, "auxiliary high")[-1]) == pytest.approx((low, high), abs=1e-3)
    axis = split.chart.figure().layout.yaxis4
    said = "<br>".join(axis.ticktext).split("<br>")
    assert said == ["bound -2.00", "one-hot -1.62", "one per class -0.59", "flat in class -0.67", "collapse 0.00"]
    assert {round(value, 9) for value in axis.tickvals} < {round(value, 9) for value in y(split, "closed forms")}


def test_the_ticks_follow_t_aux_and_s(split):
    split.set(t_aux=1.0)
    assert "one-hot -0.93" in str(split.chart.figure().layout.yaxis4.ticktext)
    split.set(t_aux=0.1)
    text = str(split.chart.figure().layout.yaxis4.ticktext)
    assert "one-hot -2.30" in text and "bound" not in text      # -10 would leave no room for the rest
    lines = y(split, "closed forms").reshape(5, -1)     # each has its line, also where names share a tick
    assert sorted(lines[:, 0]) == pytest.approx(sorted([*closed_forms(5, 0.1).values(), -10]))
    assert (lines == lines[:, :1]).all() and math.isnan(x(split, "closed forms")[lines.shape[1] - 1])
    figure = next(trace for trace in split.chart.figure().data if trace.uid == "closed forms")
    assert "flat in class: all subclasses of the class are equally large" in figure.hovertext
    assert [text.count("<br>") for text in split.chart.figure().layout.yaxis4.ticktext] == [0, 1, 0]    # no overlap
    split.set(subclasses=1, t_aux=1.0)
    assert "one-hot -0.57" in str(split.chart.figure().layout.yaxis4.ticktext)


def test_without_the_auxiliary_loss_subclasses_collapse_and_with_it_they_do_not():
    """What the panel is there to show; at its own number of steps."""
    panel = QuickSplit(seeds=3)
    panel.preset("No auxiliary loss")
    panel.run()
    few = panel.found
    panel.preset("More")
    panel.run()
    assert few.used.mean() < 4 and panel.found.used.mean() > 7
    assert panel.found.hungarian.mean() > few.hungarian.mean() + 15
    assert panel.found.aux.mean() < closed_forms(5, 0.5)["flat in class"]


def test_the_toy_has_its_own_words():
    panel = SplitMyClass(data="toy", seeds=2, steps=STEPS, subclasses=4)
    panel.run()
    said = panel.reading()
    assert "told left or right cloud alone" in said and "on the blobs" in said and "the plane in which" in said
    assert sum(len(x(panel, f"subclass {k}")) for k in range(8)) == 600
    assert panel.found.hungarian.shape == (2,)


def test_an_interval_of_percentages_ends_at_a_hundred():
    panel = QuickSplit("toy", seeds=3, steps=STEPS)
    panel.run()
    panel.found = dataclasses.replace(panel.found, right=np.array([100.0, 100.0, 99.0]))
    assert "on the two classes 99.7% [98.2, 100.0]" in panel.reading()
