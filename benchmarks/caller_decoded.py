"""How near images that a caller has decoded come to those that zoo reads from the file, as JSON.

    python benchmarks/caller_decoded.py --run RUN                  # synthetic photographs
    python benchmarks/caller_decoded.py --run RUN --images DIR     # own ones
    python benchmarks/caller_decoded.py --megapixels 12 --count 50

The caller decodes with Pillow and turns by EXIF; its array is resized to the model's size, as ``Model.embed`` does. zoo
reads the file: a large JPEG at a reduced scale. ``same`` counts images without any difference; ``grey_levels`` are of
the image's most different pixel, ``mean`` over all pixels; ``cosine`` is that of the two embeddings, and
``cosine_of_others`` that of different photographs, for scale. Without a run, the weights are random.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from photographs import photograph
from PIL import Image, ImageOps

from zoo.assembly import RecipeBuilder
from zoo.models.torch_model import open_checkpoint, to_pixels
from zoo.recipes.loading import load_recipe, load_run_recipe
from zoo.runs.layout import RunFolder
from zoo_core.discovery import discover
from zoo_core.images import read_image, resize
from zoo_documents.synthetic import SyntheticDocuments

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from zoo_core.api import UInt8Image


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="folder of JPEGs; default: synthetic photographs")
    parser.add_argument("--run", type=Path, help="run whose model embeds; default: the recipe, untrained")
    parser.add_argument("--count", type=int, default=500, help="photographs")
    parser.add_argument("--megapixels", type=float, help="enlarge each to so many; default: as they are")
    options = parser.parse_args()
    torch.set_num_threads(1)
    registry = discover()
    if options.run:
        run = RunFolder(options.run)
        builder = RecipeBuilder(load_run_recipe(run, registry=registry), registry)
        model = open_checkpoint(builder, run.best)
    else:
        torch.manual_seed(0)
        recipe = load_recipe("lcnet050_cosface_96", ["model.backbone.options.pretrained=false"], registry=registry)
        builder = RecipeBuilder(recipe, registry)
        model = builder.model(initial_weights=False).eval()
    size = builder.recipe.data.image_size
    folder = Path(tempfile.mkdtemp(prefix="caller-decoded-"))
    try:
        differences, embeddings = [], []
        for path in _files(options.images, folder, options.count, options.megapixels):
            with Image.open(path) as image:
                array = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
            pair = np.stack([read_image(path, size), resize(array, size)])
            differences.append(np.abs(np.diff(pair.astype(int), axis=0)))
            embeddings.append(_embed(model, pair))
    finally:
        shutil.rmtree(folder)
    print(
        json.dumps(
            {"schema": 1, "model": str(options.run or "untrained"), **_figures(differences, embeddings)}, indent=2
        )
    )


def _figures(differences: list[npt.NDArray[np.int64]], embeddings: list[npt.NDArray[np.float32]]) -> dict[str, object]:
    most = np.array([difference.max() for difference in differences])
    read, decoded = np.stack(embeddings, axis=1)
    cosines = (read * decoded).sum(axis=1)
    others = (read[1:] * decoded[:-1]).sum(axis=1)
    return {
        "photographs": len(most),
        "same": int((most == 0).sum()),
        "grey_levels": {"median": float(np.median(most)), "most": int(most.max())},
        "mean": float(np.mean([difference.mean() for difference in differences])),
        "cosine": {"median": float(np.median(cosines)), "least": float(cosines.min())},
        "cosine_of_others": {"median": float(np.median(others)), "most": float(others.max())},
    }


@torch.inference_mode()
def _embed(model: torch.nn.Module, images: UInt8Image) -> npt.NDArray[np.float32]:
    """Embed ``uint8 [2, H, W, 3]`` as ``[2, D]`` of length one."""
    # In float64 one cosine of equal images is 1, whatever the order of sums.
    embeddings = model(to_pixels(torch.from_numpy(images))).double()
    return torch.nn.functional.normalize(embeddings).numpy()


def _files(images: Path | None, folder: Path, count: int, megapixels: float | None) -> Iterator[Path]:
    """Yield the files, or if they have to be written one after the other the same path."""
    if images and not megapixels:
        yield from sorted(images.glob("*.jp*g"))[:count]
        return
    path = folder / "photograph.jpg"
    for picture in _pictures(images, count):
        scale = (megapixels * 1e6 / (picture.width * picture.height)) ** 0.5 if megapixels else 1.0
        size = (round(picture.width * scale), round(picture.height * scale))
        picture.resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
        yield path


def _pictures(images: Path | None, count: int) -> Iterator[Image.Image]:
    if images:
        yield from (Image.open(path).convert("RGB") for path in sorted(images.glob("*.jp*g"))[:count])
        return
    documents = SyntheticDocuments(templates=count, samples_per_template=1)
    for number in range(count):
        yield photograph(Image.fromarray(documents[number].image), np.random.default_rng(number))


if __name__ == "__main__":
    main()
