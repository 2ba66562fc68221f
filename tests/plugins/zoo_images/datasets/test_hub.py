from __future__ import annotations

import io

import pytest
from PIL import Image

from zoo_core.api import ComponentError, RemoteError, Sample, StreamingDataset, UnreadableSample


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")


@pytest.fixture
def hub():
    from zoo_images.datasets.hub import HubDataset

    return HubDataset


def png(shade):
    file = io.BytesIO()
    Image.new("RGB", (8, 6), (shade, 0, 0)).save(file, "png")
    return file.getvalue()


@pytest.fixture
def files(tmp_path):
    """Five Parquet files of different lengths as `datasets` writes them: 21 rows, shade = number."""
    from datasets import ClassLabel, Dataset, Features, Image, Value

    features = Features({"image": Image(), "label": ClassLabel(names=["ant", "bee"]), "kind": Value("string")})
    number = 0
    for one, size in enumerate((6, 3, 1, 9, 2)):
        rows = [{"image": {"bytes": png(n), "path": None}, "label": n % 2, "kind": "xyz"[n % 3]}
                for n in range(number, number + size)]  # fmt: skip
        number += size
        Dataset.from_list(rows, features=features).to_parquet(tmp_path / f"train-{one:05}.parquet")
    return str(tmp_path / "train-*.parquet")


def read(dataset, epoch=0, seed=0, world_size=1, workers=1):
    return [
        list(dataset.stream(rank=rank, world_size=world_size, worker=worker, workers=workers, epoch=epoch, seed=seed))
        for rank in range(world_size)
        for worker in range(workers)
    ]


def shades(pairs):
    return [int(sample.image[0, 0, 0]) for _, sample in pairs]


def test_class_labels_name_the_classes(hub, files):
    dataset = hub("parquet", data_files=files)
    assert isinstance(dataset, StreamingDataset)
    assert list(dataset.classes) == ["ant", "bee"]
    assert all(sample.label == sample.image[0, 0, 0] % 2 for _, sample in read(dataset)[0])


@pytest.mark.parametrize(("world_size", "workers"), [(1, 1), (2, 2), (1, 3), (4, 2)])
def test_all_readers_see_each_row_exactly_once(hub, files, world_size, workers):
    dataset = hub("parquet", data_files=files, shuffle_buffer=4)
    streams = read(dataset, world_size=world_size, workers=workers)
    assert sorted(shade for stream in streams for shade in shades(stream)) == list(range(21))


def test_a_loader_with_workers_on_two_ranks_sees_each_row_once(hub, files):
    from torch.utils.data import DataLoader, IterableDataset, get_worker_info

    dataset = hub("parquet", data_files=files)

    class Items(IterableDataset):
        def __init__(self, rank):
            self.rank = rank

        def __iter__(self):
            worker = get_worker_info()
            for _, sample in dataset.stream(
                rank=self.rank, world_size=2, worker=worker.id, workers=worker.num_workers, epoch=0, seed=0
            ):
                yield int(sample.image[0, 0, 0])

    seen = [shade for rank in range(2) for shade in DataLoader(Items(rank), batch_size=None, num_workers=2)]
    assert sorted(seen) == list(range(21))


def test_order_and_index(hub, files):
    dataset = hub("parquet", data_files=files, shuffle_buffer=8)
    first, again, other = (read(dataset, epoch=epoch)[0] for epoch in (0, 0, 1))
    assert shades(first) == shades(again) != shades(other)
    assert dict(zip(shades(first), [i for i, _ in first], strict=True)) == dict(
        zip(shades(other), [i for i, _ in other], strict=True)
    )


def test_names_come_from_a_file_or_a_scan(hub, files, tmp_path):
    (tmp_path / "kinds.txt").write_text("z\ny\nx\n")
    listed = hub("parquet", data_files=files, label="kind", classes=str(tmp_path / "kinds.txt"))
    assert all(sample.label == 2 - sample.image[0, 0, 0] % 3 for _, sample in read(listed)[0])
    scanned = hub("parquet", data_files=files, label="kind", scan=True)
    assert (scanned.classes, scanned.length) == (["x", "y", "z"], 21)
    with pytest.raises(ComponentError, match=r"'kind' does not name its classes.*`scan: true`"):
        hub("parquet", data_files=files, label="kind")


