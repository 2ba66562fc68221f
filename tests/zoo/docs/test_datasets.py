from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image

from zoo_core.discovery import discover

PAGE = (Path(__file__).parents[3] / "docs" / "datasets.md").read_text(encoding="utf-8")
RECIPES = re.findall(r"^```yaml\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)


def block(language):
    (text,) = re.findall(rf"^```{language}\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)
    return text


def jpeg(shade):
    file = io.BytesIO()
    Image.new("RGB", (48, 32), (shade, 0, 0)).save(file, "jpeg")
    return file.getvalue()


@pytest.fixture
def files(tmp_path, write_tar):
    """All that the page's recipes read."""
    from datasets import ClassLabel, Dataset, Features
    from datasets import Image as ImageColumn

    names = [line.partition(",")[0] for line in block("csv").splitlines()[1:]]
    names += [f"cards/{number}.jpg" for number in range(24)]
    names += [f"held-out/{kind}/{number}.jpg" for kind in ("passport", "visa") for number in range(2)]
    for shade, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(jpeg(shade * 9 % 256))
    (tmp_path / "cards.csv").write_text(block("csv"))
    (tmp_path / "classes.txt").write_text("passport\nvisa\n")
    (tmp_path / "shards").mkdir()
    for shard in ("000", "001"):
        write_tar(tmp_path / "shards" / f"cards-{shard}.tar", {"0001.jpg": jpeg(1), "0001.cls": b"visa"})
    features = Features({"image": ImageColumn(), "label": ClassLabel(names=["passport", "visa"])})
    rows = [{"image": {"bytes": jpeg(n), "path": None}, "label": n % 2} for n in range(4)]
    (tmp_path / "rows").mkdir()
    Dataset.from_list(rows, features=features).to_parquet(tmp_path / "rows" / "0.parquet")
    return tmp_path


def test_the_recipes_read_what_the_page_says(files, monkeypatch):
    from zoo.assembly import RecipeBuilder
    from zoo.recipes.loading import load_recipe

    monkeypatch.chdir(files)
    registry = discover()
    seen = []
    for number, text in enumerate(RECIPES):
        (files / f"{number}.yaml").write_text(text, encoding="utf-8")
        builder = RecipeBuilder(load_recipe(f"{number}.yaml", registry=registry), registry)
        (source,) = builder.training_sources()
        train, valid = source.dataset, builder.validation_items().dataset
        if hasattr(train, "stream"):
            readers = {"rank": 0, "world_size": 1, "worker": 0, "workers": 1, "epoch": 0, "seed": 0}
            samples = [sample for _, sample in train.stream(**readers)]
        else:
            samples = [train[index] for index in range(len(train))]
            assert not set(train.classes) & set(valid.classes)
        assert all(sample.image.shape == (32, 48, 3) for sample in samples)
        seen.append((builder.recipe.data.train.name, len(samples)))

    assert [name for name, _ in seen] == ["images/instances", "images/list", "images/webdataset", "images/hub"]
    assert [count for _, count in seen[1:]] == [2, 2, 4]


def test_the_table_names_all_data_sets_that_ship():
    shown = set(re.findall(r"^\| `(\w+/\w+)` \|", PAGE, re.MULTILINE))

    assert shown == {
        component.qualified_name
        for component in discover().components("dataset")
        if component.qualified_name.startswith(("images/", "documents/"))
    }


def test_the_data_set_on_the_page_is_one():
    from zoo_core.api import Dataset, UnreadableSample

    names = {}
    exec(compile(block("python"), "datasets.md", "exec"), names)  # noqa: S102 - our own page
    numbers = names["Numbers"]()

    assert isinstance(numbers, Dataset)
    assert numbers[7].label == 7
    with pytest.raises(UnreadableSample, match="bad luck"):
        numbers[13]
