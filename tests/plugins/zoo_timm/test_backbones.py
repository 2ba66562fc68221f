from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import threading
import warnings

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from zoo_core.api import Backbone, ComponentError, RemoteError
from zoo_timm.backbones import build
from zoo_timm.catalog import names
from zoo_timm.weights import PretrainedWeightsWarning

# A model for each way in which timm makes a pyramid: list, hook, getter, channels-last maps.
FAMILIES = [
    "lcnet_050",
    "efficientnet_b0",
    "resnet18",
    "mobilenetv3_small_050",
    "vgg11",
    "vit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224",
]


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def offline(empty_cache, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return empty_cache


@pytest.fixture(scope="module")
def weights():
    """The random weights of a whole classifier, in timm's names."""
    torch.manual_seed(3)
    return {name: value.clone() for name, value in timm.create_model("lcnet_050").state_dict().items()}


def test_names_are_those_of_timm():
    assert names() == sorted(timm.list_models())


def test_naming_imports_neither_timm_nor_torch():
    code = "import sys, zoo_timm.catalog as c; assert c.names(); assert not {'timm', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("image_size", [(96, 96), (64, 128)])
def test_levels_are_those_of_the_maps(name, image_size):
    backbone = build(name, image_size=image_size, pretrained=False).eval()
    height, width = image_size
    with torch.no_grad():
        maps = backbone(torch.rand(2, 3, height, width))
    promised = [
        (2, level.channels, -(-height // level.stride), -(-width // level.stride)) for level in backbone.feature_levels
    ]
    assert [tuple(found.shape) for found in maps] == promised
    assert isinstance(backbone, Backbone)


def test_the_levels_of_lcnet_050():
    backbone = build("lcnet_050", pretrained=False)
    assert [(level.channels, level.stride) for level in backbone.feature_levels] == [
        (16, 2), (32, 4), (64, 8), (128, 16), (256, 32),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["lcnet_050", "vit_tiny_patch16_224"])
def test_pixels_are_normalised_as_timm_says(name):
    backbone = build(name, image_size=(96, 96), pretrained=False).eval()
    config = timm.get_pretrained_cfg(name)
    assert backbone.preprocessing.mean == config.mean
    assert backbone.preprocessing.std == config.std
    images = torch.rand(2, 3, 96, 96)
    by_hand = torch.stack([(images[:, c] - config.mean[c]) / config.std[c] for c in range(3)], dim=1)
    with torch.no_grad():
        for ours, theirs in zip(backbone(images), backbone.features(by_hand), strict=True):
            torch.testing.assert_close(ours, theirs)


def test_a_checkpoint_carries_its_normalisation():
    state = build("lcnet_050", pretrained=False).state_dict()
    other = build("lcnet_050", pretrained=False)
    other.mean.zero_()
    other.load_state_dict(state)
    torch.testing.assert_close(other.mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))


def test_building_checks_the_maps_without_touching_the_statistics():
    backbone = build("lcnet_050", image_size=(96, 96), pretrained=False)
    assert backbone.training
    assert all(int(value) == 0 for name, value in backbone.named_buffers() if name.endswith("num_batches_tracked"))


def test_random_weights_say_so():
    assert build("lcnet_050", pretrained=False).provenance == {"weights": "random", "reason": "pretrained is false"}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_of_a_file(weights, suffix, tmp_path):
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": weights, "epoch": 3}, path)
    else:
        save_file(weights, path)
    backbone = build("lcnet_050", image_size=(96, 96), pretrained=str(path))
    loaded = backbone.features.state_dict()
    assert loaded
    assert all(torch.equal(value, weights[name]) for name, value in loaded.items())
    assert backbone.provenance["weights"] == str(path)
    assert backbone.provenance["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("classes", [0, 7, None])
def test_the_classifier_of_a_file_does_not_matter(weights, classes, tmp_path):
    changed = {name: value for name, value in weights.items() if not name.startswith("classifier.")}
    if classes is not None:
        changed |= {"classifier.weight": torch.zeros(classes, 1280), "classifier.bias": torch.zeros(classes)}
    save_file(changed, tmp_path / "weights.safetensors")
    backbone = build("lcnet_050", pretrained=str(tmp_path / "weights.safetensors"))
    assert torch.equal(backbone.features.conv_stem.weight, weights["conv_stem.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: {n: v for n, v in w.items() if n != "conv_stem.weight"}, r"1 missing \(conv_stem.weight\)"),
        (lambda w: w | {"extra.weight": torch.zeros(1)}, r"1 unknown \(extra.weight\)"),
        (lambda w: {f"model.{n}": v for n, v in w.items()}, r"missing \(.*, \.\.\.\) and .* unknown \(model\."),
        (lambda w: w | {"conv_stem.weight": torch.zeros(8, 3, 5, 5)}, "conv_stem"),
    ],
    ids=["missing", "unknown", "prefixed", "shape"],
)
def test_weights_of_another_model_are_refused(weights, change, message, tmp_path):
    save_file(change(weights), tmp_path / "weights.safetensors")
    with pytest.raises(ComponentError, match=message):
        build("lcnet_050", pretrained=str(tmp_path / "weights.safetensors"))


class Exploding:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_a_file_with_code_in_it_is_refused_unrun(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Exploding()}, "weights.pth")
    with pytest.raises(ComponentError, match=r"weights\.pth cannot be read"):
        build("lcnet_050", pretrained="weights.pth")
    assert not (tmp_path / "exploded").exists()


def test_a_file_that_is_missing_is_named():
    with pytest.raises(ComponentError, match="there is no file 'yes'"):
        build("lcnet_050", pretrained="yes")


def test_weights_in_the_cache_need_no_network(weights, offline):
    snapshots = offline / "models--timm--lcnet_050.ra2_in1k"
    commit = "0123456789012345678901234567890123456789"
    (snapshots / "refs").mkdir(parents=True)
    (snapshots / "refs" / "main").write_text(commit)
    (snapshots / "snapshots" / commit).mkdir(parents=True)
    save_file(weights, snapshots / "snapshots" / commit / "model.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("error", PretrainedWeightsWarning)
        backbone = build("lcnet_050")
    assert torch.equal(backbone.features.conv_stem.weight, weights["conv_stem.weight"])
    assert backbone.provenance == {
        "weights": "timm/lcnet_050.ra2_in1k",
        "revision": commit,
        "license": "apache-2.0",
        "reason": "found in the cache of the Hub",
    }


@pytest.mark.usefixtures("offline")
def test_auto_offline_warns_and_starts_from_random_weights():
    with pytest.warns(
        PretrainedWeightsWarning, match=r"lcnet_050 starts from RANDOM weights.*HF_HUB_OFFLINE"
    ) as caught:
        backbone = build("lcnet_050")
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert backbone.provenance["weights"] == "random"
    assert "HF_HUB_OFFLINE" in backbone.provenance["reason"]


@pytest.mark.usefixtures("offline")
def test_true_offline_is_an_error():
    with pytest.raises(RemoteError, match=r"timm/lcnet_050\.ra2_in1k is not in the cache.*HF_HUB_OFFLINE.*pretrained"):
        build("lcnet_050", pretrained=True)


@pytest.mark.usefixtures("offline")
def test_a_model_without_weights_on_the_hub_says_where_else_they_are():
    with pytest.raises(ComponentError, match=r"has no weights of timm's gcvit_tiny; download https://"):
        build("gcvit_tiny", pretrained=True)


FALL_BACK = """
import sys, warnings
from zoo_core.api import RemoteError
from zoo_timm.backbones import build
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print(build("lcnet_050").provenance["weights"])
print(*(warning.category.__name__ for warning in caught))
try:
    build("lcnet_050", pretrained=True)
except RemoteError as error:
    print(error)
"""


def test_a_hub_that_refuses_is_given_up_at_once(tmp_path):
    with socket.socket() as hub:
        hub.bind(("127.0.0.1", 0))  # but not listening
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("HF_")},
            "HF_ENDPOINT": f"http://127.0.0.1:{hub.getsockname()[1]}",
            "HF_HOME": str(tmp_path),
        }
        # Retrying, as the Hub's client does by itself, takes longer than this.
        done = subprocess.run(
            [sys.executable, "-c", FALL_BACK], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
    weights, warned, error = done.stdout.splitlines()
    assert weights == "random"
    assert warned == "PretrainedWeightsWarning"
    assert error.startswith("timm/lcnet_050.ra2_in1k is not in the cache, and http://127.0.0.1:")


def test_a_hub_that_does_not_answer_is_given_up(empty_cache, monkeypatch):
    with socket.socket() as hub:
        hub.bind(("127.0.0.1", 0))
        hub.listen()  # but never accepting: the connection stands, and nobody answers
        url = f"http://127.0.0.1:{hub.getsockname()[1]}/{{repo_id}}/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url)
        monkeypatch.setattr("zoo_timm.weights._HUB_TIMEOUT", 0.3)
        with pytest.raises(RemoteError, match=r"did not give it: .*(timed out|no answer within)"):
            build("lcnet_050", pretrained=True)
    assert not list(empty_cache.iterdir())


def test_a_name_that_takes_forever_to_look_up_is_given_up(monkeypatch, request):
    found = threading.Event()
    request.addfinalizer(found.set)
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", lambda *_, **__: found.wait())
    monkeypatch.setattr("zoo_timm.weights._HUB_TIMEOUT", 0.3)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", "/nonexistent")
    with pytest.raises(RemoteError, match=r"no answer within 0\.3 seconds"):
        build("lcnet_050", pretrained=True)


def test_an_unknown_model_is_named():
    with pytest.raises(ComponentError, match="has no model 'lcnet_51'"):
        build("lcnet_51", pretrained=False)


@pytest.mark.usefixtures("offline")
def test_a_tag_chooses_among_the_weights():
    assert build("resnet18", tag="fb_swsl_ig1b_ft_in1k", pretrained=False).feature_levels
    with pytest.raises(RemoteError, match=r"timm/resnet18\.fb_swsl_ig1b_ft_in1k is not"):
        build("resnet18", tag="fb_swsl_ig1b_ft_in1k", pretrained=True)
    with pytest.raises(ComponentError, match=r"resnet18 has no weights 'a9'; it has a1_in1k, "):
        build("resnet18", tag="a9", pretrained=False)


@pytest.mark.parametrize(
    ("name", "message"),
    [("inception_v3", "no regular feature pyramid at 96x96"), ("halonet26t", "does not take images of 96x96")],
)
def test_a_model_that_breaks_its_promise_is_refused_when_built(name, message):
    with pytest.raises(ComponentError, match=message):
        build(name, image_size=(96, 96), pretrained=False)


def test_a_model_that_is_no_pyramid_is_refused(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("features_only not implemented for this model.")

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(ComponentError, match=r"lcnet_050 cannot be built as a feature pyramid: .*not implemented"):
        build("lcnet_050", pretrained=False)


def test_stochastic_depth_reaches_the_model():
    backbone = build("resnet18", pretrained=False, drop_path_rate=0.2)
    assert any(type(module).__name__ == "DropPath" for module in backbone.modules())
    with pytest.raises(ComponentError, match="drop_path_rate"):
        build("vgg11", pretrained=False, drop_path_rate=0.2)
