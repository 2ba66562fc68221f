"""Images per second and core of the capture augmentation, beside like chains of other libraries, as JSON.

    python benchmarks/augmentation.py [--side 96] [--images FOLDER] [--sheet SHEET.png]

One thread each, in one run, in turns, best of several rounds of processor time. What is timed: from a decoded image of
160 pixels (its longest side) to a frame of bytes, with making the generator and drawing the chances. The chains of
libraries are like ours as near as they have the effects, see `DIFFERENCES`. Images are synthetic documents, or those of
a folder.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from zoo.training.data.device_parts import BatchPlanner, augment
from zoo.training.data.items import generator_of
from zoo_core.api import Sample
from zoo_documents.synthetic import SyntheticDocuments
from zoo_images.capture.augmentation import Capture
from zoo_images.datasets.decoding import read_reduced

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo_core.api import UInt8Image

    Chain = Callable[[list[Sample]], list[UInt8Image]]

LONGEST = 160
IMAGES = 256
ROUNDS = 7
COLUMNS = 14
DIFFERENCES = {
    "opencv": "written down straight: one warp, float arithmetic, no defocus, no colour effects, no finger",
    "albumentations": "two warps and a resize; a rectangle for the finger; one colour around the document",
    "torchvision": "as albumentations, and no light, shadow, glare, motion, defocus, downscaling, sepia, channel drops",
}


def main() -> None:
    """Measure all chains and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=96, help="of the frame, in pixels")
    parser.add_argument("--images", type=Path, help="a folder of images instead of synthetic documents")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet of all chains")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    samples = load(options.images)
    chains = make_chains(options.side)
    rates = measure({name: chain for name, chain in chains.items() if chain}, samples)
    if options.sheet:
        write_sheet(options.sheet, {name: chain for name, chain in chains.items() if chain}, samples, options.side)
    ours = rates["loader"]
    result = {
        "schema": 1,
        "side": options.side,
        "source": LONGEST,
        "images_per_second_per_core": {name: rates.get(name) for name in chains},
        "times_faster": {
            name: round(ours / rates[name], 2) if name in rates else None
            for name in ("opencv", "albumentations", "torchvision")
        },
        "differences": DIFFERENCES,
        "versions": {"opencv": cv2.__version__, "torch": torch.__version__, "numpy": np.__version__},
        "machine": platform.machine(),
    }
    print(json.dumps(result))


def load(folder: Path | None) -> list[Sample]:
    """Return ``IMAGES`` samples whose longest side is ``LONGEST``."""
    if folder is not None:
        paths = sorted(path for path in folder.iterdir() if path.is_file())
        pictures = [read_reduced(path, LONGEST) for path in paths[:IMAGES]]
    else:
        documents = SyntheticDocuments(templates=IMAGES, samples_per_template=1, seed=0)
        pictures = [documents[index].image for index in range(IMAGES)]
        pictures = [
            cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            for picture in pictures
            for scale in (LONGEST / max(picture.shape),)
        ]
    return [Sample(np.asarray(pictures[number % len(pictures)], np.uint8), 0) for number in range(IMAGES)]


def measure(chains: dict[str, Chain], samples: list[Sample]) -> dict[str, float]:
    """Time all chains in turns, so that other work on the machine meets them alike; the best round counts."""
    best = dict.fromkeys(chains, 0.0)
    for _ in range(ROUNDS):
        for name, chain in chains.items():
            start = time.process_time()
            chain(samples)
            best[name] = max(best[name], len(samples) / (time.process_time() - start))
    return {name: round(rate, 1) for name, rate in best.items()}


def make_chains(side: int) -> dict[str, Chain | None]:
    """Return all chains by name; one whose library is missing is ``None``."""
    capture, without_jpeg = Capture((side, side)), Capture((side, side), jpeg=0)
    return {
        "loader": each(capture),
        "loader_without_jpeg": each(without_jpeg),
        "loader_for_device": lambda samples: [capture.prepare(s, generator(n))[0] for n, s in enumerate(samples)],
        "device": on_device(capture),
        "opencv": each(lambda sample, chance: opencv_chain(sample.image, chance, side)),
        "albumentations": albumentations_chain(side),
        "torchvision": torchvision_chain(side),
    }


def generator(number: int) -> np.random.Generator:
    """As training makes it: from seed, pass and index."""
    return generator_of(0, 0, number)


