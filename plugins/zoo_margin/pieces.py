"""The class table on disk: rows in the order of all classes, in pieces, for any number of ranks to read.

A folder holds ``table.json``, ``classes.json`` (the names, in order) and ``rows-*.safetensors``. Each piece holds, for
a range of classes, ``weight`` and the optimizer's state.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors
from torch import Tensor, distributed

from zoo_core.api import RunError
from zoo_margin.exchange import shard, world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from zoo_margin.table import SparseTable

FORMAT = 1
PIECE_BYTES = 64 * 2**20
MANIFEST, NAMES = "table.json", "classes.json"


class ClassNames:
    """The names of a table's classes, which are read only when they are needed: there may be millions.

    Args:
        names: one a class; default: their numbers.
        count: how many classes there are.
    """

    def __init__(self, names: Sequence[str] | None, count: int) -> None:
        if names is not None and len(names) != count:
            raise ValueError(f"{len(names)} names of {count} classes")
        self._names = names
        self._count = count

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the names in their order."""
        digest = hashlib.sha256()
        for name in self:
            digest.update(name.encode("utf-8", "surrogatepass") + b"\0")
        return digest.hexdigest()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names) if self._names is not None else map(str, range(self._count))


def save(table: SparseTable, names: ClassNames, folder: Path) -> None:
    """Write ``table`` to the new ``folder``, whole or not at all; all ranks call it, with a disk that they share.

    Raises:
        RunError: it cannot be written.
    """
    rank, ranks = world()
    part = folder.with_name(f".{folder.name}.part")

    def prepare() -> None:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _write(part / NAMES, _json(list(names)))
        _write(part / MANIFEST, _json(_manifest(table, names, ranks)))

    def write() -> None:
        tensors = table.tensors(_device())
        for start, stop in _ranges(table, *shard(table.num_classes, rank, ranks)):
            piece = {name: tensor[start - table.start : stop - table.start] for name, tensor in tensors.items()}
            # Not by save_file, whose files only their owner may read.
            _write(part / _file(start), safetensors.save({name: tensor.cpu() for name, tensor in piece.items()}))

    def publish() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)

    for step, by_all in ((prepare, False), (write, True), (publish, False)):
        failure = _failure_of(step) if by_all or rank == 0 else ""
        # Each rank learns of each failure, so that none waits for one that gave up.
        failures = [words for words in _of_all_ranks(failure) if words]
        if failures:
            if rank == 0:
                shutil.rmtree(part, ignore_errors=True)
            raise RunError(f"{folder}: the class table cannot be written: {failures[0]}", hint="make room, and go on")


