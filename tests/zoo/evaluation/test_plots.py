from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from zoo.evaluation.plots import draw_embedding, draw_roc, draw_scores
from zoo.metrics.verification import verify
from zoo.validation.embedded_images import EmbeddedImages


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """Draw each picture with a title where no font but matplotlib's own is installed: `draw(title)`."""
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("HOME", "XDG_DATA_HOME", "XDG_DATA_DIRS"):
        monkeypatch.setenv(name, str(tmp_path))
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(40, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = np.arange(40) % 8
    verification = verify(vectors, labels)
    embedded = EmbeddedImages(vectors, labels, np.zeros(40, bool), np.arange(40))

    def run(title):
        draw_roc(verification, tmp_path / "roc.png", title=title)
        draw_scores(verification, tmp_path / "scores.png", title=title)
        draw_embedding(embedded, tmp_path / "embedding.png", title=title)
        return [np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("roc", "scores", "embedding")]

    return run


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("title", "shown"), [("a\nb", r"a\nb"), ("\u5317\u4eac", r"\u5317\u4eac"), ("\udcff", r"\xff")]
)
def test_a_title_of_any_kind_is_drawn_as_it_is_printed(draw, title, shown):
    for picture, expected in zip(draw(title), draw(shown), strict=True):
        np.testing.assert_array_equal(picture, expected)


def test_a_title_is_no_formula(draw):
    # As a formula it would be wrong, and the title would be gone with an error.
    roc, *_ = draw("$x_{$")

    assert not np.array_equal(roc, draw("x")[0])
