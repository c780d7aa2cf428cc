"""The second scale of gaze: eyes of 36x60 pixels, as large as MPIIGaze's, and convolutional networks.

The same questions with the same rules as at 10x14 (claims X2 and X3 of `claims.py`): which pool of extra eyes helps a
student with few of its own, and whether it should match distributions or means. Sized for half an hour of one core;
steps, rates and networks were settled on other seeds (1000 and up). The eyes are rendered: there is nothing to fetch.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from kdutils.cohorts import collect
from kdutils.datasets import usable_device
from kdutils.errors import between, sound, whole
from kdutils.lessons.extracurricular_learning import gaze
from kdutils.networks import ConvNet
from kdutils.results import Results

POOLS = ("jitter", "mixup", gaze.UNSURE)    # beside fresh eyes
_IMAGE = (1, 36, 60)
SCALE = gaze.Scale("mpiigaze", ConvNet(_IMAGE, (8, 16, 32), 4), ConvNet(_IMAGE, (4, 8, 8), 4), batch=32)


@dataclass(frozen=True)
class LargeEyes:
    """Sizes of the sets of eyes, and budgets in steps; as in the experiment of the small eyes."""

    seeds: int = 6                          # runs per setting
    gaze_labels: int = 1000                 # eyes with labels that a teacher saw
    gaze_sizes: tuple[int, ...] = (100,)    # of them, those that a student has
    gaze_extra: int = 2000                  # extra eyes that its teacher labels
    share: float = 0.9                      # of a student's transfer set: extra eyes, 0 to 1
    teacher_steps: int = 1000               # of a teacher
    gaze_steps: int = 1500                  # of a student
    seed: int = 0                           # the first seed
    device: str = "cpu"                     # of torch

    def __post_init__(self):
        sound(self)
        for name in ("seeds", "gaze_labels", "gaze_extra", "teacher_steps", "gaze_steps"):
            whole(name.replace("_", " "), getattr(self, name), 1)
        whole("number of gaze sizes", len(self.gaze_sizes), 1)
        for value in self.gaze_sizes:
            whole("gaze sizes", value, 1, self.gaze_labels)
        between("share of extra inputs", self.share, 0, 1)


DEFAULT = LargeEyes()
SMOKE = LargeEyes(seeds=2, gaze_labels=40, gaze_sizes=(20,), gaze_extra=30, teacher_steps=3, gaze_steps=3)


def prepare(params: LargeEyes) -> torch.device:
    """The device; refuses one that is not there before anything is trained."""
    return usable_device(params.device)


def run(params: LargeEyes, report: Callable[[str], None] = lambda line: None,
        keep: Callable[[Results], None] = lambda results: None) -> Results:
    """A row per run, as `experiment.run` describes them, of the parts "gaze" and "means"; `keep` is called with what
    there is when a part is done."""
    start = time.perf_counter()
    prepare(params)
    return collect(_groups(params, report), params, start, report, keep)


def _groups(params: LargeEyes, report) -> Iterator[list[dict]]:
    report(f"{params.seeds} teachers of {params.gaze_labels:,} labelled eyes (from the cache if trained before)")
    world = gaze.World(params, SCALE)
    for n in params.gaze_sizes:
        report(f"students with {n} eyes of their own")
        yield gaze.pool_rows(world, n, POOLS)
    report("students of means alone")
    yield gaze.mean_rows(world)
