"""Which graphs Transformers.js can run: what its pipeline ``image-feature-extraction`` feeds and returns.

Its image processor resizes otherwise than zoo, so that the graph has to take images of any size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# What config.json has at its root where the pipeline gives the embeddings of the model.
CONFIG_KEY = "transformers.js_config"
INPUT = "pixel_values"
# The pipeline returns the first of these that the graph has.
RETURNED = ("last_hidden_state", "logits", "image_embeds")
_CHANNELS = 3


def is_readable(name: str, dtype: str, shape: Sequence[int | str | None], output_names: Sequence[str]) -> bool:
    """Return whether the pipeline gives the embeddings, the first output, of a graph.

    Args:
        name: of its one input.
        dtype: of that input.
        shape: of that input; what is no number is open.
        output_names: of its outputs.
    """
    returned = [one for one in RETURNED if one in output_names]
    fixed = [size for size in shape if isinstance(size, int)]
    # The batch is open, too, as the pipeline feeds one image or several.
    channels_first = len(shape) == 1 + _CHANNELS and shape[1] == _CHANNELS and len(fixed) == 1
    return (name, dtype) == (INPUT, "float32") and channels_first and returned[:1] == [output_names[0]]
