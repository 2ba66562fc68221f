"""What is a lie where a model was made is none where processor or libraries are others."""

from __future__ import annotations

import json

import pytest

from zoo.reproduction.figures import other_images
from zoo.reproduction.files import latency_checks, sample_check
from zoo.reproduction.surroundings import Surroundings
from zoo_core.provenance import cpu_kind, installed_versions

ALL = ("plugzoo", "numpy", "pillow", "opencv-python-headless", "onnxruntime")
HERE = {"machine": cpu_kind(), "versions": installed_versions(ALL)}
ANOTHER_CPU = {**HERE, "machine": {"cpu": "Elbrus", "instructions": []}}
ANOTHER_RUNTIME = {**HERE, "versions": {**HERE["versions"], "onnxruntime": "0.1"}}
NOT_RECORDED = {}


@pytest.mark.parametrize(
    ("made", "apart", "verdict", "note"),
    [
        (HERE, 0, "holds", "equal to the last bit"),
        (HERE, 5e-7, "false", "those that it was made with"),
        (ANOTHER_CPU, 5e-7, "holds", "made on Elbrus"),
        (ANOTHER_RUNTIME, 5e-7, "holds", "onnxruntime 0.1 there"),
        (NOT_RECORDED, 5e-7, "holds", "is not recorded"),
        (ANOTHER_CPU, 5e-6, "false", "made on Elbrus"),
        (ANOTHER_CPU, float("nan"), "false", ""),
    ],
)
def test_an_embedding_is_equal_to_the_last_bit_where_it_was_made(exported, made, apart, verdict, note):
    path = exported.artifact.sample_embedding
    document = json.loads(path.read_text(encoding="utf-8"))
    document["embedding"][0] += apart
    path.write_text(json.dumps(document), encoding="utf-8")
    check = _checked(exported, made)
    assert check.verdict == verdict
    assert note in check.note


def _checked(exported, made):
    from zoo.artifacts.manifest import write_manifest

    write_manifest(exported.artifact.path)
    return sample_check(exported.artifact, Surroundings(made))


@pytest.mark.parametrize(("made", "verdict"), [(HERE, "false"), (ANOTHER_CPU, "not re-run")])
def test_a_time_of_another_processor_is_no_lie(exported, made, verdict):
    report = {"precisions": {"files": {"fp32": {"p50_ms": 1e-6}}}}
    (check,) = latency_checks(exported.artifact, report, Surroundings(made))
    assert (check.claim, check.verdict) == ("precisions.fp32.p50_ms", verdict)


def test_other_images_are_a_lie_only_where_the_same_are_drawn():
    found = {"content": "b" * 64, "images": 36, "classes": 6}

    def verdicts(made, *, given=False, counts=36, **protocol):
        claimed = {"counts": {"images": counts, "classes": 6}, "protocol": protocol or None}
        checks = other_images(claimed, found, Surroundings(made), given=given)
        return checks and [one.verdict for one in checks]

    other = {**found, "content": "a" * 64}
    assert verdicts(HERE, **other) == ["false"]
    assert verdicts(ANOTHER_CPU, **other) == ["not re-run"]
    assert verdicts(HERE, given=True, **other) == ["not re-run"]
    assert verdicts(HERE, **found) is None
    # Without a hash, counts decide.
    assert verdicts(HERE) is None
    assert verdicts(HERE, counts=35) == ["false"]
    assert verdicts(HERE, given=True, counts=35) == ["not re-run"]
