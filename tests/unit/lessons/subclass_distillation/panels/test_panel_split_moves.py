"""Split my class: the plane behind the toy, controls moved in a run, buttons, refusals."""

import base64
import io
import json

import numpy as np
import pytest
import torch
from helpers import (
    until,
    x,
    y,
)
from PIL import Image
from quick_subclass_panels import SEEDS, STEPS, QuickSplit

from kdutils.lessons.subclass_distillation.panels import scenes
from kdutils.lessons.subclass_distillation.panels.plane import SIDE, Plane
from kdutils.lessons.subclass_distillation.panels.split_my_class import (
    TINT,
    SplitMyClass,
)
from kdutils.networks import MLP, Population
from kdutils.objectives import subclass_teacher
from kdutils.plots.style import HIDDEN_COLOURS
from kdutils.training import Knobs, Recipe, Task, train

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.fixture
def endless_split() -> SplitMyClass:
    """Teachers that learn until they are stopped."""
    made = QuickSplit(seeds=SEEDS, steps=1_000_000, full_speed=True)
    yield made
    made.stop()


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
    assert pixels(panel)[..., 3].any()
    panel.begin()
    assert not pixels(panel)[..., 3].any() and not x(panel, "class line")
    panel.run()
    panel.reset()
    assert not pixels(panel)[..., 3].any() and not x(panel, "class line")


def test_digits_have_no_plane(split):
    split.run()
    assert not {"regions", "class line"} & {trace.uid for trace in split.chart.figure().data}


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


def test_the_words_stay_with_the_run_that_they_describe(split):
    split.run()
    said = split.reading()
    split.set(beta=2.0, subclasses=2)
    assert split.reading() == said and len(y(split, "usage")) == 10
    split.run()
    assert split.reading().startswith("s = 2, beta = 2,")


def test_other_data_is_refused(refuses):
    with refuses("data", "letters"):
        SplitMyClass(data="letters")
