"""The click-through experiment of lesson 03: a world for each seed, who learns from whom, and what is measured."""

import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from kdutils.datasets import bayes_log_loss, clicks
from kdutils.errors import NotMeasuredError
from kdutils.lessons import catalog
from kdutils.lessons.subclass_distillation import clicks as experiment
from kdutils.lessons.subclass_distillation.clicks import (
    DEFAULT,
    Clicks,
    click_lab,
    prepare,
    run,
    steps_to_level,
    student_rows,
)
from kdutils.lessons.subclass_distillation.parameters import Arm
from kdutils.lessons.subclass_distillation.students import Terms, cohorts
from kdutils.lessons.subclass_distillation.teachers import subclass_teachers
from kdutils.results import Results
from kdutils.training import Recipe

SMALL = Clicks(seeds=2, rows=(100, 300), subclasses=(2, 3), beta=0.3, t_aux=0.5, teacher_steps=10, student_steps=10,
               every=5, seed=3)
QUICK = Recipe(steps=8)


@pytest.fixture(scope="module")
def small():
    return run(SMALL)


def test_every_seed_has_a_world_of_its_own():
    lab = click_lab(2, 3, rows=50, held_out=20)
    assert lab.own.shape == (2, 70) and lab.pool.shape == (2, 50) and lab.test.shape == (2, 20)
    assert sorted([*lab.pool[1].tolist(), *lab.test[1].tolist()]) == list(range(70, 140))
    for i, seed in enumerate((3, 4)):
        world = clicks(seed, 70, world=seed)
        for name in ("categories", "labels", "hidden", "probability"):
            assert torch.equal(getattr(lab.data, name)[lab.own[i]], getattr(world, name))


def test_a_world_is_scaled_by_its_own_training_rows():
    """Catches numbers scaled by those of other worlds, so that seeds measured apart are other runs, or by test rows."""
    together, alone = click_lab(2, 3, rows=50, held_out=20), click_lab(1, 4, rows=50, held_out=20)
    assert torch.equal(together.data.inputs[together.own[1]], alone.data.inputs)
    world = clicks(4, 70, world=4).numeric.double().numpy()
    scaled = StandardScaler().fit(world[20:]).transform(world)
    np.testing.assert_allclose(alone.data.inputs[:, 0, 0, :5], scaled, atol=1e-6)


def test_a_student_learns_from_the_teacher_of_its_own_world():
    lab = click_lab(2, 3, rows=60, held_out=20)
    shared = subclass_teachers(lab, lab.pool, (2, 2), [(0.3, 0.5)], recipe=QUICK)
    assert shared.shape == (1, 1, 160, 4)
    (students,) = cohorts(lab, {"subclass": {"logits": shared[0]}}, [Arm("subclass", "subclass"), Arm("hard labels")],
                          lab.pool[:, :30], 8, Terms(2, 4.0, 0.5))
    _, message, labels = students.task.batch(torch.arange(5).expand(4, 5))
    for seed in range(2):
        index = lab.pool[seed, :5]
        assert torch.equal(message["logits"][seed], shared[0, 0, index])
        assert not message["logits"][2 + seed].any()
        assert torch.equal(labels[seed], lab.data.labels[index])
    # Each row was answered by the teacher of its own world: in a world alone it gives the same.
    alone = replace(lab, data=lab.data.rows(lab.own[1]), seeds=(4,), pool=lab.pool[1:] - 80, test=lab.test[1:] - 80,
                    own=lab.own[:1])
    alone.data.__dict__["inputs"] = lab.data.inputs[lab.own[1]]   # standardised with the other world, as above
    torch.testing.assert_close(subclass_teachers(alone, alone.pool, (2, 2), [(0.3, 0.5)], recipe=QUICK)[0, 0],
                               shared[0, 0, lab.own[1]], atol=1e-4, rtol=1e-4)


def test_students_of_clicks_see_as_many_clicks_as_there_are_and_no_test_row(monkeypatch):
    """A class-balanced transfer set would change the click rate, and with it every log-loss."""
    rates = []
    real = experiment.train_arms

    def watched(lab, teachers, arms, train, *rest):
        rates.append(float(lab.data.labels[train].float().mean()))
        for index, pool in zip(train, lab.pool, strict=True):
            assert torch.isin(index, pool).all()
        return real(lab, teachers, arms, train, *rest)

    monkeypatch.setattr(experiment, "train_arms", watched)
    run(SMALL)
    assert rates and max(rates) < 0.25


