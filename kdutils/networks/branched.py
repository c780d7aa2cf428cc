"""Networks with something beside them: a regressor for hints, or several heads on a shared trunk.

Both start from the numbers of the plain network of the same seed, and give its logits under the name "logits".
"""

from collections import OrderedDict
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from kdutils.errors import ParameterError, one_of, whole
from kdutils.networks.population import Outputs, Parameters, Seeded, Specification, linear
from kdutils.networks.small import MLP, ConvNet


class _Aside(nn.Sequential):
    """A sequence whose "regressor" is beside the way from the input to the logits."""

    def forward(self, x: Tensor) -> Tensor:
        for name, layer in self.named_children():
            x = x if name == "regressor" else layer(x)
        return x


@dataclass(frozen=True)
class Hinted(Seeded):
    """A network with a linear regressor from its layer `layer` to `width` numbers, or channels, of the teacher's.

    Maps are read by a 1x1 convolution, flat layers by a linear one; features["hint"] is what it gives. The regressor is
    trained with the network and thrown away after. FitNets' own regressor has the teacher's non-linearity and no
    padding, RepDistiller's has batch norm; this one is the plain linear map.
    """

    network: MLP | ConvNet
    layer: str
    width: int

    def __post_init__(self):
        one_of("layer of the hint", self.layer, self._widths())
        whole("hint width", self.width, 1)

    def __str__(self) -> str:
        return f"{self.network}, hint of {self.width}"

    @property
    def classes(self) -> int:
        return self.network.classes

    def build(self) -> nn.Sequential:
        layers = OrderedDict(self.network.build().named_children())
        return _Aside(layers | {"regressor": nn.Linear(self._widths()[self.layer], self.width)})

    def forward(self, parameters: Parameters, inputs: Tensor) -> Outputs:
        features = self.network.forward(parameters, inputs)
        read = features[self.layer]
        places = read.flatten(3).transpose(2, 3).flatten(1, 2) if read.ndim > 3 else read  # (M, B * H * W, C)
        hint = linear(parameters, "regressor", places)
        if read.ndim > 3:
            hint = hint.unflatten(1, (read.shape[1], -1)).transpose(2, 3).unflatten(3, read.shape[3:])
        return OrderedDict(hint=hint) | features

    def _widths(self) -> dict[str, int]:
        kind, widths = (("stage", self.network.channels) if isinstance(self.network, ConvNet)
                        else ("hidden", self.network.hidden))
        return {f"{kind}{i + 1}": width for i, width in enumerate(widths)}


class _Branches(nn.Module):
    """A trunk, branches and a gate as an ordinary module, whose answer is that of the first branch."""

    def __init__(self, trunk: nn.Sequential, branches: list[nn.Sequential], gate: nn.Linear):
        super().__init__()
        self.trunk = trunk
        for i, branch in enumerate(branches):
            self.add_module(f"branch{i + 1}", branch)
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        return self.branch1(self.trunk(x))


@dataclass(frozen=True)
class Branched(Seeded):
    """ONE's network: `branches` copies of the last hidden layer and the logits on one shared trunk, and a gate.

    features: "branches" (M, B, K, C), "gate" (M, B, K) the gate's scores, and "logits" (M, B, C), the first branch's:
    what is deployed, a network of the plain size. The gate is linear on the trunk's output; the authors' has batch norm
    and a ReLU before its softmax.
    """

    network: MLP | ConvNet
    branches: int = 3

    def __post_init__(self):
        whole("branches", self.branches, 2)
        if len(self._hidden()) < 2:
            raise ParameterError(f"branches need a layer to share below their own: {self.network} has one hidden "
                                 "layer.")

    def __str__(self) -> str:
        return f"{self.network} with {self.branches} branches"

    @property
    def classes(self) -> int:
        return self.network.classes

    @property
    def trunk(self) -> Specification:
        """The shared layers; its "logits" are the gate's scores."""
        field = "channels" if isinstance(self.network, ConvNet) else "hidden"
        return replace(self.network, classes=self.branches, **{field: self._hidden()[:-1]})

    @property
    def branch(self) -> Specification:
        """One branch, on what the trunk gives."""
        below, last = self._hidden()[-2:]
        if isinstance(self.network, ConvNet):
            height, width = (side >> len(self._hidden()) - 1 for side in self.network.shape[1:])
            return ConvNet((below, height, width), (last,), self.classes)
        return MLP(below, (last,), self.classes)

    def build(self) -> nn.Module:
        # The plain network is drawn first and cut in two, so that its start is that of trunk and first branch.
        layers = list(self.network.build().named_children())
        cut = len([name for name, _ in self.trunk.build().named_children() if name not in ("embedding", "logits")])
        names = [name for name, _ in self.branch.build().named_children() if name != "flat"]
        first = zip(names, (layer for _, layer in layers[cut:]), strict=True)
        others = [self.branch.build() for _ in range(self.branches - 1)]
        return _Branches(nn.Sequential(OrderedDict(layers[:cut])), [nn.Sequential(OrderedDict(first)), *others],
                         self.trunk.build()[-1])

    def forward(self, parameters: Parameters, inputs: Tensor) -> Outputs:
        trunk = self.trunk.forward(_under("trunk.", parameters) | {
            f"logits.{part}": parameters[f"gate.{part}"] for part in ("weight", "bias")}, inputs)
        *_, shared, gate = (value for name, value in trunk.items() if name != "embedding")
        own = [_under(f"branch{i + 1}.", parameters) for i in range(self.branches)]
        together = {name: torch.stack([one[name] for one in own], 1).flatten(0, 1) for name in own[0]}
        answers = self.branch.forward(together, shared.repeat_interleave(self.branches, 0))["logits"]
        branches = answers.unflatten(0, (-1, self.branches)).transpose(1, 2)
        return OrderedDict(trunk=shared, gate=gate, branches=branches, logits=branches[:, :, 0])

    def _hidden(self) -> tuple[int, ...]:
        return self.network.channels if isinstance(self.network, ConvNet) else self.network.hidden


def _under(prefix: str, parameters: Parameters) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in parameters.items() if name.startswith(prefix)}
