"""docs/publish.md: its commands run, and its table holds."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from zoo.publish.retry import RetryLimits

PAGE = (Path(__file__).parents[3] / "docs/publish.md").read_text(encoding="utf-8")


def test_the_commands_run_one_after_the_other(zoo, hub, hub_environment, exported):  # noqa: ARG001 - it is published
    blocks = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    for line in "".join(blocks).replace("ORG/NAME", "org/tiny").splitlines():
        name, *arguments = shlex.split(line, comments=True)
        assert name == "zoo"
        zoo(*arguments, env=hub_environment, check=0)
    assert hub.repos["org/tiny"].tags.keys() == {"v1.0"}


def test_the_waits_are_those_of_the_page():
    limits = RetryLimits()
    assert (limits.tries, limits.first, limits.waiting, limits.silence) == (6, 1, 600, 120)
    for words in ("six times in all, after 1, 2, 4, 8 and 16 seconds", "after ten minutes", "for two minutes"):
        assert words in PAGE.replace("\n", " ")
