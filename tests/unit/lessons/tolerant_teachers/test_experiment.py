"""The experiment of notebook 02: teachers, lineages, the table, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from kdutils import claims, metrics, rng
from kdutils import cohorts as common
from kdutils.cohorts import HARD, Splits, cohort, distilled, teachers
from kdutils.datasets import Dataset
from kdutils.lessons.tolerant_teachers import experiment as tolerant_teachers
from kdutils.lessons.tolerant_teachers import figures
from kdutils.lessons.tolerant_teachers.claims import DIGITS
from kdutils.lessons.tolerant_teachers.experiment import ancestors, lineages, run
from kdutils.lessons.tolerant_teachers.parameters import (
    GROUPS,
    STRICT,
    TolerantTeachers,
    chance_inside,
    kinds,
    tolerant,
)
from kdutils.networks import MLP, Population
from kdutils.objectives import distillation, optimum, penalty_optimum, smoothing_optimum, softmax
from kdutils.results import Results
from kdutils.training import Knobs, Recipe, Task, fit

SMALL = TolerantTeachers(seeds=2, etas=(0.0, 0.9), transfer_sizes=(20, 30), temperatures=(1.0, 4.0), generations=2,
                         lineages=((30, 0.0), (40, 0.3)), teacher_steps=20, student_steps=20, lineage_steps=20, seed=3)
SPEC, QUICK = MLP(64, (8,), 10), Recipe(steps=20)
KINDS = ("strict", "tolerant", "very tolerant", "smoothed", "penalised")


@pytest.fixture(scope="module")
def lab():
    return Splits.open("digits", seeds=2, seed=3)


@pytest.fixture(scope="module")
def small():
    said = []
    return run(SMALL, said.append), said


# First teachers ----------------------------------------------------------------------------------------------------

def test_a_strict_ancestor_is_an_ordinary_teacher_bit_for_bit(lab):
    (strict,) = ancestors(lab, lab.pool, [STRICT], SPEC, QUICK)
    assert torch.equal(strict, teachers(lab, lab.pool, SPEC, QUICK))
    beside = ancestors(lab, lab.pool, [tolerant(0.9), STRICT], SPEC, QUICK)
    torch.testing.assert_close(beside[1], strict, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(beside[0], strict, atol=0.1)


@pytest.mark.parametrize("ranks, classes", [(5, 10), (3, 6)])
def test_kinds_differ_in_where_the_rest_goes_and_not_in_how_much_it_is(ranks, classes):
    strict, middle, very, smoothed, penalised = kinds(ranks, classes)
    assert tuple(kind.name for kind in kinds()) == KINDS and (strict.eta, strict.epsilon, strict.beta) == (0, 0, 0)
    assert [optimum(middle.eta, ranks), smoothing_optimum(smoothed.epsilon, classes),
            penalty_optimum(penalised.beta, classes)] == pytest.approx([8 / 9] * 3)
    assert optimum(very.eta, ranks) == pytest.approx(2 / 3)
    assert [kinds()[1].eta, kinds()[2].eta] == pytest.approx([0.9, 1.2])


def test_a_student_has_the_teacher_that_its_setting_names(lab):
    logits = ancestors(lab, lab.pool, [STRICT, tolerant(1.2)], SPEC, QUICK)
    transfer, wrong = lab.transfer(20), lab.data.labels.flip(0).expand(2, -1)
    students = cohort(lab, logits, transfer, [HARD, distilled(1, 1), distilled(1, 0)], labels=wrong)
    assert students.task.teacher_of.tolist() == [0, 1, 2, 3, 0, 1]
    seen, asked, labels = students.task.batch(torch.arange(3).expand(6, 3))
    for member, teacher, seed in ((0, 0, 0), (2, 1, 0), (3, 1, 1), (5, 0, 1)):
        assert torch.equal(asked["logits"][member], logits[teacher, seed, transfer[seed, :3]])
        assert torch.equal(labels[member], wrong[seed, transfer[seed, :3]])


# Lineages ----------------------------------------------------------------------------------------------------------

def test_generations_start_afresh_the_same_for_every_kind(lab, monkeypatch):
    starts, objectives = [], []
    real = tolerant_teachers.fit

    def watched(population, task, objective, knobs, recipe):
        starts.append({name: value.clone() for name, value in population.parameters.items()} | {"seeds": task.seeds})
        objectives.append((objective.__name__, dict(knobs.read(len(population), torch.device("cpu")))))
        return real(population, task, objective, knobs, recipe)

    monkeypatch.setattr(tolerant_teachers, "fit", watched)
    assert len(list(lineages(lab, lab.transfer(30), kinds()[:3], 2, 0.3, SPEC, QUICK))) == 3
    assert [name for name, _ in objectives] == ["tolerant_teacher", "distillation", "distillation"]
    assert objectives[0][1]["eta"].tolist() == pytest.approx([0, 0, 0.9, 0.9, 1.2, 1.2])
    assert objectives[1][1] == {"temperature": 1.0, "alpha": 0.7}, "lambda weighs the labels, alpha the teacher"
    for start in starts:
        weight, seeds = start["linear1.weight"], start["seeds"]
        assert torch.equal(weight[:2], weight[2:4]) and torch.equal(weight[:2], weight[4:])
        assert seeds[:2] == seeds[2:4] == seeds[4:]
    assert len({tuple(start["seeds"]) for start in starts}) == 3
    assert not torch.equal(starts[1]["linear1.weight"], starts[2]["linear1.weight"])


def test_each_network_learns_from_the_one_before_it_in_its_own_lineage(lab):
    train = lab.transfer(30)
    together = [p.predict(lab.data.inputs) for p in lineages(lab, train, kinds()[:3], 2, 0.3, SPEC, QUICK)]
    alone = [p.predict(lab.data.inputs) for p in lineages(lab, train, kinds()[1:2], 2, 0.3, SPEC, QUICK)]
    for generation in range(3):
        torch.testing.assert_close(together[generation][2:4], alone[generation], atol=1e-3, rtol=1e-3)
    own = [rng.derive(seed, "generation 2") for seed in lab.seeds]
    student = Population(SPEC, own)
    task = Task(lab.data.inputs, lab.data.labels, train, own, {"logits": alone[1]})
    fit(student, task, distillation, Knobs(temperature=1.0, alpha=0.7), QUICK)
    torch.testing.assert_close(student.predict(lab.data.inputs), alone[2], atol=1e-4, rtol=1e-4)


def test_every_generation_sees_the_labels_it_is_given(lab):
    wrong = (lab.data.labels.expand(2, -1) + 1) % 10
    for population in lineages(lab, lab.pool, [STRICT], 2, 1.0, MLP(64, (16,), 10), Recipe(steps=150), labels=wrong):
        guess = population.predict(lab.data.inputs).argmax(-1)
        assert (guess == wrong).float().mean() > 0.5 and (guess == lab.data.labels).float().mean() < 0.2


def test_a_generation_that_was_yielded_does_not_move_any_more(lab):
    growing = lineages(lab, lab.transfer(30), [STRICT], 1, spec=SPEC, recipe=QUICK)
    first = next(growing)
    before = first.predict(lab.data.inputs)
    next(growing)
    assert torch.equal(first.predict(lab.data.inputs), before)
    assert not any(value.requires_grad for value in first.parameters.values()), "it is measured, not trained"


# The table ---------------------------------------------------------------------------------------------------------

def test_every_setting_is_measured_once_per_seed(small):
    table = small[0].table
    names = ["part", "noise", "transfer", "method", "eta", "temperature", "generation", "members"]
    settings = table.groupby(names, dropna=False).seed.apply(lambda seeds: tuple(sorted(seeds)))
    assert (settings == (3, 4)).all()
    count = settings.groupby("part").size().to_dict()
    assert count == {"teacher": 2, "student": 2 * 5, "noise": 2 + 5, "generations": 2 * (5 * 3 + 1),
                     "ensemble": 2 * 6 * 3, "probe": 5 * 3 + 1}
    assert table.accuracy.between(0, 100).all()
    masses = table.dropna(subset=["primary"])
    assert set(masses.part) == {"teacher", "noise", "generations"}
    np.testing.assert_allclose(masses[["primary", "secondary", "rest"]].sum(axis=1), 100, atol=1e-3)


def test_what_is_measured_of_teachers_agrees_with_a_count_by_hand(small, lab):
    logits = ancestors(lab, lab.pool, [tolerant(0.0), tolerant(0.9)], tolerant_teachers.TEACHER,
                       Recipe(20, common.TEACHER_RECIPE.batch, common.TEACHER_RECIPE.lr))
    target = torch.from_numpy(load_digits().target)
    for seed in range(2):
        test = lab.test[seed]
        p = logits[1, seed, test].softmax(-1)
        (row,) = small[0].where(part="teacher", eta=0.9, seed=3 + seed).to_dict("records")
        assert row["accuracy"] == pytest.approx(100 * float((p.argmax(-1) == target[test]).float().mean()))
        ranked = 100 * p.sort(-1, descending=True).values.mean(0)
        assert [row["primary"], row["secondary"], row["rest"]] == pytest.approx(
            [float(ranked[0]), float(ranked[1:5].sum()), float(ranked[5:].sum())], rel=1e-4)
        assert row["entropy"] == pytest.approx(float(-(p * p.log2()).sum(-1).mean()), rel=1e-4)


def test_an_ensemble_is_the_mean_answer_of_the_generations_so_far(small, lab):
    united = 0
    for generation, population in enumerate(lineages(lab, lab.transfer(30), kinds(), 2, 0.5,
                                                     tolerant_teachers.LINEAGE, Recipe(steps=20))):
        united = united + softmax(population.predict(lab.data.inputs))
        seen = small[0].per_seed("accuracy", part="ensemble", noise=0.0, method="tolerant", members=generation + 1)
        assert seen.tolist() == pytest.approx(lab.accuracy(united)[2:4].tolist())


def test_one_network_alone_is_no_ensemble_and_the_first_independent_one_is_the_strict_ancestor(small):
    for noise in (0.0, 0.3):
        def accuracy(noise=noise, **setting):
            return small[0].per_seed("accuracy", noise=noise, **setting).tolist()

        for kind in KINDS:
            assert accuracy(part="ensemble", method=kind, members=1) == accuracy(
                part="generations", method=kind, generation=0)
        assert accuracy(part="ensemble", method="independent", members=1) == accuracy(
            part="generations", method="strict", generation=0)


def test_wrong_labels_are_trained_on_and_never_tested_with(lab):
    labels = tolerant_teachers.noisy_labels(lab, 0.4)
    truth = torch.from_numpy(load_digits().target)
    assert [(row != truth).sum().item() for row in labels] == [round(0.4 * 1797)] * 2
    assert not torch.equal(labels[0], labels[1]) and tolerant_teachers.noisy_labels(lab, 0.0) is None
    learnt = TolerantTeachers(seeds=1, etas=(0.0,), transfer_sizes=(20,), temperatures=(1.0,), noise=1.0, lineages=(),
                              generations=1, teacher_steps=60, student_steps=60, lineage_steps=5)
    wrong = run(learnt).where(part="noise").set_index("method").accuracy
    assert wrong["teacher"] < 10 and wrong["hard labels"] < 10, "all labels wrong: worse than chance on true ones"


def test_the_probe_is_ridge_regression_on_digits_the_lineages_never_saw(lab, monkeypatch):
    shown = []
    real = tolerant_teachers.lineages

    def watched(lab, train, *rest):
        shown.append(set(lab.data.labels[train].flatten().tolist()))
        return real(lab, train, *rest)

    monkeypatch.setattr(tolerant_teachers, "lineages", watched)
    tolerant_teachers.probe_rows(lab, SMALL)
    assert shown == [set(range(6))]
    features = torch.randn(4, 1797, 12, generator=torch.Generator().manual_seed(0)) * torch.arange(12) + 3
    features += torch.nn.functional.one_hot(lab.data.labels, 12) * torch.tensor([1.0, 2, 3, 4])[:, None, None] * 2
    accuracies = tolerant_teachers.probe_accuracy(lab, features, 6, 50)
    target = load_digits().target
    for member in range(4):
        pool, test = (index[lab.data.labels[index] >= 6] for index in (lab.pool[member % 2], lab.test[member % 2]))
        scale = StandardScaler().fit(features[member, pool[:50]])
        ridge = Ridge(1.0).fit(scale.transform(features[member, pool[:50]]), np.eye(10)[target[pool[:50]]] * 2 - 1)
        guess = ridge.predict(scale.transform(features[member, test]))[:, 6:].argmax(1) + 6
        assert float(accuracies[member]) == pytest.approx(100 * (guess == target[test]).mean(), abs=0.5)


@pytest.fixture
def clothes(monkeypatch):
    """A stand-in for Fashion-MNIST: its groups, small random images and an official test part; shoes look alike."""
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 10
    group = torch.tensor([0, 1, 0, 0, 0, 2, 0, 2, 3, 2])
    images = 60 * torch.randn(4, 8, 8, generator=random)[group[labels]] + 10 * torch.randn(400, 8, 8, generator=random)
    data = Dataset("fashion-mnist", (images + 128).clamp(0, 255).to(torch.uint8)[:, None], labels,
                   tuple("abcdefghij"), test=torch.arange(300, 400))
    real = common.load

    def load(name, device="cpu"):
        return data if name == data.name else real(name, device)

    monkeypatch.setattr(common, "load", load)
    monkeypatch.setattr(tolerant_teachers, "load", load)
    return data


def test_groups_say_whose_the_secondary_classes_are(clothes):
    params = replace(SMALL, grouped="fashion-mnist", grouped_images=200, teacher_steps=60, lineages=())
    said = []
    assert chance_inside("fashion-mnist") == pytest.approx(100 * 26 / 8 / 9)
    rows = run(params, said.append).where(part="groups")
    assert "fashion-mnist, 200 images" in said[-1] and sorted(rows.eta) == [0.0, 0.0, 0.9, 0.9]
    assert rows.inside.between(80, 100).all(), "only classes of one group can be confused here"
    lab = Splits.open("fashion-mnist", 2, 3)
    logits = ancestors(lab, lab.transfer(200), [tolerant(0.0), tolerant(0.9)], MLP(64, (128,), 10),
                       Recipe(60, 64, 3e-3)).flatten(0, 1)[:, 300:]
    inside = metrics.mass_inside_groups(logits[2], clothes.labels[300:], GROUPS["fashion-mnist"], 5)
    (row,) = rows[(rows.eta == 0.9) & (rows.seed == 3)].to_dict("records")
    assert row["inside"] == pytest.approx(100 * float(inside), abs=0.01)


def test_absent_groups_are_refused_before_any_training(monkeypatch, tmp_path, refuses):
    monkeypatch.setenv("KDUTILS_DATA", str(tmp_path))
    monkeypatch.setattr(common, "fit", lambda *_, **__: pytest.fail("trained before checking"))
    with refuses("fashion-mnist", "kdutils data get"):
        run(replace(SMALL, grouped="fashion-mnist"))


def test_the_run_says_what_it_does_and_comes_back_whole_from_a_file(small, tmp_path):
    results, said = small
    assert len(said) == 7 and "2 teachers" in said[0] and "40% wrong" in said[3] and "6-9" in said[-1]
    results.save(tmp_path / "runs.json")
    again = Results.load(tmp_path / "runs.json")
    assert again.params == json.loads(json.dumps(results.params)) and again.complete
    before, after = (claims.table(one, DIGITS) for one in (results, again))
    assert before["part verdict"].tolist() == after["part verdict"].tolist()
    assert again.per_seed("accuracy", part="generations", method="tolerant", noise=0.3, generation=2).size == 2


def test_the_same_parameters_give_the_same_numbers(small):
    assert run(SMALL).table.equals(small[0].table)


def test_an_interrupt_keeps_the_finished_groups():
    def stop_at_the_noise(line):
        if "wrong labels, on all" in line:
            raise KeyboardInterrupt

    results = run(SMALL, stop_at_the_noise)
    assert not results.complete and set(results.table.part) == {"teacher", "student"}
    verdicts = {claim.id: claims.verdict(claim, results) for claim in DIGITS}
    assert verdicts["G5"] == verdicts["G6"] == verdicts["G7"] == verdicts["G8"] == claims.MISSING


@pytest.mark.parametrize("ranks", [2, 10])
def test_parameters_unlike_the_defaults_run_and_are_drawn(ranks):
    results = run(replace(SMALL, etas=(1, 0.5), ranks=ranks, temperatures=(2,), generations=1, lineages=((50, 0.2),),
                          probed=4))
    for figure in (figures.where_the_mass_goes, figures.pay_and_gain, figures.generations, figures.ensembles,
                   figures.linear_probe):
        assert "nan" not in figure(results).reading
    assert ((results.where(part="teacher").rest == 0) == (ranks == 10)).all()
    assert len(claims.table(results, DIGITS))


@pytest.mark.parametrize("wrong, words", [
    ({"seeds": 0}, ("seeds", "0")), ({"generations": 0}, ("generations", "at least 1", "0")),
    ({"etas": (0.0, -0.1)}, ("eta", "-0.1")),
    ({"etas": ()}, ("number of etas", "0")),
    ({"ranks": 1}, ("ranks", "1")), ({"ranks": 11}, ("ranks", "10", "11")),
    ({"label_weight": 1.5}, ("lambda", "1.5")), ({"noise": -0.1}, ("label noise", "-0.1")),
    ({"lineages": ((100, 1.2),)}, ("label noise", "1.2")), ({"temperatures": (0.0,)}, ("temperature", "0.0")),
    ({"grouped": "digits"}, ("grouped", "fashion-mnist", "digits")), ({"grouped_images": 0}, ("grouped images", "0")),
    ({"etas": (0, 0.3, 0.3)}, ("etas", "different", "0.3 twice")),
    ({"probed": 9}, ("probed", "9")), ({"lineage_steps": 0}, ("lineage steps", "0"))])
def test_impossible_parameters_are_refused_at_once(wrong, words, refuses):
    with refuses(*words):
        TolerantTeachers(**wrong)


def test_more_images_than_there_are_is_refused_before_any_training(monkeypatch, refuses):
    monkeypatch.setattr(common, "fit", lambda *_, **__: pytest.fail("trained before checking"))
    for wrong in ({"transfer_sizes": (50, 1201)}, {"lineages": ((1201, 0.0),)}):
        with refuses("transfer images", "1200", "1201"):
            run(TolerantTeachers(seeds=1, **wrong))


def test_lineages_refuse_impossible_values_when_first_pulled(lab, refuses):
    with refuses("generations", "0"):
        next(lineages(lab, lab.transfer(20), [STRICT], 0))
    with refuses("lambda", "-1"):
        next(lineages(lab, lab.transfer(20), [STRICT], 1, -1))
