"""The features of a teacher, computed once per data set and kept on disk."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import ExitStack, contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from filelock import FileLock
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from zoo.atomic import replacing
from zoo.models.torch_model import to_pixels
from zoo.validation.dataset import plain_sample
from zoo.workers import start_worker
from zoo_core.errors import RunError, UnreadableSample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from zoo_core.contracts import Dataset as ZooDataset
    from zoo_core.contracts import UInt8Image

PROBES = 256


class TeacherFeatures:
    """Rows ``float16 [N, D]`` of unit length, one per training sample, read from disk where they are needed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: npt.NDArray[np.float16] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A loader's process opens the file itself, rather than being sent all rows.
        return {"path": self.path, "_rows": None}

    def __getitem__(self, indices: Sequence[int]) -> Tensor:
        if self._rows is None:
            self._rows = np.load(self.path, mmap_mode="r")
        return torch.from_numpy(self._rows[np.asarray(indices)])


def teacher_features(
    teacher: nn.Module,
    dataset: ZooDataset,
    *,
    identity: object,
    device: torch.device,
    num_workers: int,
    show: bool = True,
) -> TeacherFeatures:
    """Return the teacher's features of all plain samples, from the cache or computed now and kept there.

    It sees each as ``zoo predict`` would see its file at the teacher's size, whatever the data set has reduced it to.

    The cache identifies them by the teacher's weights, by ``identity`` (what the recipe says of the data) and by the
    pixels of 256 samples. Of several processes that need the same features, one computes and the others wait.

    Raises:
        RunError: the teacher fails, its features are not finite, or they cannot be written.
    """
    path = _cache() / f"{_key(teacher, dataset, identity)}.npy"
    if not path.is_file():
        lock = FileLock(path.with_suffix(".lock"))
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        try:
            if not path.is_file():
                _compute(teacher, dataset, path, device=device, num_workers=num_workers, show=show)
        finally:
            lock.release()
    return TeacherFeatures(path)


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "zoo" / "teachers"


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"the teacher's features cannot be written to {path.parent}: {error.strerror or error}"
        raise RunError(msg, hint="make room there, or name another folder by XDG_CACHE_HOME") from error


class _PlainSamples(Dataset[tuple["UInt8Image", bool]]):
    def __init__(self, dataset: ZooDataset, image_size: tuple[int, int]) -> None:
        self.dataset = dataset
        self.image_size = image_size

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[UInt8Image, bool]:
        try:
            return plain_sample(self.dataset, index, self.image_size).image, True
        except UnreadableSample:
            # Training counts and reports it; the sample that replaces it has no teacher's features.
            return np.zeros((*self.image_size, 3), np.uint8), False


def _collate(items: list[tuple[UInt8Image, bool]]) -> tuple[Tensor, Tensor]:
    images, readable = zip(*items, strict=True)
    return torch.from_numpy(np.stack(images)), torch.tensor(readable)


def _key(teacher: Any, dataset: ZooDataset, identity: object) -> str:  # noqa: ANN401 - a module with an image_size
    digest = hashlib.sha256()
    for name, value in teacher.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    said = {"data": identity, "length": len(dataset), "size": teacher.image_size, "model": str(teacher)}
    digest.update(json.dumps(said, sort_keys=True).encode())
    for index in np.linspace(0, len(dataset) - 1, min(PROBES, len(dataset)), dtype=np.int64):
        with suppress(UnreadableSample):
            digest.update(plain_sample(dataset, int(index), teacher.image_size).image.tobytes())
    return digest.hexdigest()[:32]


def _compute(
    teacher: Any,  # noqa: ANN401 - a module with an image_size
    dataset: ZooDataset,
    path: Path,
    *,
    device: torch.device,
    num_workers: int,
    show: bool,
) -> None:
    loader = DataLoader(
        _PlainSamples(dataset, teacher.image_size),
        batch_size=64,
        num_workers=num_workers,
        collate_fn=_collate,
        worker_init_fn=start_worker,
    )
    teacher = teacher.to(device).eval()
    console = Console(stderr=True)
    shown = track(loader, "the teacher looks at the data", console=console, disable=not (show and console.is_terminal))
    if show and not console.is_terminal:
        console.print(f"the teacher looks at {len(dataset):,} samples, once")
    with ExitStack() as stack, torch.inference_mode():
        with _writing(path):
            # Unbuffered: what cannot be written is reported at once, not when the file is closed.
            file = stack.enter_context(stack.enter_context(replacing(path)).open("wb", buffering=0))
        for images, readable in shown:
            features = functional.normalize(_features(teacher, to_pixels(images.to(device)))).cpu() * readable[:, None]
            # Written, not stored through a mapping: there a full disk kills the process.
            with _writing(path):
                head = b"" if file.tell() else _header((len(dataset), features.shape[1]))
                rest = memoryview(head + features.numpy().astype("<f2").tobytes())
                while rest:
                    rest = rest[file.write(rest) :]


def _header(shape: tuple[int, int]) -> bytes:
    file = BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": shape})
    return file.getvalue()


def _features(teacher: nn.Module, images: Tensor) -> Tensor:
    try:
        features: Tensor = teacher(images).float()
    except Exception as error:
        reason = " ".join(str(error).split())
        raise RunError(f"the teacher fails: {type(error).__name__}: {reason}", hint="choose another one") from error
    if features.ndim != 2 or not features.isfinite().all():  # noqa: PLR2004 - [N, D]
        raise RunError(f"the teacher's features, {[*features.shape]}, are not numbers of [N, D]", hint="choose another")
    return features
