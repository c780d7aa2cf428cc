"""The second scale of notebook 02 at twenty classes of four families: `families` with its own defaults."""

from kdutils.lessons.tolerant_teachers.families import SMOKE, TolerantFamilies, prepare, run

__all__ = ["DEFAULT", "SMOKE", "prepare", "run"]

DEFAULT = TolerantFamilies()
