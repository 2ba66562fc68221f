from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from zoo.training.data import StreamSampler

LENGTHS = st.integers(1, 60)
EPOCHS = st.integers(1, 90)


def stream(length, samples_per_epoch, epochs, *, seed=0, rank=0, world_size=1):
    sampler = StreamSampler(length, samples_per_epoch=samples_per_epoch, seed=seed, rank=rank, world_size=world_size)
    keys = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        keys.append(list(sampler))
    return keys


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
    sampler = StreamSampler(length, samples_per_epoch=samples_per_epoch, seed=7)
    sampler.set_epoch(3)
    whole = list(sampler)
    sampler.skip = skip

    assert list(sampler) == whole[skip:]
    assert list(sampler) == whole


def test_the_order_depends_on_the_seed():
    assert stream(50, 50, 1, seed=0) != stream(50, 50, 1, seed=1)
    assert stream(50, 50, 1, seed=0) == stream(50, 50, 1, seed=0)
