"""Every way to convolve is F.conv2d on each member alone: values, gradients, any size, any order in memory."""

import pytest
import torch
import torch.nn.functional as F

from kdutils import networks
from kdutils.networks import ConvNet, Population, convolution
from kdutils.networks.convolution import columns, convolve, grouped, joined, max_pool, together

WAYS = [convolve, grouped, columns]
# members, batch, channels in, out, height, width, kernel side
SHAPES = [(1, 5, 1, 3, 8, 8, 3), (1, 1, 3, 2, 5, 7, 3), (4, 3, 1, 2, 7, 9, 3), (3, 2, 4, 5, 6, 5, 5),
          (2, 6, 2, 1, 4, 4, 1), (5, 1, 1, 1, 2, 3, 3)]


def made(shape, device="cpu", dtype=torch.float64):
    """Images, weights, biases and a slope for the result."""
    members, batch, given, width, height, wide, side = shape
    random = torch.Generator().manual_seed(0)
    sizes = [(members, batch, given, height, wide), (members, width, given, side, side), (members, width),
             (members, batch, width, height, wide)]
    return [torch.randn(size, generator=random, dtype=torch.float64).to(device, dtype) for size in sizes]


def alone(images, weight, bias):
    """Each member by itself, as torch's own layer computes it."""
    return torch.stack([F.conv2d(image, w, b, padding=w.shape[-1] // 2)
                        for image, w, b in zip(images, weight, bias, strict=True)])


def with_gradients(way, tensors, slope):
    tensors = [tensor.detach().clone().requires_grad_() for tensor in tensors]
    result = way(*tensors)
    return result, torch.autograd.grad(result, tensors, slope)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_values_and_gradients_are_those_of_each_member_alone(way, shape, device):
    """Catches members that see a neighbour's channels, kernels turned over, and padding of the wrong width."""
    *tensors, slope = made(shape, device)
    expected, slopes = with_gradients(alone, tensors, slope)
    result, got = with_gradients(way, tensors, slope)
    assert result.shape == expected.shape
    torch.testing.assert_close(result, expected, atol=1e-10, rtol=1e-10)
    for one, other in zip(got, slopes, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_gradients_hold_against_finite_differences(way):
    *tensors, _ = made((2, 2, 1, 2, 3, 4, 3))
    assert torch.autograd.gradcheck(way, [tensor.requires_grad_() for tensor in tensors])


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (1, 3, 4, 0, 2), (0, 2, 3, 4, 1), (4, 3, 2, 1, 0)], ids=str)
def test_the_order_of_the_images_in_memory_does_not_matter(way, order):
    """Catches a view of one order read as if it were another."""
    images, weight, bias, _ = made((3, 4, 2, 3, 5, 6, 3))
    back = [order.index(axis) for axis in range(5)]
    turned = images.permute(order).contiguous().permute(back)
    torch.testing.assert_close(way(turned, weight, bias), alone(images, weight, bias), atol=1e-10, rtol=1e-10)
    shared = images[:1].expand(3, -1, -1, -1, -1)
    torch.testing.assert_close(way(shared, weight, bias), alone(shared, weight, bias), atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("side", [2, 3])
def test_pooling_is_that_of_each_image_with_the_same_winner_among_equals(way, shape, side):
    """Ties are common: background is black. Catches a gradient that goes to another of the equal pixels."""
    images, weight, bias, _ = made(shape)
    if min(images.shape[-2:]) < side:
        side = 2
    x = way(images, weight, bias).detach().round()  # many equal values
    x.requires_grad_()
    pooled = max_pool(x, side)
    plain = x.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
    expected = F.max_pool2d(plain.flatten(0, 1), side).unflatten(0, x.shape[:2])
    assert torch.equal(pooled, expected)
    slope = torch.randn(pooled.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (got,), (wanted,) = torch.autograd.grad(pooled, x, slope), torch.autograd.grad(expected, plain, slope)
    assert torch.equal(got, wanted)


def test_from_layer_to_layer_nothing_is_copied():
    """Catches a layer that puts the images back into torch's order: twice the time at 14x14."""
    images, weight, bias, _ = made((4, 3, 2, 3, 8, 8, 3))
    x = max_pool(convolve(images, weight, bias)).relu()
    merged = convolution.members_as_channels(x)
    assert merged.data_ptr() == x.data_ptr() and merged.is_contiguous(memory_format=torch.channels_last)
    lone = columns(images[:1], weight[:1], bias[:1])
    assert lone.stride(1) == 1 and max_pool(lone).stride(1) == 1, "the batch stays innermost after `columns`"


def test_blocks_of_members_fill_the_cache_and_no_more():
    def block(members, batch, largest):
        return together(torch.empty(members, batch, 1, 14, 14, device="meta"), largest)

    assert block(32, 64, 8 * 14 * 14) == 5 and block(32, 64, 8 * 8 * 8) == 16
    assert block(32, 4096, 32 * 32 * 32) == 4, "fewer than four would be as slow as one by one"
    assert block(2, 64, 8 * 8 * 8) == 2 and block(1, 64, 10**9) == 1


@pytest.mark.parametrize("members", [1, 2, 5, 9])
def test_a_population_in_blocks_is_the_population_at_once(members, monkeypatch, device):
    """Catches blocks put together in another order, and a last, smaller block that is lost."""
    spec, seeds = ConvNet((2, 9, 7), (3, 5), 4), range(members)
    shared = torch.rand(6, 2, 9, 7, generator=torch.Generator().manual_seed(0)).to(device)

    def computed():
        population = Population(spec, seeds, device)
        for value in population.parameters.values():
            value.requires_grad_()
        features = population.features(shared)
        slopes = torch.autograd.grad(features["logits"].square().sum(), list(population.parameters.values()))
        return features, slopes

    monkeypatch.setattr(convolution, "IN_CACHE", 10**9)
    at_once, slopes = computed()
    monkeypatch.setattr(convolution, "IN_CACHE", 1)
    in_blocks, others = computed()
    for name, value in at_once.items():
        torch.testing.assert_close(in_blocks[name], value, atol=1e-6, rtol=1e-5)
    for one, other in zip(slopes, others, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    for m in seeds:
        module = networks.features(spec.module(m).to(device), shared)
        for name, value in in_blocks.items():
            torch.testing.assert_close(value[m], module[name], atol=1e-5, rtol=1e-5)


def test_joining_blocks_keeps_members_and_order():
    whole = made((5, 2, 3, 2, 4, 4, 3))[0].permute(1, 3, 4, 0, 2).contiguous().permute(3, 0, 4, 1, 2)
    parts = joined(whole.chunk(3))
    assert torch.equal(parts, whole) and parts.stride() == whole.stride()
