"""The card's examples: code that can be pasted, run as it stands before it is published."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zoo.publish.artifact_facts import PublishedFile
    from zoo.publish.facts import Facts

_ZOO = """\
import zoo
from huggingface_hub import hf_hub_download

model = zoo.load("{repo_id}", revision="{revision}")
picture = hf_hub_download("{repo_id}", "sample/image.png", revision="{revision}")
embedding = model.embed(picture)
print(len(embedding), [f"{{one:.3f}}" for one in embedding[:4]])
"""
_ONNXRUNTIME = """\
import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime
from huggingface_hub import hf_hub_download
from PIL import Image, ImageOps


def file(name):
    return Path(hf_hub_download("{repo_id}", name, revision="{revision}"))


graph = file("onnx/model.onnx").read_bytes()
assert hashlib.sha256(graph).hexdigest() == "{sha256}"
session = onnxruntime.InferenceSession(graph)


def embed(path):
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB"){resize}
    pixels = {pixels}
    {output}


expected = json.loads(file("sample/embedding.json").read_text())["embedding"]
print(f"cosine to the published embedding {{embed(file('sample/image.png')) @ np.array(expected):.4f}}")
"""
_TRANSFORMERS_JS = """\
import {{ pipeline }} from "@huggingface/transformers";

const extract = await pipeline("image-feature-extraction", "{repo_id}", {{ revision: "{revision}" }});
const embedding = await extract("picture.png");
console.log(embedding.dims);
"""
_TIMM = """\
import timm
from huggingface_hub import snapshot_download

folder = snapshot_download("{repo_id}", revision="{revision}", allow_patterns="backbone/*")
backbone = timm.create_model(f"local-dir:{{folder}}/backbone", pretrained=True)
"""
# Runs each of several programs by itself, and prints what each has printed.
_RUNNER = """\
import contextlib, io, json, sys
outputs = []
for code in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(compile(code, "<example of the card>", "exec"), {"__name__": "__main__"})
    outputs.append(output.getvalue())
json.dump(outputs, sys.stdout)
"""
# Any commit, for the name of a folder.
_COMMIT = "0" * 40
_TIMEOUT = 300


def zoo_snippet(repo_id: str, revision: str) -> str:
    """Return Python code that embeds the sample picture with zoo."""
    return _ZOO.format(repo_id=repo_id, revision=revision)


def transformers_js_snippet(repo_id: str, revision: str) -> str:
    """Return JavaScript that embeds a picture in a browser or Node.js."""
    return _TRANSFORMERS_JS.format(repo_id=repo_id, revision=revision)


def timm_snippet(repo_id: str, revision: str) -> str:
    """Return Python code that opens the backbone with timm."""
    return _TIMM.format(repo_id=repo_id, revision=revision)


def onnxruntime_snippet(facts: Facts, repo_id: str, revision: str) -> str:
    """Return Python code that embeds the sample picture without zoo, and compares it with its published embedding."""
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
    return _ONNXRUNTIME.format(
        repo_id=repo_id,
        revision=revision,
        sha256=facts.export["sha256"],
        resize=size,
        pixels=pixels,
        output=output,
    )


def run_snippets(codes: Sequence[str], files: Iterable[PublishedFile], repo_id: str, revision: str) -> list[str]:
    """Run examples as a reader would after the push, and return what each prints.

    They run in a process of their own whose cache of the Hub holds the files, and which cannot reach the Hub.

    Raises:
        RunError: one fails.
    """
    with tempfile.TemporaryDirectory() as cache:
        _fill(Path(cache), files, repo_id, revision)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
        environment = {**kept, "HF_HUB_CACHE": cache, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        done = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-W", "ignore", "-c", _RUNNER],
            input=json.dumps(list(codes)),
            env=environment,
            cwd=cache,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT,
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RunError(f"{repo_id}: an example of its card fails: {last}", hint="export it again: zoo export")
    outputs: list[str] = json.loads(done.stdout)
    return outputs


def _fill(cache: Path, files: Iterable[PublishedFile], repo_id: str, revision: str) -> None:
    home = cache / f"models--{repo_id.replace('/', '--')}"
    for file in files:
        target = home / "snapshots" / _COMMIT / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.content is None:
            target.symlink_to(file.path.absolute())
        else:
            target.write_bytes(file.content)
    reference = home / "refs" / revision
    reference.parent.mkdir(parents=True)
    reference.write_text(_COMMIT, encoding="utf-8")
