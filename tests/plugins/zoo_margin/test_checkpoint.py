from __future__ import annotations

import json
import shutil
import zlib
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


@pytest.mark.parametrize(("size", "starts"), [(1, range(30)), (16 * 7, range(0, 30, 7)), (16 * 30, [0])])
def test_a_shard_has_as_many_rows_as_fit_but_at_least_one(tmp_path, monkeypatch, size, starts):
    monkeypatch.setattr(checkpoint, "SHARD_BYTES", size)
    trained(NAMES, optimizer=SGD(momentum=0)).save_class_table(tmp_path / "rows")
    found = sorted(path.name for path in (tmp_path / "rows").glob("rows-*"))
    assert found == [f"rows-{start:012d}.safetensors" for start in starts]


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


def test_the_manifest_says_what_the_folder_holds(saved):
    manifest = json.loads((saved[1] / "table.json").read_text(encoding="utf-8"))
    digests = {name: manifest.pop(name) for name in ("names", "sha256", "names_sha256")}
    assert all(len(bytes.fromhex(digest)) == 32 for digest in digests.values())
    assert manifest == {
        "format": 1,
        "classes": 30,
        "width": 4,
        "centers": 1,
        "optimizer": "AdamW",
        "state": "exp_avg, exp_avg_sq, steps",
        "seed": 0,
        "step": 4,
        "drawn": 30,
        "pieces": [{"file": "rows-000000000000.safetensors", "start": 0, "stop": 30}],
    }
    assert json.loads((saved[1] / "classes.json").read_text(encoding="utf-8")) == NAMES


def test_a_shard_says_its_classes_and_the_checksum_of_its_tensors(saved):
    shard = saved[1] / "rows-000000000000.safetensors"
    with safe_open(shard, framework="np") as file:
        metadata = file.metadata()
    content = b"".join(tensor.numpy().tobytes() for _, tensor in sorted(load_file(shard).items()))
    assert metadata == {"classes": "0..29", "crc32": f"{zlib.crc32(content):08x}"}


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
    # For those who open the file.
    assert '"Überweisung", "身分證"' in (tmp_path / "rows" / "classes.json").read_text("utf-8", "surrogatepass")
    assert made(names[::-1]).load_class_table(tmp_path / "rows") == "7 classes as they were, 0 new, 0 gone"
    assert made(["a", *names]).load_class_table(tmp_path / "rows") == "7 classes as they were, 1 new, 0 gone"


RECIPE = "resume with the recipe that the checkpoint comes from, or train from scratch"
DATA = "train on the same data set, or from scratch"
OTHER = "use another checkpoint"
SCRATCH = "use another checkpoint, or train from scratch"
ROOM = "make room and resume, or choose a new folder"
INCOMPLETE = "the class table is incomplete; use another checkpoint"


@contextmanager
def refused(loss, message):
    """Check that a folder is refused with this message, and that the table is the same at the end."""
    with unchanged(loss), pytest.raises(RunError) as caught:
        yield
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: made(NAMES, dim=5), f"its width is 4, but 5 by the recipe; {RECIPE}"),
        (lambda: made(NAMES, dim=2, centers=2), f"its centers is 1, but 2 by the recipe; {RECIPE}"),
        (lambda: made(NAMES, optimizer=SGD()), f"its optimizer is AdamW, but SGD by the recipe; {RECIPE}"),
        (
            lambda: made(["another", "pool"]),
            f"not one of its 30 classes is among the 2 of the data set; {DATA}",
        ),
        (
            lambda: made([*NAMES[:5], NAMES[0]]),
            "classes of the same name cannot find their rows; give each class its own name",
        ),
    ],
    ids=["width", "centers", "optimizer", "no class in common", "two of one name"],
)
def test_a_different_table_is_refused_and_nothing_changes(saved, other, message):
    table = other()
    with refused(table, f"{saved[1]}: {message}"):
        table.load_class_table(saved[1])


