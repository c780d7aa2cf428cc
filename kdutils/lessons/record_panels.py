"""Record the answers that panels show before their first run: python -m kdutils.lessons.record_panels [NAME ...]

Each is a run at default settings in this process; it goes into `recorded.json` beside the lesson's panels. NAME is a
panel's class, with its variant behind a space: "SplitMyClass toy".
"""

import sys
from collections.abc import Callable, Iterable

from kdutils.errors import one_of
from kdutils.lessons.beyond_compression.panels.long_tail import LongTail
from kdutils.lessons.beyond_compression.panels.method_race import MethodRace
from kdutils.lessons.beyond_compression.panels.poison_labels import PoisonLabels
from kdutils.lessons.dark_knowledge.panels.temperature_lab import TemperatureLab
from kdutils.lessons.spherical_distillation.panels.confidence_meter import ConfidenceMeter
from kdutils.lessons.subclass_distillation.panels.few_labels_race import FewLabelsRace
from kdutils.lessons.subclass_distillation.panels.split_my_class import SplitMyClass
from kdutils.lessons.tolerant_teachers.panels.family_tree import FamilyTree
from kdutils.lessons.tolerant_teachers.panels.tolerance_lab import ToleranceLab
from kdutils.live import recorded
from kdutils.live.training_panel import TrainingPanel

# As the pages open them, at profile lecture.
PANELS: dict[str, Callable[[], TrainingPanel]] = {
    "TemperatureLab": TemperatureLab,
    "ToleranceLab": ToleranceLab,
    "FamilyTree": FamilyTree,
    "SplitMyClass digits": SplitMyClass,
    "SplitMyClass toy": lambda: SplitMyClass("toy", subclasses=4, t_aux=0.2),
    "FewLabelsRace": FewLabelsRace,
    "ConfidenceMeter": ConfidenceMeter,
    "PoisonLabels": lambda: PoisonLabels(teacher="trained to the end"),
    "LongTail": LongTail,
    "MethodRace": MethodRace,
}


def record_panels(names: Iterable[str] = (), report: Callable[[str], None] = print) -> None:
    """Record these panels, all if none is named.

    Errors: ParameterError for an unknown name, before any of them runs.
    """
    for name in [one_of("panel", name, PANELS) for name in names] or PANELS:
        panel = PANELS[name]()
        answer = recorded.record(panel)
        path = recorded.save(panel, answer)
        report(f"{name}: {answer.seeds} seeds, {answer.seconds} s, {path}")


if __name__ == "__main__":
    record_panels(sys.argv[1:])
