"""The experiment of notebook 06: what is paired with what, what is refused, and claims on made-up results."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from kdutils import claims
from kdutils.cohorts import Splits
from kdutils.datasets import take
from kdutils.lessons import catalog
from kdutils.lessons.beyond_compression import experiment, fashion, probe
from kdutils.lessons.beyond_compression.claims import CLAIMS
from kdutils.lessons.beyond_compression.experiment import SMOKE, BeyondCompression
from kdutils.lessons.beyond_compression.mimicry import MEASURES, deployed
from kdutils.lessons.beyond_compression.race import ARMS, HARD, NETWORK, race, teach
from kdutils.networks import MLP, Branched, ConvNet, Population
from kdutils.objectives import METHODS
from kdutils.results import Results
from kdutils.training import Recipe

QUICK = replace(SMOKE, steps=4, teacher_steps=5, memorising=8, stopped=2, curve_steps=4, noises=(0.4, 0.6),
                gammas=(0.2,))


@pytest.fixture(scope="module")
def lab():
    return Splits.open("digits", 2)


@pytest.fixture(scope="module")
def taught(lab):
    return teach(lab, lab.pool, recipe=Recipe(40, 64, 5e-3), attacked=lab.transfer(60))


# The race ---------------------------------------------------------------------------------------------------------

def test_all_nine_run_and_every_arm_is_what_it_would_be_alone(lab, taught):
    few, recipe = lab.transfer(60), Recipe(8, 16)
    together = race(lab, taught, few).run(recipe)
    assert together.arms == ARMS and not together.failures
    images = take(lab.data.inputs, lab.test[:, :40])
    logits = together.predict(images)
    for method in (HARD, "RKD", "DML", "ONE", "BSS"):
        alone = race(lab, taught, few, [method]).run(recipe).predict(images)[method]
        torch.testing.assert_close(alone, logits[method], rtol=1e-3, atol=1e-4)
    assert len({tuple(own.flatten().tolist()) for own in logits.values()}) == len(ARMS)


def test_all_arms_start_from_the_same_numbers(lab, taught):
    students = race(lab, taught, lab.transfer(60))
    images = take(lab.data.inputs, lab.test[:, :20])
    first = students.predict(images)
    for logits in first.values():
        torch.testing.assert_close(logits, first[HARD])


def test_a_method_that_cannot_run_says_why_and_the_others_go_on(lab, taught):
    small = race(lab, taught, lab.transfer(60), spec=ConvNet(channels=(4, 8))).run(Recipe(3, 16))
    assert set(small.failures) == {"FSP"} and "equal width, got 4 of the student and 8" in small.failures["FSP"]
    assert {"FitNets", "AT", "KD"} <= set(small.arms)      # hints have a regressor, maps of attention no channels
    flat = teach(lab, lab.pool, MLP(64, (32, 16)), Recipe(5))
    students = race(lab, flat, lab.transfer(60), spec=MLP(64, (32, 16))).run(Recipe(3, 16))
    assert set(students.failures) == {"AT", "FSP", "BSS"}


def test_equal_gradients_are_equal(lab, taught, refuses):
    students = race(lab, taught, lab.transfer(60))
    weights = students.balance()
    assert set(weights) == set(METHODS) and all((own > 0).all() for own in weights.values())
    twice = students.balance()      # a weight is measured on the bare term, whatever was set before
    for name, own in weights.items():
        torch.testing.assert_close(own, twice[name])
    with refuses("method", "CRD"):
        race(lab, taught, lab.transfer(60), ["CRD"])


def test_boundary_samples_cross_in_nearly_all_attempts(lab):
    told = teach(lab, lab.pool, attacked=lab.transfer(200))
    few = lab.transfer(200)
    before = told.outputs["logits"].argmax(-1).gather(1, few)
    moved = torch.stack([told.outputs["boundary"][s, few[s]] for s in range(2)])
    crossed = told.population(moved).argmax(-1) != before
    assert crossed.float().mean() >= 0.95
    assert (told.outputs["boundary usable"].gather(1, few) <= crossed).all()
    untouched = lab.pool[:, -1]
    assert all(not told.outputs["boundary"][s, untouched[s]].any() for s in range(2))


def test_teachers_have_other_starts_than_their_students(lab, taught):
    start = Population(NETWORK, lab.seeds).parameters["conv1.weight"]
    fresh = teach(lab, lab.pool, recipe=Recipe(1, 64, 1e-9)).population.parameters["conv1.weight"]
    assert (start - fresh).abs().amax((1, 2, 3, 4)).min() > 0.01


def test_the_deployed_branch_is_the_first_one():
    population = Population(Branched(NETWORK), [0, 1])
    images = torch.rand(2, 5, 1, 8, 8)
    torch.testing.assert_close(deployed(population)(images), population(images))


# Labels and rare classes ------------------------------------------------------------------------------------------

def test_noisy_labels_are_drawn_from_all_classes_and_known_by_heart_by_who_repeats_them(lab):
    labels, images = experiment.noisy_labels(lab, 0.6), lab.transfer(500)
    wrong = (labels != lab.data.labels).float().mean(1)
    assert wrong.tolist() == pytest.approx([0.54, 0.54], abs=1e-3)
    parrot, wise = (torch.nn.functional.one_hot(one, 10).float() for one in
                    (labels, lab.data.labels.expand(2, -1)))
    assert experiment.by_heart(lab, parrot, images, labels).tolist() == [100, 100]
    assert experiment.by_heart(lab, wise, images, labels).tolist() == [0, 0]


def test_the_rarest_class_changes_with_the_seed_and_recalls_follow_it(lab):
    (name, counts), *_ = experiment.profiles(SMOKE)
    images = experiment.tails(lab, counts)
    assert name == "gamma 0.2" and lab.data.labels[images[1]].bincount().tolist()[1] == max(counts)
    prior = experiment.log_prior(lab, images)
    assert prior.exp().sum(1).tolist() == pytest.approx([1, 1])
    assert prior.argmax(1).tolist() == [0, 1]
    says_frequent = torch.nn.functional.one_hot(torch.stack([lab.data.labels[own].mode().values.expand(597)
                                                             for own in images]), 10).float()
    found = experiment.recalls(lab, says_frequent)
    assert found["balanced"].tolist() == pytest.approx([10, 10]) and found["rare"].tolist() == [0, 0]
    assert found["frequent"].tolist() == pytest.approx([100 / 3, 100 / 3])


@pytest.mark.parametrize(("values", "words"), [
    ({"seeds": 0}, ("seeds", "0")), ({"noise": 1.5}, ("label noise", "1.5")),
    ({"temperature": 0}, ("temperature", "0")),
    ({"fewest": 100}, ("fewest", "100")), ({"gammas": (0.2, 0.2)}, ("gammas", "twice")), ({"gammas": ()}, ("gammas",)),
])
def test_values_out_of_range_are_refused(values, words, refuses):
    with refuses(*words):
        BeyondCompression(**values)


def test_what_cannot_be_run_is_refused_before_anything_is_trained(refuses):
    with refuses("transfer images", "1300"):
        experiment.prepare(replace(SMOKE, few=1300))
    with refuses("images of class", "500"):
        experiment.prepare(replace(SMOKE, most=500))


@pytest.fixture(scope="module")
def small():
    return experiment.run(QUICK)


def test_a_run_measures_every_claim(small):
    assert small.complete
    assert all(finding.effect is not None for claim in CLAIMS for finding in claims.findings(claim, small))
    assert set(small.table["part"]) == {"few-shot", "full", "noise race", "imbalance race", "equal gradients", "gap",
                                        "noise", "imbalance", "mimicry"}
    assert set(small.where(part="mimicry")["measure"]) == set(MEASURES)
    (why, *_) = small.where(part="gap", method="FSP")["why"].dropna()
    assert "got 4 of the student" in why


def test_the_same_parameters_give_the_same_numbers(small):
    again = experiment.run(QUICK)
    pd.testing.assert_frame_equal(small.table, again.table)


def test_the_recorded_results_measure_every_claim_with_the_default_settings():
    results = catalog.recorded("beyond_compression")
    assert results.complete and results.params["seeds"] >= 10
    assert results.params["steps"] == experiment.DEFAULT.steps
    assert all(finding.effect is not None for claim in CLAIMS for finding in claims.findings(claim, results))
    verdicts = {claim.id: claims.verdict(claim, results) for claim in CLAIMS}
    assert verdicts["B3"] == verdicts["B8"] == "seen"


# The linear probe -------------------------------------------------------------------------------------------------

def test_the_probe_asks_about_classes_that_no_network_saw(lab):
    """Catches classes that are the same for every seed, and a picture of the other half among the students'."""
    seen, number = probe.halves(lab)
    assert [own.nonzero().flatten().tolist() for own in seen] == [[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]]
    learnt, asked = probe.of_classes(lab, seen, 50), probe.of_classes(lab, ~seen, 50)
    for s in range(2):
        shown, others = (lab.data.labels[images[s]].bincount(minlength=10) for images in (learnt, asked))
        assert (shown[seen[s]] == 10).all() and (others[~seen[s]] == 10).all() and not (shown * others).any()
        assert number[s, asked[s]].unique().tolist() == [0, 1, 2, 3, 4]
        assert not set(asked[s].tolist()) & set(lab.test[s].tolist())


