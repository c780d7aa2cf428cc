"""The experiment with image pairs: what its table holds, its memory plan, and what it refuses."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from kdutils.datasets import Dataset
from kdutils.lessons.dark_knowledge import image_pairs
from kdutils.lessons.dark_knowledge.image_pairs import DEFAULT, SMOKE, Bench, ImagePairs, memory, planned, run
from kdutils.objectives import distillation, hard_labels
from kdutils.training import ImageRecipe
from kdutils.training.memory import of_activations, of_network, peak_memory

QUICK = replace(SMOKE, epochs=1, images=128, switches="single precision", kept_as="float32", keep_answers=True)


@pytest.fixture(scope="module")
def kept():
    return []


@pytest.fixture(scope="module")
def said_and_found(kept):
    said = []
    return said, run(QUICK, said.append, kept.append)


def test_a_row_per_network(said_and_found):
    """One teacher; for each seed both methods, paired; every measure is a number."""
    said, results = said_and_found
    found = [(row.method, row.network, row.seed) for row in results.table.itertuples()]
    assert found == [("teacher", "resnet20", 1000)] + [
        (method, "resnet8", seed) for seed in (0, 1) for method in ("hard labels", "distilled")]
    assert results.table["accuracy"].between(0, 100).all() and results.complete
    assert (results.table[["loss", "images_per_second", "seconds"]] > 0).all(axis=None)
    assert results.paired("accuracy", {"method": "distilled"}, {"method": "hard labels"}).n == 2
    assert results.provenance["device"] and results.params["pair"] == "resnet20:resnet8"


def test_every_network_is_kept_as_soon_as_it_is_trained(said_and_found, kept):
    """Hours on a GPU must not be lost with the last of them."""
    found = said_and_found[1].table
    assert [len(results.table) for results in kept] == [1, 2, 3, 4, 5] and not any(one.complete for one in kept)
    pd.testing.assert_frame_equal(kept[-1].table, found)
    assert kept[0].provenance["seconds"] <= said_and_found[1].provenance["seconds"]


def test_the_plan_comes_before_the_training(said_and_found):
    said, _ = said_and_found
    assert said[0].startswith("Memory needed: about") and "the teacher's answers" in said[0]
    assert said[1].startswith("Teacher resnet20") and said[2].startswith("teacher, resnet20, seed 1000")
    assert said[3].startswith("Each picture passes through the teacher once")
    assert len(said) == 8


def test_the_teacher_is_paid_for_once(said_and_found, monkeypatch):
    """A second run trains students only and asks the teacher nothing; the students are the same. The arms of a seed
    start alike and see the same pictures."""
    starts, plain = [], image_pairs.trained

    def watched(network, task, *rest):
        starts.append((task.seed, network.stage1[0].conv1.weight.detach().clone()))
        return plain(network, task, *rest)

    monkeypatch.setattr(image_pairs, "trained", watched)
    again = run(QUICK)
    before = said_and_found[1].table
    assert [seed for seed, _ in starts] == [0, 0, 1, 1]
    (_, hard), (_, soft), (_, other), _ = starts
    assert torch.equal(hard, soft) and not torch.equal(hard, other)
    assert before["passes"].sum() > 0 and again.table["passes"].sum() == 0
    assert before["passes"].max() <= 1, "an epoch is at most one pass; a run pays for what it asks itself"
    pd.testing.assert_frame_equal(again.table[["method", "seed", "accuracy", "loss"]],
                                  before[["method", "seed", "accuracy", "loss"]])


def test_online_and_kept_answers_give_the_same_students(said_and_found):
    online = run(replace(QUICK, teacher="online")).table
    kept = said_and_found[1].table
    distilled = online["method"] == "distilled"
    assert online["loss"].tolist() == pytest.approx(kept["loss"].tolist(), abs=1e-5)
    assert online["passes"][distilled].tolist() == [1, 1] and online["passes"][~distilled].sum() == 0


@pytest.fixture
def untrained(monkeypatch, tmp_path):
    """Networks as they start: what would have trained each is noted, and nothing is found in the cache."""
    asked = []

    def trained(network, task, bench, recipe, objective, knobs):
        asked.append((task, recipe, objective, dict(knobs.read(1, torch.device("cpu")))))
        return dict.fromkeys(("accuracy", "loss", "images_per_second", "seconds", "warm_up", "peak_gb"), 0.0)

    monkeypatch.setattr(image_pairs, "trained", trained)
    monkeypatch.setenv("KDUTILS_CACHE", str(tmp_path))
    return asked


def test_each_network_has_its_own_recipe_objective_and_knobs(untrained):
    run(replace(QUICK, seeds=1, teacher_epochs=3, temperature=2.0, alpha=0.3, seed=6))
    tasks, recipes, objectives, knobs = zip(*untrained, strict=True)
    assert [recipe.epochs for recipe in recipes] == [3, 1, 1] and [task.seed for task in tasks] == [1000, 6, 6]
    assert objectives == (hard_labels, hard_labels, distillation)
    assert knobs[2] == {"temperature": 2.0, "alpha": 0.3}
    assert [task.teacher is not None for task in tasks] == [False, False, True]


@pytest.mark.parametrize("change", [
    {"pair": "resnet8:resnet8"}, {"batch": 32}, {"lr": 0.1}, {"teacher_epochs": 2}, {"switches": "plain"},
    {"teacher_seed": 5}, {"images": 64}, {"pad": 2}, {"weight_decay": 0.0}, {"schedule": "cosine"}, {"nesterov": True},
    {"seed": 3}], ids=str)
def test_another_teacher_is_trained_anew(change, untrained):
    """Found under too short a key, it would be another's: each of these decides what a teacher is (the seed, by the
    images it is trained and measured on)."""
    base = replace(QUICK, methods=())
    run(base)
    run(replace(base, seeds=1, temperature=1.0, alpha=0.5, keep_answers=False, kept_as="float16"))
    assert len(untrained) == 1, "these change the students alone"
    run(replace(base, **change))
    assert len(untrained) == 2


def test_accuracy_is_that_of_the_test_images(monkeypatch):
    """None of them is trained on, and they are normalised as the training images are."""
    bench, seen = Bench.open(QUICK), []

    def logits(network, data, index, normalisation, switches):
        seen.append((index, normalisation))
        return torch.eye(10)[:1].expand(len(index), -1)  # a zero, whatever it sees

    monkeypatch.setattr(image_pairs, "image_logits", logits)
    pictures = image_pairs.Pictures.of(bench.data, bench.train, QUICK.augmentation(8))
    zeros = bench.data.labels[bench.test].tolist().count(0)
    assert bench.accuracy(None, pictures) == pytest.approx(100 * zeros / 597)
    assert torch.equal(seen[0][0], bench.test) and seen[0][1] == pictures.normalisation
    assert len(bench.train) == 128 and not torch.isin(bench.train, bench.test).any()


def test_methods_and_seeds_can_be_chosen():
    results = run(replace(QUICK, methods=("distilled",), seeds=1, seed=5, epochs=0.5))
    assert results.table["method"].tolist() == ["teacher", "distilled"] and results.table["seed"].tolist() == [1000, 5]


def test_an_interrupt_keeps_what_is_finished():
    def report(line):
        if line.startswith("distilled"):
            raise KeyboardInterrupt

    def quiet(line):
        if not line.startswith("Interrupted"):
            report(line)

    results = run(QUICK, quiet)
    assert not results.complete and results.table["method"].tolist() == ["teacher", "hard labels"]


def bench_of(params, n=60_000, classes=100):
    """CIFAR-100's shape without its pixels."""
    images = torch.zeros(1, 1, 1, 1, dtype=torch.uint8).expand(n, 3, 32, 32)
    data = Dataset("made", images, torch.zeros(n, dtype=torch.int64), tuple(map(str, range(classes))))
    networks = tuple(image_pairs.ImageNetwork(name, classes) for name in params.pair.split(":"))
    return Bench(data, torch.arange(5 * n // 6), torch.arange(5 * n // 6, n), networks, image_pairs.Speedups())


@pytest.mark.parametrize("pair", ["wrn-40-2:wrn-16-2", "resnet32x4:resnet8x4", "resnet110:resnet20"])
def test_the_full_profile_fits_or_says_that_it_will_not(pair, refuses):
    """CIFAR-100 with every kept answer: within 16 GB of a GPU or 24 of RAM; less memory is told before the start."""
    params, said = replace(DEFAULT, pair=pair), []
    bench = bench_of(params)
    parts = memory(bench, params)
    assert parts["the teacher's answers"] == 1_620_000_000 and parts["pictures"] == 480_000_000
    assert parts["images"] == 60_000 * 3072 and parts["networks"] == sum(map(of_network, bench.networks))
    assert parts["a step"] == max(of_activations(network, 32, 64) for network in bench.networks)
    assert sum(parts.values()) < 16e9
    least = sum(parts.values()) - parts["the teacher's answers"]
    assert planned(bench, params, said.append, free=24 * 10**9) == 24 * 10**9 - least
    assert planned(bench, params, said.append, free=least) == 0, "no room for the answers"
    written = replace(params, keep_answers=True)
    assert planned(bench, written, said.append, free=least + 10) == 5, "a file is put together in memory"
    with refuses(pair, "GB free", "cpu"):
        planned(bench, params, said.append, free=least - 1)
    assert len(said) == 4 and all("24.00 GB are free" in line for line in said[:1])


def test_where_answers_do_not_fit_the_teacher_stays_in_the_loop(monkeypatch):
    said = []
    bench = Bench.open(QUICK)
    parts = memory(bench, QUICK)
    short = sum(parts.values()) - 1
    monkeypatch.setattr(image_pairs, "free_memory", lambda device: short)
    results = run(replace(QUICK, methods=("distilled",), seeds=1), said.append)
    assert any(line.startswith("The teacher is asked at every step") for line in said)
    assert results.table["passes"].tolist() == [0, 1]


def test_what_a_network_and_a_step_take():
    """resnet8's 83,892 weights three times over; its feature maps written out."""
    network = image_pairs.ImageNetwork("resnet8", 100)
    assert of_network(network) == 12 * 83_892
    maps = 2 * (16 * 32 * 32) * 3 + (2 * 32 * 16 * 16) * 3 + (2 * 64 * 8 * 8) * 3  # conv and norm outputs, per image
    assert of_activations(network, 32, 64) == 2 * maps * 64 * 4
    assert of_activations(network, 32, 64, bf16=True) == 2 * maps * 64 * 2
    assert peak_memory("cpu") is None or peak_memory("cpu") > 2**20


def test_views_suit_the_data():
    """Digits are not mirrored; the border is an eighth of the side, which gives CIFAR its 4 pixels."""
    assert DEFAULT.augmentation(32).views == 162
    assert replace(DEFAULT, data="svhn").augmentation(32).views == 81
    assert SMOKE.augmentation(8).views == 9 and replace(SMOKE, flip=True, pad=2).augmentation(8).views == 50


def test_the_default_is_the_public_recipe():
    recipe = DEFAULT.recipe()
    assert (recipe.epochs, recipe.batch, recipe.lr, recipe.momentum, recipe.weight_decay, recipe.schedule) == (
        240, 64, 0.05, 0.9, 5e-4, "step")
    changed = replace(DEFAULT, epochs=3, batch=32, lr=0.1, weight_decay=1e-4, nesterov=True, schedule="cosine")
    assert changed.recipe() == ImageRecipe(3, 32, 0.1, 0.9, True, 1e-4, "cosine")
    assert recipe.total(50_000) == 240 * 781 and replace(DEFAULT, teacher_epochs=100).teacher_recipe().epochs == 100


@pytest.mark.parametrize(("change", "words"), [
    ({"pair": "resnet20"}, ("pair", "resnet20")), ({"pair": "resnet20:resnet9"}, ("network", "resnet9")),
    ({"temperature": 0}, ("temperature", "0")), ({"alpha": 2}, ("alpha", "2")), ({"seeds": 0}, ("seeds", "0")),
    ({"methods": ("soft",)}, ("method", "soft")), ({"teacher": "none"}, ("teacher", "none")),
    ({"switches": "slow"}, ("switches", "slow")), ({"epochs": 0}, ("epochs", "0")), ({"kept_as": "int8"}, ("int8",)),
    ({"schedule": "late"}, ("schedule", "late")), ({"batch": 1}, ("batch", "1")), ({"pad": -1}, ("pad", "-1")),
])
def test_wrong_parameters_are_refused_at_once(change, words, refuses):
    with refuses(*words):
        ImagePairs(**change)


def test_too_many_images_are_refused_before_any_training(refuses):
    with refuses("transfer images", "5000", "1200"):
        run(replace(QUICK, images=5000))
