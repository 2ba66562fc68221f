"""Finding recipes by name or path, and loading them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo_core.errors import ComponentError, Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo.recipes.schema import ComponentReference, Recipe
    from zoo.runs.layout import RunFolder
    from zoo_core.config import Document, Overrides
    from zoo_core.registry import Component, Registry

SUFFIXES = (".yaml", ".yml")
LOCAL = Path("configs")


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe, its name, where each of its values was written, its warnings, and notes that are no warnings."""

    name: str
    recipe: Recipe
    document: Document
    warnings: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    def components(self, registry: Registry) -> list[Component]:
        """Return the components that the recipe names.

        Raises:
            ComponentError: one is not available.
        """
        found = {}
        for path, kind in self.recipe.component_paths().items():
            component = registry.find(kind, self.reference(path).name)
            found[kind, component.qualified_name] = component
        return list(found.values())

    def reference(self, path: Sequence[str | int]) -> ComponentReference:
        """Return the component that stands at ``path``."""
        return self.recipe.component(path)


def shipped() -> Path:
    """Return the folder of the recipes that come with zoo: in a checkout beside the packages, else in the package."""
    package = Path(__file__).parents[1]
    checkout = package.parent.parent
    # Only a checkout of zoo itself: an installed package may have any `configs` two folders up.
    if package.parent.name == "zoo" and (checkout / "pyproject.toml").is_file():
        return checkout / LOCAL
    return package / LOCAL


def recipe_names() -> list[str]:
    """Return the names of all recipes, those of ./configs first; files in folders below are bases, and left out."""
    names = [
        path.stem
        for folder in (LOCAL, shipped())
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if path.suffix in SUFFIXES and path.is_file()
    ]
    return list(dict.fromkeys(names))


def recipe_keys(cfg: str | None) -> list[tuple[str, ...]]:
    """Return the paths of all single values and lists of a recipe; by default of the base of those that ship.

    Raises:
        ZooError: there is no such recipe, or it is wrong.
    """
    from zoo_core.config import load  # noqa: PLC0415 - needs YAML

    document = load(find_recipe(cfg or shipped() / "base" / "embedding.yaml"), find=_candidates)
    return [
        tuple(map(str, path))
        for path in document.marks
        if path and not isinstance(document.get(path), dict) and not any(isinstance(key, int) for key in path)
    ]


