"""What can be wrong with a timm model's options, found without creating it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo_core.api import ComponentError, OptionProblem
from zoo_timm.models import resolve
from zoo_timm.weights import NO_FILE_HINT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def check(name: str, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
    """Yield a tag that the model ``name`` has not, and a file of weights that is not on this machine."""
    try:
        resolve(name, options.get("tag"))
    except ComponentError as error:
        yield OptionProblem("tag", error.problems[0].message, error.problems[0].hint)
    pretrained = options.get("pretrained")
    if isinstance(pretrained, str) and pretrained != "auto" and not Path(pretrained).expanduser().is_file():
        yield OptionProblem("pretrained", f"there is no file {pretrained!r}", NO_FILE_HINT, is_local=True)
