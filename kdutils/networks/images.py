"""The CIFAR networks of the distillation literature: resnets, wide resnets and VGGs in their 32x32 form.

Shapes are those of the usual code bases (RepDistiller, mdistiller), so that pairs such as wrn-40-2 -> wrn-16-2 mean
what they mean in the papers; the numbers of parameters are tested against the literature's. Each network is an
`nn.Sequential` of named parts: `features(network, inputs)` gives {stem, stage1, ..., embedding, logits}.
"""

import copy
import itertools
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from kdutils.errors import one_of, whole
from kdutils.networks.population import Seeded


class Conv(nn.Conv2d):
    """A convolution that keeps out of one trap: in bf16 on a CPU, strided 3x3 ones get their weight gradient in single
    precision. oneDNN's bf16 kernel for it is slow when other processes keep the cores busy: 279 ms of processor time
    against 63 in single precision (64 images, 64 -> 128 channels, 32x32, 2 threads); everything else is faster in bf16.
    """

    def forward(self, x: Tensor) -> Tensor:
        strided = self.stride[0] > 1 and self.kernel_size[0] > 1
        learns = self.weight.requires_grad and torch.is_grad_enabled()
        if strided and learns and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            return _Strided.apply(x.bfloat16(), self.weight, self.stride, self.padding)
        return super().forward(x)


