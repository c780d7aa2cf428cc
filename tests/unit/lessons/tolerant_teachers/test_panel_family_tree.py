"""The family tree against the experiment."""

import threading

import numpy as np
import pytest
from helpers import until, x, y
from quick_tolerance_lab import KINDS, TREE

from kdutils.datasets import take
from kdutils.lessons.tolerant_teachers.experiment import lineages
from kdutils.lessons.tolerant_teachers.panels.family_tree import FamilyTree
from kdutils.lessons.tolerant_teachers.parameters import kinds
from kdutils.training import Recipe

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.fixture(scope="module")
def grown() -> FamilyTree:
    panel = FamilyTree(**TREE)
    panel.run()
    return panel


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_tree_is_that_of_the_experiment(noise):
    panel = FamilyTree(noise=noise, full_speed=True, **TREE)
    panel.train()
    assert panel.wait(60) and panel.status.startswith("Done: 2 generations")
    lab = panel.lab
    test = lab.test.repeat(5, 1)
    grown = lineages(lab, lab.transfer(60), kinds(), 2, recipe=Recipe(steps=20),
                     labels=panel.labels if noise else None)
    for step, population in enumerate(grown):
        logits = population.predict(take(lab.data.inputs, test))
        right = (logits.argmax(-1) == lab.data.labels[test]).float().mean(-1).view(5, 2).mean(-1)
        secondary = logits.softmax(-1).sort(-1, descending=True).values[..., 1:5].sum(-1).mean(-1).view(5, 2).mean(-1)
        for place, name in enumerate(KINDS):
            assert y(panel, name)[step] == pytest.approx(100 * right[place].item(), abs=0.01)
            assert y(panel, f"{name} secondary")[step] == pytest.approx(100 * secondary[place].item(), abs=0.01)
            assert abs(x(panel, name)[step] - step) < 0.25
    wrong = (panel.labels != lab.data.labels).float().mean()
    assert wrong == pytest.approx(noise, abs=0.001)
    assert ("30% wrong labels" in panel.reading()) == bool(noise)


def test_a_member_is_chosen_by_the_controls(grown):
    for kind, generation, digit in (("strict", 0, 3), ("smoothed", 2, 8), ("very tolerant", 1, 0)):
        grown.set(kind=kind, generation=generation, digit=digit)
        place, example = KINDS.index(kind), grown.examples[digit]
        assert example.index in grown.lab.test[0]
        p = grown.tree[generation].of_digits[place, digit].softmax(-1).numpy()
        np.testing.assert_allclose(y(grown, "member"), p, rtol=1e-5)
        first = grown.tree[0].of_digits[place, digit].softmax(-1).numpy()
        np.testing.assert_allclose(y(grown, "ancestor").reshape(10, 3)[:, 0], first, rtol=1e-5)
        np.testing.assert_array_equal(grown.chart.points("image")["z"], example.image.ravel())
        assert x(grown, "chosen 1") == [x(grown, kind)[generation]]
        assert y(grown, "chosen 1")[0] == pytest.approx(y(grown, kind)[generation])
        said = grown.reading()
        assert f"this {digit} " in said and kind in said
        assert said.startswith("The ancestor" if not generation else f"Generation {generation}")
        gain = grown.tree[2].accuracy[place] - grown.tree[0].accuracy[place]
        assert f"changes by {gain.mean():+.1f} [" in said and ("against the strict" in said) == (kind != "strict")


def test_a_generation_that_is_not_there_is_not_made_up(grown):
    grown.set(kind="tolerant", generation=5)
    assert grown.chosen == 2 and "(generation 5 is not there yet)" in grown.reading()


def test_the_tree_grows_step_by_step_and_what_is_there_stays():
    panel = FamilyTree(**TREE)
    assert panel.reading().startswith("Press Train: 5 kinds of ancestors, 2 of each")
    panel.step()
    assert until(lambda: len(panel.tree) == 1 and panel.state == "paused")
    assert until(lambda: "at generation 0 of 2" in panel.status) and "changes by" not in panel.reading()
    panel.set(kind="smoothed", digit=7)
    assert until(lambda: "smoothed" in panel.reading() and "this 7" in panel.reading())
    panel.step()
    assert until(lambda: len(panel.tree) == 2)
    assert panel.stop() and panel.state == "stopped" and len(y(panel, "strict")) == 2
    panel.reset()
    assert until(lambda: panel.state == "idle") and not panel.tree and not len(y(panel, "strict"))


def test_a_member_is_chosen_at_once_while_a_generation_learns(grown):
    go_on = threading.Event()

    class Slow(FamilyTree):
        def start(self):
            yield from grown.tree[:2]
            assert go_on.wait(60), "nobody let it go on"
            yield grown.tree[2]

    panel = Slow(full_speed=True, **TREE)
    panel.train()
    assert until(lambda: len(panel.tree) == 2)
    panel.set(kind="smoothed", generation=1)
    assert panel.reading().startswith("Generation 1 of the smoothed lineage")
    assert x(panel, "chosen 1") == [x(panel, "smoothed")[1]] and panel.state == "training"
    go_on.set()
    assert panel.wait(60) and len(panel.tree) == 3


def test_more_noise_than_labels_is_refused(refuses):
    with refuses("noise", "1.5"):
        FamilyTree(noise=1.5, **TREE)


def test_presets_of_the_tree_have_the_name_of_a_kind():
    assert all(values["kind"] in name.lower() for name, values in FamilyTree.presets.items())
