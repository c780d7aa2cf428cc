"""A run that a page waits for: which part of it is under way, and about how long the rest takes."""

import contextvars
import html
import math
import threading
import time
from collections.abc import Callable, Sequence
from itertools import accumulate

from kdutils.headless import headless

ENOUGH = 0.5    # seconds of work that must be over before the time left is guessed from it
EVERY = 1.0     # seconds from one look at the clock to the next


def time_left(work: Sequence[float], spent: Sequence[float], running: float) -> float | None:
    """Seconds until all parts are done, by the pace of those that are; None while they say too little.

    work: how much each part has to do, in any unit. spent: seconds of the parts that are done, in their order.
    running: seconds of the part under way.
    The pace is the slower one of two: that of the part under way once it takes longer than foreseen, and that at which
    half of the time was spent. Networks that came from the cache took hardly any time, and so hardly count.
    """
    if len(spent) >= len(work) or sum(spent) < ENOUGH:
        return None
    paces = sorted((seconds / amount, seconds) for amount, seconds in zip(work, spent, strict=False))
    passed = accumulate(seconds for _, seconds in paces)
    usual = next(pace for (pace, _), so_far in zip(paces, passed, strict=True) if so_far >= sum(spent) / 2)
    now, *later = work[len(spent):]
    return max(usual, running / now) * (now + sum(later)) - running


class Waiting:
    """What an experiment reports to, and what a reader sees meanwhile: `with Waiting(work) as report: run(report)`.

    On a page it is one line with a bar, renewed every second, and in the end the list of the parts; where nobody looks
    each part is printed before it starts, and nothing else happens.
    work: how much each part has to do, in any unit; a part begins when it is reported. complete: set it before the end
    if all parts are done; otherwise the page says that the run was stopped.
    """

    def __init__(self, work: Sequence[float], clock: Callable[[], float] = time.monotonic):
        self.complete = False
        self._work, self._clock = tuple(work), clock
        self._parts: list[tuple[str, float]] = []       # what was reported, and when
        self._lock = threading.Lock()                   # the run reports, and a thread looks at the clock
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._page = None                               # the place on the page

    def __enter__(self) -> Callable[[str], None]:
        if headless():
            return print
        from IPython.display import HTML, display

        self._page = display(HTML("Getting ready."), display_id=True)
        if self._page is None:      # no kernel: a plain program that calls itself a page
            return print
        # A copy of the context: what ipykernel keeps in it says to which cell an output belongs.
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._watch,), daemon=True,
                                        name="kdutils-waiting")
        self._thread.start()
        return self.report

    def __exit__(self, kind, error, trace) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self._show(self.told())

    def report(self, line: str) -> None:
        """A part begins."""
        with self._lock:
            self._parts.append((line, self._clock()))
        self._show(self.progress())

    def progress(self) -> str:
        """Which part is under way, how far the run is and how long it may still take, as HTML."""
        with self._lock:
            parts, now = list(self._parts), self._clock()
        if not parts:
            return "Getting ready."
        if len(parts) > len(self._work):        # such as the word of an interrupt
            return html.escape(parts[-1][0])
        starts = [start for _, start in parts]
        spent = [end - start for start, end in zip(starts, starts[1:], strict=False)]
        left = time_left(self._work, spent, now - starts[-1])
        done = (sum(self._work[:len(spent)]) / sum(self._work) if left is None else
                (now - starts[0]) / (now - starts[0] + left))
        words = "" if left is None else f" <b>{_about(left)} left.</b>"
        return (f'<progress max="1" value="{done:.3f}" aria-label="How far the run is" style="width: 12em; '
                f'vertical-align: middle"></progress> Part {len(parts)} of {len(self._work)}: '
                f"{html.escape(parts[-1][0])}.{words}")

    def told(self) -> str:
        """What remains on the page when the run is over, as HTML."""
        with self._lock:
            parts, now = list(self._parts), self._clock()
        seconds = now - parts[0][1] if parts else 0.0
        done = f"Done: {len(parts)} parts in {seconds:.0f} s."
        summary = done if self.complete else f"Stopped after {seconds:.0f} s."
        lines = "".join(f"<li>{html.escape(line)}</li>" for line, _ in parts)
        return f"<details><summary>{summary}</summary><ol>{lines}</ol></details>"

    def _watch(self) -> None:
        while not self._over.wait(EVERY):
            self._show(self.progress())

    def _show(self, text: str) -> None:
        if self._page is not None:
            from IPython.display import HTML

            self._page.update(HTML(f'<div class="kd-waiting">{text}</div>'))


def _about(seconds: float) -> str:
    """A guess in words: nobody believes its decimals."""
    if seconds < 2:
        return "A moment"
    if seconds < 20:
        return f"About {math.ceil(seconds)} s"
    return f"About {5 * math.ceil(seconds / 5)} s" if seconds < 100 else f"About {math.ceil(seconds / 60)} min"
