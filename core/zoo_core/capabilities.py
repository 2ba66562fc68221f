"""What a component may do in addition: Protocols that zoo looks for in what a plugin built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from zoo_core.contracts import Augmentation, Dataset, StreamingDataset

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import Tensor

    from zoo_core.contracts import Sample, UInt8Image
    from zoo_core.errors import UnreadableSample
    from zoo_core.image_files import Skipped


@runtime_checkable
class HasProvenance(Protocol):
    """A backbone or teacher that says where its weights came from; the record of a training keeps it."""

    provenance: Mapping[str, str]


@runtime_checkable
class HasLibraryFiles(Protocol):
    """A backbone that the library it comes from can read by itself: an export writes its files into ``backbone/``."""

    def library_files(self, image_size: tuple[int, int]) -> Mapping[str, bytes]:
        """Return ``config.json`` and ``model.safetensors`` of the trained backbone, in the library's own format.

        The backbone has made sure that the library builds the same model from them; nothing else does.

        Args:
            image_size: height and width of the images that it was trained with.

        Raises:
            ComponentError: the library cannot.
        """


@runtime_checkable
class FollowsProgress(Protocol):
    """A loss whose scale or margin warms up: told before each step how far training is."""

    def set_progress(self, progress: float) -> None:
        """Take ``progress`` in 0..1, the larger of steps done and time used."""


@runtime_checkable
class HasScale(Protocol):
    """A loss whose scale is written into the training curves."""

    @property
    def scale(self) -> float:
        """The scale that the next step uses, a ``float``."""


@runtime_checkable
class HasMargin(Protocol):
    """A loss whose margin is written into the training curves."""

    @property
    def margin(self) -> float:
        """The margin that the next step uses, a ``float``."""


@runtime_checkable
class HasParts(Protocol):
    """A loss that is a sum, whose summands are shown and written into the training curves.

    ``parts``: of the last ``forward``, scalars by name. Read only when something is shown, so that no step waits for
    the device.
    """

    @property
    def parts(self) -> Mapping[str, Tensor]:
        """The summands, weighted: their sum is the loss."""


@runtime_checkable
class HasClassTable(Protocol):
    """A loss that says before training what class table it holds."""

    @property
    def class_table_summary(self) -> str:
        """The number of class-table rows and the memory they take, in a few words: a ``str``."""


@runtime_checkable
class OwnsClassTable(HasClassTable, Protocol):
    """A loss that moves its class table itself: no optimizer, DDP, clipping, averaging or ``state_dict`` sees it.

    Each rank may keep a share of the class-table rows. All methods are called on all ranks.
    """

    def apply_gradients(self, learning_rate: float, scale: float = 1.0) -> bool:
        """Make a step with the gradients of all backward passes since the last one.

        ``learning_rate`` is what the network's optimizer takes in this step; the loss was multiplied by ``scale``
        before the backward pass. Returns whether all gradients of all ranks were finite; no rank moves where not.
        """
        ...

    def drop_gradients(self) -> None:
        """Skip this step, as the network's optimizer does."""
        ...

    def save_class_table(self, folder: Path) -> None:
        """Write everything to the new ``folder``, whole or not at all; raises ``RunError``."""
        ...

    def load_class_table(self, folder: Path) -> str:
        """Read what ``save_class_table`` wrote, on any number of ranks, and say what became of the classes.

        Raises ``RunError`` where the folder cannot be read, is not whole or holds another table.
        """
        ...


@runtime_checkable
class HasPlainSamples(Protocol):
    """A dataset that can show a sample as the model sees the sample's file: for validation and the proof of an export.

    Without it, zoo resizes ``Sample.image``, which may have been reduced before. A dataset of image files returns
    ``read_image(file, size)``, the very pixels from which ``zoo predict`` embeds the file.
    """

    def plain_sample(self, index: int, size: tuple[int, int]) -> Sample:
        """Return sample ``index``, its view applied, at ``size`` (height, width): ``uint8 [*size, 3]``.

        Raises ``UnreadableSample`` as ``__getitem__`` does.
        """
        ...


@runtime_checkable
class HasSkipped(Protocol):
    """A dataset that says what lies where it reads and is not in it: folders without images, files of other types.

    Training and ``zoo data check`` report it, record it, and refuse too much of it.
    """

    skipped: Sequence[Skipped]


