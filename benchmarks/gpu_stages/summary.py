"""The figures that the aims are about, out of all stages: a table to read and a file to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.atomic import write_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

# Stage, where its figure stands, and what it is called in the table.
HEADLINES: dict[str, list[tuple[tuple[str, ...], str]]] = {
    "agreement": [(("disagreeing",), "disagreeing comparisons")],
    "training": [
        (("model_only", "images_per_second"), "images/s, model only"),
        (("loader", "images_per_second"), "images/s, augmented in the loader"),
        (("device", "images_per_second"), "images/s, augmented on the device"),
        (("resident", "images_per_second"), "images/s, resident data"),
        (("best_share_of_model_only",), "best of them / model only"),
    ],
    "class_table": [
        (("ratios_to_smallest", "adamw"), "AdamW, a step by classes / that of the fewest"),
        (("ratios_to_smallest", "sgd"), "SGD, likewise"),
        (("ratios_to_smallest", "adagrad"), "Adagrad, likewise"),
    ],
    "synchronisation": [
        (("resident, 32-true", "synchronisations_per_step"), "waits for the device in a step, fp32"),
        (("resident, bf16-mixed", "synchronisations_per_step"), "the same, bf16-mixed"),
        (("resident, 16-mixed", "synchronisations_per_step"), "the same, 16-mixed"),
        (("device, bf16-mixed", "synchronisations_per_step"), "the same, bf16-mixed, pixels from the loader"),
    ],
    "quality": [(("seconds_to_aim",), "s from the start to TPR@1e-3 0.95, unseen"), (("best",), "best TPR@1e-3")],
    "precision": [
        (("fp32", "model_only", "images_per_second"), "images/s, fp32"),
        (("bf16-mixed", "model_only", "images_per_second"), "images/s, bf16-mixed"),
        (("16-mixed", "model_only", "images_per_second"), "images/s, 16-mixed"),
        (("bf16-mixed", "compiled", "images_per_second"), "images/s, bf16-mixed, compiled"),
    ],
    "checkpoints": [(("steps",), "steps after CPU, device, CPU")],
    "distributed": [(("one_rank", "images_per_second"), "images/s, one rank of a process group")],
    "onnx": [(("images_per_second",), "images/s by batch")],
}


def headlines(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the table shows of a stage's JSON; what was not measured is left out."""
    found = {}
    for path, title in HEADLINES[result["stage"]]:
        value: Any = result["figures"]
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            found[title] = value
    return found


def write_summary(out: Path, facts: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> None:
    """Write ``summary.json``."""
    stages = {
        result["stage"]: {
            **{key: result[key] for key in ("status", "seconds", "error", "reason") if key in result},
            "figures": headlines(result),
        }
        for result in results
    }
    write_json(out / "summary.json", {**facts, "stages": stages})


def print_table(results: Iterable[Mapping[str, Any]]) -> None:
    """Print a line per figure."""
    for result in results:
        why = result.get("reason") or result.get("error") or ""
        print(f"{result['stage']:<16} {result['status']:<9} {result['seconds']:6.1f} s  {why}".rstrip())
        for title, value in headlines(result).items():
            print(f"    {title}: {value}")
