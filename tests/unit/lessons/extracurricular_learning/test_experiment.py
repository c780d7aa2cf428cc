"""The experiment of notebook 05: who learns from what, what is measured, and the verdicts of the recorded run."""

import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import torch

from kdutils import claims
from kdutils.datasets.gaze import angular_error, eyes
from kdutils.lessons import catalog
from kdutils.lessons.extracurricular_learning import digits, experiment, fashion, gaze, large_eyes, toy
from kdutils.lessons.extracurricular_learning.claims import LARGE_EYES, PAGE
from kdutils.lessons.extracurricular_learning.experiment import ExtracurricularLearning, prepare, run
from kdutils.lessons.extracurricular_learning.gap import gap_closed
from kdutils.lessons.extracurricular_learning.teachers import ENSEMBLE
from kdutils.lessons.extracurricular_learning.transfer import Arm, Block, positions, task
from kdutils.objectives import gaussian, united
from kdutils.results import Results
from kdutils.rng import derive

SMALL = replace(experiment.SMOKE, seeds=2, gaze_labels=60, gaze_sizes=(20, 40), gaze_extra=50, gaze_queries=(20,),
                digit_extra=60, equal_images=30, views=(1, 3), teacher_steps=15, gaze_steps=10, digit_steps=10,
                toy_steps=10, seed=3)


@pytest.fixture(scope="module")
def small():
    said = []
    return run(SMALL, said.append), said


@pytest.fixture(scope="module")
def world():
    return gaze.World(SMALL)


# Transfer sets -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("own, extra, share, mine, more", [(3, 5, 0.5, [0, 1, 2, 0], [0, 1, 2, 3]),
                                                           (3, 0, 0.5, [0, 1, 2, 0, 1, 2, 0, 1], []),
                                                           (3, 2, 1.0, [], [0, 1, 0, 1, 0, 1, 0, 1])])
def test_places_are_filled_by_repeating(own, extra, share, mine, more):
    assert [one.tolist() for one in positions(own, extra, share, 8)] == [mine, more]


@pytest.mark.parametrize("own, extra, share, words", [(3, 5, 1.2, ("share", "1.2")), (3, 5, -0.1, ("share", "-0.1")),
                                                      (0, 5, 0.5, ("inputs of its own", "none")),
                                                      (0, 0, 1.0, ("none",))])
def test_a_share_outside_0_to_1_or_a_student_without_inputs_is_refused(own, extra, share, words, refuses):
    with refuses(*words):
        positions(own, extra, share, 8)


def block(first, n, targets=False):
    """Two seeds whose inputs are numbers from `first` up; the teacher answers ten times the input."""
    inputs = (first + torch.arange(2.0 * n)).view(2, n, 1, 1, 1)
    return Block(inputs, {"mean": 10 * inputs.flatten(2)}, inputs.flatten(2) if targets else None)


def test_each_member_sees_its_own_seeds_inputs_with_its_own_teachers_answers():
    work = task({"own": block(0, 3, True), "extra": block(100, 5)}, [Arm("same"), Arm("more", "extra", limit=2)],
                [7, 8], 0.5, 8)
    assert list(work.seeds) == [7, 8, 7, 8]
    inputs, teacher, targets = work.batch(torch.arange(8).expand(4, -1))
    seen = inputs.flatten(1).tolist()
    assert seen[0] == [0, 1, 2, 0, 1, 2, 0, 1] and seen[1] == [3, 4, 5, 3, 4, 5, 3, 4]
    assert seen[2] == [0, 1, 2, 0, 100, 101, 100, 101] and seen[3] == [3, 4, 5, 3, 105, 106, 105, 106]
    assert torch.equal(teacher["mean"][..., 0], 10 * inputs.flatten(1)), "an answer belongs to its input"
    assert torch.equal(targets[0, :, 0], inputs[0].flatten())


# Teachers ----------------------------------------------------------------------------------------------------------

