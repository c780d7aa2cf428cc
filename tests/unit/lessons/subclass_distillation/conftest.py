"""What the tests of lesson 03 share: two seeds of digits, their teachers, and one small run."""

import pytest

from kdutils.cohorts import Splits
from kdutils.datasets import grouped
from kdutils.lessons.subclass_distillation.experiment import SubclassDistillation, run
from kdutils.lessons.subclass_distillation.teachers import teachers

SMALL = SubclassDistillation(
    seeds=2, betas=(0.3,), t_auxs=(0.5,), beta=0.3, entropy_betas=(1.0,), sizes=(2,), transfer_sizes=(20, 40),
    narrow_images=20, speed_images=(30,), speed_every=5, teacher_steps=10, student_steps=10, seed=3)


@pytest.fixture
def params() -> SubclassDistillation:
    """An experiment of seconds."""
    return SMALL


@pytest.fixture(scope="session")
def lab() -> Splits:
    """The splits of that experiment."""
    return Splits.of(grouped("digits-2x5"), seeds=2, seed=3)


@pytest.fixture(scope="session")
def small():
    """Its results, and the lines that it reported."""
    said = []
    return run(SMALL, said.append), said


@pytest.fixture(scope="session")
def outputs(lab):
    """The outputs of its teachers, by name."""
    return teachers(lab, SMALL)
