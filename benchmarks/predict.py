"""Images per second and memory of prediction, against a plain loop of Pillow and onnxruntime, as JSON.

    python benchmarks/predict.py --model runs/lcnet050_cosface_96/TIME
    python benchmarks/predict.py --model ... --only speed turned     # some of it

All is measured on the cores that the process may use (`taskset -c 0,1` for two). `speed`: JPEGs of 320 pixels and of
12 megapixels, all ways in turns, the best of several rounds. The naive loop decodes, resizes and embeds one after
another, with onnxruntime's default threads; `zoo_batches` is what zoo does on other hardware, here on the CPU: batches
of 32, each on all cores. `memory`: peak of `zoo predict` over 1,000 and over many names on stdin, and of a JPEG of 108
megapixels. `start`: a whole `zoo predict` of one image. `turned`: rank-1 of documents turned by quarters, without and
with `--orientations 4`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from PIL import Image

import zoo
from zoo_documents.synthetic import SyntheticDocuments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

ZOO = str(Path(sys.executable).with_name("zoo"))
SIZES = {"320_pixels": (320, 240), "12_megapixels": (4000, 3000)}
COUNTS = {"320_pixels": 600, "12_megapixels": 24}
HUGE = (12000, 9000)
TEMPLATES = 40
ROUNDS = 5
STARTS = 7


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="run, artifact folder or .onnx file")
    parser.add_argument("--images", type=int, default=100_000, help="length of the longer list of names")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parts = ("speed", "memory", "start", "turned")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    options = parser.parse_args()
    result: dict[str, Any] = {"schema": 1}
    with tempfile.TemporaryDirectory(prefix="predict-") as name:
        folder = Path(name)
        model = zoo.load(options.model)
        sources = _documents()
        files = {size: _write(sources, folder / size, SIZES[size]) for size in SIZES}
        if "speed" in options.only:
            result["speed"] = {size: _speed(model, files[size], COUNTS[size], options.rounds) for size in SIZES}
        command = _command(options.model, folder, files["320_pixels"])
        if "memory" in options.only:
            result["memory"] = _memory(command, files["320_pixels"], options.images, folder)
        if "start" in options.only:
            result["start"] = _start(command, files["320_pixels"][0])
        if "turned" in options.only:
            result["turned"] = _turned(model, sources)
    cores = len(os.sched_getaffinity(0))
    versions = {name: version(name) for name in ("onnxruntime", "pillow", "numpy")}
    print(json.dumps({**result, "cores": cores, **versions, "machine": platform.machine()}, indent=2))


def _documents() -> list[npt.NDArray[np.uint8]]:
    """Two samples of each template, one after the other."""
    documents = SyntheticDocuments(templates=TEMPLATES, samples_per_template=2)
    return [documents[index].image for index in range(len(documents))]


def _write(images: Sequence[npt.NDArray[np.uint8]], folder: Path, size: tuple[int, int]) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{number:03}.jpg" for number in range(len(images) if size[0] < 1000 else 12)]  # noqa: PLR2004
    for path, image in zip(paths, images, strict=False):
        Image.fromarray(image).resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
    return paths


def _speed(model: zoo.Model, files: list[Path], count: int, rounds: int) -> dict[str, object]:
    paths = (files * count)[:count]
    session = onnxruntime.InferenceSession(str(model.graph.path), providers=["CPUExecutionProvider"])
    # Azure's provider is in every build of onnxruntime, and leaves the work to the CPU.
    batches = zoo.load(model.path, providers="azure", threads=len(os.sched_getaffinity(0)))
    ways: dict[str, Callable[[], npt.NDArray[np.float32]]] = {
        "naive": lambda: _naive(model, session, paths),
        "zoo": lambda: model.embed(paths),
        "zoo_one_worker": lambda: model.embed(paths, workers=1),
        "zoo_batches": lambda: batches.embed(paths),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    found = {}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            found[name] = way()
            seconds[name].append(time.perf_counter() - started)
    rates = {name: round(count / min(taken), 1) for name, taken in seconds.items()}
    cosines = (found["zoo"] * found["naive"]).sum(axis=1)
    same = bool(np.array_equal(found["zoo"], found["zoo_one_worker"]))
    return {
        "images": count,
        "images_per_second": rates,
        "times_as_fast": round(rates["zoo"] / rates["naive"], 2),
        "least_cosine_to_naive": round(float(cosines.min()), 6),
        "equal_for_any_number_of_workers": same,
    }


def _naive(model: zoo.Model, session: onnxruntime.InferenceSession, paths: Iterable[Path]) -> npt.NDArray[np.float32]:
    wanted, name = model.graph.pixels, model.graph.input_name
    rows = []
    for path in paths:
        image = Image.open(path).convert("RGB")
        if wanted.size:
            image = image.resize(wanted.size[::-1], Image.Resampling.BILINEAR)
        pixels = np.asarray(image)
        if wanted.dtype == "float32":
            pixels = pixels.astype(np.float32) / np.float32(255 / wanted.maximum)
        row = session.run(None, {name: (pixels.transpose(2, 0, 1) if wanted.layout == "NCHW" else pixels)[None]})[0][0]
        rows.append(row / np.linalg.norm(row))
    return np.stack(rows)


def _command(model: str, folder: Path, files: list[Path]) -> list[str]:
    cards = folder / "cards"
    cards.mkdir()
    for number, path in enumerate(files[:20:2]):
        (cards / f"{number}.jpg").write_bytes(path.read_bytes())
    return [ZOO, "predict", "--model", model, "--gallery", str(cards), "--threshold", "0.5", "--csv"]


def _memory(command: list[str], files: list[Path], count: int, folder: Path) -> dict[str, object]:
    huge = folder / "huge.jpg"
    Image.open(files[0]).resize(HUGE).save(huge, quality=85)
    few, many = (_peak(command, (files * count)[:number]) for number in (min(1000, count), count))
    return {
        "peak_mb_of_1000_images": few,
        "peak_mb_of_all_images": many,
        "all_images": count,
        "peak_mb_of_108_megapixels": _peak(command, [huge]),
    }


def _peak(command: list[str], paths: list[Path]) -> float:
    """Peak resident memory of the command, given the names on stdin, in MB."""
    script = (
        "import json, resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    names = "".join(f"{path}\n" for path in paths)
    said = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", script, *command, "-"], input=names, capture_output=True, text=True, check=True
    )
    code, kilobytes = map(int, said.stdout.split())
    if code:
        message = f"{command} ended with {code}"
        raise SystemExit(message)
    return round(kilobytes / 1024, 1)


def _start(command: list[str], path: Path) -> dict[str, object]:
    """Seconds of a whole `zoo predict` of one image against ten references."""
    seconds = []
    for _ in range(STARTS):
        started = time.perf_counter()
        subprocess.run([*command, str(path)], check=True, capture_output=True)  # noqa: S603 - our own command
        seconds.append(time.perf_counter() - started)
    return {"least_s": round(min(seconds), 3), "median_s": round(statistics.median(seconds), 3)}


def _turned(model: zoo.Model, images: list[npt.NDArray[np.uint8]]) -> dict[str, object]:
    """Rank-1 of one sample of each document against the other, turned by quarters."""
    references = model.embed(images[::2])
    labels = np.arange(len(references))
    turned = {90 * quarter: [np.rot90(image, -quarter) for image in images[1::2]] for quarter in range(4)}

    def rank1(queries: list[npt.NDArray[np.uint8]], orientations: int) -> float:
        each = model.embed_each(queries, orientations=orientations)  # type: ignore[arg-type]
        rows = np.stack([np.atleast_2d(found) for _, found in each])  # type: ignore[arg-type]
        return float(((rows @ references.T).max(axis=1).argmax(axis=1) == labels).mean())

    upright = rank1(turned[0], 1)
    return {
        "references": len(references),
        "rank1_upright": round(upright, 4),
        "rank1_turned": {turn: round(rank1(queries, 1), 4) for turn, queries in turned.items() if turn},
        "rank1_turned_with_4_orientations": {turn: round(rank1(queries, 4), 4) for turn, queries in turned.items()},
    }


if __name__ == "__main__":
    main()
