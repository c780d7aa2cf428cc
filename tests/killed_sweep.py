"""The sweep of notebook 02's second scale on a made CIFAR-100, in a process that kills itself where it is told to.

python killed_sweep.py DATA FOLDER WHEN
"""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch

from kdutils.datasets import CARDS
from kdutils.lessons.tolerant_teachers import families, twenty
from kdutils.results import Results
from kdutils.sweeps import sweep


def measured(folder: Path, report=lambda line: None, progress=None) -> Results:
    """Three seeds, a point each, in this process."""
    params = replace(twenty.DEFAULT, seeds=3, views=2, teacher=(4,), student=(2,), few=100, steps=3, generations=1)
    return sweep("tolerant_teachers.twenty", {}, folder=folder, report=report, base=params, workers=1, seeds_each=1,
                 progress=progress)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    from made_cifar import made_hundred

    data, folder, when = sys.argv[1:]
    torch.set_num_threads(1)
    os.environ["KDUTILS_DATA"] = data
    CARDS["cifar-100"] = made_hundred(Path(data))
    if when == "in the second point":
        real, calls = families.cohort, []
        # A point has three cohorts: the second point ends in the middle of its students.
        families.cohort = lambda *given: die() if len(calls) == 4 else calls.append(0) or real(*given)
    measured(Path(folder), progress=lambda done, _: die() if when == "after two points" and done == 2 else None)
