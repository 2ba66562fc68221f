"""How to use a model: commands and code, with what they print."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, metadata
from typing import TYPE_CHECKING

from zoo.publish.card.snippets import (
    onnxruntime_snippet,
    run_snippets,
    timm_snippet,
    transformers_js_snippet,
    zoo_snippet,
)

if TYPE_CHECKING:
    from zoo.publish.facts import Facts

_SOURCES = ("source", "repository", "source code", "homepage")


def usage(facts: Facts, repo_id: str, revision: str) -> str:
    """Return the section; the code for zoo and onnxruntime is run, and refused if it fails.

    Raises:
        RunError: an example fails.
    """
    command = f"zoo predict --model {repo_id} --gallery references/ picture.jpg"
    if not facts.config["zoo"].get("threshold"):
        command += " --threshold 0.5"
    codes = [zoo_snippet(repo_id, revision), onnxruntime_snippet(facts, repo_id, revision)]
    printed = run_snippets(codes, facts.files, repo_id, revision)
    examples = [
        f"```python\n{code}```\n\nIt prints:\n\n```text\n{output}```"
        for code, output in zip(codes, printed, strict=True)
    ]
    return (
        "Put one picture of each class into a folder (its name is the label), and name others by their closest one:\n\n"
        f"```bash\n{install_line()}\n{command}\n```\n\n"
        f"In Python:\n\n{examples[0]}\n\n"
        f"Or with onnxruntime, numpy, Pillow and huggingface_hub alone:\n\n{examples[1]}"
        + _other_clients(facts, repo_id, revision)
        + f"\n\n`zoo verify {repo_id}` makes the figures below again, and says which hold."
    )


def _other_clients(facts: Facts, repo_id: str, revision: str) -> str:
    """Return examples of the clients that read what was exported; not run here, as they need not be installed."""
    text = ""
    if facts.for_transformers_js:
        code = transformers_js_snippet(repo_id, revision)
        text += f"\n\nIn a browser or Node.js, where the graph resizes:\n\n```js\n{code}```"
    if facts.has_backbone:
        code = timm_snippet(repo_id, revision)
        text += f"\n\nThe backbone alone, as timm's feature pyramid of normalised pixels:\n\n```py\n{code}```"
    return text


def install_line() -> str:
    """Return how to install zoo: no package index has it, so from where the installed one says that it comes from."""
    try:
        urls = metadata("plugzoo").get_all("Project-URL") or []
    except PackageNotFoundError:
        urls = []
    pairs = (line.partition(",") for line in urls)
    named = {label.strip().lower(): url.strip() for label, _, url in pairs}
    for label in _SOURCES:
        if label in named:
            return f'pip install "plugzoo @ git+{named[label]}"'
    return (
        "pip install ./plugzoo-*.whl  # zoo's wheel: no package index has it; 'pip install .' in its source does, too"
    )