def test_saved_classes_of_one_name_are_refused(tmp_path):
    trained(["a", "b", "a"]).save_class_table(tmp_path / "rows")
    table = made(["a", "b"])
    with refused(
        table, f"{tmp_path / 'rows'}: classes of the same name cannot find their rows; give each class its own name"
    ):
        table.load_class_table(tmp_path / "rows")


def test_a_different_optimizer_state_is_refused(tmp_path):
    folder = tmp_path / "rows"
    trained(NAMES, optimizer=SGD()).save_class_table(folder)
    table = made(NAMES, optimizer=SGD(momentum=0))
    with refused(table, f"{folder}: its state is momentum_buffer, but nothing by the recipe; {RECIPE}"):
        table.load_class_table(folder)


def edited(edit, *, digests=False):
    """Change the manifest as an older zoo wrote it, without digests, or keep those of the unchanged one."""

    def damage(folder):
        manifest = json.loads((folder / "table.json").read_text(encoding="utf-8"))
        if not digests:
            del manifest["sha256"], manifest["names_sha256"]
        edit(manifest)
        (folder / "table.json").write_text(json.dumps(manifest), encoding="utf-8")

    return damage


def edited_shard(edit):
    """Change the tensors of the last shard, but not its metadata."""

    def damage(folder):
        shard = max(folder.glob("rows-*"))
        with safe_open(shard, framework="pt") as file:
            metadata = file.metadata()
        save_file({name: edit(tensor) for name, tensor in load_file(shard).items()}, shard, metadata)

    return damage


def cut(name):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-10])


def swapped(folder):
    one, two = folder / FIRST, folder / "rows-000000000012.safetensors"
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)


def a_bit(folder):
    content = bytearray((folder / LAST).read_bytes())
    content[-3] ^= 4
    (folder / LAST).write_bytes(content)


