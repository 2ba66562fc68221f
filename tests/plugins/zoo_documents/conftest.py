from __future__ import annotations

import cv2
import pytest

from zoo_documents.drawing.pages import Assets


@pytest.fixture(scope="session")
def assets():
    """Return the fonts and faces that all templates share."""
    return Assets()


@pytest.fixture(scope="session")
def small():
    """Return a function that reduces an image to a network's resolution."""
    return lambda image: cv2.resize(image, (96, 96), interpolation=cv2.INTER_AREA).astype(int)
