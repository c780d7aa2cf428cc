"""Relations between the images of a batch: distances and angles (RKD), and the similarity matrix (SP).

Sources: Park, Kim, Lu, Cho 2019 (arXiv 1904.05068), eq. 5-10; Tung, Mori 2019 (arXiv 1907.09682), eq. 3-4.
All read flat features (..., B, d) of any width, and none sees a label. Everything comes from products of pairs, the
Gram matrix, so that a population costs one batched product.
"""

import torch
from torch import Tensor
from torch.nn.functional import huber_loss, normalize

from kdutils.errors import ParameterError


def pair_distances(features: Tensor) -> Tensor:
    """Euclidean distances between the images of a batch: (..., B, d) -> (..., B, B), zero on the diagonal.

    The slope of a root at 0 has no end: squared distances below 1e-12 count as 1e-12 and pass no gradient on. So a
    picture that is in the batch twice has the distance 1e-6, as in RepDistiller and mdistiller.
    """
    gram = _gram(features)
    return _squared(gram).clamp_min(1e-12).sqrt() * _others(gram)


def distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """RKD-D: Huber loss (delta 1) of distances over their mean, averaged over the B x B pairs: (..., B, d) -> (...,).

    The mean distance is over the B (B - 1) pairs of different images, repeated pictures among them, as in lenscloth,
    RepDistiller and mdistiller. The code of the study's lab first gives each feature vector length one and divides by
    B^2: another loss. A batch of one has no pairs and is refused.
    """
    _at_least(2, student, "distances")
    return _huber(_relative(pair_distances(student)), _relative(pair_distances(teacher)), 2)


def angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """RKD-A: Huber loss of the cosines at image i of the corner (j, i, k), averaged over B^3: (..., B, d) -> (...,).

    Corners with j = i or k = i, or with a picture that lies on i, count as cosine 0. A batch of less than three has no
    corners and is refused. Costs B^3 numbers: 32,768 for a batch of 32, 16.8 million for 256.
    """
    _at_least(3, student, "angles")
    return _huber(_cosines(student), _cosines(teacher), 3)


def similarity_matrix(features: Tensor) -> Tensor:
    """Products of all pairs, each row at length one: (..., B, d) -> (..., B, B). An image of zeros has a row of zeros.

    The rows are normalised after the product, as the authors confirm (and not the features before it); torchdistill
    divides by the sum of the row's absolute values instead, which makes the loss some two to three times smaller.
    """
    return normalize(features @ features.transpose(-1, -2), dim=-1)


def similarity_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """SP: mean over the B x B entries of the squared difference of two similarity matrices: (..., B, d) -> (...,).

    A batch of one is refused: its matrix is 1 whatever the network.
    """
    _at_least(2, student, "similarities")
    return (similarity_matrix(student) - similarity_matrix(teacher)).square().mean((-1, -2))


def _gram(features: Tensor) -> Tensor:
    # Distances and angles do not know where the origin is; near it, products lose the fewest digits.
    centred = features - features.mean(-2, keepdim=True)
    return centred @ centred.transpose(-1, -2)


def _squared(gram: Tensor) -> Tensor:
    """|f_i - f_j|^2 from a Gram matrix; rounding can put it a little below 0."""
    square = gram.diagonal(dim1=-2, dim2=-1)
    return square[..., :, None] + square[..., None, :] - 2 * gram


def _others(gram: Tensor) -> Tensor:
    return 1 - torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)


def _relative(distances: Tensor) -> Tensor:
    batch = distances.shape[-1]
    mean = distances.sum((-1, -2), keepdim=True) / (batch * (batch - 1))
    return distances / mean


def _cosines(features: Tensor) -> Tensor:
    """(..., B, B, B): the cosine at i of the corner (j, i, k)."""
    gram = _gram(features)
    squared = _squared(gram)
    square = gram.diagonal(dim1=-2, dim2=-1)
    # What rounding leaves of the distance between a picture and itself says nothing about a direction.
    rounding = 16 * torch.finfo(gram.dtype).eps * square.mean(-1)[..., None, None]
    apart = (squared > rounding) & (_others(gram) > 0)
    inverse = torch.where(apart, squared, 1.0).rsqrt() * apart
    dots = gram[..., None, :, :] - gram[..., :, :, None] - gram[..., :, None, :] + square[..., :, None, None]
    return dots * inverse[..., :, None] * inverse[..., None, :]


def _huber(student: Tensor, teacher: Tensor, axes: int) -> Tensor:
    return huber_loss(student, teacher, reduction="none").mean(tuple(range(-axes, 0)))


def _at_least(least: int, features: Tensor, what: str) -> None:
    if features.shape[-2] < least:
        raise ParameterError(f"{what} compare the images of a batch: it must have at least {least}, got "
                             f"{features.shape[-2]}.")
