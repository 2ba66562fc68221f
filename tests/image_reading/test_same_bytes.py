"""A file gives the same pixels wherever zoo reads it."""

from __future__ import annotations

import shutil
from hashlib import sha256
from io import BytesIO

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from zoo.assembly import RecipeBuilder
from zoo.recipes.loading import load_recipe
from zoo.validation.dataset import plain_sample
from zoo_core.capabilities import HasPlainSamples
from zoo_core.discovery import discover
from zoo_core.images import read_image, resize
from zoo_images.datasets.folders import FolderDataset
from zoo_images.datasets.instances import InstancesDataset
from zoo_images.datasets.lists import ListDataset

# Files of 24 to 2,000 pixels are decoded at all four scales of JPEG for it.
SIZE = (24, 40)
WHITE = "white"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of one class with room for one file, its caches, and the recipe that validates on it."""
    folder = tmp_path_factory.mktemp("same")
    (folder / "root" / "class").mkdir(parents=True)
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        "extends: lcnet050_cosface_96\n"
        "data:\n"
        f"  image_size: [{SIZE[0]}, {SIZE[1]}]\n"
        "  valid:\n"
        "    name: images/folder\n"
        f"    options: {{root: {folder / 'root'}, cache: {folder / 'eval'}, cache_mb: 2}}\n"
        "  valid_captures: 0\n",
        encoding="utf-8",
    )
    registry = discover()
    return folder, RecipeBuilder(load_recipe(recipe, registry=registry), registry)


def digest(pixels):
    assert pixels.dtype == np.uint8
    return sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def pillow_alone(path):
    """Read a file by Pillow's own functions, over white, upright."""
    if path.suffix == ".heic":
        import pillow_heif

        image = pillow_heif.open_heif(path).to_pillow()
    else:
        # Not by its path: Pillow 13 turns an uncompressed TIFF that it maps into memory twice.
        image = Image.open(BytesIO(path.read_bytes()))
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image)
    return image.convert("RGB")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_gives_the_same_bytes_on_every_way(place, drawings, data):
    folder, builder = place
    drawn = data.draw(drawings)
    shutil.rmtree(folder / "root" / "class")
    (folder / "root" / "class").mkdir()
    path = drawn.write(folder / "root" / "class")
    (folder / "list.csv").write_text(f"path,label\n{path},a\n")

    ways = {"predict": read_image(path, SIZE)}
    with path.open("rb") as file:
        ways["open file"] = read_image(file, SIZE)
    reduced = drawn.suffix == "jpg" and max(drawn.size) > 8 * min(SIZE)
    if not reduced:
        ways["array"] = resize(read_image(path), SIZE)
    options = {"cache_mb": 2, "max_side": 16}
    for cache in ("none", str(folder / "cache")):
        datasets = {
            "folder": FolderDataset(str(folder / "root"), cache=cache, **options),
            "instances": InstancesDataset(str(folder / "root"), cache=cache, **options),
            "views": InstancesDataset(str(folder / "root"), views=True, cache=cache, **options),
            "list": ListDataset(str(folder / "list.csv"), cache=cache, **options),
        }
        for name, dataset in datasets.items():
            assert isinstance(dataset, HasPlainSamples)
            # The second time from the cache.
            for time in ("first", "again"):
                ways[name, cache, time] = plain_sample(dataset, 0, SIZE).image
    ways["eval"] = builder.validation_items()[0].image
    ways["eval again"] = builder.validation_items()[0].image
    assert {digest(pixels) for pixels in ways.values()} == {digest(ways["predict"])}, drawn

    if drawn.mode not in {"I;16", "I", "F"}:
        expected = np.asarray(pillow_alone(path).resize(SIZE[::-1], Image.Resampling.BILINEAR))
        difference = np.abs(expected.astype(int) - ways["predict"]).max()
        assert difference <= (2 if reduced else 0), drawn
