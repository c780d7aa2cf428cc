"""Checks of the exercises: they say what is right, what is not done yet, and why a wrong answer is wrong."""

from kdutils.course.checks import (  # noqa: F401  each adds its exercises to CHECKS
    dark_knowledge,
    start_here,
    subclass_distillation,
    tolerant_teachers,
)
from kdutils.course.checks.base import CHECKS, Feedback, Wrong, check, exercise

__all__ = ["CHECKS", "Feedback", "Wrong", "check", "exercise"]