@runtime_checkable
class HasLookAlikes(Protocol):
    """A dataset that says which of its classes are nearly the same picture: validation reports these pairs apart.

    No threshold is chosen by look-alikes, and no false positive rate counts them.
    """

    @property
    def look_alikes(self) -> Sequence[int]:
        """A group number per class, in the order of ``classes``: classes of one group are look-alikes of each other."""
        ...


@runtime_checkable
class BlockedDataset(Dataset, Protocol):
    """A dataset whose samples are cheap to read by blocks: training shuffles a few blocks at a time.

    ``blocks`` is ``(samples per block, blocks at a time)``, or ``None`` where any order is as cheap. The number of
    samples is a multiple of a block. Training takes blocks in random order, and shuffles what those at hand hold.
    """

    blocks: tuple[int, int] | None


@runtime_checkable
class SliceableStream(StreamingDataset, Protocol):
    """A stream of which a reader can ask for any slice of a pass: training then reads each batch's worth once.

    Each reader asks for one slice per batch.
    """

    def stream_slices(
        self, first: int, last: int, slices: int, *, epoch: int, seed: int
    ) -> Iterator[tuple[int, Sample | UnreadableSample]]:
        """Read slices ``first`` to ``last - 1`` of a pass that is cut into ``slices`` equal ones.

        All slices together are every sample exactly once; samples come as from ``stream``.
        """
        ...


@runtime_checkable
class DeviceAugmentation(Augmentation, Protocol):
    """An augmentation that can also augment a whole batch at once, on the device that trains.

    The loader's processes ``prepare`` each sample, zoo stacks what they return and brings it to the device, and the
    ``executor`` renders it: the images that ``__call__`` returns, up to rounding.
    """

    def prepare(self, sample: Sample, generator: np.random.Generator) -> tuple[npt.NDArray[Any], ...]:
        """Return arrays of whole numbers whose shapes and types are the same for every sample.

        Floats would be rounded where the recipe trains in true half precision; send their bytes. ``generator`` is
        as for ``__call__``, and the only source of randomness.
        """
        ...

    def executor(self) -> torch.nn.Module:
        """Return the module whose ``forward`` takes the stacked arrays and returns ``uint8 [N, H, W, 3]`` RGB.

        It is moved to the device with the model and never saved: it has no parameters, its buffers are not persistent.
        """
        ...


@runtime_checkable
class ResidentAugmentation(DeviceAugmentation, Protocol):
    """An augmentation whose samples can stay on the device, where every view of one is then made of the same pixels.

    Before training zoo reads each sample once, keeps its ``resident_image`` on the device and its description with the
    loader's processes. Those ``prepare_resident`` each view without pixels; the executor's ``forward`` then takes the
    images, each in the upper left corner of a square ``uint8 [N, S, S, 3]`` of zeros, and the stacked arrays.
    """

    def resident_image(self, sample: Sample) -> tuple[UInt8Image, npt.NDArray[np.float64]]:
        """Return the image to keep, ``uint8 [h, w, 3]``, and the numbers ``[K]`` that describe the sample.

        The image is no larger than the decoded one, and no finer than a view can show. K is the same for every sample.
        """
        ...

    def prepare_resident(
        self, description: npt.NDArray[np.float64], generator: np.random.Generator
    ) -> tuple[npt.NDArray[Any], ...]:
        """Return arrays as ``prepare`` does, but for the sample's pixels.

        From the same ``generator`` as in ``prepare`` come the same random numbers, so that both show the same view.
        """
        ...


@runtime_checkable
class PlannedAugmentation(DeviceAugmentation, Protocol):
    """A device augmentation whose executor is told what it would otherwise have to read from each batch.

    A GPU that is asked for a number makes the CPU wait for it. The loader's processes therefore cut each batch into
    parts of at most ``images_at_once`` and ``plan`` each; the executor's ``forward`` is called for each part, with its
    arrays and the keyword ``plan``.
    """

    def images_at_once(self, device: torch.device) -> int:
        """Return how many images the executor should get at once on ``device``, as speed and memory allow."""
        ...

    def plan(self, *arrays: npt.NDArray[Any] | None) -> tuple[npt.NDArray[np.int64], tuple[int, ...]]:
        """Return what the executor has to know of a part: numbers ``[K]`` for the device, and others for the CPU.

        ``arrays`` are stacked, the executor's own, with ``None`` for pixels that are on the device. The executor gets
        the first numbers as ``int64 [K]`` on its device, and the others as they are.
        """
        ...
