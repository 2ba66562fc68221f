"""Build a loss from the options of a recipe."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from zoo_margin import adaptive_margins, margins, row_optimizers
from zoo_margin.losses import MarginSoftmaxLoss, SparseMarginSoftmaxLoss
from zoo_margin.options import SoftmaxOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zoo_margin.margins import Margin
    from zoo_margin.options import TableOptions
    from zoo_margin.row_optimizers import RowOptimizer

# With more classes the softmax over all of them takes longer than a sampled one and learns no better.
MAX_DENSE_CLASSES = 65_536
DEFAULT_NEGATIVES = 8192

ROW_OPTIMIZERS: dict[str, Callable[..., RowOptimizer]] = {
    "adamw": row_optimizers.AdamW,
    "sgd": row_optimizers.SGD,
    "adagrad": row_optimizers.Adagrad,
}


def _loss_factory(margin: Callable[..., Margin]) -> Callable[..., MarginSoftmaxLoss | SparseMarginSoftmaxLoss]:
    """Return a factory of losses with ``margin``, which gets the options that the loss does not take."""

    def build_loss(
        *,
        embedding_dim: int,
        num_classes: int,
        classes: Sequence[str] | None = None,
        seed: int = 0,
        class_table: TableOptions,
        **options: Any,  # noqa: ANN401 - validated by the component's config
    ) -> MarginSoftmaxLoss | SparseMarginSoftmaxLoss:
        common = {name: options.pop(name) for name in SoftmaxOptions.model_fields if name in options}
        common |= {"embedding_dim": embedding_dim, "num_classes": num_classes, "seed": seed}
        sparse = _sparse_arguments(class_table, num_classes)
        if sparse is None:
            return MarginSoftmaxLoss(margin(**options), **common)
        return SparseMarginSoftmaxLoss(margin(**options), **common, **sparse, classes=classes)

    return build_loss


def _sparse_arguments(options: TableOptions, num_classes: int) -> dict[str, Any] | None:
    """Return the further arguments of a loss with a sparse table, or ``None`` for a dense one."""
    given = options.model_fields_set - {"mode"}
    if options.mode == "dense" or (options.mode == "auto" and not given and num_classes <= MAX_DENSE_CLASSES):
        return None
    negatives = options.negatives or (math.ceil(options.rate * num_classes) if options.rate else DEFAULT_NEGATIVES)
    row_optimizer = ROW_OPTIMIZERS[options.optimizer]
    return {
        "optimizer": row_optimizer(**options.optimizer_options.model_dump(exclude_unset=True)),
        "negatives": negatives,
        "log_q": options.log_q,
        "lr_factor": options.lr_factor,
    }


softmax = _loss_factory(margins.NoMargin)
cosface = _loss_factory(margins.CosFace)
arcface = _loss_factory(margins.ArcFace)
subcenter = arcface
combined = _loss_factory(margins.Combined)
elasticface = _loss_factory(margins.ElasticFace)
adaface = _loss_factory(adaptive_margins.AdaFace)
magface = _loss_factory(adaptive_margins.MagFace)
curricularface = _loss_factory(adaptive_margins.CurricularFace)
