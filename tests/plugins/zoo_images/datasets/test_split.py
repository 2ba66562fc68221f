from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from zoo_images.datasets.split import belongs


def test_split_is_the_published_hash():
    digest = int(hashlib.sha256(b"caf\xc3\xa9.png").hexdigest()[:16], 16) / 2**64
    for share in (digest - 1e-6, digest + 1e-6):
        for name in ("caf\u00e9.png", "cafe\u0301.png"):  # composed and decomposed, as Linux and macOS write it
            assert belongs(name, "unseen", share) == (digest < share)


# With bytes of a file's name that are not UTF-8, which Python reads as halves of surrogate pairs.
NAMES = st.lists(st.text() | st.text(st.characters(categories=["Cs"]))).map("".join)


@given(NAMES, st.floats(0, 1))
def test_every_name_is_in_one_split(name, share):
    assert belongs(name, "all", share)
    assert belongs(name, "train", share) != belongs(name, "unseen", share)


@given(NAMES)
def test_shares_of_nothing_and_all(name):
    assert belongs(name, "train", 0.0)
    assert belongs(name, "unseen", 1.0)
