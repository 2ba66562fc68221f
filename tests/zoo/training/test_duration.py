from __future__ import annotations

from datetime import timedelta

import pytest

from zoo.training.duration import lightning_time
from zoo_core.errors import UsageError


@pytest.mark.parametrize(
    ("time", "means"),
    [("90s", "00:00:01:30"), ("15m", "00:00:15:00"), ("1h30m", "00:01:30:00"), ("2d", "02:00:00:00"),
     ("26h", "01:02:00:00"), (timedelta(minutes=15), "00:00:15:00"), (timedelta(days=1, seconds=0.2), "01:00:00:01")],
)  # fmt: skip
def test_times_are_written_as_lightning_reads_them(time, means):
    assert lightning_time(time) == means


@pytest.mark.parametrize("time", ["", "15", "m", "0s", "1x", "1m 2s", "-1s", timedelta(0), timedelta(-1), 15])
def test_what_is_no_time_is_refused(time):
    with pytest.raises(UsageError, match="is no duration; write 90s, 15m, 1h30m or 2d"):
        lightning_time(time)
