"""A tolerance lab that is quick enough for tests."""



from kdutils.lessons.tolerant_teachers.panels.tolerance_lab import ToleranceLab
from kdutils.lessons.tolerant_teachers.parameters import kinds

SEEDS, STEPS = 3, 30
KINDS = [kind.name for kind in kinds()]


class QuickLab(ToleranceLab):
    """The tolerance lab; a control counts as released soon."""

    delay, patience = 0.03, 60.0


# ---- the family tree ----------------------------------------------------------------------------------------------

TREE = {"seeds": 2, "generations": 2, "steps": 20, "transfer": 60}
