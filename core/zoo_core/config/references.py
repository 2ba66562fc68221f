"""`${dotted.key}`: a value that is written once and used again."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from zoo_core.config.document import KeyPath, Node, dotted
from zoo_core.config.reading import MAX_BYTES, MAX_NODES
from zoo_core.config.suggestions import did_you_mean
from zoo_core.errors import Problem, RecipeError

if TYPE_CHECKING:
    from zoo_core.config.document import Scalar

# `$${` is how to write `${` itself; a `${` without its brace is an error, found by its empty group.
REFERENCE = re.compile(r"\$\$\{|\$\{(?:([^{}]*)\})?")


def resolve(root: Node) -> tuple[Node, list[Problem]]:
    """Replace each reference by its value: of the value's type when it is the whole text, else as text.

    What cannot be resolved stays as it is, and is among the problems returned.

    Raises:
        RecipeError: references to references grow beyond any recipe.
    """
    resolver = _Resolver(root)
    return resolver.node(root, (), ()), list(dict.fromkeys(resolver.problems))


class _Resolver:
    def __init__(self, root: Node) -> None:
        self.problems: list[Problem] = []
        self._root = root
        self._count = 0

    def node(self, node: Node, path: KeyPath, targets: tuple[str, ...]) -> Node:
        """Resolve all in ``node``, which stands at ``path``; ``targets`` are the references being followed."""
        self._count += 1
        if self._count > MAX_NODES:
            raise RecipeError([Problem(f"references expand to more than {MAX_NODES:,} values", node.location)])
        if isinstance(node.value, dict):
            return Node(
                {key: self.node(child, (*path, key), targets) for key, child in node.value.items()}, node.location
            )
        if isinstance(node.value, list):
            items = [self.node(child, (*path, index), targets) for index, child in enumerate(node.value)]
            return Node(items, node.location)
        if isinstance(node.value, str) and "${" in node.value:
            return self._text(node, node.value, path, targets)
        return node

    def _text(self, node: Node, text: str, path: KeyPath, targets: tuple[str, ...]) -> Node:
        whole = REFERENCE.fullmatch(text)
        if whole and whole[1] is not None:
            found = self._find(whole[1].strip(), node, path, targets)
            # Errors in what is referred to are reported where it was written; its value is located at the reference.
            return node if found is None else _located_at(found, node)

        fragments: list[str] = []
        end = 0
        for match in REFERENCE.finditer(text):
            fragments.append(text[end : match.start()])
            end = match.end()
            if match[0] == "$${":
                fragments.append("${")
                continue
            if match[1] is None:
                self._report("'${' without its '}'", node, path, "write '$${' for the text itself")
                return node
            found = self._find(match[1].strip(), node, path, targets)
            if found is None:
                return node
            if isinstance(found.value, dict | list):
                self._report(f"'{match[0]}' is not a single value, so it cannot be a part of text", node, path)
                return node
            fragments.append(_as_text(found.value))
        joined = "".join([*fragments, text[end:]])
        if len(joined) > MAX_BYTES:
            raise RecipeError([Problem("references expand to too long a text", node.location)])
        return Node(joined, node.location)

    def _find(self, key: str, node: Node, path: KeyPath, targets: tuple[str, ...]) -> Node | None:
        if key in targets:
            chain = " -> ".join([*targets[targets.index(key) :], key])
            self._report(f"'${{{key}}}' refers to itself: {chain}", node, path)
            return None
        target: Node | None = self._root
        target_path: KeyPath = ()
        for segment in key.split("."):
            target = None if target is None else {str(name): child for name, child in target.children()}.get(segment)
            target_path = (*target_path, segment)
        if target is None:
            known = [dotted(known_path) for known_path, _ in self._root.walk() if known_path]
            hint = did_you_mean(key, known)
            if hint is None and key.isupper():
                hint = "a reference names a key of the recipe, never a variable of the environment"
            self._report(f"'${{{key}}}' refers to nothing", node, path, hint)
            return None
        before = len(self.problems)
        found = self.node(target, target_path, (*targets, key))
        return found if len(self.problems) == before else None

    def _report(self, message: str, node: Node, path: KeyPath, hint: str | None = None) -> None:
        self.problems.append(Problem(message, replace(node.location, key=dotted(path)), hint))


def _located_at(found: Node, reference: Node) -> Node:
    if isinstance(found.value, dict):
        return Node({key: _located_at(child, reference) for key, child in found.value.items()}, reference.location)
    if isinstance(found.value, list):
        return Node([_located_at(child, reference) for child in found.value], reference.location)
    return Node(found.value, reference.location)


def _as_text(value: Scalar) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
