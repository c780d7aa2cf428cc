"""Panels of tolerance, made once where they need no training."""


import pytest
from quick_tolerance_lab import SEEDS, STEPS, QuickLab

from kdutils.lessons.tolerant_teachers.panels.one_answer import OneAnswerPanel
from kdutils.lessons.tolerant_teachers.panels.tolerance_lab import ToleranceLab

# ---- tolerance of one answer --------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def shared_answer() -> OneAnswerPanel:
    return OneAnswerPanel()


@pytest.fixture
def answer(shared_answer) -> OneAnswerPanel:
    shared_answer.reset()
    return shared_answer


# ---- the tolerance lab --------------------------------------------------------------------------------------------

@pytest.fixture
def lab() -> ToleranceLab:
    made = QuickLab(seeds=SEEDS, steps=STEPS, full_speed=True)
    yield made
    made.stop()
