"""Display-advertising logs in Criteo's layout: one impression a line, label, 13 counts, 26 categories, tab-separated.

The categories are 32-bit hashes in eight hexadecimal digits; a field may be empty. Criteo's own sample (`train.txt` of
its display advertising challenge, 45,840,617 lines of seven days in order) is for its licensees to fetch, not for us;
any log in this layout can be read.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from kdutils.datasets.files import File, Layout
from kdutils.datasets.table import Table
from kdutils.errors import ParameterError, whole

COUNTS, HASHES = 13, 26
FIELDS = tuple(f"I{i}" for i in range(1, COUNTS + 1)) + tuple(f"C{i}" for i in range(1, HASHES + 1))


def criteo(path: str | Path, rows: int = 100_000, buckets: int = 32) -> Table:
    """The first `rows` lines of a log; the last seventh of them, the last of Criteo's days, is the test set.

    Counts n become sign(n) log(1 + |n|), and missing ones NaN. Every categorical field has `buckets` categories: 0 is
    a missing value, a hash h is 1 + h mod (buckets - 1). `inputs` take 4 (13 + 26 buckets) bytes a row: 338 MB for the
    defaults. Raises ParameterError for a line of another layout, naming it.
    """
    whole("rows", rows, 7)
    whole("buckets", buckets, 2, 2**31)
    labels, counts, hashes = [], [], []
    try:
        with Path(path).open(encoding="utf-8") as lines:
            for number, line in enumerate(islice(lines, rows), 1):
                label, numbers, codes = _impression(path, number, line)
                labels.append(label)
                counts.append(numbers)
                hashes.append(codes)
    except UnicodeDecodeError as error:
        raise ParameterError(f"{path} is not a text file; a log that is still packed must be unpacked.") from error
    except OSError as error:
        raise ParameterError(f"{path} cannot be read ({error.strerror}).") from error
    if len(labels) < 7:
        raise ParameterError(f"{path} must have at least 7 lines, got {len(labels)}.")
    raw = np.array(counts)
    codes = np.array(hashes, dtype=np.int64)
    categories = np.where(codes < 0, 0, 1 + codes % (buckets - 1))
    return Table("criteo", torch.from_numpy(np.sign(raw) * np.log1p(np.abs(raw))).float(), torch.from_numpy(categories),
                 (buckets,) * HASHES, torch.tensor(labels), ("no click", "click"), fields=FIELDS,
                 test=torch.arange(len(labels) - len(labels) // 7, len(labels)))


def _impression(path, number: int, line: str) -> tuple[int, list[float], list[int]]:
    """Label, counts (NaN where empty) and hashes (-1 where empty) of one line."""
    values = line.rstrip("\r\n").split("\t")
    if len(values) != 1 + COUNTS + HASHES or values[0] not in ("0", "1"):
        raise ParameterError(f"{path}, line {number}, is not a label of 0 or 1, {COUNTS} counts and {HASHES} "
                             "categories, tab-separated.")
    try:
        return (int(values[0]), [float(int(value)) if value else np.nan for value in values[1: 1 + COUNTS]],
                [int(value, 16) if value else -1 for value in values[1 + COUNTS:]])
    except ValueError as error:
        raise ParameterError(f"{path}, line {number}, has a count that is no whole number or a category that is not "
                             "hexadecimal.") from error


def _read(paths: Sequence[Path]) -> Table:
    return criteo(paths[0])


LAYOUTS = (Layout("display advertising challenge", (File("criteo/train.txt"),), _read),)