def test_a_teacher_is_the_mixture_of_its_own_four_networks(world):
    inputs = world.test.inputs[:, :5]
    for seed in range(2):
        own = [world.teachers.population.member(seed * ENSEMBLE + k)(inputs[seed]) for k in range(ENSEMBLE)]
        mean, aleatoric, epistemic = united(*gaussian(torch.stack(own).detach()))
        answers = world.teachers.gaussians(inputs)
        torch.testing.assert_close(answers["mean"][seed], mean, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(answers["log_variance"][seed].exp(),
                                   world.teachers.scale[seed] * (aleatoric + epistemic), atol=1e-6, rtol=1e-3)


def test_calibration_makes_held_out_scores_spread_by_one(world):
    held_out = world.eyes("held out", gaze.HELD_OUT)
    answers = world.teachers.gaussians(held_out.inputs)
    spread = gaze.scores(answers["mean"], answers["log_variance"], held_out.gaze)["spread"]
    torch.testing.assert_close(spread, torch.ones(2), atol=1e-3, rtol=0)


def test_nobody_is_measured_on_what_anybody_was_trained_on(world):
    seen = torch.cat([world.labelled.inputs, world.eyes("fresh", 50).inputs], 1)
    for seed in range(2):
        distance = torch.cdist(world.test.inputs[seed].flatten(1), seen[seed].flatten(1))
        assert float(distance.min()) > 0.1


def test_scores_are_those_counted_by_hand():
    truth = eyes(50, 0).gaze[None]
    mean = truth + 0.1 * torch.randn(1, 50, 2, generator=torch.Generator().manual_seed(0))
    found = gaze.scores(mean, torch.full_like(mean, 2 * np.log(0.2)), truth)
    z = ((truth - mean) / 0.2).numpy()
    assert float(found["spread"]) == pytest.approx(np.sqrt((z**2).mean()), rel=1e-4)
    assert float(found["rmse"]) == pytest.approx(0.2 * np.sqrt((z**2).mean()), rel=1e-4)
    assert float(found["degrees"]) == pytest.approx(float(angular_error(mean, truth).mean()), rel=1e-5)
    by_hand = (0.5 * np.log(2 * np.pi) + np.log(0.2) + z**2 / 2).sum(-1).mean()
    assert float(found["nll"]) == pytest.approx(by_hand, rel=1e-4)


# The parts ---------------------------------------------------------------------------------------------------------

def test_every_setting_is_measured_once_per_seed(small):
    table = small[0].table
    names = ["part", "method", "images", "queries", "rule", "views", "teacher"]
    seeds = table.groupby(names, dropna=False).seed.apply(lambda seeds: tuple(sorted(seeds)))
    assert (seeds == (3, 4)).all()
    count = seeds.groupby("part").size().to_dict()
    assert count == {"toy": 4, "gaze": 12 + 8, "means": 2, "rules": 3, "queries": 1, "digits": 2 * 14, "equal": 10,
                     "views": 3, "far": 2 * 5}
    measured = {"toy": "at", "gaze": "degrees", "means": "nll", "rules": "spread", "queries": "rmse"}
    for part in count:
        assert table[table.part == part][measured.get(part, "accuracy")].notna().all()


def test_the_run_says_what_it_does_and_comes_back_whole(small, tmp_path):
    results, said = small
    assert len(said) == 11 and "2 gaze teachers of 60" in said[1] and results.complete
    results.save(tmp_path / "results.json")
    again = Results.load(tmp_path / "results.json")
    before, after = (one.mean("accuracy", part="equal", method="same") for one in (results, again))
    assert after.mean == pytest.approx(before.mean, abs=1e-4) and after.n == 2


def test_the_same_seeds_give_the_same_numbers(small):
    again = run(replace(SMALL, gaze_sizes=(20,), digit_sizes=(20,)))
    for part, method, metric in (("toy", "mixup", "between"), ("gaze", "fresh", "degrees"), ("digits", "shifts",
                                                                                           "accuracy")):
        images = {} if part == "toy" else {"images": 20}
        first, second = (one.per_seed(metric, part=part, method=method, **images) for one in (small[0], again))
        np.testing.assert_allclose(first, second, atol=0.2 if part == "digits" else 1e-2)


def test_regions_of_the_curve_are_what_they_are_called():
    own = toy.dots(5)
    grid = torch.linspace(-toy.EDGE, toy.EDGE, 601)
    where = toy.regions(grid, own)
    assert all(region.any() for region in where.values())
    assert not (where["at"] & where["between"]).any() and not (where["between"] & where["beyond"]).any()
    assert own[own < 0].max() < grid[where["between"]].min() and grid[where["between"]].max() < own[own > 0].min()
    assert grid[where["beyond"]].abs().min() > own.abs().min()


def test_mixtures_of_dots_never_leave_their_range():
    own = toy.dots(1)
    mixed = toy.asked("mixup", own, 300, 1)
    assert own.min() - 1e-5 <= mixed.min() and mixed.max() <= own.max() + 1e-5
    assert toy.asked("uniform", own, 300, 1).abs().max() > 2.5


def test_stored_views_are_of_every_image_alike():
    world = digits.World(prepare(SMALL), SMALL, 20, 1200)
    views = world.sampled("shifts", 60).inputs
    own = world.own_block().inputs
    nearest = torch.cdist(views[0].flatten(1), own[0].flatten(1)).argmin(1)
    assert len(nearest[:20].unique()) > 12, "the first twenty views are one of each image"


def test_the_teacher_that_knows_no_more_saw_exactly_the_students_images():
    world = digits.World(prepare(SMALL), SMALL, 30, 30)
    assert torch.equal(world.own, world.labelled)


def test_the_photograph_is_grey_and_no_digit():
    picture = digits.photograph()
    assert picture.shape == (427, 640) and 0 <= float(picture.min()) and float(picture.max()) <= 1


@pytest.mark.parametrize("change, words", [
    ({"share": 1.5}, ("share", "1.5")), ({"temperature": 0.0}, ("temperature", "0.0")), ({"views": ()}, ("views", "0")),
    ({"digit_sizes": (2000,)}, ("digit sizes", "2000")), ({"gaze_sizes": (10, 10)}, ("gaze_sizes", "10")),
    ({"seeds": 0}, ("seeds", "0")), ({"gaze_sizes": (2000,)}, ("gaze sizes", "2000")),
    ({"gaze_sizes": 100}, ("gaze_sizes must be a list", "got 100")), ({"views": "10"}, ("views must be", "'10'")),
    ({"digit_sizes": [20, "50"]}, ("digit sizes", "'50'")),
    ({"equal_images": 5000}, ("equal images", "5000"))])
def test_wrong_parameters_are_refused_in_one_sentence(change, words, refuses):
    with refuses(*words):
        replace(SMALL, **change)


# The second scale --------------------------------------------------------------------------------------------------

def test_pictures_are_halved_by_means_of_four_pixels():
    images = torch.arange(2.0 * 784).view(1, 2, 1, 28, 28)
    small = fashion.shrunk(images)
    assert small.shape == (1, 2, 1, 14, 14)
    assert float(small[0, 1, 0, 3, 5]) == pytest.approx(float(images[0, 1, 0, 6:8, 10:12].mean()))


@pytest.mark.parametrize("change, words", [({"teacher_images": 58_000}, ("teacher images",)),
                                           ({"images": 5}, ("images",)), ({"share": 2}, ("share",)),
                                           ({"temperatures": (0.0,)}, ("temperature",))])
def test_a_second_scale_that_cannot_be_is_refused(change, words, refuses):
    with refuses(*words):
        replace(fashion.DEFAULT, **change)


def test_large_eyes_are_asked_the_questions_of_the_small_ones():
    """Catches a second scale that measures other arms than its claims name, or other rules than the first one's."""
    results = large_eyes.run(large_eyes.SMOKE)
    assert results.complete and set(results.table["seed"]) == {0, 1}
    assert set(results.where(part="gaze")["method"]) == {
        "labels", "same", "fresh", "jitter", "mixup", "unsure mixup", "labels + jitter", "labels + mixup", "teacher"}
    assert set(results.where(part="means")["method"]) == {"same", "fresh"}
    small = {claim.id: claim for claim in PAGE}
    for claim in LARGE_EYES:
        first = small[claim.id.removesuffix("-36")]
        assert claim.parts == first.parts and claim.experiment == "extracurricular_learning.large_eyes"


def test_a_world_of_large_eyes_has_pictures_and_networks_of_that_size():
    world = gaze.World(large_eyes.SMOKE, large_eyes.SCALE)
    assert world.test.inputs.shape[2:] == (1, 36, 60) and len(world.teachers.population) == 2 * ENSEMBLE
    torch.testing.assert_close(world.labelled.inputs[1], eyes(40, derive(1, "labelled"), "mpiigaze").inputs)
    unsure = world.sampled(gaze.UNSURE, world.own(20).inputs, 5)
    mixed = world.sampled("mixup", world.own(20).inputs, 5 * gaze.CANDIDATES)

    def width(inputs):
        return world.teachers.gaussians(inputs)["log_variance"].sum(-1)

    torch.testing.assert_close(width(unsure).sort(1).values, width(mixed).sort(1).values[:, -5:])


@pytest.mark.parametrize("change, words", [({"gaze_sizes": 100}, ("gaze_sizes must be a list",)),
                                           ({"gaze_sizes": (5000,)}, ("gaze sizes", "5000")),
                                           ({"share": 2}, ("share", "2")), ({"seeds": 0}, ("seeds", "0"))])
def test_large_eyes_that_cannot_be_are_refused(change, words, refuses):
    with refuses(*words):
        replace(large_eyes.DEFAULT, **change)


def test_the_record_of_large_eyes_says_what_the_page_teaches():
    large, small = (catalog.recorded(name) for name in ("extracurricular_learning.large_eyes",
                                                        "extracurricular_learning"))
    assert large.complete and large.params["seeds"] == large_eyes.DEFAULT.seeds >= 5
    assert {claim.id: claims.verdict(claim, large) for claim in LARGE_EYES} == {"X2-36": claims.NOISY,
                                                                              "X3-36": claims.NOISY}
    mixed = {"part": "gaze", "images": 100, "method": "mixup"}
    gains = [one.paired("degrees", mixed, mixed | {"method": "same"}) for one in (small, large)]
    assert gains[0].low > 0 > gains[1].high, "mixed eyes hurt the small networks and help the convolutional ones"
    same = {"part": "gaze", "images": 100}
    fresh = gap_closed(large, "degrees", same | {"method": "fresh"}, same | {"method": "same"},
                       same | {"method": "teacher"})
    assert 50 < fresh.share < 65 and fresh.low > 40


# The gap -----------------------------------------------------------------------------------------------------------

def gap_of(base, student, teacher):
    rows = [{"method": name, "seed": seed, "accuracy": value} for name, values in
            (("same", base), ("pool", student), ("teacher", teacher)) for seed, value in enumerate(values)]
    arms = ({"method": name} for name in ("pool", "same", "teacher"))
    return gap_closed(Results(pd.DataFrame(rows)), "accuracy", *arms)


def test_the_gap_closed_is_a_ratio_of_means_with_its_three_numbers():
    gap = gap_of([80.0, 82], [85, 87], [90, 92])
    assert (gap.share, gap.base, gap.student, gap.teacher, gap.n) == (50, 81, 86, 91, 2)
    assert gap.low == gap.high == 50, "seeds that differ by a shift alone close the same share"
    errors = gap_of([5.0, 5.2], [4.5, 4.7], [4, 4.2])
    assert errors.share == pytest.approx(50), "errors fall where accuracies rise"


def test_a_gap_that_is_hardly_there_has_an_interval_that_says_so():
    random = np.random.default_rng(0)
    gap = gap_of(*(90 + random.normal(size=(3, 12))))
    assert gap.high - gap.low > 200
    clear = gap_of(*(np.array([[80], [85], [90]]) + random.normal(size=(3, 12))))
    assert clear.low < 50 < clear.high < clear.low + 40


def test_one_seed_has_no_interval_and_says_so():
    assert "no interval" in str(gap_of([80.0], [85], [90]))


# The record --------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def record():
    return catalog.recorded("extracurricular_learning")


def test_the_record_is_of_the_default_experiment(record):
    assert record.complete and record.params == json.loads(json.dumps(asdict(experiment.DEFAULT)))
    second = catalog.recorded("extracurricular_learning.fashion")
    assert second.complete and second.params == json.loads(json.dumps(asdict(fashion.DEFAULT)))


def test_the_record_says_what_the_page_teaches(record):
    verdicts = {claim.id: claims.verdict(claim, record) for claim in PAGE}
    assert verdicts == {"X1": claims.NOISY, "X2": claims.OPPOSITE, "X3": claims.SEEN, "X4": claims.NOISY,
                        "X5": claims.NOT_SEEN, "X6": claims.NOISY, "X7": claims.SEEN, "X8": claims.SEEN,
                        "X9": claims.SEEN}


def test_fresh_eyes_are_the_best_pool_and_mixed_ones_hurt(record):
    same = {"part": "gaze", "images": 100}
    degrees = {name: record.mean("degrees", **same, method=name).mean
               for name in ("fresh", "jitter", "same", "mixup", "unsure mixup", "noise")}
    assert list(degrees) == sorted(degrees, key=degrees.get)


def test_nothing_but_noise_makes_the_better_teacher_the_worse_one(record):
    for method, sign in (("fresh", 1), ("noise", -1), ("crops", -1)):
        effect = record.paired("accuracy", {"part": "far", "method": method, "teacher": "large"},
                               {"part": "far", "method": method, "teacher": "small"})
        assert sign * effect.mean > 0 and effect.low * effect.high > 0


def test_the_surprise_of_the_first_minute_belongs_to_digits(record):
    digits_gain = record.paired("accuracy", {"part": "digits", "images": 20, "method": "shuffled"},
                                {"part": "digits", "images": 20, "method": "same"})
    second = catalog.recorded("extracurricular_learning.fashion")
    same = {"labels": "teacher", "temperature": 1.0}
    clothes = second.paired("accuracy", same | {"method": "shuffled"}, same | {"method": "same"})
    assert digits_gain.low > 5 and clothes.high < 1


def test_the_smoke_profile_has_every_setting_that_a_claim_needs():
    short = ("seeds", "gaze_labels", "gaze_extra", "gaze_queries", "digit_extra", "teacher_steps", "gaze_steps",
             "digit_steps", "toy_steps")
    smoke, lecture = (asdict(one) for one in (experiment.SMOKE, experiment.DEFAULT))
    assert {name for name in lecture if smoke[name] != lecture[name]} == set(short)
    assert ExtracurricularLearning() == experiment.DEFAULT
