"""The experiment of notebook 03: who hears what, who is paired with whom, what is hidden, and the verdicts' logic."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import normalized_mutual_info_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from kdutils import claims
from kdutils.claims import MISSING, NOISY, NOT_SEEN, OPPOSITE, SEEN
from kdutils.cohorts import Splits
from kdutils.datasets import bayes_log_loss, clicks, grouped, load, superclasses
from kdutils.errors import NotMeasuredError
from kdutils.lessons import catalog
from kdutils.lessons.subclass_distillation import experiment as subclass_distillation
from kdutils.lessons.subclass_distillation import figures
from kdutils.lessons.subclass_distillation.claims import CLAIMS
from kdutils.lessons.subclass_distillation.clicks import click_lab, steps_to_level
from kdutils.lessons.subclass_distillation.experiment import (
    ARMS,
    Arm,
    SubclassDistillation,
    choose,
    class_level_distillation,
    clusters,
    enough_of_each,
    fields,
    hidden_blocks,
    label_teachers,
    penultimate_distillation,
    race,
    run,
    subclass_teachers,
    teachers,
)
from kdutils.objectives import class_logits, distillation, kd_loss
from kdutils.results import Results
from kdutils.training import Recipe

SMALL = SubclassDistillation(
    seeds=2, betas=(0.3,), t_auxs=(0.5,), beta=0.3, entropy_betas=(1.0,), sizes=(2,), transfer_sizes=(20, 40),
    narrow_images=20, speed_images=(30,), speed_every=5, teacher_steps=10, student_steps=10, click_rows=(100, 300),
    click_subclasses=(2, 3), click_teacher_steps=10, click_steps=10, seed=3)
QUICK = Recipe(steps=8)


@pytest.fixture(scope="module")
def lab():
    return Splits.of(grouped("digits-2x5"), seeds=2, seed=3)


@pytest.fixture(scope="module")
def small():
    said = []
    return run(SMALL, said.append), said


@pytest.fixture(scope="module")
def told(lab):
    return teachers(lab, SMALL)


# Teachers -----------------------------------------------------------------------------------------------------------

def test_a_teacher_is_the_same_alone_and_beside_others(lab):
    """Members must not mix, and the cache must tell them apart."""
    both = subclass_teachers(lab, lab.pool, (5, 5), [(0.0, 0.5), (0.3, 0.5)], recipe=QUICK)
    for i, value in enumerate([(0.0, 0.5), (0.3, 0.5)]):
        alone = subclass_teachers(lab, lab.pool, (5, 5), [value], recipe=QUICK)[0]
        torch.testing.assert_close(alone, both[i], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(both[0], both[1], atol=1e-2)
    assert not torch.allclose(both[1, 0], both[1, 1], atol=1e-2), "seeds have starts of their own"


def test_teachers_are_paid_for_once_and_only_by_their_own_recipe(lab, monkeypatch):
    def forbidden(*_, **__):
        raise AssertionError("trained again")

    first = subclass_teachers(lab, lab.pool, (2, 2), [(0.3, 0.5)], recipe=QUICK)
    monkeypatch.setattr(subclass_distillation, "fit", forbidden)
    assert torch.equal(subclass_teachers(lab, lab.pool, (2, 2), [(0.3, 0.5)], recipe=QUICK), first)
    for sizes, values, more in (((2, 2), [(0.3, 0.4)], {}), ((1, 3), [(0.3, 0.5)], {}),
                                ((2, 2), [(0.3, 0.5)], {"form": "entropy"}),
                                ((2, 2), [(0.3, 0.5)], {"recipe": Recipe(steps=9)})):
        with pytest.raises(AssertionError, match="trained again"):
            subclass_teachers(lab, lab.pool, sizes, values, **{"recipe": QUICK} | more)


def test_hidden_classes_reach_the_oracle_alone(lab, told):
    """Other hidden digits change the oracle and nobody else: no other teacher may peep."""
    shuffled = lab.data.hidden[torch.randperm(len(lab.data), generator=torch.Generator().manual_seed(0))]
    # Digits of the right half, but the wrong ones: classes stay, what is inside them does not.
    wrong = torch.where(lab.data.labels == 0, shuffled % 5, shuffled % 5 + 5)
    other = teachers(replace(lab, data=replace(lab.data, hidden=wrong)), SMALL)
    for name, outputs in told.items():
        same = torch.equal(outputs["logits"], other[name]["logits"])
        assert same == (name != "oracle"), name


def test_hidden_classes_of_a_class_stand_together(lab):
    data = replace(lab.data, labels=torch.tensor([1, 0, 1, 0, 1, 0]), hidden=torch.tensor([0, 9, 7, 4, 0, 9]),
                   images=lab.data.images[:6])
    blocks, sizes = hidden_blocks(replace(lab, data=data))
    assert blocks.tolist() == [2, 1, 3, 0, 2, 1] and sizes == (2, 2)
    assert hidden_blocks(lab)[1] == (5, 5)


def test_k_means_divides_each_class_by_its_own_pixels(lab):
    found = clusters(lab, lab.pool, (3, 4))
    assert found.shape == (2, 1797) and torch.equal(found, clusters(lab, lab.pool, (3, 4)))
    x, labels = lab.data.inputs.flatten(1), lab.data.labels
    for seed in range(2):
        pool, test = lab.pool[seed], lab.test[seed]
        assert torch.equal((found[seed, pool] >= 3).long(), labels[pool]), "training images keep to their class"
        centres = torch.stack([x[pool][found[seed, pool] == k].mean(0) for k in range(7)])
        nearest = torch.cdist(x[test], centres).argmin(-1)
        assert (nearest == found[seed, test]).float().mean() > 0.97, "up to k-means' own tolerance"
        assert ((found[seed, test] >= 3).long() != labels[test]).any(), "a test image's class is not given away"


def test_k_means_never_sees_a_test_image(lab):
    """Catches centres of all images of a class."""
    images = lab.data.images.clone()
    images[lab.test[0]] = images[lab.test[0]].flip(-1)
    other = replace(lab, data=replace(lab.data, images=images), seeds=lab.seeds[:1], pool=lab.pool[:1])
    assert torch.equal(clusters(other, other.pool, (3, 4))[0, lab.pool[0]],
                       clusters(lab, lab.pool, (3, 4))[0, lab.pool[0]])


def test_features_are_standardised_on_what_the_teacher_saw(lab, told):
    hidden = told["two-class"]["hidden"]
    seen = hidden.gather(1, lab.pool[..., None].expand(-1, -1, 64))
    alive = seen.std(1, correction=0) > 0
    torch.testing.assert_close(seen.mean(1), torch.zeros(2, 64), atol=1e-4, rtol=0)
    torch.testing.assert_close(seen.std(1, correction=0)[alive], torch.ones(int(alive.sum())), atol=1e-3, rtol=0)
    assert hidden.isfinite().all()


@pytest.mark.parametrize("needed, words", [(1, ("class 1", "0")), (3, ("3", "class 1", "0"))])
def test_a_class_without_examples_is_refused(needed, words, refuses):
    with refuses(*words):
        enough_of_each(torch.tensor([[0, 0, 0, 2, 2, 2]]), 3, needed)
    enough_of_each(torch.tensor([[0, 1, 2], [2, 1, 0]]), 3)


# Students -----------------------------------------------------------------------------------------------------------

def test_every_arm_hears_its_own_teacher(lab, told):
    """Off by one among arms or seeds, and a student would hear another's teacher."""
    train = lab.transfer(20)
    position = torch.arange(4)
    for field in fields(lab, told, ARMS, train, 8, SMALL):
        m = len(field.task.seeds)
        _, message, labels = field.task.batch(position.expand(m, 4))
        for k, arm in enumerate(field.arms):
            for s in range(2):
                index = train[s, :4]
                assert torch.equal(labels[2 * k + s], lab.data.labels[index])
                if arm.teacher is None:
                    assert not message["logits"][2 * k + s].any()
                    continue
                what = "hidden" if arm.message == "features" else "logits"
                expected = told[arm.teacher][what][s, index]
                if arm.message == "classes" and expected.shape[-1] > 2:
                    expected = class_logits(expected, (5, 5))
                torch.testing.assert_close(message[what][2 * k + s], expected)
        knobs = field.knobs.read(m, torch.device("cpu"))
        assert knobs["alpha"].tolist() == [0.5 * (arm.teacher is not None) for arm in field.arms for _ in range(2)]
        assert knobs["temperature"].tolist() == [1.0 if arm.pseudo else 4.0 for arm in field.arms for _ in range(2)]


