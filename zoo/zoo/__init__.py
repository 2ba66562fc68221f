"""zoo: a plugin-based model zoo for image-embedding models."""

from __future__ import annotations

__version__ = "0.1.0"
