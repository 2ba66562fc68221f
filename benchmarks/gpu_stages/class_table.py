"""A step of the class table by number of classes: its parts, its memory, the matrix products, and the dense mode.

Measured as ``benchmarks/class_table.py`` does it on a CPU, whose dense mode this is: the same sample of classes, but a
gradient and an optimizer over all rows. The first values of the rows are made on the device; zoo makes them on the
CPU, for which ``first_values_s`` says what ten million rows would take.
"""

from __future__ import annotations

import itertools
import time
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch
from class_table import COPIES, MARGIN, OPTIMIZERS, PARTS, SCALE, DenseTable
from torch import Tensor

from gpu_stages.session import MEBIBYTE, Skipped
from zoo_margin import CosFace, SparseMarginSoftmaxLoss, sparse_table
from zoo_margin.sampling import initial_rows, sampled_classes

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpu_stages.session import Session

# Of the step with the most classes to that with the fewest.
AIM = 1.2
CLASSES = (100_000, 1_000_000, 10_000_000)
BATCH, DIM, NEGATIVES = 256, 512, 8192
Step = tuple["Callable[[], Any]", ...]


def run(session: Session) -> None:
    """Measure every optimizer at every size, the sparse tables first."""
    classes, dim = session.size((CLASSES, DIM), ((500, 1000), 16))
    session.report.add("aim_ratio_to_smallest", AIM)
    session.report.add("sizes", {"batch": BATCH, "dim": dim, "negatives": session.size(NEGATIVES, 64)})
    session.report.add("first_values_s", _first_values(session, classes[0], dim, classes[-1]))
    products = session.attempt("products", partial(_products, session, dim))
    rows: dict[str, dict[str, Any]] = {}
    for mode, count, optimizer in itertools.product(("sparse", "dense"), classes, OPTIMIZERS):
        name = f"{mode}/{optimizer}, {count} classes"
        figure = session.tried(name, partial(_measured, session, mode, optimizer, count, dim), least=5)
        if "step_ms" in figure and "step_ms" in products:
            figure["times_products"] = round(figure["step_ms"] / products["step_ms"], 2)
        rows.setdefault(f"{mode}/{optimizer}", {})[str(count)] = figure
        session.report.add("rows", rows)
    session.report.add("ratios_to_smallest", {name: _ratios(rows[f"sparse/{name}"]) for name in OPTIMIZERS})


def _ratios(by_classes: dict[str, dict[str, Any]]) -> dict[str, float]:
    steps = {count: figure["step_ms"] for count, figure in by_classes.items() if "step_ms" in figure}
    smallest = next(iter(steps.values()), 1.0)
    return {count: round(step / smallest, 2) for count, step in steps.items()}


def _first_values(session: Session, rows: int, dim: int, of: int) -> float:
    """Time zoo's first values of so many rows, and return what they would take for all."""
    rows = min(rows, session.size(20_000, 200))
    start = time.perf_counter()
    initial_rows(0, rows, dim, seed=0, std=0.01)
    return round((time.perf_counter() - start) * of / rows, 1)


def _products(session: Session, dim: int) -> dict[str, Any]:
    """Measure the three matrix products that no softmax over the sampled classes can do without."""
    sampled = session.size(NEGATIVES, 64) + BATCH
    directions, rows = (torch.randn(count, dim, device=session.device) for count in (BATCH, sampled))

    def multiply() -> None:
        cosines = directions @ rows.T
        torch.mm(cosines, rows)
        torch.mm(cosines.T, directions)

    milliseconds = session.measured(multiply, repeat=50)
    flops = 3 * 2 * BATCH * sampled * dim
    return {"step_ms": round(milliseconds, 4), "tflop_per_second": round(flops / milliseconds / 1e9, 2)}