def test_ridge_is_that_of_scikit_learn():
    random = torch.Generator().manual_seed(0)
    features, asked = (torch.randn(2, n, 7, generator=random) * 3 + 5 for n in (40, 15))
    labels = torch.randint(3, (2, 40), generator=random)
    scores = probe.ridge(features, labels, asked, 3)
    for s in range(2):
        scaler = StandardScaler().fit(features[s].double())
        model = Ridge(probe.PENALTY * 40).fit(scaler.transform(features[s].double()), np.eye(3)[labels[s]])
        np.testing.assert_allclose(scores[s], model.predict(scaler.transform(asked[s].double())), atol=1e-5)


def test_a_probe_on_labels_is_always_right_and_on_nothing_is_no_better_than_chance(lab):
    images = probe.of_classes(lab, ~probe.halves(lab)[0], 50)
    names = torch.nn.functional.one_hot(lab.data.labels, 10).float()
    where = {tuple(image.flatten().tolist()): i for i, image in enumerate(lab.data.inputs)}

    def told(inputs):
        return torch.stack([names[[where[tuple(one.flatten().tolist())] for one in own]] for own in inputs])

    assert probe.probed(lab, told, images).tolist() == [100, 100]
    blind = probe.probed(lab, lambda inputs: torch.ones(*inputs.shape[:2], 3), images)
    assert (blind < 30).all()


