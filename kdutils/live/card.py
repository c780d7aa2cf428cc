"""What a panel's card needs of the page beside its controls: its looks, the button to the stage, names, a word when
it is lost."""

from pathlib import Path

import anywidget
import traitlets

from kdutils import pages
from kdutils.headless import page
from kdutils.live.live_figure import bare

HERE = Path(__file__).parent


class CardTools(anywidget.AnyWidget):
    """The button that puts a panel alone on the screen, and what card.js does for the card that it stands in.

    It needs no answer of the kernel: a panel goes to the stage while the kernel is busy, too.
    """

    _esm = bare((HERE / "card.js").read_text(encoding="utf-8"))
    _css = bare((HERE / "panel.css").read_text(encoding="utf-8"))
    lines = traitlets.List(traitlets.Unicode(), help="what is asked on the stage, one by one").tag(sync=True)


def asked_on_stage(panel) -> tuple[str, ...]:
    """What the teaching note of the page asks while this panel is on the stage; nothing for a panel of no lesson."""
    lesson = type(panel).__module__.removeprefix("kdutils.lessons.").partition(".")[0]
    return pages.stage_lines(pages.note(page(), lesson), f"{panel.title}, {getattr(panel, 'variant', '')}", panel.title)
