"""Checkpoints on disk: written whole or not at all, read with errors that name them, and which ones are kept."""

from __future__ import annotations

import os
from pathlib import Path, PureWindowsPath
from typing import IO, TYPE_CHECKING, Any, cast

import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from zoo.atomic import replacing
from zoo.runs.checksum import HashingWriter, verify, warn_unchecked
from zoo.training.callbacks.class_table import drop_remnants
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from lightning import LightningModule, Trainer

    from zoo.runs.layout import RunFolder

# What the state of Lightning's callback knows of files.
_PATHS = ("best_model_path", "kth_best_model_path", "last_model_path")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint under a temporary name and renames it once it is on the disk.

    Lightning's own goes through a temporary folder, from where another file system can only copy: a full disk or a
    power failure then leaves half a file under the right name, and the former checkpoint is gone.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: Any = None,  # noqa: ANN401, ARG002 - Lightning's signature
    ) -> None:
        """Write ``checkpoint`` to ``path``.

        Raises:
            RunError: it cannot be written; what was at ``path`` is still there.
        """
        try:
            with replacing(Path(path)) as beside, beside.open("wb") as file:
                hashing = HashingWriter(file)
                torch.save(checkpoint, cast("IO[bytes]", hashing))
                hashing.finish()
                file.flush()
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:
            message = f"{path}: the checkpoint cannot be written: {_reason(error)}"
            if Path(path).is_file():
                hint = "make room and resume; the checkpoint from before is still there"
            else:
                hint = "make room and start anew; there was none before"
            raise RunError(message, hint=hint) from error
        drop_remnants(Path(path).parent)

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Any = "cpu",  # noqa: ANN401 - Lightning's signature
        weights_only: bool | None = True,  # noqa: FBT001, FBT002, ARG002 - Lightning's signature; never anything else
    ) -> dict[str, Any]:
        """Read the checkpoint at ``path``.

        Raises:
            RunError: it cannot be read, or is no checkpoint of a training.
        """
        hint = "copy best.ckpt over last.ckpt to resume from the best validation, or train anew"
        try:
            checked = verify(Path(path), hint=hint)
            checkpoint = torch.load(path, map_location=map_location, weights_only=True)
        except OSError as error:
            raise RunError(f"{path}: cannot be read: {error.strerror or error}", hint=hint) from error
        except RunError:
            raise
        except Exception as error:  # zip, pickle and torch each have their own kinds of broken
            raise RunError(f"{path}: it is damaged, or no checkpoint of tensors alone", hint=hint) from error
        needed = {"state_dict", "optimizer_states", "loops", "pytorch-lightning_version"}
        if not isinstance(checkpoint, dict) or not needed <= checkpoint.keys():
            raise RunError(f"{path}: it is no checkpoint of a training", hint=hint)
        if not checked:
            warn_unchecked(Path(path))
        return checkpoint


class KeepLast(Callback):
    """Writes the end of a training as its last checkpoint, and as its best where nothing was ever validated."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def on_train_end(self, trainer: Trainer, _module: LightningModule) -> None:
        """Save on all ranks, as Lightning's strategies want it."""
        validated = trainer.strategy.broadcast(self.folder.best.is_file())
        trainer.save_checkpoint(self.folder.last)
        if not validated:
            trainer.save_checkpoint(self.folder.best)


class KeepInFolder(ModelCheckpoint):
    """Keeps checkpoints in a folder that may have been moved or copied since they were written.

    Lightning's own forgets there which was the best, and puts the next one, however bad, in its place.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state over, with the paths in it as they are now."""

        def here(path: str) -> str:
            return str(Path(self.dirpath or "", PureWindowsPath(path).name)) if path else path

        paths = {key: here(state_dict.get(key, "")) for key in _PATHS}
        best = {here(path): score for path, score in state_dict.get("best_k_models", {}).items()}
        super().load_state_dict({**state_dict, **paths, "best_k_models": best, "dirpath": self.dirpath})


def kept_checkpoints(folder: RunFolder, monitor: str) -> list[Callback]:
    """Return the callbacks that keep the best checkpoint by the metric ``monitor``, and the last."""
    shared: dict[str, Any] = {
        "dirpath": folder.checkpoints,
        "auto_insert_metric_name": False,
        "enable_version_counter": False,
    }
    best = KeepInFolder(**shared, filename=folder.best.stem, monitor=f"valid/{monitor}", mode="max")
    last = KeepInFolder(**shared, filename=folder.last.stem)
    return [best, last]


def _reason(error: BaseException) -> str:
    """Return the system's message, which torch's writer hides behind another error."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__context__
    return cause.strerror or str(cause) if cause else str(error).partition("\n")[0]
