"""Parameters of one simulated photo of a flat document.

Positions are fractions of the frame's width and height, x to the right and y down. The side of the frame, in which
other lengths are measured, is the square root of its area.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

RGB = tuple[float, float, float]

GAUSSIAN, MOTION, DEFOCUS = 1, 2, 3


class Surface(NamedTuple):
    """What surrounds the document: two colours, mixed by a crop of ``points`` x ``points`` of the surface texture.

    ``down`` and ``right``: offset of the crop, in 0..1.
    """

    low: RGB
    high: RGB
    points: int
    down: float
    right: float


class Neighbour(NamedTuple):
    """Another sheet under the document: its centre, half its width and height in sides, radians, RGB."""

    x: float
    y: float
    half_width: float
    half_height: float
    angle: float
    colour: RGB


class Finger(NamedTuple):
    """A rounded stroke over the document: both ends, the radius in sides, RGB."""

    x: float
    y: float
    tip_x: float
    tip_y: float
    radius: float
    colour: RGB


class Light(NamedTuple):
    """Gain ``1 + x (X - 0.5) + y (Y - 0.5)`` at ``(X, Y)``, times a tint."""

    x: float
    y: float
    tint: RGB


class Shadow(NamedTuple):
    """Beyond the line ``x (X - 0.5) + y (Y - 0.5) = offset`` the light is reduced by ``depth``; the edge is soft."""

    x: float
    y: float
    offset: float
    softness: float
    depth: float


class Glare(NamedTuple):
    """Reflection of a lamp: its centre, its width and height as fractions of the frame's, its power in grey values."""

    x: float
    y: float
    width: float
    height: float
    power: float


class Blur(NamedTuple):
    """``GAUSSIAN`` (size is sigma), ``MOTION`` (half the length) or ``DEFOCUS`` (radius); in pixels and radians.

    Sizes are multiples of 1/16 pixel and angles of 1/48 half turn, so that kernels can be cached.
    """

    kind: int
    size: float
    angle: float


class Noise(NamedTuple):
    """Standard deviation in grey values, and the offset of the crop of the sensor noise, in 0..1."""

    sigma: float
    down: float
    right: float


class CaptureParameters(NamedTuple):
    """All random parameters of one simulated photo; an effect that is ``None`` is not applied.

    ``corners``: x, y of each corner of the document in the frame, clockwise from the upper left. ``colour``: affine
    map ``[3, 4]`` of RGB in 0..255. ``reduction``: factor by which the frame is reduced and enlarged again.
    ``quality``: of JPEG, 1..100.
    """

    corners: tuple[float, ...]
    surface: Surface | None = None
    neighbour: Neighbour | None = None
    finger: Finger | None = None
    light: Light | None = None
    shadow: Shadow | None = None
    glare: Glare | None = None
    colour: Floats | None = None
    blur: Blur | None = None
    noise: Noise | None = None
    reduction: float | None = None
    quality: int | None = None


# The document fills the frame, without any effect.
IDENTITY = CaptureParameters(corners=(0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0))
