"""The second scale of notebook 02, on digits where its photographs are not needed."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from made_cifar import made_hundred

from kdutils import claims, metrics
from kdutils.datasets import CARDS
from kdutils.lessons.tolerant_teachers import families, hundred, twenty
from kdutils.lessons.tolerant_teachers.claims import HUNDRED, TWENTY
from kdutils.results import Results
from kdutils.sweeps import sweep

TINY = replace(twenty.SMOKE, seeds=2, steps=3)
KILLED = Path(__file__).parents[3] / "killed_sweep.py"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KDUTILS_CACHE", str(tmp_path / "cache"))


def test_every_claim_of_the_second_scale_is_measured():
    """Catches a rule that asks for a setting which the experiment never runs, or for another number of images."""
    results = twenty.run(TINY)
    for asked, few, images in ((TWENTY, twenty.DEFAULT.few, 20 * 450), (HUNDRED, hundred.DEFAULT.few, 100 * 450)):
        rows = results.table.copy()
        rows["transfer"] = rows["transfer"].map({100: few, twenty.prepare(TINY).images: images})
        assert claims.MISSING not in {claims.verdict(claim, Results(rows)) for claim in asked}
        assert len(asked) == 7
    assert results.provenance["cpu_seconds"] > 0 and results.provenance["student_pictures_per_second"] > 1000


def test_a_lineage_begins_with_the_teachers_that_were_trained_for_their_students():
    """Catches teachers of another eta or seed, and lineages that train what is there."""
    rows = twenty.run(TINY).table
    for kind, eta in (("strict", 0.0), ("tolerant", 0.9)):
        first = rows[(rows["part"] == "generations") & (rows["method"] == kind) & (rows["generation"] == 0)]
        taught = rows[(rows["part"] == "teacher") & (rows["method"] == "teacher") & (rows["eta"] == eta)]
        for name in ("accuracy", "entropy", "primary"):
            assert first[name].tolist() == taught[name].tolist() != []
    alone = twenty.run(replace(TINY, etas=(0.0, 0.6))).table
    assert len(alone[alone["part"] == "generations"]) == len(rows[rows["part"] == "generations"])


def test_a_run_has_a_row_for_each_network_and_seed():
    table = twenty.run(TINY).table
    arms = 1 + 2 * 6
    assert len(table) == 2 * (6 + 2 * arms + 3 + 4 + (2 + 3) * 4), "teachers, students, noise, generations, ensembles"
    assert not table.drop(columns="accuracy").duplicated().any()
    assert set(table[table["part"] == "student"]["transfer"]) == {100, twenty.prepare(TINY).images}


def test_mass_in_the_family_is_that_of_its_four_other_classes():
    """Catches a share of all mass, the label's own among it, and groups that are counted in the wrong order."""
    lab = twenty.prepare(TINY)
    logits = torch.randn(1, 2, len(lab.data), 10, generator=torch.Generator().manual_seed(0))
    found = families.inside_families(lab, logits, 5)
    for seed in range(2):
        inside = total = mass = 0.0
        for row in lab.test[seed].tolist():
            label, p = int(lab.data.labels[row]), logits[0, seed, row].softmax(-1)
            for rank, which in enumerate(p.argsort(descending=True)[:5].tolist()):
                mass += float(p[which]) if rank else 0.0
                if rank and which != label:
                    total += float(p[which])
                    inside += float(p[which]) * (which // 5 == label // 5)
        assert found["inside"][0, seed] == pytest.approx(100 * inside / total, abs=1e-3)
        assert found["family"][0, seed] == pytest.approx(100 * inside / total * mass / lab.test.shape[1], abs=1e-3)
    assert metrics.mass_in_ranks(logits, 5).shape == (1, 2, 3)


def test_seeds_run_apart_are_the_seeds_run_together(tmp_path):
    """Catches anything that a seed's neighbours change: the second scale is measured a seed at a time."""
    together = Results.of(twenty.run(TINY).text()).table
    apart = sweep("tolerant_teachers.twenty", {}, base=TINY, seeds_each=1, workers=1).table
    pd.testing.assert_frame_equal(apart[list(together)], together, atol=0.2, rtol=1e-3)


@pytest.mark.parametrize(("changed", "words"), [
    ({"few": 5000}, ("few", "5000")), ({"etas": (0.0, -1.0)}, ("eta", ">= 0", "-1.0")),
    ({"student": (4, 4, 4, 4)}, ("4 poolings", "4x4")), ({"ranks": 11}, ("ranks", "between 2 and 10", "11")),
    ({"noise": 2.0}, ("label noise", "between 0 and 1", "2.0")),
    ({"temperatures": ()}, ("temperatures", "at least 1"))])
def test_wrong_values_are_refused_before_anything_is_trained(changed, words, refuses):
    with refuses(*words):
        twenty.prepare(replace(TINY, **changed))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows kills otherwise")
def test_killed_twice_and_finished_it_is_the_same_table(tmp_path, monkeypatch):
    """Catches points that are counted twice, half points that are kept, and teachers of a cache that are others."""
    def run(name, die):
        return subprocess.run([sys.executable, str(KILLED), str(tmp_path / "data"), str(tmp_path / name), die],
                              env={**os.environ, "KDUTILS_CACHE": str(tmp_path / f"cache of {name}")},
                              capture_output=True, text=True, timeout=300)

    for die in ("in the second point", "after two points"):
        assert run("killed", die).returncode == -signal.SIGKILL
    monkeypatch.setenv("KDUTILS_DATA", str(tmp_path / "data"))
    monkeypatch.setitem(CARDS, "cifar-100", made_hundred(tmp_path / "data"))
    from killed_sweep import measured

    said = []
    finished = measured(tmp_path / "killed", said.append)
    assert said[0] == "2 of 3 points were finished before."
    pd.testing.assert_frame_equal(finished.table, measured(tmp_path / "undisturbed").table)
