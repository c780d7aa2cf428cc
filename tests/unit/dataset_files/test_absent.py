"""What is not there, or not what it says."""

import gzip
import hashlib
from pathlib import Path

import pytest
import torch
from made_files import TO_FETCH, binary_file, made_cifar, made_idx

from kdutils import datasets
from kdutils.datasets import CARDS, files, load

# What is not there, or not what it says --------------------------------------------------------------------------

@pytest.mark.parametrize("name", TO_FETCH)
def test_absent_data_say_what_to_run(name, tmp_path, monkeypatch, refuses):
    monkeypatch.setenv("KDUTILS_DATA", str(tmp_path / "nothing here"))
    assert not datasets.available(name)
    with refuses(name, "nothing here", f"`kdutils data get {name}`", "KDUTILS_DATA", "MB"):
        load(name)
    assert not (tmp_path / "nothing here").exists(), "asking must not create or download anything"


def test_data_that_arrive_later_are_found(publish, refuses):
    publish("fashion-mnist", 0, made_idx()[1])
    with refuses("mnist", "is not in"):
        load("mnist")
    publish("mnist", 0, made_idx()[1])
    assert len(load("mnist")) == 40


@pytest.mark.parametrize("damage, says", [
    (lambda content: b"", "cut short: 0 bytes"),
    (lambda content: content[:-100], "cut short"),
    (lambda content: content + b"x", "too long"),
    (lambda content: gzip.compress(content), "still packed (gzip)"),
    (lambda content: b"<!DOCTYPE html><title>404</title>", "web page"),
], ids=["empty", "cut short", "too long", "packed", "a web page"])
@pytest.mark.parametrize("name", ["mnist", "cifar-100"])
def test_damaged_files_are_named(publish, refuses, name, damage, says):
    contents = made_idx()[1] if name == "mnist" else [binary_file(*part) for part in made_cifar([9, 4], 100)]
    path = publish(name, 0, contents)[1]
    path.write_bytes(damage(path.read_bytes()))
    assert not datasets.available(name)
    with refuses(str(path), name, says, "delete it", f"kdutils data get {name}"):
        load(name)


def test_a_file_of_the_right_size_but_another_content_is_named(publish, refuses):
    paths = publish("cifar-100", 0, [binary_file(*part) for part in made_cifar([9, 4], 100)])
    content = bytearray(paths[0].read_bytes())
    content[5000] ^= 1
    paths[0].write_bytes(content)
    assert datasets.available("cifar-100"), "sizes are all that is looked at before loading"
    with refuses(str(paths[0]), "MD5", CARDS["cifar-100"].layouts[0].files[0].checksum, "delete it"):
        load("cifar-100")


def test_a_file_that_may_not_be_read_is_one_sentence(publish, monkeypatch, refuses):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    publish("mnist", 0, made_idx()[1])
    monkeypatch.setattr(files, "checksum", denied)
    with refuses("mnist", "cannot be read", "Permission denied"):
        load("mnist")


def test_a_missing_part_is_named(publish, refuses):
    paths = publish("cifar-10", 0, [binary_file(*part) for part in made_cifar([3] * 6, 10)])
    paths[3].unlink()
    with refuses(str(paths[3]), "is missing", "kdutils data get cifar-10"):
        load("cifar-10")


def test_the_state_of_a_set_tells_whole_from_half(publish, refuses):
    assert datasets.state("cifar-10") == "not here"
    paths = publish("cifar-10", 0, [binary_file(*part) for part in made_cifar([3] * 6, 10)])
    assert datasets.state("cifar-10") == "here"
    whole = paths[3].read_bytes()
    paths[3].write_bytes(whole[:-1])
    assert datasets.state("cifar-10") == "not whole"
    paths[3].unlink()
    assert datasets.state("cifar-10") == "not whole"
    with refuses("data set", "'mnits'"):
        datasets.state("mnits")


def test_another_sets_file_under_this_name_is_recognised(publish, refuses):
    """Fashion-MNIST has MNIST's file names and sizes: only the checksum tells them apart."""
    fashion = publish("fashion-mnist", 0, made_idx()[1])
    mnist = publish("mnist", 0, made_idx()[1])
    mnist[0].write_bytes(fashion[0].read_bytes())
    with refuses(str(mnist[0]), "train-images-idx3-ubyte of fashion-mnist"):
        load("mnist")
    ten = publish("cifar-10", 0, [binary_file(*part) for part in made_cifar([3] * 6, 10)])
    hundred = publish("cifar-100", 0, [binary_file(*part) for part in made_cifar([9, 4], 100)])
    hundred[1].write_bytes(ten[5].read_bytes())
    with refuses(str(hundred[1]), "test_batch.bin of cifar-10"):
        load("cifar-100")
    object.__setattr__(CARDS["cifar-10"].layouts[0].files[5], "bytes", None)  # pickles: sizes were never published
    with refuses(str(hundred[1]), "test_batch.bin of cifar-10"):
        load("cifar-100")


def test_the_embedded_set_needs_no_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KDUTILS_DATA", str(tmp_path / "missing"))
    assert datasets.available("digits") and len(load()) == 1797 and datasets.get("digits") == tmp_path / "missing"


def test_a_grouping_is_a_data_set_like_any_other(refuses, tmp_path, monkeypatch):
    """Catches a name that an experiment takes for its data and that nobody can look at with `load`."""
    halves, digits = load("digits-2x5"), load("digits")
    assert halves.name == "digits-2x5" and torch.equal(halves.images, digits.images)
    assert torch.equal(halves.hidden, digits.labels) and torch.equal(halves.labels, digits.labels // 5)
    assert halves.fingerprint == datasets.grouped("digits-2x5").fingerprint
    monkeypatch.setenv("KDUTILS_DATA", str(tmp_path))
    assert datasets.available("digits-2x5") and not datasets.available("mnist-2x5")
    assert datasets.state("mnist-2x5") == "not here"
    with refuses("mnist", "kdutils data get mnist"):
        load("mnist-2x5")
    with refuses("grouping", "digits-2x5", "'digits'"):
        datasets.grouped("digits")


def test_unknown_names_and_devices_are_refused(refuses):
    for ask in (load, datasets.available, datasets.get):
        with refuses("data set", "'mnits'", "digits", "fashion-mnist"):
            ask("mnits")
    with refuses("device", "warp9"):
        load("digits", "warp9")
    if not torch.cuda.is_available():
        with refuses("device", "cuda"):
            load("digits", "cuda")


def test_every_checksum_is_one():
    for card in CARDS.values():
        published = [file for layout in card.layouts for file in layout.files]
        for file in published + [download.file for download in card.downloads]:
            assert file.checksum is None or (len(file.checksum) in (32, 40, 64) and int(file.checksum, 16) >= 0)
    path = Path(__file__)
    for digits, name in ((32, "md5"), (40, "sha1"), (64, "sha256")):
        assert files.checksum(path, digits) == hashlib.new(name, path.read_bytes()).hexdigest()
