from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="session")
def registry():
    from zoo_core.discovery import discover

    return discover()


@pytest.fixture
def prepare(tiny_recipe, registry, monkeypatch, tmp_path):
    """Assemble a training in this process, which spares a test the seconds that a new one imports."""
    from zoo.recipes import load_recipe
    from zoo.training.run import Training

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield lambda *overrides: Training(load_recipe(tiny_recipe, overrides, registry=registry), registry)
    torch.set_num_threads(threads)


@pytest.fixture
def train(prepare, tmp_path):
    """Train into a folder of that name, and return the folder and the outcome."""
    from zoo.folders import RunFolder

    def run(name, *overrides):
        folder = RunFolder(tmp_path / name)
        return folder, prepare(*overrides).run(folder)

    return run


@pytest.fixture
def resume(registry):
    """Go on with the run in a folder, and return the outcome."""
    from zoo.recipes import load_run_recipe
    from zoo.training.run import Training

    return lambda folder, *overrides: Training(
        load_run_recipe(folder, overrides, registry=registry), registry, resume=True
    ).run(folder)


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
def state_of():
    """Read a checkpoint."""
    return lambda path: torch.load(path, weights_only=True)
