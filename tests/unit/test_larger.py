"""Stored results, and when they are measured anew."""

import json
from dataclasses import asdict

import pytest

from kdutils import claims
from kdutils.course.larger import larger
from kdutils.course.session import Session
from kdutils.experiments import subclass_mnist, tolerant_teachers
from kdutils.results import Results

STORED = (("subclass_mnist", subclass_mnist, "mnist"),
          ("tolerant_teachers_fashion_mnist", tolerant_teachers, "fashion-mnist"))


def at(profile: str) -> Session:
    return Session(profile, 0, "cpu", 1)


@pytest.fixture
def asked(monkeypatch):
    """What the experiments were asked to run; they return the stored results."""
    params = []

    def run(given, report):
        params.append(given)
        return claims.recorded("subclass_mnist")

    for module in (subclass_mnist, tolerant_teachers):
        monkeypatch.setattr(module, "run", run)
    return params


@pytest.mark.parametrize("profile", ["smoke", "lecture"])
def test_below_full_nothing_is_measured(profile, asked, monkeypatch, capsys):
    """Catches a page that takes an hour because MNIST happens to be there."""
    monkeypatch.setattr("kdutils.course.larger.available", lambda data: True)
    results = larger(at(profile), "subclass_mnist", "mnist")
    assert isinstance(results, Results) and not asked
    said = capsys.readouterr().out
    assert said.startswith("Stored: 2") and "5 seeds" in said and "torch 2" in said


def test_full_without_the_data_says_how_to_get_them(asked, monkeypatch, capsys):
    monkeypatch.setattr("kdutils.course.larger.available", lambda data: False)
    larger(at("full"), "tolerant_teachers", "fashion-mnist", "tolerant_teachers_fashion_mnist")
    said = capsys.readouterr().out
    assert not asked and "`kdutils data get fashion-mnist`" in said and "Stored: " in said


@pytest.mark.parametrize(("stored", "module", "data"), STORED)
def test_full_measures_the_same_on_the_device_of_the_session(stored, module, data, asked, monkeypatch, capsys):
    """Catches other parameters than those of the stored table: then the two could not be compared."""
    looked = []
    monkeypatch.setattr("kdutils.course.larger.available", lambda name: looked.append(name) or True)
    larger(Session("full", 0, "cuda", 1), module.__name__.rpartition(".")[2], data, stored)
    (params,) = asked
    expected = claims.recorded(stored).params | {"device": "cuda"}
    assert looked == [data] and json.loads(json.dumps(asdict(params))) == expected
    assert "Measured here: " in capsys.readouterr().out
