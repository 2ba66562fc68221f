"""Save and load the class table: rows in the order of all classes, in shards that any number of ranks can read.

A folder holds ``table.json``, the manifest; ``classes.json``, the class names in order; and the shards,
``rows-*.safetensors``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, distributed

from zoo_core.api import RunError
from zoo_margin.collectives import all_gather_text, classes_of_rank, rank_and_world_size
from zoo_margin.table_shards import Shard, read_shard, serialize_shard, shard_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from zoo_margin.class_names import ClassNames
    from zoo_margin.sparse_table import SparseTable

FORMAT = 1
SHARD_BYTES = 64 * 2**20
MANIFEST, NAMES = "table.json", "classes.json"
_HINT = "use another checkpoint"


def save(table: SparseTable, names: ClassNames, folder: Path, device: torch.device) -> None:
    """Write ``table``, of a loss that is on ``device``, to the new ``folder``, completely or not at all.

    All ranks call it, with a file system that they share.

    Raises:
        RunError: the folder cannot be written.
    """
    rank, world_size = rank_and_world_size()
    # A hidden folder, renamed when it is complete. The application removes those of killed processes by this name.
    unfinished = folder.with_name(f".{folder.name}.part")

    def prepare() -> None:
        if folder.exists():
            raise FileExistsError("it is there already")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        _write(unfinished / NAMES, _to_json(list(names)))
        _write(unfinished / MANIFEST, _to_json(_manifest(table, names, world_size, device)))

    def write_shards() -> None:
        tensors = table.tensors(_place(device))
        for start, stop in _shard_ranges(table, rank, world_size):
            rows = slice(start - table.start, stop - table.start)
            on_cpu = {name: tensor[rows].cpu() for name, tensor in tensors.items()}
            _write(unfinished / shard_name(start), serialize_shard(on_cpu, start, stop))

    def publish() -> None:
        unfinished.rename(folder)

    for step, on_all_ranks in ((prepare, False), (write_shards, True), (publish, False)):
        failure = _failure_of(step) if on_all_ranks or rank == 0 else ""
        # Every rank learns of every failure, so that none waits for a rank that gave up.
        failures = [message for message in all_gather_text(failure) if message]
        if failures:
            if rank == 0:
                shutil.rmtree(unfinished, ignore_errors=True)
            hint = "make room and resume, or choose a new folder"
            raise RunError(f"{folder}: the class table cannot be written: {failures[0]}", hint=hint)


def _failure_of(step: Callable[[], None]) -> str:
    """Take a step of saving, and return the message of its failure, if any."""
    try:
        step()
    except OSError as error:
        return error.strerror or str(error)
    return ""


class _Plan(NamedTuple):
    """Where the rows of this rank come from.

    Attributes:
        sources: ``int64 [R]``, the index that each class was saved under, -1 for a new class.
        new: number of new classes on all ranks.
        new_before: number of new classes on the ranks before this one.
        summary: what becomes of the classes, in words.
    """

    sources: Tensor
    new: int
    new_before: int
    summary: str


def load(table: SparseTable, names: ClassNames, folder: Path, device: torch.device) -> str:
    """Fill ``table``, of a loss that is on ``device``, with what ``save`` wrote, and say what became of the classes.

    Classes find their rows by name; a new class gets initial values that no other class ever had. Everything is read
    and checked before the table changes.

    Raises:
        RunError: the folder cannot be read, is incomplete, or holds a different table.
    """
    manifest = _read_json(folder / MANIFEST)
    tensors = table.tensors(_place(device))
    _check_digests(manifest, folder)
    _check(table, tensors, manifest, folder)
    plan = _plan(table, names, manifest, folder)
    shards = [shard for shard in _shards(manifest, folder) if len(shard.positions_of(plan.sources))]
    # Every rank learns of what another one cannot read, so that all of them refuse the folder.
    unreadable = [message for message in all_gather_text(_unreadable(shards, tensors)) if message]
    if unreadable:
        raise RunError(unreadable[0])
    for shard in shards:
        rows = shard.positions_of(plan.sources)
        for name, values in read_shard(shard, tensors).items():
            device = tensors[name].device
            tensors[name].index_copy_(0, rows.to(device), values[plan.sources[rows] - shard.start].to(device))
    new, drawn = torch.nonzero(plan.sources < 0)[:, 0], manifest["drawn"]
    table.restore(new, drawn + plan.new_before, step=manifest["step"], initialized=drawn + plan.new)
    return plan.summary


def _plan(table: SparseTable, names: ClassNames, manifest: dict[str, Any], folder: Path) -> _Plan:
    """Match the classes of the table with the saved ones by name."""
    if manifest["names"] == names.digest:
        return _Plan(torch.arange(table.start, table.stop), 0, 0, f"{table.num_classes:,} classes as they were")
    saved = {name: index for index, name in enumerate(_read_json(folder / NAMES))}
    wanted = list(names)
    if len(saved) != manifest["classes"] or len(set(wanted)) != len(wanted):
        hint = "give each class its own name"
        raise RunError(f"{folder}: classes of the same name cannot find their rows", hint=hint)
    sources = torch.tensor([saved.get(name, -1) for name in wanted])
    new = int((sources < 0).sum())
    known = len(wanted) - new
    if known == 0:
        message = f"not one of its {len(saved):,} classes is among the {len(wanted):,} of the data set"
        raise RunError(f"{folder}: {message}", hint="train on the same data set, or from scratch")
    summary = f"{known:,} classes as they were, {new:,} new, {len(saved) - known:,} gone"
    return _Plan(sources[table.start : table.stop], new, int((sources[: table.start] < 0).sum()), summary)


def _manifest(table: SparseTable, names: ClassNames, world_size: int, device: torch.device) -> dict[str, Any]:
    # The keys are those of the format, and older than the words of the code.
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "classes": table.num_classes,
        "width": table.width,
        "centers": table.centers,
        "optimizer": type(table.optimizer).__name__,
        "state": _state_names(table.tensors(_place(device))),
        "seed": table.seed,
        "step": table.step,
        "drawn": table.initialized,
        "names": names.digest,
        "pieces": [
            {"file": shard_name(start), "start": start, "stop": stop}
            for rank in range(world_size)
            for start, stop in _shard_ranges(table, rank, world_size)
        ],
    }
    return {**manifest, "sha256": _digest(manifest), "names_sha256": _digest(list(names))}


def _digest(value: object) -> str:
    return hashlib.sha256(_to_json(value)).hexdigest()


def _check_digests(manifest: Any, folder: Path) -> None:  # noqa: ANN401 - JSON
    """Refuse a manifest or class names that are not what was written; those of an older zoo have no digest.

    Raises:
        RunError: they are not.
    """
    if not isinstance(manifest, dict) or not {"sha256", "names_sha256"} & manifest.keys():
        return
    content = {name: value for name, value in manifest.items() if name not in {"sha256", "names_sha256"}}
    if manifest.get("sha256") != _digest(content):
        raise RunError(f"{folder / MANIFEST}: is damaged", hint=_HINT)
    if manifest.get("names_sha256") != _digest(_read_json(folder / NAMES)):
        raise RunError(f"{folder / NAMES}: is damaged", hint=_HINT)


def _state_names(tensors: dict[str, Tensor]) -> str:
    return ", ".join(sorted(name for name in tensors if name != "weight")) or "nothing"


def _check(table: SparseTable, tensors: dict[str, Tensor], manifest: Any, folder: Path) -> None:  # noqa: ANN401 - JSON
    """Refuse a folder that is incomplete, or holds a different kind of table.

    Raises:
        RunError: it is.
    """
    hint = "resume with the recipe that the checkpoint comes from, or train from scratch"
    optimizer = type(table.optimizer).__name__
    expected = {"format": FORMAT, "width": table.width, "centers": table.centers, "optimizer": optimizer}
    types = {"classes": int, "step": int, "drawn": int, "names": str, "pieces": list}
    shards: list[Shard] = []
    try:
        for name, value in {**expected, "state": _state_names(tensors)}.items():
            if manifest[name] != value:
                raise RunError(f"{folder}: its {name} is {manifest[name]}, but {value} by the recipe", hint=hint)
        valid = all(isinstance(manifest[name], kind) for name, kind in types.items())
        shards = _shards(manifest, folder)
    except (KeyError, TypeError):
        valid = False
    if not valid:
        raise RunError(f"{folder / MANIFEST}: is not the manifest of a class table", hint=hint)
    end = 0
    for shard in shards:
        if shard.start != end or not shard.path.is_file():
            raise RunError(f"{shard.path}: missing", hint=f"the class table is incomplete; {_HINT}")
        end = shard.stop
    if end != manifest["classes"]:
        raise RunError(f"{folder}: ends before its last class", hint=_HINT)


def _shards(manifest: dict[str, Any], folder: Path) -> list[Shard]:
    """Return the shards, which were written in the order of their classes."""
    return [Shard(folder / entry["file"], entry["start"], entry["stop"]) for entry in manifest["pieces"]]


def _shard_ranges(table: SparseTable, rank: int, world_size: int) -> Iterator[tuple[int, int]]:
    """Yield ``start, stop`` of the classes of each shard that ``rank`` writes."""
    start, stop = classes_of_rank(table.num_classes, rank, world_size)
    rows = max(1, SHARD_BYTES * table.num_classes // table.nbytes)
    for first in range(start, stop, rows):
        yield first, min(first + rows, stop)


def _unreadable(shards: list[Shard], expected: dict[str, Tensor]) -> str:
    """Return what is wrong with the first unreadable shard, if any, and what to do about it."""
    for shard in shards:
        try:
            read_shard(shard, expected)
        except RunError as error:
            return str(error)
    return ""


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _to_json(value: object) -> bytes:
    # Names of classes may come from file names, and hold bytes that are not UTF-8.
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _read_json(path: Path) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(path.read_text(encoding="utf-8", errors="surrogatepass"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not JSON"
        raise RunError(f"{path}: cannot be read: {reason}", hint=f"{_HINT}, or train from scratch") from error


def _place(device: torch.device) -> torch.device:
    """Return where to make a table that no step has used yet, of a loss that is on ``device``."""
    # A run that is resumed reads its table before the loss has moved, and nccl wants it where it will be.
    if device.type == "cpu" and rank_and_world_size()[1] > 1 and distributed.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return device
