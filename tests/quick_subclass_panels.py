"""Panels of subclass distillation that are quick enough for tests."""



from kdutils.lessons.subclass_distillation.panels.few_labels_race import FewLabelsRace
from kdutils.lessons.subclass_distillation.panels.split_my_class import (
    SplitMyClass,
)

SEEDS, STEPS = 3, 30


class QuickSplit(SplitMyClass):
    """A control counts as released soon."""

    delay, patience = 0.03, 60.0


class QuickRace(FewLabelsRace):
    """A control counts as released soon."""

    delay, patience = 0.03, 60.0
