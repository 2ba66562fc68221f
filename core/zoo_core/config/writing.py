"""Values to YAML that reads back the same."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import BaseModel

from zoo_core.config.reading import RESOLVERS

WIDTH = 120
LINE_ENDS = frozenset("\r\n\x85\u2028\u2029")


class _Dumper(yaml.SafeDumper):
    """Quotes text that YAML 1.1 or 1.2 would read as something else, so that any reader agrees."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own habit
        first: [*RESOLVERS, *yaml.SafeDumper.yaml_implicit_resolvers.get(first, [])]
        for first in [None, *yaml.SafeDumper.yaml_implicit_resolvers]
    }

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002 - the base class's signature
        return True

    def represent_scalar(self, tag: str, value: Any, style: str | None = None) -> yaml.ScalarNode:  # noqa: ANN401 - the base class's signature
        # PyYAML folds these as line ends, and reads them back as spaces.
        if isinstance(value, str) and not LINE_ENDS.isdisjoint(value):
            style = '"'
        return super().represent_scalar(tag, value, style)


def dump(value: object) -> str:
    """Write a recipe, or any value that YAML holds, as YAML.

    Reading it gives the same value: floats to the last bit, mappings in their order, and text with ``${`` as text.
    """
    return yaml.dump(
        _plain(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=WIDTH
    )


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return _plain(value.model_dump())
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return value.replace("${", "$${")
    return value
