"""Stored results, and when they are measured anew."""

import json
from dataclasses import asdict

import pytest

from kdutils.course.session import Session
from kdutils.lessons import catalog
from kdutils.lessons.extracurricular_learning import large_eyes
from kdutils.lessons.stored import stored_or_measured
from kdutils.lessons.subclass_distillation import mnist as subclass_mnist
from kdutils.lessons.tolerant_teachers import experiment as tolerant_teachers
from kdutils.results import Results

STORED = (("subclass_distillation.mnist", "subclass_distillation.mnist", "mnist"),
          ("tolerant_teachers.fashion_mnist", "tolerant_teachers", "fashion-mnist"))


def at(profile: str) -> Session:
    return Session(profile, 0, "cpu", 1)


@pytest.fixture
def asked(monkeypatch):
    """What the experiments were asked to run; they return the stored results."""
    params = []

    def run(given, report):
        params.append(given)
        return catalog.recorded("subclass_distillation.mnist")

    for module in (subclass_mnist, tolerant_teachers):
        monkeypatch.setattr(module, "run", run)
    return params


@pytest.mark.parametrize("profile", ["smoke", "lecture"])
def test_below_full_nothing_is_measured(profile, asked, monkeypatch, capsys):
    """Catches a page that takes an hour because MNIST happens to be there."""
    monkeypatch.setattr("kdutils.lessons.stored.available", lambda data: True)
    results = stored_or_measured(at(profile), "subclass_distillation.mnist", "mnist")
    assert isinstance(results, Results) and not asked
    said = capsys.readouterr().out
    assert said.startswith("Stored: 2") and "5 seeds" in said and "torch 2" in said


def test_full_measures_what_needs_no_data(monkeypatch, capsys):
    """Catches a rendered world that is asked whether it was downloaded."""
    asked = []
    monkeypatch.setattr(large_eyes, "run", lambda params, report: asked.append(params) or catalog.recorded(
        "extracurricular_learning.large_eyes"))
    for profile in ("lecture", "full"):
        stored_or_measured(at(profile), "extracurricular_learning.large_eyes")
    (params,) = asked
    assert params == large_eyes.DEFAULT and "Measured here: " in capsys.readouterr().out


def test_full_without_the_data_says_how_to_get_them(asked, monkeypatch, capsys):
    monkeypatch.setattr("kdutils.lessons.stored.available", lambda data: False)
    stored_or_measured(at("full"), "tolerant_teachers", "fashion-mnist", "tolerant_teachers.fashion_mnist")
    said = capsys.readouterr().out
    assert not asked and "`kdutils data get fashion-mnist`" in said and "Stored: " in said


@pytest.mark.parametrize(("stored", "experiment", "data"), STORED)
def test_full_measures_the_same_on_the_device_of_the_session(stored, experiment, data, asked, monkeypatch, capsys):
    """Catches other parameters than those of the stored table: then the two could not be compared."""
    looked = []
    monkeypatch.setattr("kdutils.lessons.stored.available", lambda name: looked.append(name) or True)
    stored_or_measured(Session("full", 0, "cuda", 1), experiment, data, stored)
    (params,) = asked
    expected = catalog.recorded(stored).params | {"device": "cuda"}
    assert looked == [data] and json.loads(json.dumps(asdict(params))) == expected
    assert "Measured here: " in capsys.readouterr().out
