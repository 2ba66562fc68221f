"""The card's example: a published model used without zoo, in a dozen lines that can be pasted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.publish.card_facts import Facts

_TEMPLATE = """\
import numpy as np
import onnxruntime
from huggingface_hub import hf_hub_download
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(hf_hub_download("{repo_id}", "onnx/model.onnx"))


def embed(path):
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB"){resize}
    pixels = {pixels}
    {output}


score = float(embed("first.jpg") @ embed("second.jpg"))
print(f"cosine {{score:.4f}}")
"""


def snippet(facts: Facts, repo_id: str) -> str:
    """Return Python code that compares first.jpg with second.jpg."""
    wanted = facts.graph.pixels
    size = f".resize(({wanted.size[1]}, {wanted.size[0]}), Image.Resampling.BILINEAR)" if wanted.size else ""
    pixels = "np.asarray(image)[None]"
    if wanted.layout == "NCHW":
        pixels += ".transpose(0, 3, 1, 2)"
    if wanted.dtype == "float32":
        pixels += ".astype(np.float32)" + (" / 255" if wanted.maximum == 1 else "")
    call = f'session.run(None, {{"{facts.graph.input_name}": pixels}})[0][0]'
    output = f"return {call}"
    if not facts.config["zoo"]["normalized"]:
        output = f"embedding = {call}\n    return embedding / np.linalg.norm(embedding)"
    return _TEMPLATE.format(repo_id=repo_id, resize=size, pixels=pixels, output=output)
