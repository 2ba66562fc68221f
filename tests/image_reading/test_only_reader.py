"""Nothing but `zoo_core.images` decodes users' files."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("core", "plugins", "zoo")
# What decodes an image file, as `module.name`; the libraries whose every use does.
DECODERS = {
    *("PIL.Image.open", "PIL.Image.init", "PIL.Image.preinit", "PIL.Image.OPEN", "PIL.ImageFile.Parser"),
    *("cv2.imread", "cv2.imreadmulti", "cv2.imdecode", "cv2.imdecodemulti", "cv2.imreadanimation"),
    *("datasets.Image", "torchvision.datasets.folder", "torchvision.datasets.ImageFolder", "matplotlib.image.imread"),
    *("matplotlib.pyplot.imread", "tkinter.PhotoImage", "PIL.ImageTk.PhotoImage"),
}
LIBRARIES = ("imageio", "pillow_heif", "rawpy", "skimage.io", "tifffile", "torchvision.io", "turbojpeg", "wand")
ALLOWED = {
    ("core/zoo_core/image_opening.py", "PIL.Image.OPEN"): "the reader",
    ("core/zoo_core/image_opening.py", "pillow_heif.HeifImageFile"): "the reader",
    ("plugins/zoo_images/capture/effects.py", "cv2.imdecode"): "a JPEG that the line before has made of pixels",
    ("plugins/zoo_images/datasets/hub.py", "datasets.Image"): "keeps `datasets` from decoding",
}


def decoders(source):
    """Return the names in Python ``source`` that decode image files, wherever they were imported."""
    tree = ast.parse(source)
    full = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                full[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                full[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    found = {name for name in full.values() if decodes(name)}
    for node in ast.walk(tree):
        name = dotted(node, full) if isinstance(node, ast.Attribute) else None
        if name and decodes(name):
            found.add(name)
    return found


def decodes(name):
    return name in DECODERS or any(name == library or name.startswith(f"{library}.") for library in LIBRARIES)


def dotted(node, full):
    """Return the full name of ``a.b.c``, or None where ``a`` was not imported."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in full:
        return None
    return ".".join([full[node.id], *reversed(names)])


def test_no_other_code_decodes_image_files():
    found = {
        (path.relative_to(ROOT).as_posix(), name)
        for folder in SOURCES
        for path in (ROOT / folder).rglob("*.py")
        for name in decoders(path.read_text(encoding="utf-8"))
    }
    assert found == set(ALLOWED)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from PIL import Image\nImage.open('a')", {"PIL.Image.open"}),
        ("import PIL.Image as pictures\npictures.open('a')", {"PIL.Image.open"}),
        ("import PIL.Image\nPIL.Image.open('a')", {"PIL.Image.open"}),
        ("def read():\n    import cv2 as cv\n    return cv.imread('a')", {"cv2.imread"}),
        ("from cv2 import imdecode as decode", {"cv2.imdecode"}),
        ("import imageio.v3 as iio\niio.imread('a')", {"imageio.v3", "imageio.v3.imread"}),
        ("from torchvision.io import read_image", {"torchvision.io.read_image"}),
        ("from torchvision import io\nio.decode_jpeg(data)", {"torchvision.io", "torchvision.io.decode_jpeg"}),
        ("from PIL import Image\nImage.fromarray(pixels)\nopen('a')", set()),
    ],
)
def test_the_scan_finds_a_decoder_under_any_name(source, expected):
    assert decoders(source) == expected
