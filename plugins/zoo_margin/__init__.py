"""Margin softmax losses for any number of classes, which work in any training loop.

Import them from here: ``from zoo_margin import CosFace, MarginSoftmaxLoss``. Names are imported on first access, so
that the manifest of the plugin does not import torch.
"""

from __future__ import annotations

from importlib import import_module

# The public names, by the module that defines them.
_PUBLIC = {
    "losses": ("MarginSoftmaxLoss", "SparseMarginSoftmaxLoss"),
    "margins": ("ArcFace", "Combined", "CosFace", "ElasticFace", "Margin", "NoMargin"),
    "adaptive_margins": ("AdaFace", "CurricularFace", "MagFace"),
    "row_optimizers": ("SGD", "Adagrad", "AdamW", "RowOptimizer"),
    "sparse_table": ("SparseTable",),
    "contrastive_loss": ("supervised_contrast",),
}
__all__ = [name for names in _PUBLIC.values() for name in names]


def __getattr__(name: str) -> object:
    for module, names in _PUBLIC.items():
        if name in names:
            return getattr(import_module(f"zoo_margin.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