def test_students_of_one_seed_and_shape_start_alike_and_see_the_same_batches(lab, told):
    for field in fields(lab, told, ARMS, lab.transfer(20), 8, SMALL):
        weights = field.population.parameters["logits.weight"]
        assert field.task.seeds == lab.seeds * len(field.arms)
        assert torch.equal(weights, weights[:2].repeat(len(field.arms), 1, 1))
        assert not torch.equal(weights[0], weights[1])
    heads = {arm.name: field.sizes for field in fields(lab, told, ARMS, lab.transfer(20), 8, SMALL)
             for arm in field.arms}
    wide = {"subclass", "subclass (entropy)", "no auxiliary loss", "hard labels, larger head", "two-class, larger head",
            "k-means teacher", "k-means labels", "oracle"}
    assert {name for name, sizes in heads.items() if sizes == (5, 5)} == wide
    assert {sizes for name, sizes in heads.items() if name not in wide} == {(1, 1)}


def test_hard_label_students_are_deaf_and_the_others_are_not(lab, told):
    other = {name: {what: value.flip(1) for what, value in outputs.items()} for name, outputs in told.items()}
    ends = [{arm.name: logits for arm, _, logits in race(lab, voices, ARMS, lab.transfer(20), 8, SMALL, QUICK)}
            for voices in (told, other)]
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