def find_recipe(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the file of a recipe: a path as it is, a name from ./configs, else from the shipped ones.

    Raises:
        UsageError: there is none.
    """
    said = os.fspath(name_or_path)
    is_path = said.endswith(SUFFIXES) or os.sep in said or "/" in said
    candidates = [Path(said).expanduser()] if is_path else _candidates(said)
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise _not_found(said, candidates, is_path=is_path)


def about_recipe(path: Path) -> str:
    """Return the first comment of a recipe's file, which says in a line what it is for; else what it extends."""
    extends = ""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        text = line.strip()
        if text.startswith("#") and not text.startswith("# yaml-language-server:") and text.strip("# "):
            return text.strip("# ")
        if line.startswith("extends:"):
            extends = text.partition(" #")[0].replace(":", "", 1)
        elif text and not text.startswith("#") and extends:
            break
    return extends


def load_recipe(
    cfg: str | os.PathLike[str], overrides: Overrides = (), *, registry: Registry | None = None
) -> LoadedRecipe:
    """Load a recipe by name or path, with the environment's and the given overrides.

    Args:
        cfg: name or path.
        overrides: ``key=value``, or values by dotted key, stronger than all else.
        registry: when given, components, their options and the wiring are checked too.

    Raises:
        UsageError: there is no such recipe.
        RecipeError: it is wrong; all problems at once.
    """
    from zoo.recipes.licensing import without_inherited_license  # noqa: PLC0415 - needs YAML

    path = find_recipe(cfg)
    loaded = _loaded(path.stem, path, overrides, os.environ, registry)
    recipe, dropped = without_inherited_license(loaded.recipe, loaded.document, _candidates)
    return replace(loaded, recipe=recipe, notes=(*loaded.notes, *dropped))


def load_run_recipe(
    run: RunFolder,
    overrides: Overrides = (),
    *,
    registry: Registry | None = None,
    installed: Registry | None = None,
    strict: bool = False,
) -> LoadedRecipe:
    """Load the resolved recipe of a run: what was trained; the environment does not change it.

    Args:
        run: the run, or an artifact folder.
        overrides: as of `load_recipe`.
        registry: when given, components, their options and the wiring are checked too.
        installed: when given, the versions of plugins are compared with those that the run was trained with.
        strict: make other versions an error, in place of a warning.

    Raises:
        RecipeError: it is wrong; all problems at once.
        ComponentError: a plugin is not installed, or, with ``strict``, of another version.
    """
    from zoo.runs.distributions import changed_versions, require_plugins  # noqa: PLC0415 - completion wants names only

    if known := registry or installed:
        require_plugins(run, known)
    changed = changed_versions(run, installed) if installed else ()
    if strict and changed:
        raise ComponentError(changed[0].message).with_problems(changed)
    loaded = _loaded(run.name, run.recipe, overrides, {}, registry)
    return replace(loaded, warnings=(*loaded.warnings, *changed))


def _loaded(
    name: str, path: Path, overrides: Overrides, environment: Mapping[str, str], registry: Registry | None
) -> LoadedRecipe:
    # Completion only wants names.
    from zoo.recipes.renaming import ComponentOptions, renaming_notes, renaming_warnings  # noqa: PLC0415
    from zoo.recipes.schema import Recipe  # noqa: PLC0415
    from zoo_core.config import load, validate  # noqa: PLC0415

    options_of = ComponentOptions(registry)
    document = load(path, overrides, environment, find=_candidates, options_of=options_of.kept)
    local: list[Problem] = []
    if registry:
        from zoo.recipes.checking import check_recipe  # noqa: PLC0415 - needs what it checks

        local = check_recipe(document, registry)
    recipe = validate(Recipe, document)
    recipe, misnamed = _with_axes(recipe, document)
    warnings = (*misnamed, *renaming_warnings(document, options_of), *local)
    return LoadedRecipe(name, recipe, document, warnings, tuple(renaming_notes(document)))


def _with_axes(recipe: Recipe, document: Document) -> tuple[Recipe, list[Problem]]:
    """Take the one unknown name in ``onnx.dynamic_axes`` for the one output without axes, with a warning."""
    misnamed = recipe.onnx.misnamed_axes()
    if misnamed is None:
        return recipe, []
    written, meant = misnamed
    axes = {meant if name == written else name: names for name, names in recipe.onnx.dynamic_axes.items()}
    recipe = recipe.model_copy(update={"onnx": recipe.onnx.model_copy(update={"dynamic_axes": axes})})
    warning = Problem(
        f"{written!r} is neither an input nor an output; taken to mean {meant!r}, the one output without axes",
        document.locate(("onnx", "dynamic_axes", written)),
        f"call it {meant!r}",
    )
    return recipe, [warning]


def _candidates(name: str) -> list[Path]:
    """Return where a recipe (or a base such as ``base/embedding.yaml``) of that name may be, best first."""
    names = [name] if name.endswith(SUFFIXES) else [name + suffix for suffix in SUFFIXES]
    return [folder / file for folder in (LOCAL, shipped()) for file in names]


def _not_found(said: str, candidates: Sequence[Path], *, is_path: bool) -> UsageError:
    from zoo_core.config.suggestions import did_you_mean  # noqa: PLC0415 - only when something is wrong

    if Path(said).is_dir():
        return UsageError(
            f"{said} is a folder, not a recipe", hint="give the name of a recipe, or the path of its file"
        )
    tried = ", ".join(str(candidate) for candidate in candidates)
    hint = did_you_mean(Path(said).stem if is_path else said, recipe_names())
    if not is_path and any(Path(said + suffix).is_file() for suffix in SUFFIXES):
        hint = f"did you mean './{said}.yaml'?"
    message = f"{said}: no such recipe file" if is_path else f"there is no recipe {said!r} (looked for {tried})"
    return UsageError(message, hint=hint or "'zoo recipes' lists them")
