"""Find image files below a folder."""

from __future__ import annotations

from pathlib import Path

from zoo_core.api import ComponentError

IMAGE_EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
# For hints of errors about folders without images.
EXPECTED_FILES = "images called " + ", ".join(f"*{extension}" for extension in sorted(IMAGE_EXTENSIONS))


def existing_folder(root: str) -> Path:
    """Return the folder that the option ``root`` names.

    Raises:
        ComponentError: it does not exist or is not a folder.
    """
    folder = Path(root).expanduser()
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        msg = f"dataset root {folder} {problem} (looked from {Path.cwd()})"
        raise ComponentError(msg, hint="set the option `root` to the folder with the images")
    return folder


def find_images(folder: Path) -> list[Path]:
    """Find all images below ``folder``, sorted by path so that labels are the same on every machine."""
    found = (
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_EXTENSIONS and not path.name.startswith(".") and path.is_file()
    )
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())
