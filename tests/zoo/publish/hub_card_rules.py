"""What the Hub demands of a model card's metadata, as far as it is known from its documentation and its refusals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

LICENSES = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m afl-3.0
artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0
cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0
epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc h-research
intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl openmdw-1.0 openrail++ osl-3.0 postgresql
ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license fair-noncommercial-research-license llama2 llama3 llama3.1
llama3.2 llama3.3 llama4 grok2-community gemma unknown other
""".split()  # noqa: SIM905 - as they are read best
_ID = re.compile(r"(?:[\w-]+/)?[\w.-]+")
_STRINGS = ("license_name", "license_link", "library_name", "pipeline_tag", "thumbnail", "model_name")


def problems(metadata: object) -> list[str]:
    """Return what is wrong with a card's metadata, in the Hub's words."""
    if metadata is None:
        return []
    if not isinstance(metadata, dict):
        return ["metadata must be a mapping"]
    return [*_license(metadata), *_strings(metadata), *_ids(metadata), *_index(metadata.get("model-index", []))]


def _license(metadata: dict[str, Any]) -> Iterator[str]:
    said = metadata.get("license", "unknown")
    if not all(isinstance(one, str) and one in LICENSES for one in (said if isinstance(said, list) else [said])):
        yield f'"license" must be one of [{", ".join(LICENSES)}, array]'


def _strings(metadata: dict[str, Any]) -> Iterator[str]:
    yield from (f'"{key}" must be a string' for key in _STRINGS if not isinstance(metadata.get(key, ""), str))
    for key in ("tags", "metrics", "language"):
        said = metadata.get(key, [])
        if not isinstance(said, list) and (key != "language" or not isinstance(said, str)):
            yield f'"{key}" must be an array'
        elif isinstance(said, list):
            yield from (f'"{key}[{at}]" must be a string' for at, one in enumerate(said) if not isinstance(one, str))


def _ids(metadata: dict[str, Any]) -> Iterator[str]:
    for key, hint in (
        ("base_model", "Use a model id from https://hf.co/models."),
        ("datasets", "If possible, use a dataset id from https://hf.co/datasets."),
    ):
        said = metadata.get(key, [])
        for at, one in enumerate(said if isinstance(said, list) else [said]):
            name = f"{key}[{at}]" if isinstance(said, list) else key
            if not isinstance(one, str):
                yield f'"{name}" must be a string'
            elif not _ID.fullmatch(one):
                yield f'"{name}" with value "{one}" is not valid. {hint}'


def _index(index: object) -> Iterator[str]:
    if not isinstance(index, list):
        yield '"model-index" must be an array'
        return
    for at, model in enumerate(index):
        where = f"model-index[{at}]"
        yield from _required(model, where, name=str, results=list)
        for number, result in enumerate(model.get("results") or [] if isinstance(model, dict) else []):
            yield from _result(result, f"{where}.results[{number}]")


def _result(result: Any, where: str) -> Iterator[str]:
    wrong = list(_required(result, where, task=dict, metrics=list))
    if wrong:
        yield from wrong
        return
    yield from _required(result["task"], f"{where}.task", type=str)
    if "dataset" in result:
        yield from _required(result["dataset"], f"{where}.dataset", type=str, name=str)
        kind = result["dataset"].get("type", "") if isinstance(result["dataset"], dict) else ""
        if isinstance(kind, str) and kind and not _ID.fullmatch(kind):
            yield f'"{where}.dataset.type" with value "{kind}" fails to match the required pattern'
    for at, metric in enumerate(result["metrics"]):
        yield from _required(metric, f"{where}.metrics[{at}]", type=str, value=object)


def _required(value: Any, where: str, /, **kinds: type) -> Iterator[str]:
    names = {str: "a string", list: "an array", dict: "of type object"}
    if not isinstance(value, dict):
        yield f'"{where}" must be of type object'
        return
    for key, kind in kinds.items():
        if value.get(key) is None:
            yield f'"{where}.{key}" is required'
        elif not isinstance(value[key], kind):
            yield f'"{where}.{key}" must be {names[kind]}'
