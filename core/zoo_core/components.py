"""What a plugin says about its components, without importing them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "backbone",
    "head",
    "loss",
    "dataset",
    "augmentation",
    "export_wrapper",
    "teacher",
    "optimizer",
    "lr_scheduler",
    "callback",
    "logger",
    "metric",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

# What zoo itself passes to a factory of each kind, when the factory's signature has a parameter of that name.
# A recipe never has to say these; where it does and disagrees with the wiring, that is an error.
WIRED: dict[Kind, tuple[str, ...]] = {
    "backbone": ("image_size",),
    "head": ("feature_levels", "image_size"),
    "loss": ("embedding_dim", "num_classes", "classes", "seed"),
    "dataset": ("seed",),
    "augmentation": ("image_size",),
    "export_wrapper": ("model", "image_size"),
    "teacher": (),
    "optimizer": ("params",),
    "lr_scheduler": ("optimizer",),
    "callback": (),
    "logger": (),
    "metric": (),
}
# Of these a factory may take ``**options``, which go to a library: they cannot be checked, and are passed on.
OPEN: frozenset[Kind] = frozenset({"callback", "logger"})


@dataclass(frozen=True)
class OptionProblem:
    """What is wrong with an option of a component, in one line, and what to do.

    With ``is_local`` it is wrong on this machine, such as a file that is not there: a warning, until it is built.
    """

    option: str
    message: str
    hint: str | None = None
    is_local: bool = False


@dataclass(frozen=True)
class ComponentSpec:
    """One component: ``factory`` and ``config`` are ``"module:attribute"`` strings, loaded only when used.

    ``config`` names a pydantic model that validates the options; without one the factory's signature does. ``check``
    names a function ``(name, options) -> Iterable[OptionProblem]`` that finds in a moment, and without building, what
    neither of them can: a recipe's check calls it with the valid options that the recipe sets. ``restoring`` are
    options and the values that they have while weights are restored: what only matters for initial weights, which are
    then neither looked up nor downloaded.
    """

    kind: Kind
    name: str
    factory: str
    summary: str
    config: str | None = None
    license: str | None = None
    tags: tuple[str, ...] = ()
    check: str | None = None
    restoring: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class ComponentFamily:
    """Many components behind one factory, such as every timm model.

    ``names`` is a ``"module:attribute"`` of a callable without arguments that returns all names; ``pattern`` is a
    glob a name must match. The factory gets the component's name as its first positional argument, and builds the
    component; with ``resolves`` it gets nothing else, and returns the factory of that name, such as a class, whose own
    parameters are the options.
    """

    kind: Kind
    pattern: str
    names: str
    factory: str
    summary: str
    config: str | None = None
    license: str | None = None
    tags: tuple[str, ...] = ()
    check: str | None = None
    restoring: tuple[tuple[str, object], ...] = ()
    resolves: bool = False
