"""Attention transfer: where a layer is active, not with which channels.

Source: Zagoruyko, Komodakis 2017 (arXiv 1612.03928), sec. 3.1.
"""

from torch import Tensor
from torch.nn.functional import normalize

from kdutils.errors import ParameterError


def attention_map(maps: Tensor) -> Tensor:
    """The squared activations averaged over channels, at length one for each image: (..., B, C, H, W) -> (..., B, HW).

    Source: sec. 3.1, F_sum^2; mean or sum over the channels is the same after the normalisation. An image without any
    activation has the map 0.
    """
    return normalize(_maps(maps).square().mean(-3).flatten(-2), dim=-1)


def attention_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over batch and places of the squared difference of two attention maps: (..., B, C, H, W) -> (...,).

    That is the authors' code and five others. The equation in the paper sums the unsquared distances over layers:
    another loss, .723 instead of .033 on the check tensors. The numbers of channels may differ, height and width not.
    """
    s, t = attention_map(student), attention_map(teacher)
    if s.shape[-1] != t.shape[-1]:
        raise ParameterError(f"attention maps must have the same size, got {_size(student)} of the student and "
                             f"{_size(teacher)} of the teacher.")
    return (s - t).square().mean((-1, -2))


def _maps(maps: Tensor) -> Tensor:
    if maps.ndim < 4:
        raise ParameterError(f"attention needs maps (..., B, channels, height, width), got shape {tuple(maps.shape)}: "
                             "a layer without places has no attention.")
    return maps


def _size(maps: Tensor) -> str:
    return f"{maps.shape[-2]}x{maps.shape[-1]}"