def each(take: Callable[[Sample, np.random.Generator], UInt8Image]) -> Chain:
    """Return a chain that takes one picture after the other."""
    return lambda samples: [take(sample, generator(number)) for number, sample in enumerate(samples)]


def on_device(capture: Capture) -> Chain:
    """The second executor, here on the CPU: drawing, laying out, stacking, planning and rendering in batches."""
    executor, planned = capture.executor(), BatchPlanner(capture, torch.device("cpu"))

    def take(samples: list[Sample]) -> list[UInt8Image]:
        prepared = (capture.prepare(sample, generator(number)) for number, sample in enumerate(samples))
        batch = planned(tuple(np.stack(arrays) for arrays in zip(*prepared, strict=True)))
        return list(augment(executor, batch).numpy())

    return take


def opencv_chain(image: UInt8Image, chance: np.random.Generator, side: int) -> UInt8Image:
    """What one writes down on a first afternoon."""
    height, width = image.shape[:2]
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    angle, scale = np.radians(chance.uniform(-16, 16)), chance.uniform(0.81, 1.12)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    unit = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    seen = unit @ turn.T + 0.5 + chance.uniform(-0.05, 0.05, 2) + chance.uniform(-0.045, 0.045, (4, 2))
    matrix = cv2.getPerspectiveTransform(corners, np.float32(side * seen))
    frame = cv2.warpPerspective(image, matrix, (side, side), borderValue=chance.uniform(0, 255, 3).tolist())
    frame = opencv_light_and_colour(frame, chance, side)
    blurred, soft, noisy, reduced, compressed = (chance.random(5) < (0.5, 0.5, 0.5, 0.25, 0.4)).tolist()
    if blurred:
        if soft:
            frame = cv2.GaussianBlur(frame, (0, 0), chance.uniform(0.3, 1.4))
        else:
            kernel = np.zeros((7, 7), np.float32)
            cv2.line(kernel, (0, int(chance.integers(7))), (6, int(chance.integers(7))), 1)
            frame = cv2.filter2D(frame, -1, kernel / kernel.sum())
    if noisy:
        noise = chance.normal(0, chance.uniform(1, 14), frame.shape)
        frame = np.clip(frame + noise, 0, 255).astype(np.uint8)
    if reduced:
        small = int(side / chance.uniform(1.1, 2.2))
        frame = cv2.resize(cv2.resize(frame, (small, small)), (side, side))
    if compressed:
        quality = int(chance.integers(25, 91))
        _, data = cv2.imencode(".jpg", frame[:, :, ::-1], (cv2.IMWRITE_JPEG_QUALITY, quality))
        frame = cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1]
    return frame


def opencv_light_and_colour(frame: UInt8Image, chance: np.random.Generator, side: int) -> UInt8Image:
    """Uneven light, glare, colours turned as HSV, contrast and white balance, in floats."""
    values = frame.astype(np.float32)
    y, x = np.mgrid[0:side, 0:side] / side - 0.5
    lit, reflecting, coloured = (chance.random(3) < (0.5, 0.15, 0.8)).tolist()
    if lit:
        angle = chance.uniform(0, 2 * np.pi)
        values *= (1 + chance.uniform(0, 0.5) * (np.cos(angle) * x + np.sin(angle) * y))[:, :, None].astype(np.float32)
    if reflecting:
        spot = np.exp(-(((x - chance.uniform(-0.5, 0.5)) / 0.2) ** 2) - ((y - chance.uniform(-0.5, 0.5)) / 0.2) ** 2)
        values += (150 * spot)[:, :, None].astype(np.float32)
    if coloured:
        hsv = cv2.cvtColor(np.clip(values, 0, 255).astype(np.uint8), cv2.COLOR_RGB2HSV)
        hsv[:, :, 1] = np.clip(hsv[:, :, 1] * chance.uniform(0.6, 1.6), 0, 255)
        values = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).astype(np.float32)
        values = (values - 128) * chance.uniform(0.7, 1.4) * chance.uniform(0.9, 1.1, 3) + 128 + chance.uniform(-45, 45)
    return np.clip(values, 0, 255).astype(np.uint8)


