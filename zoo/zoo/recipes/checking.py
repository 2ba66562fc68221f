"""A recipe against what is installed: components, their options, and how they fit each other."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from zoo.recipes.licences import LICENSE_KEYS, license_problem
from zoo.recipes.onnx_checking import check_onnx
from zoo.recipes.public import unset_data
from zoo.recipes.schema import ALSO, Recipe, component_paths
from zoo.recipes.torch_checking import check_torch
from zoo_core.building import check_options
from zoo_core.components import WIRED
from zoo_core.config import schema_problems, sort_problems
from zoo_core.errors import ComponentError, Location, Problem, RecipeError
from zoo_core.registry import blaming, load_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo_core.components import Kind, OptionProblem
    from zoo_core.config import Document, KeyPath
    from zoo_core.registry import Component, Registry

HEAD = ("model", "head")
WRAPPER = ("onnx",)
# What is passed to them is made of the model, so that no recipe can say it.
NOT_WRITTEN = frozenset({"params", "optimizer"})


def check_recipe(document: Document, registry: Registry) -> list[Problem]:
    """Check all of a recipe; imports what its components need, and builds nothing.

    Returns:
        What is wrong on this machine only, and may be right where the recipe is meant for.

    Raises:
        RecipeError: it is wrong; all problems at once.
        ComponentError: it may be right, but a plugin or an extra that it needs is not available.
    """
    if unset := unset_data(document):
        raise RecipeError(unset)
    check = _ComponentCheck(document, registry)
    problems = schema_problems(Recipe, document)
    others = [*check.problems(), *_check_shares(document), *_check_captures(document), *check_onnx(document)]
    others += _check_license(document)
    # One report per location: what is in a value that the schema refuses is not checked.
    known = {problem.location for problem in problems}
    problems += [problem for problem in others if problem.location not in known]
    if problems:
        raise RecipeError(sort_problems([*problems, *check.unavailable]))
    if check.unavailable:
        raise ComponentError(check.unavailable[0].message).with_problems(sort_problems(check.unavailable))
    return sort_problems(check.local)


class _ComponentCheck:
    """Checks the components of one recipe, as far as what names them has the right shape."""

    def __init__(self, document: Document, registry: Registry) -> None:
        self.unavailable: list[Problem] = []
        self.local: list[Problem] = []
        self._document = document
        self._registry = registry
        self._factories: dict[KeyPath, Callable[..., Any]] = {}
        self._paths = component_paths(document.value)

    def problems(self) -> list[Problem]:
        """Return what is wrong; what is only not installed goes to ``unavailable``."""
        problems: list[Problem] = []
        for path, kind in self._paths.items():
            problems += self._component(kind, path)
        try:
            problems += check_torch(self._document)
        except ComponentError as error:
            self._miss(list(error.problems))
        return [*problems, *self._wiring()]

    def _at(self, path: KeyPath) -> Location | None:
        return self._document.locate(path)

    def _below(self, path: KeyPath, below: KeyPath) -> Location | None:
        return self._at((*_options_at(path), *below[1:]) if below[:1] == ("options",) else (*path, *below))

    def _options(self, path: KeyPath) -> dict[str, Any]:
        options = self._document.get(_options_at(path), {})
        return options if isinstance(options, dict) else {}

    def _component(self, kind: Kind, path: KeyPath) -> list[Problem]:
        name = self._document.get((*path, "name"))
        if not isinstance(name, str):
            return []
        try:
            component = self._registry.find(kind, name)
        except ComponentError as error:
            problems = self._located(error, (*path, "name"))
            if not self._is_unavailable(error, name):
                return problems
            self._miss(problems)
            return []
        try:
            factory = self._registry.load(component)
        except ComponentError as error:
            self._miss(self._located(error, (*path, "name")))
            return []
        self._factories[path] = factory
        return self._fitting_options(component, factory, path)

    def _fitting_options(self, component: Component, factory: Callable[..., Any], path: KeyPath) -> list[Problem]:
        options = self._options(path)
        if given := sorted(NOT_WRITTEN.intersection(WIRED[component.kind], options)):
            return [
                Problem("zoo sets this itself", self._at((*_options_at(path), one)), "leave it out") for one in given
            ]
        try:
            problems = check_options(
                component, factory, options, WIRED[component.kind], lambda below: self._below(path, below)
            )
            return problems or self._found_by(component, options, path)
        except ComponentError as error:
            self._miss(self._located(error, (*path, "name")))
            return []

    def _found_by(self, component: Component, options: dict[str, Any], path: KeyPath) -> list[Problem]:
        """Return what the component's own check finds; what is wrong on this machine only goes to ``local``."""
        if component.spec.check is None:
            return []
        find = load_target(component, component.spec.check)
        with blaming(component, component.spec.check):
            found: list[OptionProblem] = list(find(component.name, options))
        located = [
            (one.is_local, Problem(one.message, self._at((*_options_at(path), one.option)), one.hint)) for one in found
        ]
        self.local += [problem for is_local, problem in located if is_local]
        return [problem for is_local, problem in located if not is_local]

    def _located(self, error: ComponentError, path: KeyPath) -> list[Problem]:
        return [Problem(problem.message, self._at(path), problem.hint) for problem in error.problems]

    def _miss(self, problems: list[Problem]) -> None:
        # Nearly every component needs the same extra: its pip line is reported once.
        hints = {problem.hint for problem in self.unavailable}
        self.unavailable += [problem for problem in problems if problem.hint is None or problem.hint not in hints]

    def _is_unavailable(self, error: ComponentError, name: str) -> bool:
        plugin, slash, _ = name.partition("/")
        failed = {failure.id for failure in self._registry.failures} | set(self._registry.disabled)
        return error.__cause__ is not None or (bool(slash) and plugin in failed)

    def _wiring(self) -> list[Problem]:
        """Compare what a recipe says by hand with what zoo passes itself."""
        wired: list[tuple[str, Any, str]] = []
        if size := self._document.get(("data", "image_size")):
            wired.append(("image_size", size, self._written("data", "image_size")))
        wired.append(("seed", self._document.get(("seed",), 0), self._written("seed")))
        if dimension := self._embedding_dim():
            wired.append(("embedding_dim", *dimension))
        problems = []
        for path, kind in self._paths.items():
            options = self._options(path)
            for name, value, source in wired:
                if name in WIRED[kind] and name in options and options[name] != value:
                    message = f"{options[name]} disagrees with {value}, which is {source}"
                    hint = "leave it out: zoo passes it"
                    problems.append(Problem(message, self._at((*_options_at(path), name)), hint))
        return problems

    def _written(self, *path: str) -> str:
        location = self._document.marks.get(path)
        return f"said at {location}" if location else f"the default of {'.'.join(path)}"

    def _embedding_dim(self) -> tuple[int, str] | None:
        """Return the embedding size that the head will have, and where it is written."""
        factory = self._factories.get(HEAD)
        if factory is None:
            return None
        options = self._options(HEAD)
        for name in ("embed_dim", "embedding_dim"):
            if isinstance(options.get(name), int):
                return options[name], self._written(*HEAD, "options", name)
            parameter = inspect.signature(factory).parameters.get(name)
            if parameter is not None and isinstance(parameter.default, int):
                return parameter.default, "the head's default"
        return None


