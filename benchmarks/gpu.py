"""Prove on a GPU what zoo says of it: training, class table, precision, agreement with the CPU, as one JSON per stage.

    python benchmarks/gpu.py --out FOLDER                                # all stages, in less than 9 minutes
    python benchmarks/gpu.py --out FOLDER --stage training --stage class_table
    python benchmarks/gpu.py --out FOLDER --tiny --device cpu            # every stage's code, without a GPU

Each stage is a process of its own, which is ended when its time is over, and FOLDER/<stage>.json holds what it has
measured so far: a run that is cut keeps that. FOLDER/summary.json and the table at the end hold the figures that the
aims are about. What cannot run on this machine is ``skipped``, with the reason; a figure that ``failed`` says why, the
stage takes the next one, and the exit code is 1. The budgets are estimates for one H100. Nine minutes are a limit: on a
slower machine the last stages are skipped. ``--tiny`` has no limit.

zoo need not be installed: the script makes its own checkout importable, plugins included. What has to be there is what
``plugzoo[train]`` requires, except onnxsim: torch, torchvision, lightning, timm, numpy, pillow, pluggy, click, pyyaml,
rich, packaging, filelock, safetensors, tensorboard, opencv-python-headless, onnx, onnxruntime, huggingface-hub and
pydantic. A machine without network that lacks pydantic gets its wheels with the checkout (for Python 3.12 on Linux,
x86-64; with their dependencies, because a release of pydantic takes one release of pydantic-core only)::

    pip download --only-binary=:all: --python-version 3.12 --platform manylinux2014_x86_64 -d wheels pydantic

which are pydantic, pydantic-core, annotated-types, typing-inspection and typing-extensions, 3 MB; and there::

    python -m pip install --no-index --no-deps --target wheels/site wheels/*.whl
    PYTHONPATH=wheels/site python benchmarks/gpu.py --out FOLDER

``torch.compile`` on a GPU wants a C compiler, ``Python.h`` and triton; onnxruntime's CUDA provider the wheel
onnxruntime-gpu, in place of onnxruntime. Without them these figures are skipped.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from gpu_stages.checkout import make_importable

# As the command does, before torch is there.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Whether there is a GPU is asked without starting CUDA: a process that has started it cannot pass it on by forking.
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")

# Seconds by stage, on one H100; the most telling first.
BUDGETS = {
    "agreement": 55,
    "training": 85,
    "class_table": 60,
    "synchronisation": 45,
    "quality": 75,
    "precision": 90,
    "checkpoints": 30,
    "distributed": 40,
    "onnx": 20,
}
# Seconds of the whole run, imports included; those that are kept to end a process and to write the summary.
WHOLE, KEPT = 540, 10
# What a stage may take beyond its time: it looks at the clock between measurements only.
GRACE = 15


def main() -> int:
    """Run the stages that are asked for, print the table, and return the exit code."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the JSON files")
    parser.add_argument("--stage", action="append", choices=[*BUDGETS], help="may be given several times; default: all")
    parser.add_argument("--device", choices=["cuda", "cpu"], help="default: cuda where there is one")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes: what the tests run")
    options = parser.parse_args()
    made = make_importable(Path(__file__).resolve().parents[1])
    from gpu_stages.running import facts_of, run_stage, start_together  # noqa: PLC0415 - needs zoo and torch
    from gpu_stages.summary import print_table, write_summary  # noqa: PLC0415 - as above

    facts = facts_of(options.device, made_importable=made)
    start_together()
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    stages = options.stage or [*BUDGETS]
    results = []
    for stage in dict.fromkeys(stages):
        seconds = BUDGETS[stage] if options.tiny else seconds_for(stage, spent=time.monotonic() - began)
        # The tests' sizes have no limit: other work may share their machine.
        limit = None if options.tiny else seconds + GRACE
        results.append(run_stage(stage, out, facts, seconds=seconds, limit=limit, tiny=options.tiny))
        write_summary(out, facts, results)
    print_table(results)
    failed = [result for result in results if result["status"] == "failed"]
    for result in failed:
        print(f"{result['stage']}: {result['error']}", file=sys.stderr)
    return 1 if failed else 0


def seconds_for(stage: str, *, spent: float) -> float:
    """Return how long a stage may measure, ``spent`` seconds after the start: its budget, or what is left."""
    return min(BUDGETS[stage], WHOLE - KEPT - GRACE - spent)


if __name__ == "__main__":
    sys.exit(main())
