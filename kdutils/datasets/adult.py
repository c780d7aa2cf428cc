"""UCI Adult (Becker and Kohavi 1996): does a person earn more than 50,000 dollars a year? Real tabular data.

The owners' layout: comma-separated rows of 14 fields and the income; `?` stands for what is not known. The test file
begins with a line of its own and puts a full stop behind each income.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from kdutils.datasets.files import File, Layout
from kdutils.datasets.table import Table
from kdutils.errors import ParameterError

FIELDS = ("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship",
          "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country")
NUMBERS = ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week")
CATEGORIES = tuple(field for field in FIELDS if field not in NUMBERS)
INCOMES = ("<=50K", ">50K")


def read(paths: Sequence[Path]) -> Table:
    """The table from adult.data and adult.test; a category that is not known (`?`) is a category of its own."""
    rows = [_rows(path) for path in paths]
    columns = dict(zip((*FIELDS, "income"), zip(*(rows[0] + rows[1]), strict=True), strict=True))
    try:
        numeric = torch.tensor([[float(value) for value in columns[field]] for field in NUMBERS]).T.contiguous()
    except ValueError as error:
        raise ParameterError(f"{paths[0]} or {paths[1]} has a text where a number belongs ({error}).") from error
    known = [np.unique(columns[field], return_inverse=True) for field in CATEGORIES]
    labels = torch.tensor([INCOMES.index(income) for income in columns["income"]])
    return Table("adult", numeric, torch.from_numpy(np.stack([codes for _, codes in known], 1)),
                 tuple(len(names) for names, _ in known), labels, INCOMES, fields=(*NUMBERS, *CATEGORIES),
                 test=torch.arange(len(rows[0]), len(labels)))


def _rows(path: Path) -> list[list[str]]:
    """The fields and the income of every row of a file."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("|"):  # the test file's first line
            continue
        row = [value.strip() for value in line.rstrip(".").split(",")]
        if len(row) != len(FIELDS) + 1 or row[-1] not in INCOMES:
            raise ParameterError(f"{path}, line {number}, is not {len(FIELDS)} fields and an income of <=50K or >50K.")
        found.append(row)
    if not found:
        raise ParameterError(f"{path} has no rows.")
    return found


# SHA-256 of the files as the UCI repository distributes them.
LAYOUTS = (Layout("UCI", (
    File("adult/adult.data", 3_974_305, "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d"),
    File("adult/adult.test", 2_003_153, "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05"),
), read),)
