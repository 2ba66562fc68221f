"""Both images, really built and run. Slow and for root: pytest -m docker -s tests/docker"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

NEEDED = ("bash", "buildah", "debootstrap")


@pytest.mark.docker
def test_the_images_do_what_the_page_says():
    # Who asks for it by its marker does not mean a skip.
    missing = [name for name in NEEDED if not shutil.which(name)] + (["root"] if os.geteuid() else [])
    assert not missing, f"it needs root and {', '.join(NEEDED)}; missing: {', '.join(missing)}"

    subprocess.run([shutil.which("bash"), Path(__file__).with_name("run.sh")], check=True)
