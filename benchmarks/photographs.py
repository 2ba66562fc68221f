"""Photographs of flat documents that no training has seen the like of: a camera, a table, lamps, a sensor.

Made to judge models, so it shares neither code nor ranges with the augmentation that trains them: the document is a
plane in space seen through a pinhole, light is computed in linear intensities, and noise is that of photons.

``python benchmarks/photographs.py IMAGES PHOTOS`` takes 8 photographs of each image of a folder that ``split: unseen``
of ``images/instances`` holds out, as class folders for ``zoo eval``:

    zoo eval --run RUN data.valid.name=images/folder data.valid.options.root=PHOTOS data.valid_captures=0
"""
# ruff: noqa: PLR2004 - a scene is made of numbers

from __future__ import annotations

import argparse
import io
import math
import zlib
from multiprocessing import Pool
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from zoo_images.datasets.split import belongs

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

PHOTO = 448  # side of the photograph, pixels
GAMMA = 2.2


def photograph(document: Image.Image, generator: np.random.Generator) -> Image.Image:
    """Take a photograph of ``document`` and cut the document out of it, as a detector would.

    Half of the cuts are straightened by corners that are off by about 1.5 % of the sides, the other half are boxes
    around the document with a margin of -3 to 10 %. Angles reach 30 degrees about the table's axes and 10 about the
    camera's.
    """
    corners = _corners(document.width / document.height, generator)
    picture = _table(generator)
    _lay(picture, document, corners)
    intensities = (np.asarray(picture, np.float64) / 255) ** GAMMA * _light(generator)
    exposed = _exposed(intensities, generator)
    photo = Image.fromarray(np.asarray(exposed * 255 + 0.5, np.uint8))
    photo = _blurred(photo, generator)
    photo = _with_noise(photo, generator)
    return _compressed(_cut(photo, corners, document.width / document.height, generator), generator)


def _corners(aspect: float, generator: np.random.Generator) -> Floats:
    """Turn the document in space, look at it from afar, and let it fill 55 to 85 % of the photograph's width or height.

    Returns ``[4, 2]`` pixels, clockwise from the document's own upper left.
    """
    pitch, yaw = np.clip(generator.normal(0, math.radians(11), 2), -math.radians(30), math.radians(30))
    roll = generator.uniform(-math.radians(10), math.radians(10))
    half = np.array([aspect, 1.0]) / math.hypot(aspect, 1.0)
    plane = np.array([[-half[0], -half[1], 0], [half[0], -half[1], 0], [half[0], half[1], 0], [-half[0], half[1], 0]])
    cos, sin = np.cos([pitch, yaw, roll]), np.sin([pitch, yaw, roll])
    about_x = np.array([[1, 0, 0], [0, cos[0], -sin[0]], [0, sin[0], cos[0]]])
    about_y = np.array([[cos[1], 0, sin[1]], [0, 1, 0], [-sin[1], 0, cos[1]]])
    about_z = np.array([[cos[2], -sin[2], 0], [sin[2], cos[2], 0], [0, 0, 1]])
    turned = plane @ (about_z @ about_y @ about_x).T
    seen = turned[:, :2] / (1 + turned[:, 2:] / generator.uniform(3.5, 7))
    extent = np.ptp(seen, axis=0)
    scale = generator.uniform(0.55, 0.85) * PHOTO / extent.max()
    room = PHOTO - scale * extent
    corners: Floats = (seen - seen.min(axis=0)) * scale + room * generator.uniform(0.2, 0.8, 2)
    return corners


