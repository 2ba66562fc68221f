"""Images per second of training a recipe, beside the same training fed from memory, as JSON.

    python benchmarks/training.py --seconds 60 --rounds 5 --json training.json
    python benchmarks/training.py --recipe RECIPE --batch 512 data.train.options.templates=100

One run of what `zoo train` does, in turns of so many seconds: `end_to_end` with the recipe's loader, `from_memory` with
random pictures in the same model, loss, optimizer and trainer, `loader` with batches that nobody trains on. The first
batches of a turn, made during the turn before, do not count; nothing is validated. The warm-up has to be long enough
to read all data once, where they are kept. Rates and ratio are medians over the turns.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

# As the command does, before torch is there.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from zoo.recipes.loading import load_recipe
from zoo.runs.layout import RunFolder
from zoo.training.data.loaders import TrainingLoaders
from zoo.training.plan import plan_training
from zoo.training.run import train
from zoo_core.discovery import discover

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.utils.data import DataLoader

END_TO_END, FROM_MEMORY, LOADER = "end_to_end", "from_memory", "loader"
IN_MEMORY = 8  # batches
LEAST = 5  # batches of a turn that count


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="lcnet050_cosface_96")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=30, help="of each turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm-up", type=float, default=30, help="seconds of training before")
    parser.add_argument("--json", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*could not find the monitored key.*")  # nothing is validated
    result = _measure(options)
    document = json.dumps({"schema": 1, **result}, indent=2)
    print(document)
    if options.json:
        options.json.write_text(document + "\n", encoding="utf-8")


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    # Learning rate and margin follow the time; there is more of it than the turns take.
    whole = options.warm_up + 3 * options.rounds * options.seconds
    overrides = (
        "model.backbone.options.pretrained=false",
        f"data.loader.batch_size={options.batch}",
        *options.overrides,
        *("trainer.limit_val_batches=0", "trainer.num_sanity_val_steps=0", "trainer.max_epochs=1"),
        f"trainer.max_time={{seconds: {round(2 * whole) + 600}}}",
    )
    registry = discover()
    plan = plan_training(load_recipe(options.recipe, overrides, registry=registry), registry)
    make_loader = TrainingLoaders.train_dataloader
    turns: list[Turns] = []

    def measured(loaders: TrainingLoaders) -> Turns:
        turns.append(Turns(make_loader(loaders), options))
        return turns[0]

    with (
        tempfile.TemporaryDirectory(prefix="training-") as folder,
        mock.patch.object(TrainingLoaders, "train_dataloader", measured),
    ):
        train(plan, RunFolder(Path(folder) / "run"))
    (turn,) = turns
    # Python would end the loader's processes by SIGTERM, which they leave to the training, and wait for ever.
    if (iterator := turn.loader._iterator) is not None:  # noqa: SLF001 - no other way
        iterator._shutdown_workers()  # type: ignore[attr-defined] # noqa: SLF001 - the same
    rates = {name: statistics.median(taken) for name, taken in turn.rates.items()}
    # Of turns side by side: a machine may change its pace meanwhile.
    ratios = [ours / bare for ours, bare in zip(turn.rates[END_TO_END], turn.rates[FROM_MEMORY], strict=True)]
    return {
        "recipe": options.recipe,
        "overrides": list(options.overrides),
        "batch": options.batch,
        "ratio_of_end_to_end_to_memory": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "images_per_second": {name: round(rate, 1) for name, rate in rates.items()},
        "turns": {name: [round(rate, 1) for rate in taken] for name, taken in turn.rates.items()},
        "training_cpu_ms_per_image": {name: round(1e3 * statistics.median(t), 3) for name, t in turn.cpu.items()},
        "loader_processes": turn.loader.num_workers,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "machine": platform.machine(),
    }


class Turns:
    """What the trainer is fed with: batches of the loader or of memory by turns, each turn's rate noted.

    Args:
        loader: of the recipe.
        options: of the command line.
    """

    def __init__(self, loader: DataLoader[Any], options: argparse.Namespace) -> None:
        self.loader = loader
        self.rates: dict[str, list[float]] = {}
        self.cpu: dict[str, list[float]] = {}
        self._options = options
        # What came before its turn: all that the loader's processes keep ready.
        self._ready = 1 + loader.num_workers * (loader.prefetch_factor or 0)

    def __len__(self) -> int:
        # Of a loader without a length Lightning would fetch a batch ahead, which it does not of the recipe's.
        return 2**31

    def __iter__(self) -> Iterator[Any]:
        loaded, remembered = self._epochs(), self._from_memory(next(iter(self.loader)))
        yield from self._turn(loaded, self._options.warm_up, None)
        for _ in range(self._options.rounds):
            yield from self._turn(loaded, self._options.seconds, END_TO_END)
            yield from self._turn(remembered, self._options.seconds, FROM_MEMORY)
            for _ in self._turn(loaded, self._options.seconds, LOADER):
                pass

    def _turn(self, batches: Iterator[Any], seconds: float, name: str | None) -> Iterator[Any]:
        """Pass batches on for so long; of each, the time counts until the next one is asked for."""
        for _ in range(self._ready):
            yield next(batches)
        start, used, images, count = time.perf_counter(), time.process_time(), 0, 0
        while count < LEAST or time.perf_counter() - start < seconds:
            batch = next(batches)
            images, count = images + len(batch["labels"]), count + 1
            yield batch
        if name:
            self.rates.setdefault(name, []).append(images / (time.perf_counter() - start))
            self.cpu.setdefault(name, []).append((time.process_time() - used) / images)

    def _epochs(self) -> Iterator[Any]:
        epoch = 0
        while True:
            self.loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined] # an EpochSampler
            yield from self.loader
            epoch += 1

    def _from_memory(self, like: Any) -> Iterator[Any]:  # noqa: ANN401 - a batch of whatever the recipe's loader gives
        if isinstance(like["images"], tuple):
            raise SystemExit("only images that the loader augments can be compared: data.augment_on=loader")
        # The labels stay: what a loss makes of samples of one class may take its time.
        batches = [{**like, "images": torch.randint_like(like["images"], 256)} for _ in range(IN_MEMORY)]
        while True:
            yield from batches


if __name__ == "__main__":
    main()
