"""Data sets as tensors, and the transformations the papers need, as functions of a data set."""

from kdutils.datasets.base import Dataset, Split, take
from kdutils.datasets.catalog import CARDS, Card, available, get, grouped, load, root, source, state, usable_device
from kdutils.datasets.celeba import celeba
from kdutils.datasets.clicks import bayes_log_loss, clicks
from kdutils.datasets.criteo import criteo
from kdutils.datasets.groupings import GROUPINGS, Grouping
from kdutils.datasets.table import Table
from kdutils.datasets.transforms import (
    exponential_counts,
    label_noise,
    long_tail,
    power_law_counts,
    split,
    superclasses,
    transfer_set,
    without_class,
    wrong_share,
)

__all__ = ["CARDS", "GROUPINGS", "Card", "Dataset", "Grouping", "Split", "Table", "available", "bayes_log_loss",
           "celeba", "clicks", "criteo", "exponential_counts", "get", "grouped", "label_noise", "load", "long_tail",
           "power_law_counts", "root", "source", "split", "state", "superclasses", "take", "transfer_set",
           "usable_device", "without_class", "wrong_share"]
