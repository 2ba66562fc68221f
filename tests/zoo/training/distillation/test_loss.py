from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.training.distillation import teacher_features as cache
from zoo.training.distillation.loss import SimilarityDistillation
from zoo.validation.dataset import plain_view

TEACHER = "model.distillation={teacher: {name: timm/test_vit, options: {pretrained: false}}, weight: %s}"


def reference(embeddings, features, temperature):
    """The loss by its definition, in float64, sample by sample."""
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (embeddings, features)]
    total = 0.0
    for index in range(len(embeddings)):
        others = [other for other in range(len(embeddings)) if other != index]
        student, teacher = (np.exp(rows[others] @ rows[index] / temperature) for rows in unit)
        student, teacher = student / student.sum(), teacher / teacher.sum()
        total += (teacher * np.log(teacher / student)).sum()
    return total / len(embeddings)


@given(
    count=st.integers(2, 9), length=st.integers(1, 7), seed=st.integers(0, 99), temperature=st.sampled_from([0.05, 0.3])
)
def test_the_loss_is_its_definition(count, length, seed, temperature):
    generator = np.random.default_rng(seed)
    embeddings, features = generator.standard_normal((count, length)), generator.standard_normal((count, 5))
    expected = reference(embeddings, features, temperature)

    loss = SimilarityDistillation(temperature=temperature, weight=1.0)
    exact = loss(torch.from_numpy(embeddings), torch.from_numpy(features))
    single = loss(torch.from_numpy(embeddings).float(), torch.from_numpy(features).half())

    assert float(exact) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert float(single) == pytest.approx(expected, rel=0.05, abs=0.02)


def test_its_gradient_is_right():
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(5, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    features = torch.randn(5, 4, dtype=torch.float64, generator=generator)

    loss = SimilarityDistillation(temperature=0.1, weight=1.0)
    assert torch.autograd.gradcheck(lambda rows: loss(rows, features), embeddings)


def test_a_sample_that_the_teacher_never_saw_takes_no_part():
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(6, 3, generator=generator)
    features = torch.randn(6, 4, generator=generator)
    features[2] = 0
    seen = [0, 1, 3, 4, 5]

    loss = SimilarityDistillation(temperature=0.1, weight=1.0)

    torch.testing.assert_close(loss(embeddings, features), loss(embeddings[seen], features[seen]))


@pytest.mark.parametrize("count", [1, 2])
def test_a_batch_without_neighbours_costs_nothing_and_breaks_nothing(count):
    embeddings = torch.ones(count, 3, requires_grad=True)
    loss = SimilarityDistillation(temperature=0.1, weight=1.0)(embeddings, torch.ones(count, 2, dtype=torch.half))
    loss.backward()
    assert loss.item() == 0
    assert not embeddings.grad.any()


def test_it_works_in_single_precision_whatever_autocast_says():
    embeddings, features = torch.randn(4, 3), torch.randn(4, 3)
    loss = SimilarityDistillation(temperature=0.1, weight=1.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(embeddings, features)
    assert torch.equal(inside, loss(embeddings, features))


SHORT = ("trainer.max_epochs=10", "trainer.check_val_every_n_epoch=10", "trainer.num_sanity_val_steps=0")


def divergence(training):
    """How far the student's likenesses of plain training samples are from the teacher's."""
    dataset = training.data.items.dataset
    teacher, model = training.teacher, training.model.eval()
    rows = []
    with torch.no_grad():
        for network, size in ((model, training.recipe.data.image_size), (teacher, teacher.image_size)):
            images = np.stack([plain_view(dataset[index], size) for index in range(0, len(dataset), 3)])
            pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
            rows.append(network(pixels).double().numpy())
    return reference(*rows, 0.1)


def test_a_distilled_student_follows_its_teacher_and_the_next_run_reads_the_cache(prepare, tmp_path, monkeypatch):
    from zoo.runs.layout import RunFolder
    from zoo.training.run import train

    found = {}
    for weight in ("1.0e-9", "50.0"):
        # Even with random weights this one tells images apart.
        training = prepare(TEACHER % weight, "model.distillation.teacher.name=timm/test_convnext", *SHORT)
        train(training, RunFolder(tmp_path / weight))
        found[weight] = divergence(training)
        # The second run has to do without.
        monkeypatch.setattr(cache, "_features", None)

    # Of three seeds: 0.59, 0.39 and 0.42 times as far.
    assert found["50.0"] < 0.75 * found["1.0e-9"], found
    assert len(list((tmp_path / "cache" / "zoo" / "teachers").glob("*.npy"))) == 1
