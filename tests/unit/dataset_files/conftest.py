"""A folder of made-up files that the course takes for the published ones."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from made_files import RANDOM

from kdutils.datasets import CARDS
from kdutils.datasets.files import File

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
