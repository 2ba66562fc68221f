from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.training.data.items import TrainingItems, generator_of
from zoo.training.data.mixed_dataset import MixedDataset
from zoo.training.data.sampler import EpochSampler
from zoo.training.data.shuffling import shuffled, shuffled_in_windows
from zoo_core.api import Sample

LENGTHS = st.integers(1, 60)
EPOCHS = st.integers(1, 90)


def stream(length, samples_per_epoch, epochs, *, seed=0, rank=0, world_size=1):
    sampler = EpochSampler([length], samples_per_epoch=samples_per_epoch, seed=seed, rank=rank, world_size=world_size)
    keys = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        keys.append(list(sampler))
    return keys


@settings(deadline=None)
@given(LENGTHS, EPOCHS)
def test_every_pass_shows_every_sample_once_however_epochs_cut_it(length, samples_per_epoch):
    keys = [key for epoch in stream(length, samples_per_epoch, 5) for key in epoch]

    assert len(keys) == 5 * samples_per_epoch
    assert len(set(keys)) == len(keys)
    whole_passes = len(keys) // length
    counts = Counter(index for passed, index in keys if passed < whole_passes)
    assert all(counts[index] == whole_passes for index in range(length)) or whole_passes == 0


@given(LENGTHS, EPOCHS, st.integers(2, 4))
def test_ranks_share_an_epoch_without_doubles_and_evenly(length, samples_per_epoch, world_size):
    parts = [stream(length, samples_per_epoch, 3, rank=rank, world_size=world_size) for rank in range(world_size)]

    for epoch in range(3):
        lengths = {len(part[epoch]) for part in parts}
        assert len(lengths) == 1
        keys = [key for part in parts for key in part[epoch]]
        assert len(set(keys)) == len(keys)


@given(LENGTHS, EPOCHS, st.data())
def test_a_resumed_epoch_goes_on_where_it_stopped(length, samples_per_epoch, data):
    skip = data.draw(st.integers(0, samples_per_epoch))
    sampler = EpochSampler([length], samples_per_epoch=samples_per_epoch, seed=7)
    sampler.set_epoch(3)
    whole = list(sampler)
    sampler.skip = skip

    assert list(sampler) == whole[skip:]
    assert list(sampler) == whole


# More than the sampler orders at once, less than two of these, and a rest.
@pytest.mark.parametrize("samples", [1024, 1025, 2500], ids=lambda samples: f"{samples} a rank")
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_long_epochs_on_ranks_are_the_stream_of_one_rank_in_turns(samples, world_size):
    [alone] = stream(20_000, 3 * samples * world_size, 1)
    parts = [stream(20_000, samples * world_size, 3, rank=rank, world_size=world_size) for rank in range(world_size)]

    turns = [key for epoch in zip(*parts, strict=True) for keys in zip(*epoch, strict=True) for key in keys]
    assert turns == alone


@pytest.mark.parametrize("skip", [1, 1024, 1500])
@pytest.mark.parametrize("world_size", [2, 3])
def test_a_resumed_epoch_goes_on_where_each_rank_stopped(skip, world_size):
    for rank in range(world_size):
        sampler = EpochSampler([20_000], samples_per_epoch=2000 * world_size, seed=7, rank=rank, world_size=world_size)
        sampler.set_epoch(1)
        whole = list(sampler)
        sampler.shorten(2000, skip=skip)

        assert list(sampler) == whole[skip:]
        assert list(sampler) == whole


def test_the_order_depends_on_the_seed():
    assert stream(50, 50, 1, seed=0) != stream(50, 50, 1, seed=1)
    assert stream(50, 50, 1, seed=0) == stream(50, 50, 1, seed=0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 400), st.floats(0.01, 1)), min_size=2, max_size=5), st.integers(0, 9))
def test_mixed_data_sets_have_their_shares_and_each_shows_every_sample_once_a_pass(parts, epoch):
    lengths, weights = zip(*parts, strict=True)
    shares = [weight / sum(weights) for weight in weights]
    sampler = EpochSampler(lengths, shares=shares, samples_per_epoch=1024, seed=3)
    sampler.set_epoch(epoch)
    keys = list(sampler)

    assert len(set(keys)) == len(keys) == 1024
    ends = np.cumsum(lengths)
    counts = Counter(int(np.searchsorted(ends, index, side="right")) for _, index in keys)
    for part, share in enumerate(shares):
        assert counts[part] / 1024 == pytest.approx(share, abs=1 / 256 * len(parts))
        assert counts[part] >= 4


