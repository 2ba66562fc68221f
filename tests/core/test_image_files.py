from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, features

from zoo_core.image_files import HEIF_SUFFIXES, IMAGE_FORMATS, IMAGE_SUFFIXES, find_images, skipped_file, tally
from zoo_core.images import read_image


def names(paths, folder):
    return [path.relative_to(folder).as_posix() for path in paths]


def test_find_images_is_sorted_recursive_and_reports_the_rest(tmp_path):
    for name in ("b.JPG", "a.png", "deep/c.webp", "notes.txt", "d.svg", "none", ".hidden.png", ".cache/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_images(tmp_path)
    assert names(found.paths, tmp_path) == ["a.png", "b.JPG", "deep/c.webp"]
    assert [(Path(one.source).name, one.reason, one.kind) for one in found.skipped] == [
        ("d.svg", ".svg is not read", "file"),
        ("none", "no suffix", "file"),
        ("notes.txt", ".txt is no image", "note"),
    ]


def test_links_to_folders_are_reported_and_links_to_files_followed(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "again").symlink_to(".")
    (tmp_path / "b.png").symlink_to("a.png")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    found = find_images(tmp_path)
    assert names(found.paths, tmp_path) == ["a.png", "b.png"]
    assert [one.reason for one in found.skipped] == ["a link to a folder", "a link to nothing"]


@pytest.mark.parametrize(
    "suffix", sorted(IMAGE_SUFFIXES - HEIF_SUFFIXES - {".avif"} | ({".avif"} if features.check("avif") else set()))
)
def test_a_file_of_every_suffix_in_the_list_is_read(tmp_path, suffix):
    kind = Image.registered_extensions().get(suffix, "JPEG")
    picture = Image.new("1" if suffix == ".pbm" else "L" if suffix == ".pgm" else "RGB", (8, 8))
    picture.save(tmp_path / f"picture{suffix}", format=kind)
    assert skipped_file(tmp_path / f"picture{suffix}") is None
    assert read_image(tmp_path / f"picture{suffix}").shape == (8, 8, 3)


def test_pillow_knows_every_format_so_that_none_fails_for_all_files():
    Image.init()
    assert set(IMAGE_FORMATS) <= set(Image.OPEN)


def test_a_tally_names_the_most_frequent_reasons(tmp_path):
    for name in ("a.svg", "b.svg", "c.eps", "d.psd", "e.cr2", "f.nef"):
        (tmp_path / name).touch()
    assert tally(find_images(tmp_path).skipped) == (
        ".svg is not read: 2, .eps is not read: 1, .psd is not read: 1, others: 2"
    )