def test_a_choice_of_settings_looks_at_no_test_image_and_no_seed_of_the_experiment(monkeypatch):
    looked = []
    real = subclass_distillation.race

    def watched(lab, told, arms, train, *rest):
        looked.append((lab, train))
        return real(lab, told, arms, train, *rest)

    monkeypatch.setattr(subclass_distillation, "race", watched)
    table = choose(replace(SMALL, student_steps=2, teacher_steps=2), seeds=2)
    assert table["mean"].is_monotonic_decreasing and len(table) == 16 + 3 + 5
    whole = Splits.of(grouped("digits-2x5"), 2, 1000)
    for lab, train in looked:
        assert min(lab.seeds) > 100
        for seed in range(2):
            for part in (lab.test[seed], lab.pool[seed], train[seed]):
                assert not torch.isin(part, whole.test[seed]).any()
            assert not torch.isin(lab.test[seed], lab.pool[seed]).any()


# Clicks -------------------------------------------------------------------------------------------------------------

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


def test_a_student_hears_the_teacher_of_its_own_world():
    lab = click_lab(2, 3, rows=60, held_out=20)
    shared = subclass_teachers(lab, lab.pool, (2, 2), [(0.3, 0.5)], recipe=QUICK)
    assert shared.shape == (1, 1, 160, 4)
    (field,) = fields(lab, {"subclass": {"logits": shared[0]}}, [Arm("subclass", "subclass"), Arm("hard labels")],
                      lab.pool[:, :30], 8, replace(SMALL, subclasses=2))
    _, message, labels = field.task.batch(torch.arange(5).expand(4, 5))
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
    real = subclass_distillation.race

    def watched(lab, told, arms, train, *rest):
        rates.append(float(lab.data.labels[train].float().mean()))
        for index, pool in zip(train, lab.pool, strict=True):
            assert torch.isin(index, pool).all()
        return real(lab, told, arms, train, *rest)

    monkeypatch.setattr(subclass_distillation, "race", watched)
    list(subclass_distillation._click_rows(subclass_distillation.prepare(SMALL)[1], SMALL))
    assert rates and max(rates) < 0.25


def test_the_bayes_log_loss_is_that_of_the_rows_the_students_are_measured_on(small):
    rows = small[0].where(part="click teachers", method="Bayes").set_index("seed")["log_loss"]
    logs = subclass_distillation.prepare(SMALL)[1]
    for seed, test in zip(logs.seeds, logs.test, strict=True):
        assert rows[seed] == pytest.approx(bayes_log_loss(logs.data.rows(test)), abs=1e-6)


def test_log_loss_and_auc_of_students_agree_with_numpy_and_scikit_learn():
    lab = click_lab(2, 3, rows=60, held_out=200)
    logits = torch.randn(2, 200, 2, generator=torch.Generator().manual_seed(0))
    rows = subclass_distillation._measured(lab, logits)
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


# The table ----------------------------------------------------------------------------------------------------------

def test_every_setting_is_measured_once_per_seed(small):
    table = small[0].table
    names = ["part", "method", "beta", "t_aux", "s", "transfer", "width", "step"]
    settings = table.groupby(names, dropna=False).seed.apply(lambda seeds: tuple(sorted(seeds)))
    assert (settings == (3, 4)).all()
    assert settings.groupby("part").size().to_dict() == {
        "discovery": 2 + 1 + 1 + 2 + 2, "few": 3 * 12, "speed": 5 * 2, "click teachers": 2 + 2 + 1,
        "clicks": 2 * 2 * 7}
    for metric in ("accuracy", "hungarian", "purity", "nmi", "auc"):
        assert table[metric].dropna().between(0, 100).all()
    assert table.used.dropna().between(1, 10).all()


