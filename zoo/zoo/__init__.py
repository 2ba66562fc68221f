"""zoo: a plugin-based model zoo for image-embedding models.

`load` opens a model, which embeds images. `train`, `evaluate`, `export`, `push`, `pull`, `verify`, `calibrate` and
`bench` are the commands; they print nothing on stdout. All raise `zoo.ZooError` with what is wrong, where, and what to
do about it. Importing zoo imports nothing else.
"""

from __future__ import annotations

__version__ = "0.1.0"

# The name alone tells type checkers; importing it from typing takes as long as starting Python does.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from zoo.api.benchmark import bench
    from zoo.api.calibration import calibrate
    from zoo.api.evaluation import compare, evaluate
    from zoo.api.exporting import export
    from zoo.api.loading import load
    from zoo.api.publishing import pull, push
    from zoo.api.results import Artifact, Run
    from zoo.api.training import train
    from zoo.api.verifying import verify
    from zoo.benchmark.run import Benchmark
    from zoo.calibration.result import Calibration
    from zoo.evaluation.comparison import Comparison
    from zoo.evaluation.result import Evaluation
    from zoo.models.model import Model
    from zoo.publish.push import Pushed
    from zoo.reproduction.check import Reproduction
    from zoo_core.errors import ZooError

__all__ = [
    "Artifact",
    "Benchmark",
    "Calibration",
    "Comparison",
    "Evaluation",
    "Model",
    "Pushed",
    "Reproduction",
    "Run",
    "ZooError",
    "bench",
    "calibrate",
    "compare",
    "evaluate",
    "export",
    "load",
    "pull",
    "push",
    "train",
    "verify",
]

# Where each name is found when it is first asked for.
_HOMES = {
    "Artifact": "zoo.api.results",
    "Benchmark": "zoo.benchmark.run",
    "Calibration": "zoo.calibration.result",
    "Comparison": "zoo.evaluation.comparison",
    "Evaluation": "zoo.evaluation.result",
    "Model": "zoo.models.model",
    "Pushed": "zoo.publish.push",
    "Reproduction": "zoo.reproduction.check",
    "Run": "zoo.api.results",
    "ZooError": "zoo_core.errors",
    "bench": "zoo.api.benchmark",
    "calibrate": "zoo.api.calibration",
    "compare": "zoo.api.evaluation",
    "evaluate": "zoo.api.evaluation",
    "export": "zoo.api.exporting",
    "load": "zoo.api.loading",
    "pull": "zoo.api.publishing",
    "push": "zoo.api.publishing",
    "train": "zoo.api.training",
    "verify": "zoo.api.verifying",
}

if not TYPE_CHECKING:  # else a checker would take any name for known

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        from importlib import import_module  # noqa: PLC0415 - as light as can be

        return getattr(import_module(_HOMES[name]), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *_HOMES})