def test_a_pass_over_a_mixed_data_set_is_whole_across_epochs():
    sampler = EpochSampler([10, 7], shares=[0.75, 0.25], samples_per_epoch=50, seed=0)
    keys = []
    for epoch in range(40):
        sampler.set_epoch(epoch)
        keys += list(sampler)

    first = Counter(index for passed, index in keys if passed == 3 and index < 10)
    second = Counter(index for passed, index in keys if passed == 3 and index >= 10)
    assert first == Counter(range(10))
    assert second == Counter(range(10, 17))


@given(st.integers(1, 3000), st.integers(0, 2**32))
def test_a_shuffle_is_a_permutation_whatever_part_of_it_is_asked_for(length, key):
    whole = shuffled(np.arange(length), length, [key])

    assert sorted(whole.tolist()) == list(range(length))
    part = np.arange(length // 3, length, 2)
    assert shuffled(part, length, [key]).tolist() == whole[part].tolist()


def test_a_shuffle_has_no_order_left():
    length = 10_000
    orders = np.stack([shuffled(np.arange(length), length, [key]) for key in range(40)])

    # Each is far from every other and from no shuffle: correlations of 10,000 draws are below 5 / sqrt(10,000).
    correlations = np.corrcoef(np.vstack([np.arange(length), orders]))
    np.fill_diagonal(correlations, 0)
    assert np.abs(correlations).max() < 0.05
    # A fixed point is as likely as 1 in length: 40 shuffles have about 40.
    assert 10 < np.sum(orders == np.arange(length)) < 90


def test_a_shuffle_of_a_billion_is_made_where_it_is_asked_for():
    some = shuffled(np.array([0, 1, 999_999_999]), 10**9, [0])

    assert len(set(some.tolist())) == 3
    assert ((some >= 0) & (some < 10**9)).all()


class Numbers:
    def __init__(self, name, count):
        self.classes = [f"{name}{number}" for number in range(count)]

    def __len__(self):
        return 2 * len(self.classes)

    def __getitem__(self, index):
        return Sample(np.zeros((1, 1, 3), np.uint8), index // 2)


def test_mixed_data_sets_are_one_after_the_other():
    mixed = MixedDataset([Numbers("a", 2), Numbers("b", 3)])

    assert list(mixed.classes) == ["a0", "a1", "b0", "b1", "b2"]
    assert [mixed[index].label for index in range(len(mixed))] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert mixed[-1].label == 4
    with pytest.raises(IndexError):
        mixed[10]


def test_a_sample_is_captured_as_often_as_asked_each_time_by_another_chance():
    def capture(_sample, generator):
        return int(generator.integers(2**40))

    once, thrice = (TrainingItems(MixedDataset([Numbers("a", 3)]), capture, 0, captures) for captures in (1, 3))

    items = thrice[2, 4]
    assert [item.label for item in items] == [2, 2, 2]
    assert len({item.image for item in items}) == 3
    # The first is what it would be alone, and the same every time.
    assert once[2, 4] == items[:1]
    assert thrice[2, 4] == items != thrice[3, 4]


def test_each_sample_s_chance_is_its_own_and_the_same_everywhere():
    keys = list(itertools.product((0, 1, 2**32 - 1), range(4), (*range(30), 10**9)))
    chances = np.stack([generator_of(*key).random(96) for key in keys])
    assert len(np.unique(chances)) == chances.size
    # Of 69,000 correlations of 96 numbers without one, the largest is about 0.45.
    assert np.abs(np.corrcoef(chances) - np.eye(len(keys))).max() < 0.6
    assert chances.mean() == pytest.approx(0.5, abs=0.01)
    assert chances.var() == pytest.approx(1 / 12, abs=0.002)
    np.testing.assert_array_equal(generator_of(*keys[-1]).random(96), chances[-1])
    assert generator_of(7, 2, 5).random(2).tolist() == [0.6864514783887473, 0.1625707530031959]


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 50), st.integers(0, 99))
def test_blocks_are_read_a_window_at_a_time_and_every_sample_once(runs, run, window, key):
    length = runs * run
    order = shuffled_in_windows(np.arange(length), length, [key], block=run, window=window)

    assert sorted(order.tolist()) == list(range(length))
    for start in range(0, length, window * run):
        held = order[start : start + window * run] // run
        # All samples of each run within the window, and none of another.
        assert set(np.bincount(held, minlength=runs).tolist()) <= {0, run}
    part = np.arange(length)[:: max(1, run - 1)]
    assert shuffled_in_windows(part, length, [key], block=run, window=window).tolist() == order[part].tolist()


