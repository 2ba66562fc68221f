"""What is tested of backbones, heads, losses, teachers and export wrappers."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from zoo.assembly import EmbeddingModel
from zoo.contract_checks.networks import (
    Step,
    check_apart,
    check_backbone,
    check_gradients,
    check_head,
    check_loss,
    check_teacher,
)
from zoo_core.capabilities import FollowsProgress, OwnsClassTable
from zoo_core.contracts import FeatureLevel, Preprocessing
from zoo_testing.component import ComponentSuite

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from zoo.contract_checks.subject import Subject
    from zoo_core.components import Kind
    from zoo_core.registry import Registry


def _images(size: tuple[int, int], count: int = 4) -> Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0))


def _restored(module: nn.Module, other: nn.Module) -> nn.Module:
    """Return ``other`` with the weights of ``module``, as they come out of a file."""
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    return other.eval()


class BackboneSuite(ComponentSuite):
    """Tests of a backbone.

    Attributes:
        image_size: height and width of the images, which it must take.
    """

    kind: Kind = "backbone"
    image_size: tuple[int, int] = (64, 96)

    def wiring(self) -> dict[str, Any]:
        """Return height and width of the images."""
        return {"image_size": self.image_size, **self.wired}

    def test_features_fit_what_is_declared(self, registry: Registry, subject: Subject) -> None:
        """Each feature level has the declared channels and stride, in training and in evaluation, and is finite."""
        backbone = self.make(registry)
        assert isinstance(backbone.preprocessing, Preprocessing)
        for training in (True, False):
            check_backbone(subject, backbone.train(training), _images(self.image_size))

    def test_each_image_is_alone_in_evaluation(self, registry: Registry, subject: Subject) -> None:
        """In evaluation mode the features of an image do not depend on the others in its batch."""
        backbone, images = self.make(registry).eval(), _images(self.image_size)
        with torch.inference_mode():
            together, alone = (check_backbone(subject, backbone, some) for some in (images, images[:1]))
        check_apart(subject, "the features", together, alone)

    def test_gradients_reach_all_parameters(self, registry: Registry, subject: Subject) -> None:
        """A backward pass from all feature levels gives each parameter a finite gradient."""
        backbone = self.make(registry).train()
        features = check_backbone(subject, backbone, _images(self.image_size))
        value = torch.stack([level.square().mean() for level in features]).sum()
        lines = check_gradients(value, [Step(subject, backbone, [])])
        assert not lines, "\n".join(lines)

    def test_weights_are_restored(self, registry: Registry) -> None:
        """A second backbone with the weights of the first gives the same features."""
        first, images = self.make(registry).eval(), _images(self.image_size)
        second = _restored(first, self.make(registry))
        with torch.inference_mode():
            pairs = zip(first(images), second(images), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)


class HeadSuite(ComponentSuite):
    """Tests of a head.

    Attributes:
        feature_levels: what the backbone before it declares.
        image_size: height and width of the images.
    """

    kind: Kind = "head"
    feature_levels: tuple[FeatureLevel, ...] = (FeatureLevel(16, 16), FeatureLevel(24, 32))
    image_size: tuple[int, int] = (64, 96)

    def wiring(self) -> dict[str, Any]:
        """Return feature levels, and height and width of the images."""
        return {"feature_levels": self.feature_levels, "image_size": self.image_size, **self.wired}

    def features(self) -> list[Tensor]:
        """Return random features of four images, with gradients."""
        generator, (height, width) = torch.Generator().manual_seed(0), self.image_size
        return [
            torch.randn(
                4, level.channels, -(-height // level.stride), -(-width // level.stride), generator=generator
            ).requires_grad_()
            for level in self.feature_levels
        ]

    def test_embeddings_fit_what_is_declared(self, registry: Registry, subject: Subject) -> None:
        """Embeddings are [N, embedding_dim] and finite, in training and in evaluation."""
        head = self.make(registry)
        for training in (True, False):
            check_head(subject, head.train(training), self.features())

    def test_each_image_is_alone_in_evaluation(self, registry: Registry, subject: Subject) -> None:
        """In evaluation mode the embedding of an image does not depend on the others in its batch."""
        head, features = self.make(registry).eval(), self.features()
        with torch.inference_mode():
            together = check_head(subject, head, features)
            alone = check_head(subject, head, [level[:1] for level in features])
        check_apart(subject, "the embeddings", [together], [alone])

    def test_gradients_reach_all_parameters(self, registry: Registry, subject: Subject) -> None:
        """A backward pass gives each parameter a finite gradient."""
        head, features = self.make(registry).train(), self.features()
        value = check_head(subject, head, features).square().mean()
        lines = check_gradients(value, [Step(subject, head, features)])
        assert not lines, "\n".join(lines)

    def test_weights_are_restored(self, registry: Registry) -> None:
        """A second head with the weights of the first gives the same embeddings."""
        first, features = self.make(registry).eval(), self.features()
        second = _restored(first, self.make(registry))
        assert torch.equal(first(features), second(features))


class LossSuite(ComponentSuite):
    """Tests of a loss.

    Attributes:
        embedding_dim: length of an embedding.
        classes: how many classes there are.
    """

    kind: Kind = "loss"
    embedding_dim: int = 16
    classes: int = 10

    def wiring(self) -> dict[str, Any]:
        """Return the length of an embedding, the classes and the seed."""
        names = [f"class {number}" for number in range(self.classes)]
        return {
            "embedding_dim": self.embedding_dim, "num_classes": self.classes, "classes": names, "seed": 0, **self.wired,
        }  # fmt: skip

    def batch(self) -> tuple[Tensor, Tensor]:
        """Return embeddings, with gradients, and labels of eight images, two of each of four classes."""
        generator = torch.Generator().manual_seed(0)
        embeddings = torch.randn(8, self.embedding_dim, generator=generator).requires_grad_()
        return embeddings, torch.tensor(
            [0, 0, 1, 1, self.classes - 2, self.classes - 2, self.classes - 1, self.classes - 1]
        )

    def test_it_is_a_finite_scalar_with_gradients(self, registry: Registry, subject: Subject) -> None:
        """The loss is a finite scalar; embeddings and the loss's own parameters get finite gradients."""
        loss, (embeddings, labels) = self.make(registry).train(), self.batch()
        value = check_loss(subject, loss, embeddings, labels)
        lines = check_gradients(value, [Step(subject, loss, [embeddings])])
        assert not lines, "\n".join(lines)
        assert embeddings.grad is not None
        assert embeddings.grad.abs().sum() > 0, "its gradient moves no embedding"

    @pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
    def test_it_stays_finite_for_all_of_a_training(self, registry: Registry, subject: Subject, progress: float) -> None:
        """Scale and margin at any progress, embeddings of any length, equal ones and zero, give finite values."""
        loss = self.make(registry).train()
        if isinstance(loss, FollowsProgress):
            loss.set_progress(progress)
        embeddings, labels = self.batch()
        for factor in (1e-6, 1.0, 1e4):
            scaled = (embeddings.detach() * factor).requires_grad_()
            check_gradients(loss(scaled, labels), [Step(subject, loss, [scaled])])
        same = embeddings.detach()[:1].expand_as(embeddings).clone().requires_grad_()
        check_gradients(loss(same, labels), [Step(subject, loss, [same])])

    def test_a_few_steps_lower_it(self, registry: Registry) -> None:
        """Ten steps along its own gradient bring the embeddings' loss down."""
        loss, (embeddings, labels) = self.make(registry).train(), self.batch()
        if isinstance(loss, FollowsProgress):
            loss.set_progress(0.0)
        values = []
        for _ in range(10):
            value = loss(embeddings, labels)
            [gradient] = torch.autograd.grad(value, embeddings)
            if isinstance(loss, OwnsClassTable):
                loss.drop_gradients()
            values.append(float(value.detach()))
            length = gradient.norm().clamp(min=1e-12)
            embeddings = (embeddings - 0.5 * gradient / length).detach().requires_grad_()
        assert values[-1] < values[0], f"the loss went from {values[0]:.4g} to {values[-1]:.4g}"


