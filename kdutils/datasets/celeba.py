"""CelebA (Liu, Luo, Wang and Tang 2015) in its owners' layout: aligned faces and forty attributes of each.

    celeba/img_align_celeba/000001.jpg ...    202,599 pictures, 178 wide and 218 high
    celeba/list_attr_celeba.txt               a count, the names of the attributes, then file name and 1 or -1 each
    celeba/list_eval_partition.txt            file name and 0 (training), 1 (validation) or 2 (test)

It is for non-commercial research and is given out by its owners only.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn.functional import interpolate
from tqdm import tqdm

from kdutils.datasets.base import Dataset
from kdutils.datasets.files import File, Layout
from kdutils.errors import ParameterError, one_of, whole


def celeba(folder: str | Path, label: str = "Smiling", hidden: str | None = "Male", size: int = 32,
           n: int | None = None) -> Dataset:
    """Faces with one attribute as the label and another, if any, hidden: (N, 3, size, size).

    The middle square of each picture is scaled down, bilinear and antialiased. n: only so many pictures, spread evenly
    over the owners' order; 32x32 of all of them take 622 MB and a few minutes. The owners' test set is kept; their
    validation pictures belong to the pool.
    """
    folder = Path(folder)
    whole("size", size, 1, 178)
    attributes, files, values = _attributes(folder / "list_attr_celeba.txt")
    label_column = attributes.index(one_of("label", label, attributes))
    hidden_column = None if hidden is None else attributes.index(one_of("hidden", hidden, attributes))
    parts = _partition(folder / "list_eval_partition.txt", files)
    chosen = torch.arange(len(files))
    if n is not None:
        chosen = (torch.arange(whole("n", n, 1, len(files))) * len(files)) // n
    images = torch.empty(len(chosen), 3, size, size, dtype=torch.uint8)
    for row, index in enumerate(tqdm(chosen.tolist(), desc="celeba", unit="image", disable=None)):
        images[row] = _face(folder / "img_align_celeba" / files[index], size)
    values, parts = values[chosen], parts[chosen]
    no_yes = {name: (f"not {name}", name) for name in attributes}
    return Dataset("celeba", images, values[:, label_column].long(), no_yes[label],
                   test=torch.nonzero(parts == 2).flatten(),
                   hidden=None if hidden_column is None else values[:, hidden_column].long(),
                   hidden_classes=None if hidden is None else no_yes[hidden])


def _attributes(path: Path) -> tuple[list[str], list[str], torch.Tensor]:
    """The attributes' names, the files, and bool (N, attributes)."""
    try:
        count, names, *lines = path.read_text(encoding="utf-8").splitlines()
        rows = [line.split() for line in lines]
        values = torch.tensor([[int(value) for value in row[1:]] for row in rows])
        if int(count) != len(rows) or values.shape != (len(rows), len(names.split())) or (values.abs() != 1).any():
            raise ValueError
    except (OSError, ValueError) as error:
        raise ParameterError(f"{path} is not a whole list of attributes: a count, their names, and 1 or -1 for each "
                             "picture.") from error
    return names.split(), [row[0] for row in rows], values > 0


def _partition(path: Path, files: Sequence[str]) -> torch.Tensor:
    """0, 1 or 2 for every file, int64 (N,)."""
    try:
        part = {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}
        parts = torch.tensor([part[name] for name in files])
        if not set(parts.tolist()) <= {0, 1, 2}:
            raise ValueError
    except (OSError, ValueError, KeyError) as error:
        raise ParameterError(f"{path} must say 0, 1 or 2 for every picture of list_attr_celeba.txt.") from error
    return parts


def _face(path: Path, size: int) -> torch.Tensor:
    """The middle square of a picture as uint8 (3, size, size)."""
    from torchvision.io import ImageReadMode, decode_image

    try:
        picture = decode_image(str(path), ImageReadMode.RGB)
    except RuntimeError as error:
        raise ParameterError(f"{path} is missing or not a picture.") from error
    side = min(picture.shape[1:])
    top, left = ((length - side) // 2 for length in picture.shape[1:])
    square = picture[None, :, top: top + side, left: left + side].float()
    return interpolate(square, (size, size), mode="bilinear", antialias=True)[0].round().clamp(0, 255).byte()


def _read(paths: Sequence[Path]) -> Dataset:
    return celeba(paths[0].parent)


# MD5 as published by torchvision; the pictures, too many to list, are looked at one by one.
LAYOUTS = (Layout("aligned and cropped", (
    File("celeba/list_attr_celeba.txt", None, "75e246fa4810816ffd6ee81facbd244c"),
    File("celeba/list_eval_partition.txt", None, "d32c9cbf5e040fd4025c592c306e6668"),
    File("celeba/img_align_celeba/000001.jpg"),
), _read),)
