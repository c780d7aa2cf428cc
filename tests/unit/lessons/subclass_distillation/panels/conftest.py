"""Panels of subclass distillation, watched and at full speed."""


import pytest
from quick_subclass_panels import SEEDS, STEPS, QuickRace, QuickSplit

from kdutils.lessons.subclass_distillation.panels.few_labels_race import FewLabelsRace
from kdutils.lessons.subclass_distillation.panels.split_my_class import (
    SplitMyClass,
)

# ---- split my class: what a run says --------------------------------------------------------------------------------

@pytest.fixture
def split() -> SplitMyClass:
    made = QuickSplit(seeds=SEEDS, steps=STEPS, full_speed=True)
    yield made
    made.stop()


# ---- the few-labels race --------------------------------------------------------------------------------------------

@pytest.fixture
def race() -> FewLabelsRace:
    made = QuickRace(seeds=SEEDS, steps=STEPS, full_speed=True)
    yield made
    made.stop()
