from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch


@pytest.fixture
def standing():
    """Return what callbacks ask of Lightning's trainer, at some moment of a training of 18 steps in 3 epochs."""

    def standing(step=0, **changes):
        current = SimpleNamespace(completed=step % 6, ready=step % 6)
        progress = SimpleNamespace(current=current, is_last_batch=False)
        asked = {
            "global_step": step,
            "current_epoch": step // 6,
            "max_epochs": 3,
            "max_steps": -1,
            "estimated_stepping_batches": 18,
            "num_training_batches": 6,
            "accumulate_grad_batches": 1,
            "log_every_n_steps": 50,
            "val_check_batch": math.inf,
            "check_val_every_n_epoch": 1,
            "strategy": None,
            "world_size": 1,
            "is_global_zero": True,
            "should_stop": False,
            "sanity_checking": False,
            "num_val_batches": [3],
            "num_sanity_val_batches": [2],
            "callbacks": [],
            "loggers": [],
            "callback_metrics": {"train/loss": torch.tensor(1.5)},
            "optimizers": [SimpleNamespace(param_groups=[{"lr": 0.004}])],
            "fit_loop": SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress)),
        }
        assert changes.keys() <= asked.keys()
        return SimpleNamespace(**{**asked, **changes})

    return standing


@pytest.fixture
def embedding_training():
    """Return what callbacks ask of the module: parts of the loss, and figures of validations."""
    untrained = {"tpr_at_fpr_1e-3": 0.1, "rank1": 0.2, "auc": 0.6, "more": math.pi}
    validated = {"tpr_at_fpr_1e-3": 0.5, "rank1": 0.75, "auc": 0.90625, "more": math.pi}
    return SimpleNamespace(
        loss_parts={"softmax": torch.tensor(1.25)}, untrained=untrained, validated=validated, progress=0.25, loss=None
    )
