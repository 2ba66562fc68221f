"""What a training leaves beside its checkpoints: the resolved recipe, and the record of what made the model."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from zoo.atomic import write_json, write_text
from zoo.runs.started import place_of
from zoo.training.data.resident import ResidentExecutor
from zoo.training.fingerprint import class_names, fingerprint
from zoo.training.trainer import device_names
from zoo.validation.protocol import Protocol
from zoo_core.capabilities import HasProvenance
from zoo_core.config import dump
from zoo_core.provenance import BuildRecord, timestamp

if TYPE_CHECKING:
    import lightning

    from zoo.runs.layout import RunFolder
    from zoo.training.module import EmbeddingTraining
    from zoo.training.plan import TrainingPlan


def write_record(plan: TrainingPlan, folder: RunFolder, trainer: lightning.Trainer, module: EmbeddingTraining) -> None:
    """Write recipe, record and the untrained model's metrics into ``folder``.

    What the start of a run has written stays: a resumed training adds itself to the record, and no more.
    """
    recipe = plan.recipe.model_dump(mode="json")
    write_text(folder.recipe, dump(recipe))
    if plan.resumption is not None and folder.record.is_file():
        _add_resume(plan, folder, trainer)
        return
    record = BuildRecord.capture(
        recipe=recipe,
        seed=plan.recipe.seed,
        components=plan.components,
        devices=device_names(trainer),
        # Of a backbone that is taken whole nothing else is left.
        weights={} if plan.initial and plan.initial.whole("backbone") else _provenance(plan.model.backbone),
    )
    more: dict[str, Any] = {
        "trained_at": _now(),
        "classes": len(plan.data.classes),
        "images_per_step": plan.images_per_step,
        "learning_rate_factor": plan.learning_rate_factor,
        "start": plan.report.to_json(),
        "resident": isinstance(plan.executor, ResidentExecutor) and plan.executor.images is not None,
        "data": fingerprint(plan.data),
        **place_of(folder),
    }
    plan.report.write_left_out(folder.left_out)
    if plan.initial is not None:
        more["init_from"] = plan.initial.to_json()
    if plan.teacher is not None:
        more["teacher"] = _provenance(plan.teacher)
    if module.untrained and module.compared is not None:
        protocol = Protocol.of_recipe(plan.recipe, module.compared).to_json()
        write_json(folder.evaluation / "untrained.json", {**module.untrained, "protocol": protocol})
    write_json(folder.classes, class_names(plan.data))
    write_json(folder.record, {"name": plan.loaded.name, **record.to_json(), **more})


def _add_resume(plan: TrainingPlan, folder: RunFolder, trainer: lightning.Trainer) -> None:
    record = folder.read_record()
    resume = {
        "created": timestamp(),
        "trained_at": _now(),
        "step": trainer.global_step,
        "world_size": trainer.world_size,
        "devices": device_names(trainer),
        "images_per_step": plan.images_per_step,
        "changed": list(plan.resumption.lines) if plan.resumption else [],
    }
    write_json(folder.record, {**record, "resumes": [*record.get("resumes", []), resume]})


def _now() -> str:
    """Return the clock's time, where SOURCE_DATE_EPOCH fixes ``created`` too; so fine that no two runs share it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _provenance(module: object) -> dict[str, str]:
    return dict(module.provenance) if isinstance(module, HasProvenance) else {}
