"""The click-through part of notebook 03: logs of made-up worlds, and when a student has learnt enough.

Each seed has a world of its own (`datasets.clicks`), so that a finding is not one of a single world; split, starts and
batch orders are paired within a seed as everywhere.
"""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd
import torch

from kdutils.cohorts import Splits
from kdutils.datasets import clicks
from kdutils.errors import NotMeasuredError, whole
from kdutils.results import Results


def click_lab(seeds: int = 12, seed: int = 0, rows: int = 8000, held_out: int = 4000, device: str = "cpu") -> Splits:
    """The logs of one world per seed, one after the other in one table: `rows` to train on, `held_out` to measure.

    Each world's numbers are standardised by its own training rows.
    """
    chosen = tuple(range(seed, seed + whole("seeds", seeds, 1)))
    n = whole("rows", rows, 2) + whole("held out", held_out, 2)
    logs = [replace(clicks(one, n, world=one), test=torch.arange(held_out)).standardise() for one in chosen]
    columns = {name: torch.cat([getattr(log, name) for log in logs])
               for name in ("numeric", "categories", "labels", "hidden", "probability")}
    own = torch.arange(len(chosen) * n, device=device).view(-1, n)
    return Splits(replace(logs[0], test=None, **columns).to(device), chosen, own[:, held_out:], own[:, :held_out], own)


def steps_to_level(results: Results, this: Mapping, level_of: Mapping, metric: str = "log_loss") -> pd.Series:
    """First measured step at which each seed's run `this` is as good as the best of its run `level_of`, by seed.

    Good is low. The level is the best that the other run reaches at any measured step, which favours that run. A run
    that never gets there counts as one measuring interval behind its last step: too small a number, never too large.
    """
    curves, levels = (curves_of(results, metric, one) for one in (this, level_of))
    if not curves.index.equals(levels.index):
        raise NotMeasuredError(f"{this} and {level_of} were not measured on the same seeds.")
    reached = curves.le(levels.min(axis=1), axis=0)
    steps = curves.columns
    never = steps[-1] + (steps[-1] - steps[-2] if len(steps) > 1 else 1)
    return reached.idxmax(axis=1).where(reached.any(axis=1), never).astype(float)


def curves_of(results: Results, metric: str, run: Mapping) -> pd.DataFrame:
    """A run's values of a metric by seed (rows) and step (columns); NotMeasuredError if it was not measured."""
    return results.measured(metric, **run).pivot(index="seed", columns="step", values=metric)
