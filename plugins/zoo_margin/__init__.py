"""Losses with a margin over a table of classes, of any number: they work in any training loop.

``from zoo_margin import CosFace, MarginSoftmaxLoss`` and so on; a name is imported when it is asked for, so that the
plugin's manifest stays light.
"""

from __future__ import annotations

from importlib import import_module

_HOMES = {
    "losses": ("MarginSoftmaxLoss", "SparseMarginSoftmaxLoss"),
    "margins": ("ArcFace", "Combined", "CosFace", "ElasticFace", "Margin", "NoMargin"),
    "adaptive_margins": ("AdaFace", "CurricularFace", "MagFace"),
    "row_optimizers": ("SGD", "Adagrad", "AdamW", "RowOptimizer"),
    "sparse_table": ("SparseTable",),
    "contrastive_loss": ("supervised_contrast",),
}
__all__ = [name for names in _HOMES.values() for name in names]


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"zoo_margin.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
