from __future__ import annotations

import lightning
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from zoo.training.callbacks.ema import CURRENT, ExponentialMovingAverage


class Tiny(lightning.LightningModule):
    """Remembers the weights that it trained and was validated with."""

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        self.loss = nn.Linear(4, 1)
        self.after_steps, self.validated = [], []

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.3)

    def weights(self):
        return {name: value.detach().clone() for name, value in self.state_dict().items()}

    def training_step(self, batch, _index):
        return self.loss(self.model(batch)).square().mean()

    def on_train_batch_end(self, *_):
        self.after_steps.append(self.weights())

    def validation_step(self, _batch, _index):
        if not self.trainer.sanity_checking:
            self.validated.append(self.weights())


@pytest.fixture
def averaged(tmp_path):
    def run(decay=0.9, epochs=3, **options):
        torch.manual_seed(0)
        module = Tiny()
        start = module.weights()
        trainer = lightning.Trainer(
            max_epochs=epochs,
            callbacks=[ExponentialMovingAverage(decay)],
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
            **options,
        )
        data = torch.randn(8, 5, 3, generator=torch.Generator().manual_seed(1))
        trainer.fit(module, DataLoader(data, batch_size=None), DataLoader(data[:1], batch_size=None))
        trainer.save_checkpoint(tmp_path / "last.ckpt")
        return start, module, torch.load(tmp_path / "last.ckpt", weights_only=True)

    return run


def reference(start, steps, decay):
    """The average by its definition, in float64."""
    average = {name: value.double().numpy() for name, value in start.items()}
    for number, weights in enumerate(steps, 1):
        keep = min(decay, number / (number + 9))
        for name, value in weights.items():
            average[name] = keep * average[name] + (1 - keep) * value.double().numpy()
    return average


AVERAGED = ["model.0.weight", "model.0.bias", "model.1.weight", "model.1.bias"]
AVERAGED += ["model.1.running_mean", "model.1.running_var"]


# The first never gets past its warm-up, the second soon does.
@pytest.mark.parametrize("decay", [0.999, 0.4])
def test_a_checkpoint_holds_the_average_as_the_model_and_the_weights_to_go_on_from(averaged, decay):
    start, module, checkpoint = averaged(decay)

    expected = reference(start, module.after_steps, decay)
    last = module.after_steps[-1]
    for name in AVERAGED:
        np.testing.assert_allclose(checkpoint["state_dict"][name], expected[name], rtol=1e-5, atol=1e-6)
        assert torch.equal(checkpoint[CURRENT][name], last[name])
    assert set(checkpoint[CURRENT]) == set(AVERAGED)
    # The table of classes is no part of the model, and a counter has no average.
    for name in ("loss.weight", "loss.bias", "model.1.num_batches_tracked"):
        assert torch.equal(checkpoint["state_dict"][name], last[name])


def test_the_average_is_validated_and_training_goes_on_without_it(averaged):
    start, module, _ = averaged(epochs=2)

    for epoch, validated in enumerate(module.validated, 1):
        expected = reference(start, module.after_steps[: 8 * epoch], 0.9)
        for name in AVERAGED:
            np.testing.assert_allclose(validated[name], expected[name], rtol=1e-5, atol=1e-6)
    _, plain, _ = averaged(decay=1e-9, epochs=2)
    assert torch.equal(plain.after_steps[-1]["model.0.weight"], module.after_steps[-1]["model.0.weight"])


def test_accumulated_batches_are_one_step(averaged):
    start, module, checkpoint = averaged(epochs=1, accumulate_grad_batches=4)

    expected = reference(start, module.after_steps[3::4], 0.9)
    np.testing.assert_allclose(checkpoint["state_dict"]["model.0.weight"], expected["model.0.weight"], rtol=1e-5)


def test_an_interrupted_run_goes_on_exactly(train, resume, interrupt_at, state_of):
    from zoo.runs.layout import RunFolder

    whole, _ = train("whole", "ema={decay: 0.9}")
    release = interrupt_at(8)
    halves, outcome = train("halves", "ema={decay: 0.9}")
    assert outcome.interrupted
    release()
    resume(RunFolder(halves.path))

    one, other = state_of(whole.last), state_of(halves.last)
    assert one["global_step"] == other["global_step"] == 12
    for part in ("state_dict", CURRENT):
        assert all(torch.equal(value, other[part][name]) for name, value in one[part].items())
    assert not all(torch.equal(value, one["state_dict"][name]) for name, value in one[CURRENT].items())


def test_what_is_evaluated_and_exported_is_what_was_validated(train, registry, read_curves):
    from zoo.evaluation import run as evaluation
    from zoo.recipes.loading import load_run_recipe

    folder, _ = train("run", "ema={}", "optimizer.options.lr=0.02")

    document, _ = evaluation.evaluate_run(folder, load_run_recipe(folder), registry)
    best = max(read_curves(folder), key=lambda row: float(row["valid/tpr_at_fpr_1e-3"]))
    followed = {name: value for name, value in document["metrics"].items() if f"valid/{name}" in best}
    assert {"tpr_at_fpr_1e-1", "auc", "rank1"} <= set(followed)
    for name, value in followed.items():
        assert value == pytest.approx(float(best[f"valid/{name}"]), abs=0.02)