def test_a_window_mixes_its_blocks():
    order = shuffled_in_windows(np.arange(1000), 1000, [0], block=10, window=20) // 10
    assert len(set(order[:40].tolist())) > 15
    assert order[:200].tolist() != sorted(order[:200].tolist())


def test_training_reads_more_templates_than_are_kept_in_windows(prepare):
    training = prepare("data.train.options.templates=200", "data.train.options.cache_mb=1")
    # A megabyte keeps some twenty.
    samples, at_a_time = training.data.items.dataset.datasets[0].blocks
    assert samples == 8
    assert 5 < at_a_time < 15
    assert prepare().data.items.dataset.datasets[0].blocks is None


def test_a_sampler_takes_a_window_of_runs_at_a_time():
    sampler = EpochSampler([160], blocks=[(8, 5)], samples_per_epoch=160, seed=0)
    first = [index // 8 for _, index in list(sampler)[:40]]
    assert len(set(first)) == 5


def epochs(sampler, *numbers):
    found = []
    for epoch in numbers:
        sampler.set_epoch(epoch)
        found.append(list(sampler))
    return found


# A training that is resumed goes on in the order in which it began: no version may change it.
def test_the_order_of_a_seed_stays():
    sampler = EpochSampler([5], samples_per_epoch=7, seed=11)
    assert len(sampler) == 7
    assert epochs(sampler, 0, 1) == [
        [(0, 3), (0, 4), (0, 0), (0, 1), (0, 2), (1, 2), (1, 0)],
        [(1, 4), (1, 3), (1, 1), (2, 1), (2, 3), (2, 2), (2, 4)],
    ]


def test_the_order_of_a_mixture_stays():
    mixed = {"shares": [0.5, 0.3, 0.2], "streamed": [False, True, False], "blocks": [None, None, (2, 2)]}
    sampler = EpochSampler([3, 10, 8], **mixed, samples_per_epoch=12, seed=1, rank=1, world_size=2)
    assert len(sampler) == 6
    assert epochs(sampler, 0, 70) == [
        [(0, 3), (0, 13), (0, 0), (0, 16), (0, 3), (1, 2)],
        [(140, 0), (140, 1), (140, 2), (70, 3), (70, 3), (141, 0)],
    ]


@pytest.mark.parametrize("world_size", [2, 4, 8])
@pytest.mark.parametrize("shares", [[1, 1], [1, 1, 1, 1], [2, 1, 1]])
def test_each_rank_has_the_share_of_each_data_set(shares, world_size):
    for rank in range(world_size):
        options = {"shares": shares, "samples_per_epoch": 2048 * world_size, "seed": 0}
        sampler = EpochSampler([1000] * len(shares), **options, rank=rank, world_size=world_size)
        seen = np.bincount([index // 1000 for _, index in sampler], minlength=len(shares)) / len(sampler)
        assert seen == pytest.approx(np.array(shares) / sum(shares), abs=0.02)


def test_a_share_too_small_for_its_cycle_is_one_sample_of_it():
    sampler = EpochSampler([1000, 1], shares=[999, 1], samples_per_epoch=512, seed=0)
    places = [place for place, (_, index) in enumerate(sampler) if index == 1000]
    assert places == [128, 384]


def test_what_is_left_of_a_cycle_goes_to_whom_most_is_due():
    # 85.33 each, of which one gets the last of the 256.
    sampler = EpochSampler([500, 500, 500], shares=[1, 1, 1], samples_per_epoch=256, seed=0)
    assert Counter(index // 500 for _, index in sampler) == {0: 86, 1: 85, 2: 85}
    # 2.56, 76.8 and 176.64.
    sampler = EpochSampler([500, 500, 500], shares=[1, 30, 69], samples_per_epoch=256, seed=0)
    assert Counter(index // 500 for _, index in sampler) == {0: 2, 1: 77, 2: 177}


def test_more_ranks_than_samples_see_one_each():
    lengths = [len(EpochSampler([9], samples_per_epoch=samples, seed=0, world_size=4)) for samples in (1, 7, 8)]
    assert lengths == [1, 1, 2]


def test_a_shortened_epoch_has_fewer_samples_and_the_next_one_follows_it():
    sampler = EpochSampler([50], samples_per_epoch=20, seed=5)
    [stream_of] = epochs(sampler, 0)
    sampler.shorten(8)
    assert len(sampler) == 8
    assert epochs(sampler, 0, 1) == [stream_of[:8], stream_of[8:16]]
