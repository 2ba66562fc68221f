from __future__ import annotations

import io
import json
import pickle
import tarfile

import numpy as np
import pytest
from PIL import Image

from zoo_core.api import ComponentError, Sample, StreamingDataset, UnreadableSample
from zoo_images.datasets.webdatasets import WebDataset

NAMES = ["ant", "bee", "cat"]


def png(shade):
    file = io.BytesIO()
    Image.new("RGB", (8, 6), (shade, 0, 0)).save(file, "png")
    return file.getvalue()


def shard(path, samples):
    with tarfile.open(path, "w") as archive:
        for key, files in samples:
            for extension, content in files.items():
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))


@pytest.fixture
def shards(tmp_path):
    """Five shards of different lengths: 23 samples, shade = number."""
    number = 0
    for one, size in enumerate((6, 3, 0, 9, 5)):
        samples = []
        for _ in range(size):
            samples.append((f"{number:04}", {"png": png(number), "cls": str(number % 3).encode()}))
            number += 1
        shard(tmp_path / f"part-{one:03}.tar", samples)
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    return tmp_path


@pytest.fixture
def dataset(shards):
    return WebDataset(str(shards / "part-*.tar"), classes=str(shards / "names.txt"), shuffle_buffer=4)


def read(dataset, epoch=0, seed=0, world_size=1, workers=1):
    return [
        list(dataset.stream(rank=rank, world_size=world_size, worker=worker, workers=workers, epoch=epoch, seed=seed))
        for rank in range(world_size)
        for worker in range(workers)
    ]


def shades(pairs):
    return [int(sample.image[0, 0, 0]) for _, sample in pairs]


def test_fits_the_protocol(dataset):
    assert isinstance(dataset, StreamingDataset)
    assert list(dataset.classes) == NAMES
    assert dataset.length is None


@pytest.mark.parametrize(("world_size", "workers"), [(1, 1), (2, 2), (1, 3), (4, 2), (3, 1)])
def test_all_readers_see_each_sample_exactly_once(dataset, world_size, workers):
    streams = read(dataset, world_size=world_size, workers=workers)
    seen = sorted(shade for stream in streams for shade in shades(stream))
    assert seen == list(range(23))
    for _, sample in (pair for stream in streams for pair in stream):
        assert sample.label == sample.image[0, 0, 0] % 3


def test_each_sample_has_a_fixed_index(dataset):
    index_of = [
        {shade: index for stream in streams for (index, _), shade in zip(stream, shades(stream), strict=True)}
        for streams in (read(dataset), read(dataset, epoch=3, seed=9), read(dataset, world_size=2, workers=2))
    ]
    assert index_of[0] == index_of[1] == index_of[2]
    assert len(set(index_of[0].values())) == 23


def test_the_order_depends_on_seed_and_epoch_alone(dataset):
    first = shades(read(dataset)[0])
    copy = pickle.loads(pickle.dumps(dataset))  # noqa: S301 - as a worker process receives it
    assert shades(read(copy)[0]) == first
    assert shades(read(dataset, epoch=1)[0]) != first
    assert shades(read(dataset, seed=1)[0]) != first
    assert first != sorted(first)


def test_a_loader_with_workers_on_two_ranks_sees_each_sample_once(dataset):
    from torch.utils.data import DataLoader, IterableDataset, get_worker_info

    class Items(IterableDataset):
        def __init__(self, rank):
            self.rank = rank

        def __iter__(self):
            worker = get_worker_info()
            for index, sample in dataset.stream(
                rank=self.rank, world_size=2, worker=worker.id, workers=worker.num_workers, epoch=0, seed=0
            ):
                yield index, int(sample.image[0, 0, 0])

    seen = [item for rank in range(2) for item in DataLoader(Items(rank), batch_size=None, num_workers=2)]
    assert sorted(shade for _, shade in seen) == list(range(23))


def test_names_in_the_shards_and_in_json(tmp_path):
    shard(
        tmp_path / "a.tar",
        [
            ("x", {"json": json.dumps({"kind": "cat"}).encode(), "jpg": png(1)}),
            ("y", {"json": b'{"kind": "ant"}', "jpg": png(2)}),
        ],
    )
    dataset = WebDataset(str(tmp_path / "a.tar"), label="json", label_key="kind", scan=True)
    assert (dataset.classes, dataset.length) == (["ant", "cat"], 2)
    assert {int(s.image[0, 0, 0]): s.label for _, s in read(dataset)[0]} == {1: 1, 2: 0}


