"""Cohorts: who is paired with whom, what an arm learns, and teachers that are trained once."""

from dataclasses import replace

import pytest
import torch
from sklearn.datasets import load_digits

from kdutils import cohorts as common
from kdutils.cohorts import HARD, Setting, Splits, cohort, distilled, teachers
from kdutils.lessons.beyond_compression.race import teach
from kdutils.lessons.extracurricular_learning.teachers import trained
from kdutils.lessons.subclass_distillation.teachers import label_teachers, subclass_teachers
from kdutils.lessons.tolerant_teachers.experiment import ancestors
from kdutils.lessons.tolerant_teachers.parameters import STRICT, tolerant
from kdutils.networks import MLP, ConvNet, Population
from kdutils.objectives import hard_labels
from kdutils.training import Recipe, Task, fit

QUICK = Recipe(steps=20)


@pytest.fixture(scope="module")
def lab():
    return Splits.open("digits", seeds=3, seed=5)


@pytest.fixture(scope="module")
def logits(lab):
    """Quick teachers: one (S, N, 10) stack of logits."""
    return teachers(lab, lab.pool, recipe=QUICK)


# The laboratory ---------------------------------------------------------------------------------------------------

def test_each_seed_has_its_split_and_no_test_image_is_trained_on(lab):
    assert lab.seeds == (5, 6, 7) and lab.pool.shape == (3, 1200) and lab.test.shape == (3, 597)
    for pool, test, transfer in zip(lab.pool, lab.test, lab.transfer(40), strict=True):
        assert not set(pool.tolist()) & set(test.tolist()) and set(transfer.tolist()) <= set(pool.tolist())
    assert torch.equal(Splits.open("digits", seeds=2, seed=6).test, lab.test[1:]), "a seed's split is its own"


def test_accuracy_is_measured_on_the_test_images_of_the_members_seed(lab):
    target = torch.from_numpy(load_digits().target)
    perfect = torch.nn.functional.one_hot(target, 10).float().repeat(6, 1, 1)
    for m in range(6):  # members 0-2 are setting 0 with seeds 0-2; ruin each one's own test images by another share
        perfect[m, lab.test[m % 3][: 100 * m]] = -perfect[m, lab.test[m % 3][: 100 * m]]
        perfect[m, lab.pool[m % 3]] = 0
    assert lab.accuracy(perfect).tolist() == pytest.approx([100 * (597 - 100 * m) / 597 for m in range(6)], abs=1e-3)


def test_a_cohorts_arms_share_split_start_order_and_teacher(lab, logits):
    students = cohort(lab, logits, lab.transfer(40), [HARD, distilled(1), distilled(8)])
    assert len(students.population) == 9 and students.task.seeds == (5, 6, 7) * 3
    assert students.task.teacher_of.tolist() == [0, 1, 2] * 3
    for values in (*students.population.parameters.values(), students.task.train):
        assert torch.equal(values[:3], values[3:6]) and torch.equal(values[:3], values[6:])
    assert students.knobs["alpha"] == (0, 0, 0, 1, 1, 1, 1, 1, 1)
    assert students.knobs["temperature"][3:] == (1, 1, 1, 8, 8, 8)


def test_the_hard_label_arm_is_ordinary_training(lab, logits):
    students = cohort(lab, logits, lab.transfer(40), [distilled(4), HARD])
    for _ in students.train(QUICK):
        pass
    alone = Population(common.STUDENT, lab.seeds)
    fit(alone, Task(lab.data.inputs, lab.data.labels, lab.transfer(40), lab.seeds), hard_labels, recipe=QUICK)
    for name, values in students.population.parameters.items():
        torch.testing.assert_close(values[3:], alone.parameters[name], atol=1e-4, rtol=1e-4)


def test_an_arm_does_not_depend_on_the_others(lab, logits):
    def trained(*settings):
        students = cohort(lab, logits, lab.transfer(40), settings)
        for _ in students.train(QUICK):
            pass
        return students.population.predict(lab.data.inputs)

    together = trained(HARD, distilled(1), Setting("both", 4.0, alpha=0.5))
    for arm, setting in enumerate((HARD, distilled(1), Setting("both", 4.0, alpha=0.5))):
        torch.testing.assert_close(together[3 * arm:3 * arm + 3], trained(setting), atol=1e-4, rtol=1e-4)


