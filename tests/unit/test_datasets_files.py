"""Data sets as their owners distribute them, through tiny made files in the same layouts, and the real ones at hand."""

import gzip
import hashlib
import io
import os
import pickle
import re
import struct
import tarfile
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from kdutils import datasets
from kdutils.datasets import CARDS, cifar, files, idx, load, split
from kdutils.datasets.fetch import Download, unpack
from kdutils.datasets.files import File

TO_FETCH = [name for name, card in CARDS.items() if card.downloads]
RANDOM = np.random.default_rng(0)


# Made files -------------------------------------------------------------------------------------------------------

@pytest.fixture(autouse=True)
def same_content():
    """The same made files whichever tests run before."""
    RANDOM.bit_generator.state = np.random.default_rng(0).bit_generator.state


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


@pytest.mark.parametrize("name", ["part", "part.gz"])
def test_a_file_of_another_shape_is_refused_whatever_its_checksum(name, tmp_path, refuses):
    """Catches half a file that is taken for a whole one where its owners have published it so."""
    whole = idx_file(RANDOM.integers(0, 256, (5, 28, 28), np.uint8))
    pack = gzip.compress if name.endswith("gz") else bytes
    for content, words in [(pack(whole)[:-30], ("cut short",)), (pack(whole[:-1]), ("cut short", "3,919", "3,920")),
                           (pack(whole[:10]), ("cut short",)), (b"", ("cut short",)),
                           (pack(whole[:3] + b"\x01" + whole[4:]), ("3 dimensions",))]:
        (tmp_path / name).write_bytes(content)
        with refuses(str(tmp_path / name), *words):
            idx.read_idx(tmp_path / name, 3)
    (tmp_path / name).write_bytes(pack(whole))
    assert idx.read_idx(tmp_path / name, 3).shape == (5, 28, 28)


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


# Owners' layouts of tables and faces ------------------------------------------------------------------------------

ADULT = """39, State-gov, 77516, Bachelors, 13, Never-married, Adm-clerical, Not-in-family, White, Male, 2174, 0, 40, \
United-States, <=50K
50, ?, 83311, Masters, 14, Divorced, Sales, Wife, Black, Female, 0, 5, 13, Cuba, >50K

"""
ADULT_TEST = """|1x3 Cross validator
25, Private, 226802, 11th, 7, Divorced, ?, Own-child, White, Male, 0, 0, 38, Cuba, >50K.
"""


def test_adult(publish):
    """Catches the test file's first line read as a person and its full stops read as other classes."""
    publish("adult", 0, [ADULT.encode(), ADULT_TEST.encode()])
    data = load("adult")
    assert data.labels.tolist() == [0, 1, 1] and data.classes == ("<=50K", ">50K") and data.test.tolist() == [2]
    columns = dict(zip(data.fields, [*data.numeric.T, *data.categories.T], strict=True))
    assert columns["age"].tolist() == [39, 50, 25] and columns["hours-per-week"].tolist() == [40, 13, 38]
    assert columns["native-country"].tolist() == [1, 0, 0] and columns["sex"].tolist() == [1, 0, 1]
    assert data.cardinalities == (3, 3, 2, 3, 3, 2, 2, 2), "an unknown workclass is a workclass of its own"


def test_adults_of_another_layout_are_refused(publish, refuses):
    for content, words in [(ADULT.replace("39, ", ""), ("line 1", "14 fields")),
                           (ADULT.replace(">50K", "rich"), ("line 2", ">50K")), ("", ("no rows",)),
                           (ADULT.replace("77516", "many"), ("text where a number belongs",))]:
        publish("adult", 0, [content.encode(), ADULT_TEST.encode()])
        with refuses("adult.data", *words):
            load("adult")


def impression(label, counts, hashes):
    """A line of Criteo's layout; None is an empty field."""
    return "\t".join([str(label), *("" if one is None else str(one) for one in counts),
                      *("" if one is None else f"{one:08x}" for one in hashes)]) + "\n"


