"""Results: a table of runs, paired differences with intervals, saved and reloaded whole.

What an interval is about: the seeds, that is split, start and order of batches, of the one data set that was measured.
Seeds are drawn independently of each other, so that 95% of such intervals cover the mean over all seeds. Their splits
overlap, being cut from the same examples: no interval here speaks of new data. And of many intervals one in twenty
misses by chance; `claims` corrects for that.
"""

import functools
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import stats

import kdutils
from kdutils import cache
from kdutils.errors import AbsentError, NotMeasuredError, ParameterError


@dataclass(frozen=True)
class Effect:
    """A mean over seeds with its 95% Student-t interval; low and high are NaN for a single seed."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.span} (1 seed, no interval)" if self.n < 2 else f"{self.span} ({self.n} seeds)"

    @property
    def span(self) -> str:
        """The mean, and the interval where there is one."""
        return f"{self.mean:+z.1f}" if self.n < 2 else f"{self.mean:+z.1f} [{self.low:+z.1f}, {self.high:+z.1f}]"


def interval(values: Sequence[float], level: float = 0.95) -> Effect:
    """Mean and two-sided Student-t interval of independent values, one per seed."""
    values = np.asarray(values, float)
    if not len(values) or not np.isfinite(values).all():
        raise ParameterError(f"an interval needs finite values, got {values.tolist()}.")
    mean, n = values.mean(), len(values)
    if n < 2:
        return Effect(mean, np.nan, np.nan, n)
    half = _quantile(level, n) * values.std(ddof=1) / np.sqrt(n)
    return Effect(mean, mean - half, mean + half, n)


@functools.cache
def _quantile(level: float, n: int) -> float:
    """Student's t for two sides and n values; kept, as live panels ask for it at every step."""
    return float(stats.t.ppf((1 + level) / 2, n - 1))


