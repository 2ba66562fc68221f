"""Provide the dataset of synthetic documents: a class is a template, and each sample fills it with new content."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from zoo_core.api import LazyNames, Sample
from zoo_documents.drawing.pages import Assets
from zoo_documents.templates.composing import Split, Template, compose, generator_for, original_of

if TYPE_CHECKING:
    from collections.abc import Sequence


# Mean memory of a template (measured).
TEMPLATE_BYTES = 53_000
PositiveInt = Annotated[int, Field(gt=0)]


class SyntheticDocuments:
    """Drawn documents that need no data: index ``template * samples_per_template + sample``.

    Images depend on (seed, split, template, sample) alone; with the same release of OpenCV and Pillow they are the same
    to the bit. Their longest side is 160. A quarter of the templates differ from another one in colour, emblem, name or
    mark alone.

    Args:
        templates: number of classes; a template is drawn when it is first asked for.
        samples_per_template: samples of each.
        split: templates of ``train`` and ``unseen`` have nothing in common but the way they are generated.
        seed: other seeds are other documents.
        cache_mb: memory for drawn templates, in each process that reads.

    Attributes:
        blocks: if the memory is too small for all templates, ``(samples of a template, templates at a time)``: read in
            this way, each template is drawn once for all its samples. Otherwise ``None``.
    """

    def __init__(
        self,
        templates: PositiveInt = 2000,
        samples_per_template: PositiveInt = 32,
        split: Split = "train",
        seed: Annotated[int, Field(ge=0)] = 0,
        cache_mb: PositiveInt = 256,
    ) -> None:
        if templates * samples_per_template > sys.maxsize:
            raise ValueError(f"{templates:,} templates of {samples_per_template:,} samples are too many")
        self.classes: Sequence[str] = LazyNames(templates, partial(_template_name, split))
        self._samples = samples_per_template
        self._split = split
        self._seed = seed
        self._assets = Assets()
        self._cache: dict[int, Template] = {}
        self._cache_bytes = self._free_bytes = cache_mb * 2**20
        cached = max(1, self._cache_bytes // TEMPLATE_BYTES)
        # Half of them: the next block begins while the current one ends.
        self.blocks = (samples_per_template, max(1, cached // 2)) if templates > cached else None

    @property
    def look_alikes(self) -> Sequence[int]:
        """The group of each template; a hard negative is in that of the template it differs from in one element."""
        numbers = range(len(self.classes))
        return [number if (base := original_of(number)) is None else base for number in numbers]

    def __len__(self) -> int:
        return len(self.classes) * self._samples

    def __getitem__(self, index: int) -> Sample:
        number, sample = divmod(range(len(self))[index], self._samples)
        generator = generator_for(self._seed, self._split, number, 2, sample)
        return Sample(self._template(number).sample(generator), number)

    def __getstate__(self) -> dict[str, object]:
        # Another process draws its templates itself: they are large, and refer to functions that cannot be pickled.
        return {**self.__dict__, "_assets": Assets(), "_cache": {}, "_free_bytes": self._cache_bytes}

    def _template(self, number: int) -> Template:
        template = self._cache.get(number)
        if template is None:
            base = original_of(number)
            original = None if base is None else self._template(base)
            template = compose(self._seed, self._split, number, self._assets, original)
            self._free_bytes -= template.nbytes
            while self._free_bytes < 0 and self._cache:
                # The oldest one: samples are read in random order, so the choice does not matter.
                self._free_bytes += self._cache.pop(next(iter(self._cache))).nbytes
            self._cache[number] = template
        return template


def _template_name(split: Split, number: int) -> str:
    return f"{split}-{number:06d}"
