"""A recipe's model at the start of its training: with the weights that ``init_from`` names, or with its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from zoo.training.init_from.source import find_source
from zoo.training.init_from.weights import fit, read_weights, take
from zoo_core.errors import Problem, RecipeError, RunError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.assembly import EmbeddingModel, RecipeBuilder
    from zoo.training.init_from.source import Fetch
    from zoo.training.init_from.weights import InitialWeights


def not_fetched(name: str) -> Path:
    """Refuse a name that is neither a path nor a run, where no Hub is asked.

    Raises:
        UsageError: always.
    """
    raise UsageError(f"there is no folder, file or run {name}")


def initial_model(builder: RecipeBuilder, fetch: Fetch = not_fetched) -> tuple[EmbeddingModel, InitialWeights | None]:
    """Build the model of a recipe, and load the weights that ``init_from`` names as far as they fit.

    Pretrained weights of the backbone are looked up only where something of it is left to them.

    Raises:
        RecipeError: there is no such model, or nothing of it fits.
        RemoteError: the Hub refuses, cannot be reached, or holds something else.
    """
    said = builder.recipe.init_from
    if said is None:
        return builder.model(initial_weights=True), None
    where = builder.loaded.document.locate(("init_from",))
    try:
        source = find_source(said, fetch)
        found = read_weights(source.file)
        generator = torch.get_rng_state()
        model = builder.model(initial_weights=False)
        initial = fit(model, found, source)
        if not initial.share:
            message = f"nothing in {source.file} fits this model: {'; '.join(initial.lines)}"
            hint = "name a model with this backbone or head; weights of timm go to model.backbone.options.pretrained"
            raise RecipeError([Problem(message, where, hint)])
        if not initial.whole("backbone"):
            # With the initial values that it has without ``init_from``.
            torch.set_rng_state(generator)
            model = builder.model(initial_weights=True)
        take(model, found, initial.taken)
    except (UsageError, RunError) as error:
        raise RecipeError([Problem(one.message, where, one.hint) for one in error.problems]) from error
    return model, initial
