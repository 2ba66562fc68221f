"""The class table on disk: rows in the order of all classes, in pieces, for any number of ranks to read.

A folder holds ``table.json``, ``classes.json`` (the names, in order) and ``rows-*.safetensors``. Each piece holds, for
a range of classes, ``weight`` and the optimizer's state, and in its metadata which range that is and a checksum.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors
from torch import Tensor, distributed

from zoo_core.api import RunError
from zoo_margin.collectives import classes_of_rank, rank_and_world_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from zoo_margin.class_names import ClassNames
    from zoo_margin.sparse_table import SparseTable

FORMAT = 1
PIECE_BYTES = 64 * 2**20
MANIFEST, NAMES = "table.json", "classes.json"


def save(table: SparseTable, names: ClassNames, folder: Path) -> None:
    """Write ``table`` to the new ``folder``, whole or not at all; all ranks call it, with a disk that they share.

    Raises:
        RunError: it cannot be written.
    """
    rank, ranks = rank_and_world_size()
    part = folder.with_name(f".{folder.name}.part")

    def prepare() -> None:
        if folder.exists():
            raise FileExistsError(errno.EEXIST, "it is there already")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _write(part / NAMES, _json(list(names)))
        _write(part / MANIFEST, _json(_manifest(table, names, ranks)))

    def write() -> None:
        tensors = table.tensors(_device())
        for start, stop in _ranges(table, *classes_of_rank(table.num_classes, rank, ranks)):
            rows = slice(start - table.start, stop - table.start)
            piece = {name: tensor[rows].cpu() for name, tensor in tensors.items()}
            # Not by save_file, whose files only their owner may read.
            _write(part / _file(start), safetensors.save(piece, _facts(piece, start, stop)))

    def publish() -> None:
        part.rename(folder)

    for step, by_all in ((prepare, False), (write, True), (publish, False)):
        failure = _failure_of(step) if by_all or rank == 0 else ""
        # Each rank learns of each failure, so that none waits for one that gave up.
        failures = [words for words in _of_all_ranks(failure) if words]
        if failures:
            if rank == 0:
                shutil.rmtree(part, ignore_errors=True)
            hint = "make room and go on, or take a new folder"
            raise RunError(f"{folder}: the class table cannot be written: {failures[0]}", hint=hint)


def _failure_of(step: Callable[[], None]) -> str:
    """Take a step of writing, and return what went wrong with it."""
    try:
        step()
    except (OSError, SafetensorError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""


class _Plan(NamedTuple):
    """Where this rank's rows come from.

    Attributes:
        sources: ``int64 [R]``, the number that each class had, -1 for a new one.
        new: how many new ones there are, of all ranks.
        new_before: of these, how many stand on ranks before this one.
        words: what becomes of the classes.
    """

    sources: Tensor
    new: int
    new_before: int
    words: str


class _Piece(NamedTuple):
    """A file with the rows of the classes ``start..stop - 1``."""

    path: Path
    start: int
    stop: int

    def rows(self, sources: Tensor) -> Tensor:
        """Which of the rows with such ``sources`` stand in it."""
        return torch.nonzero((sources >= self.start) & (sources < self.stop))[:, 0]


def load(table: SparseTable, names: ClassNames, folder: Path) -> str:
    """Fill ``table`` with what ``save`` wrote, and return what became of the classes.

    Classes find their rows by name. One that is new gets first values that no other had. All is read and looked at
    before the table changes.

    Raises:
        RunError: the folder cannot be read or is not whole, or is of another table.
    """
    manifest = _read_json(folder / MANIFEST)
    tensors = table.tensors(_device())
    _check(table, tensors, manifest, folder)
    plan = _plan(table, names, manifest, folder)
    pieces = [piece for piece in _pieces(manifest, folder) if len(piece.rows(plan.sources))]
    # Each rank learns of what another cannot read, so that all of them refuse it.
    unreadable = [words for words in _of_all_ranks(_unreadable(pieces, tensors)) if words]
    if unreadable:
        raise RunError(unreadable[0], hint="take another checkpoint")
    for piece in pieces:
        rows = piece.rows(plan.sources)
        for name, values in _read_piece(piece, tensors).items():
            device = tensors[name].device
            tensors[name].index_copy_(0, rows.to(device), values[plan.sources[rows] - piece.start].to(device))
    table.reset_rows(torch.nonzero(plan.sources < 0)[:, 0], manifest["drawn"] + plan.new_before)
    table.step, table.initialized = manifest["step"], manifest["drawn"] + plan.new
    return plan.words


def _plan(table: SparseTable, names: ClassNames, manifest: dict[str, Any], folder: Path) -> _Plan:
    if manifest["names"] == names.digest:
        return _Plan(torch.arange(table.start, table.stop), 0, 0, f"{table.num_classes:,} classes as they were")
    saved = {name: number for number, name in enumerate(_read_json(folder / NAMES))}
    wanted = list(names)
    if len(saved) != manifest["classes"] or len(set(wanted)) != len(wanted):
        raise RunError(
            f"{folder}: classes of the same name cannot find their rows", hint="give each class its own name"
        )
    sources = torch.tensor([saved.get(name, -1) for name in wanted], dtype=torch.int64)
    new = int((sources < 0).sum())
    known = len(wanted) - new
    if known == 0:
        hint = "train on the same data set, or anew"
        raise RunError(
            f"{folder}: not one of its {len(saved):,} classes is among the {len(wanted):,} of now", hint=hint
        )
    words = f"{known:,} classes as they were, {new:,} new, {len(saved) - known:,} gone"
    return _Plan(sources[table.start : table.stop], new, int((sources[: table.start] < 0).sum()), words)


def _manifest(table: SparseTable, names: ClassNames, ranks: int) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "classes": table.num_classes,
        "width": table.width,
        "centers": table.centers,
        "optimizer": type(table.optimizer).__name__,
        "state": _state(table.tensors(_device())),
        "seed": table.seed,
        "step": table.step,
        "drawn": table.initialized,
        "names": names.digest,
        "pieces": [
            {"file": _file(start), "start": start, "stop": stop}
            for rank in range(ranks)
            for start, stop in _ranges(table, *classes_of_rank(table.num_classes, rank, ranks))
        ],
    }


def _state(tensors: dict[str, Tensor]) -> str:
    """What is kept of each row, in words."""
    return ", ".join(sorted(name for name in tensors if name != "weight")) or "nothing"


def _check(table: SparseTable, tensors: dict[str, Tensor], manifest: Any, folder: Path) -> None:  # noqa: ANN401 - JSON
    """Refuse what is not whole or not of such a table."""
    hint = "a checkpoint goes on with the recipe it is from; train anew to change this"
    optimizer = type(table.optimizer).__name__
    facts = {"format": FORMAT, "width": table.width, "centers": table.centers, "optimizer": optimizer}
    kinds = {"classes": int, "step": int, "drawn": int, "names": str, "pieces": list}
    pieces: list[_Piece] = []
    try:
        for name, value in {**facts, "state": _state(tensors)}.items():
            if manifest[name] != value:
                raise RunError(f"{folder}: its {name} is {manifest[name]}, but {value} by the recipe", hint=hint)
        understood = all(isinstance(manifest[name], kind) for name, kind in kinds.items())
        pieces = _pieces(manifest, folder)
    except (KeyError, TypeError):
        understood = False
    if not understood:
        raise RunError(f"{folder / MANIFEST}: is no class table's", hint=hint)
    end = 0
    for piece in pieces:
        if piece.start != end or not piece.path.is_file():
            raise RunError(f"{piece.path}: missing", hint="the class table is not whole; take another checkpoint")
        end = piece.stop
    if end != manifest["classes"]:
        raise RunError(f"{folder}: ends before its last class", hint="take another checkpoint")


def _pieces(manifest: dict[str, Any], folder: Path) -> list[_Piece]:
    pieces = [_Piece(folder / piece["file"], piece["start"], piece["stop"]) for piece in manifest["pieces"]]
    return sorted(pieces, key=lambda piece: piece.start)


def _ranges(table: SparseTable, start: int, stop: int) -> Iterator[tuple[int, int]]:
    rows = max(1, PIECE_BYTES * table.num_classes // max(table.nbytes, 1))
    for first in range(start, stop, rows):
        yield first, min(first + rows, stop)


def _file(start: int) -> str:
    return f"rows-{start:012d}.safetensors"


def _unreadable(pieces: list[_Piece], like: dict[str, Tensor]) -> str:
    """Return what is wrong with the first piece of which something is."""
    for piece in pieces:
        try:
            _read_piece(piece, like)
        except RunError as error:
            return str(error)
    return ""


def _read_piece(piece: _Piece, like: dict[str, Tensor]) -> dict[str, Tensor]:
    """Read a whole piece, of tensors ``like`` the table's.

    Raises:
        RunError: it cannot be read, or holds anything else than what was written.
    """
    try:
        with safe_open(piece.path, framework="pt") as file:
            facts = file.metadata()
            tensors = {name: file.get_tensor(name) for name in like}
    except (OSError, SafetensorError) as error:
        raise RunError(f"{piece.path}: cannot be read: {error}", hint="take another checkpoint") from error
    shapes = {name: (piece.stop - piece.start, *tensor.shape[1:]) for name, tensor in like.items()}
    fits = all(tensors[name].shape == shapes[name] and tensors[name].dtype == like[name].dtype for name in like)
    if not fits or facts != _facts(tensors, piece.start, piece.stop):
        raise RunError(f"{piece.path}: it is damaged, or another piece", hint="take another checkpoint")
    return tensors


def _facts(tensors: dict[str, Tensor], start: int, stop: int) -> dict[str, str]:
    """What stands in a piece beside its tensors: its classes and a checksum."""
    checksum = 0
    for name in sorted(tensors):
        checksum = zlib.crc32(tensors[name].contiguous().view(torch.uint8).numpy().data, checksum)
    return {"classes": f"{start}..{stop - 1}", "crc32": f"{checksum:08x}"}


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
    if rank_and_world_size()[1] > 1 and distributed.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def _of_all_ranks(words: str) -> list[str]:
    ranks = rank_and_world_size()[1]
    if ranks == 1:
        return [words]
    gathered: list[str] = [""] * ranks
    distributed.all_gather_object(gathered, words)
    return gathered
