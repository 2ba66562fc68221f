"""The processes of a training on several devices: one that dies ends all, with a line that names it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.utilities.distributed import _set_num_threads_if_needed
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from torch import distributed

from zoo.runs.resuming import resume_command
from zoo.training.callbacks.stopping import StopRequested
from zoo_core.errors import RunError, ZooError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    import lightning

    from zoo.runs.layout import RunFolder

# Exit codes of ranks that ended well, or stopped on all ranks' agreement.
AGREED = (0, 128 + 1, 128 + 2, 128 + 15)
# Seconds until a rank that waits for a dead one in vain is ended: collectives of a GPU do not notice by themselves.
PATIENCE = 5.0
_STEP = 0.1


class WatchedLauncher(_SubprocessScriptLauncher):
    """Starts the other ranks without Lightning's observer, which ends all in silence when one dies."""

    def launch(
        self,
        function: Callable[..., Any],
        *args: Any,  # noqa: ANN401 - Lightning's signature
        trainer: lightning.Trainer | None = None,  # noqa: ARG002 - as above
        **kwargs: Any,  # noqa: ANN401 - as above
    ) -> Any:  # noqa: ANN401 - as above
        """Start the other ranks of this node, and call ``function``."""
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            self._call_children_scripts()
        _set_num_threads_if_needed(num_processes=self.num_processes)
        return function(*args, **kwargs)


def watch_launched(trainer: lightning.Trainer) -> None:
    """Let ``trainer`` start other ranks by `WatchedLauncher`, where it starts any itself."""
    launcher = trainer.strategy.launcher
    if isinstance(launcher, _SubprocessScriptLauncher):
        # Lightning makes it by the strategy's name, and takes none from outside.
        watched = WatchedLauncher(launcher.cluster_environment, launcher.num_processes, launcher.num_nodes)
        trainer.strategy._launcher = watched  # noqa: SLF001 - as above


class RankWatch(Callback):
    """Ends all ranks when one of them dies.

    Attributes:
        lost: which rank was lost, where that is why the training failed.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.lost: RunError | None = None
        self._folder = folder
        self._parent = os.getppid()

    def setup(self, trainer: lightning.Trainer, _module: lightning.LightningModule, stage: str) -> None:
        """Begin to watch the ranks that this process started."""
        # Only the first rank knows where a new run is.
        self._folder = trainer.strategy.broadcast(self._folder)
        if stage == "fit" and (ranks := _started(trainer)):
            threading.Thread(target=self._watch, args=(ranks,), daemon=True, name="rank-watch").start()

    def on_exception(
        self, trainer: lightning.Trainer, _module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Find the rank that was lost, and end the others: they would wait, or report the loss of this one."""
        if isinstance(exception, StopRequested):
            return
        if trainer.world_size > 1 and isinstance(exception, Exception) and not isinstance(exception, ZooError):
            self.lost = self._find(trainer, exception)
        _kill(_started(trainer))

    def _find(self, trainer: lightning.Trainer, exception: Exception) -> RunError | None:
        """Return which rank's death raised ``exception``, if any did; end a rank whose first one reports it."""
        ranks = _started(trainer)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if ranks and (found := _dead(ranks)):
                return self._error(*found)
            if not ranks and os.getppid() != self._parent:
                return RunError("rank 0 was killed", hint=f"resume: {resume_command(self._folder)}")
            if TorchElasticEnvironment.detect():
                break
            time.sleep(_STEP)
        if not _is_of_connection(exception):
            return None
        if not trainer.is_global_zero:
            sys.exit(1)
        hint = f"torchrun's report names it; resume: {resume_command(self._folder)}"
        return RunError("the connection to another rank was lost", hint=hint)

    def _watch(self, ranks: list[subprocess.Popen[bytes]]) -> None:
        """End this process where it waits for a dead rank and does not notice."""
        while (found := _dead(ranks)) is None:
            if all(rank.poll() == 0 for rank in ranks):
                return
            time.sleep(_STEP)
        time.sleep(2 * PATIENCE)
        # Otherwise the main thread has noticed, and this one has ended with it.
        sys.stderr.write(f"error: {self._error(*found)}\n")
        sys.stderr.flush()
        _kill(ranks)
        os._exit(1)

    def _error(self, rank: int, code: int) -> RunError:
        resume = f"resume: {resume_command(self._folder)}"
        if code >= 0:
            return RunError(f"rank {rank} failed", hint=f"its error is above; {resume}")
        why = "is the memory too small? " if code == -signal.SIGKILL else ""
        return RunError(f"rank {rank} was killed by {signal.Signals(-code).name}", hint=why + resume)


def _started(trainer: lightning.Trainer) -> list[subprocess.Popen[bytes]]:
    """Return the processes of the ranks 1, 2, ... that this one started."""
    launcher = trainer.strategy.launcher
    return launcher.procs if isinstance(launcher, _SubprocessScriptLauncher) else []


def _dead(ranks: list[subprocess.Popen[bytes]]) -> tuple[int, int] | None:
    """Return number and exit code of the first rank that died; a signal's number is negative."""
    codes = [rank.poll() for rank in ranks]
    return next(((rank, code) for rank, code in enumerate(codes, 1) if code is not None and code not in AGREED), None)


def _kill(ranks: list[subprocess.Popen[bytes]]) -> None:
    for rank in ranks:
        if rank.poll() is None:
            rank.kill()


def _is_of_connection(exception: Exception) -> bool:
    text = str(exception)
    return isinstance(exception, distributed.DistError) or any(
        word in text for word in ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer")
    )
