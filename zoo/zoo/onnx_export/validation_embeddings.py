"""The recipe's validation data, embedded by the graph in each precision."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from torch.utils.data import DataLoader

from zoo.validation.batch import collate
from zoo.validation.dataset import UNREADABLE_LABEL
from zoo.validation.embedded_images import EmbeddedImages
from zoo.validation.look_alikes import look_alikes_of
from zoo.workers import loader_processes, start_worker
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    from torch.utils.data import Dataset

    from zoo.assembly import RecipeBuilder
    from zoo.models.model import Model
    from zoo.validation.batch import ValidationBatch


def embed_validation(
    models: Mapping[str, Model], builder: RecipeBuilder
) -> tuple[dict[str, EmbeddedImages], dict[str, str]]:
    """Embed the recipe's validation data by each of ``models``, as ``zoo predict`` does.

    Returns:
        The embeddings by model, and of models that fail on an image, why.

    Raises:
        ComponentError, RecipeError: the data set cannot be built.
        RunError: none of its samples can be read.
    """
    options, items = builder.recipe.data.loader, builder.validation_items()
    loader: DataLoader[Any] = DataLoader(
        cast("Dataset[Any]", items),
        batch_size=options.batch_size,
        num_workers=loader_processes(options.num_workers),
        collate_fn=collate,
        worker_init_fn=start_worker,
    )
    rows: dict[str, list[npt.NDArray[np.float32]]] = defaultdict(list)
    columns: list[tuple[npt.NDArray[Any], ...]] = []
    failed: dict[str, str] = {}
    for one in loader:
        batch = cast("ValidationBatch", one)
        readable = batch["labels"].numpy() != UNREADABLE_LABEL
        found = (batch["labels"], batch["plain"], batch["positions"], batch["digests"])
        columns.append(tuple(column.numpy()[readable] for column in found))
        images = list(batch["images"].numpy()[readable])
        for name, model in models.items():
            if name in failed:
                continue
            try:
                rows[name].append(model.embed(images))
            except RunError as error:
                failed[name] = str(error)
    whole = [np.concatenate(column) for column in zip(*columns, strict=True)]
    if not len(whole[0]):
        raise RunError("no sample of the validation data can be read", hint="'zoo data check' shows why")
    alike = look_alikes_of(items.dataset)
    embedded = {
        name: EmbeddedImages.of(np.concatenate(rows[name]), *whole, look_alikes=alike)
        for name in models
        if name not in failed
    }
    return embedded, failed
