"""Bad inputs: one sentence with value and range, before anything is trained or taken."""

import gzip
import json
import pickle
import struct
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from kdutils import cli, datasets
from kdutils.cohorts import Splits
from kdutils.datasets import cifar
from kdutils.datasets.idx import read_idx
from kdutils.errors import AbsentError, one_of
from kdutils.lessons import catalog
from kdutils.networks import MLP, Population
from kdutils.plots.base import Table
from kdutils.results import Results
from kdutils.training import Recipe


@pytest.mark.parametrize("seed", [float("nan"), "a", -1, 0.5, None])
def test_a_seed_that_is_none(refuses, seed):
    with refuses("seed must be a whole number at least 0", repr(seed)):
        Splits.open("digits", 2, seed)


@pytest.mark.parametrize("steps", [1e12, float("inf"), 0, None])
def test_steps_without_end(refuses, steps):
    with refuses("steps must be a whole number between 1 and", repr(steps)):
        Recipe(steps=steps)


@pytest.mark.parametrize("device", [None, 3.5, "nowhere", "meta", object])
def test_a_device_that_is_none(refuses, device):
    with refuses("device must be one that torch can use here"):
        datasets.load("digits", device)


@pytest.mark.parametrize(("name", "wrong", "words"), [
    ("dark_knowledge", {"temperatures": 4}, ("temperatures must be a list", "got 4")),
    ("dark_knowledge", {"temperatures": ()}, ("number of temperatures", "at least 1", "got 0")),
    ("dark_knowledge", {"steps": 1e12}, ("steps must be a whole number between 1 and 10000000", "1000000000000.0")),
    ("dark_knowledge", {"seed": float("nan")}, ("seed", "nan")),
    ("start_here", {"seed": "a"}, ("seed", "'a'")),
    ("start_here", {"device": None}, ("device", "None")),
    ("tolerant_teachers", {"lineages": 5}, ("lineages must be a list", "got 5")),
    ("tolerant_teachers", {"lineages": ((200,),)}, ("lineages must be pairs", "(200,)")),
    ("tolerant_teachers", {"lineages": (200, 0.3)}, ("lineages must be pairs", "200")),
    ("tolerant_teachers", {"probe_images": 10**6}, ("probe images", "between 1 and", "1000000")),
    ("subclass_distillation", {"seed": -1}, ("seed", "-1")),
])
def test_parameters_of_an_experiment(name, wrong, words, refuses):
    module = catalog.experiment(name)
    with refuses(*words):
        module.prepare(replace(module.DEFAULT, **wrong))


@pytest.mark.parametrize("name", list(catalog.experiments()))
def test_every_experiment_refuses_what_no_experiment_can_run(name, refuses):
    default = catalog.experiment(name).DEFAULT
    for field in fields(default):
        if isinstance(field.default, tuple):
            with refuses(field.name, "must be a list", "7"):
                replace(default, **{field.name: 7})
    with refuses("seed", "nan"):
        replace(default, seed=float("nan"))
    with refuses("device", "None"):
        replace(default, device=None)


def test_networks_too_wide_for_the_memory_are_refused_before_it_is_taken(refuses):
    with refuses("3 networks 64-1000000000-10 take 3,600.0 GB", "are free on cpu"):
        Population(MLP(64, (10**9,), 10), (0, 1, 2))


@pytest.mark.parametrize("value", [np.array(["a", "b"]), torch.ones(3), ["a"], {"a"}, np.arange(10_000), float("nan")])
def test_a_choice_given_as_something_else(refuses, value):
    with refuses("way must be one of a, b; got"):
        one_of("way", value, ["a", "b"])


def test_an_idx_file_whose_sizes_overflow(tmp_path, refuses):
    path = tmp_path / "images"
    path.write_bytes(struct.pack(">4I", 0x0803, 2**31, 2**31, 2**2) + b"")   # NumPy counts 0 values in that
    with refuses("images", "0 values instead of 18,446,744,073,709,551,616"):
        read_idx(path, 3)


@pytest.mark.parametrize(("at", "wrong"), [(39_000, b"\xff" * 40), (10, b"\x07")],
                         ids=["another checksum", "no kind of block"])
def test_a_gz_file_that_is_damaged(tmp_path, refuses, at, wrong):
    """In its middle, and where the packing itself no longer makes sense: the second is another error of Python's."""
    packed = bytearray(gzip.compress(struct.pack(">4I", 0x0803, 100, 28, 28) + np.random.default_rng(0).bytes(78_400)))
    packed[at:at + len(wrong)] = wrong
    (tmp_path / "images.gz").write_bytes(packed)
    with refuses("images.gz", "damaged"):
        read_idx(tmp_path / "images.gz", 3)


@pytest.mark.parametrize("labels", [["cat", "dog"], [0.5, 1.5], [[0, 1], [1, 0]], None])
def test_cifar_labels_that_are_no_numbers(tmp_path, refuses, labels):
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": labels}))
    with refuses("batch", "its labels are not a list of whole numbers"):
        cifar.read_python(cifar.CIFAR_10, [path, path])


def test_names_of_columns_are_no_html():
    table = Table(pd.DataFrame({"<b>bold</b>": ["<i>a</i>"]}))
    page = table._repr_mimebundle_()["text/html"]
    assert "&lt;b&gt;" in page and "&lt;i&gt;" in page and "<b>" not in page and "<i>" not in page


# Results ------------------------------------------------------------------------------------------------------------

@pytest.fixture
def record(tmp_path):
    """A small record, whole."""
    path = tmp_path / "record.json"
    results = catalog.recorded("dark_knowledge")
    replace(results, table=results.table.head(5)).save(path)
    return path


@pytest.mark.parametrize(("change", "words"), [
    (lambda stored: stored.pop("provenance"), ("provenance",)),
    (lambda stored: stored.update(provenance=None), ("provenance", "None")),
    (lambda stored: stored.update(params=None), ("params", "None")),
    (lambda stored: stored.update(pieces=3), ("not a results file",)),
    (lambda stored: stored.pop("columns"), ("columns",)),
])
def test_a_record_that_lacks_a_part(record, refuses, change, words):
    stored = json.loads(record.read_text())
    change(stored)
    record.write_text(json.dumps(stored))
    with refuses(str(record), "is not a results file", *words):
        Results.load(record)


def test_a_record_that_is_a_folder_or_no_text_or_not_there(tmp_path, refuses):
    with refuses(str(tmp_path), "cannot be read", "directory"):
        Results.load(tmp_path)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with refuses("bytes", "not a results file"):
        Results.load(tmp_path / "bytes")
    with pytest.raises(AbsentError):
        Results.load(tmp_path / "gone.json")


def test_a_damaged_record_is_not_taken_for_a_missing_one(record, monkeypatch):
    """Catches `no results are stored` and exit status 0 for a course whose file is broken."""
    record.write_text(record.read_text()[:50])
    monkeypatch.setattr(catalog, "recorded_at", lambda name: record)
    result = CliRunner().invoke(cli.app, ["claims"])
    assert result.exit_code == 2 and "is not a results file" in result.stderr and result.stdout == ""
    record.unlink()
    assert "no results are stored" in CliRunner().invoke(cli.app, ["claims"]).stdout
