"""Flow of solution procedure: how one layer leads to the next (FSP; Yim et al., CVPR 2017)."""

from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d

from kdutils.errors import ParameterError
from kdutils.objectives.hints import same_width


def flow_matrix(first: Tensor, second: Tensor) -> Tensor:
    """Products of the channels of two layers, averaged over places: -> (..., B, C, D).

    first: (..., B, C, H, W), second: (..., B, D, h, w).

    Source: eq. 1. Maps of another size are max-pooled to the smaller one first, as in the original and in the code of
    the study's lab; RepDistiller and KD-Zoo take the average, which is another loss.
    """
    for maps in (first, second):
        if maps.ndim < 4:
            raise ParameterError("flow needs maps (..., B, channels, height, width), got shape "
                                 f"{tuple(maps.shape)}: a layer without places has no flow.")
    places = min(first.shape[-2:], second.shape[-2:])
    first, second = _pooled(first, places).flatten(-2), _pooled(second, places).flatten(-2)
    return first @ second.transpose(-1, -2) / first.shape[-1]


def flow_loss(student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor]) -> Tensor:
    """Mean over the batch and over all C x D entries of the squared difference of two flow matrices: -> (...,).

    student, teacher: two layers of maps each, (..., B, channels, H, W). Both networks need the same numbers of
    channels. RepDistiller uses the loss for the first 30 epochs alone; we train with it throughout, as KD-Zoo does.
    """
    s, t = flow_matrix(*student), flow_matrix(*teacher)
    for axis in (-2, -1):
        same_width("flow matrices", s, t, axis)
    return (s - t).square().mean((-1, -2, -3))


def _pooled(maps: Tensor, places: tuple[int, int]) -> Tensor:
    if maps.shape[-2:] == places:
        return maps
    return adaptive_max_pool2d(maps.flatten(0, -4), places).unflatten(0, maps.shape[:-3])