# Of 12 classes each.
FIRST, LAST = "rows-000000000000.safetensors", "rows-000000000024.safetensors"
UNLIKE = f"is damaged, or the file of another shard; {OTHER}"
NO_MANIFEST = f"/table.json: is not the manifest of a class table; {RECIPE}"
DAMAGES = {
    "nothing there": (shutil.rmtree, f"/table.json: cannot be read: No such file or directory; {SCRATCH}"),
    "no manifest": (
        lambda folder: (folder / "table.json").unlink(),
        f"/table.json: cannot be read: No such file or directory; {SCRATCH}",
    ),
    "half a manifest": (cut("table.json"), f"/table.json: cannot be read: it is not JSON; {SCRATCH}"),
    "other JSON": (lambda folder: (folder / "table.json").write_text("[]", encoding="utf-8"), NO_MANIFEST),
    "another step": (edited(lambda saved: saved.update(step=3), digests=True), f"/table.json: is damaged; {OTHER}"),
    "no digest": (edited(lambda saved: saved.pop("sha256"), digests=True), f"/table.json: is damaged; {OTHER}"),
    "no digest of names": (
        edited(lambda saved: saved.pop("names_sha256"), digests=True),
        f"/classes.json: is damaged; {OTHER}",
    ),
    "no names": (
        lambda folder: (folder / "classes.json").unlink(),
        f"/classes.json: cannot be read: No such file or directory; {SCRATCH}",
    ),
    "other names": (
        lambda folder: (folder / "classes.json").write_text(json.dumps(NAMES[::-1]), encoding="utf-8"),
        f"/classes.json: is damaged; {OTHER}",
    ),
    "another format": (
        edited(lambda saved: saved.update(format=2)),
        f": its format is 2, but 1 by the recipe; {RECIPE}",
    ),
    **{
        f"no {name} by an older zoo": (edited(lambda saved, name=name: saved.pop(name)), NO_MANIFEST)
        for name in ("format", "width", "state", "classes", "step", "drawn", "names", "pieces")
    },
    **{
        f"a broken {name} by an older zoo": (edited(lambda saved, name=name: saved.update({name: None})), NO_MANIFEST)
        for name in ("classes", "step", "drawn", "names", "pieces")
    },
    **{
        f"a shard without its {name} by an older zoo": (
            edited(lambda saved, name=name: saved["pieces"][1].pop(name)),
            NO_MANIFEST,
        )
        for name in ("file", "start", "stop")
    },
    "a class too many by an older zoo": (
        edited(lambda saved: saved.update(classes=31)),
        f": ends before its last class; {OTHER}",
    ),
    "no last shard by an older zoo": (
        edited(lambda saved: saved["pieces"].pop()),
        f": ends before its last class; {OTHER}",
    ),
    "no first shard by an older zoo": (
        edited(lambda saved: saved["pieces"].pop(0)),
        f"/rows-000000000012.safetensors: missing; {INCOMPLETE}",
    ),
    "a shard is missing": (lambda folder: (folder / LAST).unlink(), f"/{LAST}: missing; {INCOMPLETE}"),
    "two shards are swapped": (swapped, f"/{FIRST}: {UNLIKE}"),
    "a bit": (a_bit, f"/{LAST}: {UNLIKE}"),
    "one row too few": (edited_shard(lambda tensor: tensor[1:].clone()), f"/{LAST}: {UNLIKE}"),
    "one number for a row": (edited_shard(lambda tensor: tensor[..., :1].clone()), f"/{LAST}: {UNLIKE}"),
    "another precision": (edited_shard(lambda tensor: tensor.half()), f"/{LAST}: {UNLIKE}"),
    "another type of the same bytes": (
        edited_shard(lambda tensor: tensor.view(torch.int32 if tensor.is_floating_point() else torch.float32)),
        f"/{LAST}: {UNLIKE}",
    ),
    "another shape of the same bytes": (edited_shard(lambda tensor: tensor.view(2, -1)), f"/{LAST}: {UNLIKE}"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_folder_is_refused_by_name_and_nothing_changes(tmp_path, monkeypatch, name):
    monkeypatch.setattr(checkpoint, "SHARD_BYTES", 12 * (3 * 4 * 4 + 4))
    folder = tmp_path / "rows"
    trained(NAMES).save_class_table(folder)
    assert {path.name for path in folder.glob("rows-*")} == {FIRST, "rows-000000000012.safetensors", LAST}
    damage, message = DAMAGES[name]
    damage(folder)
    other = trained(NAMES, seed=3)
    with refused(other, f"{folder}{message}"):
        other.load_class_table(folder)


def test_half_a_shard_is_refused(saved):
    loss, folder = saved
    cut(FIRST)(folder)
    with unchanged(loss), pytest.raises(RunError) as caught:
        loss.load_class_table(folder)
    assert str(caught.value).startswith(f"{folder / FIRST}: cannot be read: Error while deserializing header")
    assert str(caught.value).endswith(f"; {OTHER}")


def test_a_folder_of_an_older_zoo_is_read(saved):
    loss, folder = saved
    edited(lambda _: None)(folder)
    other = made(NAMES, seed=7)
    assert other.load_class_table(folder) == "30 classes as they were"
    assert torch.equal(rows_of(other)["weight"], rows_of(loss)["weight"])
    assert (other.table.step, other.table.initialized) == (4, 30)


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
    folder = tmp_path / "file" / "rows"
    loss = trained(NAMES)
    with refused(loss, f"{folder}: the class table cannot be written: Not a directory; {ROOM}"):
        loss.save_class_table(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_process_left_is_written_over(tmp_path):
    unfinished = tmp_path / ".rows.part"
    unfinished.mkdir()
    (unfinished / "rows-000000000005.safetensors").write_bytes(b"half")
    trained(NAMES).save_class_table(tmp_path / "rows")
    assert [path.name for path in tmp_path.iterdir()] == ["rows"]
    assert sorted(path.name for path in (tmp_path / "rows").iterdir()) == [
        "classes.json",
        "rows-000000000000.safetensors",
        "table.json",
    ]


def test_saving_to_the_same_folder_is_refused_and_keeps_its_content(saved):
    loss, folder = saved
    loss.drop_gradients()
    with refused(loss, f"{folder}: the class table cannot be written: it is there already; {ROOM}"):
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
