"""Data sets as their owners distribute them, through tiny made files in the same layouts, and the real ones at hand."""

import gzip
import hashlib
import io
import os
import pickle
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from kdutils import datasets
from kdutils.datasets import CARDS, cifar, files, load, split
from kdutils.datasets.files import File

TO_FETCH = [name for name, card in CARDS.items() if card.downloads]
RANDOM = np.random.default_rng(0)


# Made files -------------------------------------------------------------------------------------------------------

@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Write files of a layout into KDUTILS_DATA and make theirs the published sizes and checksums."""
    monkeypatch.setenv("KDUTILS_DATA", str(tmp_path))

    def write(name, layout, contents):
        card = CARDS[name]
        old = card.layouts[layout]
        made = tuple(File(file.path, len(content), hashlib.md5(content).hexdigest())
                     for file, content in zip(old.files, contents, strict=True))
        for file, content in zip(made, contents, strict=True):
            (tmp_path / file.path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file.path).write_bytes(content)
        layouts = tuple(replace(old, files=made) if i == layout else other for i, other in enumerate(card.layouts))
        monkeypatch.setitem(CARDS, name, replace(card, layouts=layouts))
        return [tmp_path / file.path for file in made]

    return write


def idx_file(array):
    """The format MNIST's owners distribute: magic number, sizes, bytes."""
    return struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()


def made_idx(n=(30, 10)):
    """Images and labels of the two parts, and the four files that hold them."""
    arrays = [array for size in n for array in (RANDOM.integers(0, 256, (size, 28, 28), np.uint8),
                                                RANDOM.integers(0, 10, size, np.uint8))]
    return arrays, [idx_file(array) for array in arrays]


def made_cifar(sizes, classes):
    """Pixels (n, 3072), fine labels and, where there are 100, the coarse ones, of every file."""
    coarse_of = [list(cifar.COARSE).index(group) for fine in cifar.HUNDRED
                 for group, members in cifar.COARSE.items() if fine in members]
    for n in sizes:
        labels = RANDOM.integers(0, classes, n)
        coarse = np.array(coarse_of)[labels] if classes == 100 else None
        yield RANDOM.integers(0, 256, (n, 3072), np.uint8), labels, coarse


def binary_file(pixels, labels, coarse):
    columns = [part[:, None].astype(np.uint8) for part in (coarse, labels) if part is not None]
    return np.concatenate([*columns, pixels], 1).tobytes()


def python_file(pixels, labels, coarse):
    """A batch as Python 2 and the NumPy of its day pickled it (protocol 2): texts are byte strings.

    Python 3 writes other instructions for the same dictionary, so this spells the old ones out.
    """
    def text(content):
        return b"T" + struct.pack("<i", len(content)) + content

    def whole(number):
        return b"J" + struct.pack("<i", number)

    def numbers(values):
        return b"](" + b"".join(map(whole, values)) + b"e"

    code = text(pixels.dtype.str[1:].encode())
    dtype = b"cnumpy\ndtype\n" + code + b"K\0K\1\x87R(K\3" + text(b"|") + b"NNN" + whole(-1) * 2 + b"K\0tb"
    array = (b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + text(b"b") + b"\x87R(K\1"
             + whole(pixels.shape[0]) + whole(pixels.shape[1]) + b"\x86" + dtype + b"\x89" + text(pixels.tobytes())
             + b"tb")
    entries = text(b"batch_label") + text(b"made") + text(b"data") + array
    if coarse is None:
        entries += text(b"labels") + numbers(labels)
    else:
        entries += text(b"fine_labels") + numbers(labels) + text(b"coarse_labels") + numbers(coarse)
    return b"\x80\2}(" + entries + b"u."


# MNIST's layout ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("packed", [False, True], ids=["unpacked", "packed"])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_files_in_mnists_layout(publish, name, packed, device):
    arrays, contents = made_idx()
    publish(name, int(packed), [gzip.compress(content) for content in contents] if packed else contents)
    assert datasets.available(name)
    data = load(name, device)
    images, labels = np.concatenate(arrays[::2]), np.concatenate(arrays[1::2])
    np.testing.assert_array_equal(data.images[:, 0].cpu(), images)
    np.testing.assert_array_equal(data.labels.cpu(), labels)
    np.testing.assert_allclose(data.inputs.cpu()[:, 0], images / 255, rtol=1e-6)
    assert data.name == name and data.n_classes == 10 and data.test.tolist() == list(range(30, 40))
    assert split(data, 0).test.tolist() == data.test.tolist()
    assert sorted(split(data, 0).pool.tolist()) == list(range(30))
    assert "Sandal" in data.classes or data.classes[0].startswith("0")