def test_the_bayes_log_loss_is_that_of_the_rows_the_students_are_measured_on(small):
    rows = small.where(part="click teachers", method="Bayes").set_index("seed")["log_loss"]
    logs = prepare(SMALL)
    for seed, test in zip(logs.seeds, logs.test, strict=True):
        assert rows[seed] == pytest.approx(bayes_log_loss(logs.data.rows(test)), abs=1e-6)


def test_log_loss_and_auc_of_students_agree_with_numpy_and_scikit_learn():
    lab = click_lab(2, 3, rows=60, held_out=200)
    logits = torch.randn(2, 200, 2, generator=torch.Generator().manual_seed(0))
    rows = student_rows(lab, Arm("made up"), logits)
    for seed in range(2):
        y = lab.data.labels[lab.test[seed]].numpy()
        p = torch.softmax(logits[seed].double(), -1).numpy()
        assert rows[seed]["log_loss"] == pytest.approx(-np.log(p[np.arange(200), y]).mean(), rel=1e-5)
        assert rows[seed]["auc"] == pytest.approx(100 * roc_auc_score(y, p[:, 1]))
        assert rows[seed]["seed"] == 3 + seed


def test_steps_to_a_level():
    def curve(method, losses):
        return [{"method": method, "seed": seed, "step": 20 * (i + 1), "log_loss": loss}
                for seed, row in enumerate(losses) for i, loss in enumerate(row)]

    results = Results(pd.DataFrame(curve("hard", [[0.5, 0.3, 0.4], [0.5, 0.4, 0.35]])
                                   + curve("soft", [[0.4, 0.3, 0.2], [0.6, 0.5, 0.4]])).sample(frac=1, random_state=0))
    found = steps_to_level(results, {"method": "soft"}, {"method": "hard"})
    assert found.tolist() == [40, 80], "the best of hard labels, not its last; never there counts one interval more"
    assert steps_to_level(results, {"method": "hard"}, {"method": "hard"}).tolist() == [40, 60]
    with pytest.raises(NotMeasuredError, match="no run"):
        steps_to_level(results, {"method": "other"}, {"method": "hard"})


def test_every_setting_is_measured_once_per_world(small):
    names = ["part", "method", "s", "transfer", "step"]
    settings = small.table.groupby(names, dropna=False).seed.apply(lambda seeds: tuple(sorted(seeds)))
    assert (settings == (3, 4)).all()
    assert settings.groupby("part").size().to_dict() == {"click teachers": 2 + 2 + 1, "clicks": 2 * 2 * 7}
    assert small.table.auc.dropna().between(0, 100).all() and (small.table.log_loss > 0).all()


def test_the_same_parameters_give_the_same_numbers(small):
    assert run(SMALL).table.equals(small.table)


def test_a_log_with_too_few_clicks_to_divide_is_refused_before_any_training(refuses):
    """Catches hours of teachers and students that are lost when a log has one click."""
    with refuses("every class needs at least 3 training examples", "class 1 has"):
        prepare(replace(SMALL, rows=(10,)))


@pytest.mark.parametrize("wrong, words", [
    ({"seeds": 0}, ("seeds", "0")), ({"subclasses": (30,)}, ("subclasses", "30")), ({"beta": -0.1}, ("beta", "-0.1")),
    ({"rows": (1,)}, ("rows", "1")), ({"rows": ()}, ("rows", "at least 1", "0")), ({"every": 0}, ("every", "0")),
    ({"subclasses": ()}, ("subclasses", "at least 1", "0")), ({"temperature": 0}, ("temperature", "> 0", "0")),
    ({"two_class_temperature": 0}, ("two_class_temperature", "> 0", "0")), ({"alpha": 2}, ("alpha", "2")),
    ({"rows": (50, 50)}, ("rows", "different", "50 twice"))])
def test_impossible_parameters_are_refused_at_once(wrong, words, refuses):
    with refuses(*words):
        Clicks(**wrong)


def test_the_recorded_results_are_those_of_the_default_settings():
    recorded = catalog.recorded("subclass_distillation.clicks")
    assert recorded.complete and dict(recorded.params) == json.loads(json.dumps(asdict(DEFAULT)))
