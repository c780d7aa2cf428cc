"""Checks of the exercises: they say what is right, what is not done yet, and why a wrong answer is wrong."""

from kdutils.course.checks import dark_knowledge, start_here  # noqa: F401  each adds its exercises to CHECKS
from kdutils.course.checks.base import CHECKS, Feedback, Wrong, check, exercise

__all__ = ["CHECKS", "Feedback", "Wrong", "check", "exercise"]