def test_rows_say_of_each_run_what_it_was(lab, logits):
    students = cohort(lab, logits, lab.transfer(40), [HARD, distilled(4)])
    for _ in students.train(QUICK):
        pass
    rows = students.rows({"accuracy": students.accuracy()}, transfer=40)
    assert [(row["method"], row["temperature"], row["seed"]) for row in rows] == [
        ("hard labels", None, 5), ("hard labels", None, 6), ("hard labels", None, 7),
        ("distilled", 4.0, 5), ("distilled", 4.0, 6), ("distilled", 4.0, 7)]
    target = torch.from_numpy(load_digits().target)
    for m, row in enumerate(rows):
        test = lab.test[m % 3]
        right = students.population.member(m)(lab.data.inputs[test]).argmax(-1) == target[test]
        assert row["accuracy"] == pytest.approx(100 * float(right.float().mean())) and row["transfer"] == 40
    assert students.accuracy().shape == (2, 3)
    assert students.accuracy().flatten().tolist() == pytest.approx(
        lab.accuracy(students.population.predict(lab.data.inputs)).tolist())


# Teachers ---------------------------------------------------------------------------------------------------------


def test_a_teachers_logits_are_those_of_the_network_trained_alone(lab, logits):
    alone = Population(common.TEACHER, [6])
    fit(alone, Task(lab.data.inputs, lab.data.labels, lab.pool[1:2], [6]), hard_labels, recipe=QUICK)
    torch.testing.assert_close(logits[1], alone.predict(lab.data.inputs)[0], atol=1e-3, rtol=1e-3)


# Every cached training: a call, and what must make another one of it.
ONCE, TWICE = Recipe(steps=1), Recipe(steps=2)
LABELS = torch.zeros(1797, dtype=torch.int64)
TOLD = (torch.rand(2, 12, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(12).repeat(2, 1) % 10)
TRAININGS = {
    "teachers": (lambda lab, train, **k: teachers(lab, train, **{"recipe": ONCE} | k), [
        {"recipe": TWICE}, {"spec": MLP(64, (5,), 10)}]),
    "ancestors": (lambda lab, train, **k: ancestors(
        lab, train, **{"chosen": [STRICT, tolerant(0.5)], "recipe": ONCE} | k), [
        {"recipe": TWICE}, {"spec": MLP(64, (5,), 10)}, {"chosen": [STRICT, tolerant(0.6)]},
        {"chosen": [STRICT, tolerant(0.5, 4)]}, {"chosen": [tolerant(0.5), STRICT]},
        {"labels": LABELS.expand(2, -1)}]),
    "subclass": (lambda lab, train, **k: subclass_teachers(
        lab, train, **{"sizes": (2,) * 10, "values": [(0.1, 1.0)], "recipe": ONCE} | k), [
        {"recipe": TWICE}, {"sizes": (3, 1) + (2,) * 8}, {"values": [(0.2, 1.0)]}, {"values": [(0.1, 2.0)]},
        {"form": "entropy"}]),
    "told": (lambda lab, train, **k: label_teachers(
        lab, train, **{"labels": lab.data.labels, "classes": 10, "recipe": ONCE} | k)[1], [
        {"recipe": TWICE}, {"labels": LABELS}, {"classes": 11}]),
    "nine": (lambda lab, train, **k: teach(lab, train, **{"recipe": ONCE} | k).outputs["logits"], [
        {"recipe": TWICE}, {"spec": ConvNet((1, 8, 8), (3, 4))}, {"labels": LABELS.expand(2, -1)}]),
    "ensembles": (lambda lab, train, **k: trained(*TOLD, **{
        "seeds": lab.seeds, "spec": MLP(64, (5,), 10), "recipe": ONCE, "objective": hard_labels} | k
    ).outputs(TOLD[0]), [
        {"recipe": TWICE}, {"spec": MLP(64, (6,), 10)}, {"seeds": (7, 8)}, {"alpha": 0.5}]),
}


@pytest.mark.parametrize("name", TRAININGS)
def test_the_same_is_trained_once_and_whatever_decides_it_is_trained_again(name, monkeypatch, tmp_path):
    """Catches an argument that reaches the training and not its key, for which another's teacher would be taken."""
    monkeypatch.setenv("KDUTILS_CACHE", str(tmp_path))
    fits = []
    monkeypatch.setattr(common, "fit", lambda *a, **k: fits.append(1) or fit(*a, **k))
    call, others = TRAININGS[name]
    lab = Splits.open("digits", seeds=2)
    train = lab.transfer(30)
    first = call(lab, train)
    assert len(fits) == 1
    assert torch.equal(call(lab, train), first) and len(fits) == 1, "from the cache, bit for bit"
    for other in others:
        call(lab, train, **other)
    if name != "ensembles":     # which are told their inputs
        call(lab, train.flip(1))
        call(Splits.open("digits", seeds=2, seed=1), train)
        call(replace(lab, data=replace(lab.data, labels=LABELS)), train)
        others = [*others, *"fsd"]
    assert len(fits) == 1 + len(others)
