from __future__ import annotations

import shutil
import socket
from datetime import timedelta

import pytest
import torch
from torch import distributed, nn
from torch.multiprocessing import start_processes

from zoo_core.api import RunError
from zoo_margin import (
    AdaFace,
    AdamW,
    ArcFace,
    CosFace,
    CurricularFace,
    ElasticFace,
    MagFace,
    SparseMarginSoftmaxLoss,
    SparseTable,
    checkpoint,
)
from zoo_margin.collectives import classes_of_rank

CPU = torch.device("cpu")
CLASSES, DIM, BATCH = 50, 8, 12
# Of batches of 12: uneven, and one rank without an image.
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
    settings = {
        "num_classes": CLASSES,
        "negatives": 20,
        "log_q": True,
        "contrast": 0.5,
        "seed": 3,
        "embedding_dim": DIM,
    }
    return SparseMarginSoftmaxLoss(MARGINS[margin](), optimizer=AdamW(), **{**settings, **options})


def train_on_rank(world_size, rank, steps, folder, options):
    """Train on this rank's share of each batch, as DDP does, and write the outcome."""
    _train_on_rank(world_size, rank, steps, folder, **options)


def _train_on_rank(
    world_size,
    rank,
    steps,
    folder,
    margin="cosface",
    load=None,
    save=None,
    bad=None,
    empty=None,
    images=BATCH,
    dtype=torch.float32,
    **options,
):
    torch.manual_seed(0)
    loss = made(margin, **options)
    network = nn.Linear(6, loss.width, dtype=dtype)
    if load:
        network.load_state_dict(torch.load(load / "network.pt"))
        loss.load_state_dict(torch.load(load / "loss.pt"))
        loss.load_class_table(load / "rows")
    values, applied = [], []
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        points = torch.randn(images, 6, generator=generator).to(dtype)
        labels = torch.randint(loss.num_classes, (images,), generator=generator)
        start, stop = CUTS[world_size][rank], CUTS[world_size][rank + 1]
        if step == empty:
            start = stop = 0
        network.zero_grad()
        local = points[start:stop]
        if step == bad and rank == 0:
            local = local * float("nan")
        value = loss(network(local), labels[start:stop])
        value.backward()
        for parameter in network.parameters():
            if world_size > 1:
                distributed.all_reduce(parameter.grad)
            parameter.data.sub_(0.05 * parameter.grad.nan_to_num(0.0) / world_size)
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


def overflow_on_rank(_world_size, rank, overflowing, folder):
    """Make steps in which the rows of one rank alone get a gradient that is not finite; write what came of each."""
    table = SparseTable(CLASSES, DIM, optimizer=AdamW(), negatives=CLASSES, seed=3)
    outcomes = []
    for rank_of_step in overflowing:
        selection = table.select(torch.arange(CLASSES))
        before = {name: tensor.clone() for name, tensor in table.tensors(CPU).items()}
        gradient = torch.full_like(selection.rows, float("inf") if rank == rank_of_step else 1.0)
        torch.autograd.backward([selection.rows, selection.own_rows], [gradient, torch.zeros_like(selection.own_rows)])
        applied = table.apply_gradients(0.05)
        moved = any(not torch.equal(before[name], tensor) for name, tensor in table.tensors(CPU).items())
        outcomes.append((applied, moved))
    torch.save(outcomes, folder / f"{rank}.pt")


def checkpoint_on_rank(_world_size, rank, method, folders, folder):
    """Save or load a table by the folder of this rank; write what went wrong, and whether the table changed."""
    loss = made("cosface")
    before = {name: tensor.clone() for name, tensor in loss.table.tensors(CPU).items()}
    message = ""
    try:
        getattr(loss, method)(folders[rank])
    except RunError as error:
        message = str(error)
    unchanged = all(torch.equal(before[name], tensor) for name, tensor in loss.table.tensors(CPU).items())
    torch.save((message, unchanged), folder / f"{rank}.pt")


def start_rank(rank, world_size, port, act, *arguments):
    rendezvous = f"tcp://127.0.0.1:{port}"
    distributed.init_process_group("gloo", rendezvous, timedelta(minutes=1), world_size=world_size, rank=rank)
    try:
        act(world_size, rank, *arguments)
    finally:
        distributed.destroy_process_group()


def start_rank_in_a_process(*arguments):
    torch.set_num_threads(1)
    start_rank(*arguments)


