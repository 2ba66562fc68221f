"""Exported artifacts for clients that are not zoo, and the npm clients that read them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# onnxruntime-node would download CUDA's libraries.
INSTALL = ("install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund")
LENIENT = ("onnx.precision.int8.mean_cosine=0.5", "onnx.precision.int8.tpr_loss=1.0")


@pytest.fixture(scope="session")
def run_path(trained_run_template):
    """The run to export: a small one, or the trained one that READERS_RUN names."""
    return Path(os.environ.get("READERS_RUN", trained_run_template)).absolute()


@pytest.fixture(scope="session")
def export(run_path, tmp_path_factory):
    """Export the run in each precision into a folder of its own, and return its artifact: `export(*overrides)`."""
    from zoo.onnx_export.artifact import export_artifact
    from zoo.recipes.loading import load_run_recipe
    from zoo.runs.layout import RunFolder
    from zoo_core.discovery import discover

    def export(*overrides, precisions=("fp32", "fp16", "int8")):
        path = tmp_path_factory.mktemp("exported") / "runs" / "small" / "1"
        shutil.copytree(run_path, path, ignore=shutil.ignore_patterns("artifact"))
        run = RunFolder.open(path)
        loaded = load_run_recipe(run, [*overrides, *LENIENT])
        export_artifact(run, loaded, discover(), simplify=True, precisions=precisions)
        return run.artifact.path

    return export


@pytest.fixture(scope="session")
def plain(export):
    """The artifact of the recipe's own wrapper."""
    return export()


@pytest.fixture(scope="session")
def for_transformers_js(export, run_path):
    """The artifact of the wrapper ``TransformersJs``, by the overrides of docs/export.md."""
    from zoo.recipes.loading import load_run_recipe
    from zoo.runs.layout import RunFolder

    height, width = load_run_recipe(RunFolder.open(run_path)).recipe.data.image_size
    return export(
        "onnx.name=TransformersJs",
        f"onnx.input_shape={{pixel_values: {{shape: [1, 3, {height}, {width}], dtype: float32}}}}",
        "onnx.input_names=[pixel_values]",
        "onnx.output_names=[image_embeds]",
        'onnx.dynamic_axes={pixel_values: {"0": n, "2": height, "3": width}, image_embeds: {"0": n}}',
    )


@pytest.fixture(scope="session")
def documents(tmp_path_factory):
    """Image files of synthetic documents: 320 pixels long and 2 megapixels, upright and lying, and a turned JPEG."""
    from PIL import ExifTags, Image

    from zoo_documents.synthetic import SyntheticDocuments

    folder = tmp_path_factory.mktemp("documents")
    data = SyntheticDocuments(split="unseen", templates=8, samples_per_template=1)
    paths = []
    for number, size in enumerate(((320, 202), (202, 320), (1790, 1130), (1130, 1790), (317, 211), (1600, 1250))):
        image = Image.fromarray(data[number].image).resize(size, Image.Resampling.BICUBIC)
        paths.append(folder / f"{number}.png")
        image.save(paths[-1])
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    paths.append(folder / "turned.jpg")
    Image.fromarray(data[6].image).resize((800, 505)).save(paths[-1], exif=turned, quality=95)
    return paths


@pytest.fixture(scope="session")
def npm(tmp_path_factory):
    """A folder with the clients of package.json and the programs that lie here, installed anew."""
    command = shutil.which("npm")
    if command is None:
        pytest.fail("these tests need Node.js and npm")
    folder = tmp_path_factory.mktemp("npm")
    for path in (HERE / "package.json", *HERE.glob("*.mjs")):
        shutil.copy(path, folder)
    subprocess.run([command, *INSTALL], cwd=folder, check=True, capture_output=True)
    yield folder
    # pytest keeps the folders of three runs, and this one has half a gigabyte.
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def node(npm):
    """Run a program in that folder: `node("infer.mjs", ..., input=...)`."""

    def run(*arguments, check=True, **options):
        done = subprocess.run(
            [shutil.which("node"), *map(str, arguments)],
            cwd=npm,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture
def figure():
    """Print a line, for whoever runs the tests with -s."""
    return lambda line: sys.stdout.write(f"{line}\n")
