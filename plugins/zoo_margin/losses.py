"""The losses: a margin softmax over a dense class table, or over a sample of a sparse one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import torch
from torch import Tensor, nn

from zoo_margin import checkpoint, collectives
from zoo_margin.base_loss import BaseLossArguments, BaseMarginSoftmaxLoss, check_labels
from zoo_margin.class_names import ClassNames
from zoo_margin.sampling import INITIAL_STD, initial_rows
from zoo_margin.selection import Selection
from zoo_margin.sparse_table import SparseTable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zoo_margin.margins import Margin
    from zoo_margin.row_optimizers import RowOptimizer


class MarginSoftmaxLoss(BaseMarginSoftmaxLoss):
    """Cross entropy of a softmax over scaled cosines, where a margin lowers the cosine with the own class.

    ``-log softmax(s * [cos_1, ..., margin(cos_label), ..., cos_C])[label]``, mean over the batch. Embeddings and rows
    of the class table are normalised here. Computes in float32 (float64 stays), also under autocast. All classes are
    in each step, and the table is one parameter, which torch's optimizers update.

    Args:
        margin: applied to the cosine with the own class.
        embedding_dim: length D of an embedding.
        num_classes: number of rows C of the class table.
        s: scale of the cosines.
        warmup: fraction of the training, 0..1, that the warm-up of scale and margin takes at least; 0 for no warm-up.
        initial_s: scale at the start of the warm-up; default: ``sqrt(2) ln(C - 1)``, the smallest at which a softmax
            over C cosines can become certain of its class (AdaCos, Zhang et al. 2019, arXiv:1905.00292, equation 12).
        contrast: weight of ``supervised_contrast`` within the batch, added to the loss. With many classes the class
            table stays random for long, and its gradients are noise; the other captures of an image in the batch are
            informative from the first step on. Needs batches with several images of a class: ``data.captures: 2`` in
            the recipe.
        contrast_s: scale of the cosines there.
        centers: number of directions of a class, of which the nearest counts (sub-centers: Deng et al. 2020, ECCV).
        seed: of the initial values of the table.

    With a large scale and margin a network without pretrained weights learns nothing: it is pushed to make all
    embeddings equal, long before it can tell them apart. Therefore the scale grows geometrically from ``initial_s`` to
    ``s``, and the margin linearly from none, only as fast as the network learns. The measure is the running mean of the
    cosine with the own class, which is about 0 at first and completes the warm-up at 0.6; ``warmup`` limits the speed.

    Until ``set_progress`` is called there is no warm-up: a training loop that does not support it gets the plain loss.

    Attributes:
        weight: the class table, ``float32 [C, centers * D]``, rows not normalised.
        own_cosine: running mean of the cosine with the own class, a scalar.
    """

    def __init__(
        self,
        margin: Margin,
        *,
        seed: int = 0,
        **others: Unpack[BaseLossArguments],
    ) -> None:
        super().__init__(margin, **others)
        self.weight = nn.Parameter(initial_rows(0, self.num_classes, self.width, seed=seed, std=INITIAL_STD))

    @property
    def class_table_summary(self) -> str:
        """The rows of the class table and the memory they take, in a few words."""
        size = _format_size(self.weight.nbytes)
        return (
            f"{self.num_classes:,} rows of {self.weight.shape[1]}, all in every step, {size}, "
            "and as much for the gradient and for each moment of the optimizer"
        )

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of ``embeddings [N, D]`` with ``labels int64 [N]`` in 0..C-1.

        Raises:
            RunError: a label is out of range. Checked on the CPU only: on another device the check would wait for it
                in every step, and its own kernels stop at such a label.
            ValueError: the labels are not integers, or not one for each embedding.
        """
        labels = check_labels(embeddings, labels, self.num_classes)
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings = embeddings.to(torch.promote_types(self.weight.dtype, torch.float32))
            selection = Selection(self.weight, self.weight.index_select(0, labels), labels, None)
            return self.loss_over(embeddings, labels, selection, sharded=False)


