"""How long zoo takes to start: commands against Python that imports click alone, `import zoo` against bare Python.

    python benchmarks/startup.py --rounds 20 --json startup.json

Whole processes, interleaved. Prints the least and the median seconds of each, and their ratios to its base.
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
BARE, CLICK = "python -c pass", "import click"
# Each with what it is compared to.
COMMANDS = {
    BARE: ([sys.executable, "-c", "pass"], BARE),
    "import zoo": ([sys.executable, "-c", "import zoo"], BARE),
    CLICK: ([sys.executable, "-c", "import click"], CLICK),
    "zoo --help": ([ZOO, "--help"], CLICK),
    "zoo list": ([ZOO, "list"], CLICK),
    "zoo plugins": ([ZOO, "plugins"], CLICK),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(options.rounds):
        for name, (command, _) in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own commands
            seconds[name].append(time.perf_counter() - started)
    rows = []
    for name, taken in seconds.items():
        base = seconds[COMMANDS[name][1]]
        rows.append(
            {
                "command": name,
                "base": COMMANDS[name][1],
                "least_s": round(min(taken), 4),
                "median_s": round(statistics.median(taken), 4),
                "ratio_of_least": round(min(taken) / min(base), 2),
                "ratio_of_medians": round(statistics.median(taken) / statistics.median(base), 2),
            }
        )
    document = json.dumps({"rounds": options.rounds, "rows": rows}, indent=2)
    print(document)
    if options.json:
        options.json.write_text(document + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
