from __future__ import annotations

from hashlib import blake2b

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zoo_core.api import seeded_generator


def test_the_state_is_the_digest_of_the_key():
    # PCG64 takes four words of 64 bits as its seed: the first two its state, the others its increment.
    words = np.frombuffer(blake2b(b"7 3 2 5", digest_size=32).digest(), "<u8").tolist()

    class Given(np.random.bit_generator.ISeedSequence):
        def generate_state(self, n_words, dtype=np.uint32):
            assert (n_words, np.dtype(dtype)) == (4, np.dtype(np.uint64))
            return np.array(words, np.uint64)

    expected = np.random.Generator(np.random.PCG64(Given()))
    assert seeded_generator(b"7 3 2 5").random(8).tolist() == expected.random(8).tolist()


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_one_key_one_stream(first, second):
    streams = [seeded_generator(key).integers(2**63, size=4).tolist() for key in (first, first, second)]
    assert streams[0] == streams[1]
    assert (streams[0] == streams[2]) == (first == second)


def test_streams_of_neighbouring_keys_are_independent():
    draws = np.stack([seeded_generator(b"%d" % number).random(64) for number in range(400)])
    correlations = np.corrcoef(draws)[np.triu_indices(400, 1)]
    # Of 79,800 pairs with 64 numbers each: standard deviation 1/8, and none beyond 5.5 of them.
    assert abs(correlations.std() - 1 / 8) < 0.005
    assert np.abs(correlations).max() < 5.5 / 8
