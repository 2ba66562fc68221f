"""A step of the class table by number of classes: milliseconds and memory, as JSON and a plot.

    python benchmarks/class_table.py --json OUT --plot OUT.png
    python benchmarks/class_table.py --classes 100000 1000000 --negatives 8192 --modes sampled dense --json OUT

Modes, all over the same batches: ``sampled`` is zoo's table with a fixed number of negatives, ``rate`` the same with a
tenth of the classes, and ``dense`` what PartialFC V2 does (An et al. 2022, arXiv:2203.15565): as many classes as
``sampled`` in the forward pass, but a gradient and an optimizer over all rows. Each row is a process of its own; its
``peak_mb`` is what the table, its state and the steps added to it. ``products_ms`` is the limit, measured between the
steps: the three matrix products that a softmax over the sampled classes needs, and nothing else. A machine may change
its pace: of several ``--rounds`` over all rows each row is from the round in which these products were fastest.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo_margin import SGD, Adagrad, AdamW, CosFace, SparseMarginSoftmaxLoss
from zoo_margin.sampling import sampled_classes

if TYPE_CHECKING:
    from collections.abc import Callable

OPTIMIZERS = {
    "sgd": (SGD(momentum=0.9), lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9)),
    "adamw": (AdamW(), lambda parameters: torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.0)),
    "adagrad": (Adagrad(), lambda parameters: torch.optim.Adagrad(parameters, lr=1e-3)),
}
# Bytes that a row's number stands for: of the table, the gradient and the optimizer's state.
COPIES = {"sampled": {"sgd": 2, "adamw": 3, "adagrad": 1}, "dense": {"sgd": 3, "adamw": 4, "adagrad": 3}}
SCALE, MARGIN = 64.0, 0.4
PARTS = ("sample_ms", "forward_ms", "backward_ms", "update_ms")


class DenseTable(nn.Module):
    """PartialFC V2 on one device: rows are sampled, gradient and optimizer are not."""

    def __init__(self, classes: int, dim: int, negatives: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, dim).normal_(std=0.01))
        self.negatives = negatives
        self.step = 0

    def sample(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Classes that take part, in order, and where the labels are among them."""
        self.step += 1
        chosen = sampled_classes(len(self.weight), self.negatives, seed=0, step=self.step)
        ids, columns = torch.cat([labels, chosen]).unique(return_inverse=True)
        return ids, columns[: len(labels)]

    def loss(self, embeddings: Tensor, ids: Tensor, labels: Tensor) -> Tensor:
        """CosFace over the classes ``ids``."""
        cosines = functional.normalize(embeddings) @ functional.normalize(self.weight[ids]).T
        margin = torch.zeros_like(cosines).scatter_(1, labels[:, None], MARGIN)
        return functional.cross_entropy(SCALE * (cosines.clamp(-1, 1) - margin), labels)


def steps_of(
    mode: str,
    optimizer: str,
    classes: int,
    negatives: int,
    products: Callable[[], None],
    options: argparse.Namespace,
) -> list[dict[str, float]]:
    """Make steps, and return the milliseconds of the parts of each."""
    by_row, of_torch = OPTIMIZERS[optimizer]
    chance = torch.Generator().manual_seed(0)
    dense = DenseTable(classes, options.dim, negatives) if mode == "dense" else None
    sparse = SparseMarginSoftmaxLoss(
        CosFace(MARGIN), embedding_dim=options.dim, num_classes=classes, s=SCALE, optimizer=by_row, negatives=negatives
    )
    updates = of_torch(dense.parameters()) if dense else None
    select = sparse.table.select
    steps = []
    for _ in range(options.warm_up + options.steps):
        embeddings = torch.randn(options.batch, options.dim, generator=chance).requires_grad_()
        labels = torch.randint(classes, (options.batch,), generator=chance)
        clock = [time.perf_counter()]
        if dense:
            ids, columns = dense.sample(labels)
            clock.append(time.perf_counter())
            loss = dense.loss(embeddings, ids, columns)
        else:
            selection = select(labels)
            sparse.table.select = lambda _, chosen=selection: chosen  # type: ignore[method-assign] # timed apart
            clock.append(time.perf_counter())
            loss = sparse(embeddings, labels)
        clock.append(time.perf_counter())
        loss.backward()
        clock.append(time.perf_counter())
        if updates:
            updates.step()
            updates.zero_grad()
        else:
            sparse.apply_gradients(1e-3)
        clock.append(time.perf_counter())
        products()
        clock.append(time.perf_counter())
        parts = [1e3 * (after - before) for before, after in itertools.pairwise(clock)]
        steps.append(dict(zip((*PARTS, "products_ms"), parts, strict=True)))
    return steps[options.warm_up :]


def matrix_products(batch: int, dim: int, classes: int) -> Callable[[], None]:
    """What makes the cosines of a batch with so many classes, and the gradients of both."""
    directions, rows, cosines = torch.randn(batch, dim), torch.randn(classes, dim), torch.empty(batch, classes)
    to_directions, to_rows = torch.empty_like(directions), torch.empty_like(rows)

    def multiply() -> None:
        torch.mm(directions, rows.T, out=cosines)
        torch.mm(cosines, rows, out=to_directions)
        torch.mm(cosines.T, directions, out=to_rows)

    return multiply


