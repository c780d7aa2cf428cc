"""An experiment that is made up for the tests of sweeps, and what its sweeps must give."""

import os

import pandas as pd

from kdutils.lessons.start_here import experiment as start_here

TINY = start_here.StartHere(seeds=2, transfer=20, steps=20)

# An experiment that anybody might have written, in a module of its own: it notes each of its runs in a file, and does
# what it is told to do: fail, or kill its process (once, or always).
MADE_UP = """
import os, signal, time
from dataclasses import asdict, dataclass
from pathlib import Path
import pandas as pd
from kdutils.errors import positive
from kdutils.results import Results, provenance

@dataclass(frozen=True)
class Params:
    folder: str = ""
    size: float = 1.0
    shape: tuple[int, ...] = (1, 2)
    most: int | None = 3
    loud: bool = False
    deadly: tuple[float, ...] = ()
    wrong: tuple[float, ...] = ()
    always: bool = False
    seeds: int = 2
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self):
        positive("size", self.size)

DEFAULT = Params()

def run(params, report):
    note = Path(params.folder)
    with open(note / "runs", "a") as notes:
        notes.write(f"{params.size} {params.seed}\\n")
    time.sleep(0.2)
    if params.size in params.wrong:
        raise ValueError("a wrong size\\nand more")
    if params.size in params.deadly and (params.always or not (note / f"died {params.size}").exists()):
        (note / f"died {params.size}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    rows = [{"method": method, "seed": seed, "value": params.size * seed + len(method)}
            for method in ("a", "bb") for seed in range(params.seed, params.seed + params.seeds)]
    return Results(pd.DataFrame(rows), asdict(params), provenance(params.device, 0.5))
"""

NAME = "made_up_package.experiment"
SIZES = [1.0, 2.0, 3.0, 4.0]


def runs(params):
    """Every run that was begun, a line each."""
    with open(os.path.join(params.folder, "runs")) as notes:
        return notes.read().splitlines()


def expected(params, sizes=SIZES):
    """The table of single runs, written out here."""
    return pd.DataFrame([{"size": size, "method": method, "seed": seed, "value": size * seed + len(method)}
                         for size in sizes for method in ("a", "bb")
                         for seed in range(params.seed, params.seed + params.seeds)])


def same(results, table):
    pd.testing.assert_frame_equal(results.table, table, check_exact=True)
