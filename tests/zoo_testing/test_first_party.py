"""Every component that comes with zoo passes the suite of its kind; families by a member."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from zoo_core.discovery import discover
from zoo_testing import (
    AugmentationSuite,
    BackboneSuite,
    DatasetSuite,
    ExportWrapperSuite,
    HeadSuite,
    LossSuite,
    LrSchedulerSuite,
    OptimizerSuite,
    TeacherSuite,
)

KINDS = {"backbone", "head", "loss", "dataset", "augmentation", "export_wrapper", "teacher", "lr_scheduler"}
LOSSES = (
    "adaface",
    "arcface",
    "combined",
    "cosface",
    "curricularface",
    "elasticface",
    "magface",
    "softmax",
    "subcenter",
)
HEADS = ("attention_ln", "flatten_bn", "flatten_ln", "gap_ln", "gem_ln", "squeeze_lbn", "squeeze_ln")


def suite(base, component, **attributes):
    """Make the class that an author would write."""
    return type(f"Test_{component.replace('/', '_')}", (base,), {"component": component, **attributes})


for _name in LOSSES:
    globals()[f"TestLoss_{_name}"] = suite(LossSuite, f"margin/{_name}")
for _name in ("constant", "cosine_warmup", "polynomial_warmup"):
    globals()[f"TestSchedule_{_name}"] = suite(LrSchedulerSuite, f"torch/{_name}")
for _name in HEADS:
    globals()[f"TestHead_{_name}"] = suite(HeadSuite, f"embedding/{_name}", options={"embed_dim": 20})


class TestBackbone(BackboneSuite):
    component = "timm/test_resnet"
    options = {"pretrained": False}


class TestTeacher(TeacherSuite):
    component = "timm/test_resnet"
    options = {"pretrained": False}


class TestTorchOptimizer(OptimizerSuite):
    component = "torch/AdamW"


class TestTimmOptimizer(OptimizerSuite):
    component = "timm/lion"


class TestTorchScheduler(LrSchedulerSuite):
    component = "torch/StepLR"
    options = {"step_size": 3}


class TestCapture(AugmentationSuite):
    component = "images/capture"


class TestWarpFeatureLearning(ExportWrapperSuite):
    component = "onnx/WarpFeatureLearning"


class TestWarpFeatureLearningPixels(ExportWrapperSuite):
    component = "onnx/WarpFeatureLearningPixels"
    pixels = "uint8 NHWC"


class TestTransformersJs(ExportWrapperSuite):
    component = "onnx/TransformersJs"


class TestSynthetic(DatasetSuite):
    component = "documents/synthetic"
    options = {"templates": 5, "samples_per_template": 3}


def write_pictures(folder, classes=3, each=2):
    noise = np.random.default_rng(0)
    for number in range(classes):
        (folder / f"class{number}").mkdir(parents=True)
        for image in range(each):
            pixels = noise.integers(0, 256, (30, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"class{number}" / f"{image}.png")


class OfPictures(DatasetSuite):
    @pytest.fixture(autouse=True)
    def _pictures(self, tmp_path):
        write_pictures(tmp_path / "pictures")
        rows = [f"{path.relative_to(tmp_path)},{path.parent.name}" for path in (tmp_path / "pictures").rglob("*.png")]
        (tmp_path / "list.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
        self.options = self.of(tmp_path)


class TestFolder(OfPictures):
    component = "images/folder"

    def of(self, folder):
        return {"root": str(folder / "pictures")}


class TestInstances(OfPictures):
    component = "images/instances"

    def of(self, folder):
        return {"root": str(folder / "pictures")}


class TestList(OfPictures):
    component = "images/list"

    def of(self, folder):
        return {"file": str(folder / "list.csv")}


def test_no_component_is_left_out():
    tested = {value.component for value in globals().values() if hasattr(value, "component")}
    # Shards and the Hub have tests of their own: they need tars and a server.
    tested |= {"images/webdataset", "images/hub"}
    plugins = [component for component in discover().components() if component.kind in KINDS]
    named = {component.qualified_name for component in plugins if not component.is_family}
    assert named - tested == set()
