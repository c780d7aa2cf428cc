"""The CIFAR networks: their sizes in the literature, their named features, their seeds, and one network written out."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from kdutils.networks import NETWORKS, ImageNetwork, features, image_network
from kdutils.networks.images import Conv, folded

# Parameters for 100 classes. Those of the pairs of the public benchmarks are the tables' (RepDistiller, mdistiller);
# the others follow from the layers and agree with the rounded figures of the papers (1.7 M, 0.18 M, 1.5 M, ...).
PARAMETERS = {
    "resnet8": 83_892, "resnet20": 278_324, "resnet32": 472_756, "resnet56": 861_620, "resnet110": 1_736_564,
    "resnet8x4": 1_233_540, "resnet32x4": 7_433_860, "wrn-10-2": 315_316, "wrn-16-1": 180_916, "wrn-16-2": 703_284,
    "wrn-28-2": 1_479_220, "wrn-40-1": 569_780, "wrn-40-2": 2_255_156, "vgg8": 3_965_028, "vgg13": 9_462_180,
}
SMALL = ("resnet8", "wrn-10-2", "vgg8")


def counted(name: str, classes: int = 100) -> int:
    """Parameters from the widths alone: convolutions k^2 in out (+ out), batch norms 2 out, linear in out + out."""
    if name.startswith("vgg"):
        widths = {"vgg8": (64, 128, 256, 512, 512), "vgg13": (64, 64, 128, 128, 256, 256, 512, 512, 512, 512)}[name]
        return sum(9 * i * o + 3 * o for i, o in zip((3, *widths), widths, strict=False)) + 513 * classes
    wide = name.startswith("wrn")
    if wide:
        depth, k = map(int, name[4:].split("-"))
        blocks, widths = (depth - 4) // 6, (16, 16 * k, 32 * k, 64 * k)
    else:
        depth, _, k = name[6:].partition("x")
        blocks, widths = (int(depth) - 2) // 6, (32, 64, 128, 256) if k else (16, 16, 32, 64)
    total = 27 * widths[0] + (0 if wide else 2 * widths[0])
    for number, (i, o) in enumerate(zip(widths, widths[1:], strict=False)):
        for inside in (i, *[o] * (blocks - 1)):
            total += 9 * inside * o + 9 * o * o + 2 * (inside if wide else o) + 2 * o
        if i != o or (number and not wide):
            total += i * o + (0 if wide else 2 * o)
    return total + (2 * widths[-1] if wide else 0) + (widths[-1] + 1) * classes


@pytest.mark.parametrize("name", NETWORKS)
def test_sizes_are_those_of_the_literature(name):
    """A shortcut with batch norm too many, a stem too narrow, a missing bias: each changes the count."""
    with torch.device("meta"):
        network = ImageNetwork(name).build()
    found = sum(parameter.numel() for parameter in network.parameters())
    assert found == PARAMETERS[name] == counted(name)


@pytest.mark.parametrize("name", NETWORKS)
def test_features_are_named_and_end_with_logits(name):
    with torch.device("meta"):
        found = features(ImageNetwork(name, 7).build(), torch.empty(2, 3, 32, 32))
    stages = [key for key in found if key.startswith("stage")]
    sides = [found[key].shape[-1] for key in stages]
    assert list(found) == ([] if name.startswith("vgg") else ["stem"]) + stages + ["embedding", "logits"]
    assert sides == ([32, 16, 8, 4, 4] if name.startswith("vgg") else [32, 16, 8])
    assert found["embedding"].ndim == 2 and found["logits"].shape == (2, 7)


@pytest.mark.parametrize("name", SMALL)
def test_features_are_what_the_network_computed(name):
    """An in-place ReLU behind a tap would change a feature after it was handed out."""
    network, x = image_network(name, 5).eval(), torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = features(network, x)
    copies, out = {}, x
    for part, layer in network.named_children():
        out = layer(out)
        copies[part] = out.clone()
    assert all(torch.equal(found[part], copies[part]) for part in copies)
    assert torch.equal(found["logits"], network(x))


def test_a_resnet_written_out():
    """The order of convolution, norm, ReLU and shortcut, against the definition in plain functions."""
    network = image_network("resnet8", 10, seed=4).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
    state, x = network.state_dict(), torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))

    def norm(y, name):
        return F.batch_norm(y, *(state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")))

    y = norm(F.conv2d(x, state["stem.0.weight"], padding=1), "stem.1").relu()
    for stage, stride in (("stage1.0", 1), ("stage2.0", 2), ("stage3.0", 2)):
        inner = norm(F.conv2d(y, state[f"{stage}.conv1.weight"], stride=stride, padding=1), f"{stage}.bn1").relu()
        inner = norm(F.conv2d(inner, state[f"{stage}.conv2.weight"], padding=1), f"{stage}.bn2")
        if stride == 2:
            y = norm(F.conv2d(y, state[f"{stage}.shortcut.0.weight"], stride=2), f"{stage}.shortcut.1")
        y = (inner + y).relu()
    expected = F.linear(y.mean((2, 3)), state["logits.weight"], state["logits.bias"])
    torch.testing.assert_close(network(x), expected, rtol=1e-5, atol=1e-5)


def test_a_wide_block_activates_before_it_convolves():
    """Where the width changes the shortcut starts behind the ReLU, elsewhere before the norm."""
    for inputs, stride in ((16, 1), (8, 2)):
        block = image_network("wrn-10-2", 10).stage1[0].__class__(inputs, 16, stride).eval()
        x = torch.randn(2, inputs, 8, 8, generator=torch.Generator().manual_seed(2))
        active = block.bn1(x).relu()
        inner = F.conv2d(block.bn2(F.conv2d(active, block.conv1.weight, stride=stride, padding=1)).relu(),
                         block.conv2.weight, padding=1)
        way = x if inputs == 16 else F.conv2d(active, block.shortcut.weight, stride=stride)
        torch.testing.assert_close(block(x), inner + way)


@pytest.mark.parametrize("name", SMALL)
def test_a_seed_is_a_start_and_the_global_generator_is_left_alone(name):
    before = torch.get_rng_state()
    one, same, other = (image_network(name, 10, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["logits.weight"], other["logits.weight"])


@pytest.mark.parametrize("name", SMALL)
def test_starts_have_the_variance_of_he(name):
    """2 / (9 out) per weight of a 3x3 convolution: fan out, not fan in."""
    weight = image_network(name, 10).get_submodule("stage3.0.conv1" if name != "vgg8" else "stage3.1").weight
    assert weight.var().item() == pytest.approx(2 / (9 * weight.shape[0]), rel=0.05)


@pytest.mark.parametrize(("name", "shape"), [("resnet8", (1, 8, 8)), ("vgg8", (1, 8, 8)), ("wrn-10-2", (1, 28, 28))])
def test_other_sizes_and_channels(name, shape):
    assert image_network(name, 10, channels=shape[0])(torch.zeros(2, *shape)).shape == (2, 10)


@pytest.mark.parametrize("frozen", ["", "x", "weight"])
@pytest.mark.parametrize("stride", [1, 2])
def test_strided_convolutions_in_bf16_have_the_gradients_of_a_convolution(stride, frozen):
    """On a CPU their weight gradient takes another way, which must lead to the same place."""
    random = torch.Generator().manual_seed(3)
    conv, x = Conv(6, 5, 3, stride, padding=1, bias=False), torch.randn(4, 6, 9, 8, generator=random)
    plain = nn.Conv2d(6, 5, 3, stride, padding=1, bias=False).requires_grad_(frozen != "weight")
    plain.load_state_dict(conv.state_dict())
    conv.requires_grad_(frozen != "weight")
    found = []
    for layer, bf16 in ((conv, True), (plain, False)):
        mine = x.clone().requires_grad_(frozen != "x")
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            out = layer(mine)
        out.float().square().sum().backward()
        found.append((out, mine.grad, layer.weight.grad))
    assert found[0][0].dtype == torch.bfloat16
    for mine, expected in zip(*found, strict=True):
        assert (mine is None) == (expected is None)
        if mine is not None:
            assert (mine.float() - expected).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize("name", [*SMALL, "vgg13", "wrn-16-1", "resnet20"])
def test_folding_changes_nothing_but_the_passes(name):
    """Statistics of the wrong norm, a norm folded into a convolution whose output others read, a changed original."""
    network = image_network(name, 10, seed=1)
    random = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low, high in ((module.running_mean, -0.5, 0.5), (module.running_var, 0.5, 2),
                                      (module.weight.data, 0.5, 1.5), (module.bias.data, -0.5, 0.5)):
                values.uniform_(low, high, generator=random)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    quick, x = folded(network), torch.randn(3, 3, 16, 16, generator=random)
    assert network.training and all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    torch.testing.assert_close(quick(x), network.eval()(x), rtol=1e-4, atol=1e-4)
    left = [key for key, module in quick.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert all("bn1" in key or key.startswith("embedding") for key in left) if name.startswith("wrn") else not left


class Gradients(TorchDispatchMode):
    """Notes (dtype, stride, side of the kernel, asks for the weight's gradient) of every convolution's backward."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.convolution_backward.default:
            self.seen.add((args[0].dtype, args[4][0], args[2].shape[-1], args[-1][1]))
        return func(*args, **(kwargs or {}))


def test_the_slow_weight_gradient_is_not_used():
    """In bf16, that of a strided 3x3 convolution takes several times what it takes in single precision."""
    network = image_network("resnet8", 10)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(torch.zeros(2, 3, 32, 32))
    with Gradients() as gradients:
        logits.float().sum().backward()
    half, single = torch.bfloat16, torch.float32
    assert gradients.seen == {(half, 1, 3, True), (half, 2, 1, True), (half, 2, 3, False), (single, 2, 3, True)}


def test_wrong_networks_are_named(refuses):
    with refuses("network", "resnet21"):
        ImageNetwork("resnet21")
    with refuses("classes", "1"):
        image_network("resnet8", 1)
    with refuses("channels", "0"):
        image_network("resnet8", 10, channels=0)
