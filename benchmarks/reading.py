"""Images per second of reading JPEGs, against Pillow and OpenCV, as JSON: ``python benchmarks/reading.py``.

    python benchmarks/reading.py --images DIR     # own JPEGs instead of synthetic ones
    python benchmarks/reading.py --epochs 20      # memory over epochs of a loader with two processes instead

The files as they are and enlarged to 12 megapixels, to the same longest side; all in one process, in turns, the best
of several rounds of its processor time. `pillow` and `opencv` decode fully, then resize; `opencv_reduced` decodes at
the smallest scale that is large enough, as zoo does.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import PIL
from PIL import Image
from torch.utils.data import DataLoader

from zoo_images.datasets.decoded_images import DecodedImages
from zoo_images.datasets.decoding import read_reduced
from zoo_images.datasets.instances import InstancesDataset

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo_core.api import UInt8Image

SIDE = 192
ROUNDS = 5
MEGAPIXELS = 12e6
ENLARGED = 16
SYNTHETIC = 120
REDUCED = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="folder of JPEGs; default: synthetic ones")
    parser.add_argument("--epochs", type=int, help="measure memory over so many epochs instead")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    folder = Path(tempfile.mkdtemp(prefix="reading-"))
    try:
        small = sorted(options.images.glob("*.jp*g")) if options.images else _synthetic(folder / "small")
        if options.epochs:
            result = {"memory": _memory(small[0].parent, folder / "cache", options.epochs)}
        else:
            large = _enlarged(small[:: max(1, len(small) // ENLARGED)][:ENLARGED], folder / "large")
            sets = {"as_they_are": small, "12_megapixels": large}
            result = {name: _compare(paths, folder / "cache" / name) for name, paths in sets.items()}
    finally:
        shutil.rmtree(folder)
    versions = {"pillow": PIL.__version__, "opencv": cv2.__version__}
    print(json.dumps({"schema": 1, "side": SIDE, **result, **versions, "machine": platform.machine()}, indent=2))


def _compare(paths: list[Path], cache: Path) -> dict[str, object]:
    kept = DecodedImages(paths, paths[0].parent, max_side=SIDE, cache=str(cache), cache_mb=1024)
    number = {path: index for index, path in enumerate(paths)}
    ways: dict[str, Callable[[Path], UInt8Image]] = {
        "zoo": lambda path: read_reduced(path, SIDE),
        "zoo_cached": lambda path: kept.read(number[path]),
        "pillow": _pillow,
        "opencv": _opencv,
        "opencv_reduced": _opencv_reduced,
    }
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, read in ways.items():
            start = time.process_time()
            for path in paths:
                # As a use of the pixels would: a mapped page is read when it is touched.
                read(path).sum()
            seconds[name] = min(seconds[name], time.process_time() - start)
    rates = {name: round(len(paths) / taken, 1) for name, taken in seconds.items()}
    against = {name: {way: round(rates[name] / rates[way], 2) for way in ways if not way.startswith("zoo")}
               for name in ("zoo", "zoo_cached")}  # fmt: skip
    return {"images": len(paths), "images_per_second_per_core": rates, "times_as_fast_as": against}


def _fit(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _pillow(path: Path) -> UInt8Image:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize(_fit(*image.size), Image.Resampling.BILINEAR))


def _opencv(path: Path, flag: int = cv2.IMREAD_COLOR, size: tuple[int, int] | None = None) -> UInt8Image:
    image = cv2.imread(str(path), flag)
    assert image is not None  # noqa: S101 - we wrote it
    small = cv2.resize(image, size or _fit(*image.shape[1::-1]), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8)


def _opencv_reduced(path: Path) -> UInt8Image:
    with Image.open(path) as image:
        size = _fit(*image.size)
        fitting = [scale for scale in REDUCED if image.width // scale >= 2 * size[0]]
    return _opencv(path, REDUCED[fitting[-1]] if fitting else cv2.IMREAD_COLOR, size)


def _memory(images: Path, cache: Path, epochs: int) -> dict[str, object]:
    """Resident memory of the loader's processes after each epoch, in MB: their own, and the file's shared pages."""
    dataset = InstancesDataset(str(images), views=True, max_side=SIDE, cache=str(cache))
    loader = DataLoader(dataset, batch_size=64, num_workers=2, shuffle=True, collate_fn=len, persistent_workers=True)
    rows = []
    for _ in range(epochs):
        count = sum(loader)
        workers = [worker.pid for worker in loader._iterator._workers]  # type: ignore[union-attr] # noqa: SLF001 - no other way
        own, shared = (sum(_status(pid, key) for pid in workers) for key in ("RssAnon", "RssFile"))
        rows.append({"own": round(own / 1024, 1), "shared": round(shared / 1024, 1)})
    return {"samples_per_epoch": count, "processes": 2, "after_each_epoch_mb": rows}


def _status(pid: int, key: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def _synthetic(folder: Path) -> list[Path]:
    """Write JPEGs of about 320x200 pixels with the detail of a card: smooth areas, edges and fine lines."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    paths = []
    for number in range(SYNTHETIC):
        width, height = int(generator.integers(280, 640)), int(generator.integers(180, 400))
        coarse = generator.integers(0, 256, (5, 8, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        for line in range(12):
            corner = (int(generator.integers(0, width // 2)), (line + 1) * height // 13)
            cv2.putText(picture, f"{generator.integers(10**9):09}", corner, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (20, 20, 20))
        paths.append(folder / f"{number:03}.jpg")
        Image.fromarray(picture).save(paths[-1], quality=90)
    return paths


def _enlarged(paths: list[Path], folder: Path) -> list[Path]:
    folder.mkdir()
    for path in paths:
        image = Image.open(path).convert("RGB")
        scale = (MEGAPIXELS / (image.width * image.height)) ** 0.5
        size = (round(image.width * scale), round(image.height * scale))
        image.resize(size, Image.Resampling.BICUBIC).save(folder / path.name, quality=90)
    return sorted(folder.iterdir())


if __name__ == "__main__":
    main()