def test_criteo(publish):
    """Catches a missing value read as 0, a hash read as decimal, and the counts' columns read as categories."""
    lines = [impression(i % 4 == 0, [None, -2, *range(11)], [None, 0xFFFFFFFF, *range(i, i + 24)]) for i in range(15)]
    (path,) = publish("criteo", 0, ["".join(lines).replace("True", "1").replace("False", "0").encode()])
    data = load("criteo")
    assert data.labels.tolist() == [int(i % 4 == 0) for i in range(15)] and data.test.tolist() == [13, 14]
    expected = [np.nan, -np.log(3), *np.log1p(range(11))]
    np.testing.assert_allclose(data.numeric, np.tile(expected, (15, 1)), rtol=1e-6)
    assert data.cardinalities == (32,) * 26 and len(data.fields) == 39
    assert not data.categories[:, 0].any() and (data.categories[:, 1] == 1 + 0xFFFFFFFF % 31).all()
    assert data.categories[3, 2:].tolist() == [1 + i % 31 for i in range(3, 27)]
    assert data.inputs.isfinite().all() and data.shape == (1, 1, 13 + 26 * 32)
    few = datasets.criteo(path, rows=8, buckets=3)
    assert len(few) == 8 and few.test.tolist() == [7] and few.categories.max() == 2


def test_logs_of_another_layout_are_refused(tmp_path, refuses):
    good = impression(1, range(13), range(26))
    for bad, words in [(good[2:], ("line 9", "label")), ("2" + good[1:], ("label of 0 or 1",)),
                       (good.replace("\t", ","), ("tab-separated",)), (good.replace("\t5\t", "\t5.5\t", 1), ("whole",)),
                       (good.replace("00000007", "zzzzzzzz"), ("hexadecimal",))]:
        (tmp_path / "log").write_text(good * 8 + bad)
        with refuses(str(tmp_path / "log"), "line 9", *words):
            datasets.criteo(tmp_path / "log")
    (tmp_path / "log").write_bytes(gzip.compress(good.encode()))
    with refuses("not a text file", "unpacked"):
        datasets.criteo(tmp_path / "log")
    (tmp_path / "log").write_text(good)
    with refuses("at least 7", "1"):
        datasets.criteo(tmp_path / "log")
    with refuses("no such log", "No such file"):
        datasets.criteo(tmp_path / "no such log")
    with refuses("buckets", "1"):
        datasets.criteo(tmp_path / "log", buckets=1)


