"""What a sweep refuses, before any work, in one sentence."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from made_up import NAME, TINY

from kdutils.lessons import catalog
from kdutils.lessons.start_here import experiment as start_here
from kdutils.sweeps import SweepError, names, sweep


@pytest.mark.parametrize(("grid", "words"), [
    ({"temprature": [1]}, ("parameter of start_here", "temperature", "'temprature'")),
    ({"temperature": [1, 0]}, ("temperature", "> 0", "got 0")),
    ({"temperature": ["hot"]}, ("temperature", "'hot'")),
    ({"temperature": [True]}, ("temperature", "True")),
    ({"temperature": 4}, ("temperature", "list of values", "got 4")),
    ({"device": "cpu"}, ("device", "list of values", "'cpu'")),
    ({"device": [3]}, ("device", "word", "3")),
    ({"temperature": []}, ("temperature", "none")),
    ({"temperature": [4, 4.0]}, ("temperature", "4.0 twice")),
    ({"temperature": [None]}, ("temperature", "None")),
    ({"steps": [2.5]}, ("steps must be a whole number, got 2.5",)),
    ({"steps": [True]}, ("steps", "True")),
    ({"steps": [float("inf")]}, ("steps", "inf")),
    ({"seed": [-1]}, ("seed", "-1")),
    ({"seed": [0, 1]}, ("seed 1", "seed=0", "seed=1", "seeds=2")),
])
def test_wrong_names_and_values_are_refused_before_any_work(grid, words, refuses, tmp_path, monkeypatch):
    monkeypatch.setattr(start_here, "run", lambda *_: pytest.fail("it has begun"))
    with refuses(*words):
        sweep("start_here", {"transfer": [20, 30]} | grid, base=TINY, folder=tmp_path / "points", workers=1)
    assert not (tmp_path / "points").exists()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("grid", "words"), [
    ({"transfer": [20, 1201]}, ("transfer images", "between 1 and 1200", "got 1201")),
    ({"device": ["cpu", "nowhere"]}, ("device", "such as cpu", "nowhere")),
])
def test_what_the_data_forbid_is_refused_before_the_first_point_runs(grid, words, workers, refuses, monkeypatch):
    monkeypatch.setattr(start_here, "run", lambda *_: pytest.fail("it has begun"))
    said = []
    with refuses(*words):
        sweep("start_here", grid, base=TINY, workers=workers, progress=lambda *now: said.append(now))
    assert not said, "no bar is drawn"


EMBEDDED = {"dark_knowledge.image_pairs": "digits", "subclass_distillation.images": "digits-2x5",
            "subclass_distillation.mnist": "digits-2x5"}
NOT_EMBEDDED = {"spherical_distillation.hundred": "cifar-100", "extracurricular_learning.fashion": "fashion-mnist",
                "beyond_compression.fashion": "fashion-mnist", "tolerant_teachers.twenty": "cifar-100",
                "subclass_distillation.twenty": "cifar-100", "tolerant_teachers.hundred": "cifar-100",
                "subclass_distillation.hundred": "cifar-100"}


@pytest.mark.parametrize("name", names())
def test_every_experiment_of_the_course_looks_at_its_data_first(name, monkeypatch, tmp_path, refuses):
    monkeypatch.setenv("KDUTILS_DATA", str(tmp_path))
    module = catalog.experiment(name)
    monkeypatch.setattr(module, "run", lambda *_: pytest.fail("it has begun"))
    if name in NOT_EMBEDDED:
        with refuses(f"The data set {NOT_EMBEDDED[name]} is not in", str(tmp_path)):
            sweep(name, {}, workers=1)
        return
    with refuses("nowhere"):
        sweep(name, {"device": ["nowhere"]} | ({"data": [EMBEDDED[name]]} if name in EMBEDDED else {}), workers=1)
    if hasattr(module.DEFAULT, "data"):
        with refuses("The data set fashion-mnist is not in", str(tmp_path)):
            sweep(name, {"data": ["fashion-mnist" if name == "dark_knowledge.image_pairs" else "fashion-2"]}, workers=1)


def test_another_s_workers_have_data_of_their_own(fast_teachers):
    with pytest.raises(SweepError, match=r"failed \(transfer images must be .*, got 1201\); finished"):
        sweep("start_here", {"transfer": [1201]}, ThreadPoolExecutor(1), base=TINY)


def test_other_wrong_arguments_are_refused(made_up, refuses, tmp_path):
    for name in ("start_hear", "common", ""):  # unknown; there, but no experiment; nothing
        with refuses("experiment", "start_here", "dark_knowledge", repr(name)):
            sweep(name, {})
    with refuses("cannot be imported", "../start_here"):
        sweep("../start_here", {})
    with refuses("cannot be imported", "no_such_package"):
        sweep("no_such_package.experiment", {})
    with refuses("kdutils.metrics", "DEFAULT"):
        sweep("kdutils.metrics", {})
    with refuses("shape", "list", "3"):
        sweep(NAME, {"shape": [3]}, base=made_up)
    with refuses("loud", "true or false", "1"):
        sweep(NAME, {"loud": [1]}, base=made_up)
    for name in ("threads", "workers", "seeds_each"):
        with refuses(name, "0"):
            sweep("start_here", {}, base=TINY, **{name: 0})
    (tmp_path / "file").touch()
    with refuses("cannot be kept", "file"):
        sweep("start_here", {}, base=TINY, folder=tmp_path / "file")
