"""Each check of the kit fails for a component with the fault that it guards against, and for no good one."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "zoo/contract_checks/faulty_components.py"
# What only the kit finds.
MORE = """

class FrozenWeights(GoodHead):
    def __init__(self, feature_levels):
        super().__init__(feature_levels)
        self.noise = torch.randn(16)

    def forward(self, features):
        return super().forward(features) + self.noise


class AnyOption(GoodHead):
    def __init__(self, feature_levels, width=3):
        super().__init__(feature_levels)


class IgnoresView(GoodAugmentation):
    pass


class WrongSign(GoodLoss):
    def forward(self, embeddings, labels):
        value = super().forward(embeddings, labels)
        return 2 * value.detach() - value


class OverflowingLoss(GoodLoss):
    def forward(self, embeddings, labels):
        return super().forward(embeddings, labels) + embeddings.square().sum().square().square().exp() * 0


class Unpicklable(GoodDataset):
    def __init__(self):
        self.read = lambda index: super(Unpicklable, self).image(index)


class TurnsOver(GoodWrapper):
    def forward(self, img):
        return self.model(img.flip(3))
"""
SUITES = {"Backbone": "BackboneSuite", "Head": "HeadSuite", "Loss": "LossSuite", "Dataset": "DatasetSuite",
          "Augmentation": "AugmentationSuite", "Wrapper": "ExportWrapperSuite"}  # fmt: skip
KINDS = {**{name: name.lower() for name in SUITES}, "Wrapper": "export_wrapper"}
# By the test that must fail; further ones may.
FAULTS = {
    "WrongChannels": "test_features_fit_what_is_declared",
    "WrongStride": "test_features_fit_what_is_declared",
    "MissingLevel": "test_features_fit_what_is_declared",
    "OneTensor": "test_features_fit_what_is_declared",
    "NotFinite": "test_features_fit_what_is_declared",
    "Unused": "test_gradients_reach_all_parameters",
    "WrongInput": "test_embeddings_fit_what_is_declared",
    "WrongDimension": "test_embeddings_fit_what_is_declared",
    "OfTheBatch": "test_each_image_is_alone_in_evaluation",
    "NotANumber": "test_embeddings_fit_what_is_declared",
    "GlobalDropout": "test_embeddings_fit_what_is_declared",
    "FrozenWeights": "test_weights_are_restored",
    "AnyOption": "test_it_is_announced_and_loads",
    "PerSample": "test_it_is_a_finite_scalar_with_gradients",
    "Infinite": "test_it_is_a_finite_scalar_with_gradients",
    "Detached": "test_it_is_a_finite_scalar_with_gradients",
    "NoTensor": "test_it_is_a_finite_scalar_with_gradients",
    "InfiniteGradient": "test_it_is_a_finite_scalar_with_gradients",
    "UnequalParts": "test_it_is_a_finite_scalar_with_gradients",
    "OverflowingLoss": "test_it_stays_finite_for_all_of_a_training[0.0]",
    "WrongSign": "test_a_few_steps_lower_it",
    "Grey": "test_samples_fit_the_contract_and_are_the_same_again",
    "Float": "test_samples_fit_the_contract_and_are_the_same_again",
    "Pair": "test_samples_fit_the_contract_and_are_the_same_again",
    "LabelTooHigh": "test_samples_fit_the_contract_and_are_the_same_again",
    "LabelText": "test_samples_fit_the_contract_and_are_the_same_again",
    "OtherEachTime": "test_samples_fit_the_contract_and_are_the_same_again",
    "GlobalRandom": "test_samples_fit_the_contract_and_are_the_same_again",
    "Raises": "test_samples_fit_the_contract_and_are_the_same_again",
    "Unpicklable": "test_another_process_reads_the_same",
    "WrongSize": "test_images_fit_the_contract_and_follow_their_generator",
    "NumpyGlobal": "test_images_fit_the_contract_and_follow_their_generator",
    "Unseeded": "test_images_fit_the_contract_and_follow_their_generator",
    "WritesIntoSample": "test_images_fit_the_contract_and_follow_their_generator",
    "FloatImage": "test_images_fit_the_contract_and_follow_their_generator",
    "IgnoresView": "test_it_applies_the_view",
    "ShortOutput": "test_the_first_output_is_the_models_embedding",
    "OtherColours": "test_the_first_output_is_the_models_embedding",
    "TurnsOver": "test_the_first_output_is_the_models_embedding",
    "Unexportable": "test_torch_exports_it",
}
GOOD = ("GoodBackbone", "GoodHead", "GoodLoss", "GoodDataset", "GoodWrapper")


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """Run the suites of all components as an author would; return the failed tests of each."""
    folder = tmp_path_factory.mktemp("author")
    namespace = {"__name__": "faulty"}
    exec(compile(SOURCE.read_text(encoding="utf-8") + MORE, "faulty", "exec"), namespace)  # noqa: S102 - our own source
    kinds = {}
    for name in [*FAULTS, *GOOD]:
        bases = {base.__name__ for base in namespace[name].__mro__}
        kinds[name] = next(kind for kind in SUITES if f"Good{kind}" in bases)
    (folder / "acme_parts.py").write_text(SOURCE.read_text(encoding="utf-8") + MORE, encoding="utf-8")
    specs = ",".join(
        f"ComponentSpec({KINDS[kind]!r}, {name!r}, 'acme_parts:{name}', 'x')" for name, kind in kinds.items()
    )
    (folder / "acme_manifest.py").write_text(
        "from zoo_core.api import ComponentSpec, hookimpl\nZOO_API = 1\n\n"
        f"@hookimpl\ndef zoo_components():\n    return [{specs}]\n"
    )
    info = folder / "zoo_acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo-acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[zoo.plugins]\nacme = acme_manifest\n")
    classes = [f"from zoo_testing import {', '.join(SUITES.values())}\n"]
    classes += [f"class Test{name}({SUITES[kind]}):\n    component = 'acme/{name}'\n" for name, kind in kinds.items()]
    (folder / "test_acme.py").write_text("\n".join(classes))
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=report.xml", "test_acme.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
    )
    cases = ET.parse(folder / "report.xml").getroot().iter("testcase")  # noqa: S314 - our own report
    found = {name: set() for name in kinds}
    for case in cases:
        name = case.get("classname").rpartition("Test")[2]
        found[name].add((case.get("name"), case.find("failure") is not None or case.find("error") is not None))
    return {name: {test for test, wrong in tests if wrong} for name, tests in found.items() if tests}


def test_each_fault_fails_its_test_and_no_good_component_fails_any(failed):
    missed = {name: wanted for name, wanted in FAULTS.items() if wanted not in failed[name]}
    assert missed == {}
    assert {name: failed[name] for name in GOOD} == {name: set() for name in GOOD}


def test_fixtures_give_a_project_and_an_isolated_registry(zoo_project, zoo_registry):
    listed = zoo_project.run("config", "show", "recipe", "model.head.name=embedding/gap_ln")
    assert "embedding/gap_ln" in listed.stdout
    assert "wrong_" in zoo_project.run("config", "show", "recipe", "wrong_=1", check=3).stderr
    assert {plugin.id for plugin in zoo_registry().plugins} >= {"timm", "margin"}


def test_the_fixtures_load_no_torch(tmp_path):
    (tmp_path / "test_light.py").write_text(
        "import sys\ndef test_light():\n    assert 'zoo_testing.fixtures' in sys.modules\n"
        "    assert not {'torch', 'zoo', 'pydantic'} & sys.modules.keys()\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_light.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
