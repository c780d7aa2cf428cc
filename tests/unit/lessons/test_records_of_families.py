"""The recordings of the second scale: both lessons, at twenty and at a hundred classes."""

import json
from dataclasses import asdict

import pytest

from kdutils import claims
from kdutils.lessons import catalog
from kdutils.lessons.subclass_distillation import claims as subclass_claims
from kdutils.lessons.tolerant_teachers import claims as tolerant_claims

ASKED = {"tolerant_teachers.twenty": tolerant_claims.TWENTY, "tolerant_teachers.hundred": tolerant_claims.HUNDRED,
         "subclass_distillation.twenty": subclass_claims.TWENTY,
         "subclass_distillation.hundred": subclass_claims.HUNDRED}


@pytest.mark.parametrize("name", ASKED)
def test_a_record_has_the_parameters_of_its_size_and_measures_every_claim(name):
    """Catches a record of other steps or families than the experiment names, of too few seeds, or not whole."""
    record = catalog.recorded(name)
    named = json.loads(json.dumps(asdict(catalog.experiment(name).DEFAULT)))
    assert record.complete and {key: record.params[key] for key in named} == named and named["seeds"] >= 5
    assert claims.MISSING not in {claims.verdict(claim, record) for claim in ASKED[name]}
    assert set(record.table["seed"]) == set(range(named["seeds"]))
