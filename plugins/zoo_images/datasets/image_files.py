"""Find the folders and the image files that a dataset reads."""

from __future__ import annotations

from pathlib import Path

from zoo_core.api import IMAGE_SUFFIXES, ComponentError, FoundImages, Skipped, find_images, skipped_file

# For hints of errors about folders without images.
EXPECTED_FILES = "images called " + ", ".join(f"*{suffix}" for suffix in sorted(IMAGE_SUFFIXES))


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


def find_classes(folder: Path) -> tuple[dict[str, FoundImages], list[Skipped]]:
    """Find the images of each class folder of ``folder``, by class name; also what lies beside the class folders.

    A class folder may be a link, but not one back to ``folder``, above it, or to another class folder: its images would
    be of two classes.
    """
    found: dict[str, FoundImages] = {}
    beside: list[Skipped] = []
    root = folder.resolve()
    for entry in sorted(folder.iterdir(), key=lambda path: path.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            found[entry.name] = _linked_within(entry, root) or find_images(entry)
        else:
            beside.append(skipped_file(entry) or Skipped(str(entry), "lies beside the class folders"))
    return found, beside


def _linked_within(entry: Path, root: Path) -> FoundImages | None:
    if not entry.is_symlink():
        return None
    target = entry.resolve()
    if root.is_relative_to(target) or target.is_relative_to(root):
        return FoundImages([], [Skipped(str(entry), f"a link to {target}, whose images have a class already")])
    return None
