"""Which hidden class's colour a subclass takes, and keeps while a teacher learns."""

import numpy as np
from scipy.optimize import linear_sum_assignment

HYSTERESIS = 0.02       # share of the examples by which another colour must match better before a subclass changes


def match(found: np.ndarray, truth: np.ndarray, total: int, kinds: int, before: np.ndarray | None = None) -> np.ndarray:
    """The kind whose colour each of `total` subclasses takes, (total,): k if it is matched to k one to one, `kinds` + k
    if it is left over and k is its most frequent kind, -1 if it holds no example.

    Hungarian matching of examples in common; `before`, the colours of a moment ago, stay unless others fit clearly
    better.
    """
    table = np.zeros((total, kinds))
    np.add.at(table, (found, truth), 1.0)
    used = table.sum(1) > 0
    if before is not None:
        rows = np.flatnonzero(before >= 0)
        table[rows, before[rows] % kinds] += HYSTERESIS * len(found) * used[rows]
    colours = np.where(used, kinds + table.argmax(1), -1)
    rows, columns = linear_sum_assignment(table, maximize=True)
    paired = table[rows, columns] > 0
    colours[rows[paired]] = columns[paired]
    return colours
