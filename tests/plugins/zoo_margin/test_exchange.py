from __future__ import annotations

import os
import socket

import pytest
import torch
from torch import distributed, nn
from torch.multiprocessing import start_processes

from zoo_margin import (
    AdaFace,
    AdamW,
    ArcFace,
    CosFace,
    CurricularFace,
    ElasticFace,
    MagFace,
    SparseMarginSoftmaxLoss,
)
from zoo_margin.exchange import shard

CPU = torch.device("cpu")
CLASSES, DIM, BATCH = 50, 8, 12
# Uneven, and one rank without an image.
CUTS = {1: (0, 12), 2: (0, 7, 12), 3: (0, 4, 4, 12)}
MARGINS = {
    "cosface": lambda: CosFace(0.4),
    "arcface": lambda: ArcFace(0.5),
    "adaface": lambda: AdaFace(0.4, 0.333),
    "magface": lambda: MagFace(low_m=0.1, high_m=0.5, low_norm=0.1, high_norm=10.0, weight=3.0),
    "curricularface": lambda: CurricularFace(0.3),
    "elasticface": lambda: ElasticFace(0.3, 0.05, angular=True),
}


def made(margin, **options):
    settings = {"num_classes": CLASSES, "negatives": 20, "log_q": True, "contrast": 0.5, "seed": 3, **options}
    return SparseMarginSoftmaxLoss(MARGINS[margin](), embedding_dim=DIM, optimizer=AdamW(), **settings)


def trained(ranks, rank, steps, folder, margin="cosface", load=None, save=None, bad=None, empty=None, **options):
    """Train on this rank's part of each batch, as DDP would, and write what became of it."""
    torch.manual_seed(0)
    network, loss = nn.Linear(6, DIM), made(margin, **options)
    if load:
        network.load_state_dict(torch.load(load / "network.pt"))
        loss.load_state_dict(torch.load(load / "loss.pt"))
        loss.load_class_table(load / "rows")
    values, applied = [], []
    for step in steps:
        chance = torch.Generator().manual_seed(step)
        points = torch.randn(BATCH, 6, generator=chance)
        labels = torch.randint(loss.num_classes, (BATCH,), generator=chance)
        start, stop = CUTS[ranks][rank], CUTS[ranks][rank + 1]
        if step == empty:
            start = stop = 0
        network.zero_grad()
        part = points[start:stop]
        if step == bad and rank == 0:
            part = part * float("nan")
        value = loss(network(part), labels[start:stop])
        value.backward()
        for parameter in network.parameters():
            if ranks > 1:
                distributed.all_reduce(parameter.grad)
            parameter.data.sub_(0.05 * parameter.grad.nan_to_num(0.0) / ranks)
        applied.append(loss.apply_gradients(0.05))
        values.append(value.item())
    if save:
        loss.save_class_table(save / "rows")
        torch.save(network.state_dict(), save / "network.pt")
        torch.save(loss.state_dict(), save / "loss.pt")
    rows = {name: tensor.clone() for name, tensor in loss.table.tensors(CPU).items()}
    torch.save(
        {"values": values, "applied": applied, "rows": rows, "network": network.state_dict()}, folder / f"{rank}.pt"
    )


def on_rank(rank, ranks, port, folder, steps, options):
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    distributed.init_process_group("gloo", rank=rank, world_size=ranks)
    try:
        trained(ranks, rank, steps, folder, **options)
    finally:
        distributed.destroy_process_group()


@pytest.fixture
def train(tmp_path):
    """Train on so many ranks, and return the last rank's facts with the rows of all."""

    def run(ranks, steps=range(3), **options):
        folder = tmp_path / f"{ranks}-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        if ranks == 1:
            trained(1, 0, steps, folder, **options)
        else:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            # Forked: torch takes seconds to import.
            arguments = (ranks, port, folder, steps, options)
            start_processes(on_rank, arguments, nprocs=ranks, start_method="fork")
        parts = [torch.load(folder / f"{rank}.pt") for rank in range(ranks)]
        names = parts[0]["rows"]
        return {**parts[-1], "rows": {name: torch.cat([part["rows"][name] for part in parts]) for name in names}}

    return run


def assert_alike(one, other):
    torch.testing.assert_close(one["values"], other["values"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(one["network"], other["network"], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(one["rows"], other["rows"], rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("margin", MARGINS)
def test_any_number_of_ranks_trains_alike(train, margin):
    alone = train(1, margin=margin)
    for ranks in (2, 3) if margin == "cosface" else (3,):
        assert_alike(train(ranks, margin=margin), alone)


def test_the_same_ranks_train_alike_to_the_bit(train):
    first, second = train(2), train(2)
    assert first["values"] == second["values"]
    assert all(torch.equal(first["rows"][name], second["rows"][name]) for name in first["rows"])


def test_ranks_without_a_class_take_part(train):
    assert [shard(2, rank, 3) for rank in range(3)] == [(0, 0), (0, 1), (1, 2)]
    assert_alike(train(3, num_classes=2, negatives=1), train(1, num_classes=2, negatives=1))


def test_trained_on_three_and_resumed_on_two_is_as_uninterrupted(train, tmp_path):
    saved = tmp_path / "saved"
    saved.mkdir()
    train(3, range(3), save=saved)
    assert_alike(
        {**(resumed := train(2, range(3, 6), load=saved)), "values": resumed["values"]},
        {**(whole := train(1, range(6))), "values": whole["values"][3:]},
    )


def test_saved_right_after_a_step_it_goes_on_to_the_bit(train, tmp_path):
    saved = tmp_path / "saved"
    saved.mkdir()
    train(2, range(2), save=saved)
    resumed, whole = train(2, range(2, 4), load=saved), train(2, range(4))
    assert resumed["values"] == whole["values"][2:]
    assert all(torch.equal(resumed["rows"][name], whole["rows"][name]) for name in whole["rows"])


def test_a_batch_without_an_image_on_any_rank_moves_nothing(train):
    alone = train(1, range(4), empty=2)
    assert alone["values"][2] == 0
    assert_alike(train(3, range(4), empty=2), alone)


def test_what_is_no_number_on_one_rank_is_left_out_on_all(train):
    with_accident, without = train(3, range(4), bad=2), train(3, range(2))
    assert with_accident["applied"] == [True, True, False, True]
    assert all(tensor.isfinite().all() for tensor in with_accident["rows"].values())
    # What came before the accident is there: the third step alone is missing.
    assert with_accident["values"][:2] == without["values"]
