"""Convolutions of M networks at once: one interface, and behind it the way that is fastest for the shape.

Images lie as (M, B, C, H, W), in whatever order in memory: a result keeps the order in which it was computed, and the
next layer takes it as it is, without a copy. Two ways are kept, from the measurements in
tests/benchmarks/results/convolution_cpu.json (tests/benchmarks/bench_convolution.py measures them again):

    grouped  one convolution with a group per member, the members' channels innermost in memory ("channels last"):
             on a CPU up to 3 times faster than the same in torch's usual order, than a loop over members, and than
             torch.func's mapped modules, which become a grouped convolution in the usual order.
    columns  im2col and one batched product, the batch innermost: wins for one network on one-channel images, where a
             grouped convolution has nothing to work on side by side.

Both give what F.conv2d gives for each member alone, up to rounding.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# Activations of the members computed together: 2 MiB, about what stays in a core's cache until it is pooled.
IN_CACHE = 2**19


def convolve(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolution with stride 1 that keeps the size: (M, B, C, H, W), (M, O, C, k, k), (M, O) -> (M, B, O, H, W).

    k is odd. Member m sees images[m], weight[m] and bias[m] only.
    """
    return (columns if _alone_in_grey(images) else grouped)(images, weight, bias)


def grouped(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`convolve` as one convolution with M groups."""
    x = F.conv2d(members_as_channels(images), weight.flatten(0, 1), bias.flatten(), padding=weight.shape[-1] // 2,
                 groups=len(weight))
    return x.unflatten(1, weight.shape[:2]).transpose(0, 1)


def columns(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`convolve` as a batched product of the weights with every k x k patch."""
    k, (height, width) = weight.shape[-1], images.shape[-2:]
    x = F.pad(images.permute(0, 2, 3, 4, 1), (0, 0, *[k // 2] * 4))  # (M, C, H + k - 1, W + k - 1, B)
    patches = x.unfold(2, k, 1).unfold(3, k, 1).permute(0, 1, 5, 6, 2, 3, 4)  # (M, C, k, k, H, W, B)
    product = torch.baddbmm(bias[:, :, None], weight.flatten(2), patches.reshape(len(weight), weight[0, 0].numel(), -1))
    return product.unflatten(2, (height, width, -1)).permute(0, 4, 1, 2, 3)


def max_pool(images: Tensor, side: int = 2) -> Tensor:
    """The largest of each side x side square: (M, B, C, H, W) -> (M, B, C, H // side, W // side)."""
    if images.stride(1) == 1:  # from `columns`: with the batch in the place of the channels, torch's kernel is as fast
        x = F.max_pool2d(images.transpose(1, 2).flatten(0, 1), side)
        return x.unflatten(0, (images.shape[0], images.shape[2])).transpose(1, 2)
    x = F.max_pool2d(members_as_channels(images), side)
    return x.unflatten(1, (images.shape[0], images.shape[2])).transpose(0, 1)


def together(images: Tensor, largest: int) -> int:
    """How many members to compute at a time, of images (M, B, C, H, W) whose largest layer has `largest` activations.

    On a CPU as many as keep a layer's activations in the cache, at least 4: at 14x14 and 16 channels, 32 members by
    fours take two thirds of what they take at once. On a GPU all.
    """
    members, batch = images.shape[:2]
    return members if images.is_cuda else min(members, max(4, IN_CACHE // (batch * largest)))


def joined(blocks: Sequence[Tensor]) -> Tensor:
    """Blocks of members (m, B, C, H, W) as one population (M, B, C, H, W), in the order in memory that they have."""
    if len(blocks) == 1:
        return blocks[0]
    return torch.cat([block.permute(1, 3, 4, 0, 2) for block in blocks], 3).permute(3, 0, 4, 1, 2)


def members_as_channels(images: Tensor) -> Tensor:
    """(M, B, C, H, W) -> (B, M * C, H, W); on a CPU in channels-last order, a view where the images lie so already."""
    x = images.transpose(0, 1).flatten(1, 2)
    return x if x.is_cuda else x.contiguous(memory_format=torch.channels_last)


def _alone_in_grey(images: Tensor) -> bool:
    return images.shape[0] == 1 and images.shape[2] == 1 and not images.is_cuda