def test_names_and_checksums_are_torchvisions():
    """A digit mistyped in a checksum would call the owners' own files damaged."""
    from torchvision.datasets import CIFAR10, CIFAR100, MNIST, SVHN, FashionMNIST

    def sums(name, layout):
        return [file.checksum for file in CARDS[name].layouts[layout].files]

    assert sums("mnist", 1) == [md5 for _, md5 in MNIST.resources] and load_classes("mnist") == MNIST.classes
    assert sums("fashion-mnist", 1) == [md5 for _, md5 in FashionMNIST.resources]
    assert load_classes("fashion-mnist") == FashionMNIST.classes
    assert sums("cifar-10", 1) == [md5 for _, md5 in CIFAR10.train_list + CIFAR10.test_list]
    assert sums("cifar-100", 1) == [md5 for _, md5 in CIFAR100.train_list + CIFAR100.test_list]
    assert sums("svhn", 0) == [SVHN.split_list[part][2] for part in ("train", "test")]


def load_classes(name):
    return list(CARDS[name].layouts[0].read.args[1])


# CIFAR ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("layout, encode", [(0, binary_file), (1, python_file)], ids=["binary", "python"])
@pytest.mark.parametrize("name, sizes, classes", [("cifar-10", [7, 5, 6, 4, 3, 5], 10), ("cifar-100", [40, 9], 100)])
def test_both_cifar_layouts(publish, name, sizes, classes, layout, encode):
    """Catches the coarse byte taken for the label, colour planes interleaved, and files out of order."""
    parts = list(made_cifar(sizes, classes))
    publish(name, layout, [encode(*part) for part in parts])
    assert datasets.available(name)
    data = load(name)
    assert data.images.is_contiguous() and data.shape == (3, 32, 32) and data.n_classes == classes
    np.testing.assert_array_equal(data.images, np.concatenate([part[0] for part in parts]).reshape(-1, 3, 32, 32))
    np.testing.assert_array_equal(data.labels, np.concatenate([part[1] for part in parts]))
    assert data.test.tolist() == list(range(sum(sizes[:-1]), sum(sizes)))


def test_the_two_layouts_of_one_set_give_one_fingerprint(publish):
    parts = list(made_cifar([12, 4], 100))
    publish("cifar-100", 0, [binary_file(*part) for part in parts])
    binary = cifar.read_binary(cifar.CIFAR_100, [datasets.root() / file.path for file in
                                                 CARDS["cifar-100"].layouts[0].files])
    publish("cifar-100", 1, [python_file(*part) for part in parts])
    python = cifar.read_python(cifar.CIFAR_100, [datasets.root() / file.path for file in
                                                 CARDS["cifar-100"].layouts[1].files])
    assert binary.fingerprint == python.fingerprint


def test_the_coarse_table_is_a_partition_in_alphabetical_order():
    assert len(cifar.HUNDRED) == len(set(cifar.HUNDRED)) == 100 and len(cifar.COARSE) == 20
    assert all(len(group) == 5 for group in cifar.COARSE.values())
    assert list(cifar.COARSE) == sorted(cifar.COARSE) and list(cifar.HUNDRED) == sorted(cifar.HUNDRED)


def test_a_pickle_that_calls_anything_is_refused(publish, tmp_path, refuses):
    """A pickle runs what it names: here it would make a folder."""
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    publish("cifar-100", 1, [pickle.dumps({b"data": Evil()}, protocol=2)] * 2)
    with refuses("cifar-100-python/train", "wants to call", "mkdir"):
        load("cifar-100")
    assert not (tmp_path / "owned").exists()


def test_pickles_of_another_shape_are_refused(publish, refuses):
    (pixels, labels, coarse), = made_cifar([4], 100)
    whole = python_file(pixels, labels, coarse)
    for content, words in [(whole[:-40], ("not a whole pickle",)), (b"", ("not a whole pickle",)),
                           (pickle.dumps([1, 2]), ("not a batch of cifar-100", "fine_labels")),
                           (python_file(pixels, labels, None), ("not a batch of cifar-100",)),
                           (python_file(pixels[:, :100], labels, coarse), ("(4, 100)", "(4, 3072)")),
                           (python_file(pixels.astype(np.int16), labels, coarse), ("int16",)),
                           (python_file(pixels, labels + 100, coarse), ("label", "0 to 99"))]:
        publish("cifar-100", 1, [content, whole])
        with refuses("cifar-100-python/train", *words):
            load("cifar-100")


