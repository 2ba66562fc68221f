from __future__ import annotations

import multiprocessing
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.runs.unreadable import UnreadableSamples, clear, read_list, summarize
from zoo_core.api import RunError, UnreadableSample


def broken(number, samples=1):
    return UnreadableSample(f"{number}.jpg", "empty file", samples=samples)


def test_a_sample_is_counted_once_however_often_it_is_met(tmp_path):
    skipped = UnreadableSamples(tmp_path / "skipped.csv")
    for _ in range(5):
        skipped.record("train", broken(1), 200)
        skipped.record("valid", broken(1), 200)
    assert [(row["part"], row["path"]) for row in read_list(skipped.path)] == [("train", "1.jpg"), ("valid", "1.jpg")]


@pytest.mark.parametrize("in_a_file", [True, False])
def test_more_than_the_share_is_an_error_that_names_the_first(tmp_path, in_a_file):
    skipped = UnreadableSamples(tmp_path / "skipped.csv" if in_a_file else None, 0.05)
    for number in range(5):
        skipped.record("train", broken(number), 100)
    with pytest.raises(RunError) as caught:
        skipped.record("train", broken(5), 100)
    text = str(caught.value)
    assert "data.train: 6 of 100 samples cannot be read: 0.jpg (empty file), 1.jpg" in text
    assert "and 3 more" in text
    assert "data.unreadable_share 0.05" in text
    assert ("skipped.csv" in text) == in_a_file


def test_an_image_with_many_views_counts_as_many_samples():
    skipped = UnreadableSamples(None, 0.5)
    skipped.record("train", broken(1, samples=24), 48)
    with pytest.raises(RunError, match="48 of 48"):
        skipped.record("train", broken(2, samples=24), 48)


@pytest.mark.parametrize("in_a_file", [True, False])
def test_what_nobody_counted_is_lost_by_its_share(tmp_path, in_a_file):
    skipped = UnreadableSamples(tmp_path / "skipped.csv" if in_a_file else None, 0.02)
    for number in range(2):
        skipped.record("train", UnreadableSample(f"{number}.tar", "breaks off", share=1 / 150), 1000)
    skipped.record("train", UnreadableSample("2.tar", "breaks off", share=1 / 150), 10**9)
    with pytest.raises(RunError, match=r"data\.train: up to 2% and 1 of 1,000 samples cannot be read: 0\.tar"):
        skipped.record("train", broken(1), 1000)
    if in_a_file:
        assert summarize(skipped.path).startswith("unreadable and skipped: up to 2% and 1 of data.train; see")
    with pytest.raises(RunError, match=r"data\.train: up to 50% cannot be read"):
        UnreadableSamples(None, 0.01).record("train", UnreadableSample("1.tar", "breaks off", share=0.5), 10**9)


def _note(path, start, barrier):
    skipped = UnreadableSamples(path, 1.0)
    barrier.wait()
    for number in range(start, start + 200):
        skipped.record("train", broken(number), 1000)


def test_processes_count_together(tmp_path):
    path = tmp_path / "skipped.csv"
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    processes = [context.Process(target=_note, args=(path, start, barrier)) for start in (0, 50, 100, 150)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert sorted(int(row["path"][:-4]) for row in read_list(path)) == list(range(350))
    late = pickle.loads(pickle.dumps(UnreadableSamples(path, 0.3)))  # noqa: S301 - as a loader process gets it
    with pytest.raises(RunError, match="351 of 1,000"):
        late.record("train", broken(999), 1000)


@settings(max_examples=60)
@given(source=st.text(min_size=1), reason=st.text())
def test_any_name_and_reason_is_one_row(tmp_path_factory, source, reason):
    skipped = UnreadableSamples(tmp_path_factory.mktemp("any") / "skipped.csv", 1.0)
    for _ in range(2):
        skipped.record("train", UnreadableSample(source, reason), 10)
        skipped.record("train", UnreadableSample("other", "x"), 10)
    assert len(read_list(skipped.path)) == len({source, "other"})
    assert len(skipped.path.read_bytes().split(b"\n")) == len({source, "other"}) + 2


def test_a_name_of_any_kind_is_listed_as_it_is_printed(tmp_path):
    skipped = UnreadableSamples(tmp_path / "skipped.csv", 1.0)
    skipped.record("train", UnreadableSample("a\nb\u2029\udcff", "cut\roff"), 10)
    assert [(row["path"], row["reason"]) for row in read_list(skipped.path)] == [(r"a\nb\u2029\xff", r"cut\roff")]


def test_the_end_puts_the_list_in_order_and_says_a_line(tmp_path):
    path = tmp_path / "skipped.csv"
    assert summarize(path) is None
    assert not path.exists()
    skipped = UnreadableSamples(path, 1.0)
    for number in (2, 1):
        skipped.record("train", broken(number, samples=24), 100)
    skipped.record("valid", broken(2), 100)
    assert summarize(path) == f"unreadable and skipped: 48 of data.train, 1 of data.valid; see {path}"
    assert summarize(path, "valid") == f"unreadable and skipped: 1 of data.valid; see {path}"
    assert path.read_text().splitlines() == [
        "part,path,reason,samples",
        "train,1.jpg,empty file,24",
        "train,2.jpg,empty file,24",
        "valid,2.jpg,empty file,1",
    ]


def test_a_part_can_be_forgotten_and_all(tmp_path):
    path = tmp_path / "skipped.csv"
    skipped = UnreadableSamples(path, 1.0)
    skipped.record("train", broken(1), 100)
    skipped.record("valid", broken(2), 100)
    clear(path, "valid")
    assert [row["part"] for row in read_list(path)] == ["train"]
    again = UnreadableSamples(path, 1.0)
    again.record("valid", broken(3), 100)
    assert [row["path"] for row in read_list(path)] == ["1.jpg", "3.jpg"]
    clear(path)
    assert not path.exists()
