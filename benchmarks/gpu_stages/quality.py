"""Seconds until the recipe's own validation, on templates never seen, has the TPR that is aimed at.

All of them count from the start of the run: reading the samples, validating the untrained model, training, validations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpu_stages.recipes import overrides_for, planned, trained

if TYPE_CHECKING:
    from gpu_stages.session import Session

METRIC = "tpr_at_fpr_1e-3"
AIM = {METRIC: 0.95, "seconds": 60}
# Of training; reading and validating come on top.
BATCH, CAP = 512, 50
# Validates after so many samples; each is shown twice.
SAMPLES = 150_000


def run(session: Session) -> None:
    """Train for at most so long, learning rate fully decayed, and read the curve."""
    session.report.add("aim", AIM)
    watched = trained(session, planned(overrides(session)), "quality")
    session.report.add("run", watched.describe())
    curve = [
        {
            "seconds": round(seconds, 1),
            "seconds_of_steps": float(row["seconds"]),
            "step": int(row["step"]),
            METRIC: float(row[f"valid/{METRIC}"]),
        }
        for seconds, row in zip(watched.validated_s, watched.curves(), strict=True)
    ]
    session.report.add("curve", curve)
    session.report.add("seconds_to_aim", next((row["seconds"] for row in curve if row[METRIC] >= AIM[METRIC]), None))
    session.report.add("best", max((row[METRIC] for row in curve), default=None))


def overrides(session: Session) -> list[str]:
    """Return what is changed in the recipe: a larger batch, samples that stay on the device, and a limit of time."""
    cap = min(CAP, max(5, round(session.left) - 20))
    limits = (f"data.samples_per_epoch={SAMPLES}", f"trainer.max_time={{seconds: {cap}}}", "trainer.max_epochs=-1")
    return [
        *overrides_for(session, batch=BATCH, data="resident", templates=2000, validates=True),
        "trainer.precision=bf16-mixed",
        *session.size(limits, ("trainer.max_steps=3", "data.samples_per_epoch=16")),
    ]