@dataclass(frozen=True, eq=False)
class Results:
    """One row per run: the columns that say which run it was, `seed`, and what was measured.

    params: the parameters of the experiment, JSON-simple. provenance: code, versions, device, date, seconds.
    complete: False if the experiment was interrupted; the rows of finished groups are there.
    """

    table: pd.DataFrame
    params: Mapping = field(default_factory=dict)
    provenance: Mapping = field(default_factory=dict)
    complete: bool = True

    def where(self, **conditions) -> pd.DataFrame:
        """The rows whose columns equal the given values; no rows, too, if a part that was not run would have a column.

        Raises ParameterError for a column that rows with all the other values do not have.
        """
        rows = self.table
        for column in sorted(conditions, key=lambda name: name not in rows):  # those that are there first
            if column not in rows and len(rows):
                raise ParameterError(_without(column, rows))
            rows = rows[rows[column] == conditions[column]] if column in rows else rows
        return rows

    def measured(self, metric: str, **conditions) -> pd.DataFrame:
        """The rows of a setting, which have this metric; NotMeasuredError if there are no rows."""
        rows = self.where(**conditions)
        if rows.empty:
            raise NotMeasuredError(f"no run was measured with {_words(conditions)}.")
        if metric not in rows or rows[metric].isna().all():
            raise ParameterError(_without(metric, rows))
        return rows

    def per_seed(self, metric: str, **conditions) -> pd.Series:
        """One metric of one setting, indexed by seed; the setting must be one run per seed."""
        rows = self.measured(metric, **conditions)
        if rows["seed"].duplicated().any():
            raise ParameterError(f"{_words(conditions)} names more than one setting.")
        return rows.set_index("seed")[metric]

    def mean(self, metric: str, **conditions) -> Effect:
        """Mean over seeds of one setting."""
        return interval(self.per_seed(metric, **conditions))

    def paired(self, metric: str, this: Mapping, minus: Mapping) -> Effect:
        """Mean over seeds of the difference `this` - `minus`, each seed compared with itself."""
        first, second = self.per_seed(metric, **this), self.per_seed(metric, **minus)
        if set(first.index) != set(second.index):
            raise NotMeasuredError(f"{_words(this)} and {_words(minus)} were not measured on the same seeds.")
        return interval(first - second)

    def summary(self, metric: str, by: Sequence[str]) -> pd.DataFrame:
        """Mean, low, high and n of a metric for each setting: a row per combination of the columns `by`."""
        rows = []
        for values, group in self.table.dropna(subset=[metric]).groupby(list(by), dropna=False, sort=False):
            effect = interval(group[metric])
            rows.append(dict(zip(by, values, strict=True)) | vars(effect))
        return pd.DataFrame(rows, columns=[*by, "mean", "low", "high", "n"])

    def beside(self, other: "Results") -> "Results":
        """The rows of both experiments, for claims about either; parameters and provenance are this one's."""
        return replace(self, table=pd.concat([self.table, other.table], ignore_index=True),
                       complete=self.complete and other.complete)

    def text(self) -> str:
        """Everything as one line of JSON."""
        return json.dumps({"params": dict(self.params), "provenance": dict(self.provenance or {}),
                           "complete": self.complete, "columns": list(self.table),
                           "pieces": [json.loads(piece.to_json(orient="split", index=False, double_precision=6))
                                      for piece in _pieces(self.table)]})

    def save(self, path: str | Path) -> None:
        """Write one JSON file, whole or not at all."""
        text = self.text()
        cache.write_whole(Path(path), lambda target: target.write_text(text + "\n"))

    @classmethod
    def of(cls, text: str, source: str | Path = "the text") -> "Results":
        """What `text` wrote; ParameterError, naming the source, if it is anything else."""
        try:
            stored = json.loads(text)
            pieces = [pd.DataFrame(piece["data"], columns=piece["columns"]) for piece in stored["pieces"]]
            table = pd.concat(pieces or [pd.DataFrame()], ignore_index=True).reindex(columns=stored["columns"])
            params, made, complete = (stored[name] for name in ("params", "provenance", "complete"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ParameterError(f"{source} is not a results file ({error}).") from error
        for name, value in (("params", params), ("provenance", made)):
            if not isinstance(value, dict):
                raise ParameterError(f"{source} is not a results file ({name} must be a table of names and values, got "
                                     f"{value!r}).")
        return cls(table, params, made, complete)

    @classmethod
    def load(cls, path: str | Path) -> "Results":
        """Read what `save` wrote."""
        try:
            text = Path(path).read_text()
        except FileNotFoundError:
            raise AbsentError(f"there are no results at {path}.") from None
        except OSError as error:
            raise ParameterError(f"the results at {path} cannot be read ({error.strerror}).") from error
        except UnicodeDecodeError as error:
            raise ParameterError(f"{path} is not a results file ({error}).") from error
        return cls.of(text, path)


def _pieces(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Rows in a row that fill the same columns, and those columns alone: half a file would be nulls else."""
    filled = table.notna().reset_index(drop=True)
    piece_of = filled.ne(filled.shift()).any(axis=1).cumsum().to_numpy()
    return [piece.dropna(axis="columns", how="all") for _, piece in table.groupby(piece_of)]


def compared(accuracies: Mapping[str, Sequence], names: tuple[str, str]) -> pd.DataFrame:
    """A row for each of `accuracies`, {who: (2, S)} in percent: the means of both arms, the second less the first."""
    first, second = names
    return pd.DataFrame([{"": who, f"{first} (%)": float(one.mean()), f"{second} (%)": float(other.mean()),
                          f"{second} - {first}": str(interval(other - one))}
                         for who, (one, other) in ((who, np.asarray(pair, float)) for who, pair in accuracies.items())])


def provenance(device: str | torch.device, seconds: float) -> dict:
    """Where and with what a result was measured."""
    device = torch.device(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine() + " CPU"
    return {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "device": name, "threads": torch.get_num_threads(),
            "python": platform.python_version(), "torch": torch.__version__, "kdutils": kdutils.__version__,
            "code": cache.code_version(), "seconds": round(seconds, 1)}


def _without(column: str, rows: pd.DataFrame) -> str:
    return f"these runs have no column {column!r}; they have {', '.join(rows.dropna(axis='columns', how='all'))}."


def _words(conditions: Mapping) -> str:
    return ", ".join(f"{column}={value}" for column, value in conditions.items())