class TeacherSuite(ComponentSuite):
    """Tests of a teacher."""

    kind: Kind = "teacher"

    def test_features_fit_the_contract(self, registry: Registry, subject: Subject) -> None:
        """Features are finite [N, D], and those of an image do not depend on the others in its batch."""
        teacher = self.make(registry)
        images = _images(teacher.image_size)
        check_teacher(subject, teacher, images)
        with torch.inference_mode():
            check_apart(subject, "the features", [teacher(images)], [teacher(images[:1])])


class _Model(nn.Module):
    """A small model to wrap."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_levels = (FeatureLevel(8, 8),)
        self.preprocessing = Preprocessing((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
        self.convolution = nn.Conv2d(3, 8, 8, stride=8)

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.convolution((images - 0.5) / 0.25)]


class _Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding_dim = 12
        self.linear = nn.Linear(8 * 4 * 4, 12)

    def forward(self, features: list[Tensor]) -> Tensor:
        embeddings: Tensor = self.linear(features[0].flatten(1))
        return embeddings


class ExportWrapperSuite(ComponentSuite):
    """Tests of an export wrapper around a small model of images of 32x32 pixels.

    Attributes:
        pixels: what the graph's input is: ``"float32 NCHW"`` in 0..1, or ``"uint8 NHWC"``.
    """

    kind: Kind = "export_wrapper"
    pixels: str = "float32 NCHW"

    def model(self) -> EmbeddingModel:
        """Return the model that is wrapped."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return EmbeddingModel(_Model(), _Head()).eval()

    def wiring(self) -> dict[str, Any]:
        """Return the model, and height and width of its images."""
        return {"model": self.model(), "image_size": (32, 32), **self.wired}

    def test_the_first_output_is_the_models_embedding(self, registry: Registry) -> None:
        """Its first output has the direction of the model's embedding, for each image of a batch."""
        images = torch.randint(0, 256, (3, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        given = images.permute(0, 2, 3, 1) if self.pixels == "uint8 NHWC" else images.float() / 255
        with torch.inference_mode():
            returned = self.make(registry).eval()(given)
            wanted = nn.functional.normalize(self.model()(images.float() / 255))
        first = returned if isinstance(returned, torch.Tensor) else returned[0]
        assert first.shape == wanted.shape
        cosines = (nn.functional.normalize(first.float()) * wanted).sum(1)
        assert cosines.min() > 1 - 1e-5, f"cosines with the model's embeddings: {cosines.tolist()}"

    def test_torch_exports_it(self, registry: Registry, tmp_path: Path) -> None:
        """Torch writes it as an ONNX graph with an open batch."""
        images = torch.zeros(2, 3, 32, 32)
        given = images.to(torch.uint8).permute(0, 2, 3, 1) if self.pixels == "uint8 NHWC" else images
        file = tmp_path / "graph.onnx"
        torch.onnx.export(
            self.make(registry).eval(), (given,), file, dynamo=False, input_names=["img"], output_names=["feats"],
            dynamic_axes={"img": {0: "batch_size"}, "feats": {0: "batch_size"}}, opset_version=16,
        )  # fmt: skip
        assert file.stat().st_size
