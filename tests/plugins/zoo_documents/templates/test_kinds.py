from __future__ import annotations

import pytest

from zoo_documents.templates.composing import compose
from zoo_documents.templates.kinds import KINDS


def test_all_kinds_occur(assets):
    kinds = {compose(0, "train", number, assets).kind for number in range(400)}
    assert kinds == {kind.name for kind in KINDS}
    assert sum(kind.share for kind in KINDS) == pytest.approx(1)
