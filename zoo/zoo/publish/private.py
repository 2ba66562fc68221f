"""A last look at what is sent: no folder of this machine, no token, and nothing that the recipe keeps to itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import get_token

from zoo.recipes.public import OWN_DATA, OWN_FILE
from zoo_core.config.document import leaves
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from zoo.recipes.schema import Recipe
    from zoo.runs.layout import RunFolder

# A shorter word may stand anywhere.
_SHORTEST = 5
# The root and a folder in it.
_FEW_PARTS = 2


def private_words(run: RunFolder, record: Mapping[str, Any], kept: Recipe, published: Recipe) -> frozenset[bytes]:
    """Return what must stand in no published file.

    Args:
        run: the run, whose folder is private.
        record: what made it.
        kept: its recipe.
        published: what is published of that.
    """
    folders = [str(Path.home()), str(run.path.absolute()), str(record.get("folder", ""))]
    # Of a short one, such as /home, a text may speak.
    folders += [str(folder) for folder in [Path.cwd()] if len(folder.parts) > _FEW_PARTS]
    replaced = _replaced(kept.model_dump(mode="json"), published.model_dump(mode="json"))
    sources = [(one.get("direct_url") or {}).get("url", "") for one in record.get("components", [])]
    local = [str(url).removeprefix("file://") for url in sources if str(url).startswith("file:")]
    words = [*folders, *local, get_token() or "", *(text for text in replaced if "/" in text)]
    return frozenset(word.encode() for word in words if len(word) >= _SHORTEST)


def check_private(name: str, content: bytes, words: Iterable[bytes]) -> None:
    """Refuse a file that holds one of ``words``.

    Raises:
        RunError: it does.
    """
    for word in words:
        if word in content:
            said = word.decode() if b"/" in word else "a token"
            raise RunError(
                f"{name}: holds what is private: {said}", hint="export it again (zoo export), or remove it there"
            )


def _replaced(kept: Any, published: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Yield the texts of which only a placeholder is published."""
    if published in (OWN_DATA, OWN_FILE):
        for _, leaf in leaves(kept):
            yield from (text for text in (leaf if isinstance(leaf, list) else [leaf]) if isinstance(text, str))
    elif isinstance(kept, dict) and isinstance(published, dict):
        for key in kept.keys() & published.keys():
            yield from _replaced(kept[key], published[key])
    elif isinstance(kept, list) and isinstance(published, list):
        for one, other in zip(kept, published, strict=False):
            yield from _replaced(one, other)
