"""How many wrong changes of the code the tests notice, by mutmut, as JSON with a diff of each that they do not.

    pip install mutmut
    python benchmarks/mutation.py metrics discovery --work FOLDER --json OUT
    python benchmarks/mutation.py --source zoo/runs/lock.py --tests tests/zoo/runs/test_lock.py --work FOLDER --json OUT

mutmut wants its packages in ``src``: FOLDER gets a copy of the checkout of that shape. A run that is cut goes on where
it was when FOLDER is given again. Only the tests that are named count, so that the share says what the mirrored tests
notice by themselves. Commands that they start as processes run the changed code too, but which functions a test calls
is known of its own process only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
# Sources below the packages' folders, and the tests of each.
GROUPS = {
    "discovery": (["zoo_core/discovery.py"], ["core/test_discovery.py", "zoo/cli/test_plugins.py"]),
    "metrics": (["zoo/validation/metrics.py"], ["zoo/validation/test_metrics.py"]),
    "class_table": (
        [f"zoo_margin/{name}.py" for name in ("sparse_table", "table_shards", "collectives", "selection", "sampling")]
        + [f"zoo_margin/{name}.py" for name in ("row_optimizers", "chunked_softmax", "non_finite", "checkpoint")],
        ["plugins/zoo_margin"],
    ),
    "training_data": (["zoo/training/data/*"], ["zoo/training/data"]),
    "callbacks": (["zoo/training/callbacks/*"], ["zoo/training/callbacks", "zoo/training/test_run.py"]),
    "push": (
        ["zoo/publish/push.py", "zoo/publish/hub.py"],
        ["zoo/publish/test_push.py", "zoo/publish/test_hub.py", "zoo/cli/test_push.py"],
    ),
    "parity": (["zoo/export/parity.py", "zoo/export/pixels.py"], ["zoo/export/test_parity.py"]),
}
PROJECT = """\
[tool.pytest.ini_options]
addopts = "--import-mode=importlib -p no:cacheprovider -p nearest_first -m 'not slow and not docker'"
markers = ["docker: left out", "slow: left out"]

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
# The mirrored tests, and the fastest of them, notice most changes: the others need not run then.
ORDER = """\
import json, os
from pathlib import Path
def pytest_collection_modifyitems(items):
    name = os.environ.get("MUTANT_UNDER_TEST", "")
    if "__mutmut_" in name:
        seconds = json.loads(Path("mutmut-stats.json").read_text(encoding="utf-8"))["duration_by_test"]
        mirrored = f"test_{name.split('.')[-2]}.py"
        items.sort(key=lambda item: (item.path.name != mirrored, seconds.get(item.nodeid, 0)))
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
    sources = [source for group in options.groups for source in GROUPS[group][0]] + options.source
    tests = [f"tests/{test}" for group in options.groups for test in GROUPS[group][1]] + options.tests
    if not sources or not tests:
        parser.error("name a group, or --source and --tests")
    work = options.work.resolve()
    make_project(work, [f"src/{source}" for source in sources], tests)
    code = mutmut(work, "run", "--max-children", str(options.children)).returncode
    result = outcome(work)
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{result['killed']} of {result['mutants']} killed ({result['share']:.1%}); the others: {options.json}")
    return code


def make_project(work: Path, sources: list[str], tests: list[str]) -> None:
    """Copy the checkout into the shape that mutmut wants."""
    for folder in ("core", "zoo", "plugins"):
        for package in (CHECKOUT / folder).iterdir():
            if package.is_dir():
                shutil.copytree(package, work / "src" / package.name, dirs_exist_ok=True)
    for folder in ("tests", "benchmarks", "configs", "docker", "docs"):
        shutil.copytree(CHECKOUT / folder, work / folder, dirs_exist_ok=True)
    shutil.copy2(CHECKOUT / "README.md", work)
    (work / "src" / "sitecustomize.py").write_text(SITE, encoding="utf-8")
    (work / "src" / "nearest_first.py").write_text(ORDER, encoding="utf-8")
    text = PROJECT.format(sources=json.dumps(sources), tests=json.dumps(tests))
    (work / "pyproject.toml").write_text(text, encoding="utf-8")


def mutmut(work: Path, *arguments: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
    """Run mutmut in ``work``."""
    # Set when Python is up: it would remember that the folder is not there yet.
    code = (
        f"import os; os.environ['PYTHONPATH'] = {str(work / 'mutants' / 'src')!r}; "
        "from mutmut.__main__ import cli; cli()"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=work, env=environment, text=True, capture_output=capture, check=False)  # noqa: S603 - ours


def outcome(work: Path) -> dict[str, object]:
    """Count what mutmut found, and show what the tests did not notice."""
    listed = mutmut(work, "results", "--all", "true", capture=True).stdout.split("\n")
    status = dict(line.strip().rsplit(": ", 1) for line in listed if ": " in line)
    noticed = {"killed", "timeout", "segfault", "suspicious"}
    others = {name: state for name, state in status.items() if state not in noticed}
    diffs = {name: _changes(mutmut(work, "show", name, capture=True).stdout) for name in others}
    killed = len(status) - len(others)
    return {
        "mutants": len(status),
        "killed": killed,
        "share": killed / max(1, len(status)),
        "not_noticed": {name: {"status": state, "diff": diffs[name]} for name, state in others.items()},
    }


def _changes(diff: str) -> list[str]:
    return [line for line in diff.splitlines() if line.startswith(("+", "-")) and line[:3] not in {"+++", "---"}]


if __name__ == "__main__":
    sys.exit(main())
