"""What a training of image networks will take, said before it starts, and what it did take."""

import sys
from functools import cache

import torch
from torch import nn

from kdutils.networks import ImageNetwork
from kdutils.networks.room import free_memory

__all__ = ["free_memory", "of_activations", "of_network", "peak_memory"]


def peak_memory(device: str | torch.device) -> int | None:
    """The most bytes in use so far: by tensors on a GPU, by the whole process on a CPU; None where unknown."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_reserved(torch.device(device))
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


@cache
def of_network(network: ImageNetwork) -> int:
    """Bytes of a network in training: weights, gradients and momentum in single precision."""
    with torch.device("meta"):
        return 12 * sum(parameter.numel() for parameter in network.build().parameters())


@cache
def of_activations(network: ImageNetwork, side: int, batch: int, bf16: bool = False) -> int:
    """Bytes that a training step takes: what it keeps for its backward pass, and as much for what comes and goes.

    An estimate: kept are the outputs of convolutions and batch norms, 4 bytes a value, or 2 in bf16.
    """
    kept = []
    with torch.device("meta"):
        built = network.build()
        for module in built.modules():
            if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
                module.register_forward_hook(lambda _, __, output: kept.append(output.numel()))
        built(torch.empty(2, network.channels, side, side))
    return 2 * sum(kept) * batch // 2 * (2 if bf16 else 4)
