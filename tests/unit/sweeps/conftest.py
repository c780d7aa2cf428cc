"""The made-up experiment as a module that workers find, and teachers that train for a few steps only."""

import sys

import pytest
from made_up import MADE_UP

from kdutils import cohorts
from kdutils.networks import MLP
from kdutils.training import Recipe


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """The made-up experiment's parameters; workers find its module on the path that they inherit."""
    (tmp_path / "made_up_package").mkdir()
    (tmp_path / "made_up_package" / "__init__.py").touch()
    (tmp_path / "made_up_package" / "experiment.py").write_text(MADE_UP)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("made_up_package", "made_up_package.experiment"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    from made_up_package.experiment import Params

    return Params(folder=str(tmp_path))


@pytest.fixture
def fast_teachers(monkeypatch):
    """Experiments whose teachers train for a few steps only."""
    monkeypatch.setattr(cohorts.teachers, "__defaults__", (MLP(64, (8,), 10), Recipe(steps=20)))
