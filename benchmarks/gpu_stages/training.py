"""Images per second of training end to end, with each way to augment, beside the model alone.

All in bf16-mixed with a class table of 10^5 classes, of which a step samples 8,192; other precisions are compared by
the stage ``precision``. Between the trainings the model alone is measured again: the ratios are of neighbours.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from gpu_stages.recipes import UNVALIDATED, FromMemory, overrides_for, planned_sparse, trained
from gpu_stages.session import is_measured
from gpu_stages.steps import ModelStep, measure

if TYPE_CHECKING:
    from gpu_stages.session import Session

PRECISION = "bf16-mixed"
BATCH = 1024
AIM = {"images_per_second": 60_000, "share_of_model_only": 0.9}
# Whether the loader augments, or the device, from pixels of the loader's or its own.
DATA = {"from_memory": "loader", "loader": "loader", "device": "device", "resident": "resident"}


def run(session: Session) -> None:
    """Measure."""
    session.report.add("aim", AIM)
    step = _step(session)
    flops = step.flops()
    session.report.add("gflop_per_image", round(flops / len(step.labels) / 1e9, 4))
    alone = session.attempt("model_only", partial(measure, session, step, flops=flops))
    shares = []
    for name in DATA:
        figure = session.attempt(name, partial(_end_to_end, session, name), least=10)
        again = session.attempt(f"model_only_after_{name}", partial(measure, session, step, flops=flops))
        if all(map(is_measured, (alone, figure, again))):
            neighbours = (alone["images_per_second"] + again["images_per_second"]) / 2
            figure["share_of_model_only"] = round(figure["images_per_second"] / neighbours, 3)
            session.report.add(name, figure)
            if name != "from_memory":
                shares.append(figure["share_of_model_only"])
        alone = again
    session.report.add("best_share_of_model_only", max(shares, default=None))
    session.attempt("recipe_batch", partial(_end_to_end, session, "recipe_batch"), least=10)


def _step(session: Session) -> ModelStep:
    plan = planned_sparse(session, [*overrides_for(session, batch=BATCH), *UNVALIDATED])
    return ModelStep(session, plan, precision=PRECISION)


def _end_to_end(session: Session, name: str) -> dict[str, Any]:
    """Train as ``zoo train`` does.

    ``from_memory`` has random batches on the device instead of a loader, ``recipe_batch`` the recipe's own batch size.
    """
    plan = planned_sparse(session, overrides(session, name))
    with FromMemory(plan, session.device).fed() if name == "from_memory" else nullcontext():
        run = trained(session, plan, name)
    return {**run.describe(), "batch": plan.data.batch_size, "loader_processes": plan.recipe.data.loader.num_workers}


def overrides(session: Session, name: str) -> list[str]:
    """Return what is changed in the recipe for one of the trainings."""
    seconds = max(3, min(10, round(session.left) - 4))
    # An epoch's end keeps a checkpoint and starts the loader anew: none falls into this time.
    limits = ("data.samples_per_epoch=4000000", f"trainer.max_time={{seconds: {seconds}}}")
    return [
        *overrides_for(session, batch=256 if name == "recipe_batch" else BATCH, data=DATA.get(name, "resident")),
        *(*UNVALIDATED, f"trainer.precision={PRECISION}"),
        *session.size(limits, ("trainer.max_steps=4",)),
    ]
