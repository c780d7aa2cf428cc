"""Owners' layouts of tables and faces."""

import gzip

import numpy as np
import pytest
import torch

from kdutils import datasets
from kdutils.datasets import CARDS, load

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
