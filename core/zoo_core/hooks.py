"""The pluggy hooks that a plugin may implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from zoo_core.components import ComponentFamily, ComponentSpec

PROJECT = "zoo"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def zoo_components() -> Sequence[ComponentSpec | ComponentFamily]:
    """Return the components that this plugin provides."""
    raise AssertionError  # pragma: no cover: a specification is never called


@hookspec
def zoo_run_finished(run: Path, metrics: Mapping[str, float]) -> None:
    """Hear that a training ended: ``run`` is its run folder, ``metrics`` the last validation's."""


@hookspec
def zoo_exported(artifact: Path) -> None:
    """Hear that an artifact folder was written and verified."""


@hookspec
def zoo_card_sections(artifact: Path) -> Mapping[str, str]:  # noqa: ARG001 - a specification
    """Return sections for the model card of an artifact folder: Markdown by title."""
    raise AssertionError  # pragma: no cover: a specification is never called


@hookspec
def zoo_card_written(card: Path) -> None:
    """Hear that a model card was written; the plugin may edit the file."""


@hookspec
def zoo_before_push(artifact: Path, repo_id: str) -> None:
    """Hear that an artifact is about to be pushed; raising stops the push."""
