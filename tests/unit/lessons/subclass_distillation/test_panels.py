"""The panels of notebook 03 from Python: every control against numbers computed here, and runs in a thread."""

import base64
import dataclasses
import io
import itertools
import json
import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from helpers import (
    acts_at_once,
    answers_at_once,
    headless_page,
    per_cent,
    stops_and_starts,
    student_interval,
    until,
    x,
    y,
)
from PIL import Image

from kdutils.cohorts import Splits
from kdutils.datasets import grouped, take
from kdutils.lessons.subclass_distillation.panels import scenes
from kdutils.lessons.subclass_distillation.panels.few_labels_race import GAINERS, RACERS, FewLabelsRace
from kdutils.lessons.subclass_distillation.panels.matching import match
from kdutils.lessons.subclass_distillation.panels.plane import SIDE, Plane
from kdutils.lessons.subclass_distillation.panels.split_my_class import (
    MAX_SUBCLASSES,
    TINT,
    SplitMyClass,
    closed_forms,
)
from kdutils.lessons.subclass_distillation.panels.what_teacher_tells import (
    TEMPERATURES,
    WhatTheTeacherTells,
    information,
)
from kdutils.lessons.subclass_distillation.parameters import ARMS, DEFAULT
from kdutils.lessons.subclass_distillation.students import cohorts
from kdutils.lessons.subclass_distillation.teachers import hidden_blocks, label_teachers, subclass_teachers
from kdutils.networks import MLP, Population
from kdutils.objectives import class_logits, subclass_auxiliary, subclass_teacher
from kdutils.plots.style import COLOURS, HIDDEN_COLOURS, HIDDEN_MARKERS
from kdutils.training import Knobs, Recipe, Task, train

pytestmark = pytest.mark.usefixtures("no_thread_is_left")
SEEDS, STEPS = 3, 30


class QuickSplit(SplitMyClass):
    """A control counts as released soon."""

    delay, patience = 0.03, 60.0


class QuickRace(FewLabelsRace):
    """A control counts as released soon."""

    delay, patience = 0.03, 60.0


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


# ---- split my class: what a run says --------------------------------------------------------------------------------

@pytest.fixture
def split() -> SplitMyClass:
    made = QuickSplit(seeds=SEEDS, steps=STEPS, full_speed=True)
    yield made
    made.stop()


@pytest.fixture
def endless_split() -> SplitMyClass:
    """Teachers that learn until they are stopped."""
    made = QuickSplit(seeds=SEEDS, steps=1_000_000, full_speed=True)
    yield made
    made.stop()


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


# ---- split my class: the plane --------------------------------------------------------------------------------------

