"""The command that resumes a run, as it has to be typed where this process was started."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.runs.layout import RunFolder


def resume_command(folder: RunFolder) -> str:
    """Return the command line that resumes the run in ``folder``, below torchrun where this process is."""
    command = f"zoo train --resume --run {shlex.quote(str(folder.path))}"
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return command
    nodes, processes = os.environ.get("GROUP_WORLD_SIZE", "1"), os.environ.get("LOCAL_WORLD_SIZE", "1")
    meeting = ""
    if nodes != "1":
        meeting = f"--nnodes {nodes} --rdzv-backend c10d --rdzv-endpoint {os.environ.get('MASTER_ADDR')}:29500 "
    # Without the two dashes torchrun takes --run for an abbreviation of an option of its own.
    return f"torchrun {meeting}--nproc-per-node {processes} --no-python -- {command}"
