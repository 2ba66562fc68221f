"""Prove on a GPU what zoo says of it: training, class table, precision, agreement with the CPU, as one JSON per stage.

    python benchmarks/gpu.py --out FOLDER                                # all stages, under 9 minutes on one H100
    python benchmarks/gpu.py --out FOLDER --stage training --stage class_table
    python benchmarks/gpu.py --out FOLDER --tiny --device cpu            # every stage's code, without a GPU

Each stage is a process of its own with a limit of time, and FOLDER/<stage>.json holds what it has measured so far: a
run that is cut keeps that. FOLDER/summary.json and the table at the end hold the figures that the aims are about. The
exit code is 1 where a stage failed. A stage that cannot run on this machine is ``skipped``, with the reason.

zoo need not be installed: the script makes its own checkout importable, plugins included. What has to be there is what
``plugzoo[train]`` requires, except onnxsim: torch, torchvision, lightning, timm, numpy, pillow, pluggy, click, pyyaml,
rich, packaging, filelock, safetensors, tensorboard, opencv-python-headless, onnx, onnxruntime, huggingface-hub and
pydantic. A machine without network that lacks pydantic gets its wheels with the checkout (for Python 3.12 on Linux,
x86-64; with their dependencies, because a release of pydantic takes one release of pydantic-core only)::

    pip download --only-binary=:all: --python-version 3.12 --platform manylinux2014_x86_64 -d wheels pydantic

which are pydantic, pydantic-core, annotated-types, typing-inspection and typing-extensions, 3 MB; and there::

    python -m pip install --no-index --no-deps --target wheels/site wheels/*.whl
    PYTHONPATH=wheels/site python benchmarks/gpu.py --out FOLDER

``torch.compile`` on a GPU wants a C compiler; onnxruntime's CUDA provider the wheel onnxruntime-gpu, in place of
onnxruntime. Without them these figures are skipped.
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

# Seconds by stage, on one H100; the most telling first. Their sum is under 9 minutes.
BUDGETS = {
    "agreement": 45,
    "training": 100,
    "class_table": 95,
    "synchronisation": 25,
    "quality": 85,
    "precision": 60,
    "checkpoints": 35,
    "distributed": 40,
    "onnx": 25,
}
WHOLE = 520


def main() -> int:
    """Run the stages that are asked for, print the table, and return the exit code."""
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
    began = time.monotonic()
    results = []
    for stage in dict.fromkeys(stages):
        left = WHOLE - (time.monotonic() - began)
        results.append(run_stage(stage, out, facts, seconds=min(BUDGETS[stage], left), tiny=options.tiny))
        write_summary(out, facts, results)
    print_table(results)
    failed = [result for result in results if result["status"] == "failed"]
    for result in failed:
        print(f"{result['stage']}: {result['error']}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
