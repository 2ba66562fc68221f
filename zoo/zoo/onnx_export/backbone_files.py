"""The trained backbone in the format of the library that it comes from, as the artifact's ``backbone/``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zoo.artifacts.manifest import role_of
from zoo_core.capabilities import HasLibraryFiles
from zoo_core.registry import describe

if TYPE_CHECKING:
    from torch import nn


def backbone_files(backbone: nn.Module, size: tuple[int, int]) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Return the files by their names, none where the backbone offers none, and a warning where it fails to.

    Args:
        backbone: with the checkpoint's weights, in evaluation mode.
        size: height and width of its images.
    """
    if not isinstance(backbone, HasLibraryFiles):
        return {}, ()
    try:
        files = backbone.library_files(size)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything, and the model is whole without these
        return {}, (f"backbone/ is left out: {describe(error)}",)
    if not isinstance(files, Mapping) or not all(isinstance(content, bytes) for content in files.values()):
        return {}, ("backbone/ is left out: its library_files returned no mapping of names to bytes",)
    if unknown := [name for name in files if not role_of(f"backbone/{name}")]:
        return {}, (f"backbone/ is left out: no artifact holds backbone/{unknown[0]}",)
    return dict(files), ()