def test_a_folder_of_class_folders(hub, tmp_path):
    for number, name in enumerate(("bee", "ant", "bee")):
        (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name / f"{number}.png").write_bytes(png(number))
    dataset = hub(str(tmp_path / "data"))
    assert list(dataset.classes) == ["ant", "bee"]
    assert {int(s.image[0, 0, 0]): s.label for _, s in read(dataset)[0]} == {0: 1, 1: 0, 2: 1}


def test_broken_rows_are_yielded_as_errors(hub, tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    images = [{"bytes": png(3), "path": None}, {"bytes": b"x", "path": None}, None, {"bytes": png(4), "path": None}]
    parquet.write_table(pa.table({"image": images, "label": ["a", "a", "a", None]}), tmp_path / "x.parquet")
    dataset = hub("parquet", data_files=str(tmp_path / "x.parquet"), scan=True)
    items = [item for _, item in read(dataset)[0]]
    assert len(items) == 4
    reasons = [item.reason for item in items if isinstance(item, UnreadableSample)]
    assert sorted(reasons) == ["no image", "no label", "not an image of a known format"]
    assert list(dataset.classes) == ["a"]


@pytest.mark.parametrize("damage", ["pixels", "end"])
def test_a_truncated_shard_loses_only_its_rest(hub, files, tmp_path, damage):
    path = tmp_path / "train-00003.parquet"
    content = path.read_bytes()
    middle = len(content) // 2
    whole = {"pixels": bytes([*content[:200], *bytes(middle), *content[200 + middle :]]), "end": content[:middle]}
    path.write_bytes(whole[damage])
    (tmp_path / "names.txt").write_text("ant\nbee")
    dataset = hub("parquet", data_files=files, classes=str(tmp_path / "names.txt"), length=21)
    items = [item for _, item in read(dataset)[0]]
    (broken,) = [item for item in items if isinstance(item, UnreadableSample)]
    assert "shard 3" in broken.source
    assert "breaks off after" in broken.reason
    assert broken.samples > 1
    assert {*range(10), 19, 20} <= set(shades([(0, item) for item in items if isinstance(item, Sample)]))


def test_a_shard_that_cannot_be_opened_is_reported_without_other_output(hub, files, tmp_path, capfd):
    path = tmp_path / "train-00003.parquet"
    path.write_bytes(path.read_bytes()[:500])
    scanned = hub("parquet", data_files=files, label="kind", scan=True)
    assert scanned.classes == ["x", "y", "z"]
    (tmp_path / "names.txt").write_text("ant\nbee")
    (broken,) = [
        item
        for _, item in read(hub("parquet", data_files=files, classes=str(tmp_path / "names.txt")))[0]
        if isinstance(item, UnreadableSample)
    ]
    assert broken.share == 1 / 5
    (tmp_path / "train-00000.parquet").write_bytes(b"no parquet")
    with pytest.raises(ComponentError, match="data_files") as caught:
        hub("parquet", data_files=files)
    assert caught.value.problems[0].hint
    assert capfd.readouterr() == ("", "")


def test_an_unreachable_hub_is_one_error_without_other_output(tmp_path):
    import os
    import subprocess
    import sys

    program = """
from zoo_core.api import RemoteError
from zoo_images.datasets.hub import HubDataset
try:
    HubDataset("somebody/nothing")
except RemoteError as error:
    print(error)
"""
    # Nobody listens on this port.
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert "somebody/nothing: http://127.0.0.1:9 cannot be reached" in done.stdout


def test_wrong_options_are_errors_on_construction(hub, files, tmp_path):
    with pytest.raises(ComponentError, match=r"no column 'picture', but image, label, kind.*`image`"):
        hub("parquet", data_files=files, image="picture")
    with pytest.raises(ComponentError, match="part"):
        hub("parquet", data_files=files, part="test")
    with pytest.raises(ComponentError, match=r"nowhere"):
        hub("parquet", data_files=str(tmp_path / "nowhere-*.parquet"))
    with pytest.raises(RemoteError, match="somebody/nothing"):
        hub("somebody/nothing")
