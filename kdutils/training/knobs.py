"""Values that a reader may change while students train."""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from kdutils.errors import Named, ParameterError, at_least, between, one_of, positive, whole

# Every knob an objective may read, and the check of one value of it.
RANGES: dict[str, Callable[[float], float]] = {
    "temperature": partial(positive, "temperature"),
    "alpha": lambda value: between("alpha", value, 0, 1),
    "eta": lambda value: at_least("eta", value, 0),
    "ranks": lambda value: whole("ranks", value, 2),
    "epsilon": lambda value: between("epsilon", value, 0, 1),
    "beta": lambda value: at_least("beta", value, 0),
    "t_aux": partial(positive, "t_aux"),
    "weight": lambda value: at_least("weight", value, 0),
    "done": lambda value: between("share of the training that is done", value, 0, 1),
    "m": partial(positive, "m"),
}


def check_knob(name: str, value: float) -> float:
    """`value` if the knob `name` may have it, else ParameterError."""
    return RANGES[one_of("knob", name, RANGES)](value)


class Knobs:
    """Named values, each one number for all members or a sequence with one number per member.

    `set` may be called from any thread at any time; the loop sees the change at its next step, compiled kernels within
    10 steps (a few milliseconds). A reader of the values always sees one consistent set: it is replaced whole, never
    edited.
    """

    def __init__(self, **values: float | Sequence[float]):
        self._writing = threading.Lock()
        self._values: Mapping[str, float | tuple[float, ...]] = {}
        self._last_read: tuple = (None, None, None)
        self.set(**values)

    def set(self, **values: float | Sequence[float]) -> None:
        """Change some values; all are checked before any changes."""
        checked = {name: _checked(name, value) for name, value in values.items()}
        with self._writing:
            self._values = {**self._values, **checked}

    def __getitem__(self, name: str) -> float | tuple[float, ...]:
        return self._values[name]

    def read(self, members: int, device: torch.device) -> Mapping[str, float | Tensor]:
        """The values for `members` networks: numbers, or float32 tensors (members,) on `device`."""
        values, wanted = self._values, (members, device)
        seen, shape, tensors = self._last_read
        if seen is not values or shape != wanted:
            tensors = Named("knob", {name: _as_tensor(name, value, members, device) for name, value in values.items()})
            self._last_read = values, wanted, tensors
        return tensors


def _checked(name: str, value):
    if isinstance(value, (Sequence, np.ndarray, Tensor)) and not isinstance(value, str) and np.ndim(value):
        return tuple(check_knob(name, float(one)) for one in value)
    return check_knob(name, value.item() if hasattr(value, "item") else value)


def _as_tensor(name: str, value, members: int, device: torch.device):
    if not isinstance(value, tuple):
        return value
    if len(value) != members:
        raise ParameterError(f"{name} must be one number or {members} numbers, one per network; got {len(value)}.")
    return torch.tensor(value, dtype=torch.float32, device=device)
