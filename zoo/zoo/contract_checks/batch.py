"""One small batch of real samples through all that a recipe names, before anything is trained or written."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import nn

from zoo.contract_checks.networks import (
    Step,
    check_apart,
    check_backbone,
    check_gradients,
    check_head,
    check_loss,
    check_teacher,
)
from zoo.contract_checks.samples import check_augmentation, check_dataset, check_plain_samples
from zoo.contract_checks.subject import Subject, untouched_random_states
from zoo.models.torch_model import to_pixels
from zoo.recipes.schema import TEACHER
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from zoo.assembly import EmbeddingModel, RecipeBuilder
    from zoo_core.components import Kind
    from zoo_core.contracts import Augmentation, Dataset, Sample, StreamingDataset, Teacher

# BatchNorm wants two or more, and a loss two classes; more only takes longer.
_IMAGES = 4
# The loss is built anew, for no more classes than this: its class table need not be paid for twice.
_CLASSES = 1024


@dataclass(frozen=True)
class FirstBatch:
    """What was checked.

    Attributes:
        components: each component by its place in the recipe, such as ``data.train``.
        images: how many samples went through.
        loss: of them, before the first step.
        warnings: what does not break the contract and is most likely a mistake, a line each.
    """

    components: dict[str, str]
    images: int
    loss: float
    warnings: tuple[str, ...]


class FirstBatchCheck:
    """Runs one batch through what ``builder`` has built from a recipe."""

    def __init__(self, builder: RecipeBuilder) -> None:
        self.builder = builder
        self.components: dict[str, str] = {}

    def data(self, train: Sequence[Dataset | StreamingDataset], valid: Dataset) -> list[Sample]:
        """Check samples of each data set; return some of the first, to train on.

        Raises:
            ComponentError: a data set does not keep what it promises; names the component, its distribution and
                version, the line of the recipe, what was promised and what came.
            RunError: no sample can be read.
        """
        seed, size = self.builder.recipe.seed, self.builder.recipe.data.image_size
        with untouched_random_states():
            subject = self._subject("dataset", "data", "valid")
            check_dataset(subject, valid, 1, seed=seed)
            check_plain_samples(subject, valid, size)
            for number, dataset in enumerate(train[1:]):
                check_dataset(self._subject("dataset", "data", "train_also", number), dataset, 1, seed=seed)
            subject = self._subject("dataset", "data", "train")
            samples = check_dataset(subject, train[0], _IMAGES, seed=seed)
        if not samples:
            raise RunError(f"{subject.component}: none of the samples that were tried can be read")
        # Of a data set with one readable sample too: statistics of a batch need two.
        return (samples * _IMAGES)[:_IMAGES]

    def run(
        self,
        samples: Sequence[Sample],
        classes: Sequence[str],
        augmentation: Augmentation,
        model: EmbeddingModel,
        teacher: Teacher | None,
    ) -> FirstBatch:
        """Augment ``samples``, of a data set with ``classes``, and make one step with them on copies.

        Nothing that was given is changed, nor any global random state.

        Raises:
            ComponentError: as `data`, of all other components.
        """
        size = self.builder.recipe.data.image_size
        with untouched_random_states():
            subject = self._subject("augmentation", "data", "augmentation")
            images = check_augmentation(subject, augmentation, samples, size, seed=self.builder.recipe.seed)
            pixels = to_pixels(torch.from_numpy(np.stack(images)), torch.float32)
            labels = torch.tensor([sample.label for sample in samples])
            value, warnings = self._step(copy.deepcopy(model), pixels, labels, classes)
            if teacher is not None:
                pixels = nn.functional.interpolate(pixels[:2], size=teacher.image_size)
                check_teacher(self._subject("teacher", *TEACHER), cast("nn.Module", teacher), pixels)
        return FirstBatch(self.components, len(samples), value, tuple(warnings))

    def _step(
        self, model: EmbeddingModel, pixels: Tensor, labels: Tensor, classes: Sequence[str]
    ) -> tuple[float, list[str]]:
        """Run a copy of the model in evaluation and in training mode, and one backward pass."""
        backbone, head = self._subject("backbone", "model", "backbone"), self._subject("head", "model", "head")
        with torch.inference_mode():
            model.eval()
            features = check_backbone(backbone, model.backbone, pixels)
            embeddings = check_head(head, model.head, features)
            alone = check_backbone(backbone, model.backbone, pixels[:1])
            check_apart(backbone, "the features", features, alone)
            check_apart(head, "the embeddings", [embeddings], [check_head(head, model.head, alone)])
        model.train()
        features = check_backbone(backbone, model.backbone, pixels)
        trained = check_head(head, model.head, features)
        names = [classes[number] for number in range(min(len(classes), _CLASSES))]
        loss = self.builder.loss(embedding_dim=model.embedding_dim, classes=names)
        subject = self._subject("loss", "model", "loss")
        value = check_loss(subject, loss.train(), trained, labels % len(names))
        steps = [Step(subject, loss, [trained]), Step(head, model.head, features), Step(backbone, model.backbone, [])]
        return float(value.detach()), check_gradients(value, steps)

    def _subject(self, kind: Kind, *path: str | int) -> Subject:
        component = self.builder.registry.find(kind, self.builder.loaded.reference(path).name)
        self.components[".".join(map(str, path))] = str(component)
        return Subject(component, self.builder.loaded.document.locate(path))
