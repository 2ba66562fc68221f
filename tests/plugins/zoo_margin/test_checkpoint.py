from __future__ import annotations

import json
import shutil
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from zoo_core.api import RunError
from zoo_margin import SGD, Adagrad, AdamW, CosFace, SparseMarginSoftmaxLoss, checkpoint
from zoo_margin.sampling import INITIAL_STD, initial_rows
from zoo_margin.sparse_table import SparseTable

CPU = torch.device("cpu")


def made(names, dim=4, optimizer=None, seed=0, centers=1):
    return SparseMarginSoftmaxLoss(
        CosFace(0.4),
        embedding_dim=dim,
        num_classes=len(names),
        classes=names,
        optimizer=optimizer or AdamW(),
        negatives=5,
        seed=seed,
        centers=centers,
    )


def trained(names, steps=4, **options):
    torch.manual_seed(0)
    loss = made(names, **options)
    for _ in range(steps):
        loss(torch.randn(6, 4), torch.randint(len(names), (6,))).backward()
        loss.apply_gradients(0.1)
    return loss


def rows_of(loss):
    return loss.table.tensors(CPU)


@contextmanager
def unchanged(loss):
    """Check that the table is the same at the end."""
    before = {name: tensor.clone() for name, tensor in rows_of(loss).items()}
    step = loss.table.step
    yield
    assert all(torch.equal(before[name], tensor) for name, tensor in rows_of(loss).items())
    assert loss.table.step == step


NAMES = [f"card {number}" for number in range(30)]


@pytest.fixture
def saved(tmp_path):
    loss = trained(NAMES)
    loss.save_class_table(tmp_path / "rows")
    return loss, tmp_path / "rows"


@pytest.fixture(params=[1, 300, 10**6], ids=["one row a shard", "some", "one shard"])
def shard_bytes(request, monkeypatch):
    monkeypatch.setattr(checkpoint, "SHARD_BYTES", request.param)


@pytest.mark.usefixtures("shard_bytes")
@pytest.mark.parametrize(
    "optimizer", [SGD(), AdamW(), Adagrad(), SGD(momentum=0)], ids=["sgd", "adamw", "adagrad", "plain"]
)
def test_a_saved_table_is_loaded_to_the_byte(tmp_path, optimizer):
    loss = trained(NAMES, optimizer=optimizer)
    loss.save_class_table(tmp_path / "rows")
    other = made(NAMES, optimizer=optimizer, seed=7)
    assert other.load_class_table(tmp_path / "rows") == "30 classes as they were"
    assert other.table.step == 4
    assert all(torch.equal(rows_of(other)[name], tensor) for name, tensor in rows_of(loss).items())


@pytest.mark.usefixtures("shard_bytes")
def test_classes_find_their_rows_by_name(tmp_path):
    loss = trained(NAMES)
    loss.save_class_table(tmp_path / "rows")
    names = ["new one", *reversed(NAMES[10:]), "new two"]
    # Its values from before are overwritten.
    other = trained(names, seed=7)
    assert other.load_class_table(tmp_path / "rows") == "20 classes as they were, 2 new, 10 gone"
    for name, tensor in rows_of(other).items():
        assert torch.equal(tensor[1:21], rows_of(loss)[name][10:].flip(0))
        new = initial_rows(30, 32, 4, seed=7, std=INITIAL_STD) if name == "weight" else torch.zeros_like(tensor[:2])
        assert torch.equal(tensor[[0, 21]], new)


def test_a_new_class_has_initial_values_that_no_other_class_had(tmp_path):
    first = made(NAMES)
    first.save_class_table(tmp_path / "1")
    second = made([*"abc", *NAMES[5:]])
    second.load_class_table(tmp_path / "1")
    second.save_class_table(tmp_path / "2")
    third = made([*"defghij", *NAMES[5:], *"abc"])
    third.load_class_table(tmp_path / "2")
    rows = torch.cat([rows_of(first)["weight"], rows_of(third)["weight"][[*range(7), -3, -2, -1]]])
    assert len(rows.unique(dim=0)) == 30 + 7 + 3


def test_names_of_any_kind_survive(tmp_path):
    names = ["Überweisung", "身分證", "a\nb", "a\0b", 'quo"te', "", "\udce9 from the file system"]
    trained(names).save_class_table(tmp_path / "rows")
    assert made(names[::-1]).load_class_table(tmp_path / "rows") == "7 classes as they were, 0 new, 0 gone"
    assert made(["a", *names]).load_class_table(tmp_path / "rows") == "7 classes as they were, 1 new, 0 gone"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda: made(NAMES, dim=5), "width is 4, but 5"),
        (lambda: made(NAMES, dim=2, centers=2), "centers is 1, but 2"),
        (lambda: made(NAMES, optimizer=SGD()), "optimizer is AdamW, but SGD"),
        (lambda: made(["another", "pool"]), "not one of its 30 classes"),
        (lambda: made([*NAMES[:5], NAMES[0]]), "same name"),
    ],
    ids=["width", "centers", "optimizer", "no class in common", "two of one name"],
)
def test_a_different_table_is_refused_and_nothing_changes(saved, other, words):
    table = other()
    with unchanged(table), pytest.raises(RunError, match=words):
        table.load_class_table(saved[1])


