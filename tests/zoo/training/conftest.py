from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch


@pytest.fixture(scope="session")
def registry():
    from zoo_core.discovery import discover

    return discover()


@pytest.fixture
def prepare(tiny_recipe, registry, monkeypatch, tmp_path):
    """Plan a training in this process, which spares a test the seconds that a new one imports."""
    from zoo.recipes.loading import load_recipe
    from zoo.training.plan import plan_training

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield lambda *overrides, strict=False: plan_training(
        load_recipe(tiny_recipe, overrides, registry=registry), registry, strict=strict
    )
    torch.set_num_threads(threads)


@pytest.fixture
def train(prepare, tmp_path):
    """Train into a folder of that name, and return the folder and the outcome."""
    from zoo.runs.layout import RunFolder
    from zoo.training.run import train

    def into(name, *overrides):
        folder = RunFolder(tmp_path / name)
        return folder, train(prepare(*overrides), folder)

    return into


@pytest.fixture
def resume(registry):
    """Resume the run in a folder, and return the outcome."""
    from zoo.recipes.loading import load_run_recipe
    from zoo.training.plan import plan_training
    from zoo.training.run import train

    def again(folder, *overrides):
        loaded = load_run_recipe(folder, overrides, registry=registry)
        return train(plan_training(loaded, registry, resume=folder), folder)

    return again


@pytest.fixture
def interrupt_at(monkeypatch):
    """Press Ctrl-C in the step of that number."""
    import os
    import signal

    from zoo.training.module import EmbeddingTraining

    def at(step):
        training_step = EmbeddingTraining.training_step

        def pressing(self, batch, index):
            if self.global_step == step - 1:
                os.kill(os.getpid(), signal.SIGINT)
            return training_step(self, batch, index)

        monkeypatch.setattr(EmbeddingTraining, "training_step", pressing)
        return lambda: monkeypatch.setattr(EmbeddingTraining, "training_step", training_step)

    return at


@pytest.fixture
def a_second_a_step(monkeypatch):
    """Let a second pass for a limit of time with each step of training, however long it takes."""
    from lightning.pytorch.callbacks import timer

    from zoo.training.module import EmbeddingTraining

    steps, training_step = [], EmbeddingTraining.training_step

    def counting(self, batch, index):
        steps.append(index)
        return training_step(self, batch, index)

    monkeypatch.setattr(EmbeddingTraining, "training_step", counting)
    monkeypatch.setattr(timer, "time", SimpleNamespace(monotonic=lambda: float(len(steps))))


@pytest.fixture
def state_of():
    """Read a checkpoint."""
    return lambda path: torch.load(path, weights_only=True)
