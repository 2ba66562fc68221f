from __future__ import annotations

import pytest

from zoo.training.module import EmbeddingTraining


@pytest.fixture
def seen(monkeypatch):
    """The images and labels of each training step since the last look."""
    steps = []
    training_step = EmbeddingTraining.training_step

    def recording(self, batch, index):
        steps.append((batch["images"].clone(), batch["labels"].clone()))
        return training_step(self, batch, index)

    monkeypatch.setattr(EmbeddingTraining, "training_step", recording)

    def look():
        found, steps[:] = list(steps), []
        return found

    return look
