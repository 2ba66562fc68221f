"""The dataset of synthetic documents: many templates are the classes, each sample is filled in anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, overload

from pydantic import Field

from zoo_core.api import Sample
from zoo_documents.drawing.pages import Assets
from zoo_documents.templates.composing import Split, Template, compose, key, original_of

# What a printed template takes, on average.
TEMPLATE_BYTES = 53_000
PositiveInt = Annotated[int, Field(gt=0)]


class SyntheticDocuments:
    """Drawn documents that need no data: index ``template * samples_per_template + sample``.

    Images depend on (seed, split, template, sample) alone, with one release of OpenCV and Pillow to the bit; longest
    side 160. A quarter of the templates differ from another one in colour, emblem, name or mark alone.

    Args:
        templates: number of classes; a template is drawn when first asked for.
        samples_per_template: samples of each.
        split: templates of ``train`` and ``unseen`` have nothing in common but the generator's manner.
        seed: other seeds are other documents.
        cache_mb: memory for printed templates, in each process that reads.

    Attributes:
        blocks: where the memory is too small for all templates, ``(samples of a template, templates at a time)``: to be
            read in this way, each is printed once for all its samples. Otherwise ``None``.
    """

    def __init__(
        self,
        templates: PositiveInt = 2000,
        samples_per_template: PositiveInt = 32,
        split: Split = "train",
        seed: Annotated[int, Field(ge=0)] = 0,
        cache_mb: PositiveInt = 256,
    ) -> None:
        self.classes = TemplateNames(split, templates)
        self._samples = samples_per_template
        self._split = split
        self._seed = seed
        self._assets = Assets()
        self._kept: dict[int, Template] = {}
        self._limit = self._room = cache_mb * 2**20
        kept = max(1, self._limit // TEMPLATE_BYTES)
        # Half of them: while one window ends the next one begins.
        self.blocks = (samples_per_template, max(1, kept // 2)) if templates > kept else None

    def __len__(self) -> int:
        return len(self.classes) * self._samples

    def __getitem__(self, index: int) -> Sample:
        number, sample = divmod(range(len(self))[index], self._samples)
        generator = key(self._seed, self._split, number, 2, sample)
        return Sample(self._template(number).sample(generator), number)

    def __getstate__(self) -> dict[str, object]:
        # Another process draws its own: templates are many, and know functions that cannot be sent.
        return {**self.__dict__, "_assets": Assets(), "_kept": {}, "_room": self._limit}

    def _template(self, number: int) -> Template:
        template = self._kept.get(number)
        if template is None:
            base = original_of(number)
            original = None if base is None else self._template(base)
            template = compose(self._seed, self._split, number, self._assets, original)
            self._room -= template.nbytes
            while self._room < 0 and self._kept:
                # The oldest: samples come in random order, so any would do.
                self._room += self._kept.pop(next(iter(self._kept))).nbytes
            self._kept[number] = template
        return template


class TemplateNames(Sequence[str]):
    """The names ``train-000042`` of all templates, made when asked for."""

    def __init__(self, split: Split, count: int) -> None:
        self._split = split
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[number] for number in range(self._count)[index]]
        return f"{self._split}-{range(self._count)[index]:06d}"
