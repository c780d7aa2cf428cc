"""The family tree uncovers one kind of ancestor after the other."""

import pytest

from kdutils.lessons.tolerant_teachers.panels.family_tree import KINDS, FamilyTree

NAMES = tuple(KINDS)


@pytest.fixture(scope="module")
def panel():
    return FamilyTree(seeds=1, generations=1, steps=5, transfer=50)


def visible(panel) -> set[str]:
    """The kinds all of whose curves can be seen; none may be seen in part."""
    traces = {trace.uid: trace.visible is not False for trace in panel.chart.figure().data}
    parts = {name: {traces[name], traces[f"{name} interval"], traces[f"{name} secondary"]} for name in NAMES}
    assert all(len(seen) == 1 for seen in parts.values())
    return {name for name, seen in parts.items() if seen == {True}}


def test_each_press_uncovers_one_kind_more_and_then_it_begins_anew(panel):
    assert visible(panel) == set(NAMES)
    for shown in (1, 2, 3, 4, 5, 1):
        panel.uncover()
        assert visible(panel) == set(NAMES[:shown])
    assert panel.status == f"Shown: strict. Covered: {', '.join(NAMES[1:])}."


def test_a_run_keeps_what_is_covered_and_a_reset_uncovers_all(panel):
    panel.reset()
    panel.uncover()
    panel.run()
    assert visible(panel) == {"strict"} and len(panel.tree) == 2
    panel.reset()
    assert panel.wait(30) and visible(panel) == set(NAMES)
