"""A panel on a page without a kernel: two presets beside what was opened, folded, and the panel as it was."""

import nbformat
import pytest

pytest.importorskip("ipywidgets", reason="needs the notebook packages")

from tiny_panels import Softmax, Training  # noqa: E402

from kdutils.course.page import handout  # noqa: E402
from kdutils.lessons import catalog  # noqa: E402
from kdutils.live.settings import folded, other_presets  # noqa: E402


def test_presets_are_shown_folded_with_their_readings_and_the_panel_is_as_before():
    panel = Softmax(temperature=8.0)
    before = panel.reading()
    shown = folded(panel)
    page = shown["text/html"]
    assert page.startswith('<details class="kd-presets"><summary>At other settings: hot; few</summary>')
    assert page.count("<img alt=") == 2 and page.count("data:image/webp;base64,") == 2
    assert shown["text/plain"].count("The top class has") == 2 and before not in shown["text/plain"]
    assert panel.values["temperature"] == 8 and panel.reading() == before


def test_a_preset_that_is_set_already_is_not_shown_again():
    assert other_presets(Softmax(temperature=20.0)) == ("few",)
    panel = Softmax()
    panel.static_presets = ("few",)
    assert other_presets(panel) == ("few",)
    assert folded(Training(temperature=20.0)) is None


def test_a_panel_that_trains_runs_each_and_is_ready_for_another_run():
    """Catches a preset whose picture is that of the run before, and a panel that is left as its last preset was."""
    panel = Training()
    panel.run()
    shown = folded(panel)
    assert panel.finished == 2 and set(panel.seen[-51:]) == {20.0} and "51 points." in shown["text/html"]
    assert panel.state == "idle" and panel.values["temperature"] == 4 and panel.points == 0


@pytest.mark.parametrize("panel", catalog.panels(), ids=lambda panel: panel.__name__)
def test_the_presets_that_a_lesson_names_are_there(panel):
    assert set(panel.static_presets) <= set(panel.presets) and len(panel.static_presets) <= 3


def test_a_handout_leaves_them_out():
    cell = nbformat.v4.new_code_cell("panel", metadata={"tags": ["handout"]})
    cell.outputs = [nbformat.v4.new_output("display_data", data) for data in (
        {"text/html": "<b>the figure</b>"}, folded(Softmax()))]
    drawn = handout(nbformat.v4.new_notebook(cells=[cell]), "tiny")
    assert "the figure" in drawn and "At other settings" not in drawn
