"""Files of images as their owners publish them: MNIST's layout, CIFAR, SVHN; made ones, and what is refused."""

import gzip
import io
import os
import pickle
import struct

import numpy as np
import pytest
from made_files import RANDOM, binary_file, idx_file, made_cifar, made_idx
from scipy.io import savemat

from kdutils import datasets
from kdutils.datasets import CARDS, cifar, idx, load, split


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