@pytest.fixture
def faces(tmp_path):
    """Ten faces, 178x218: the left half of the middle square is `100 + 10 i` red, all above and below it is white."""
    from torchvision.io import write_jpeg

    folder = tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    lines, parts = ["10", "Bald Male Smiling "], []
    for i in range(10):
        picture = torch.full((3, 218, 178), 255, dtype=torch.uint8)
        picture[:, 20:198] = 0
        picture[0, 20:198, :89] = 100 + 10 * i
        write_jpeg(picture, str(folder / "img_align_celeba" / f"{i + 1:06d}.jpg"), quality=100)
        lines.append(f"{i + 1:06d}.jpg {1 if i == 3 else -1:2d} {(-1) ** i:2d} {1 if i < 5 else -1:2d}")
        parts.append(f"{i + 1:06d}.jpg {0 if i < 6 else 1 if i < 8 else 2}")
    (folder / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    (folder / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")
    return folder


def test_celeba(faces):
    """Catches -1 read as a class, the wrong attribute's column, and a squeezed instead of a cropped picture."""
    data = datasets.celeba(faces, size=8)
    assert data.labels.tolist() == [1] * 5 + [0] * 5 and data.hidden.tolist() == [1, 0] * 5
    assert data.classes == ("not Smiling", "Smiling") and data.hidden_classes == ("not Male", "Male")
    assert data.test.tolist() == [8, 9] and data.shape == (3, 8, 8)
    for i in range(10):
        left, right = data.images[i, 0, :, :3].float(), data.images[i, 0, :, 5:].float()
        assert (left - (100 + 10 * i)).abs().max() <= 4 and right.max() <= 4, "no white comes in from above or below"
    some = datasets.celeba(faces, label="Bald", hidden=None, size=4, n=5)
    assert some.labels.tolist() == [0] * 5 and some.hidden is None and some.test.tolist() == [4] and len(some) == 5
    assert datasets.celeba(faces, "Bald", "Smiling", 4).labels.tolist() == [int(i == 3) for i in range(10)]


def test_faces_that_are_not_whole_are_refused(faces, refuses):
    with refuses("label", "Smiling", "'Grinning'"):
        datasets.celeba(faces, label="Grinning")
    with refuses("size", "179"):
        datasets.celeba(faces, size=179)
    with refuses("n must", "11"):
        datasets.celeba(faces, n=11)
    picture = faces / "img_align_celeba" / "000004.jpg"
    picture.write_bytes(picture.read_bytes()[:100])
    with refuses("000004.jpg", "not a picture"):
        datasets.celeba(faces)
    picture.unlink()
    with refuses("000004.jpg", "missing"):
        datasets.celeba(faces)
    parts = faces / "list_eval_partition.txt"
    parts.write_text(parts.read_text().replace("000007.jpg 1\n", ""))
    with refuses("list_eval_partition.txt", "every picture"):
        datasets.celeba(faces)
    attributes = faces / "list_attr_celeba.txt"
    attributes.write_text(attributes.read_text().replace("10\n", "11\n", 1))
    with refuses("list_attr_celeba.txt", "not a whole list"):
        datasets.celeba(faces)


@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if card.by_hand])
def test_sets_that_are_not_ours_say_where_to_put_them(name, tmp_path, monkeypatch, refuses):
    monkeypatch.setenv("KDUTILS_DATA", str(tmp_path / "none"))
    assert not datasets.available(name)
    with refuses(name, "owners", f"folder {name}", "KDUTILS_DATA"):
        load(name)
    with refuses(name, "not ours", "owners", f"folder {name}"):
        datasets.get(name)
    assert not (tmp_path / "none").exists()


# Downloads --------------------------------------------------------------------------------------------------------

