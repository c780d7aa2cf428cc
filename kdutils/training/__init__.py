"""The one training loop: a generator over snapshots, for one network or a whole population."""

from kdutils.training.images import ImageRecipe, ImageSnapshot, ImageTask, image_logits, image_steps
from kdutils.training.knobs import RANGES, Knobs, check_knob
from kdutils.training.loop import Recipe, Snapshot, Task, fit, train
from kdutils.training.optimizers import SGD, Adam
from kdutils.training.switches import PLAIN, Speedups
from kdutils.training.views import CachedTeacher, Pictures, Teacher

__all__ = ["PLAIN", "RANGES", "SGD", "Adam", "ImageRecipe", "ImageSnapshot", "ImageTask", "Knobs",
           "Pictures", "Recipe", "Snapshot", "Speedups", "Task", "Teacher", "CachedTeacher", "check_knob", "fit",
           "image_logits", "image_steps", "train"]