def test_a_scan_orders_numbers_as_numbers(tmp_path):
    shard(tmp_path / "a.tar", [(str(n), {"png": png(n), "cls": str(n).encode()}) for n in (10, 9, 2)])
    assert WebDataset(str(tmp_path / "a.tar"), scan=True).classes == ["2", "9", "10"]


def test_broken_samples_are_yielded_as_errors_among_the_others(tmp_path):
    good = {"png": png(7), "cls": b"0"}
    shard(
        tmp_path / "a.tar",
        [
            ("good", good),
            ("empty", {**good, "png": b""}),
            ("label", {**good, "cls": b"3"}),
            ("none", {"png": png(1)}),
            ("bytes", {**good, "cls": b"\xff"}),
            ("digits", {**good, "cls": b"0" * 5000}),
            ("text", {"txt": b"x", "cls": b"0"}),
            ("last", good),
        ],
    )
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    dataset = WebDataset(str(tmp_path / "a.tar"), classes=str(tmp_path / "names.txt"))
    items = [item for _, item in read(dataset)[0]]
    broken = {item.source.rpartition("/")[2]: item.reason for item in items if isinstance(item, UnreadableSample)}
    assert len(items) == 8
    assert sum(isinstance(item, Sample) for item in items) == 2
    assert broken["empty"] == "empty file"
    assert "'3' is none of the 3 classes" in broken["label"]
    assert broken["none"] == "no file *.cls"
    assert "cannot be read" in broken["bytes"]
    assert "is none of the 3 classes" in broken["digits"]
    assert "no file" in broken["text"]
    assert WebDataset(str(tmp_path / "a.tar"), scan=True).classes == ["0", "0" * 5000, "3"]


def test_a_truncated_shard_loses_only_its_rest(shards):
    path = shards / "part-003.tar"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    dataset = WebDataset(str(shards / "part-*.tar"), classes=str(shards / "names.txt"), length=23)
    items = [item for _, item in read(dataset)[0]]
    (broken,) = [item for item in items if isinstance(item, UnreadableSample)]
    assert "part-003.tar" in broken.source
    assert "breaks off after" in broken.reason
    assert set(shades([(0, item) for item in items if isinstance(item, Sample)])) >= {*range(9), *range(18, 23)}


def test_without_a_length_a_lost_shard_counts_as_a_share_of_all_and_is_yielded_first(shards):
    (shards / "part-003.tar").write_bytes(b"x" * 2000)
    dataset = WebDataset(str(shards / "part-*.tar"), classes=str(shards / "names.txt"), shuffle_buffer=1)
    broken = next(item for _, item in read(dataset)[0] if isinstance(item, UnreadableSample))
    assert broken.share == 1 / 5
    waiting = WebDataset(str(shards / "part-*.tar"), classes=str(shards / "names.txt"))
    assert isinstance(read(waiting)[0][0][1], UnreadableSample)


def test_patterns_and_lists(shards):
    names = str(shards / "names.txt")
    braces = WebDataset(str(shards / "part-{000..001}.tar"), classes=names)
    both = WebDataset([str(shards / "part-000.tar"), str(shards / "part-001.tar")], classes=names)
    assert len(read(braces)[0]) == len(read(both)[0]) == 9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shards": "none-*.tar"}, r"no shard .*none-\*\.tar"),
        ({"shards": "part-{000..009}.tar"}, r"no shard .*part-005\.tar"),
        ({"shards": "part-*.tar"}, "`scan: true`"),
        ({"shards": "pipe:touch owned"}, "pipe: is not read from"),
        ({"shards": "ftp://x/y.tar"}, "ftp: is not read from"),
    ],
)
def test_wrong_options_are_errors_on_construction(shards, monkeypatch, options, words):
    monkeypatch.chdir(shards)
    with pytest.raises(ComponentError, match=words):
        WebDataset(**options)
    assert not (shards / "owned").exists()


def test_images_are_reduced(tmp_path):
    file = io.BytesIO()
    Image.fromarray(np.zeros((300, 400, 3), np.uint8)).save(file, "jpeg")
    shard(tmp_path / "a.tar", [("x", {"jpg": file.getvalue(), "cls": b"0"})])
    dataset = WebDataset(str(tmp_path / "a.tar"), scan=True, max_side=64)
    assert read(dataset)[0][0][1].image.shape == (48, 64, 3)
