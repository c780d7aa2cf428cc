"""The files of finished points: what is damaged, misplaced or without room is never used and never ends a sweep."""

import json
import os
import sys
from dataclasses import replace

import pandas as pd
import pytest
from made_up import NAME, SIZES, expected, runs, same

from kdutils import cache
from kdutils.results import Results
from kdutils.sweeps import sweep


@pytest.fixture
def folder(made_up, tmp_path):
    """The points of sizes 1 and 2, measured once."""
    sweep(NAME, {"size": SIZES[:2]}, folder=tmp_path / "points", base=made_up, workers=1)
    return tmp_path / "points"


def again(made_up, folder):
    """The same sweep; what it said."""
    said = []
    same(sweep(NAME, {"size": SIZES[:2]}, folder=folder, report=said.append, base=made_up, workers=1),
         expected(made_up, SIZES[:2]))
    return said


def without(*names):
    """Damage: the name, or a name inside another, is gone."""
    def damage(path):
        stored = json.loads(path.read_text())
        place = stored
        for name in names[:-1]:
            place = place[name]
        del place[names[-1]]
        path.write_text(json.dumps(stored))
    return damage


@pytest.mark.parametrize("damage", [
    lambda path: path.write_text(path.read_text().replace('"seed"', '"sead"', 1)),
    lambda path: path.write_text(path.read_text()[:-30]),
    lambda path: path.write_bytes(b"\xff\xfe" + path.read_bytes()),
    lambda path: path.write_text("[]"),
    without("checksum"), without("results"), without("results", "provenance")])
def test_a_changed_file_is_measured_again_with_a_word(made_up, folder, damage):
    """Catches one wrong digit, or one lost byte, that becomes a row of the table."""
    damage(sorted(folder.iterdir())[0])
    said = again(made_up, folder)
    assert len(runs(made_up)) == 3 and sum("measured again" in line for line in said) == 1, said
    again(made_up, folder)
    assert len(runs(made_up)) == 3, "the third time it is there"


def test_the_file_of_one_point_under_the_name_of_another_is_refused(made_up, folder):
    """Catches rows of size 1 that are called size 2."""
    one, other = sorted(folder.iterdir())
    other.write_bytes(one.read_bytes())
    said = again(made_up, folder)
    assert any("holds another point" in line for line in said) and len(runs(made_up)) == 3


def test_a_point_whose_experiment_says_nothing_of_its_origin_is_kept(made_up, folder, monkeypatch):
    module = sys.modules[NAME]
    plain = module.run
    monkeypatch.setattr(module, "run", lambda *given: replace(plain(*given), provenance=None))
    results = sweep(NAME, {"size": [5.0, 6.0]}, folder=folder, base=made_up, workers=1)
    same(results, expected(made_up, [5.0, 6.0]))
    assert results.complete and results.provenance["threads"] == 1


def test_a_point_for_which_there_is_no_room_is_said_and_counted_and_in_the_table(made_up, folder, monkeypatch):
    """Catches a full disk that ends a sweep of hours."""
    def full(path, write):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "write_whole", full)
    said = []
    results = sweep(NAME, {"size": SIZES}, folder=folder, report=said.append, base=made_up, workers=1)
    same(results, expected(made_up))
    assert results.complete and sum("cannot be kept in" in line and "No space left" in line for line in said) == 2
    assert len(list(folder.iterdir())) == 2


def test_a_point_kept_and_one_not_kept_give_the_same_rows(made_up, tmp_path, monkeypatch):
    """Catches numbers with more digits in a table that could not be kept."""
    module = sys.modules[NAME]
    odd = Results(pd.DataFrame({"seed": [0], "value": [1 / 3]}), {"size": 1.0}, {"seconds": 0.1})
    monkeypatch.setattr(module, "run", lambda *given: odd)
    kept = sweep(NAME, {"size": [1.0]}, folder=tmp_path / "a", base=made_up)
    monkeypatch.setattr(cache, "write_whole", lambda *given: (_ for _ in ()).throw(OSError(28, "full")))
    same(sweep(NAME, {"size": [1.0]}, folder=tmp_path / "b", base=made_up), kept.table)


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0,
                    reason="root may read everything")
def test_a_file_that_may_not_be_read_is_measured_again(made_up, folder):
    sorted(folder.iterdir())[0].chmod(0)
    assert any("cannot be read" in line for line in again(made_up, folder))
