"""The second scale of notebook 02 at all hundred classes of CIFAR-100's twenty families: `families` with five times as
many images, two pictures of each, and the same share of them for a student of few.

Twice the steps of the twenty classes are four passes over the images; on the held-out ones a teacher is then right on
28%, after ten passes on 31%: what an hour of two busy cores had room for, with the other lesson beside it.
"""

from kdutils.lessons.tolerant_teachers.families import SMOKE, TolerantFamilies, prepare, run

__all__ = ["DEFAULT", "SMOKE", "prepare", "run"]

DEFAULT = TolerantFamilies(families=(), views=2, few=4_500, steps=3_000)
