"""Optional dependencies: which extra brings a module, and the pip line where it is missing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from zoo_core.errors import ComponentError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Import names, for they are what a failing import tells.
EXTRAS: dict[str, tuple[str, ...]] = {
    "heic": ("pillow_heif",),
    "shards": ("braceexpand", "datasets", "fsspec", "pyarrow", "webdataset"),
    "train": (
        "filelock",
        "torch",
        "torchvision",
        "timm",
        "lightning",
        "onnx",
        "onnxscript",
        "onnxsim",
        "cv2",
        "matplotlib",
        "safetensors",
        "tensorboard",
    ),
}


def pip_line(extra: str) -> str:
    """Return what to type to get ``extra``."""
    return f"pip install 'plugzoo[{extra}]'"


@contextmanager
def naming_missing_extras(user: str) -> Iterator[None]:
    """Turn the missing module of an extra into an error that names ``user`` and the pip line.

    Raises:
        ComponentError: a module of an extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        for extra, modules in EXTRAS.items():
            if module in modules:
                msg = f"{user} needs {module}, which is not installed"
                raise ComponentError(msg, hint=f"get it by {pip_line(extra)}") from error
        raise
