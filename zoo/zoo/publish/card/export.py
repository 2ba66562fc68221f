"""What is exported: the model, its input, its files, and the proof that they compute the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.publish.card.tables import count, facts_table, listed, table

if TYPE_CHECKING:
    from zoo.publish.artifact_facts import ArtifactFacts


def model(facts: ArtifactFacts) -> str:
    """Return what the network is made of, and what it costs."""
    parts, zoo, export = facts.recipe.model, facts.config["zoo"], facts.export
    return facts_table(
        {
            "Backbone": f"`{parts.backbone.name}`",
            "Head": f"`{parts.head.name}`",
            "Loss": f"`{parts.loss.name}`",
            "Parameters": count(export.get("params")),
            "FLOPs": count(export.get("flops")),
            "MACs": count(export.get("macs")),
            "Size": f"{facts.graph.path.stat().st_size / 1e6:.2f} MB (`onnx/model.onnx`)",
            "Time": _time(facts),
            "Input": f"RGB, {_size(facts)}",
            "Embedding": f"{zoo['embedding_dim']} numbers" + (", L2-normalised" if zoo["normalized"] else ""),
            "Graph": f"`{zoo['wrapper']}`, ONNX opset {export['opset']}",
        }
    )


def preprocessing(facts: ArtifactFacts) -> str:
    """Return what has to be done to a picture before the graph takes it."""
    pixels, said = facts.graph.pixels, facts.config["zoo"]
    return facts_table(
        {
            "Colour": "RGB",
            "Size": f"{_size(facts)}, resized by Pillow's `BILINEAR` (antialiased), aspect ratio not kept"
            if pixels.size
            else "any: the graph resizes",
            "Pixels": f"{pixels.dtype}, {pixels.layout}, 0 to {pixels.maximum:g}",
            "Normalisation": f"in the graph: mean {listed(said['mean'])}, standard deviation {listed(said['std'])}",
        }
    )


def files(facts: ArtifactFacts) -> str:
    """Return the published files with their hashes."""
    rows = [(f"[{file.name}]({file.name})", f"{file.size:,}", f"`{file.sha256}`") for file in facts.files]
    return table(("File", "Bytes", "sha256"), rows)


def verification(facts: ArtifactFacts) -> str:
    """Return how far the graph is from the torch model."""
    export = facts.export
    rows = [(str(b["size"]), f"{b['max_abs_diff']:.1e}", f"{b['min_cosine']:.7f}") for b in export["batches"]]
    images = f" Images: {export['images']}." if export.get("images") else ""
    return (
        f"`onnx/model.onnx` was compared with the trained torch model, on different images in each row "
        f"(tolerance {export['tolerance']:g}).{images}\n\n"
        + table(("Batch", "Largest difference", "Lowest cosine"), rows)
    )


def precisions(facts: ArtifactFacts) -> str | None:
    """Return what the smaller files lose; None where there are none."""
    found = facts.export.get("precisions") or {}
    entries = found.get("files") or {}
    if len(entries) < 2:  # noqa: PLR2004 - float32 alone is compared with nothing
        return None
    header = ("File", "Bytes", "ms", "Mean cosine", "Lowest", "TPR@FPR=1e-3", "Verdict")
    rows = [
        (
            f"`{entry['file']}`",
            f"{entry['bytes']:,}",
            f"{entry['p50_ms']:.2f}",
            *("" if entry.get(key) is None else f"{entry[key]:.5f}" for key in ("mean_cosine", "lowest_cosine")),
            f"{entry['tpr']['tpr_at_fpr_1e-3']:.4f}" if "tpr_at_fpr_1e-3" in entry["tpr"] else "",
            entry["verdict"] if name != "fp32" else "",
        )
        for name, entry in entries.items()
    ]
    machine = found.get("cpu") or "the exporting machine"
    return (
        f"Smaller files against the float32 one, on the {found['protocol']['images']:,} images of the validation data; "
        f"the time is that of one image on one thread of {machine}.\n\n{table(header, rows)}"
    )


def _time(facts: ArtifactFacts) -> str | None:
    found = facts.export.get("precisions") or {}
    entry = (found.get("files") or {}).get("fp32")
    if not entry:
        return None
    machine = f" of {found['cpu']}" if found.get("cpu") else ""
    return f"{entry['p50_ms']:.2f} ms an image (median, one thread{machine})"


def _size(facts: ArtifactFacts) -> str:
    size = facts.graph.pixels.size
    return f"{size[0]} x {size[1]} (height x width)" if size else "any size"
