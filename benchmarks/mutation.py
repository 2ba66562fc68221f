"""How many wrong changes of the code the tests notice, by mutmut, as JSON with a diff of each that they do not.

    pip install mutmut
    python benchmarks/mutation.py metrics discovery --work FOLDER --json OUT
    python benchmarks/mutation.py --source zoo/runs/lock.py --tests tests/zoo/runs/test_lock.py --work FOLDER --json OUT

mutmut wants its packages in ``src``: FOLDER gets a copy of the checkout of that shape for each part of a group. A run
that is cut goes on where it was when FOLDER is given again; after a change of the tests, give a new one. Only the tests
that are named count, so that the share says what the mirrored tests notice by themselves. Commands that they start as
processes run the changed code too, but which functions a test calls is known of its own process only. mutmut leaves
functions with decorators alone, those of ``torch.no_grad`` and of autograd among them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
_DATA = (
    *("batch", "device_parts", "epoch_length", "items", "loaders", "mixed_dataset", "residency", "resident"),
    *("resident_reading", "sampler", "shuffling", "streaming"),
)
_METRICS = ("bootstrap", "identification", "open_set", "retrieval", "summary", "verification", "within_batches")
_CALLBACKS = ("curves", "display", "ema", "progress")
# The class table on several devices.
RANKS = "plugins/zoo_margin/test_collectives.py"
Part = tuple[list[str], list[str]]
# Sources below the packages' folders, and the tests of each part of them.
GROUPS: dict[str, list[Part]] = {
    "discovery": [(["zoo_core/discovery.py"], ["core/test_discovery.py", "zoo/cli/test_plugins.py"])],
    "metrics": [([f"zoo/metrics/{name}.py"], [f"zoo/metrics/test_{name}.py"]) for name in _METRICS],
    # In parts: a test of the whole table takes seconds, one of the mirrored file milliseconds.
    "class_table": [
        (["zoo_margin/chunked_softmax.py"], ["plugins/zoo_margin/test_chunked_softmax.py"]),
        (["zoo_margin/row_optimizers.py"], ["plugins/zoo_margin/test_row_optimizers.py"]),
        (["zoo_margin/sampling.py"], ["plugins/zoo_margin/test_sampling.py"]),
        (["zoo_margin/non_finite.py"], ["plugins/zoo_margin/test_non_finite.py"]),
        (["zoo_margin/collectives.py"], [RANKS]),
        (["zoo_margin/checkpoint.py", "zoo_margin/table_shards.py"], ["plugins/zoo_margin/test_checkpoint.py", RANKS]),
        (
            ["zoo_margin/sparse_table.py"],
            ["plugins/zoo_margin/test_sparse_table.py", "plugins/zoo_margin/test_checkpoint.py", RANKS],
        ),
    ],
    "training_data": [([f"zoo/training/data/{name}.py"], [f"zoo/training/data/test_{name}.py"]) for name in _DATA],
    "callbacks": [
        (
            ["zoo/training/callbacks/saving.py", "zoo/training/callbacks/stopping.py"],
            ["zoo/training/callbacks/test_saving.py", "zoo/training/callbacks/test_stopping.py"],
        ),
        (
            ["zoo/training/callbacks/class_table.py"],
            ["zoo/training/callbacks/test_class_table_steps.py", "zoo/training/callbacks/test_class_table.py"],
        ),
        *(([f"zoo/training/callbacks/{name}.py"], [f"zoo/training/callbacks/test_{name}.py"]) for name in _CALLBACKS),
    ],
    "push": [
        (["zoo/publish/hub.py"], ["zoo/publish/test_hub.py"]),
        (["zoo/publish/plan.py", "zoo/publish/remote.py", "zoo/publish/push.py"], ["zoo/publish/test_push.py"]),
        (["zoo/publish/retry.py"], ["zoo/publish/test_retry.py"]),
    ],
    "parity": [
        (["zoo/onnx_export/pixels.py"], ["zoo/onnx_export/test_pixels.py"]),
        (["zoo/onnx_export/parity.py"], ["zoo/onnx_export/test_parity.py"]),
    ],
}
PROJECT = """\
[tool.pytest.ini_options]
addopts = "--import-mode=importlib -p no:cacheprovider -p fastest_first -m 'not slow and not docker'"
markers = ["docker: left out", "slow: left out"]
filterwarnings = {warnings}

[tool.mutmut]
source_paths = ["src"]
only_mutate = {sources}
pytest_add_cli_args_test_selection = {tests}
also_copy = ["benchmarks", "configs", "docker", "docs", "README.md"]
use_setproctitle = false
"""
# A command that a test starts has no settings of mutmut's to find, so it is not asked which functions it calls.
SITE = """\
import os
if os.environ.get("MUTANT_UNDER_TEST") == "stats":
    os.environ["MUTANT_UNDER_TEST"] = ""
