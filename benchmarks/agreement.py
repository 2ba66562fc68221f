"""How near the device's pictures are to the loader's: ``python benchmarks/agreement.py [--images FOLDER]``.

Prints rows of a table: the mean absolute difference in grey values of 255 over 128 images of 160 pixels, each of the 24
views in turn, and that of the picture that differs most; each part alone at chance 1. Images are synthetic documents,
or those of a folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from zoo_core.api import Sample
from zoo_documents.synthetic import SyntheticDocuments
from zoo_images.capture.augmentation import Capture
from zoo_images.datasets.decoding import read_reduced
from zoo_images.datasets.views import views

IMAGES, LONGEST, SIDE = 128, 160, 96
EFFECTS = ("colour", "light", "blur", "noise", "reduction", "jpeg", "occlusion")


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="a folder of images instead of synthetic documents")
    folder = parser.parse_args().images
    if folder:
        images = [read_reduced(path, LONGEST) for path in sorted(folder.iterdir())[:IMAGES]]
    else:
        documents = SyntheticDocuments(templates=IMAGES, samples_per_template=1)
        images = [documents[index].image for index in range(IMAGES)]
    turns = [view for _, view in views()]
    samples = [Sample(image, 0, turns[number % len(turns)]) for number, image in enumerate(images)]
    none = dict.fromkeys(EFFECTS, 0.0)
    rows = {"view and resize only": {"strength": 0.0}, "geometry and background": none}
    rows |= {f"`{effect}`": {**none, effect: 1.0} for effect in EFFECTS}
    for name, options in (rows | {"all, at their default chances": {}}).items():
        each = differences(Capture((SIDE, SIDE), **options), samples)
        print(f"| {name} | {each.mean():.2g} | {each.max():.2g} |")


def differences(capture: Capture, samples: list[Sample]) -> np.ndarray:
    """Mean absolute difference of each sample's two pictures: ``[N]``."""
    parameters = [capture.draw(sample, np.random.default_rng(number)) for number, sample in enumerate(samples)]
    by_loader = np.stack([capture.render(sample, drawn) for sample, drawn in zip(samples, parameters, strict=True)])
    sources, rows = zip(*map(capture.lay_out, samples, parameters), strict=True)
    on_device = capture.executor()(torch.from_numpy(np.stack(sources)), torch.from_numpy(np.stack(rows))).numpy()
    return np.abs(by_loader.astype(float) - on_device).mean(axis=(1, 2, 3))


if __name__ == "__main__":
    main()
