"""A checkout of zoo that nobody has installed, made importable with its plugins. Needs the standard library alone."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

DISTRIBUTION = "plugzoo"
ROOTS = ("core", "plugins", "zoo")
# Import packages that the stages cannot do without. Others, such as onnxsim, are looked for where they are used.
NEEDED = (
    *("torch", "torchvision", "lightning", "timm", "numpy", "PIL", "cv2", "pluggy", "click", "yaml", "rich"),
    *("packaging", "filelock", "safetensors", "tensorboard", "onnx", "onnxruntime", "huggingface_hub", "pydantic"),
    *("pydantic_core", "annotated_types", "typing_inspection", "typing_extensions"),
)


def make_importable(checkout: Path) -> bool:
    """Put an uninstalled checkout's packages and plugins on the path of this process and of those that it starts.

    Plugins are found by the metadata of an installed distribution, so a folder of metadata is made of pyproject.toml.
    Where ``plugzoo`` is installed, nothing is changed.

    Returns:
        Whether it was needed.

    Raises:
        SystemExit: packages are missing.
    """
    try:
        distribution(DISTRIBUTION)
    except PackageNotFoundError:
        made = True
        metadata = Path(tempfile.mkdtemp(prefix="plugzoo-metadata-"))
        atexit.register(shutil.rmtree, metadata, ignore_errors=True)
        write_metadata(checkout, metadata)
        added = [str(metadata), *(str(checkout / root) for root in ROOTS)]
        sys.path[:0] = added
        inherited = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([*added, *([inherited] if inherited else [])])
    else:
        made = False
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise SystemExit(f"missing here: {', '.join(missing)}; {Path(sys.argv[0]).name} --help says how to bring them")
    return made


def write_metadata(checkout: Path, folder: Path) -> None:
    """Write into ``folder`` what an installation of ``checkout`` would say of itself: its name and its plugins."""
    groups = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    lines = []
    for group, points in groups.items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items()), ""]
    info = folder / f"{DISTRIBUTION}-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: 0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