def pixels(panel) -> np.ndarray:
    """The picture behind the toy's map as (SIDE, SIDE, 4) bytes; the first row is the lowest."""
    (trace,) = [trace for trace in panel.chart.figure().data if trace.uid == "regions"]
    # plotly.js turns a picture over where the axis points up and never looks at the sign of the steps.
    assert trace.dx > 0 and trace.dy > 0
    (left, right), (low, high) = (panel.chart.figure().layout[name].range for name in ("xaxis", "yaxis"))
    assert (trace.x0 - trace.dx / 2, trace.x0 + trace.dx * (SIDE - 0.5)) == pytest.approx((left, right))
    assert (trace.y0 - trace.dy / 2, trace.y0 + trace.dy * (SIDE - 0.5)) == pytest.approx((low, high))
    kind, picture = trace.source.split(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGBA"))


def toy_teacher(s, beta, t_aux):
    """The first seed's teacher as an ordinary module, trained alone and without the panel."""
    scene = scenes.toy((0,))
    population = Population(MLP(2, (64, 64), 2 * s), (0,))
    task = Task(scene.inputs, scene.labels, scene.pool, (0,))
    for _ in train(population, task, subclass_teacher((s, s)), Knobs(beta=beta, t_aux=t_aux), Recipe(STEPS, 128, 1e-2),
                   STEPS):
        pass
    return population.member(0)


@pytest.mark.parametrize(("s", "beta", "t_aux"), [(4, 0.3, 0.2), (10, 0.3, 0.2), (1, 0.0, 0.5)])
def test_the_plane_has_the_colours_of_what_the_first_teacher_answers_there(s, beta, t_aux):
    """Catches rows or columns that are exchanged or turned over, another seed's teacher, and colours by number."""
    panel = QuickSplit("toy", seeds=SEEDS, steps=STEPS, subclasses=s, beta=beta, t_aux=t_aux)
    panel.run()
    teacher, (low, high) = toy_teacher(s, beta, t_aux), np.array(panel.spans).T
    row, column = np.random.default_rng(0).integers(0, SIDE, (2, 400))
    at = low + (high - low) * (np.column_stack([column, row]) + 0.5) / SIDE
    with torch.no_grad():
        answers = teacher(torch.tensor(at, dtype=torch.float32).view(-1, 1, 1, 2)).argmax(-1).numpy()
    tints = [(*(int(colour[i:i + 2], 16) for i in (1, 3, 5)), round(255 * share * TINT))
             for share in (1, 0.5) for colour in HIDDEN_COLOURS[:8]]
    wanted = [tints[panel.matches[k]][::3] if panel.matches[k] >= 0 else 0 for k in answers]
    seen = [tuple(pixel[::3]) if pixel[3] else 0 for pixel in pixels(panel)[row, column]]
    assert np.mean([a == b for a, b in zip(seen, wanted, strict=True)]) > 0.98


def test_dots_lie_on_their_own_colour():
    panel = QuickSplit("toy", seeds=1, steps=STEPS, subclasses=4, t_aux=0.2)
    panel.run()
    (left, right), (low, high) = panel.spans
    column = ((panel.places[:, 0] - left) / (right - left) * SIDE).astype(int)
    row = ((panel.places[:, 1] - low) / (high - low) * SIDE).astype(int)
    beneath = pixels(panel)[row, column, :3]
    dots = [[int(HIDDEN_COLOURS[panel.matches[k] % 8][i:i + 2], 16) for i in (1, 3, 5)] for k in panel.subclass]
    assert (beneath == dots).all(-1).mean() > 0.97


def test_the_line_is_where_the_two_classes_are_equal():
    """Catches the border of subclasses, and of the plain sums of logits."""
    panel = QuickSplit("toy", seeds=2, steps=STEPS, subclasses=4, t_aux=0.2)
    panel.run()
    line = np.column_stack([x(panel, "class line"), y(panel, "class line")])
    teacher, line = toy_teacher(4, 0.3, 0.2), line[~np.isnan(line[:, 0])]

    def lead(at):
        with torch.no_grad():
            a = torch.stack([block.logsumexp(-1) for block in
                             teacher(torch.tensor(at, dtype=torch.float32).view(-1, 1, 1, 2)).split(4, -1)], -1)
        return (a[:, 0] - a[:, 1]).numpy()

    assert len(line) > 50 and np.abs(lead(line)).max() < 0.05 * np.abs(lead(panel.places)).max()
    low, high = panel.spans[1]
    assert line[:, 1].min() - low < 0.02 and high - line[:, 1].max() < 0.02     # from end to end


def test_a_border_of_a_known_field():
    """The circle of radius 1, in a rectangle that is not a square; and no line where there is none."""
    plane = Plane((-2.0, 3.0), (-1.5, 1.25))
    field = plane.inputs.flatten(1).square().sum(1).numpy() - 1
    across, up = plane.border(field)
    assert np.isnan(across[-1]) and np.isnan(across).sum() == 1
    np.testing.assert_allclose(np.hypot(across, up)[:-1], 1, atol=2e-3)
    assert across[:-1].max() > 0.99 and up[:-1].min() < -0.99
    assert plane.border(field + 100)[0].size == 0


def test_the_plane_is_empty_before_a_run_and_after_reset():
    panel = QuickSplit("toy", seeds=1, steps=STEPS, subclasses=4)
    assert not pixels(panel)[..., 3].any() and not x(panel, "class line")
    panel.run()
    assert pixels(panel)[..., 3].any() and "Behind the dots" in panel.reading()
    panel.begin()
    assert not pixels(panel)[..., 3].any() and not x(panel, "class line")
    panel.run()
    panel.reset()
    assert not pixels(panel)[..., 3].any() and not x(panel, "class line")


def test_digits_have_no_plane(split):
    split.run()
    assert not {"regions", "class line"} & {trace.uid for trace in split.chart.figure().data}
    assert "Behind the dots" not in split.reading()


def test_a_frame_of_the_toy_stays_small():
    """Less than 16 kB with the plane and the names; 600 whole sentences alone would be 18 kB."""
    panel, sizes = QuickSplit("toy", seeds=1, steps=STEPS, subclasses=10, t_aux=0.2), []
    panel.chart.frame()
    show = panel.observe
    panel.observe = lambda snapshot: (show(snapshot), sizes.append(panel.chart.frame()))
    panel.run()
    assert max(len(json.dumps(frame.content)) + len(frame.numbers) for frame in sizes[1:]) < 16_000


def test_opening_the_toy_does_not_end_a_run_on_digits_and_digits_again_do(endless_split):
    endless_split.train()
    assert until(lambda: endless_split.found is not None)
    toy = QuickSplit("toy", seeds=1, steps=10)
    assert endless_split.state == "training" and toy.state == "idle"
    again = QuickSplit(seeds=1, steps=10)
    assert endless_split.state == "stopped" and again.state == "idle"


def test_beta_and_t_aux_act_while_teachers_learn(endless_split):
    endless_split.train()
    assert until(lambda: endless_split.found is not None)
    population = endless_split.running
    endless_split.set(beta=2.0, t_aux=1.0)
    assert until(lambda: (endless_split.knobs["beta"], endless_split.knobs["t_aux"]) == (2.0, 1.0))
    assert until(lambda: endless_split.measured["beta"] == 2.0) and endless_split.mixed
    assert until(lambda: "moved during this run" in endless_split.reading())
    assert endless_split.state == "training" and endless_split.running == population
    assert endless_split.stop() and endless_split.state == "stopped"


def test_another_number_of_subclasses_by_hand_starts_anew_and_says_so(endless_split):
    endless_split.pace, endless_split.full_speed = 200, False
    assert endless_split.widget
    endless_split.train()
    assert until(lambda: endless_split.found is not None)
    endless_split.inputs["subclasses"].value = 3
    assert until(lambda: endless_split.running == 3)
    assert until(lambda: endless_split.status == "Other subclasses: other networks. The run starts anew.")
    assert until(lambda: endless_split.found is not None and endless_split.measured["subclasses"] == 3)
    assert endless_split.state == "training" and not endless_split.mixed and len(y(endless_split, "usage")) == 6


def test_letting_go_of_a_control_runs_to_the_end(split):
    assert split.widget
    split.full_speed, split.pace = False, 0.5
    split.inputs["beta"].value = 1.0
    assert until(lambda: split.state == "done") and split.measured == {"beta": 1.0, "t_aux": 0.5, "subclasses": 5}


def test_the_words_stay_with_the_run_that_they_describe(split):
    split.run()
    said = split.reading()
    split.set(beta=2.0, subclasses=2)
    assert split.reading() == said and len(y(split, "usage")) == 10
    split.run()
    assert split.reading().startswith("s = 2, beta = 2,")


def test_pause_step_stop_and_a_second_run_of_the_split(endless_split):
    stops_and_starts(endless_split, "auxiliary mean")
    endless_split.reset()
    assert until(lambda: endless_split.state == "idle") and endless_split.found is None
    assert "press Train" in endless_split.reading() and len(x(endless_split, "not sorted")) == 597
    assert not x(endless_split, "auxiliary mean") and (endless_split.subclass < 0).all()


def test_presets_of_the_split(split):
    for name, values in split.presets.items():
        split.preset(name)
        assert values.items() <= dict(split.values).items()
    split.reset()
    assert split.values == {"subclasses": 5, "beta": 0.3, "t_aux": 0.5}


@pytest.mark.parametrize("wrong", [{"subclasses": 0}, {"subclasses": 11}, {"subclasses": 2.5}, {"beta": -0.1},
                                   {"beta": 3.5}, {"t_aux": 0}, {"t_aux": 5}, {"temperature": 4}])
def test_wrong_values_of_the_split_are_one_sentence(split, refuses, wrong):
    before = dict(split.values)
    with refuses(*wrong):
        split.set(**wrong)
    assert dict(split.values) == before


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"steps": 0}, {"data": "letters"}, {"t_aux": -1}])
def test_impossible_splits_are_refused(refuses, wrong):
    with refuses(next(iter(wrong))):
        SplitMyClass(**wrong)


