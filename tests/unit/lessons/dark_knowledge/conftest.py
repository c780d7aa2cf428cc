"""The temperature lab, watched and at full speed, and the same run in plain code."""


import pytest
from quick_temperature_lab import SEEDS, STEPS, QuickLab

from kdutils.lessons.dark_knowledge.panels.softmax import SoftmaxPanel
from kdutils.lessons.dark_knowledge.panels.temperature_lab import TemperatureLab
from kdutils.lessons.examples import usual_examples


@pytest.fixture(scope="module")
def examples():
    return usual_examples()


@pytest.fixture
def panel(examples) -> SoftmaxPanel:
    return SoftmaxPanel(examples)


@pytest.fixture
def lab() -> TemperatureLab:
    made = QuickLab(seeds=SEEDS, steps=STEPS, full_speed=True)
    yield made
    made.stop()


@pytest.fixture
def endless() -> TemperatureLab:
    """Students that learn until they are stopped."""
    made = QuickLab(seeds=SEEDS, steps=1_000_000, full_speed=True)
    yield made
    made.stop()
