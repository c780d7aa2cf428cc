"""The second scale of notebook 03, on digits where its photographs are not needed."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from kdutils import claims
from kdutils.lessons.subclass_distillation import families, hundred, teachers, twenty
from kdutils.lessons.subclass_distillation.claims import HUNDRED, TWENTY
from kdutils.results import Results
from kdutils.sweeps import sweep

TINY = replace(twenty.SMOKE, seeds=2, steps=3)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KDUTILS_CACHE", str(tmp_path / "cache"))


def test_every_claim_of_the_second_scale_is_measured():
    """Catches a rule that asks for a setting which the experiment never runs, or for another number of images."""
    made = (200, 400, 900, 1000)
    results = twenty.run(replace(TINY, transfer_sizes=made))
    for asked, sizes in ((TWENTY, twenty.DEFAULT.transfer_sizes), (HUNDRED, hundred.DEFAULT.transfer_sizes)):
        rows = results.table.copy()
        rows["transfer"] = rows["transfer"].replace(dict(zip(made, sizes, strict=True)))
        assert claims.MISSING not in {claims.verdict(claim, Results(rows)) for claim in asked}
        assert len(asked) == 5
    assert results.provenance["cpu_seconds"] > 0 and results.provenance["student_pictures_per_second"] > 1000


def test_a_run_has_a_row_for_each_teacher_and_student():
    table = twenty.run(TINY).table
    assert len(table) == 2 * (4 + 2 + 2) + 2 * 2 * len(families.ARMS)
    found = table[table["part"] == "discovery"]
    assert set(found["method"]) == {"no auxiliary loss", "contrastive", "k-means", "k-means of features", "classes",
                                    "oracle"}
    assert (found["s"] == 5).all() and (found["transfer"] == twenty.prepare(TINY).images).all()


def test_seeds_run_apart_are_the_seeds_run_together():
    together = Results.of(twenty.run(TINY).text()).table
    apart = sweep("subclass_distillation.twenty", {}, base=TINY, seeds_each=1, workers=1).table
    pd.testing.assert_frame_equal(apart[list(together)], together, atol=0.2, rtol=1e-3)


def test_k_means_of_features_divides_by_the_features_and_not_by_the_pixels():
    """Catches features that are ignored, and those of another seed."""
    lab = twenty.prepare(TINY)
    side = (torch.arange(len(lab.data)) % 2 * 10.0)[None, :, None]
    features = torch.cat([side, -side])
    everyone = torch.arange(lab.images).expand(2, -1)
    for row, found in zip(features[..., 0], teachers.clusters(lab, everyone, (2, 2), features), strict=True):
        for label in range(2):
            mine = found[:lab.images][lab.data.labels[:lab.images] == label]
            assert set(mine.tolist()) == {2 * label, 2 * label + 1}
            sides = row[:lab.images][lab.data.labels[:lab.images] == label]
            assert len(set(zip(mine.tolist(), sides.tolist(), strict=True))) == 2, "a cluster is one side"


@pytest.mark.parametrize(("changed", "words"), [
    ({"transfer_sizes": (1,)}, ("transfer images", "got 1")), ({"betas": (0.0,)}, ("beta", "> 0", "0.0")),
    ({"transfer_sizes": (100, 5000)}, ("transfer images", "5000")), ({"subclasses": 21}, ("subclasses", "20", "21")),
    ({"teacher": (4, 4, 4)}, ("3 poolings", "4x4")), ({"alpha": 1.5}, ("alpha", "between 0 and 1", "1.5"))])
def test_wrong_values_are_refused_before_anything_is_trained(changed, words, refuses):
    with refuses(*words):
        twenty.prepare(replace(TINY, **changed))
