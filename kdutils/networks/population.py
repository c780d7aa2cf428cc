"""M networks of one shape side by side: every parameter has a leading axis M.

A *specification* (MLP, ConvNet) says what one network is. `spec.module(seed)` is that network as an ordinary
`torch.nn.Sequential`; `Population(spec, seeds)` is M of them side by side. Both start from the same numbers: member i
of a population equals `spec.module(seeds[i])`.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from math import prod
from typing import Protocol

import torch
from torch import Tensor, nn

from kdutils import rng
from kdutils.errors import ParameterError
from kdutils.networks.room import free_memory

Parameters = Mapping[str, Tensor]
Outputs = dict[str, Tensor]

_BORROWED = threading.Lock()
_SMALL = 2**15  # parameters of a network whose start is kept: a live panel begins with the same ones at every run
_TRAINED = 16  # bytes of a parameter in training: the number, its gradient, and Adam's two means


class Specification(Protocol):
    """What a population needs to know of a network."""

    classes: int

    def build(self) -> nn.Sequential:
        """One network with torch's default initialisation; named layers, the last one called "logits"."""

    def forward(self, parameters: Parameters, inputs: Tensor) -> Outputs:
        """Named features of M networks: inputs (M, B, ...) -> {name: (M, B, ...)}, the last one "logits"."""

    def module(self, seed: int) -> nn.Sequential:
        """One network, initialised from the seed."""


class Seeded:
    """Initialisation from a seed, without touching torch's global generator."""

    def module(self, seed: int) -> nn.Sequential:
        # torch's layers draw from the one global CPU generator: borrow it alone (torch.manual_seed would reseed the
        # GPUs' too), and one thread at a time, or two panels would mix their starts.
        with _BORROWED, torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(rng.derive(seed, "init"))
            return self.build()


class Population:
    """M networks of one shape, computed side by side.

    parameters: {name: (M, ...)}, the names of `spec.build()`. Members never touch each other, so each one is the
    network it would be alone.
    """

    def __init__(self, spec: Specification, seeds: Sequence[int], device: str | torch.device = "cpu"):
        if not len(seeds):
            raise ParameterError("seeds must name at least one network, got none.")
        _ask_for_room(spec, len(seeds), device)
        # Settings of one sweep share seeds: build each start once.
        start = _kept_start if size(spec) <= _SMALL else _start
        starts = {seed: start(spec, seed) for seed in dict.fromkeys(seeds)}
        names = next(iter(starts.values()))
        self.spec = spec
        self.parameters: dict[str, Tensor] = {
            name: torch.stack([starts[seed][name] for seed in seeds]).to(device) for name in names}

    @classmethod
    def of(cls, spec: Specification, parameters: Parameters) -> "Population":
        """A population around existing parameters {name: (M, ...)}, as a cache returns them."""
        self = cls.__new__(cls)
        self.spec, self.parameters = spec, dict(parameters)
        return self

    def __len__(self) -> int:
        return len(next(iter(self.parameters.values())))

    @property
    def device(self) -> torch.device:
        return next(iter(self.parameters.values())).device

    def features(self, inputs: Tensor) -> Outputs:
        """Named features {name: (M, B, ...)} of inputs (M, B, c, h, w), or (B, c, h, w) shared by all members."""
        if inputs.ndim == 4:
            inputs = inputs.expand(len(self), *inputs.shape)
        return self.spec.forward(self.parameters, inputs)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Logits (M, B, classes)."""
        return self.features(inputs)["logits"]

    @torch.no_grad()
    def predict(self, inputs: Tensor, chunk: int = 4096) -> Tensor:
        """Logits without gradients, computed `chunk` images at a time: (M, B, classes)."""
        return torch.cat([self(part) for part in inputs.split(chunk, dim=inputs.ndim - 4)], dim=1)

    def member(self, index: int) -> nn.Sequential:
        """Member `index` as an ordinary module, a copy."""
        module = self.spec.build().to(self.device)
        module.load_state_dict({name: value[index].detach() for name, value in self.parameters.items()})
        return module

    def copy(self) -> "Population":
        """The same members at this moment, detached from any training."""
        return Population.of(self.spec, {name: value.detach().clone() for name, value in self.parameters.items()})


@cache
def size(spec: Specification) -> int:
    """Number of parameters of one network."""
    with torch.device("meta"):
        return sum(prod(parameter.shape) for parameter in spec.build().parameters())


def features(module: nn.Sequential, inputs: Tensor) -> Outputs:
    """The named features of an ordinary module, one per named layer: inputs (B, c, h, w) -> {name: (B, ...)}."""
    outputs = OrderedDict()
    for name, layer in module.named_children():
        inputs = outputs[name] = layer(inputs)
    return outputs


def linear(parameters: Parameters, name: str, x: Tensor) -> Tensor:
    """x (M, B, in) -> (M, B, out), with torch's (out, in) weights.

    The batch lies innermost in memory: no matrix is turned over on the way to the loss, whose sums over classes run
    side by side for many examples.
    """
    return torch.baddbmm(parameters[f"{name}.bias"][:, :, None], parameters[f"{name}.weight"],
                         x.transpose(1, 2)).transpose(1, 2)


def _start(spec: Specification, seed: int) -> Mapping[str, Tensor]:
    """The parameters with which a network begins; to be read, not written."""
    return {name: value.detach() for name, value in spec.module(seed).named_parameters()}


_kept_start = lru_cache(maxsize=128)(_start)


def _ask_for_room(spec: Specification, members: int, device: str | torch.device) -> None:
    """Raise ParameterError where so many networks cannot fit."""
    need = _TRAINED * members * size(spec)
    free = free_memory(device)
    if free is not None and need > free:
        raise ParameterError(f"{members} networks {spec} take {need / 1e9:,.1f} GB in training, and "
                             f"{free / 1e9:,.1f} GB are free on {device}; make them fewer or narrower.")