def test_binary_files_of_the_other_cifar_are_refused(publish, refuses):
    """Records of 3,073 bytes read as records of 3,074 would shift the labels by one byte each."""
    publish("cifar-100", 0, [binary_file(*part) for part in made_cifar([6, 3], 10)])
    with refuses("cifar-100-binary/train.bin", "3,074"):
        load("cifar-100")
    publish("cifar-10", 0, [binary_file(*part) for part in made_cifar([3073] + [3074] * 5, 100)][:1] * 6)
    with refuses("data_batch_1.bin", "label", "0 to 9"):
        load("cifar-10")


# SVHN -------------------------------------------------------------------------------------------------------------

def mat_file(pixels, labels):
    content = io.BytesIO()
    savemat(content, {"X": pixels, "y": labels[:, None]})
    return content.getvalue()


def test_svhn(publish):
    """Catches the label 10 left for the digit 0, and height, width and colour in another order."""
    parts = [(RANDOM.integers(0, 256, (32, 32, 3, n), np.uint8), np.r_[10, 1, RANDOM.integers(1, 11, n - 2)].astype(
        np.uint8)) for n in (9, 4)]
    publish("svhn", 0, [mat_file(*part) for part in parts])
    data = load("svhn")
    assert data.shape == (3, 32, 32) and data.labels[:2].tolist() == [0, 1] and data.test.tolist() == [9, 10, 11, 12]
    assert data.images[2, 1, 5, 7] == parts[0][0][5, 7, 1, 2] and data.images[11, 2, 31, 0] == parts[1][0][31, 0, 2, 2]
    np.testing.assert_array_equal(data.labels, np.concatenate([labels % 10 for _, labels in parts]))


def test_svhn_files_of_another_shape_are_refused(publish, refuses):
    pixels, labels = np.zeros((32, 32, 3, 4), np.uint8), np.array([1, 2, 3, 10], np.uint8)
    good = mat_file(pixels, labels)
    for content, words in [(good[: len(good) // 2], ("not a MATLAB file",)), (b"x" * 500, ("not a MATLAB file",)),
                           (mat_file(pixels[..., :3], labels), ("(32, 32, 3, 4)",)),
                           (mat_file(pixels, labels - 1), ("labels must be 1 to 10",))]:
        publish("svhn", 0, [content, good])
        with refuses("train_32x32.mat", *words):
            load("svhn")


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
    with refuses("mnist"):
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


def test_a_missing_part_is_named(publish, refuses):
    paths = publish("cifar-10", 0, [binary_file(*part) for part in made_cifar([3] * 6, 10)])
    paths[3].unlink()
    with refuses(str(paths[3]), "is missing", "kdutils data get cifar-10"):
        load("cifar-10")


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


def test_the_embedded_set_needs_no_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KDUTILS_DATA", str(tmp_path / "missing"))
    assert datasets.available("digits") and len(load()) == 1797 and datasets.get("digits") == tmp_path / "missing"


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


# The real files ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", TO_FETCH)
def test_the_real_files_where_they_are_at_hand(name):
    here = os.environ.get("KDUTILS_DATA")
    if not (here and Path(here).is_dir() and datasets.available(name)):
        pytest.skip(f"{name} is not in KDUTILS_DATA")
    data = load(name)
    assert len(data) == CARDS[name].examples
    if name != "svhn":
        assert len(data.test) == 10_000 and data.labels[data.test].bincount(minlength=data.n_classes).min() >= 80


def test_cifar_100s_coarse_bytes_agree_with_the_table():
    here = os.environ.get("KDUTILS_DATA")
    layout = CARDS["cifar-100"].layouts[0]
    if not (here and layout.fits(Path(here))):
        pytest.skip("the binary version of cifar-100 is not in KDUTILS_DATA")
    labels = np.concatenate([cifar.binary_records(Path(here) / file.path, 2)[:, :2] for file in layout.files])
    data = datasets.grouped("cifar-100-coarse")
    np.testing.assert_array_equal(data.labels, labels[:, 0])
    np.testing.assert_array_equal(data.hidden, labels[:, 1])
