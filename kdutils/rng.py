"""Every random number of an experiment comes from one integer seed and the name of its purpose.

Separate purposes have separate streams, so that adding a use of randomness never changes the others, and two
methods with the same seed share split, initialisation and batch order: that is what makes differences paired.
"""

import zlib

import numpy as np
import torch

from kdutils.errors import whole


def derive(seed: int, purpose: str) -> int:
    """A 63-bit seed for one purpose ("split", "init", "order", ...) of one run."""
    whole("seed", seed, 0)
    words = np.random.SeedSequence([seed, zlib.crc32(purpose.encode())]).generate_state(2, np.uint32)
    return (int(words[0]) << 32 | int(words[1])) >> 1


def generator(seed: int, purpose: str) -> torch.Generator:
    """A CPU generator; drawing on the CPU gives the same numbers whatever device the training runs on."""
    return torch.Generator().manual_seed(derive(seed, purpose))