def test_what_is_measured_of_a_teacher_agrees_with_a_count_by_hand(small, lab):
    logits = subclass_teachers(lab, lab.pool, (5, 5), [(0.0, 0.5), (0.3, 0.5)],
                     recipe=Recipe(10, batch=128, lr=5e-3))[1]
    for i, seed in enumerate(lab.seeds):
        z, digits = logits[i, lab.test[i]], lab.data.hidden[lab.test[i]]
        (row,) = small[0].where(part="discovery", method="contrastive", s=5, seed=seed).to_dict("records")
        found = z.argmax(-1)
        p = z.softmax(-1).unflatten(-1, (2, 5)).sum(-1)
        right = (p.argmax(-1) == (digits >= 5)).float().mean()
        assert row["accuracy"] == pytest.approx(100 * float(right), abs=1e-4), "by the class's sum, not the argmax"
        assert row["nmi"] == pytest.approx(100 * normalized_mutual_info_score(digits, found))
        assert row["used"] == sum(int((found == k).sum()) >= 5.97 for k in range(10))


def test_teachers_are_measured_on_test_images_only(lab):
    """Catches subclasses that are counted over the training images, or over all."""
    logits = torch.zeros(2, len(lab.data), 10)
    logits[..., 0] = 1
    for i, test in enumerate(lab.test):
        logits[i, test] = torch.nn.functional.one_hot(lab.data.hidden[test], 10).float()
    for row in subclass_distillation._discovered(lab, logits, (5, 5), method="made up"):
        assert [row[name] for name in ("used", "hungarian", "purity", "nmi", "ari", "accuracy")] == pytest.approx(
            [10, 100, 100, 100, 100, 100])


def test_the_oracle_finds_the_digits_and_two_outputs_find_two_classes():
    """Of even and odd digits, whose subclasses do not stand in the order of the digits."""
    enough = replace(SMALL, seeds=1, teacher_steps=150)
    data = superclasses(load("digits"), {"even": range(0, 10, 2), "odd": range(1, 10, 2)})
    lab = Splits.of(data, 1, 3)
    told = teachers(lab, enough)
    rows = pd.DataFrame(subclass_distillation._reference_rows(lab, told)).set_index("method")
    assert rows.hungarian["oracle"] > 85 and rows.used["oracle"] == 10
    assert rows.accuracy["oracle"] > 85, "its outputs are blocked by class"
    assert rows.hungarian["two-class"] < 25 and rows.used["two-class"] == 2


def test_the_run_says_what_it_does_and_comes_back_whole_from_a_file(small, tmp_path):
    results, said = small
    assert "2 teachers" in said[0] and "clicks of 2 worlds" in said[-1] and len(said) == 8
    results.save(tmp_path / "runs.json")
    again = Results.load(tmp_path / "runs.json")
    assert again.params == json.loads(json.dumps(results.params)) and again.complete
    before, after = (claims.table(one, CLAIMS) for one in (results, again))
    assert before["part verdict"].tolist() == after["part verdict"].tolist()


def test_the_same_parameters_give_the_same_numbers(small):
    assert run(SMALL).table.equals(small[0].table)


def test_parameters_unlike_the_defaults_run_and_are_drawn():
    """Another s that is also swept must not be measured twice; no clicks and one temperature are allowed."""
    results = run(replace(SMALL, subclasses=2, sizes=(2, 3), betas=(1,), t_auxs=(0.3, 2), temperature=1, click_rows=(),
                          click_subclasses=(), speed_images=(20,)))
    assert not results.table.duplicated(["part", "method", "beta", "t_aux", "s", "transfer", "width", "step",
                                         "seed"]).any()
    assert len(results.where(method="contrastive", beta=0.3, t_aux=0.5, s=2)) == 2, "the chosen one, off the grid"
    for figure in (figures.discovery, figures.subclasses_used, figures.few_labels, figures.controls,
                   figures.learning_speed):
        assert "nan" not in figure(results).reading
    assert "not been trained" in figures.click_curves(results).reading
    assert len(claims.table(results, CLAIMS))