class SparseMarginSoftmaxLoss(BaseMarginSoftmaxLoss):
    """The same over a sample of the classes, whose table no optimizer sees: for more classes than a step can read.

    A step takes the classes of its batch and ``negatives`` others, sampled at random by (seed, optimizer step), and
    reads and updates only their rows. With a process group the rows are sharded over the ranks, and the batch is that
    of all ranks. A training loop has one more line::

        loss = SparseMarginSoftmaxLoss(CosFace(0.4), embedding_dim=128, num_classes=1_000_000,
                                       optimizer=AdamW(), negatives=8192)
        ...
        loss(network(images), labels).backward()
        optimizer.step()
        loss.apply_gradients(learning_rate=1e-3)

    Args:
        margin: applied to the cosine with the own class.
        optimizer: updates the rows; one of ``zoo_margin.row_optimizers``.
        negatives: how many classes to sample, on all ranks together.
        log_q: correct the logits for the sampling, see ``SparseTable``.
        lr_factor: multiplies the learning rate that ``apply_gradients`` is given.
        classes: names of the classes, by which saved rows find their classes; default: their indices.
        seed: of the initial values of the table and of the sampling.
        embedding_dim, num_classes, s, warmup, initial_s, contrast, contrast_s, centers: as for ``MarginSoftmaxLoss``.

    Attributes:
        table: the class table.
        own_cosine: running mean of the cosine with the own class, a scalar.
    """

    def __init__(
        self,
        margin: Margin,
        *,
        optimizer: RowOptimizer,
        negatives: int,
        log_q: bool = False,
        lr_factor: float = 1.0,
        classes: Sequence[str] | None = None,
        seed: int = 0,
        **others: Unpack[BaseLossArguments],
    ) -> None:
        super().__init__(margin, **others)
        self.lr_factor = lr_factor
        self.names = ClassNames(classes, self.num_classes)
        self.table = SparseTable(
            self.num_classes,
            self.width,
            optimizer=optimizer,
            negatives=negatives,
            log_q=log_q,
            seed=seed,
            centers=self.centers,
        )

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of the ``embeddings [N, D]`` of all ranks with ``labels int64 [N]`` in 0..C-1.

        Raises:
            RunError: a label is out of range.
            ValueError: the labels are not integers, or not one for each embedding.
        """
        labels = check_labels(embeddings, labels, self.num_classes, wait_for_device=True)
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
            embeddings, labels = collectives.all_gather_batch(embeddings, labels)
            return self.loss_over(embeddings, labels, self.table.select(labels), sharded=True)

    def apply_gradients(self, learning_rate: float, scale: float = 1.0) -> bool:
        """Update the rows, once for each step of the network's optimizer; see ``SparseTable.apply_gradients``."""
        return self.table.apply_gradients(learning_rate * self.lr_factor, scale)

    def drop_gradients(self) -> None:
        """Drop the gradients, where the network's optimizer skips its step."""
        self.table.drop_gradients()

    def save_class_table(self, folder: Path) -> None:
        """Write rows and state of all ranks to the new ``folder``, completely or not at all; call it on all ranks.

        Raises:
            RunError: the folder cannot be written.
        """
        checkpoint.save(self.table, self.names, folder, self.own_cosine.device)

    def load_class_table(self, folder: Path) -> str:
        """Read what ``save_class_table`` wrote, with any number of ranks, and return what became of the classes.

        Raises:
            RunError: the folder cannot be read, is incomplete, or holds a different table.
        """
        return checkpoint.load(self.table, self.names, folder, self.own_cosine.device)

    @property
    def class_table_summary(self) -> str:
        """The rows of the class table and the memory they take, in a few words."""
        table = self.table
        return (
            f"{table.num_classes:,} rows of {table.width}, {table.negatives:,} sampled a step, "
            f"{type(table.optimizer).__name__} by row, {_format_size(table.nbytes)}"
        )


def _format_size(count: int) -> str:
    """Return a number of bytes as text, in MB or GB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"  # noqa: PLR2004 - a gigabyte
