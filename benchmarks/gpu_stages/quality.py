"""Seconds of training until the recipe's own validation, on templates never seen, has the TPR that is aimed at."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gpu_stages.recipes import overrides_for, planned, trained

if TYPE_CHECKING:
    from gpu_stages.session import Session

METRIC = "tpr_at_fpr_1e-3"
AIM = {METRIC: 0.95, "seconds": 60}
BATCH, CAP = 512, 60
# Validates after so many samples; each is shown twice.
SAMPLES = 150_000


def run(session: Session) -> None:
    """Train for at most so long, learning rate fully decayed, and read the curve."""
    session.report.add("aim", AIM)
    plan = planned(overrides(session))
    start = time.monotonic()
    watched = trained(session, plan, "quality")
    session.report.add("run", watched.describe())
    session.report.add("seconds_with_validation", round(time.monotonic() - start, 1))
    curve = [
        {"seconds": float(row["seconds"]), "step": int(row["step"]), METRIC: float(row[f"valid/{METRIC}"])}
        for row in watched.curves()
    ]
    session.report.add("curve", curve)
    session.report.add("seconds_to_aim", next((row["seconds"] for row in curve if row[METRIC] >= AIM[METRIC]), None))
    session.report.add("best", max((row[METRIC] for row in curve), default=None))


def overrides(session: Session) -> list[str]:
    """Return what is changed in the recipe: a larger batch, and a limit of time."""
    cap = min(CAP, max(5, round(session.left) - 15))
    limits = (f"data.samples_per_epoch={SAMPLES}", f"trainer.max_time={{seconds: {cap}}}", "trainer.max_epochs=-1")
    return [
        *overrides_for(session, batch=BATCH, augment_on="device", templates=2000),
        "trainer.precision=bf16-mixed",
        *session.size(limits, ("trainer.max_steps=3", "data.samples_per_epoch=16")),
    ]
