"""What the tests of the fit look at: pages with every figure or panel, and what is wrong with them, in words."""

import base64
import os
from pathlib import Path

import showcase
from plotly.offline import get_plotlyjs

from kdutils.live.live_figure import MODULE
from kdutils.plots.base import chart_of

HERE = Path(__file__).parent
PLAIN, OVERLAPS, OUT_OF_SIGHT = ((HERE / "browser" / f"{name}.js").read_text(encoding="utf-8")
                                 for name in ("plain", "overlaps", "out_of_sight"))
# Every figure is drawn for the width that it has, nothing more is on its way, and nothing has moved for three repaints:
# a box that has another size tells its figure only when it has been laid out.
STILL = """(count) => { const plots = [...document.querySelectorAll('.kd-plot')];
    const drawn = plots.length === count && plots.every((plot) => plot.dataset.drawn && plot.dataset.busy === 'false'
        && Math.abs(plot._fullLayout.width - plot.parentElement.clientWidth) < 2);
    const now = drawn && plots.map((plot) => [plot.dataset.drawn, plot._fullLayout.height, plot._fullLayout.margin.t,
        plot.parentElement.clientWidth, plot.parentElement.clientHeight]).join();
    window.still = now && now === window.stood ? (window.still ?? 0) + 1 : 0;
    window.stood = now;
    return window.still >= 3; }"""
# What of an earlier look stands there would be still at once, before the page has heard that its window is another.
FRESH = "() => { window.still = 0; window.stood = null; }"
# JupyterLab lays its parts out some time after the window has changed.
LAID_OUT = """(width) => { const box = window.jupyterapp.shell.currentWidget.content.node.getBoundingClientRect();
    return innerWidth === width && box.right <= width && box.right > width - 60; }"""
EACH = f"""() => [...document.querySelectorAll('[data-name]')]
    .flatMap((part) => ({OVERLAPS})(part).map((what) => `${{part.dataset.name}}: ${{what}}`))"""


def wrong_on_stage(card) -> list[str]:
    """What of a panel on the stage cannot be seen, and words of its figure that lie over others or are cut off."""
    return card.evaluate(OUT_OF_SIGHT) + card.evaluate(OVERLAPS)


class Plain:
    """Every figure of pages and panels, one below the other, without JupyterLab.

    A panel's figure stands under as many words as any has; what its own leave it, only JupyterLab knows.
    """

    def __init__(self, browser, figures: dict, panels: dict):
        self.errors, self.count = [], len(figures) + len(panels)
        self.page = browser.new_context(viewport={"width": 1000, "height": 800}, offline=True).new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        self.page.set_content("<!doctype html><html lang='en'><title>Figures</title><body style='margin: 0'>")
        self.page.add_script_tag(content=get_plotlyjs())
        charts = {name: chart_of(plot.figure, plot.reading) for name, plot in figures.items()}
        charts |= {name: showcase.shown(name).chart for name in panels}
        frames = {name: chart.snapshot() for name, chart in charts.items()}
        self.page.evaluate(PLAIN, [MODULE, [[name, frame.content, base64.b64encode(frame.numbers).decode(),
                                             name in panels] for name, frame in frames.items()]])
        self.still()

    def still(self, timeout: float = 120_000) -> None:
        self.page.evaluate(FRESH)
        self.page.wait_for_function(STILL, arg=self.count, timeout=timeout)

    def size(self, width: int, height: int = 900) -> None:
        self.page.set_viewport_size({"width": width, "height": height})
        self.still()

    def wrong(self) -> list[str]:
        """Words that lie over others or are cut off."""
        return self.page.evaluate(EACH)


class Course:
    """A page of JupyterLab with a question and every panel, each in a cell of its own, never run."""

    def __init__(self, lab, notebook, panels: tuple[str, ...]):
        self.notebook, self.page, self.panels = notebook, notebook.page, panels
        self.page.set_viewport_size({"width": 1000, "height": 800})
        notebook.open(lab.write(
            "every.ipynb", f"import sys\nsys.path.insert(0, {str(HERE)!r})\nimport showcase",
            "showcase.QUESTION", *(f"showcase.panel({name!r})" for name in panels)))
        # Cells stay in the page when they are out of sight, so that a new width draws all of them at once.
        self.page.evaluate("""() => { const {content} = window.jupyterapp.shell.currentWidget;
            content.notebookConfig = {...content.notebookConfig, windowingMode: 'none'}; }""")
        notebook.run_all()
        self.page.wait_for_function("""() => window.jupyterapp.shell.currentWidget.content.widgets
            .every((cell) => cell.model.executionCount)""", timeout=300_000)
        self.page.evaluate("""(names) => window.jupyterapp.shell.currentWidget.content.widgets
            .forEach((cell, i) => { cell.node.dataset.name = names[i]; })""", ["", "question", *panels])
        self.still(timeout=120_000)

    def still(self, timeout: float = 60_000) -> None:
        """Wait until all figures are drawn for the room that they have."""
        self.page.evaluate(FRESH)
        self.page.wait_for_function(STILL, arg=len(self.panels), timeout=timeout)

    def size(self, width: int, height: int = 900) -> None:
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.wait_for_function(LAID_OUT, arg=width)
        self.still()

    def wrong(self) -> list[str]:
        """Words that lie over others or are cut off."""
        return self.page.evaluate(EACH)

    def panel(self, name: str):
        return self.page.locator(f'[data-name="{name}"] .kd-panel[data-ready]')

    def theme(self, name: str) -> None:
        name = f"JupyterLab {name}"
        self.page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name)
        self.page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=120_000)    # draws all figures anew
        self.page.wait_for_selector(f'body[data-jp-theme-name="{name}"]', state="attached")
        self.still()

    def stage(self, name: str):
        """The panel alone on the screen, reached by its key."""
        card = self.panel(name)
        card.locator("button").first.focus()
        self.page.keyboard.press("Shift+F")
        self.page.wait_for_function("() => document.querySelector('.kd-stage') && (document.fullscreenElement "
                                    "|| document.querySelector(':popover-open'))")
        self.still()
        return card

    def picture(self, name: str, part=None) -> None:
        """Keep what is on the screen, or a part of it, where KDUTILS_PICTURES says."""
        if folder := os.environ.get("KDUTILS_PICTURES"):
            (part or self.page).screenshot(path=Path(folder) / f"{name}.png")

    def leave(self) -> None:
        self.page.keyboard.press("Escape")
        self.page.wait_for_function("() => !document.querySelector('.kd-stage') && !document.fullscreenElement")
        self.still()