def on_ranks(world_size, act, *arguments):
    """Call ``act(world_size, rank, *arguments)`` on each rank, the last of which is this process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = (world_size, port, act, *arguments)
    # Forked: torch takes seconds to import.
    others = start_processes(start_rank_in_a_process, arguments, nprocs=world_size - 1, join=False, start_method="fork")
    try:
        start_rank(world_size - 1, *arguments)
    finally:
        while not others.join():
            pass


@pytest.fixture
def train(tmp_path):
    """Train with a world size, and return the outcome of the last rank with the rows of all ranks."""

    def train(world_size, steps=range(3), **options):
        folder = tmp_path / f"{world_size}-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        if world_size == 1:
            train_on_rank(1, 0, steps, folder, options)
        else:
            on_ranks(world_size, train_on_rank, steps, folder, options)
        outcomes = [torch.load(folder / f"{rank}.pt") for rank in range(world_size)]
        names = outcomes[0]["rows"]
        rows = {name: torch.cat([outcome["rows"][name] for outcome in outcomes]) for name in names}
        return {**outcomes[-1], "rows": rows}

    return train


def assert_close(one, other):
    torch.testing.assert_close(one["values"], other["values"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(one["network"], other["network"], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(one["rows"], other["rows"], rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("margin", MARGINS)
def test_training_does_not_depend_on_the_world_size(train, margin):
    alone = train(1, margin=margin)
    for world_size in (2, 3) if margin == "cosface" else (3,):
        assert_close(train(world_size, margin=margin), alone)


def test_training_with_the_same_world_size_repeats_to_the_bit(train):
    first, second = train(2), train(2)
    assert first["values"] == second["values"]
    assert all(torch.equal(first["rows"][name], second["rows"][name]) for name in first["rows"])


def test_ranks_may_have_no_class(train):
    assert [classes_of_rank(2, rank, 3) for rank in range(3)] == [(0, 0), (0, 1), (1, 2)]
    assert_close(train(3, num_classes=2, negatives=1), train(1, num_classes=2, negatives=1))


def test_there_may_be_no_other_class(train):
    found, expected = (train(world_size, num_classes=1, negatives=1) for world_size in (2, 1))
    assert_close(found, expected)
    assert all(tensor.isfinite().all() for tensor in found["network"].values())


def test_a_training_on_three_ranks_resumes_on_two(train, tmp_path, monkeypatch):
    # Several shards a rank.
    monkeypatch.setattr(checkpoint, "SHARD_BYTES", 5 * (3 * 4 * DIM + 4))
    saved = tmp_path / "saved"
    saved.mkdir()
    train(3, range(3), save=saved)
    assert len(list((saved / "rows").glob("rows-*"))) == 4 + 4 + 4
    assert_close(
        {**(resumed := train(2, range(3, 6), load=saved)), "values": resumed["values"]},
        {**(whole := train(1, range(6))), "values": whole["values"][3:]},
    )


def test_a_training_saved_after_a_step_resumes_to_the_bit(train, tmp_path):
    saved = tmp_path / "saved"
    saved.mkdir()
    train(2, range(2), save=saved)
    resumed, whole = train(2, range(2, 4), load=saved), train(2, range(4))
    assert resumed["values"] == whole["values"][2:]
    assert all(torch.equal(resumed["rows"][name], whole["rows"][name]) for name in whole["rows"])


def test_new_classes_on_several_ranks_get_the_rows_that_they_get_on_one(train, tmp_path):
    saved = tmp_path / "saved"
    saved.mkdir()
    names = [f"card {number}" for number in range(CLASSES)]
    train(2, save=saved, classes=names)
    # New ones on each of the ranks, the first and the last class among them.
    names = [name if number % 7 else f"new {number}" for number, name in enumerate(names[25:] + names[:25])]
    found, expected = (train(world_size, steps=(), load=saved, classes=names)["rows"] for world_size in (3, 1))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert len(expected["weight"].unique(dim=0)) == CLASSES


def test_a_batch_without_images_on_all_ranks_moves_nothing(train):
    alone = train(1, range(4), empty=2)
    assert alone["values"][2] == 0
    assert_close(train(3, range(4), empty=2), alone)


def test_a_non_finite_step_of_one_rank_is_skipped_on_all(train):
    with_skipped, without = train(3, range(4), bad=2), train(3, range(2))
    assert with_skipped["applied"] == [True, True, False, True]
    assert all(tensor.isfinite().all() for tensor in with_skipped["rows"].values())
    # The steps before the skipped one are unaffected.
    assert with_skipped["values"][:2] == without["values"]


def test_an_overflow_in_the_rows_of_one_rank_skips_the_step_on_all(tmp_path):
    # In the first step on the first rank, in the second on the last, in the third on none.
    on_ranks(2, overflow_on_rank, (0, 1, None), tmp_path)
    for rank in range(2):
        assert torch.load(tmp_path / f"{rank}.pt") == [(False, False), (False, False), (True, True)]


def test_embeddings_may_be_float64(train):
    assert_close(*(train(world_size, dtype=torch.float64) for world_size in (3, 1)))


def test_a_batch_may_be_one_image_of_odd_width(train):
    assert_close(*(train(world_size, images=1, embedding_dim=5) for world_size in (3, 1)))


@pytest.mark.parametrize("broken", range(2))
def test_a_table_that_one_rank_cannot_write_is_refused_on_all_and_leaves_nothing(tmp_path, broken):
    folders = [tmp_path / "good" / "rows"] * 2
    folders[broken] = tmp_path / "file" / "rows"
    (tmp_path / "file").write_text("", encoding="utf-8")
    on_ranks(2, checkpoint_on_rank, "save_class_table", folders, tmp_path)
    for rank in range(2):
        message, unchanged = torch.load(tmp_path / f"{rank}.pt")
        assert message.startswith(f"{folders[rank]}: the class table cannot be written: Not a directory; ")
        assert unchanged
    assert not any((tmp_path / "good").glob("*"))


@pytest.mark.parametrize("broken", range(3))
def test_a_shard_that_one_rank_cannot_read_is_refused_on_all(train, tmp_path, broken):
    whole, damaged = tmp_path / "whole", tmp_path / "damaged"
    whole.mkdir()
    train(3, save=whole)
    shutil.copytree(whole, damaged)
    folders = [whole / "rows"] * 3
    folders[broken] = damaged / "rows"
    # Each rank reads the shard that it wrote.
    shard = sorted(folders[broken].glob("rows-*"))[broken]
    shard.write_bytes(shard.read_bytes()[:-4])
    on_ranks(3, checkpoint_on_rank, "load_class_table", folders, tmp_path)
    for rank in range(3):
        message, unchanged = torch.load(tmp_path / f"{rank}.pt")
        assert message.startswith(f"{shard}: cannot be read")
        assert unchanged
