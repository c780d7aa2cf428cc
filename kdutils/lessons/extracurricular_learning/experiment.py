"""Notebook 05: what should a student ask beyond its own inputs? ExL-style distillation after Pouransari et al. (2020).

The paper's abstract names three ingredients: model the output distributions, sample inputs from an approximation of the
data's density, match the distributions there. Which networks, samplers and weights it used is not available to us; all
of that is ours here. Everything of one seed is paired: labelled inputs, test inputs, starts and batch orders.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kdutils.cohorts import Splits, collect
from kdutils.errors import between, different, positive, sound, whole
from kdutils.lessons.extracurricular_learning import digits, gaze, toy
from kdutils.results import Results


@dataclass(frozen=True)
class ExtracurricularLearning:
    """Sizes of the parts, of sets of inputs, and of budgets in steps."""

    seeds: int = 12                             # runs per setting
    gaze_labels: int = 1000                     # eyes with labels that a gaze teacher saw
    gaze_sizes: tuple[int, ...] = (100, 300)    # of them, those that a student has; the first one in most parts
    gaze_extra: int = 2000                      # extra eyes that its teacher labels
    gaze_queries: tuple[int, ...] = (50, 200, 800)  # fewer of these, for the curve
    digit_sizes: tuple[int, ...] = (20, 50)     # digits that a student has, of 1,200 that its teacher saw
    equal_images: int = 200                     # digits that both have, where the teacher knows no more
    digit_extra: int = 1200                     # extra pictures that its teacher labels
    views: tuple[int, ...] = (1, 2, 5, 10, 50)  # stored answers for each of a student's digits
    share: float = 0.9                          # of a student's transfer set: extra inputs, 0 to 1
    temperature: float = 2.0                    # of the digits' students
    teacher_steps: int = 800  # of every teacher
    gaze_steps: int = 800  # of a student of gaze
    digit_steps: int = 400  # of a student of digits
    toy_steps: int = 400  # of a student of the curve
    seed: int = 0  # the first of the seeds
    device: str = "cpu"  # of torch

    def __post_init__(self):
        sound(self)
        for name in ("seeds", "gaze_labels", "gaze_extra", "equal_images", "digit_extra", "teacher_steps",
                     "gaze_steps", "digit_steps", "toy_steps"):
            whole(name.replace("_", " "), getattr(self, name), 1)
        for name, most in (("gaze_sizes", self.gaze_labels), ("gaze_queries", self.gaze_extra), ("digit_sizes", 1200),
                           ("views", 1000)):
            object.__setattr__(self, name, tuple(different(name, getattr(self, name))))
            whole(f"number of {name.replace('_', ' ')}", len(getattr(self, name)), 1)
            for value in getattr(self, name):
                whole(name.replace("_", " "), value, 1, most)
        whole("equal images", self.equal_images, 10, 1200)
        whole("digit extra", self.digit_extra, 1, 1200, why="the pool of digits")
        between("share of extra inputs", self.share, 0, 1)
        positive("temperature", self.temperature)


DEFAULT = ExtracurricularLearning()
# Every setting of the default, so that every claim is measured, if badly: few seeds, inputs and steps.
SMOKE = ExtracurricularLearning(seeds=3, gaze_labels=300, gaze_extra=400, digit_extra=400, teacher_steps=60,
                                gaze_steps=60, digit_steps=60, toy_steps=60, gaze_queries=(50, 200))


def prepare(params: ExtracurricularLearning) -> Splits:
    """The digits' splits; wrong sizes are refused by the parameters themselves."""
    return Splits.open("digits", params.seeds, params.seed, params.device)


def run(params: ExtracurricularLearning, report: Callable[[str], None] = lambda line: None) -> Results:
    """A row per run. Columns that say which run it was, None where they do not apply:

    part      "toy", "gaze", "means" (students of means alone), "rules", "queries", "digits", "equal", "views" or
              "far"
    method    "teacher", "labels", "labels + ...", or the sampler whose inputs the teacher labelled; "same": none
    images    inputs that the student has; queries, views: how many answers were asked for; rule: of "rules";
    teacher   "small" or "large", in part "far"

    What was measured, on test inputs of the seed: of the toy the distance |m_T - m_S| at, between and beyond the dots;
    of gaze degrees (mean angular error), rmse (radians), nll (nats), spread (of the z-scores; 1 is calibrated); of
    digits accuracy (%).
    """
    start = time.perf_counter()
    return collect(_groups(prepare(params), params, report), params, start, report)


def work(params: ExtracurricularLearning) -> list[float]:
    """What each part that is reported has to do, in shares of the whole at the default settings: for the time left."""
    return [1, 5, *(7 for _ in params.gaze_sizes), 6, 3, *(3 for _ in params.digit_sizes), 3, 2, 3]


def _groups(splits: Splits, params: ExtracurricularLearning, report) -> Iterator[list[dict]]:
    report(f"a curve in one dimension: {params.seeds} students for each way to ask")
    yield toy.rows(params)
    report(f"{params.seeds} gaze teachers of {params.gaze_labels:,} labelled eyes (from the cache if trained before)")
    world = gaze.World(params)
    for n in params.gaze_sizes:
        report(f"gaze students with {n} eyes of their own")
        yield gaze.pool_rows(world, n, gaze.POOLS if n == params.gaze_sizes[0] else gaze.FEW)
    report("students of means alone, and of the surer and the less sure half of the fresh eyes")
    yield gaze.mean_rows(world) + gaze.rule_rows(world)
    report(f"students that ask {', '.join(map(str, params.gaze_queries))} times")
    yield gaze.query_rows(world)
    for n in params.digit_sizes:
        report(f"digit students with {n} images of their own, teachers of 1,200")
        yield digits.pool_rows(splits, params, n)
    report(f"the same where the teacher has no more than its student, {params.equal_images} images")
    yield digits.equal_rows(splits, params)
    report(f"{', '.join(map(str, params.views))} stored views of each of {params.digit_sizes[0]} images")
    yield digits.view_rows(splits, params)
    report("far from the data: a small and a large teacher")
    yield digits.far_rows(splits, params)