class Shelf:
    """A server on this machine that can break off, ignore ranges, or have another file than it should."""

    def __init__(self):
        shelf = self
        self.files, self.asked, self.break_after, self.ranges = {}, [], None, True

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name, wanted = self.path.lstrip("/"), self.headers["Range"]
                shelf.asked.append((name, wanted))
                if name not in shelf.files:
                    return self.send_error(404)
                content = shelf.files[name]
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and shelf.ranges else 0
                if start >= len(content) > 0:
                    return self.send_error(416)
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                self.wfile.write(content[start:][:shelf.break_after])

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def shelf(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    shelf = Shelf()
    yield shelf
    shelf.server.shutdown()
    shelf.server.server_close()


@pytest.fixture
def offered(shelf, publish, tmp_path, monkeypatch):
    """CIFAR-100 of thirteen images, offered by the server as the owners' archive and not on the disk."""
    contents = [binary_file(*part) for part in made_cifar([9, 4], 100)]
    for path in publish("cifar-100", 0, contents):
        path.unlink()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in [("fine_label_names.txt", b"apple"), ("train.bin", contents[0]), ("test.bin", contents[1]),
                              ("../../escaped.bin", b"x")]:
            member = tarfile.TarInfo(f"cifar-100-binary/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    archive = shelf.files["cifar-100-binary.tar.gz"] = packed.getvalue()
    known = File("cifar-100-binary.tar.gz", len(archive), hashlib.md5(archive).hexdigest())
    monkeypatch.setitem(CARDS, "cifar-100", replace(CARDS["cifar-100"], downloads=(
        Download(known, (shelf.url + "gone/away.tar.gz", shelf.url + known.path)),)))
    return tmp_path


def test_a_download_is_unpacked_checked_and_loaded(offered, shelf, capfd):
    assert datasets.get("cifar-100") == offered and datasets.available("cifar-100") and len(load("cifar-100")) == 13
    assert sorted(path.name for path in offered.rglob("*") if path.is_file()) == ["test.bin", "train.bin"]
    assert not list(offered.parent.rglob("escaped.bin")), "only what the layout names is written"
    assert "100%" in capfd.readouterr().err, "a bar was shown"
    asked = len(shelf.asked)
    assert datasets.get("cifar-100") == offered and len(shelf.asked) == asked, "nothing is fetched twice"


@pytest.mark.parametrize("ranges", [True, False], ids=["continued", "from the start"])
def test_a_download_that_breaks_off_goes_on(offered, shelf, refuses, ranges):
    """Catches a second half appended to a whole file where the server does not continue."""
    shelf.break_after, shelf.ranges = 1000, ranges
    with refuses("could not be fetched", "network", "continues", "1,000 of"):
        datasets.get("cifar-100")
    assert not datasets.available("cifar-100") and (offered / "cifar-100-binary.tar.gz.part").stat().st_size == 1000
    shelf.break_after = None
    datasets.get("cifar-100")
    assert shelf.asked[-1] == ("cifar-100-binary.tar.gz", "bytes=1000-") and len(load("cifar-100")) == 13


def test_a_part_that_is_whole_or_foreign_does_not_block(offered, shelf, refuses):
    part = offered / "cifar-100-binary.tar.gz.part"
    part.write_bytes(shelf.files[part.stem])
    datasets.get("cifar-100")
    assert len(load("cifar-100")) == 13


def test_a_foreign_part_is_thrown_away(offered, shelf, refuses):
    (offered / "cifar-100-binary.tar.gz.part").write_bytes(b"x" * 500)
    with refuses("cifar-100-binary.tar.gz.part", "MD5", "deleted"):
        datasets.get("cifar-100")
    datasets.get("cifar-100")
    assert len(load("cifar-100")) == 13


def test_what_is_not_the_published_file_never_gets_its_name(offered, shelf, refuses):
    whole = shelf.files["cifar-100-binary.tar.gz"]
    for content, words in [(whole[:-1] + b"x", ("MD5",)), (b"<html>gone</html>", ("web page",)),
                           (whole[:-9], ("cut short",))]:
        shelf.files["cifar-100-binary.tar.gz"] = content
        with refuses("cifar-100-binary.tar.gz", *words):
            datasets.get("cifar-100")
        assert not [path for path in offered.rglob("*") if path.is_file()]


def test_an_archive_that_is_there_is_used_or_named_but_never_overwritten(offered, shelf, refuses):
    """CIFAR-10's archive in the place of CIFAR-100's."""
    archive = offered / "cifar-100-binary.tar.gz"
    archive.write_bytes(b"mine")
    with refuses(str(archive), "cut short", "delete it"):
        datasets.get("cifar-100")
    assert archive.read_bytes() == b"mine" and not shelf.asked
    (known,) = CARDS["cifar-10"].downloads
    other = File(known.file.path, 4, hashlib.md5(b"mine").hexdigest())
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CARDS, "cifar-10", replace(CARDS["cifar-10"], downloads=(Download(other, known.urls),)))
        with refuses(str(archive), "cifar-10-binary.tar.gz of cifar-10"):
            datasets.get("cifar-100")
    archive.write_bytes(shelf.files[archive.name])
    datasets.get("cifar-100")
    assert len(load("cifar-100")) == 13 and archive.exists() and not shelf.asked, "what the reader fetched stays"


def test_wrong_files_in_the_way_are_named_and_left_alone(offered, shelf, refuses):
    mine = offered / "cifar-100-binary" / "train.bin"
    mine.write_bytes(b"mine")
    with refuses(str(mine), "cut short", "delete it"):
        datasets.get("cifar-100")
    assert mine.read_bytes() == b"mine" and not shelf.asked


def test_packed_files_are_fetched_and_unpacked_one_by_one(shelf, publish, tmp_path, monkeypatch):
    _, contents = made_idx()
    packed = [gzip.compress(content) for content in contents]
    paths = publish("mnist", 1, packed) + publish("mnist", 0, contents)
    for path in paths:
        path.unlink()
    files_ = CARDS["mnist"].layouts[1].files
    shelf.files = {Path(file.path).name: content for file, content in zip(files_, packed, strict=True)}
    monkeypatch.setitem(CARDS, "mnist", replace(CARDS["mnist"], downloads=tuple(
        Download(file, (shelf.url + Path(file.path).name,)) for file in files_)))
    datasets.get("mnist")
    assert len(load("mnist")) == 40 and len(shelf.asked) == 4 and not list(tmp_path.rglob("*.gz"))


def test_an_archive_that_holds_something_else_is_refused(tmp_path, refuses):
    """Catches members that are believed because the archive's own checksum was right, and half an archive."""
    wanted = File("set/part", 5, hashlib.md5(b"whole").hexdigest())
    for content, words in [(gzip.compress(b"wrong"), ("does not hold", "MD5")),
                           (gzip.compress(b"who"), ("does not hold", "cut short")),
                           (gzip.compress(b"whole")[:-6], ("cannot be unpacked",)),
                           (b"not packed", ("cannot be unpacked",))]:
        (tmp_path / "part.gz").write_bytes(content)
        with refuses("part.gz", "delete it", *words):
            unpack(tmp_path / "part.gz", [wanted], tmp_path)
        assert not (tmp_path / "set" / "part").exists()
    (tmp_path / "part.gz").write_bytes(gzip.compress(b"whole"))
    unpack(tmp_path / "part.gz", [wanted], tmp_path)
    assert (tmp_path / "set" / "part").read_bytes() == b"whole"


def test_a_server_that_is_not_there_is_one_sentence(offered, shelf, refuses):
    shelf.server.shutdown()
    shelf.server.server_close()
    with refuses("cifar-100-binary.tar.gz", "could not be fetched", "network"):
        datasets.get("cifar-100")


def test_a_folder_that_cannot_be_written_is_one_sentence(offered, monkeypatch, refuses):
    (offered / "file").write_text("")
    monkeypatch.setenv("KDUTILS_DATA", str(offered / "file"))
    with refuses("cifar-100", "cannot be written", "file"):
        datasets.get("cifar-100")


# Cards ------------------------------------------------------------------------------------------------------------

def test_cards_tell_what_a_reader_should_know():
    for name, card in CARDS.items():
        assert card.name == name and card.examples > 0 and card.licence and card.cite and card.shape and card.title
        assert card.embedded + bool(card.downloads) + bool(card.by_hand) == 1, "one way to come by it"
        assert bool(card.layouts) != card.embedded and (card.download_mb > 0) == bool(card.downloads)
    for name in ("digits", "clicks"):
        assert CARDS[name].examples == len(load(name))


def test_the_readme_has_every_card_and_nothing_else():
    text = (Path(__file__).parents[2] / "data" / "README.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## `([\w-]+)`\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert list(sections) == list(CARDS)
    for name, card in CARDS.items():
        section = sections[name]
        facts = dict(re.findall(r"^\| (examples|shape|licence|cite|how) \| (.*) \|$", section, re.MULTILINE))
        how = ("embedded, nothing to fetch" if card.embedded else f"by hand: {card.by_hand}" if card.by_hand
               else f"{card.download_mb:g} MB to fetch")
        assert section.startswith(f"{card.title}.\n") and facts == {
            "examples": f"{card.examples:,}", "shape": card.shape, "licence": card.licence, "cite": card.cite,
            "how": how}, name
        rows = set(re.findall(r"^\| ([\w ]+) \| `(.+?)` \| ([\d,]+|-) \| (?:`(\w+)`|-) \|$", section, re.MULTILINE))
        ours = [(layout.title, file) for layout in card.layouts for file in layout.files]
        archives = {download.file for download in card.downloads} - {file for _, file in ours}
        assert rows == {(title, file.path, f"{file.bytes:,}" if file.bytes else "-", file.checksum or "")
                        for title, file in [*ours, *(("archive", file) for file in archives)]}, name


# The real files ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", TO_FETCH)
def test_the_real_files_where_they_are_at_hand(name):
    here = os.environ.get("KDUTILS_DATA")
    if not (here and Path(here).is_dir() and datasets.available(name)):
        pytest.skip(f"{name} is not in KDUTILS_DATA")
    data = load(name)
    assert len(data) == CARDS[name].examples
    if name not in ("svhn", "adult"):
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
