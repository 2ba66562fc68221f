"""``python -m zoo``: the command line, where the console script is not on the path."""

from __future__ import annotations

from zoo.cli.main import main

main()