class _Strided(torch.autograd.Function):
    """A bf16 convolution without bias whose weight gradient is computed in single precision."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.how = stride, padding
        return F.conv2d(x, weight.bfloat16(), None, stride, padding)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        x, weight = ctx.saved_tensors
        of_x, of_weight = (
            torch.ops.aten.convolution_backward(g, x_, w, None, *ctx.how, (1, 1), False, (0, 0), 1, asked)[number]
            for number, (g, x_, w, asked) in enumerate((
                (gradient, x, weight.bfloat16(), (ctx.needs_input_grad[0], False, False)),
                (gradient.float(), x.float(), weight, (False, ctx.needs_input_grad[1], False)))))
        return of_x, of_weight, None, None


def conv3(inputs: int, outputs: int, stride: int = 1, bias: bool = False) -> Conv:
    return Conv(inputs, outputs, 3, stride, padding=1, bias=bias)


class Basic(nn.Module):
    """Two 3x3 convolutions with batch norm beside a shortcut, ReLU after the sum (He et al. 2016, CIFAR form)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = conv3(inputs, outputs, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = conv3(outputs, outputs), nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Sequential(
            Conv(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn1(self.conv1(x)).relu_()
        return (self.bn2(self.conv2(inner)) + self.shortcut(x)).relu_()


class Wide(nn.Module):
    """Batch norm and ReLU before each of two 3x3 convolutions (Zagoruyko and Komodakis 2016), no dropout.

    Where the width changes, the shortcut starts behind the first ReLU.
    """

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv3(inputs, outputs, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), conv3(outputs, outputs)
        self.shortcut = None if inputs == outputs else Conv(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = self.bn1(x).relu_()
        inner = self.conv2(self.bn2(self.conv1(active)).relu_())
        return inner + (x if self.shortcut is None else self.shortcut(active))


def stages(block: Callable[[int, int, int], nn.Module], widths: tuple[int, ...], blocks: int) -> OrderedDict:
    """stage1, stage2, ...: `blocks` blocks each; every stage but the first halves the image."""
    found = OrderedDict()
    for number, (inputs, outputs) in enumerate(zip(widths, widths[1:], strict=False), start=1):
        first = block(inputs, outputs, 1 if number == 1 else 2)
        found[f"stage{number}"] = nn.Sequential(first, *(block(outputs, outputs, 1) for _ in range(blocks - 1)))
    return found


def pooled(*before: nn.Module) -> nn.Sequential:
    """The embedding: one value per channel, the mean over the image."""
    return nn.Sequential(*before, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def resnet(depth: int, widths: tuple[int, ...], classes: int, channels: int) -> nn.Sequential:
    stem = nn.Sequential(conv3(channels, widths[0]), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True))
    network = nn.Sequential(OrderedDict(stem=stem, **stages(Basic, widths, (depth - 2) // 6), embedding=pooled(),
                                        logits=nn.Linear(widths[-1], classes)))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def wide_resnet(depth: int, width: int, classes: int, channels: int) -> nn.Sequential:
    widths = (16, 16 * width, 32 * width, 64 * width)
    last = pooled(nn.BatchNorm2d(widths[-1]), nn.ReLU(inplace=True))
    network = nn.Sequential(OrderedDict(stem=conv3(channels, widths[0]), **stages(Wide, widths, (depth - 4) // 6),
                                        embedding=last, logits=nn.Linear(widths[-1], classes)))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    nn.init.zeros_(network.logits.bias)
    return network


def vgg(widths: tuple[tuple[int, ...], ...], classes: int, channels: int) -> nn.Sequential:
    """Stages of 3x3 convolutions (with bias) and batch norm. Stages 2, 3 and 4 halve the image first; the fifth works
    at the size of the fourth, since 32 pixels allow no more."""
    parts, inputs = OrderedDict(), channels
    for number, stage in enumerate(widths, start=1):
        layers = [nn.MaxPool2d(2)] if 2 <= number <= 4 else []
        for outputs in stage:
            layers += [conv3(inputs, outputs, bias=True), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
            inputs = outputs
        parts[f"stage{number}"] = nn.Sequential(*layers)
    network = nn.Sequential(OrderedDict(**parts, embedding=pooled(), logits=nn.Linear(inputs, classes)))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0, math.sqrt(2 / (9 * module.out_channels)))
            nn.init.zeros_(module.bias)
    nn.init.normal_(network.logits.weight, 0, 0.01)
    nn.init.zeros_(network.logits.bias)
    return network


def folded(network: nn.Module) -> nn.Module:
    """A copy for evaluation in which a batch norm right behind a convolution has become part of its weights.

    The same function up to rounding, with fewer passes over the images; batch norms elsewhere stay.
    """
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        for first, second in _behind_each_other(module):
            conv, norm = module.get_submodule(first), module.get_submodule(second)
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module.set_submodule(first, fuse_conv_bn_eval(conv, norm))
                module.set_submodule(second, nn.Identity())
    return network


def _behind_each_other(module: nn.Module) -> list[tuple[str, str]]:
    """Names of children of which the second takes what the first gives, and nobody else does."""
    if isinstance(module, Basic):
        return [("conv1", "bn1"), ("conv2", "bn2")]
    if isinstance(module, Wide):
        return [("conv1", "bn2")]
    names = [name for name, _ in module.named_children()] if isinstance(module, nn.Sequential) else []
    return list(itertools.pairwise(names))


Build = Callable[[int, int], nn.Sequential]


def _resnet(depth: int, wider: int = 1) -> Build:
    # The wider ones also double the stem: 32, 64, 128, 256 against 16, 16, 32, 64.
    widths = (16, 16, 32, 64) if wider == 1 else (32, 16 * wider, 32 * wider, 64 * wider)
    return lambda classes, channels: resnet(depth, widths, classes, channels)


def _wide(depth: int, width: int) -> Build:
    return lambda classes, channels: wide_resnet(depth, width, classes, channels)


def _vgg(*widths: tuple[int, ...]) -> Build:
    return lambda classes, channels: vgg(widths, classes, channels)


NETWORKS: dict[str, Build] = {
    **{f"resnet{depth}": _resnet(depth) for depth in (8, 20, 32, 56, 110)},
    **{f"resnet{depth}x4": _resnet(depth, 4) for depth in (8, 32)},
    **{f"wrn-{depth}-{width}": _wide(depth, width)
       for depth, width in ((10, 2), (16, 1), (16, 2), (28, 2), (40, 1), (40, 2))},
    "vgg8": _vgg((64,), (128,), (256,), (512,), (512,)),
    "vgg13": _vgg((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
}


@dataclass(frozen=True)
class ImageNetwork(Seeded):
    """Which network: a name of the literature, the classes it tells apart, the channels of an image.

    `module(seed)` builds and initialises it. Images may have any size from 8x8 on; the names mean 32x32.
    """

    name: str
    classes: int = 100
    channels: int = 3

    def __post_init__(self):
        one_of("network", self.name, NETWORKS)
        object.__setattr__(self, "classes", whole("classes", self.classes, 2))
        object.__setattr__(self, "channels", whole("channels", self.channels, 1))

    def __str__(self) -> str:
        return self.name

    def build(self) -> nn.Sequential:
        return NETWORKS[self.name](self.classes, self.channels)


def image_network(name: str, classes: int, channels: int = 3, seed: int = 0) -> nn.Sequential:
    """The network of this name, initialised from the seed.

    Inputs are float (B, channels, H, W), normalised by whoever calls; `features` gives the named parts.
    """
    return ImageNetwork(name, classes, channels).module(seed)