def test_narrow_students_as_wide_as_the_others_are_measured_once():
    """Catches rows that are there twice, which intervals would take for further seeds."""
    results = run(replace(SMALL, narrow=SMALL.width, narrow_images=SMALL.transfer_sizes[0]))
    rows = results.where(part="few", method="subclass", transfer=SMALL.transfer_sizes[0])
    assert sorted(rows.seed) == [SMALL.seed, SMALL.seed + 1]


def test_an_interrupt_keeps_the_finished_groups():
    def stop_at_the_students(line):
        if "students 64-16 on 40" in line:
            raise KeyboardInterrupt

    results = run(SMALL, stop_at_the_students)
    assert not results.complete and set(results.table.part) == {"discovery", "few"}
    assert claims.verdict(catalog.select(["S7"])[0], results) == MISSING


@pytest.mark.parametrize("wrong, words", [
    ({"seeds": 0}, ("seeds", "0")), ({"subclasses": 0}, ("subclasses", "between 1 and 20", "0")),
    ({"subclasses": 21}, ("subclasses", "21")), ({"sizes": (2, 0)}, ("subclasses", "0")),
    ({"click_subclasses": (30,)}, ("subclasses", "30")), ({"beta": -0.1}, ("beta", "-0.1")),
    ({"betas": (0.1, -1)}, ("beta", "-1")), ({"betas": (0.0, 0.1)}, ("beta", "> 0", "0.0")),
    ({"t_aux": 0.0}, ("t_aux", "> 0", "0.0")),
    ({"t_auxs": (0.1, -2)}, ("t_aux", "-2")), ({"temperature": 0}, ("temperature", "0")),
    ({"alpha": 1.5}, ("alpha", "1.5")), ({"hint": -1}, ("hint", "-1")), ({"click_rows": (1,)}, ("click rows", "1")),
    ({"student_steps": 0}, ("student steps", "0")), ({"click_subclasses": ()}, ("click_subclasses", "at least 1", "0")),
    ({"click_temperature": 0}, ("click_temperature", "> 0", "0")),
    ({"transfer_sizes": (50, 50)}, ("transfer_sizes", "different", "50 twice"))])
def test_impossible_parameters_are_refused_at_once(wrong, words, refuses):
    with refuses(*words):
        SubclassDistillation(**wrong)


def test_a_log_with_too_few_clicks_to_divide_is_refused_before_any_training(refuses):
    """Catches hours of teachers and students that are lost when the last part finds one click in its log."""
    with refuses("every class needs at least 3 training examples", "class 1 has"):
        subclass_distillation.prepare(replace(SMALL, click_rows=(10,)))
    assert subclass_distillation.prepare(replace(SMALL, sizes=(), click_rows=()))[1] is None


@pytest.mark.parametrize("wrong", [{"transfer_sizes": (20, 1201)}, {"speed_images": (1,)}, {"narrow_images": 5000}])
def test_more_images_than_there_are_is_refused_before_any_training(wrong, monkeypatch, refuses):
    monkeypatch.setattr(subclass_distillation, "fit", lambda *_, **__: pytest.fail("trained before checking"))
    with refuses("transfer images", "1200"):
        run(replace(SMALL, **wrong))


# Verdicts -----------------------------------------------------------------------------------------------------------

def made_results(**moved):
    """Results in which every claim holds, but for what is moved by "part method transfer s"."""
    rows = []

    def runs(part, method, value, transfer=None, metric="accuracy", s=None, **more):
        name = " ".join(str(one) for one in (part, method, transfer, s) if one is not None)
        for seed, noise in enumerate((0.0, 0.1, -0.1, 0.05, -0.05, 0.02)):
            shift = moved.get(name, 0.0)
            own = noise * (1 + len(name) % 3) * (0.001 if metric == "log_loss" else 1)
            rows.append({"part": part, "method": method, "transfer": transfer, "s": s, "seed": seed,
                         metric: value + shift + own, **more})

    for method, beta, found, accuracy, used in (("no auxiliary loss", 0.0, 25, 97, 2), ("contrastive", 0.1, 55, 95, 8),
                                                ("contrastive", 0.3, 56, 93, 9), ("contrastive", 1.0, 40, 85, 10),
                                                ("k-means", None, 85, 95, 10)):
        more = {"beta": beta, "t_aux": 0.5 if beta else None, "accuracy": accuracy, "nmi": found + 10, "used": used}
        runs("discovery", method, found, metric="hungarian", s=5, **more)
        for i, row in enumerate(rows[-6:]):
            row["accuracy"] += 0.1 * (i % 3) * (1 + (beta or 0))
            row["nmi"] += 0.1 * (i % 2)
    for n in (20, 50, 100, 200, 1200):
        for method, value in (("hard labels", 94), ("hard labels, larger head", 94), ("two-class", 90),
                              ("two-class, larger head", 90), ("no auxiliary loss", 88), ("subclass", 94),
                              ("oracle", 96), ("k-means teacher", 95)):
            runs("few", method, value, n, width=16)
    for method, value in (("two-class", 88), ("subclass", 92)):
        runs("few", method, value, 100, width=8)
    for n in (2000, 8000):
        told = (0.33, 0.315, 0.309)
        for method, curve in (("hard labels", (0.33, 0.31, 0.32)), ("subclass", (0.305, 0.30, 0.29)),
                              ("two-class", told), ("two-class of subclass teacher", told)):
            for i, loss in enumerate(curve):
                runs("clicks", method, loss, n, "log_loss", 5 if method == "subclass" else None, step=20 * (i + 1),
                     auc=70.0 + 2 * (method == "subclass"))
                for k, row in enumerate(rows[-6:]):
                    row["auc"] += 0.1 * (k % 2) * (1 + (method == "subclass"))
    return Results(pd.DataFrame(rows).sample(frac=1, random_state=0))