def albumentations_chain(side: int) -> Chain | None:
    """Return the like chain in albumentations, if it is there."""
    try:
        import albumentations as a  # noqa: PLC0415 - may be missing
    except ImportError:
        print("albumentations is missing: pip install albumentations", file=sys.stderr)
        return None
    linear = {"downscale": cv2.INTER_LINEAR, "upscale": cv2.INTER_LINEAR}
    effects = [a.InvertImg(p=1), a.ToGray(p=1), a.ToSepia(p=1), a.ChannelShuffle(p=1), a.ChannelDropout(p=1)]
    chain = a.Compose(
        [
            a.Perspective((0.01, 0.09), fill=127, p=1),
            a.Affine(scale=(0.81, 1.12), translate_percent=(-0.05, 0.05), rotate=(-16, 16), fill=127, p=1),
            a.Resize(side, side),
            a.CoarseDropout((1, 1), (0.1, 0.3), (0.08, 0.15), fill=(220, 170, 140), p=0.15),
            a.Illumination("linear", (0.01, 0.2), p=0.5),
            a.RandomShadow((0, 0, 1, 1), (1, 1), 4, (0.15, 0.55), p=0.175),
            a.Illumination("gaussian", (0.1, 0.2), effect_type="brighten", p=0.15),
            a.PlanckianJitter(p=0.8),
            a.ColorJitter(brightness=0.3, contrast=0.35, saturation=0.5, hue=0.04, p=0.8),
            a.RGBShift(12, 12, 12, p=0.8),
            a.OneOf(effects, p=0.1),
            a.OneOf(
                [a.GaussianBlur(0, (0.3, 1.4), p=0.4), a.MotionBlur((3, 7), p=0.3), a.Defocus((1, 2), p=0.3)], p=0.5
            ),
            a.OneOf([a.GaussNoise((0.004, 0.055), p=1), a.ISONoise(p=1)], p=0.5),
            a.Downscale((0.45, 0.9), linear, p=0.25),
            a.ImageCompression("jpeg", (25, 90), p=0.4),
        ],
        seed=0,
    )
    return lambda samples: [chain(image=sample.image)["image"] for sample in samples]


def torchvision_chain(side: int) -> Chain | None:
    """Return the like chain in torchvision, if it is there."""
    try:
        from torchvision.transforms import v2  # noqa: PLC0415 - may be missing
    except ImportError:
        print("torchvision is missing: pip install torchvision", file=sys.stderr)
        return None
    noise = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.GaussianNoise(sigma=0.03)])
    effects = v2.RandomChoice([v2.Grayscale(3), v2.RandomInvert(1), v2.RandomChannelPermutation()])
    chain = v2.Compose(
        [
            v2.RandomPerspective(0.09, p=1, fill=127),
            v2.RandomAffine(16, (0.05, 0.05), (0.81, 1.12), interpolation=v2.InterpolationMode.BILINEAR, fill=127),
            v2.Resize((side, side)),
            v2.RandomApply([v2.ColorJitter(0.3, 0.35, 0.5, 0.04)], 0.8),
            v2.RandomApply([effects], 0.1),
            v2.RandomApply([v2.GaussianBlur(7, (0.3, 1.4))], 0.5),
            v2.RandomApply([noise, v2.ToDtype(torch.uint8, scale=True)], 0.5),
            v2.RandomApply([v2.JPEG((25, 90))], 0.4),
            v2.RandomErasing(0.15, (0.01, 0.04), value=170),
        ]
    )

    def take(samples: list[Sample]) -> list[UInt8Image]:
        torch.manual_seed(0)
        pictures = (chain(torch.tensor(sample.image).permute(2, 0, 1)) for sample in samples)
        return [picture.permute(1, 2, 0).contiguous().numpy() for picture in pictures]

    return take


def write_sheet(path: Path, chains: dict[str, Chain], samples: list[Sample], side: int) -> None:
    """Draw two rows of every chain's pictures under its name, the plain images first."""
    shown = samples[:: len(samples) // (2 * COLUMNS)][: 2 * COLUMNS]
    plain = each(Capture((side, side), strength=0))
    rows = []
    for name, chain in {"plain": plain, **chains}.items():
        if name == "loader_for_device":
            continue
        title = np.full((18, COLUMNS * side, 3), 255, np.uint8)
        cv2.putText(title, name, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
        pictures = chain(shown)
        rows += [title, np.hstack(pictures[:COLUMNS]), np.hstack(pictures[COLUMNS:])]
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
