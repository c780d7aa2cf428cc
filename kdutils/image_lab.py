"""What experiments at CIFAR scale share: pairs of networks, the usual views of a picture, training and test images."""

from kdutils.datasets import Dataset, Split, split, transfer_set
from kdutils.datasets.augment import Augmentation
from kdutils.errors import ParameterError, one_of
from kdutils.networks import NETWORKS

UNMIRRORED = ("digits", "mnist", "svhn")  # whose images mean something else, or nothing, in the mirror


def teacher_and_student(pair: str) -> list[str]:
    """The names of the two networks; ParameterError unless they are two, and known."""
    names = pair.split(":")
    if len(names) != 2:
        raise ParameterError(f"pair must be two networks, teacher:student, got {pair!r}.")
    return [one_of("network", name, NETWORKS) for name in names]


def usual_views(data: str, side: int, pad: int | None = None, flip: bool | None = None) -> Augmentation:
    """Crop and flip; where None, a border of an eighth of the side, and no mirror for digits."""
    return Augmentation(pad=side // 8 if pad is None else pad,
                        flip=not data.startswith(UNMIRRORED) if flip is None else flip)


def train_and_test(data: Dataset, seed: int, images: int | None) -> Split:
    """Indices of the training images (all, or so many of them, balanced over the classes) and of the test images."""
    found = split(data, seed)
    pool = found.pool.sort().values if images is None else transfer_set(data, found.pool, images)
    return Split(pool, found.test)
