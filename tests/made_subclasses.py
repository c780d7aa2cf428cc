"""A made-up batch of subclass logits."""


import torch

UNEQUAL = (3, 1, 4)


def example(members=3, batch=6, sizes=UNEQUAL, seed=0):
    """Subclass logits (M, B, S) and class labels (M, B)."""
    random = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(members, batch, sum(sizes), generator=random, dtype=torch.float64)
    return logits, torch.arange(members * batch).view(members, batch) % len(sizes)
