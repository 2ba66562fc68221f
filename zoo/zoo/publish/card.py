"""The model card: every figure is a fact of the run folder, and a section without facts is left out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import EvalResult, ModelCardData

from zoo.publish.snippet import snippet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zoo.publish.card_facts import Facts

TASK = "image-feature-extraction"


def metadata(facts: Facts, repo_id: str) -> ModelCardData:
    """Return what the Hub reads of a card; evaluation results only of a model that was evaluated."""
    model = facts.recipe.model
    plugin = next((one.plugin for one in facts.record.components if one.kind == "backbone"), None)
    tags = ["zoo", "onnx", plugin, "metric-learning", "image-retrieval"]
    tags += [f"loss:{model.loss.name.rpartition('/')[2]}", f"embedding-dim:{facts.config['zoo']['embedding_dim']}"]
    return ModelCardData(
        license=facts.license,
        library_name="zoo",
        pipeline_tag=TASK,
        tags=[tag for tag in tags if tag],
        base_model=facts.base_model,
        datasets=facts.recipe.card.datasets or None,
        model_name=repo_id.rpartition("/")[2],
        eval_results=_results(facts.metrics) if facts.metrics else None,
    )


def _results(metrics: Mapping[str, Any]) -> list[EvalResult]:
    data = metrics["data"]["name"]
    return [
        EvalResult(
            task_type=TASK,
            task_name="Verification and identification",
            dataset_type=data,
            dataset_name=f"{data}, classes not trained on" if _is_unseen(metrics) else data,
            metric_type=name,
            metric_name=_title(name),
            metric_value=value,
        )
        for name, value in metrics["metrics"].items()
    ]


def _is_unseen(metrics: Mapping[str, Any]) -> bool:
    """Return whether the evaluation says that training saw none of its classes; an old one does not say."""
    return metrics.get("unseen") is True


def body(facts: Facts, repo_id: str) -> str:
    """Return the card's text in Markdown, for the repository ``repo_id``."""
    sections = (
        ("Model", _model(facts)),
        ("How to use", _usage(facts, repo_id)),
        ("Preprocessing", _preprocessing(facts)),
        ("Evaluation", _evaluation(facts)),
        ("Training data", _data(facts)),
        ("Training procedure", _procedure(facts)),
        ("Files", _files(facts)),
        ("Export verification", _verification(facts)),
        ("Precisions", _precisions(facts)),
        ("Environment", _environment(facts)),
        ("Licence", f"The weights: {facts.license}."),
    )
    texts = [f"## {title}\n\n{text}" for title, text in sections if text]
    return "\n\n".join([f"# {repo_id.rpartition('/')[2]}", _summary(facts), *texts])


def _summary(facts: Facts) -> str:
    said = facts.recipe.card.summary or (
        f"Maps a picture to an embedding of {facts.config['zoo']['embedding_dim']} numbers; "
        "two pictures of the same class have embeddings with a high cosine, also of classes that were not trained on."
    )
    threshold = facts.config["zoo"].get("threshold")
    if facts.metrics is None or threshold is None:
        return said
    point = next(one for one in facts.metrics["thresholds"] if one["fpr_target"] == threshold["fpr_target"])
    where = "classes that were not trained on" if _is_unseen(facts.metrics) else "the validation data"
    return (
        f"{said}\n\nOn {where} it finds {point['tpr']:.4f} of all pairs of the same class "
        f"at a false positive rate of {point['fpr_target']:g}."
    )


def _model(facts: Facts) -> str:
    model, zoo, export = facts.recipe.model, facts.config["zoo"], facts.export
    rows = {
        "Backbone": f"`{model.backbone.name}`",
        "Head": f"`{model.head.name}`",
        "Loss": f"`{model.loss.name}`",
        "Parameters": _count(export.get("params")),
        "FLOPs": _count(export.get("flops")),
        "MACs": _count(export.get("macs")),
        "Input": f"RGB, {_size(facts)}",
        "Embedding": f"{zoo['embedding_dim']} numbers" + (", L2-normalised" if zoo["normalized"] else ""),
        "Graph": f"`{zoo['wrapper']}`, ONNX opset {export['opset']}",
    }
    return _table(("", ""), ((name, value) for name, value in rows.items() if value))


def _usage(facts: Facts, repo_id: str) -> str:
    command = f"zoo predict --model {repo_id} --gallery references/ picture.jpg"
    if not facts.config["zoo"].get("threshold"):
        command += " --threshold 0.5"
    return (
        "Put one picture of each class into a folder (its name is the label), and name others by their closest one:\n\n"
        f"```bash\npip install plugzoo\n{command}\n```\n\n"
        "Or with onnxruntime, numpy and Pillow alone:\n\n"
        f"```python\n{snippet(facts, repo_id)}```"
    )


def _preprocessing(facts: Facts) -> str:
    pixels, model = facts.graph.pixels, facts.config["pretrained_cfg"]
    rows = {
        "Colour": "RGB",
        "Size": f"{_size(facts)}, resized by Pillow's `BILINEAR` (antialiased), aspect ratio not kept"
        if pixels.size
        else "any: the graph resizes",
        "Pixels": f"{pixels.dtype}, {pixels.layout}, 0 to {pixels.maximum:g}",
        "Normalisation": f"in the graph: mean {_list(model['mean'])}, standard deviation {_list(model['std'])}",
    }
    return _table(("", ""), rows.items())


