"""The small networks of the course: multi-layer perceptrons and little convolutional networks, with named features."""

from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor, nn

from kdutils.errors import ParameterError, whole
from kdutils.networks.convolution import convolve, joined, max_pool, together
from kdutils.networks.population import Outputs, Parameters, Seeded, linear


@dataclass(frozen=True)
class MLP(Seeded):
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
            x = features[f"hidden{i + 1}"] = linear(parameters, f"linear{i + 1}", x).relu()
        features["logits"] = linear(parameters, "logits", x)
        return features


@dataclass(frozen=True)
class ConvNet(Seeded):
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
        members, (height, width) = len(inputs), self.shape[1:]
        largest = max(channels * (height >> i) * (width >> i) for i, channels in enumerate(self.channels))
        blocks = -(-members // together(inputs, largest))
        split = {name: value.chunk(blocks) for name, value in parameters.items() if name.startswith("conv")}
        stages = [self._stages({name: values[i] for name, values in split.items()}, images)
                  for i, images in enumerate(inputs.chunk(blocks))]
        features = OrderedDict((f"stage{i + 1}", joined(parts)) for i, parts in enumerate(zip(*stages, strict=True)))
        x = features["embedding"] = features[f"stage{len(self.channels)}"].flatten(2)
        features["logits"] = linear(parameters, "logits", x)
        return features

    def _stages(self, parameters: Parameters, images: Tensor) -> list[Tensor]:
        """What each pooling gives: images (M, B, c, h, w) -> [(M, B, width, h, w), ...]."""
        stages = []
        for i in range(len(self.channels)):
            weight, bias = (parameters[f"conv{i + 1}.{part}"] for part in ("weight", "bias"))
            # The largest of four, then the ReLU, is the ReLU, then the largest: the same on a quarter of the numbers.
            images = max_pool(convolve(images, weight, bias)).relu()
            stages.append(images)
        return stages