def test_a_different_optimizer_state_is_refused(tmp_path):
    trained(NAMES, optimizer=SGD()).save_class_table(tmp_path / "rows")
    with pytest.raises(RunError, match="state is momentum_buffer, but nothing"):
        made(NAMES, optimizer=SGD(momentum=0)).load_class_table(tmp_path / "rows")


def damage_nothing_there(folder):
    shutil.rmtree(folder)


def damage_no_manifest(folder):
    (folder / "table.json").unlink()


def damage_half_a_manifest(folder):
    (folder / "table.json").write_text((folder / "table.json").read_text(encoding="utf-8")[:40], encoding="utf-8")


def damage_other_json(folder):
    (folder / "table.json").write_text("[]", encoding="utf-8")


def damage_a_shard_is_missing(folder):
    next(folder.glob("rows-*")).unlink()


def damage_half_a_shard(folder):
    shard = next(folder.glob("rows-*"))
    shard.write_bytes(shard.read_bytes()[:-10])


def edit_manifest(folder, edit):
    manifest = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    edit(manifest)
    (folder / "table.json").write_text(json.dumps(manifest), encoding="utf-8")


def damage_the_last_shard_is_not_listed(folder):
    edit_manifest(folder, lambda manifest: manifest.update(classes=manifest["classes"] + 1))


def damage_no_step(folder):
    edit_manifest(folder, lambda manifest: manifest.pop("step"))


def damage_no_names(folder):
    edit_manifest(folder, lambda manifest: manifest.pop("names"))


def damage_two_shards_are_swapped(folder):
    one, two, *_ = sorted(folder.glob("rows-*"))
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)


def damage_a_bit(folder):
    shard = max(folder.glob("rows-*"))
    content = bytearray(shard.read_bytes())
    content[-3] ^= 4
    shard.write_bytes(content)


def edit_shard(folder, edit):
    shard = max(folder.glob("rows-*"))
    with safe_open(shard, framework="pt") as file:
        metadata = file.metadata()
    save_file({name: edit(tensor) for name, tensor in load_file(shard).items()}, shard, metadata)


def damage_one_row_too_few(folder):
    edit_shard(folder, lambda tensor: tensor[1:].clone())


def damage_one_number_for_a_row(folder):
    edit_shard(folder, lambda tensor: tensor[..., :1].clone())


def damage_another_precision(folder):
    edit_shard(folder, lambda tensor: tensor.half())


@pytest.mark.parametrize(
    "damage", [value for name, value in list(globals().items()) if name.startswith("damage_")], ids=lambda f: f.__name__
)
def test_a_damaged_folder_is_refused_by_name_and_nothing_changes(tmp_path, monkeypatch, damage):
    monkeypatch.setattr(checkpoint, "SHARD_BYTES", 600)
    trained(NAMES).save_class_table(tmp_path / "rows")
    damage(tmp_path / "rows")
    other = trained(NAMES, seed=3)
    with unchanged(other), pytest.raises(RunError, match=str(tmp_path / "rows")) as caught:
        other.load_class_table(tmp_path / "rows")
    assert str(caught.value).count("use another checkpoint") <= 1


def test_a_flipped_bit_anywhere_in_the_folder_is_refused(tmp_path):
    folder = tmp_path / "rows"
    trained(NAMES).save_class_table(folder)
    other = trained(NAMES, seed=3)
    random = np.random.default_rng(1)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for bit in random.choice(8 * len(whole), 40, replace=False).tolist():
            path.write_bytes(whole[: bit // 8] + bytes([whole[bit // 8] ^ 1 << bit % 8]) + whole[bit // 8 + 1 :])
            with unchanged(other), pytest.raises(RunError, match=str(folder)):
                other.load_class_table(folder)
        path.write_bytes(whole)
    other.load_class_table(folder)


def test_a_save_that_fails_leaves_nothing_behind(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(RunError, match="cannot be written"):
        trained(NAMES).save_class_table(tmp_path / "file" / "rows")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_saving_to_the_same_folder_is_refused_and_keeps_its_content(saved):
    loss, folder = saved
    loss.drop_gradients()
    with pytest.raises(RunError, match="it is there already"):
        loss.save_class_table(folder)
    other = made(NAMES)
    other.load_class_table(folder)
    assert other.table.step == 4
    assert [path.name for path in folder.parent.iterdir()] == ["rows"]


def test_names_have_to_match_the_number_of_classes():
    with pytest.raises(ValueError, match="30 names of 31 classes"):
        SparseMarginSoftmaxLoss(
            CosFace(0.4), embedding_dim=4, num_classes=31, classes=NAMES, optimizer=SGD(), negatives=5
        )


@pytest.mark.parametrize("saves_first", [True, False])
def test_a_table_is_made_where_the_loss_is(tmp_path, saved, monkeypatch, saves_first):
    # Training saves before its first step, when the loss is on its device and the table is not made.
    asked = set()
    tensors = SparseTable.tensors
    monkeypatch.setattr(SparseTable, "tensors", lambda self, device: asked.add(device.type) or tensors(self, CPU))
    loss = made(NAMES).to("meta")
    if saves_first:
        loss.save_class_table(tmp_path / "table")
    else:
        loss.load_class_table(saved[1])
    assert asked == {"meta"}
