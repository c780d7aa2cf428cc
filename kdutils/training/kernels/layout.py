"""Where a kernel's numbers lie in the one array `work` that it works in; places count single-precision numbers.

Whoever calls a kernel makes that array, filled with zeros, one for each thread.
"""

import numpy as np

from kdutils.networks import MLP, ConvNet
from kdutils.training.kernels import FILL


class Room:
    """Room that is handed out part by part; `end` is how much there is of it."""

    def __init__(self):
        self.end = 0

    def take(self, *shape: int) -> int:
        """Where a part of this shape begins."""
        begin = self.end
        self.end += int(np.prod(shape))
        return begin


def filled(n: int) -> int:
    """n up to whole registers."""
    return -(-n // FILL) * FILL


def scratch(room: Room, classes: int, batch: int, size: int) -> int:
    """For the loss (kernels.batch), then for the gradient of `size` parameters."""
    n = filled(batch)
    return room.take(5 * classes * n + 2 * n + n * n + size)


def mlp(spec: MLP, batch: int, size: int) -> tuple[tuple[np.ndarray, ...], int]:
    """widths, and the places (3, layers + 1) of each layer's numbers, their slopes, and the numbers row by row; the
    last column of a fourth row is where the scratch begins. Then the length of it all."""
    widths, n, room = np.array((spec.inputs, *spec.hidden, spec.classes)), filled(batch), Room()
    places = np.array([*([room.take(filled(width), n) for width in widths] for _ in range(3)), [0] * len(widths)])
    room.take(filled(widths.max()), widths.max())   # a gradient of weights whose rows are filled up
    places[3, -1] = scratch(room, spec.classes, batch, size)
    return (widths, places), room.end


def convnet(spec: ConvNet, batch: int, size: int) -> tuple[tuple[np.ndarray, ...], int]:
    """stages (stages, 10), places (10,) and tables, as `convnet.train` reads them; and the length of it all."""
    n, room, stages, tables = filled(batch), Room(), [], []
    given, height, width = spec.shape

    def table(channels: int) -> int:
        """Where the nine neighbours of a pixel lie, channel by channel, from the first one's on."""
        begin, line = len(tables), (width + 2) * n
        tables.extend(c * (height + 2) * line + dy * line + dx * n
                      for c in range(channels) for dy in range(3) for dx in range(3))
        return begin

    pixels, longest, weights = given * height * width, 0, 0
    for made in spec.channels:
        inside, slopes = room.take(given, height + 2, width + 2, n), room.take(made, height + 2, width + 2, n)
        pooled = made, height // 2, width // 2, n
        stages.append((given, made, height, width, inside, slopes, room.take(*pooled), room.take(*pooled),
                       table(given), table(made)))
        longest, weights = max(longest, 2 * made * width * n), max(weights, 9 * given * made)
        given, height, width = made, height // 2, width // 2
    fan = given * height * width
    places = (pixels, room.take(n, filled(pixels)), room.take(filled(pixels), n), room.take(longest),
              room.take(weights), room.take(filled(fan), n), room.take(n, filled(fan)),
              room.take(spec.classes, filled(fan)), room.take(2 * spec.classes, n),
              scratch(room, spec.classes, batch, size))
    return (np.array(stages), np.array(places), np.array(tables)), room.end
