"""Record the answers that panels show before their first run: python -m kdutils.lessons.record_panels [NAME ...]

Each is a run at default settings in this process; it goes into `recorded.json` beside the lesson's panels. NAME is a
panel's class, with its variant behind a space: "SplitMyClass toy".
"""

import sys
from collections.abc import Callable, Iterable
from functools import partial

from kdutils.errors import one_of
from kdutils.lessons import catalog
from kdutils.live import recorded
from kdutils.live.training_panel import TrainingPanel


def openings() -> dict[str, Callable[[], TrainingPanel]]:
    """Every panel whose answer is recorded, as the pages open it at profile lecture."""
    return {f"{panel.__name__} {variant}".strip(): partial(panel, **arguments)
            for panel in catalog.panels() for variant, arguments in getattr(panel, "openings", {}).items()}


def record_panels(names: Iterable[str] = (), report: Callable[[str], None] = print) -> None:
    """Record these panels, all if none is named.

    Errors: ParameterError for an unknown name, before any of them runs.
    """
    known = openings()
    for name in [one_of("panel", name, known) for name in names] or known:
        panel = known[name]()
        answer = recorded.record(panel)
        path = recorded.save(panel, answer)
        report(f"{name}: {answer.seeds} seeds, {answer.seconds} s, {path}")


if __name__ == "__main__":
    record_panels(sys.argv[1:])
