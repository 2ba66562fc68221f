"""The file that says which classes of a folder are look-alikes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

# Its name in a folder of class folders.
LOOK_ALIKES = "look_alikes.txt"
_FORM = "one class a line, an empty line between two groups of look-alikes"


def read_look_alikes(path: Path, classes: Sequence[str], known: Collection[str] = ()) -> list[int]:
    """Read groups of look-alikes: one class a line, an empty line between groups.

    Args:
        path: the file.
        classes: the names of the classes, in the order of their labels.
        known: names that the file may hold, too, such as those of classes in another split.

    Returns:
        The group of each class: the label of the one that the file names first, and of a class in none its own label.

    Raises:
        UsageError: the file cannot be read, or names a class that is not there, or in two groups.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error})", hint=_FORM) from error
    label_of = {name: label for label, name in enumerate(classes)}
    groups = list(range(len(classes)))
    line_of: dict[str, int] = {}
    first: int | None = None
    for number, line in enumerate(lines, 1):
        name = line.strip()
        if not name:
            first = None
            continue
        if name not in label_of and name not in known:
            raise UsageError(f"{path}:{number}: there is no class {name!r}", hint=_FORM)
        if line_of.setdefault(name, number) != number:
            raise UsageError(f"{path}:{number}: {name!r} stands in line {line_of[name]} already", hint=_FORM)
        if name in label_of:
            first = label_of[name] if first is None else first
            groups[label_of[name]] = first
    return groups