def _measured(session: Session, mode: str, optimizer: str, classes: int, dim: int) -> dict[str, Any]:
    copies = COPIES["dense" if mode == "dense" else "sampled"][optimizer]
    needed = classes * dim * 4 * copies
    if session.on_gpu:
        free, _ = torch.cuda.mem_get_info(session.device)
        if needed > free:
            raise Skipped(f"table and state take {needed / 1e9:.0f} GB, {free / 1e9:.0f} GB are free")
    before = torch.cuda.memory_allocated(session.device) / MEBIBYTE if session.on_gpu else 0.0
    make = _dense if mode == "dense" else _sparse
    with _first_values_on(session.device):
        parts = make(session, optimizer, classes, dim)
        step = partial(_whole, parts)
        milliseconds = session.measured(step, repeat=10, rounds=5)
        split = _split(session, parts, repeat=session.size(10, 2))
    peak = session.peak_mb()
    touched = (session.size(NEGATIVES, 64) + BATCH) * dim * 4
    return {
        "step_ms": round(milliseconds, 3),
        **split,
        "peak_mb": None if peak is None else round(peak - before, 1),
        "table_and_state_mb": round(needed / MEBIBYTE, 1),
        # Read and written at the least: what a step touches of the table, or all of it.
        "moved_mb": round(2 * copies * (classes * dim * 4 if mode == "dense" else touched) / MEBIBYTE, 1),
    }


def _whole(parts: Step) -> None:
    value = None
    for part in parts:
        value = part(value)


def _split(session: Session, parts: Step, *, repeat: int) -> dict[str, float]:
    """Time the parts of a step apart, waiting for the device between them."""
    times: list[list[float]] = []
    for _ in range(repeat):
        value, clock = None, []
        for part in parts:
            session.synchronise()
            start = time.perf_counter()
            value = part(value)
            session.synchronise()
            clock.append(1e3 * (time.perf_counter() - start))
        times.append(clock)
    return {name: round(median(column), 3) for name, column in zip(PARTS, zip(*times, strict=True), strict=True)}


def _batch(session: Session, classes: int, dim: int) -> tuple[Tensor, Tensor]:
    embeddings = torch.randn(BATCH, dim, device=session.device)
    return embeddings, torch.randint(classes, (BATCH,), device=session.device)


def _sparse(session: Session, optimizer: str, classes: int, dim: int) -> Step:
    loss = SparseMarginSoftmaxLoss(
        CosFace(MARGIN),
        embedding_dim=dim,
        num_classes=classes,
        s=SCALE,
        optimizer=OPTIMIZERS[optimizer][0],
        negatives=session.size(NEGATIVES, 64),
    ).to(session.device)
    embeddings, labels = _batch(session, classes, dim)
    select = loss.table.select

    def sample(_: None) -> Any:  # noqa: ANN401 - what the table selects
        return select(labels)

    def forward(selection: Any) -> Tensor:  # noqa: ANN401 - as above
        # Timed apart: the loss is to take what has been selected.
        with mock.patch.object(loss.table, "select", return_value=selection):
            value: Tensor = loss(embeddings.detach().requires_grad_(), labels)
        return value

    return sample, forward, Tensor.backward, lambda _: loss.apply_gradients(1e-3)


def _dense(session: Session, optimizer: str, classes: int, dim: int) -> Step:
    negatives = session.size(NEGATIVES, 64)
    with session.device:
        dense = DenseTable(classes, dim, negatives)
    updates = OPTIMIZERS[optimizer][1](dense.parameters())
    embeddings, labels = _batch(session, classes, dim)

    def sample(_: None) -> tuple[Tensor, Tensor]:
        dense.step += 1
        chosen = sampled_classes(classes, negatives, seed=0, step=dense.step).to(session.device)
        ids, places = torch.cat([labels, chosen]).unique(return_inverse=True)
        return ids, places[:BATCH]

    def forward(sampled: tuple[Tensor, Tensor]) -> Tensor:
        return dense.loss(embeddings.detach().requires_grad_(), *sampled)

    def update(_: None) -> None:
        updates.step()
        updates.zero_grad()

    return sample, forward, Tensor.backward, update


def _first_values_on(device: torch.device) -> Any:  # noqa: ANN401 - a patch
    """Let a table make its first values on the device: on the CPU, ten million rows take minutes."""

    def rows(start: int, stop: int, width: int, *, std: float, **_: object) -> Tensor:
        return torch.empty(stop - start, width, device=device).normal_(std=std)

    return mock.patch.object(sparse_table, "initial_rows", rows)