def verdicts(results):
    table = claims.table(results, CLAIMS)
    return dict(zip(table.claim, table.verdict, strict=True))


ALL_SEEN = dict.fromkeys([f"S{i}" for i in range(1, 9)], SEEN)


def test_all_claims_are_seen_where_all_hold():
    assert verdicts(made_results()) == ALL_SEEN


@pytest.mark.parametrize("moved, by, fallen", [
    ("few subclass 50", -6, {"S4": OPPOSITE}), ("few two-class 20", 6, {"S4": OPPOSITE}),
    ("few oracle 100", -4, {"S4": OPPOSITE}),
    ("few hard labels, larger head 100", 2, {"S5": NOT_SEEN}),
    ("few two-class, larger head 200", 5, {"S5": OPPOSITE}),
    ("few no auxiliary loss 200", 4, {"S5": NOT_SEEN}),
    ("few subclass 1200", 2, {"S6": NOT_SEEN}), ("few subclass 1200", -2, {"S6": NOT_SEEN}),
    ("few k-means teacher 50", -3, {"S8": OPPOSITE}),
    ("discovery contrastive 5", 40, {"S2": OPPOSITE}), ("discovery contrastive 5", -15, {"S2": NOT_SEEN}),
    ("clicks subclass 8000 5", 0.02, {"S7": OPPOSITE}), ("clicks subclass 2000 5", 0.02, {"S7": OPPOSITE}),
])
def test_a_claim_falls_with_what_it_says(moved, by, fallen):
    found = verdicts(made_results(**{moved: by}))
    assert {name for name, verdict in found.items() if verdict != SEEN} == set(fallen)
    for name, verdict in fallen.items():
        assert found[name] in {verdict, OPPOSITE, NOT_SEEN}


def test_s1_and_s3_ask_for_use_and_for_a_price():
    for column, method, value, claim in (("used", "no auxiliary loss", 7, "S1"), ("accuracy", "contrastive", 97, "S3")):
        rows = made_results().table
        mine = (rows.part == "discovery") & (rows.method == method)
        rows.loc[mine, column] = value + 0.1 * rows.seed[mine]
        assert verdicts(Results(rows))[claim] != SEEN


def test_one_seed_is_never_a_verdict_and_missing_parts_are_not_measured():
    rows = made_results().table
    assert set(verdicts(Results(rows[rows.seed == 0])).values()) == {NOISY}
    found = verdicts(Results(rows[rows.part == "discovery"]))
    assert {name for name, verdict in found.items() if verdict == MISSING} == {"S4", "S5", "S6", "S7", "S8"}


def test_the_recorded_results_measure_every_claim_with_the_default_settings():
    recorded = catalog.recorded("subclass_distillation")
    default = json.loads(json.dumps(subclass_distillation.DEFAULT.__dict__))
    assert recorded.complete and dict(recorded.params) == default
    assert MISSING not in verdicts(recorded).values()


def test_told_classes_gives_logits_and_the_last_hidden_layer(lab):
    logits, hidden = label_teachers(lab, lab.pool, lab.data.labels, 2, QUICK)
    assert logits.shape == (2, 1797, 2) and hidden.shape == (2, 1797, 64) and bool((hidden >= 0).all())