@pytest.mark.alone
def test_setting_a_value_while_teachers_learn_takes_milliseconds(endless_split):
    acts_at_once(endless_split, "beta", [0.5 + i / 10 for i in range(20)],
                 lambda panel: panel.knobs and panel.knobs["beta"])


# ---- what does the teacher tell you? --------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def shared_tells() -> WhatTheTeacherTells:
    return WhatTheTeacherTells()


@pytest.fixture
def tells(shared_tells) -> WhatTheTeacherTells:
    shared_tells.reset()
    return shared_tells


@pytest.fixture(scope="module")
def said_by():
    """Logits (1797, S) of the four teachers, without the panel."""
    lab = Splits.of(grouped("digits-2x5"), 1)
    plain, subclass = subclass_teachers(lab, lab.pool, (5, 5), [(0.0, DEFAULT.t_aux), (DEFAULT.beta, DEFAULT.t_aux)])
    return {"subclass": subclass[0], "no auxiliary loss": plain[0],
            "two-class": label_teachers(lab, lab.pool, lab.data.labels, 2)[0][0],
            "oracle": label_teachers(lab, lab.pool, hidden_blocks(lab)[0], 10)[0][0]}


@pytest.mark.parametrize("teacher", ["subclass", "no auxiliary loss", "two-class", "oracle"])
@pytest.mark.parametrize(("digit", "t"), [(3, 4.0), (8, 1.0), (0, 0.5)])
def test_the_bars_are_the_answers_of_the_teacher(tells, said_by, teacher, digit, t):
    tells.set(teacher=teacher, digit=digit, temperature=t)
    index = tells.images[digit]
    data = grouped("digits-2x5")
    assert data.hidden[index] == digit and index in tells.lab.test[0] and index not in tells.lab.pool[0]
    np.testing.assert_array_equal(tells.chart.points("image")["z"], data.images[index, 0].numpy().ravel())
    z = said_by[teacher][index].double().numpy()
    q = scipy.special.softmax(z / t)
    np.testing.assert_allclose(y(tells, "subclasses"), q, rtol=1e-4, atol=1e-9)
    a = scipy.special.logsumexp(z.reshape(2, -1), axis=1)
    p = scipy.special.softmax(a / t)
    np.testing.assert_allclose(y(tells, "classes"), p, rtol=1e-4, atol=1e-9)
    said = tells.reading()
    assert f"Of this {digit} " in said and f"at T = {t:g}:" in said
    assert f"entropy {scipy.stats.entropy(p, base=2):.2f} of at most 1 bit" in said
    if teacher == "two-class":
        assert said.endswith("It has no subclasses.")
    else:
        assert f"entropy {scipy.stats.entropy(q, base=2):.2f} of at most 3.32 bits" in said
    assert per_cent(said)[0] == pytest.approx(100 * p[digit // 5], rel=0.01)


def test_the_curves_are_entropy_and_information(tells, said_by):
    tells.set(teacher="subclass", digit=5, temperature=float(TEMPERATURES[8]))
    z = said_by["subclass"][tells.lab.test[0]].double().numpy()
    for place in (0, 8, 24):
        t = TEMPERATURES[place]
        q = scipy.special.softmax(z / t, axis=1)
        told = scipy.stats.entropy(q.mean(0), base=2) - scipy.stats.entropy(q, axis=1, base=2).mean()
        assert y(tells, "subclass told")[place] == pytest.approx(told, abs=1e-3)
        p = scipy.special.softmax(scipy.special.logsumexp(z.reshape(-1, 2, 5), axis=2) / t, axis=1)
        told = scipy.stats.entropy(p.mean(0), base=2) - scipy.stats.entropy(p, axis=1, base=2).mean()
        assert y(tells, "class told")[place] == pytest.approx(told, abs=1e-3)
        mine = scipy.special.softmax(said_by["subclass"][tells.images[5]].double().numpy() / t)
        assert y(tells, "subclass entropy")[place] == pytest.approx(scipy.stats.entropy(mine, base=2), abs=1e-3)
    assert y(tells, "subclass now")[0] == pytest.approx(y(tells, "subclass told")[8])
    assert x(tells, "class now") == [TEMPERATURES[8]]


def test_the_same_answer_to_every_image_tells_nothing_however_large_its_entropy():
    logits = torch.randn(1, 10, generator=torch.Generator().manual_seed(0)).expand(50, -1)
    assert information(logits, 4.0) == pytest.approx(0, abs=1e-5)
    assert information(100 * torch.eye(8), 1.0) == pytest.approx(3, abs=1e-5)


def test_ten_outputs_without_the_auxiliary_loss_tell_no_more_than_two(tells):
    told = {name: teacher.curves for name, teacher in tells.teachers.items()}
    at_one = np.abs(TEMPERATURES - 1).argmin()
    assert abs(told["no auxiliary loss"][1][at_one] - told["two-class"][0][at_one]) < 0.3
    assert told["oracle"][1][at_one] > told["subclass"][1][at_one] > told["two-class"][0][at_one] + 0.5


def test_subclasses_are_named_after_digits(tells, said_by):
    test = tells.lab.test[0]
    hidden = tells.lab.data.hidden[test].numpy()
    for name in ("subclass", "no auxiliary loss", "oracle"):
        tells.set(teacher=name)
        figure = tells.chart.figure()
        bars = next(trace for trace in figure.data if trace.uid == "subclasses")
        found = said_by[name][test].argmax(-1).numpy()
        for k, digit in enumerate(tells.teacher.alike):
            assert (digit < 0) == (not (found == k).any())
            assert figure.layout.xaxis3.ticktext[k] == ("-" if digit < 0 else str(digit))
            assert bars.marker.color[k] == (COLOURS["other"] if digit < 0 else HIDDEN_COLOURS[digit])
    assert tells.teachers["oracle"].alike == tuple(range(10))
    counts = np.bincount(hidden[said_by["subclass"][test].argmax(-1).numpy() == 3], minlength=10)
    assert tells.teachers["subclass"].alike[3] in np.argsort(-counts)[:2]


def test_the_label_has_its_colour(tells):
    for digit in (2, 7):
        tells.set(digit=digit)
        colours = next(trace for trace in tells.chart.figure().data if trace.uid == "classes").marker.color
        assert [colour == COLOURS["hard labels"] for colour in colours] == [digit < 5, digit >= 5]


def test_a_teacher_without_subclasses_has_one_message(tells):
    """Catches bars in the colours of digits that it knows nothing of and curves that lie on top of those of classes."""
    for teacher, curve in (("two-class", 0), ("subclass", len(TEMPERATURES))):
        tells.set(teacher=teacher, digit=7)
        figure = tells.chart.figure()
        assert [len(y(tells, f"{name} {what}")) for name in ("class", "subclass") for what in ("told", "entropy")] == [
            len(TEMPERATURES)] * 2 + [curve] * 2
        assert [len(x(tells, f"{name} now")) for name in ("class", "subclass")] == [1, int(curve > 0)]
        assert ("no subclasses" in figure.layout.xaxis3.title.text) == (not curve)
        classes, bars = ([trace for trace in figure.data if trace.uid == uid][0] for uid in ("classes", "subclasses"))
        assert (bars.marker.color == classes.marker.color) == (not curve)
    assert figure.layout.xaxis2.ticktext == ("0-4", "5-9<br>its label")


def test_hovering_names_the_outputs(tells):
    tells.set(teacher="subclass")
    (bars,) = [trace for trace in tells.chart.figure().data if trace.uid == "subclasses"]
    for k, digit in enumerate(tells.teacher.alike):
        alike = "largest for no test image" if digit < 0 else f"most like digit {digit}"
        assert bars.hovertext[k] == f"subclass {k % 5 + 1} of {('0-4', '5-9')[k // 5]}, {alike}"
    tells.set(teacher="oracle", digit=8, temperature=1.0)
    assert "on one like an 8 and" in tells.reading()


def test_presets_of_what_the_teacher_tells(tells):
    said = set()
    for name, values in tells.presets.items():
        tells.preset(name)
        assert values.items() <= dict(tells.values).items()
        said.add(tells.reading())
    assert len(said) == len(tells.presets)


@pytest.mark.parametrize("wrong", [{"digit": 10}, {"temperature": 0}, {"temperature": math.nan},
                                   {"teacher": "strict"}])
def test_wrong_values_of_what_the_teacher_tells_are_one_sentence(tells, refuses, wrong):
    before = tells.reading()
    with refuses(*wrong):
        tells.set(**wrong)
    assert tells.reading() == before


@pytest.mark.alone
def test_what_the_teacher_tells_answers_at_once(tells):
    answers_at_once(tells, [{"temperature": 1 + i / 4, "digit": i % 10} for i in range(20)])


# ---- the few-labels race --------------------------------------------------------------------------------------------

@pytest.fixture
def race() -> FewLabelsRace:
    made = QuickRace(seeds=SEEDS, steps=STEPS, full_speed=True)
    yield made
    made.stop()


@pytest.fixture
def endless_race() -> FewLabelsRace:
    """Students that learn until they are stopped."""
    made = QuickRace(seeds=SEEDS, steps=1_000_000, full_speed=True)
    yield made
    made.stop()


def raced(race, n, t, width) -> dict[str, np.ndarray]:
    """Test accuracies of the same students trained one cohort after the other, without the panel."""
    lab, scores = race.lab, {}
    arms = [arm for arm in ARMS if arm.name in RACERS]
    for students in cohorts(lab, race.told, arms, lab.transfer(n), width, DEFAULT):
        students.knobs.set(temperature=t)
        students.fit(Recipe(steps=STEPS))
        for arm, logits in zip(students.arms, students.answers(), strict=True):
            scores[arm.name] = 100 * (logits.argmax(-1) == lab.data.labels[lab.test]).float().mean(-1).numpy()
    return scores


@pytest.mark.parametrize(("n", "t", "width"), [(50, 4.0, 16), (20, 1.0, 8), (1000, 8.0, 32)])
def test_a_race_is_that_of_the_experiment(race, n, t, width):
    race.set(labels=n, temperature=t, width=width)
    race.train()
    assert race.wait(60) and race.state == "done" and race.status.startswith("Done: 30 steps")
    scores = raced(race, n, t, width)
    assert set(scores) == set(race.scores) == set(RACERS)
    for name in RACERS:
        np.testing.assert_allclose(race.scores[name], scores[name], atol=0.2)
        assert x(race, f"{name} mean") in ([0, 5, 10, 15, 20, 25, 30], [0, 20, 30])
        assert y(race, f"{name} mean")[-1] == pytest.approx(scores[name].mean(), abs=0.1)
    (answer,) = race.answers
    assert (answer.labels, answer.temperature, answer.width, answer.mixed) == (n, t, width, False)
    said = race.reading()
    assert said.startswith(f"n = {n:,}, T = {t:g}, {width} hidden units: hard labels ") and "moved" not in said
    for name in GAINERS:
        gain = scores[name] - scores["hard labels"]
        assert answer.gains[name].mean == pytest.approx(gain.mean(), abs=0.2) and answer.gains[name].n == SEEDS
        assert f"{RACERS[name]} {race.scores[name].mean():.1f}%, gain {answer.gains[name]}" in said
        assert y(race, f"{name} answers")[0] == pytest.approx(gain.mean(), abs=0.2)
        assert x(race, f"{name} answers")[0] == pytest.approx(n, rel=0.06)


def test_each_race_is_a_point_and_those_of_other_settings_are_hollow(race):
    for values in ({"labels": 20}, {"labels": 100}, {"temperature": 1.0}):
        race.set(**values)
        race.run()
    for name in GAINERS:
        assert [len(x(race, f"{name} {uid}")) for uid in ("answers", "others", "latest")] == [1, 2, 1]
    race.set(temperature=4.0)
    assert [len(x(race, f"oracle {uid}")) for uid in ("answers", "others")] == [2, 1]
    race.set(width=8)
    assert [len(x(race, f"oracle {uid}")) for uid in ("answers", "others")] == [0, 3]
    low, high = race.chart.figure().layout.yaxis2.range
    assert all(low < bar < high for bar in y(race, "oracle others interval") if not math.isnan(bar))
    assert len({x(race, f"{name} latest")[0] for name in GAINERS}) == 3      # side by side
    assert "ring marks the latest" in race.reading()
    for uid, told in (("others", ["n = 20", "n = 100", "n = 100"]), ("latest", ["n = 100"])):
        (marks,) = [trace for trace in race.chart.figure().data if trace.uid == f"oracle {uid}"]
        assert [text.split("<br>")[0] for text in marks.hovertext] == [f"oracle, {n}" for n in told]
        answer = race.answers[-1]
        assert marks.hovertext[-1].endswith(f"T = 1, 16 hidden units<br>gain {answer.gains['oracle']}")


def test_the_line_of_the_teachers(race):
    scores = []
    for name in ("two-class", "subclass"):
        logits = race.told[name]["logits"]
        logits = logits.gather(1, race.lab.test[..., None].expand(-1, -1, logits.shape[-1]))
        a = class_logits(logits, (logits.shape[-1] // 2,) * 2)
        scores.append(100 * (a.argmax(-1) == race.lab.data.labels[race.lab.test]).float().mean().item())
    assert y(race, "teacher")[0] == pytest.approx(np.mean(scores), abs=0.05)


def test_temperature_acts_on_students_who_hear_a_teacher(endless_race):
    endless_race.train()
    assert until(lambda: endless_race.scores)
    endless_race.set(temperature=8.0)
    assert until(lambda: all(set(students.knobs["temperature"]) == {8.0} for students in endless_race.cohorts))
    assert until(lambda: endless_race.mixed) and until(lambda: "T moved during this run" in endless_race.reading())
    assert until(lambda: endless_race.reading().startswith("n = 50, T = 8,"))
    assert endless_race.stop() and not endless_race.answers and endless_race.state == "stopped"


def test_other_labels_by_hand_start_other_students(endless_race):
    endless_race.pace, endless_race.full_speed = 200, False
    assert endless_race.widget
    endless_race.train()
    assert until(lambda: endless_race.scores)
    endless_race.inputs["labels"].value = 200.0
    assert until(lambda: endless_race.cohorts and endless_race.cohorts[0].task.train.shape[1] == 200)
    assert until(lambda: endless_race.status == "Other students. The run starts anew.")
    endless_race.inputs["width"].value = 8
    assert until(lambda: endless_race.measured.get("width") == 8 and endless_race.scores)
    assert endless_race.state == "training" and not endless_race.mixed


def test_letting_go_of_a_control_runs_the_race(race):
    assert race.widget
    race.inputs["labels"].value = 100.0
    assert until(lambda: race.answers) and race.wait(60)
    assert (race.answers[-1].labels, race.answers[-1].mixed) == (100, False)
    race.inputs["width"].value = 32
    assert until(lambda: len(race.answers) == 2) and race.wait(60) and race.answers[-1].width == 32


def test_temperature_moved_in_a_pause_marks_the_answer(race):
    race.step()
    race.set(temperature=1.0)
    assert until(lambda: race.mixed)
    race.train()
    assert race.wait(60) and race.answers[-1].mixed and race.answers[-1].temperature == 1.0
    assert x(race, "subclass answers") == [] and len(x(race, "subclass others")) == 1


def test_pause_step_stop_and_a_second_race(endless_race):
    stops_and_starts(endless_race, "oracle mean")
    endless_race.reset()
    assert until(lambda: endless_race.state == "idle") and not x(endless_race, "oracle mean")
    assert "press Train" in endless_race.reading() and len(y(endless_race, "teacher")) == 2


def test_presets_and_reset_of_the_race(race):
    for name, values in race.presets.items():
        race.preset(name)
        assert values.items() <= dict(race.values).items()
    race.run()
    race.reset()
    assert race.values == {"labels": 50.0, "temperature": 4.0, "width": 16} and not race.answers


@pytest.mark.parametrize("wrong", [{"labels": 19}, {"labels": 2000}, {"labels": 33.5}, {"temperature": 0},
                                   {"width": 12}, {"alpha": 1}])
def test_wrong_values_of_the_race_are_one_sentence(race, refuses, wrong):
    before = dict(race.values)
    with refuses(*wrong):
        race.set(**wrong)
    assert dict(race.values) == before


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"steps": 0}, {"labels": 20.5}])
def test_impossible_races_are_refused(refuses, wrong):
    with refuses(next(iter(wrong))):
        FewLabelsRace(**wrong)


def test_one_seed_has_no_interval():
    panel = QuickRace(seeds=1, steps=10)
    panel.run()
    np.testing.assert_array_equal(y(panel, "oracle low"), y(panel, "oracle mean"))
    assert "(1 seed, no interval)" in panel.reading()


# ---- without a reader ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("make", [lambda: QuickSplit(seeds=2, steps=10), lambda: SplitMyClass("toy", seeds=1, steps=10),
                                  WhatTheTeacherTells, lambda: QuickRace(seeds=2, steps=10)],
                         ids=["split", "toy", "tells", "race"])
def test_headless_a_panel_is_its_whole_figure_and_its_sentence(make, monkeypatch):
    panel = headless_page(make, monkeypatch)
    if isinstance(panel, FewLabelsRace):
        assert [answer.labels for answer in panel.answers] == [20, 100, 1000, 50] and panel.values["labels"] == 50


def test_the_file_of_a_map_is_small():
    assert scenes.MAP.stat().st_size < 10_000


def test_a_setting_that_changes_while_it_is_drawn_is_not_mixed_in(tells, monkeypatch):
    """Catches bars of one digit at the temperature of the next, where another thread moves a control in between."""
    tells.set(digit=3, temperature=1.0, teacher="subclass")
    kept, plain = tells.values, tells.logits

    def meanwhile(teacher, digit):
        monkeypatch.setattr(type(tells), "values", {**kept, "digit": 8, "temperature": 30.0, "teacher": "two-class"})
        return plain(teacher, digit)

    expected = y(tells, "subclasses").copy(), tells.reading()
    monkeypatch.setattr(tells, "logits", meanwhile)
    tells.draw(frozenset(kept))
    np.testing.assert_array_equal(y(tells, "subclasses"), expected[0])
    monkeypatch.undo()
    assert tells.reading() == expected[1]
