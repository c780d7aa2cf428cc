"""The plane behind a map whose examples lie where they are: a light picture of who owns which place, and a border."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import torch
from contourpy import contour_generator
from PIL import Image, ImageColor
from torch import Tensor

SIDE = 72       # places along each side: a network is asked 5,184 times, in 3 to 5 ms
NOBODY = -1     # of a place that belongs to nobody


@dataclass(frozen=True)
class Plane:
    """SIDE x SIDE places that fill a rectangle. x, y: its (low, high)."""

    x: tuple[float, float]
    y: tuple[float, float]

    @property
    def inputs(self) -> Tensor:
        """The places as examples, float32 (SIDE**2, 1, 1, 2): row by row, the lowest first."""
        across, up = np.meshgrid(_middles(*self.x), _middles(*self.y))
        return torch.tensor(np.stack([across, up], -1), dtype=torch.float32).view(-1, 1, 1, 2)

    def trace(self, uid: str, **more) -> go.Image:
        """The place for a picture, which is empty as yet; `more` goes to the trace."""
        # Steps must be positive: plotly.js turns a picture over where the axis points up, whatever their sign is.
        width, height = ((high - low) / SIDE for low, high in (self.x, self.y))
        return go.Image(uid=uid, source=picture(np.full(SIDE**2, NOBODY), []), x0=self.x[0] + width / 2, dx=width,
                        y0=self.y[0] + height / 2, dy=height, zsmooth="fast", hoverinfo="skip", **more)

    def border(self, heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x and y of the lines along which `heights`, (SIDE**2,) in the order of `inputs`, are 0; NaN between lines."""
        rows = np.asarray(heights, float).reshape(SIDE, SIDE)
        lines = contour_generator(_middles(*self.x), _middles(*self.y), rows).lines(0.0)
        points = np.concatenate([np.empty((0, 2)), *(np.vstack([line, [math.nan] * 2]) for line in lines)])
        return points[:, 0], points[:, 1]


def picture(owners: np.ndarray, tints: Sequence[tuple[str, float]]) -> str:
    """A PNG, as the address of an image, in which place i has the colour and opacity tints[owners[i]].

    owners: integers (SIDE**2,) in the order of Plane.inputs; NOBODY's places are see-through. About 1 kB.
    """
    # The last one is for NOBODY, who counts from the end.
    colours = [(*ImageColor.getrgb(colour), round(255 * opacity)) for colour, opacity in [*tints, ("#808080", 0.0)]]
    image = Image.fromarray((owners % len(colours)).astype(np.uint8).reshape(SIDE, SIDE))
    image.putpalette([part for colour in colours for part in colour[:3]])
    file = io.BytesIO()
    image.save(file, "PNG", transparency=bytes(colour[3] for colour in colours))
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _middles(low: float, high: float) -> np.ndarray:
    """The middles of SIDE equal parts."""
    return low + (high - low) * (np.arange(SIDE) + 0.5) / SIDE
