"""The losses: over a whole class table, or over a sample of one that scales."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import torch
from torch import Tensor, nn

from zoo_margin import checkpoint, collectives
from zoo_margin.class_names import ClassNames
from zoo_margin.margin_softmax import MarginSoftmax, MarginSoftmaxArguments
from zoo_margin.sampling import INITIAL_STD, initial_rows
from zoo_margin.selection import Selection
from zoo_margin.sparse_table import SparseTable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zoo_margin.margins import Margin
    from zoo_margin.row_optimizers import RowOptimizer


class MarginSoftmaxLoss(MarginSoftmax):
    """Cross entropy of a softmax over scaled cosines, the own class's lessened by a margin.

    ``-log softmax(s * [cos_1, ..., margin(cos_label), ..., cos_C])[label]``, mean over the batch. Embeddings and rows
    of the class table are normalised here. Works in float32 (float64 stays) whatever autocast says. All classes take
    part in each step, and the table is one parameter, which torch's optimizers move.

    Args:
        margin: what happens to the own class's cosine.
        embedding_dim: length D of an embedding.
        num_classes: rows C of the class table.
        s: scale of the cosines.
        warmup: share of the run, 0..1, before whose end scale and margin are not the full ones; 0 for no warm-up.
        initial_s: scale at the start of the warm-up; default: the least at which a softmax over C cosines can grow
            sure of its class, ``sqrt(2) ln(C - 1)`` (AdaCos, Zhang et al. 2019, arXiv:1905.00292, equation 12).
        contrast: weight of ``supervised_contrast`` within the batch, added to the softmax's loss. The class table of
            many classes is random for long, and what it says of an image is noise; the other captures of the image
            in the batch tell from the first step on. Needs batches with several images of a class: the recipe's
            ``data.captures: 2``.
        contrast_s: scale of the cosines there.
        centers: directions a class has, of which the nearest counts (sub-centers: Deng et al. 2020, ECCV).
        seed: of the table's first values.

    Under a large scale and margin a network without pretrained weights learns nothing: it is pushed to make all
    embeddings alike, long before it can tell them apart. So the scale grows geometrically from ``initial_s`` to
    ``s``, and the margin linearly from none, only as fast as the network learns: by the running mean of the own
    class's cosine, which is about 0 at first and ends the warm-up at 0.6, and no faster than ``warmup`` says.

    Until ``set_progress`` is called, scale and margin are the full ones: a training loop that knows nothing of
    the warm-up gets the plain loss.

    Attributes:
        weight: the class table, ``float32 [C, centers * D]``, rows not normalised.
        own_cosine: the running mean, a scalar.
    """

    def __init__(
        self,
        margin: Margin,
        *,
        seed: int = 0,
        **others: Unpack[MarginSoftmaxArguments],
    ) -> None:
        super().__init__(margin, **others)
        self.weight = nn.Parameter(initial_rows(0, self.num_classes, self.width, seed=seed, std=INITIAL_STD))

    @property
    def class_table_summary(self) -> str:
        """The table and the memory it takes, in a few words."""
        return (
            f"{self.num_classes:,} rows of {self.weight.shape[1]}, all in every step, {_size(self.weight.nbytes)}, "
            "and as much for the gradient and for each moment of the optimizer"
        )

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of ``embeddings [N, D]`` with ``labels int64 [N]`` in 0..C-1.

        Raises:
            RunError: a label is out of range. Looked for on the CPU only; elsewhere looking would wait for the
                device in every step, and the device's own kernels stop at such a label.
            ValueError: the labels are no whole numbers, or not as many as the embeddings.
        """
        labels = self.checked(embeddings, labels)
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings = embeddings.to(torch.promote_types(self.weight.dtype, torch.float32))
            selection = Selection(self.weight, self.weight.index_select(0, labels), labels, None)
            return self.loss_over(embeddings, labels, selection, together=False)


class SparseMarginSoftmaxLoss(MarginSoftmax):
    """The same over a sample of the classes, whose table no optimizer sees: for more classes than a step can read.

    A step takes the classes of its batch and ``negatives`` others, which chance chooses by (seed, optimizer step),
    and reads, gives gradients to and moves only the rows of these. Where there is a process group each rank keeps a
    share of the classes, and the batch is that of all ranks. A training loop has one line more::

        loss = SparseMarginSoftmaxLoss(CosFace(0.4), embedding_dim=128, num_classes=1_000_000,
                                       optimizer=AdamW(), negatives=8192)
        ...
        loss(network(images), labels).backward()
        optimizer.step()
        loss.apply_gradients(learning_rate=1e-3)

    Args:
        margin: what happens to the own class's cosine.
        optimizer: what moves the rows, of ``zoo_margin.row_optimizers``.
        negatives: how many classes to sample, of all ranks together.
        log_q: correct the logits for the sampling, as ``SparseTable`` says.
        lr_factor: what to multiply the learning rate with that ``apply_gradients`` is told.
        classes: the classes' names, by which saved rows find their classes; default: their numbers.
        seed: of the table's first values and the sampling.
        embedding_dim, num_classes, s, warmup, initial_s, contrast, contrast_s, centers: as for ``MarginSoftmaxLoss``.

    Attributes:
        table: the class table.
        own_cosine: the running mean of the own class's cosine, a scalar.
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
        **others: Unpack[MarginSoftmaxArguments],
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
        """Return the mean loss of all ranks' ``embeddings [N, D]`` with ``labels int64 [N]`` in 0..C-1.

        Raises:
            RunError: a label is out of range.
            ValueError: the labels are no whole numbers, or not as many as the embeddings.
        """
        labels = self.checked(embeddings, labels, always=True)
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
            embeddings, labels = collectives.all_gather_batch(embeddings, labels)
            return self.loss_over(embeddings, labels, self.table.select(labels), together=True)

    def apply_gradients(self, learning_rate: float, scale: float = 1.0) -> bool:
        """Move the rows, once for each step of the network's optimizer; as ``SparseTable.apply_gradients`` says."""
        return self.table.apply_gradients(learning_rate * self.lr_factor, scale)

    def drop_gradients(self) -> None:
        """Forget the gradients, where the network's optimizer skips its step."""
        self.table.drop_gradients()

    def save_class_table(self, folder: Path) -> None:
        """Write rows and state of all ranks to the new ``folder``, whole or not at all; to be called on all ranks.

        Raises:
            RunError: it cannot be written.
        """
        checkpoint.save(self.table, self.names, folder)

    def load_class_table(self, folder: Path) -> str:
        """Read what ``save_class_table`` wrote, on any number of ranks, and say what became of the classes.

        Raises:
            RunError: it cannot be read, is not whole, or is of another table.
        """
        return checkpoint.load(self.table, self.names, folder)

    @property
    def class_table_summary(self) -> str:
        """The table and the memory it takes, in a few words."""
        table = self.table
        return (
            f"{table.num_classes:,} rows of {table.width}, {table.negatives:,} sampled a step, "
            f"{type(table.optimizer).__name__} by row, {_size(table.nbytes)}"
        )


def _size(count: int) -> str:
    """Return so many bytes in words."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"  # noqa: PLR2004 - a gigabyte
