"""Recipe files: YAML with positions, bases, references, overrides and validation.

Precedence, from weak to strong: defaults of components and sections, bases (``extends``), the file, the environment
(``ZOO_RECIPE__data__loader__batch_size=64``; two underscores stand for a dot), the command line
(``data.loader.batch_size=64``).
"""

from __future__ import annotations

from zoo_core.config.document import Document, KeyPath, Node, Renamed, dotted, leaves
from zoo_core.config.layers import Overrides, load, merge
from zoo_core.config.suggestions import did_you_mean
from zoo_core.config.validation import schema_problems, sort_problems, strictly, validate
from zoo_core.config.writing import dump

__all__ = [
    "Document",
    "KeyPath",
    "Node",
    "Overrides",
    "Renamed",
    "did_you_mean",
    "dotted",
    "dump",
    "leaves",
    "load",
    "merge",
    "schema_problems",
    "sort_problems",
    "strictly",
    "validate",
]
