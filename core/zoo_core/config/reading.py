"""YAML to nodes: YAML 1.2's scalars, duplicate keys refused, and nothing but plain data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

from zoo_core.config.document import Node
from zoo_core.errors import Location, Problem, RecipeError

if TYPE_CHECKING:
    from pathlib import Path

    from zoo_core.config.document import Scalar

# Far more than a recipe needs, and soon reached by aliases of aliases of aliases.
MAX_NODES = 100_000
MAX_BYTES = 1_000_000
TAG = "tag:yaml.org,2002:"
# YAML 1.2's core schema. YAML 1.1, PyYAML's own, reads `1e-3` as text, `on` and `no` as booleans, `1:30` as 90.
RESOLVERS = [
    (TAG + "null", re.compile(r"^(?:~|null|Null|NULL|)$")),
    (TAG + "bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")),
    (TAG + "int", re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$")),
    (
        TAG + "float",
        re.compile(
            r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        ),
    ),
    (TAG + "merge", re.compile(r"^<<$")),
]


class _Loader(yaml.SafeLoader):
    """Composes nodes; their tags follow `RESOLVERS`."""

    yaml_implicit_resolvers = {None: RESOLVERS}  # noqa: RUF012 - PyYAML's own habit


def read_file(path: Path, name: str) -> tuple[Node, list[Problem]]:
    """Read a YAML file whose top level is a mapping; also return the problems that leave its values usable.

    Args:
        path: the file.
        name: what errors call it.

    Raises:
        RecipeError: the file cannot be read, or is not YAML.
    """
    text = _text(path, name)
    root = _compose(text, name)
    if root is None:
        raise RecipeError([Problem("the file is empty", Location(name))])
    if not isinstance(root, yaml.MappingNode):
        location = Location(name, root.start_mark.line + 1, root.start_mark.column + 1)
        kind = "a list" if isinstance(root, yaml.SequenceNode) else "a single value"
        raise RecipeError([Problem(f"the top level should be a mapping of sections, not {kind}", location)])
    reader = _Reader(name)
    return reader.node(root, Location(name, 1, 1)), reader.problems


def read_value(text: str, location: Location) -> Node:
    """Read one value as in a file, all of it located at ``location``.

    Raises:
        RecipeError: it is not YAML.
    """
    try:
        root = _compose(text, location.file)
        if root is None:
            return Node(None, location)
        reader = _Reader(location.file, location)
        node = reader.node(root, location)
        problems = reader.problems
    except RecipeError as error:
        problems = list(error.problems)
    if problems:
        hint = "put quotes around text with special characters"
        raise RecipeError([Problem(f"cannot read {text!r}: {problem.message}", location, hint) for problem in problems])
    return node


def _text(path: Path, name: str) -> str:
    location = Location(name)
    if path.is_dir():
        raise RecipeError([Problem("is a folder, not a recipe file", location)])
    if not path.is_file():
        raise RecipeError([Problem("no such file" if not path.exists() else "is not a regular file", location)])
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RecipeError([Problem(f"cannot be read: {error.strerror}", location)]) from error
    if len(data) > MAX_BYTES:
        raise RecipeError([Problem(f"is larger than {MAX_BYTES:,} bytes, so it is no recipe", location)])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        problem = Problem("is not UTF-8 text", Location(name, line, column), "save the file as UTF-8")
        raise RecipeError([problem]) from error


def _compose(text: str, name: str) -> yaml.Node | None:
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        location = Location(name, before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1)
        problem = Problem(f"not YAML: character U+{ord(text[error.position]):04X} is not allowed", location)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        location = Location(name, mark.line + 1, mark.column + 1) if mark else Location(name)
        what = " ".join((error.problem or error.context or "cannot be parsed").split())
        problem = Problem(f"not YAML: {what}", location, _hint(text, mark))
    except RecursionError:
        problem = Problem("not a recipe: nested too deeply", Location(name))
    # PyYAML's own traceback says nothing that the position does not.
    raise RecipeError([problem]) from None


def _hint(text: str, mark: yaml.Mark | None) -> str | None:
    if mark is None or mark.index >= len(text):
        return None
    if text[mark.index] == "\t":
        return "indent with spaces: YAML allows no tabs"
    if text[mark.index - 1 : mark.index + 1] == "${":
        return "within [] and {} put quotes around '${...}'"
    return None


class _Reader:
    """Turns PyYAML's nodes of one file into ours."""

    def __init__(self, name: str, location: Location | None = None) -> None:
        self.problems: list[Problem] = []
        self._name = name
        self._location = location
        self._open: set[int] = set()
        self._count = 0

    def node(self, source: yaml.Node, location: Location) -> Node:
        """Convert ``source`` and all below it."""
        self._count += 1
        if self._count > MAX_NODES:
            raise RecipeError([Problem(f"aliases expand to more than {MAX_NODES:,} values", Location(self._name))])
        if id(source) in self._open:
            raise RecipeError([Problem("an alias refers to what it is a part of", self._at(source))])
        self._open.add(id(source))
        try:
            if isinstance(source, yaml.MappingNode) and source.tag == TAG + "map":
                return Node(self._mapping(source), location)
            if isinstance(source, yaml.SequenceNode) and source.tag == TAG + "seq":
                return Node([self.node(item, self._at(item)) for item in source.value], location)
            return Node(self._scalar(source), location)
        finally:
            self._open.discard(id(source))

    def _at(self, source: yaml.Node) -> Location:
        return self._location or Location(self._name, source.start_mark.line + 1, source.start_mark.column + 1)

    def _mapping(self, source: yaml.MappingNode) -> dict[str, Node]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        first: dict[str, Location] = {}
        for key_node, value_node in source.value:
            location = self._at(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(Problem("a key should be text, not a list or a mapping", location))
                continue
            # `0:` and `"0":` are the same key: what counts is the text as written.
            key = str(key_node.value)
            if key in first:
                earlier = first[key]
                where = f" (first at line {earlier.line})" if earlier.line else ""
                self.problems.append(Problem(f"duplicate key {key!r}{where}", location))
                continue
            first[key] = location
            if key_node.tag == TAG + "merge":
                merged = self._merged(value_node)
            else:
                own[key] = self.node(value_node, location)
        return {**merged, **own}

    def _merged(self, source: yaml.Node) -> dict[str, Node]:
        """Read the value of `<<`: a mapping, or a list of them of which the earlier ones win."""
        node = self.node(source, self._at(source))
        mappings = node.value if isinstance(node.value, list) else [node]
        merged: dict[str, Node] = {}
        for mapping in mappings:
            if not isinstance(mapping.value, dict):
                self.problems.append(Problem("'<<' should be given a mapping or a list of mappings", mapping.location))
                continue
            merged = {**mapping.value, **merged}
        return merged

    def _scalar(self, source: yaml.Node) -> Scalar:
        text, tag = source.value, source.tag
        problem = f"the tag {tag.replace(TAG, '!!')!r} is not allowed in a recipe"
        try:
            if isinstance(source, yaml.ScalarNode):
                if tag in {TAG + "str", TAG + "merge"}:
                    text.encode("utf-8")
                    return str(text)
                if tag == TAG + "null":
                    return None
                if tag == TAG + "bool" and text.lower() in {"true", "false"}:
                    return bool(text.lower() == "true")
                if tag == TAG + "int":
                    return int(text, 0 if text[:2].lower() in {"0x", "0o"} else 10)
                if tag == TAG + "float":
                    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        except UnicodeEncodeError:
            problem = "text with half a surrogate pair"
        except ValueError:
            problem = "a number that cannot be read"
        self.problems.append(Problem(problem, self._at(source)))
        return None
