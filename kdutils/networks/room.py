"""How much memory is free, asked before any is taken: a system that has none left kills without a word."""

from pathlib import Path

import torch


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
