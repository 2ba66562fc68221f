"""SIGINT, SIGTERM and SIGHUP while a training runs."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType
    from typing import Self

# SIGHUP is not known to Windows.
STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
# Seconds within which a signal is the same request: torchrun and SLURM pass on what the process has got already.
SAME_REQUEST = 1.0


class StopSignals:
    """Listens to signals: the first asks a training to save and stop, a later one ends it at once.

    A signal that the process was started to ignore, as by nohup, stays ignored.

    Attributes:
        number: of the signal that asked for the end; 0: none has.
        has_state: whether there is a training to save; before, the first signal ends the process.
    """

    def __init__(self) -> None:
        self.number = 0
        self.has_state = False
        self._received = 0.0
        self._previous: dict[int, Any] = {}
        self._terminals: list[int] = []

    def __enter__(self) -> Self:
        # Python allows no other thread to set handlers.
        if threading.current_thread() is threading.main_thread():
            handlers = {number: signal.getsignal(number) for number in STOPPING}
            self._previous = {number: found for number, found in handlers.items() if found is not signal.SIG_IGN}
            self._terminals = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]
        self.listen()
        return self

    def listen(self) -> None:
        """Set the handlers; Lightning replaces that of SIGTERM when a training starts."""
        for number in self._previous:
            signal.signal(number, self._handle)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._leave_closed_terminals()
        now = time.monotonic()
        if self.number and now - self._received < SAME_REQUEST:
            return
        at_once = self.number or not self.has_state
        self.number, self._received = number, now
        if at_once:
            sys.exit(128 + number)

    def _leave_closed_terminals(self) -> None:
        """Write to nowhere what would go to a terminal that is gone, where each write is an error."""
        for descriptor in self._terminals:
            if not os.isatty(descriptor):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
