"""Small networks with named features, as ordinary modules and as populations.

A *specification* (MLP, ConvNet) says what one network is. `spec.module(seed)` is that network as an ordinary
`torch.nn.Sequential`; `Population(spec, seeds)` is M of them side by side, every parameter with a leading axis M.
Both start from the same numbers: member i of a population equals `spec.module(seeds[i])`.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdutils import seeds as streams
from kdutils.errors import ParameterError, whole

Parameters = Mapping[str, Tensor]
Outputs = dict[str, Tensor]

_BORROWED = threading.Lock()


class Specification(Protocol):
    """What a population needs to know of a network."""

    classes: int

    def build(self) -> nn.Sequential:
        """One network with torch's default initialisation; named layers, the last one called "logits"."""

    def forward(self, parameters: Parameters, inputs: Tensor) -> Outputs:
        """Named features of M networks: inputs (M, B, ...) -> {name: (M, B, ...)}, the last one "logits"."""

    def module(self, seed: int) -> nn.Sequential:
        """One network, initialised from the seed."""


class _Seeded:
    """Initialisation from a seed, without touching torch's global generator."""

    def module(self, seed: int) -> nn.Sequential:
        # torch's layers draw from the one global CPU generator: borrow it alone (torch.manual_seed would reseed the
        # GPUs' too), and one thread at a time, or two panels would mix their starts.
        with _BORROWED, torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(streams.derive(seed, "init"))
            return self.build()


@dataclass(frozen=True)
class MLP(_Seeded):
    """A multi-layer perceptron with ReLUs: MLP(64, (16,), 10) is written 64-16-10."""

    inputs: int = 64
    hidden: tuple[int, ...] = (16,)
    classes: int = 10

    def __post_init__(self):
        for width in (self.inputs, *self.hidden):
            whole("layer width", width, 1)
        whole("classes", self.classes, 2)

    def __str__(self) -> str:
        return "-".join(map(str, (self.inputs, *self.hidden, self.classes)))

    def build(self) -> nn.Sequential:
        widths = (self.inputs, *self.hidden)
        layers = OrderedDict(flat=nn.Flatten())
        for i in range(len(self.hidden)):
            layers[f"linear{i + 1}"] = nn.Linear(widths[i], widths[i + 1])
            layers[f"hidden{i + 1}"] = nn.ReLU()
        layers["logits"] = nn.Linear(widths[-1], self.classes)
        return nn.Sequential(layers)

    def forward(self, parameters: Parameters, inputs: Tensor) -> Outputs:
        features = OrderedDict()
        x = inputs.flatten(2)
        for i in range(len(self.hidden)):
            x = features[f"hidden{i + 1}"] = _linear(parameters, f"linear{i + 1}", x).relu()
        features["logits"] = _linear(parameters, "logits", x)
        return features


@dataclass(frozen=True)
class ConvNet(_Seeded):
    """3x3 convolutions with ReLU and 2x2 max pooling, then one linear layer.

    shape: (channels, height, width) of an image; channels: the width of each convolution. No batch norm: its
    statistics would tie the examples of a batch together and its running averages would be one more state.
    """

    shape: tuple[int, int, int] = (1, 8, 8)
    channels: tuple[int, ...] = (8, 16)
    classes: int = 10

    def __post_init__(self):
        for width in self.channels:
            whole("channels", width, 1)
        whole("classes", self.classes, 2)
        if not self.channels or min(self.shape[1:]) < 2 ** len(self.channels):
            raise ParameterError(f"{len(self.channels)} poolings need images of at least {2 ** len(self.channels)} "
                                 f"pixels a side, got {self.shape[1]}x{self.shape[2]}.")

    def __str__(self) -> str:
        return f"conv{'-'.join(map(str, self.channels))}-{self.classes}"

    def build(self) -> nn.Sequential:
        widths = (self.shape[0], *self.channels)
        layers = OrderedDict()
        for i in range(len(self.channels)):
            layers[f"conv{i + 1}"] = nn.Conv2d(widths[i], widths[i + 1], 3, padding=1)
            layers[f"relu{i + 1}"] = nn.ReLU()
            layers[f"stage{i + 1}"] = nn.MaxPool2d(2)
        height, width = (side >> len(self.channels) for side in self.shape[1:])
        layers["embedding"] = nn.Flatten()
        layers["logits"] = nn.Linear(widths[-1] * height * width, self.classes)
        return nn.Sequential(layers)

    def forward(self, parameters: Parameters, inputs: Tensor) -> Outputs:
        members, batch = inputs.shape[:2]
        features = OrderedDict()
        # Members lie side by side on the channel axis, one group each: a single grouped convolution serves all.
        x = inputs.transpose(0, 1).flatten(1, 2)
        for i in range(len(self.channels)):
            weight, bias = (parameters[f"conv{i + 1}.{part}"].flatten(0, 1) for part in ("weight", "bias"))
            x = F.max_pool2d(F.conv2d(x, weight, bias, padding=1, groups=members).relu(), 2)
            features[f"stage{i + 1}"] = x.unflatten(1, (members, -1)).transpose(0, 1)
        x = features["embedding"] = features[f"stage{len(self.channels)}"].flatten(2)
        features["logits"] = _linear(parameters, "logits", x)
        return features


class Population:
    """M networks of one shape, computed side by side.

    parameters: {name: (M, ...)}, the names of `spec.build()`. Members never touch each other, so each one is the
    network it would be alone.
    """

    def __init__(self, spec: Specification, seeds: Sequence[int], device: str | torch.device = "cpu"):
        if not len(seeds):
            raise ParameterError("seeds must name at least one network, got none.")
        # Settings of one sweep share seeds: build each start once.
        starts = {seed: dict(spec.module(seed).named_parameters()) for seed in dict.fromkeys(seeds)}
        names = next(iter(starts.values()))
        self.spec = spec
        self.parameters: dict[str, Tensor] = {
            name: torch.stack([starts[seed][name].detach() for seed in seeds]).to(device) for name in names}

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


def size(spec: Specification) -> int:
    """Number of parameters of one network."""
    return sum(prod(parameter.shape) for parameter in spec.build().parameters())


def features(module: nn.Sequential, inputs: Tensor) -> Outputs:
    """The named features of an ordinary module, one per named layer: inputs (B, c, h, w) -> {name: (B, ...)}."""
    outputs = OrderedDict()
    for name, layer in module.named_children():
        inputs = outputs[name] = layer(inputs)
    return outputs



def _linear(parameters: Parameters, name: str, x: Tensor) -> Tensor:
    """x (M, B, in) -> (M, B, out), with torch's (out, in) weights."""
    return torch.baddbmm(parameters[f"{name}.bias"][:, None], x, parameters[f"{name}.weight"].transpose(1, 2))
