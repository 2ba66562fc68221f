"""The metadata of a card: what the Hub reads of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from huggingface_hub import EvalResult, ModelCardData

from zoo.publish.card.tables import metric_title

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.publish.facts import Facts

TASK = "image-feature-extraction"


def metadata(facts: Facts, repo_id: str) -> ModelCardData:
    """Return what the Hub reads of a card; evaluation results only of a model that was evaluated.

    Of the tags that the Hub takes for libraries there are those of which each reads the model: ``timm`` reads
    ``backbone/`` alone, and the Hub would show how to load the root with it.
    """
    model = facts.recipe.model
    tags = ["zoo", "onnx", *(["transformers.js"] if facts.for_transformers_js else [])]
    tags += ["metric-learning", "image-retrieval"]
    tags += [f"loss:{model.loss.name.rpartition('/')[2]}", f"embedding-dim:{facts.config['zoo']['embedding_dim']}"]
    bases = facts.base_models
    named: dict[str, Any] = {"license_name": facts.license.name, "license_link": facts.license.link}
    return ModelCardData(
        license=facts.license.id,
        library_name="zoo",
        pipeline_tag=TASK,
        tags=tags,
        base_model=bases if len(bases) > 1 else next(iter(bases), None),
        datasets=facts.recipe.card.datasets or None,
        model_name=repo_id.rpartition("/")[2],
        eval_results=_results(facts.metrics) if facts.metrics else None,
        **{key: value for key, value in named.items() if value},
    )


def _results(metrics: Mapping[str, Any]) -> list[EvalResult]:
    """Return the figures; the data's type is no id of the Hub, which links what looks like one."""
    data, protocol = metrics["data"]["name"], metrics.get("protocol") or {}
    name = f"{data}, classes not trained on" if metrics.get("unseen") is True else data
    digest = protocol.get("digest")
    return [
        EvalResult(
            task_type=TASK,
            task_name="Verification and identification",
            dataset_type=data.replace("/", "-"),
            dataset_name=f"{name} (protocol {digest})" if digest else name,
            metric_type=metric,
            metric_name=metric_title(metric),
            metric_value=value,
        )
        for metric, value in metrics["metrics"].items()
    ]
