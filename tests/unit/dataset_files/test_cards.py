"""What a card tells of its data set, and the real files where they are at hand."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from made_files import TO_FETCH

from kdutils import datasets
from kdutils.datasets import CARDS, cifar, load

# Cards ------------------------------------------------------------------------------------------------------------

def test_cards_tell_what_a_reader_should_know():
    for name, card in CARDS.items():
        assert card.name == name and card.examples > 0 and card.licence and card.cite and card.shape and card.title
        assert card.embedded + bool(card.downloads) + bool(card.by_hand) == 1, "one way to come by it"
        assert bool(card.layouts) != card.embedded and (card.download_mb > 0) == bool(card.downloads)
    for name in ("digits", "clicks"):
        assert CARDS[name].examples == len(load(name))


def test_the_readme_has_every_card_and_nothing_else():
    text = (Path(__file__).parents[3] / "data" / "README.md").read_text(encoding="utf-8")
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
