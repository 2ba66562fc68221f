from __future__ import annotations

import re
from pathlib import Path

from scipy import stats

from zoo.calibration.bounds import kept, least_strangers

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8")


def test_the_table_of_strangers_is_that_of_the_bound():
    rows = re.findall(r"^\| ([\d,]+) \| (\d+) \| ([\d.]+) \|$", PAGE, re.MULTILINE)
    assert int(rows[0][0]) == least_strangers(0.01, 0.95)
    for strangers, accepted, median in rows:
        count, most = int(strangers.replace(",", "")), int(accepted)
        assert kept(most, count, 0.01, 0.95)
        assert not kept(most + 1, count, 0.01, 0.95)
        assert round(stats.beta.ppf(0.5, most + 1, count - most) / 0.01, 2) == float(median)


def test_the_commands_are_ones_that_run(zoo, exported, picture, tmp_path):
    for seed in range(3):
        picture(tmp_path / "cards" / f"{seed}.png", seed)
    # Too few would promise nothing; their content does not matter here.
    for seed in range(300):
        picture(tmp_path / "strangers" / f"stranger{seed}.png", 100 + seed)
    picture(tmp_path / "photo.jpg", 1)
    block = re.search(r"^```bash\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)[1]
    for line in block.splitlines():
        program, *arguments = line.replace("MODEL", str(exported.path)).split()
        assert program == "zoo"
        zoo(*arguments, check=0)
