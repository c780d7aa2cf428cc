"""Recall asks: neither the place nor the length of an option gives the answer away, on any page of the course."""

import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def questions(path):
    """[(options, index of the right one)] of a notebook's recall."""
    for cell in nbformat.read(path, as_version=4).cells:
        if "section:recall" in cell.metadata.get("tags", []):
            for question in re.split(r"^#### ", cell.source, flags=re.MULTILINE)[1:]:
                found = re.findall(r"<details><summary>(.*?)</summary>(.*?)</details>", question, re.DOTALL)
                (right,) = [place for place, (_, why) in enumerate(found) if "**Right.**" in why]
                assert all("**No.**" in why for place, (_, why) in enumerate(found) if place != right)
                yield [option for option, _ in found], right


ALL = {path.stem: list(questions(path)) for path in NOTEBOOKS}


def longest(asked) -> float:
    """The share of questions whose right option is the longest, or one of the longest."""
    return sum(len(options[right]) == max(map(len, options)) for options, right in asked) / len(asked)


def test_the_longest_option_is_right_in_at_most_a_third():
    assert longest([one for asked in ALL.values() for one in asked]) <= 1 / 3


def test_every_place_holds_the_right_option_in_at_least_a_fifth():
    places = [right for asked in ALL.values() for _, right in asked]
    assert all(places.count(place) >= len(places) / 5 for place in range(3)), places


@pytest.mark.parametrize("name", ALL)
def test_no_page_has_a_habit(name):
    """A reader sees one page: a habit of its own gives it away, whatever the others do."""
    asked = ALL[name]
    assert 4 <= len(asked) <= 6 and all(len(options) >= 3 for options, _ in asked)
    assert longest(asked) <= 1 / 2
    assert max([right for _, right in asked].count(place) for place in range(4)) <= len(asked) / 2
    assert len({right for _, right in asked}) >= 3 or len(asked) < 5
    for options, right in asked:  # twice as long or as short as all others stands out, too
        others = [len(option) for place, option in enumerate(options) if place != right]
        assert min(others) / 3 <= len(options[right]) <= 2 * max(others), options
