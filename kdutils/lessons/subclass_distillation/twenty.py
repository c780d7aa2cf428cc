"""The second scale of notebook 03 at twenty classes of four families: `families` with its own defaults."""

from kdutils.lessons.subclass_distillation.families import SMOKE, SubclassFamilies, prepare, run

__all__ = ["DEFAULT", "SMOKE", "prepare", "run"]

DEFAULT = SubclassFamilies()