def _failure_of(step: Callable[[], None]) -> str:
    """Take a step of writing, and return what went wrong with it."""
    try:
        step()
    except (OSError, SafetensorError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""


def load(table: SparseTable, names: ClassNames, folder: Path) -> str:
    """Fill ``table`` with what ``save`` wrote, and return what became of the classes.

    Classes find their rows by name. One that is new keeps its first values.

    Raises:
        RunError: the folder cannot be read or is not whole, or is of another table.
    """
    manifest = _read_json(folder / MANIFEST)
    _check(table, manifest, folder)
    tensors = table.tensors(_device())
    table.step = manifest["step"]
    if manifest["names"] == names.digest:
        for path, start, stop in _pieces(manifest, folder):
            first, last = max(start, table.start), min(stop, table.stop)
            if first < last:
                for name, values in _read_piece(path, tensors, slice(first - start, last - start)).items():
                    tensors[name][first - table.start : last - table.start] = values.to(tensors[name].device)
        return f"{table.num_classes:,} classes as they were"
    return _load_by_name(table, names, manifest, folder)


def _load_by_name(table: SparseTable, names: ClassNames, manifest: dict[str, Any], folder: Path) -> str:
    saved = {name: number for number, name in enumerate(_read_json(folder / NAMES))}
    wanted = list(names)
    known = sum(name in saved for name in wanted)
    if len(saved) != manifest["classes"] or len(set(wanted)) != len(wanted):
        raise RunError(
            f"{folder}: classes of the same name cannot find their rows", hint="give each class its own name"
        )
    if known == 0:
        hint = "train on the same data set, or anew"
        raise RunError(
            f"{folder}: not one of its {len(saved):,} classes is among the {len(wanted):,} of now", hint=hint
        )
    tensors = table.tensors(_device())
    sources = torch.tensor([saved.get(name, -1) for name in wanted[table.start : table.stop]], dtype=torch.int64)
    for path, start, stop in _pieces(manifest, folder):
        (rows,) = torch.nonzero((sources >= start) & (sources < stop), as_tuple=True)
        if len(rows):
            for name, values in _read_piece(path, tensors, slice(None)).items():
                device = tensors[name].device
                tensors[name].index_copy_(0, rows.to(device), values[sources[rows] - start].to(device))
    return f"{known:,} classes as they were, {len(wanted) - known:,} new, {len(saved) - known:,} gone"


def _manifest(table: SparseTable, names: ClassNames, ranks: int) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "classes": table.num_classes,
        "width": table.width,
        "optimizer": type(table.optimizer).__name__,
        "seed": table.seed,
        "step": table.step,
        "names": names.digest,
        "pieces": [
            {"file": _file(start), "start": start, "stop": stop}
            for rank in range(ranks)
            for start, stop in _ranges(table, *shard(table.num_classes, rank, ranks))
        ],
    }


def _check(table: SparseTable, manifest: dict[str, Any], folder: Path) -> None:
    """Refuse what is not whole or not of such a table."""
    hint = "a checkpoint goes on with the recipe it is from; train anew to change this"
    try:
        facts = {"format": FORMAT, "width": table.width, "optimizer": type(table.optimizer).__name__}
        for name, value in facts.items():
            if manifest[name] != value:
                raise RunError(f"{folder}: its {name} is {manifest[name]}, but {value} by the recipe", hint=hint)
        end = 0
        for path, start, stop in _pieces(manifest, folder):
            if start != end or not path.is_file():
                raise RunError(f"{path}: missing", hint="the class table is not whole; take another checkpoint")
            end = stop
        whole = end == manifest["classes"]
    except (KeyError, TypeError) as error:
        whole = False
        raise RunError(f"{folder / MANIFEST}: is no class table's", hint=hint) from error
    if not whole:
        raise RunError(f"{folder}: ends before its last class", hint="take another checkpoint")


def _pieces(manifest: dict[str, Any], folder: Path) -> list[tuple[Path, int, int]]:
    pieces = [(folder / piece["file"], piece["start"], piece["stop"]) for piece in manifest["pieces"]]
    return sorted(pieces, key=lambda piece: piece[1])


def _ranges(table: SparseTable, start: int, stop: int) -> Iterator[tuple[int, int]]:
    rows = max(1, PIECE_BYTES * table.num_classes // max(table.nbytes, 1))
    for first in range(start, stop, rows):
        yield first, min(first + rows, stop)


def _file(start: int) -> str:
    return f"rows-{start:012d}.safetensors"


def _read_piece(path: Path, like: dict[str, Tensor], rows: slice) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_slice(name)[rows] for name in like}
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path}: cannot be read: {error}", hint="take another checkpoint") from error


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _json(value: object) -> bytes:
    # Names of files may hold bytes that are no text.
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _read_json(path: Path) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(path.read_text(encoding="utf-8", errors="surrogatepass"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no JSON"
        raise RunError(f"{path}: cannot be read: {reason}", hint="take another checkpoint, or train anew") from error


def _device() -> torch.device:
    """Where a table is made that no step has used yet."""
    if world()[1] > 1 and distributed.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def _of_all_ranks(words: str) -> list[str]:
    ranks = world()[1]
    if ranks == 1:
        return [words]
    gathered: list[str] = [""] * ranks
    distributed.all_gather_object(gathered, words)
    return gathered