def measure(mode: str, optimizer: str, classes: int, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one row in this process."""
    negatives = classes // 10 if mode == "rate" else min(options.negatives, classes)
    # What torch itself takes when it first multiplies is not the table's.
    products = matrix_products(options.batch, options.dim, negatives + options.batch)
    products()
    torch.randn(64, 64).requires_grad_().matmul(torch.randn(64, 64)).sum().backward()
    # A training loop has images in memory. Without any, the C library gives memory back after each step, and to get
    # it again takes a third of the next.
    torch.empty(8 * 2**20)
    before = resident("VmRSS")
    steps = steps_of(mode, optimizer, classes, negatives, products, options)
    whole = [sum(step[part] for part in PARTS) for step in steps]
    return {
        "step_ms": round(median(whole), 2),
        "fastest_ms": round(min(whole), 2),
        **{name: round(median(step[name] for step in steps), 2) for name in steps[0]},
        "peak_mb": round(resident("VmHWM") - before, 1),
        "table_and_state_mb": round(classes * options.dim * 4 * COPIES[kind(mode)][optimizer] / 2**20, 1),
    }


def kind(mode: str) -> str:
    """Whether rows are updated one by one."""
    return "dense" if mode == "dense" else "sampled"


def resident(line: str) -> float:
    """Megabytes that ``/proc`` says of this process in that line."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(text.split()[1]) / 1024 for text in status.splitlines() if text.startswith(line))


def fits(mode: str, optimizer: str, classes: int, dim: int) -> bool:
    """Whether the rows will fit into what memory is free, with a fifth to spare."""
    text = Path("/proc/meminfo").read_text(encoding="utf-8")
    free = next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("MemAvailable"))
    # The dense optimizers hold one more copy while they work.
    copies = COPIES[kind(mode)][optimizer] + (mode == "dense")
    return classes * dim * 4 * copies * 1.2 < free


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw milliseconds a step over classes."""
    import matplotlib as mpl  # noqa: PLC0415 - only for the plot

    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    colours = {"sampled": "tab:green", "rate": "tab:orange", "dense": "tab:red"}
    marks = {"sgd": "s", "adamw": "o", "adagrad": "^"}
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for mode, optimizer in dict.fromkeys((row["mode"], row["optimizer"]) for row in rows):
        line = [row for row in rows if (row["mode"], row["optimizer"]) == (mode, optimizer) and "step_ms" in row]
        axes.plot(
            [row["classes"] for row in line],
            [row["step_ms"] for row in line],
            marker=marks[optimizer],
            color=colours[mode],
            label=f"{mode}, {optimizer}",
        )
    axes.set(xscale="log", yscale="log", xlabel="classes", ylabel="milliseconds a step")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure every combination that fits into memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000, 10_000_000])
    parser.add_argument("--negatives", type=int, default=8192)
    parser.add_argument(
        "--modes", nargs="+", choices=["sampled", "rate", "dense"], default=["sampled", "rate", "dense"]
    )
    parser.add_argument("--optimizers", nargs="+", choices=[*OPTIMIZERS], default=[*OPTIMIZERS])
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        mode, optimizer, classes = options.one
        print(json.dumps(measure(mode, optimizer, int(classes), options)))
        return
    combinations = list(itertools.product(options.classes, options.modes, options.optimizers))
    rounds = [[_row(*combination, options) for combination in combinations] for _ in range(options.rounds)]
    rows = [min(tries, key=lambda row: row.get("products_ms", 0)) for tries in zip(*rounds, strict=True)]
    facts = {
        "batch": options.batch,
        "dim": options.dim,
        "negatives": options.negatives,
        "steps": options.steps,
        "rounds": options.rounds,
    }
    facts |= {"torch": torch.__version__, "cores": os.cpu_count(), "machine": platform.machine()}
    result = json.dumps({"schema": 1, **facts, "rows": rows}, indent=1)
    if options.json:
        options.json.write_text(result + "\n", encoding="utf-8")
    else:
        print(result)
    if options.plot:
        plot(rows, options.plot)


_TOO_LARGE = {"skipped": "does not fit into memory"}


def _row(classes: int, mode: str, optimizer: str, options: argparse.Namespace) -> dict[str, Any]:
    row: dict[str, Any] = {"mode": mode, "classes": classes, "optimizer": optimizer}
    row |= _measured(row, options) if fits(mode, optimizer, classes, options.dim) else _TOO_LARGE
    print(json.dumps(row), file=sys.stderr)
    return row


def _measured(row: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    names = ("negatives", "dim", "batch", "steps", "warm_up")
    given = [f"--{name.replace('_', '-')}={getattr(options, name)}" for name in names]
    command = [sys.executable, __file__, *given, "--one", row["mode"], row["optimizer"], str(row["classes"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    if done.returncode:
        return {"failed": done.stderr.strip().rpartition("\n")[2] or f"exit {done.returncode}"}
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


if __name__ == "__main__":
    main()
