"""Draws a small data set of folders of classes: python pictures.py FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from zoo_documents.synthetic import SyntheticDocuments

documents = SyntheticDocuments(templates=12, samples_per_template=4)
for index in range(len(documents)):
    sample = documents[index]
    path = Path(sys.argv[1]) / documents.classes[sample.label] / f"{index}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sample.image).resize((96, 64)).save(path)
