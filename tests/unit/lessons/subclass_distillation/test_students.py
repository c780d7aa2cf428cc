"""The students of lesson 03: who learns from whom, who is paired with whom, and how their settings were chosen."""

from dataclasses import replace

import pytest
import torch

from kdutils.cohorts import Splits
from kdutils.datasets import grouped
from kdutils.lessons.subclass_distillation import choose as choosing
from kdutils.lessons.subclass_distillation.choose import choose
from kdutils.lessons.subclass_distillation.parameters import ARMS
from kdutils.lessons.subclass_distillation.students import (
    class_level_distillation,
    cohorts,
    head_sizes,
    penultimate_distillation,
    train_arms,
)
from kdutils.objectives import class_logits, distillation, kd_loss
from kdutils.training import Recipe

QUICK = Recipe(steps=8)


def test_every_arm_learns_from_its_own_teacher(lab, outputs, params):
    """Off by one among arms or seeds, and a student would learn from another's teacher."""
    train = lab.transfer(20)
    position = torch.arange(4)
    for students in cohorts(lab, outputs, ARMS, train, 8, params):
        m = len(students.task.seeds)
        _, message, labels = students.task.batch(position.expand(m, 4))
        for k, arm in enumerate(students.arms):
            for s in range(2):
                index = train[s, :4]
                assert torch.equal(labels[2 * k + s], lab.data.labels[index])
                if arm.teacher is None:
                    assert not message["logits"][2 * k + s].any()
                    continue
                what = "hidden" if arm.message == "features" else "logits"
                expected = outputs[arm.teacher][what][s, index]
                if arm.message == "classes" and expected.shape[-1] > 2:
                    expected = class_logits(expected, (5, 5))
                torch.testing.assert_close(message[what][2 * k + s], expected)
        knobs = students.knobs.read(m, torch.device("cpu"))
        assert knobs["alpha"].tolist() == [0.5 * (arm.teacher is not None) for arm in students.arms for _ in range(2)]
        assert knobs["temperature"].tolist() == [1.0 if arm.pseudo else 4.0 for arm in students.arms for _ in range(2)]


def test_students_of_one_seed_and_shape_start_alike_and_see_the_same_batches(lab, outputs, params):
    for students in cohorts(lab, outputs, ARMS, lab.transfer(20), 8, params):
        weights = students.population.parameters["logits.weight"]
        assert students.task.seeds == lab.seeds * len(students.arms)
        assert torch.equal(weights, weights[:2].repeat(len(students.arms), 1, 1))
        assert not torch.equal(weights[0], weights[1])
    heads = {arm.name: head_sizes(arm, lab, params) for arm in ARMS}
    wide = {"subclass", "subclass (entropy)", "no auxiliary loss", "hard labels, larger head", "two-class, larger head",
            "k-means teacher", "k-means labels", "oracle"}
    assert {name for name, sizes in heads.items() if sizes == (5, 5)} == wide
    assert {sizes for name, sizes in heads.items() if name not in wide} == {(1, 1)}


def test_hard_label_students_are_deaf_and_the_others_are_not(lab, outputs, params):
    other = {name: {what: value.flip(1) for what, value in said.items()} for name, said in outputs.items()}
    ends = [{arm.name: logits for arm, _, logits in train_arms(lab, voices, ARMS, lab.transfer(20), 8, params, QUICK)}
            for voices in (outputs, other)]
    assert list(ends[0]) != [] and set(ends[0]) == {arm.name for arm in ARMS}
    for name, first in ends[0].items():
        assert first.shape == (2, 597, 2)
        assert torch.equal(first, ends[1][name]) == name.startswith("hard labels"), name


def test_a_class_message_to_a_larger_head_is_plain_distillation_of_its_class_logits():
    random = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(3, 6, 10, generator=random), torch.randn(3, 6, 2, generator=random)
    labels, knobs = torch.randint(2, (3, 6), generator=random), {"alpha": 0.7, "temperature": 3.0}
    found = class_level_distillation((5, 5))({"logits": student}, {"logits": teacher}, labels, knobs)
    expected = distillation({"logits": class_logits(student, (5, 5))}, {"logits": teacher}, labels, knobs)
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, 0.7 * kd_loss(class_logits(student, (5, 5)), teacher, 3.0))


def test_the_penultimate_baseline_is_cross_entropy_and_a_learnt_map_of_features():
    random = torch.Generator().manual_seed(0)
    outputs, hidden = torch.randn(2, 4, 2 + 7, generator=random), torch.randn(2, 4, 7, generator=random)
    labels = torch.tensor([[0, 1, 1, 0], [1, 1, 0, 0]])
    found = penultimate_distillation((1, 1))({"logits": outputs}, {"hidden": hidden}, labels, {"beta": 3.0})
    for m in range(2):
        ce = torch.nn.functional.cross_entropy(outputs[m, :, :2], labels[m])
        mse = torch.nn.functional.mse_loss(outputs[m, :, 2:], hidden[m])
        assert float(found[m]) == pytest.approx(float(ce + 3 * mse), rel=1e-5)


def test_a_choice_of_settings_looks_at_no_test_image_and_no_seed_of_the_experiment(monkeypatch, params):
    looked = []
    real = choosing.train_arms

    def watched(lab, teachers, arms, train, *rest):
        looked.append((lab, train))
        return real(lab, teachers, arms, train, *rest)

    monkeypatch.setattr(choosing, "train_arms", watched)
    table = choose(replace(params, student_steps=2, teacher_steps=2), seeds=2)
    assert table["mean"].is_monotonic_decreasing and len(table) == 16 + 3 + 5
    whole = Splits.of(grouped("digits-2x5"), 2, 1000)
    for lab, train in looked:
        assert min(lab.seeds) > 100
        for seed in range(2):
            for part in (lab.test[seed], lab.pool[seed], train[seed]):
                assert not torch.isin(part, whole.test[seed]).any()
            assert not torch.isin(lab.test[seed], lab.pool[seed]).any()
