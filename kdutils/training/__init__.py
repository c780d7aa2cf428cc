"""The one training loop: a generator over snapshots, for one network or a whole population."""

from kdutils.training.images import ImageRecipe, ImageSnapshot, ImageTask, image_logits, image_steps
from kdutils.training.knobs import RANGES, Knobs, check_knob
from kdutils.training.loop import History, Recipe, Snapshot, Task, fit, steps
from kdutils.training.optimizers import SGD, Adam
from kdutils.training.switches import PLAIN, Switches
from kdutils.training.views import Pictures, Teacher, TeacherViews

__all__ = ["PLAIN", "RANGES", "SGD", "Adam", "History", "ImageRecipe", "ImageSnapshot", "ImageTask", "Knobs",
           "Pictures", "Recipe", "Snapshot", "Switches", "Task", "Teacher", "TeacherViews", "check_knob", "fit",
           "image_logits", "image_steps", "steps"]
