"""Steps of a class table that the ranks share: ``torchrun --nproc-per-node N ranks.py cuda|cpu [--tiny]``.

Prints a line of JSON: what the first rank measures, which is the same on all of them, and for any number of them.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from statistics import median
from typing import Any

import torch
from torch import distributed

from zoo_margin import SGD, CosFace, SparseMarginSoftmaxLoss

CLASSES, DIM, BATCH, NEGATIVES = 100_000, 512, 512, 8192
STEPS = 20


def main() -> None:
    """Measure as one rank of several."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("device", choices=["cuda", "cpu"])
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    figures = measured(device, tiny=options.tiny)
    if distributed.get_rank() == 0:
        print(json.dumps(figures), flush=True)
    distributed.destroy_process_group()


def measured(device: torch.device, *, tiny: bool) -> dict[str, Any]:
    """Take steps with this rank's share of one batch, and return what came of the first one, and how long they take."""
    in_group = distributed.is_initialized()
    rank, count = (distributed.get_rank(), distributed.get_world_size()) if in_group else (0, 1)
    classes, dim, negatives = (1000, 32, 64) if tiny else (CLASSES, DIM, NEGATIVES)
    loss = SparseMarginSoftmaxLoss(
        CosFace(0.4), embedding_dim=dim, num_classes=classes, optimizer=SGD(), negatives=negatives
    ).to(device)
    random = torch.Generator().manual_seed(0)
    everything = torch.randn(BATCH, dim, generator=random)
    labels = torch.randint(classes, (BATCH,), generator=random)
    own = slice(rank * BATCH // count, (rank + 1) * BATCH // count)
    embeddings, own_labels = everything[own].to(device), labels[own].to(device)
    rows = loss.table.tensors(device)["weight"]
    before = rows.clone()
    first, times = {}, []
    for step in range(3 if tiny else STEPS):
        wait(device)
        start = time.perf_counter()
        given = embeddings.clone().requires_grad_()
        value = loss(given, own_labels)
        value.backward()
        loss.apply_gradients(1e-3)
        wait(device)
        times.append(1e3 * (time.perf_counter() - start))
        if step == 0:
            assert given.grad is not None  # noqa: S101 - backward has just made it
            # The gradient comes back multiplied by the number of ranks, for DDP to divide.
            squares = torch.stack([(given.grad / count).square().sum(), (rows - before).square().sum()])
            if in_group:
                distributed.all_reduce(squares)
            gradient, moved = squares.sqrt().tolist()
            first = {"loss": float(value.detach()), "gradient_norm": gradient, "rows_norm": moved}
    backend = distributed.get_backend() if in_group else None
    return {**first, "step_ms": round(median(times[1:]), 3), "ranks": count, "backend": backend}


def wait(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
