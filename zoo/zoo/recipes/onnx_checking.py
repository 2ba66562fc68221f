"""The ``onnx`` section of a recipe against itself and the image size: inputs, outputs and axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from zoo.recipes.schema import OnnxSection
from zoo_core.config import strictly
from zoo_core.config.suggestions import suggest
from zoo_core.errors import Problem

if TYPE_CHECKING:
    from zoo_core.config import Document, KeyPath

RANK_OF_IMAGES = 4


def check_onnx(document: Document) -> list[Problem]:
    """Return what is wrong with the section, as far as it has the right shape."""
    try:
        section = strictly(OnnxSection, document.get(("onnx",)))
    except ValidationError:
        return []
    return [*_inputs(document, section), *_axes(document, section), *_image_shape(document, section)]


def _inputs(document: Document, section: OnnxSection) -> list[Problem]:
    problems = [
        Problem(
            f"the input {name!r} has no input_shape",
            document.locate(("onnx", "input_names", index)),
            suggest(name, section.input_shape, "input_shape has"),
        )
        for index, name in enumerate(section.input_names)
        if name not in section.input_shape
    ]
    problems += [
        Problem(
            f"{name!r} is not among the input_names",
            document.locate(("onnx", "input_shape", name)),
            suggest(name, section.input_names, "input_names"),
        )
        for name in section.input_shape
        if name not in section.input_names
    ]
    seen: set[str] = set()
    for key, names in (("input_names", section.input_names), ("output_names", section.output_names)):
        for index, name in enumerate(names):
            if name in seen:
                problems.append(Problem(f"{name!r} is used twice", document.locate(("onnx", key, index))))
            seen.add(name)
    return problems


def _axes(document: Document, section: OnnxSection) -> list[Problem]:
    problems = []
    names = [*section.input_names, *section.output_names]
    meant = section.misnamed_axes()
    for name, axes in section.dynamic_axes.items():
        at: KeyPath = ("onnx", "dynamic_axes", name)
        if name not in names and (meant is None or name != meant[0]):
            hint = suggest(name, names, "inputs and outputs")
            problems.append(Problem("neither an input nor an output", document.locate(at), hint))
        rank = len(section.input_shape[name].shape) if name in section.input_shape else None
        for axis in axes:
            if not axis.isdecimal() or (rank is not None and int(axis) >= rank):
                hint = "axes are counted from 0" if rank is None else f"its axes are 0 to {rank - 1}"
                problems.append(Problem(f"there is no axis {axis!r}", document.locate((*at, axis)), hint))
    return problems


def _image_shape(document: Document, section: OnnxSection) -> list[Problem]:
    """Check the size of float32 images: they go into the model as they are."""
    size = document.get(("data", "image_size"))
    problems = []
    for name, tensor in section.input_shape.items():
        shape = tensor.shape
        is_image = tensor.dtype == "float32" and len(shape) == RANK_OF_IMAGES and shape[1] == 3  # noqa: PLR2004 - RGB
        dynamic = section.dynamic_axes.get(name, {})
        if is_image and isinstance(size, list) and shape[2:] != size and not {"2", "3"} <= dynamic.keys():
            message = f"an image of {shape[2:]} disagrees with {size}, which is {_written(document)}"
            hint = 'write "${data.image_size.0}", "${data.image_size.1}" for its height and width'
            problems.append(Problem(message, document.locate(("onnx", "input_shape", name, "shape")), hint))
    return problems


def _written(document: Document) -> str:
    location = document.marks.get(("data", "image_size"))
    return f"said at {location}" if location else "the default of data.image_size"