"""
# Most changes are noticed by a fast test: those of seconds need not run then.
ORDER = """\
import json, os
from pathlib import Path
def pytest_collection_modifyitems(items):
    if "__mutmut_" in os.environ.get("MUTANT_UNDER_TEST", ""):
        seconds = json.loads(Path("mutmut-stats.json").read_text(encoding="utf-8"))["duration_by_test"]
        items.sort(key=lambda item: seconds.get(item.nodeid, 0))
"""


def main() -> int:
    """Run the groups that are asked for, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--source", action="append", default=[], help="below core, zoo or plugins: zoo/runs/lock.py")
    parser.add_argument("--tests", action="append", default=[], help="below the checkout: tests/zoo/runs")
    parser.add_argument("--work", type=Path, required=True, help="a folder to work in, which may hold a run to go on")
    parser.add_argument("--children", type=int, default=1, help="processes that test at a time")
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    if unknown := sorted({*options.groups} - {*GROUPS}):
        parser.error(f"no group is called {unknown[0]!r}: they are {', '.join(GROUPS)}")
    parts = [
        (sources, [f"tests/{test}" for test in tests]) for group in options.groups for sources, tests in GROUPS[group]
    ]
    if options.source and options.tests:
        parts.append((options.source, options.tests))
    if not parts:
        parser.error("name a group, or --source and --tests")
    codes, found = [], []
    for sources, tests in parts:
        work = options.work.resolve() / re.sub(r"\W+", "-", sources[0])
        make_project(work, [f"src/{source}" for source in sources], tests)
        codes.append(mutmut(work, "run", "--max-children", str(options.children)).returncode)
        found.append(outcome(work))
    result = summary(found)
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{result['killed']} of {result['mutants']} killed ({result['share']:.1%}); the others: {options.json}")
    return max(codes)


def make_project(work: Path, sources: list[str], tests: list[str]) -> None:
    """Copy the checkout into the shape that mutmut wants."""
    for folder in ("core", "zoo", "plugins"):
        for package in (CHECKOUT / folder).iterdir():
            if package.is_dir():
                shutil.copytree(package, work / "src" / package.name, dirs_exist_ok=True)
    shutil.copytree(CHECKOUT / "configs", work / "src" / "zoo" / "configs", dirs_exist_ok=True)  # as in a wheel
    for folder in ("tests", "benchmarks", "configs", "docker", "docs"):
        shutil.copytree(CHECKOUT / folder, work / folder, dirs_exist_ok=True)
    shutil.copy2(CHECKOUT / "README.md", work)
    (work / "src" / "sitecustomize.py").write_text(SITE, encoding="utf-8")
    (work / "src" / "fastest_first.py").write_text(ORDER, encoding="utf-8")
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    lists = {"warnings": settings["filterwarnings"], "sources": sources, "tests": tests}
    text = PROJECT.format_map({name: json.dumps(values) for name, values in lists.items()})
    (work / "pyproject.toml").write_text(text, encoding="utf-8")


def mutmut(work: Path, *arguments: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
    """Run mutmut in ``work``."""
    # Set when Python is up: it would remember that the folder is not there yet.
    code = (
        f"import os; os.environ['PYTHONPATH'] = {str(work / 'mutants' / 'src')!r}; "
        "from mutmut.__main__ import cli; cli()"
    )
    # As in CI, hypothesis draws the same examples for every change, and has no deadline.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CI": "true"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=work, env=environment, text=True, capture_output=capture, check=False)  # noqa: S603 - ours


def outcome(work: Path) -> tuple[int, dict[str, Any]]:
    """Return how many mutants there are, and show what the tests did not notice."""
    listed = mutmut(work, "results", "--all", "true", capture=True).stdout.split("\n")
    status = dict(line.strip().rsplit(": ", 1) for line in listed if ": " in line)
    noticed = {"killed", "timeout", "segfault", "suspicious"}
    others = {name: state for name, state in status.items() if state not in noticed}
    diffs = {name: _changes(mutmut(work, "show", name, capture=True).stdout) for name in others}
    return len(status), {name: {"status": state, "diff": diffs[name]} for name, state in others.items()}


def summary(found: list[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    """Add up the outcomes of all parts."""
    mutants = sum(count for count, _ in found)
    others = {name: other for _, not_noticed in found for name, other in not_noticed.items()}
    killed = mutants - len(others)
    return {"mutants": mutants, "killed": killed, "share": killed / max(1, mutants), "not_noticed": others}


def _changes(diff: str) -> list[str]:
    return [line for line in diff.splitlines() if line.startswith(("+", "-")) and line[:3] not in {"+++", "---"}]


if __name__ == "__main__":
    sys.exit(main())
