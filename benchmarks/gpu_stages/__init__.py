"""The stages of ``benchmarks/gpu.py``, a module each, and what they share."""

from __future__ import annotations