def _options_at(path: KeyPath) -> KeyPath:
    """Return where a component's options stand: those beside a wrapper's name are of ``torch.onnx.export``."""
    return (*path, "wrapper_options" if path == WRAPPER else "options")


def _check_shares(document: Document) -> list[Problem]:
    also = document.get(ALSO, [])
    shares = [one.get("share") for one in also if isinstance(one, dict)] if isinstance(also, list) else []
    total = sum(share for share in shares if isinstance(share, int | float))
    if total < 1:
        return []
    return [Problem(f"the shares sum to {total:g}, which leaves data.train nothing", document.locate(ALSO))]


def _check_license(document: Document) -> list[Problem]:
    card = document.get(("card",), {})
    found = license_problem(*(card.get(key) for key in LICENSE_KEYS)) if isinstance(card, dict) else None
    return [Problem(found[0], document.locate(("card", "license")), found[1])] if found else []


def _check_captures(document: Document) -> list[Problem]:
    captures, size = (document.get(("data", *path), 1) for path in (("captures",), ("loader", "batch_size")))
    if not (isinstance(captures, int) and isinstance(size, int) and captures > 0) or size % captures == 0:
        return []
    message = f"batches of {size} images do not hold {captures} captures of each sample"
    location = document.locate(("data", "loader", "batch_size"))
    return [Problem(message, location, f"make it a multiple of {captures}")]
