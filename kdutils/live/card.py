"""What a panel's card needs of the page beside its controls: the button to the stage, names, a word when it is lost."""

from pathlib import Path

import anywidget


class CardTools(anywidget.AnyWidget):
    """The button that puts a panel alone on the screen, and what card.js does for the card that it stands in.

    It needs no answer of the kernel: a panel goes to the stage while the kernel is busy, too.
    """

    _esm = (Path(__file__).parent / "card.js").read_text(encoding="utf-8")
