"""What a training of image networks will take, said before it starts, and what it did take."""

import sys
from functools import cache
from pathlib import Path

import torch
from torch import nn

from kdutils.networks import ImageNetwork


def free_memory(device: str | torch.device) -> int | None:
    """Bytes that are free on a device now, None where the system does not say.

    On a GPU: what the driver has left, and what torch has taken from it without using it. On a CPU: what Linux counts
    as available, or what is left of the container's share if that is less.
    """
    device = torch.device(device)
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        free = 1024 * int(lines["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return None
    try:
        limit, used = (Path("/sys/fs/cgroup", name).read_text() for name in ("memory.max", "memory.current"))
        return free if limit.strip() == "max" else min(free, int(limit) - int(used))
    except (OSError, ValueError):
        return free


def peak_memory(device: str | torch.device) -> int | None:
    """The most bytes in use so far: by tensors on a GPU, by the whole process on a CPU; None where unknown."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_reserved(torch.device(device))
    try:
        import resource  # not on ImageStore
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
