"""A trained backbone as timm's own files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load, save

from zoo_core.api import ComponentError, read_image
from zoo_core.capabilities import HasLibraryFiles
from zoo_timm.backbones import build


def trained(name, **options):
    """A backbone whose weights and statistics are nobody's defaults."""
    torch.manual_seed(1)
    backbone = build(name, pretrained=False, **options)
    with torch.no_grad():
        for value in backbone.features.state_dict().values():
            if value.is_floating_point():
                value.add_(torch.rand_like(value) * 0.1)
    return backbone.eval()


def written(files, folder):
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


# A model for each way in which timm makes a pyramid: list with and without flattened names, hook, getter.
@pytest.mark.parametrize("name", ["lcnet_050", "resnet18", "mobilenetv3_small_050", "test_vit", "convnext_atto"])
def test_timm_reads_the_trained_backbone_with_equal_features(name, tmp_path):
    backbone = trained(name, image_size=(64, 96))
    assert isinstance(backbone, HasLibraryFiles)

    folder = written(backbone.library_files((64, 96)), tmp_path)
    read = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()

    images = torch.rand(2, 3, 64, 96)
    config = timm.data.resolve_model_data_config(read)
    mean, std = (torch.tensor(config[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        wanted, found = backbone(images), read((images - mean) / std)
    assert len(wanted) == len(found) > 1
    for one, other in zip(wanted, found, strict=True):
        assert one.std() > 0
        torch.testing.assert_close(other, one, rtol=0, atol=0)


def test_timms_transforms_prepare_an_image_file_as_zoo_does(tmp_path):
    folder = written(trained("lcnet_050").library_files((64, 96)), tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (150, 100, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")

    read = timm.create_model(f"local-dir:{folder}", pretrained=True)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(read))
    found = transform(Image.open(tmp_path / "image.png"))

    wanted = torch.from_numpy(read_image(tmp_path / "image.png", (64, 96)).copy()).permute(2, 0, 1) / 255
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    torch.testing.assert_close(found, (wanted - mean) / std, rtol=0, atol=1e-6)


def test_the_files_name_no_file_of_this_machine(tmp_path):
    weights = timm.create_model("lcnet_050").state_dict()
    (tmp_path / "secret.safetensors").write_bytes(save(weights))
    files = build("lcnet_050", pretrained=str(tmp_path / "secret.safetensors")).library_files((96, 96))
    assert sorted(files) == ["config.json", "model.safetensors"]
    assert all(b"secret" not in content for content in files.values())
    stem = load(files["model.safetensors"])["conv_stem.weight"]
    assert torch.equal(stem, weights["conv_stem.weight"])


def test_what_timm_would_read_as_another_model_is_refused():
    backbone = trained("lcnet_050")
    backbone.features.conv_stem.stride = (1, 1)
    with pytest.raises(ComponentError, match="reads its lcnet_050 back as another model"):
        backbone.library_files((96, 96))


def test_a_pyramid_with_weights_of_its_own_is_refused():
    backbone = trained("lcnet_050")
    backbone.features.register_buffer("more", torch.zeros(3))
    with pytest.raises(ComponentError, match="has no weights 'more'"):
        backbone.library_files((96, 96))


def test_the_config_promises_a_pyramid_and_no_classes():
    document = json.loads(build("lcnet_050", pretrained=False).library_files((64, 96))["config.json"])
    assert document["model_args"] == {"features_only": True}
    assert document["pretrained_cfg"]["input_size"] == [3, 64, 96]
    assert "num_classes" not in {**document, **document["pretrained_cfg"]}
