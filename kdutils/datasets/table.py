"""Tabular data: numbers and categories instead of pixels, and otherwise like any other data set."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from kdutils.errors import ParameterError


@dataclass(frozen=True, eq=False)
class Table:
    """N labelled rows, whole, on one device; a training task takes it like a Dataset.

    numeric:       float32 (N, F), as measured, or `standardised`; NaN where a value is missing.
    categories:    int64 (N, K), column k in 0 .. cardinalities[k] - 1.
    cardinalities: K whole numbers.
    labels:        int64 (N,), 0 .. len(classes) - 1.
    fields:        names of the F numeric and then the K categorical columns, or () if they have none.
    test:          int64 indices of the official test rows, or None.
    hidden:        int64 (N,), subclasses that a student must not see, or None; hidden_classes: their names.
    probability:   float64 (N,), the true probability of label 1 given all columns, or None where nobody knows it.
    """

    name: str
    numeric: Tensor
    categories: Tensor
    cardinalities: tuple[int, ...]
    labels: Tensor
    classes: tuple[str, ...]
    fields: tuple[str, ...] = ()
    test: Tensor | None = None
    hidden: Tensor | None = None
    hidden_classes: tuple[str, ...] | None = None
    probability: Tensor | None = None
    standardised: bool = False

    def __post_init__(self):
        n = len(self.labels)
        for name, dtype, width in (("numeric", torch.float32, None), ("categories", torch.int64, self.n_categorical)):
            value = getattr(self, name)
            if value.ndim != 2 or value.dtype != dtype or len(value) != n or width not in (None, value.shape[1]):
                kind = f"{dtype} ({n}, {'F' if width is None else width})".removeprefix("torch.")
                raise ParameterError(f"{name} must be {kind}, got {value.dtype} {tuple(value.shape)}.")
        for k, cardinality in enumerate(self.cardinalities):
            column = self.categories[:, k]
            if n and not 0 <= int(column.min()) <= int(column.max()) < cardinality:
                raise ParameterError(f"categorical column {k} must be 0 to {cardinality - 1}, got {int(column.min())} "
                                     f"to {int(column.max())}.")
        if self.labels.ndim != 1 or self.labels.dtype != torch.int64:
            raise ParameterError(f"labels must be int64 (N,), got {self.labels.dtype} {tuple(self.labels.shape)}.")
        if self.fields and len(self.fields) != self.numeric.shape[1] + self.n_categorical:
            raise ParameterError(f"fields must name {self.numeric.shape[1] + self.n_categorical} columns, "
                                 f"got {len(self.fields)}.")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_categorical(self) -> int:
        return len(self.cardinalities)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(1, 1, D), as if a row were an image one pixel high: D = F numbers + one column for each category."""
        return 1, 1, self.numeric.shape[1] + sum(self.cardinalities)

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    @cached_property
    def inputs(self) -> Tensor:
        """float32 (N, 1, 1, D): the numbers, standardised, then every category as 0 or 1 (one-hot)."""
        numbers = self.numeric.shape[1]
        inputs = torch.zeros(len(self), self.shape[-1], device=self.labels.device)
        inputs[:, :numbers] = self.standardise().numeric
        starts = torch.tensor([0, *self.cardinalities[:-1]], device=self.labels.device).cumsum(0)
        inputs.scatter_(1, numbers + starts[: self.n_categorical] + self.categories, 1.0)
        return inputs[:, None, None]

    def standardise(self) -> "Table":
        """The table with numbers of mean 0 and standard deviation 1; itself if it has been through this.

        Mean and standard deviation are those of the rows outside `test`, all rows where there is no test set; a missing
        number becomes 0, the mean, and a constant column 0 throughout.
        """
        if self.standardised:
            return self
        seen = torch.ones(len(self), dtype=torch.bool, device=self.labels.device)
        if self.test is not None:
            seen[self.test] = False
        known = self.numeric[seen].double()
        mean = known.nanmean(0)
        spread = (known - mean).square().nanmean(0).sqrt()
        numeric = ((self.numeric - mean) / torch.where(spread > 0, spread, torch.inf)).nan_to_num(0).float()
        return replace(self, numeric=numeric, standardised=True)

    def to(self, device: str | torch.device) -> "Table":
        """The same table on another device."""
        return self._each(lambda value: value.to(device))

    def rows(self, index: Tensor) -> "Table":
        """The rows of an int64 index, in its order; a test set of the whole table does not carry over."""
        return replace(self, test=None)._each(lambda value: value[index])

    @cached_property
    def fingerprint(self) -> str:
        """12 hex digits of the content: part of every cache key."""
        digest = hashlib.sha256()
        for value in (self.numeric, self.categories, self.labels, self.hidden):
            digest.update(b"" if value is None else value.cpu().contiguous().numpy())
        test = None if self.test is None else self.test.tolist()
        digest.update(repr((self.cardinalities, test, self.standardised)).encode())
        return digest.hexdigest()[:12]

    def _each(self, change) -> "Table":
        names = ("numeric", "categories", "labels", "test", "hidden", "probability")
        return replace(self, **{name: change(value) for name in names if (value := getattr(self, name)) is not None})
