"""Eyes drawn from their gaze: a world whose true density is known, so that fresh inputs can be had for nothing.

Synthetic: no eye of a person is in it. A grey eye between two lids looks along (yaw, pitch); the lids may hide the
iris, the light changes, the camera is noisy. What an image does not show, no network can know, and that differs from
image to image: with the lids nearly closed the answer should be wide. Everything random comes from one seed and
is drawn on the CPU: the same eyes on every device, up to rounding.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from kdutils import rng
from kdutils.errors import between, one_of, whole

SIZES = {"small": (10, 14), "mpiigaze": (36, 60)}   # height, width; the second is that of MPIIGaze's normalised eyes
YAW, PITCH = 0.6, 0.4           # radians to each side: about 34 and 23 degrees
OPENING = (0.12, 1.0)           # of the lids: from nearly closed to wide open
BRIGHTNESS = (0.6, 1.2)
NOISE = 0.05                    # standard deviation of a pixel; the white of the eye is 0.85

IRIS, PUPIL = 0.46, 0.2         # radii, in half widths of the eye ball
SKIN, WHITE, IRIS_GREY, PUPIL_GREY = 0.55, 0.85, 0.35, 0.1


@dataclass(frozen=True, eq=False)
class Eyes:
    """N eyes: inputs float32 (N, 1, h, w), about 0 .. 1; gaze float32 (N, 2), yaw and pitch in radians.

    opening (N,): how open the lids are, 0 .. 1, or None where nobody knows. A student gets the inputs, never this.
    """

    inputs: Tensor
    gaze: Tensor
    opening: Tensor | None = None

    def __len__(self) -> int:
        return len(self.inputs)


def eyes(n: int, seed: int, size: str = "small", device: str | torch.device = "cpu", noise: float = NOISE) -> Eyes:
    """`n` eyes of this seed: gaze, lids, light and noise drawn at random, then rendered on `device`."""
    whole("eyes", n, 1)
    between("noise", noise, 0, 1)
    height, width = SIZES[one_of("size", size, SIZES)]
    scene, camera = (rng.generator(seed, purpose) for purpose in ("eyes", "camera"))
    u = torch.rand(n, 6, generator=scene)
    gaze = (2 * u[:, :2] - 1) * torch.tensor([YAW, PITCH])
    opening = OPENING[0] + (OPENING[1] - OPENING[0]) * u[:, 2]
    light = torch.stack([BRIGHTNESS[0] + (BRIGHTNESS[1] - BRIGHTNESS[0]) * u[:, 3], 0.3 * (u[:, 4] - 0.5),
                         0.3 * (u[:, 5] - 0.5)], 1)
    grain = torch.randn(n, height, width, generator=camera)
    gaze, opening, light, grain = (values.to(device) for values in (gaze, opening, light, grain))
    return Eyes((render(gaze, opening, light, size) + noise * grain[:, None]).clamp(0, 1.2), gaze, opening)


def render(gaze: Tensor, opening: Tensor, light: Tensor, size: str = "small") -> Tensor:
    """Images (N, 1, h, w) without noise, on the device of the arguments.

    gaze (N, 2): yaw to the right, pitch up, radians. opening (N,). light (N, 3): brightness, and how it changes from
    left to right and from top to bottom. Edges are one pixel wide: an image changes smoothly with the gaze.
    """
    height, width = SIZES[one_of("size", size, SIZES)]
    x = torch.linspace(-1.4, 1.4, width, device=gaze.device)[None, None, :]
    y = torch.linspace(1.0, -1.0, height, device=gaze.device)[None, :, None]
    edge = 2.8 / width
    yaw, pitch, opening = (values[:, None, None] for values in (*gaze.unbind(1), opening))
    centre_x, centre_y = torch.sin(yaw) * torch.cos(pitch), torch.sin(pitch)
    distance = ((x - centre_x).square() + (y - centre_y).square()).sqrt()
    lid = 1 - (x / 1.3).square()
    inside = _soft(0.75 * opening * lid - y, edge) * _soft(y + (0.3 + 0.25 * opening) * lid, edge)
    ball = WHITE + (IRIS_GREY - WHITE) * _soft(IRIS - distance, edge) \
        + (PUPIL_GREY - IRIS_GREY) * _soft(PUPIL - distance, edge)
    brightness, across, down = (values[:, None, None] for values in light.unbind(1))
    return ((SKIN + (ball - SKIN) * inside) * (brightness + across * x - down * y))[:, None]


def direction(gaze: Tensor) -> Tensor:
    """Unit vectors (..., 3) of gazes (..., 2): (sin yaw cos pitch, sin pitch, cos yaw cos pitch)."""
    yaw, pitch = gaze.unbind(-1)
    return torch.stack([yaw.sin() * pitch.cos(), pitch.sin(), yaw.cos() * pitch.cos()], -1)


def angular_error(gaze: Tensor, truth: Tensor) -> Tensor:
    """The angle between two gazes (..., 2), in degrees: (...,).

    By the chord, 2 asin(|a - b| / 2): the arc cosine of a product near 1 loses half of its digits.
    """
    chord = (direction(gaze) - direction(truth)).norm(dim=-1)
    return 2 * torch.asin((chord / 2).clamp(max=1)) * (180 / math.pi)


def _soft(inside: Tensor, edge: float) -> Tensor:
    """1 inside, 0 outside, a straight slope one pixel wide on the border."""
    return (inside / edge + 0.5).clamp(0, 1)
