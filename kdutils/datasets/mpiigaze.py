"""MPIIGaze (Zhang, Sugano, Fritz and Bulling 2015) in its owners' layout: the normalised eyes of fifteen people.

    MPIIGaze/Data/Normalized/p00/day01.mat ...     a struct `data` with `left` and `right`, each with `image`
                                                   (n, 36, 60) uint8, `gaze` (n, 3) and `pose` (n, 3)

Its owners give it out for research that is not commercial; fetching it is up to its users.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.io import loadmat

from kdutils.datasets.gaze import Eyes
from kdutils.errors import ParameterError


def mpiigaze(folder: str | Path, people: Sequence[str] | None = None, days: int | None = None) -> dict[str, Eyes]:
    """The eyes of each person by name, left ones and mirrored right ones: {"p00": Eyes (n, 1, 36, 60)}.

    people: all if None. days: of each person at most so many, the first ones. A vector (x, y, z) from the eye looks
    along yaw atan2(-x, -z), here positive to the picture's right, and pitch asin(-y); a right eye is mirrored to look
    like a left one, and its yaw with it. Raises ParameterError for a layout that is not the owners'.
    """
    root = Path(folder) / "MPIIGaze" / "Data" / "Normalized"
    there = sorted(path.name for path in root.glob("p*") if path.is_dir())
    if not there:
        raise ParameterError(f"{root} holds no people p00, p01, ...: unpack the owners' MPIIGaze.tar.gz in {folder}.")
    if unknown := [name for name in people or () if name not in there]:
        raise ParameterError(f"people must be among {', '.join(there)}, got {unknown[0]!r}.")
    return {name: _person(root / name, days) for name in people or there}


def _person(folder: Path, days: int | None) -> Eyes:
    parts = [_side(path, side) for path in sorted(folder.glob("day*.mat"))[:days] for side in ("left", "right")]
    if not parts:
        raise ParameterError(f"{folder} holds no day01.mat, day02.mat, ...: the owners ship one file per day.")
    images, gaze = (np.concatenate(values) for values in zip(*parts, strict=True))
    return Eyes(torch.from_numpy(images).float()[:, None] / 255, torch.from_numpy(gaze).float())


def _side(path: Path, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (n, 36, 60) and (yaw, pitch) (n, 2) of one eye on one day."""
    try:
        eye = getattr(loadmat(path, struct_as_record=False, squeeze_me=True)["data"], side)
        images, vectors = np.asarray(eye.image), np.atleast_2d(np.asarray(eye.gaze, float))
    except Exception as error:  # a damaged MATLAB file raises whatever the place of the damage leads to
        raise ParameterError(f"{path} is not a day of MPIIGaze: a struct data with left and right, each with image "
                             "and gaze.") from error
    if images.ndim == 2:     # a day of one picture
        images = images[None]
    if images.dtype != np.uint8 or images.shape[1:] != (36, 60) or vectors.shape != (len(images), 3):
        raise ParameterError(f"{path} must hold uint8 images (n, 36, 60) and gazes (n, 3), "
                             f"got {images.dtype} {images.shape} and {vectors.shape}.")
    x, y, z = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).T
    yaw, pitch = np.arctan2(-x, -z), np.arcsin(np.clip(-y, -1, 1))
    if side == "right":
        images, yaw = images[:, :, ::-1].copy(), -yaw
    return images, np.stack([yaw, pitch], 1)