def _evaluation(facts: Facts) -> str | None:
    if facts.metrics is None:
        return None
    metrics, counts = facts.metrics, facts.metrics["counts"]
    unseen = "that were not trained on " if _is_unseen(metrics) else ""
    protocol = (
        f"On {counts['images']:,} images of {counts['classes']:,} classes {unseen}"
        f"(`{metrics['data']['name']}`): all {counts['genuine_pairs']:,} pairs of the same class and "
        f"{counts['impostor_pairs']:,} pairs of different classes, scored by the cosine."
    )
    paragraphs = [protocol]
    untrained = metrics.get("untrained") or {}
    header = ("Metric", "Value", "Untrained") if untrained else ("Metric", "Value")
    rows = [
        (_title(name), f"{value:.4f}", *([f"{untrained[name]:.4f}" if name in untrained else ""] if untrained else []))
        for name, value in metrics["metrics"].items()
    ]
    paragraphs.append(_table(header, rows))
    points = [
        (f"{point['fpr_target']:g}", f"{point['fpr']:.3g}", f"{point['tpr']:.4f}", f"{point['threshold']:.6f}")
        for point in metrics["thresholds"]
    ]
    paragraphs.append(_table(("FPR aimed at", "FPR", "TPR", "Threshold"), points))
    threshold = facts.config["zoo"].get("threshold")
    if threshold:
        paragraphs.append(
            f"`zoo predict` accepts a score from {threshold['value']:.6f} on "
            f"(a false positive rate of {threshold['fpr_target']:g}); `--fpr` and `--threshold` choose another."
        )
    pictures = [file.name for file in facts.files if file.name.startswith("assets/") and file.name.endswith(".png")]
    paragraphs.append("\n".join(f"![{Path(name).stem.replace('_', ' ')}]({name})" for name in pictures))
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _data(facts: Facts) -> str:
    data = facts.recipe.data
    rows = [
        ("Training", f"`{data.train.name}`", _options(data.train.options)),
        *(("Training", f"`{one.name}`, share {one.share:g}", _options(one.options)) for one in data.train_also),
        ("Validation", f"`{data.valid.name}`", _options(data.valid.options)),
        ("Augmentation", f"`{data.augmentation.name}`", _options(data.augmentation.options)),
    ]
    return f"{_table(('', 'Component', 'Options'), rows)}\n\n{_origin(facts)}"


def _origin(facts: Facts) -> str:
    weights = facts.record.weights
    if facts.base_model:
        revision, terms = weights["revision"], weights.get("license", "unknown")
        return f"The backbone started as `{facts.base_model}` (revision `{revision}`, licence: {terms})."
    if "sha256" in weights:
        return f"The backbone started from a file of weights (sha256 `{weights['sha256']}`)."
    return "The backbone started from random weights." if weights.get("weights") == "random" else ""


def _procedure(facts: Facts) -> str:
    recipe = facts.recipe
    rows = {
        "Loss": (recipe.model.loss.name, recipe.model.loss.options),
        "Optimizer": (recipe.optimizer.name, recipe.optimizer.options),
        "Learning rate": (recipe.lr_scheduler.name, recipe.lr_scheduler.options),
        "Trainer": ("lightning.Trainer", recipe.trainer),
        "Batch size": (str(recipe.data.loader.batch_size), {}),
        "Seed": (str(recipe.seed), {}),
    }
    table = _table(("", "", "Options"), ((key, f"`{name}`", _options(more)) for key, (name, more) in rows.items()))
    git = facts.record.git
    commit = f", at commit `{git.revision}`" if git else ""
    if git and git.dirty:
        commit += " with uncommitted changes"
    return f"{table}\n\nAll of it is in [recipe.yaml](recipe.yaml) (`{facts.recipe_name}`){commit}."


def _files(facts: Facts) -> str:
    rows = [(f"[{file.name}]({file.name})", f"{file.size:,}", f"`{file.sha256}`") for file in facts.files]
    return _table(("File", "Bytes", "sha256"), rows)


def _verification(facts: Facts) -> str:
    export = facts.export
    rows = [(str(b["size"]), f"{b['max_abs_diff']:.1e}", f"{b['min_cosine']:.7f}") for b in export["batches"]]
    return (
        f"`onnx/model.onnx` was compared with the trained torch model, on different images in each row "
        f"(tolerance {export['tolerance']:g}):\n\n" + _table(("Batch", "Largest difference", "Lowest cosine"), rows)
    )


def _precisions(facts: Facts) -> str | None:
    found = facts.export.get("precisions") or {}
    files = found.get("files") or {}
    if len(files) < 2:  # noqa: PLR2004 - float32 alone is compared with nothing
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
        for name, entry in files.items()
    ]
    return (
        f"Smaller files against the float32 one, on the {found['protocol']['images']:,} images of the validation data; "
        f"the time is that of one image on one thread of the exporting machine.\n\n{_table(header, rows)}"
    )


def _environment(facts: Facts) -> str:
    record = facts.record
    hardware = [record.hardware.get("cpu"), *record.hardware.get("devices", [])]
    rows = {
        "python": record.python,
        **record.versions,
        "hardware": ", ".join(dict.fromkeys(name for name in hardware if name)),
    }
    return _table(("", ""), ((name, value) for name, value in rows.items() if value))


def _title(metric: str) -> str:
    """Write ``tpr_at_fpr_1e-3`` as people do."""
    names = {"auc": "ROC AUC", "rank1": "Rank-1"}
    return names.get(metric) or metric.replace("tpr_at_fpr_", "TPR@FPR=")


def _size(facts: Facts) -> str:
    size = facts.graph.pixels.size
    return f"{size[0]} x {size[1]} (height x width)" if size else "any size"


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,}"


def _list(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _options(options: Mapping[str, Any]) -> str:
    """Write options in one cell; of a local path only its name: its folders are private."""
    return ", ".join(f"`{key}={_shown(value)}`" for key, value in options.items())


def _shown(value: object) -> object:
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    columns = list(header)
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)
