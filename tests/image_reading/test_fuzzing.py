from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).with_name("fuzzer.py")


@pytest.fixture
def seeds(tmp_path, modes, drawing):
    """One good file of each format and mode, and of a JPEG that is decoded at a reduced scale."""
    folder = tmp_path / "seeds"
    for suffix, kinds in modes.items():
        for mode in kinds:
            place = folder / f"{suffix}-{mode.replace(';', '')}"
            place.mkdir(parents=True)
            path = drawing(suffix, mode, (48, 36), 6).write(place)
            path.rename(folder / f"{place.name}.{suffix}")
            place.rmdir()
    path = drawing("jpg", "RGB", (700, 500), 6, options={"progressive": True}).write(folder)
    path.rename(folder / "reduced.jpg")
    return folder


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutated_files_are_read_or_unreadable_in_bounded_memory_and_silence(seeds, count):
    arguments = [sys.executable, "-W", "ignore", FUZZER, seeds, str(count), "1"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), f"see {seeds.with_name('mutated')}"
    counts = json.loads(done.stdout)
    assert sum(counts.values()) == count
    # Both happen, else nothing was tested.
    assert min(counts.values()) > count / 20
