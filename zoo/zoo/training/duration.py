"""How long to train: as people write it, to Lightning's ``DD:HH:MM:SS``."""

from __future__ import annotations

import math
import re
from datetime import timedelta

from zoo_core.errors import UsageError

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def lightning_time(time: str | timedelta) -> str:
    """Return a time such as ``90s``, ``15m``, ``1h30m`` or ``2d`` as Lightning reads it; parts of seconds count up.

    Raises:
        UsageError: it is no time, or none at all.
    """
    if isinstance(time, timedelta):
        seconds = math.ceil(time.total_seconds())
    else:
        amounts = re.findall(r"(\d+)([dhms])", str(time))
        seconds = sum(int(number) * _UNITS[unit] for number, unit in amounts)
        seconds = seconds if "".join(number + unit for number, unit in amounts) == time else 0
    if seconds <= 0:
        given = str(time) if isinstance(time, timedelta) else repr(time)
        raise UsageError(f"{given} is no duration", hint="write 90s, 15m, 1h30m or 2d")
    days, rest = divmod(seconds, 86400)
    return f"{days:02}:{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
