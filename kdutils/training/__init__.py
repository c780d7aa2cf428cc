"""The one training loop: a generator over snapshots, for one network or a whole population."""

from kdutils.training.knobs import RANGES, Knobs, check_knob
from kdutils.training.loop import History, Recipe, Snapshot, Task, fit, steps
from kdutils.training.optimizers import Adam

__all__ = ["RANGES", "Adam", "History", "Knobs", "Recipe", "Snapshot", "Task", "check_knob", "fit", "steps"]