def _table(generator: np.random.Generator) -> Image.Image:
    """A table top: boards, cloth, stone or a cluttered desk, by layers of noise stretched in one direction."""
    layers = np.zeros((PHOTO, PHOTO))
    for cells in (3, 7, 19, 61):
        tall = max(2, int(cells * generator.uniform(0.1, 1)))
        noise = Image.fromarray(generator.normal(0, 1, (tall, cells)).astype(np.float32), mode="F")
        layers += np.asarray(noise.resize((PHOTO, PHOTO), Image.Resampling.BICUBIC)) / math.sqrt(cells)
    # Tables are mostly grey and brown; a coloured cloth is rare.
    colours = generator.uniform(20, 235, (2, 3))
    grey = colours.mean(axis=1, keepdims=True)
    base, other = grey + (colours - grey) * generator.beta(1, 3)
    tone = np.clip(0.5 + generator.uniform(0.1, 0.5) * layers, 0, 1)[:, :, None]
    table = Image.fromarray(np.asarray(base * (1 - tone) + (0.6 * base + 0.4 * other) * tone, np.uint8))
    return table.rotate(float(generator.choice([0, 90, 180, 270])))


def _lay(table: Image.Image, document: Image.Image, corners: Floats) -> None:
    """Put the document onto the table, sampled finely enough not to alias."""
    width, height = document.size
    long = max(np.hypot(*(corners[1] - corners[0])), np.hypot(*(corners[3] - corners[0])))
    factor = max(1.0, max(width, height) / long / 1.2)
    document = document.convert("RGB").resize(
        (max(2, round(width / factor)), max(2, round(height / factor))), Image.Resampling.LANCZOS
    )
    width, height = document.size
    ends = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    coefficients = tuple(homography(corners, ends).ravel()[:8])
    transform = Image.Transform.PERSPECTIVE
    laid = document.transform(table.size, transform, coefficients, Image.Resampling.BICUBIC)
    inside = Image.new("L", document.size, 255).transform(table.size, transform, coefficients)
    table.paste(laid, (0, 0), inside)


def homography(origin: Floats, target: Floats) -> Floats:
    """The projective map ``[3, 3]`` that sends four points ``[4, 2]`` to four others, last entry 1."""
    rows = []
    for (x, y), (u, v) in zip(origin, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y, u], [0, 0, 0, x, y, 1, -v * x, -v * y, v]]
    system = np.array(rows)
    return np.append(np.linalg.solve(system[:, :8], system[:, 8]), 1).reshape(3, 3)


def _light(generator: np.random.Generator) -> Floats:
    """Linear light ``[H, W, 3]``: daylight or bulbs from afar, a lamp near by, the shadow of a hand."""
    y, x = np.mgrid[0:PHOTO, 0:PHOTO] / PHOTO
    lamp = generator.uniform(-0.8, 1.8, 2)
    near = 1 / (1 + ((x - lamp[0]) ** 2 + (y - lamp[1]) ** 2) / generator.uniform(0.3, 2))
    share = generator.uniform(0.1, 0.8)
    light = (1 - share) + share * near / near.mean()
    if generator.random() < 0.3:
        angle = generator.uniform(0, 2 * math.pi)
        edge = (x - 0.5) * math.cos(angle) + (y - 0.5) * math.sin(angle) - generator.uniform(-0.3, 0.3)
        light = light * (1 - generator.uniform(0.2, 0.6) * np.clip(edge / generator.uniform(0.02, 0.3) + 0.5, 0, 1))
    warmth = generator.normal(0, 0.12)
    tint = np.array([1 + warmth, 1 + generator.normal(0, 0.03), 1 - warmth])
    lit: Floats = light[:, :, None] * tint
    if generator.random() < 0.2:
        spot = generator.uniform(0.2, 0.8, 2)
        size = generator.uniform(0.04, 0.15)
        lit = (
            lit + generator.uniform(0.2, 1.2) * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / size**2)[..., None]
        )
    return lit


def _exposed(intensities: Floats, generator: np.random.Generator) -> Floats:
    """Expose for the mean, as cameras do, give or take two thirds of a stop; then a tone curve."""
    wanted = 0.18 * 2 ** generator.uniform(-0.67, 0.67)
    gain = (wanted / max(float(intensities.mean()), 1e-3)) ** generator.uniform(0.3, 0.9)
    values = np.clip(intensities * gain, 0, 1) ** (1 / GAMMA)
    curve = generator.uniform(-0.25, 0.35)
    grey = values.mean(axis=2, keepdims=True)
    values = grey + (values - grey) * generator.uniform(0.7, 1.25)
    return np.clip(values + curve * (values - 0.5) * 4 * values * (1 - values), 0, 1)


