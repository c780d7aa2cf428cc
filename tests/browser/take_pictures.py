"""The pictures of the README, taken from the real thing: `make pictures`.

Not a test: pytest runs it for the harness of this folder. Each picture is a PNG of less than 200 kB.
"""

from pathlib import Path

import pytest

from kdutils.lessons.start_here import experiment as start_here
from kdutils.lessons.start_here.figures import learning_curves
from kdutils.plots.static import fewer_colours, png

PICTURES = Path(__file__).parents[2] / "notebooks" / "pictures"
CELL = ("import torch\ntorch.set_num_threads(1)\nfrom kdutils.lessons.{lesson}.panels.{file} import {panel}\n"
        "lab = {panel}()\nlab")


@pytest.fixture(scope="module", autouse=True)
def folder():
    PICTURES.mkdir(exist_ok=True)


def test_a_panel_while_it_trains(lab, notebook):
    """Four answers at T = 1, 2, 8 and 20, and the run at T = 4 in the middle."""
    answers = [f"lab.set(temperature={temperature}); lab.run()" for temperature in (1, 2, 8, 20)]
    page = panel(lab, notebook, "dark_knowledge", "temperature_lab", "TemperatureLab",
                 [*answers, "lab.set(temperature=4); lab.train()"])
    page.wait_for_function("() => /step (19|2[0-4])\\d of/.test(document.querySelector('.kd-status').textContent)")
    save("temperature_lab.png", page.locator(".kd-panel").screenshot())


def test_a_map_that_has_taken_on_its_colours(lab, notebook):
    page = panel(lab, notebook, "subclass_distillation", "split_my_class", "SplitMyClass", ["lab.run()"])
    page.wait_for_timeout(1000)     # the last frame
    save("split_my_class.png", page.locator(".kd-panel").screenshot())


def test_a_figure_with_bands():
    save("learning_curves.png", png(learning_curves(start_here.run(start_here.DEFAULT)).figure))


def panel(lab, notebook, lesson: str, file: str, name: str, commands: list[str]):
    """The page with this panel alone, after the commands in its kernel."""
    notebook.open(lab.write(f"{file}.ipynb", CELL.format(lesson=lesson, file=file, panel=name)))
    notebook.run_all()
    page = notebook.page
    page.wait_for_selector(".kd-plot[data-points]", timeout=120_000)
    for command in commands:
        page.evaluate("code => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
                      ".requestExecute({code}).done", command)
    return page


def save(name: str, picture: bytes) -> None:
    small = fewer_colours(picture)
    assert len(small) < 200_000
    (PICTURES / name).write_bytes(small)
