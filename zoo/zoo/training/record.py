"""What a training leaves beside its checkpoints: the resolved recipe, and the record of what made the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.atomic import read_json, write_json, write_text
from zoo.training.data.resident import ResidentExecutor
from zoo.training.trainer import device_names
from zoo_core.config import dump
from zoo_core.contracts import HasProvenance
from zoo_core.provenance import BuildRecord

if TYPE_CHECKING:
    import lightning

    from zoo.runs.layout import RunFolder
    from zoo.training.plan import TrainingPlan


def write_record(plan: TrainingPlan, folder: RunFolder, trainer: lightning.Trainer) -> None:
    """Write recipe and record into ``folder``."""
    recipe = plan.recipe.model_dump(mode="json")
    write_text(folder.recipe, dump(recipe))
    record = BuildRecord.capture(
        recipe=recipe,
        seed=plan.recipe.seed,
        components=plan.components,
        devices=device_names(trainer),
        weights=_initial_weights(plan, folder),
    )
    more: dict[str, Any] = {
        "images_per_step": plan.images_per_step,
        "learning_rate_factor": plan.learning_rate_factor,
        "start": plan.report.to_json(),
        "resident": isinstance(plan.executor, ResidentExecutor) and plan.executor.images is not None,
    }
    plan.report.write_left_out(folder.left_out)
    if plan.teacher is not None:
        more["teacher"] = _provenance(plan.teacher)
    write_json(folder.record, {"name": plan.loaded.name, **record.to_json(), **more})


def _initial_weights(plan: TrainingPlan, folder: RunFolder) -> dict[str, str]:
    """Return where the backbone's weights came from, which a resumed training only knows from its record."""
    if plan.resume and folder.record.is_file():
        return dict(read_json(folder.record)["weights"])
    return _provenance(plan.model.backbone)


def _provenance(module: object) -> dict[str, str]:
    return dict(module.provenance) if isinstance(module, HasProvenance) else {}