def _blurred(photo: Image.Image, generator: np.random.Generator) -> Image.Image:
    kind = generator.random()
    if kind < 0.5:
        return photo.filter(ImageFilter.GaussianBlur(generator.uniform(0.3, 3.0)))
    if kind < 0.75:
        length, angle = generator.uniform(1, 10), generator.uniform(0, math.pi)
        steps = np.linspace(-length / 2, length / 2, 7)
        moved = [
            np.asarray(
                photo.transform(
                    photo.size,
                    Image.Transform.AFFINE,
                    (1, 0, step * math.cos(angle), 0, 1, step * math.sin(angle)),
                    Image.Resampling.BILINEAR,
                ),
                np.float64,
            )
            for step in steps
        ]
        return Image.fromarray(np.mean(moved, axis=0).astype(np.uint8))
    return photo


def _with_noise(photo: Image.Image, generator: np.random.Generator) -> Image.Image:
    """Photons arrive as Poisson counts (few of them in the dark), read-out adds a Gaussian."""
    photons = 10 ** generator.uniform(2.3, 4)
    linear = (np.asarray(photo, np.float64) / 255) ** GAMMA
    noisy = generator.poisson(linear * photons) / photons + generator.normal(0, 0.002, linear.shape)
    return Image.fromarray(np.asarray(np.clip(noisy, 0, 1) ** (1 / GAMMA) * 255, np.uint8))


def _cut(photo: Image.Image, corners: Floats, aspect: float, generator: np.random.Generator) -> Image.Image:
    long = generator.integers(110, 260)
    width, height = (long, round(long / aspect)) if aspect > 1 else (round(long * aspect), long)
    if generator.random() < 0.5:
        sides = np.ptp(corners, axis=0)
        found = corners + generator.normal(0, 0.015, (4, 2)) * sides
        ends = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
        coefficients = tuple(homography(ends, found).ravel()[:8])
        return photo.transform((width, height), Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC)
    low, high = corners.min(axis=0), corners.max(axis=0)
    margins = generator.uniform(-0.03, 0.1, 4) * np.tile(high - low, 2)
    box = tuple(float(value) for value in np.concatenate([low - margins[:2], high + margins[2:]]))
    cut = photo.transform(
        (PHOTO, PHOTO), Image.Transform.EXTENT, np.clip(box, 0, PHOTO).tolist(), Image.Resampling.BICUBIC
    )
    return cut.resize((width, height), Image.Resampling.LANCZOS)


def _compressed(photo: Image.Image, generator: np.random.Generator) -> Image.Image:
    data = io.BytesIO()
    photo.save(data, "JPEG", quality=int(generator.integers(30, 96)))
    return Image.open(data).convert("RGB")


def photograph_all(job: tuple[Path, Path, int]) -> None:
    """Write a class folder of one image: itself, which sorts first, and photographs by chance of its name."""
    source, folder, captures = job
    folder.mkdir(parents=True)
    with Image.open(source) as image:
        document = image.convert("RGB")
    document.save(folder / "flat.png")
    for capture in range(captures):
        generator = np.random.default_rng([zlib.crc32(source.name.encode()), capture])
        photograph(document, generator).save(folder / f"photo{capture}.png")


def main() -> None:
    """Photograph a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder of flat images, one document each")
    parser.add_argument("photos", type=Path, help="folder to write, which must not exist")
    parser.add_argument("--captures", type=int, default=8)
    parser.add_argument("--unseen-share", type=float, default=0.25)
    arguments = parser.parse_args()
    names = sorted(path for path in arguments.images.iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    chosen = [path for path in names if belongs(path.name, "unseen", arguments.unseen_share)]
    arguments.photos.mkdir(parents=True)
    with Pool() as pool:
        pool.map(photograph_all, [(path, arguments.photos / path.stem, arguments.captures) for path in chosen])
    print(f"{arguments.photos}: {len(chosen)} of {len(names)} images, {arguments.captures} photographs each")


if __name__ == "__main__":
    main()