def test_the_probe_runs_and_its_record_has_the_defaults():
    results = probe.run(probe.SMOKE)
    everyone = {HARD, *METHODS, "teacher", "untrained", "pixels"}
    assert set(results.table["method"]) == everyone and results.table["accuracy"].between(0, 100).all()
    record = catalog.recorded("beyond_compression.probe")
    assert record.complete and record.params["seeds"] == probe.DEFAULT.seeds >= 5
    assert set(record.table["method"]) == everyone and set(record.table["images"]) == {100, 500}
    for n in (100, 500):        # what the page says of its controls
        hard = {"images": n, "method": HARD}
        assert record.paired("accuracy", hard, hard | {"method": "pixels"}).low > 0.5
        assert record.paired("accuracy", hard | {"method": "pixels"}, hard | {"method": "untrained"}).low > 0.5


@pytest.mark.parametrize(("values", "words"), [({"images": 100}, ("images must be a list", "100")),
                                               ({"images": (700,)}, ("images", "700")),
                                               ({"probe_images": 2}, ("probe images", "2")),
                                               ({"seeds": 0}, ("seeds", "0"))])
def test_a_probe_that_cannot_be_is_refused(values, words, refuses):
    with refuses(*words):
        replace(probe.DEFAULT, **values)


def test_the_second_scale_is_recorded_with_its_defaults():
    results = catalog.recorded("beyond_compression.fashion")
    assert results.complete and results.params["seeds"] == fashion.DEFAULT.seeds >= 5
    assert set(results.table["part"]) == {"clean", "public weights", "noise", "imbalance"}
    assert set(METHODS) <= set(results.where(part="clean")["method"])


# Claims on made-up results ----------------------------------------------------------------------------------------

def made_up(kd_gain: float, control: float) -> Results:
    """Noise curves of six seeds in which KD and the control gain what a test wants."""
    gains = {"hard labels": 0, "KD stopped": kd_gain, "stopped labels": control, "KD memorising": 0}
    return Results(pd.DataFrame([
        {"part": "noise", "noise": rate, "method": method, "seed": seed, "accuracy": 60 + gain + 0.1 * (seed % 3)}
        for rate in (0.4, 0.6) for method, gain in gains.items() for seed in range(6)]))


@pytest.mark.parametrize(("kd", "control", "b3", "b4"), [(5, 5, "seen", "seen"), (5, 1, "seen", "not seen"),
                                                         (-5, -5, "opposite", "opposite")])
def test_noise_claims_are_what_they_say(kd, control, b3, b4):
    known = {claim.id: claim for claim in CLAIMS}
    results = made_up(kd, control)
    assert claims.verdict(known["B3"], results) == b3 and claims.verdict(known["B4"], results) == b4
