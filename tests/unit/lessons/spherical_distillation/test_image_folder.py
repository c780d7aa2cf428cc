"""The ImageNet recipe of notebook 04, on a folder of a few made pictures."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torchvision import models

from kdutils import cli
from kdutils.lessons.spherical_distillation import image_folder
from kdutils.lessons.spherical_distillation.image_folder import (
    Bench,
    ImageFolder,
    alpha_at,
    measured,
    one_epoch,
    pictures,
    prepare,
    rate_at,
    run,
    student_of,
)
from kdutils.results import Results

COLOURS = {"blue": (30, 30, 220), "green": (30, 200, 30), "red": (220, 30, 30)}


def paint(folder, counts, colours=COLOURS):
    """Pictures of 64x64 pixels, one colour and a little noise per class: {"train": 8, "val": 4} of each."""
    random = np.random.default_rng(0)
    for part, n in counts.items():
        for name, colour in colours.items():
            (folder / part / name).mkdir(parents=True)
            for i in range(n):
                pixels = np.clip(np.array(colour) + random.normal(0, 25, (64, 64, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{i}.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("pictures")
    paint(place, {"train": 8, "val": 4})
    torch.manual_seed(0)
    torch.save(models.resnet18(num_classes=3).state_dict(), place / "teacher.pth")
    return place


@pytest.fixture(scope="module")
def params(folder):
    return ImageFolder(str(folder), "resnet18", str(folder / "teacher.pth"), epochs=1, batch=8, lr=0.02, crop=32,
                       workers=0, seed=4)


@pytest.fixture(scope="module")
def results(params):
    return run(replace(params, methods=("SKD", "hard labels"), epochs=5))


# The recipe ---------------------------------------------------------------------------------------------------------

def test_the_defaults_are_the_recipe_of_the_authors_code():
    default = ImageFolder()
    assert (default.student, default.temperature, default.m, default.epochs) == ("resnet18", 4.0, 2.0, 100)
    assert (default.batch, default.lr, default.momentum, default.weight_decay) == (256, 0.1, 0.9, 1e-4)
    alphas = [alpha_at(epoch / 100) for epoch in range(100)]
    assert alphas == [0.9] * 60 + [0.5] * 20 + [0.1] * 20
    rates = [default.lr * rate_at(epoch / 100) for epoch in range(100)]
    assert rates == pytest.approx([0.1] * 30 + [0.01] * 30 + [1e-3] * 20 + [1e-4] * 10 + [1e-5] * 10)


def test_the_recipe_runs_on_a_folder_and_gives_a_row_per_epoch(results):
    table = results.table
    assert results.complete and table.accuracy.between(0, 100).all() and set(table.seed) == {4}
    assert table.method.tolist() == ["teacher"] + ["SKD"] * 5 + ["hard labels"] * 5
    skd = table[table.method == "SKD"]
    assert skd.epoch.tolist() == [1, 2, 3, 4, 5] and skd.alpha.tolist() == [0.9, 0.9, 0.9, 0.5, 0.1]
    assert skd.lr.tolist() == pytest.approx([0.02, 0.02, 0.002, 2e-4, 2e-5])
    assert table[table.method == "hard labels"].alpha.isna().all(), "no teacher, no weight of it"
    assert np.isfinite(skd.loss).all()


def test_students_learn_from_the_labels(results):
    last = results.where(method="hard labels", epoch=5).accuracy.item()
    assert last > 50, "three plain colours; chance is 33%"


def test_the_same_seed_gives_the_same_numbers_whoever_reads_the_pictures(params, results):
    def numbers(workers):
        table = run(replace(params, workers=workers, epochs=1)).table
        return table[table.method == "SKD"][["accuracy", "loss"]].values.tolist()

    assert numbers(0) == numbers(0) and numbers(1) == numbers(1)


def test_teacher_and_student_are_asked_about_the_same_crop(folder, params):
    torch.manual_seed(1)
    teacher = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 3)).eval()
    bench = Bench(*pictures(folder, 32), teacher, torch.device("cpu"))
    for name in ("KD", "SKD"):
        student = copy.deepcopy(teacher)
        optimiser = torch.optim.SGD(student.parameters(), 0.0)
        knobs = {"temperature": 4.0, "m": 2.0, "alpha": 1.0}
        loss = one_epoch(student, optimiser, image_folder.METHODS[name], knobs, 0, bench, params)
        assert loss == pytest.approx(0, abs=1e-5), "a student that is its teacher's copy has nothing to learn"


def test_teacher_and_methods_start_where_they_should(folder, params):
    bench = prepare(params)
    assert not bench.teacher.training and bench.classes == 3
    stored = torch.load(folder / "teacher.pth", weights_only=True)
    assert torch.equal(bench.teacher.fc.weight, stored["fc.weight"])
    one, again, other = (student_of(params, seed, bench) for seed in (4, 4, 5))
    assert torch.equal(one.fc.weight, again.fc.weight) and not torch.equal(one.fc.weight, other.fc.weight)
    before = torch.get_rng_state()
    student_of(params, 4, bench)
    assert torch.equal(before, torch.get_rng_state()), "the reader's own random numbers are left alone"


def test_accuracy_counts_every_test_picture(folder, params):
    class Red(torch.nn.Module):
        """Says red where red is the strongest channel, else blue."""

        def forward(self, images):
            red = images.mean((2, 3)).argmax(1) == 0
            return torch.nn.functional.one_hot(torch.where(red, 2, 0), 3).float()

    bench = Bench(*pictures(folder, 32), None, torch.device("cpu"))
    assert measured(Red(), bench, replace(params, batch=5)) == pytest.approx(100 * 8 / 12)


def test_safetensors_serve_as_well(folder, params):
    from safetensors.torch import save_file

    save_file(torch.load(folder / "teacher.pth", weights_only=True), folder / "teacher.safetensors")
    changed = replace(params, weights=str(folder / "teacher.safetensors"))
    assert torch.equal(prepare(changed).teacher.fc.weight, prepare(params).teacher.fc.weight)


def test_a_sweep_starts_it(params, tmp_path):
    values = [f"--set={name}={getattr(params, name)}" for name in
              ("folder", "teacher", "weights", "epochs", "batch", "crop", "workers")]
    told = CliRunner().invoke(cli.app, ["sweep", "spherical_distillation.image_folder", *values, f"--out={tmp_path}",
                                        "--workers=1"])
    assert told.exit_code == 0, told.output
    table = Results.load(tmp_path / "spherical_distillation.image_folder.json").table
    assert table.method.tolist() == ["teacher", "SKD"]


# What it refuses ----------------------------------------------------------------------------------------------------

def test_a_folder_that_is_not_there(params, refuses, tmp_path, monkeypatch):
    monkeypatch.setenv("KDUTILS_DATA", str(tmp_path))
    with refuses("folder must hold train and val", f"there is no {tmp_path}/nowhere/train"):
        prepare(replace(params, folder="nowhere"))


def test_a_folder_without_test_pictures(params, refuses, tmp_path):
    paint(tmp_path, {"train": 1})
    with refuses("folder must hold train and val", f"there is no {tmp_path}/val"):
        prepare(replace(params, folder=str(tmp_path)))


def test_classes_that_differ_between_train_and_val(params, refuses, tmp_path):
    paint(tmp_path, {"train": 1})
    paint(tmp_path, {"val": 1}, {name: COLOURS[name] for name in ("blue", "green")} | {"pink": (250, 180, 190)})
    with refuses("train and val must have the same classes", "red in train alone", "pink in val alone"):
        prepare(replace(params, folder=str(tmp_path)))


def test_one_class(params, refuses, tmp_path):
    paint(tmp_path, {"train": 2, "val": 1}, {"red": COLOURS["red"]})
    with refuses("classes must be a whole number at least 2", "got 1"):
        prepare(replace(params, folder=str(tmp_path)))


@pytest.mark.parametrize("empty", [True, False])
def test_a_part_without_classes_or_a_class_without_pictures(params, refuses, tmp_path, empty):
    paint(tmp_path, {"train": 1, "val": 1} if empty else {"val": 1})
    (tmp_path / "train" / "empty").mkdir(parents=True) if empty else (tmp_path / "train").mkdir()
    with refuses(f"{tmp_path}/train must hold a folder of pictures per class"):
        prepare(replace(params, folder=str(tmp_path)))


def test_a_file_that_is_no_picture(params, refuses, tmp_path):
    paint(tmp_path, {"train": 1, "val": 1})
    (tmp_path / "train" / "red" / "0.png").write_text("not a picture")
    with refuses(f"{tmp_path}/train/red/0.png is not a picture"):
        run(replace(params, folder=str(tmp_path), methods=("hard labels",)))


def test_weights_that_do_not_fit(folder, params, refuses):
    with refuses("weights must be a file with the state of a resnet34 of 3 classes", "teacher.pth"):
        prepare(replace(params, teacher="resnet34"))
    with refuses("weights must be a file", "nowhere.pth"):
        prepare(replace(params, weights="nowhere.pth"))
    with refuses("published weights know 1,000 classes and the folder has 3"):
        prepare(replace(params, weights="published"))


@pytest.mark.parametrize(("wrong", "words"), [
    ({"teacher": "resnet19"}, ("network", "resnet19")), ({"student": "inception_v3"}, ("network", "inception_v3")),
    ({"device": "nowhere"}, ("device", "nowhere"))])
def test_networks_and_devices_that_are_none(params, refuses, wrong, words):
    with refuses(*words):
        prepare(replace(params, **wrong))


@pytest.mark.parametrize(("wrong", "words"), [
    ({"m": 0}, ("m must be a number > 0", "0")), ({"temperature": -1}, ("temperature", "-1")),
    ({"methods": ("CRD",)}, ("method", "CRD")), ({"methods": ()}, ("number of methods", "0")),
    ({"epochs": 0.5}, ("epochs", "0.5")), ({"batch": 1}, ("batch", "1")), ({"crop": 8}, ("crop", "8")),
    ({"workers": -1}, ("workers", "-1")), ({"weight_decay": 2}, ("weight decay", "2"))])
def test_parameters_out_of_range(refuses, wrong, words):
    with refuses(*words):
        ImageFolder(**wrong)
