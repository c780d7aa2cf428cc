"""The widget that draws a Chart: one frame on its way at a time, plotly.js handed to the page once.

The browser's half, and the messages, are in live_figure.js.
"""

import functools
import gzip
import logging
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import anywidget
import traitlets

from kdutils.live.chart import Frame
from kdutils.live.hearing import HEAR, HearingWidget

HERE = Path(__file__).parent
# One module for the browser: how a figure and its words fit the page, how it is drawn again, and when.
PARTS = ("words.js", "arrange.js", "redraw.js", "live_figure.js")
log = logging.getLogger(__name__)


def bare(code: str) -> str:
    """A module or a style without comments and indents: every panel of a page brings a copy."""
    lines = (line.strip() for line in re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL).splitlines())
    # A comment behind code has two slashes between spaces, and no quotes: an address in a text is none.
    lines = (re.sub(r"""\s+// [^"'`]*$""", "", line) for line in lines)
    return "\n".join(line for line in lines if line and not line.startswith("//"))


MODULE = bare(HEAR + "".join((HERE / name).read_text(encoding="utf-8") for name in PARTS))


class Sender:
    """Keeps one frame on its way: the next leaves when the browser has drawn the last one.

    So a browser that draws slowly gets fewer frames, never a queue of them, and never misses data: what is pushed while
    a frame is on its way is collected when that frame has been drawn. If a browser stays silent for `patience` seconds
    (a closed or hidden tab), the next push no longer waits for it.

    collect(whole) gives the frame to send or None; send(frame, number) sends it. Both are called under `lock`, which is
    the chart's: frames leave in the order in which they were collected.
    """

    patience = 1.0

    def __init__(self, collect: Callable[[bool], Frame | None], send: Callable[[Frame, int], None],
                 lock: threading.RLock, clock: Callable[[], float] = time.monotonic):
        self._collect, self._send, self._lock, self._clock = collect, send, lock, clock
        self._number = 0                      # of the last frame that left
        self._sent_at: float | None = None    # when it left; None: it has been drawn
        self._listening = False               # a view has asked for its first frame
        self._waiting = False                 # something was pushed since the last frame

    def push(self) -> None:
        with self._lock:
            self._waiting = True
            late = self._sent_at is not None and self._clock() - self._sent_at > self.patience
            if self._listening and (self._sent_at is None or late):
                self._go(whole=False)

    def opened(self) -> None:
        """A new view, a second view or a reloaded page: it needs everything, whatever is on its way."""
        with self._lock:
            self._listening = True
            self._go(whole=True)

    def drawn(self, number: int) -> None:
        """A view has drawn this frame. An older number comes from before a newer view opened, and means nothing."""
        with self._lock:
            if number != self._number:
                return
            self._sent_at = None
            if self._waiting:
                self._go(whole=False)

    def _go(self, whole: bool) -> None:
        self._waiting = False
        if frame := self._collect(whole):
            self._number += 1
            self._sent_at = self._clock()
            self._send(frame, self._number)


class PlotlyLibrary(anywidget.AnyWidget):
    """The installed plotly.js, gzipped: 1.7 MB, one per kernel, no network.

    It travels as a model's state, not as an answer: state comes with the cell, while a kernel that runs the cells below
    answers nothing. So figures of a notebook that runs from top to bottom appear at once.
    """

    _esm = "export default {};"
    source = traitlets.Bytes().tag(sync=True)


def library_id() -> str:
    """The model id of this kernel's one library, made when first asked for, or after all widgets were closed."""
    if _library().model_id is None:
        _library.cache_clear()
    return _library().model_id or ""


@functools.cache
def _library() -> PlotlyLibrary:
    from plotly.offline import get_plotlyjs
    return PlotlyLibrary(source=gzip.compress(get_plotlyjs().encode(), 1, mtime=0))    # 70 ms


class LiveFigure(HearingWidget):
    """Draws a Chart with plotly.js. Made by `Chart.view`; talk to the chart, not to this."""

    _esm = MODULE

    # The button that is removed would upload the figure to another host.
    config = traitlets.Dict({"displaylogo": False, "displayModeBar": "hover",
                             "modeBarButtonsToRemove": ["sendChartToCloud"]},
                            help="plotly's config, see plotly.com/javascript/configuration-options").tag(sync=True)
    library = traitlets.Unicode(help="the model that holds plotly.js").tag(sync=True)
    first = traitlets.Dict(help="a whole frame, always of this moment, for a view before the kernel answers"
                           ).tag(sync=True)
    numbers = traitlets.Bytes(help="the numbers of `first`").tag(sync=True)

    def __init__(self, chart, **traits):
        self._chart = chart
        super().__init__(library=library_id(), **traits)
        self._sender = Sender(chart.frame, self._post, chart.lock)
        self.on_msg(self._hear)

    def push(self) -> None:
        """Draw soon; see Chart.push."""
        self._sender.push()

    def get_state(self, key=None, drop_defaults=False) -> dict:
        """The state for a page that asks for all of it holds the figure as it is now, not as it was at the start."""
        state = super().get_state(key, drop_defaults)
        if key is None:
            frame = self._chart.snapshot()
            state |= {"first": frame.content, "numbers": frame.numbers}
        return state

    def _post(self, frame: Frame, number: int) -> None:
        self.send({"kind": "frame", "number": number, **frame.content}, [frame.numbers])

    def _hear(self, _widget, content: dict, _buffers) -> None:
        # May run in the main thread or in another one of the kernel's.
        match content.get("kind"):
            case "opened":
                self._sender.opened()
            case "drawn":
                if content.get("error"):
                    log.error("The browser could not draw a figure: %s", content["error"])
                self._sender.drawn(content["number"])


class LiveText(HearingWidget):
    """One line of plain text that a screen reader follows: a status, a reading, a formula. What stands between ⟦ and ⟧
    stands out."""

    _esm = HEAR + """
    export default { render({ model, el }) {
      el.classList.add(model.get("look"));
      if (model.get("spoken")) { el.setAttribute("role", "status"); el.setAttribute("aria-live", "polite"); }
      const show = () => {
        el.setAttribute("aria-busy", String(model.get("busy")));
        el.dataset.state = model.get("state");
        el.title = model.get("help");
        el.replaceChildren(...model.get("text").split(/[⟦⟧]/).map((part, i) => (
          i % 2 ? Object.assign(document.createElement("b"), { textContent: part }) : part)));
      };
      model.on("change", show);
      show();
      hear(model).then((real) => real.comm?.send({ method: "request_state" }, {})); // what it may have missed
      return () => model.off("change", show);
    } };
    """
    text = traitlets.Unicode().tag(sync=True)
    look = traitlets.Unicode("kd-text", help="the element's CSS class").tag(sync=True)
    spoken = traitlets.Bool(False, help="changes are read out, politely").tag(sync=True)
    busy = traitlets.Bool(False, help="hold back reading out: more changes are about to come").tag(sync=True)
    state = traitlets.Unicode("", help="one word for styles and tests").tag(sync=True)
    help = traitlets.Unicode("", help="shown on hover").tag(sync=True)
