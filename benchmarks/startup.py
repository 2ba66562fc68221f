"""How long the command line takes to start, against Python that imports click alone: whole processes, interleaved.

    python benchmarks/startup.py --rounds 20 --json startup.json

Prints the least and the median seconds of each command, and their ratio to `python -c "import click"`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ZOO = str(Path(sys.executable).with_name("zoo"))
COMMANDS = {
    "import click": [sys.executable, "-c", "import click"],
    "zoo --help": [ZOO, "--help"],
    "zoo list": [ZOO, "list"],
    "zoo plugins": [ZOO, "plugins"],
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(options.rounds):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own commands
            seconds[name].append(time.perf_counter() - started)
    base = seconds["import click"]
    rows = [
        {
            "command": name,
            "least_s": round(min(taken), 4),
            "median_s": round(statistics.median(taken), 4),
            "ratio_of_least": round(min(taken) / min(base), 2),
            "ratio_of_medians": round(statistics.median(taken) / statistics.median(base), 2),
        }
        for name, taken in seconds.items()
    ]
    document = json.dumps({"rounds": options.rounds, "rows": rows}, indent=2)
    print(document)
    if options.json:
        options.json.write_text(document + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
