"""A widget that hears its kernel also when its page was slow to load it; the reason stands in hear.js."""

import uuid
from pathlib import Path

import anywidget
import traitlets

HEAR = (Path(__file__).parent / "hear.js").read_text(encoding="utf-8")


class HearingWidget(anywidget.AnyWidget):
    """A subclass puts HEAR in front of its module, whose render calls `hear(model)`."""

    me = traitlets.Unicode(help="the id of this model, by which its module finds it").tag(sync=True)

    def __init__(self, **traits):
        mine = uuid.uuid4().hex
        super().__init__(model_id=mine, me=mine, **traits)
