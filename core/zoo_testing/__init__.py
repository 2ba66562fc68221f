"""The kit for authors of plugins: a suite per kind of component to subclass, and fixtures, which pytest loads itself.

```python
from zoo_testing import HeadSuite


class TestPool(HeadSuite):
    component = "swatch/pool"
    options = {"embed_dim": 24}
```
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo_testing.component import ComponentSuite as ComponentSuite
    from zoo_testing.data_suites import AugmentationSuite as AugmentationSuite
    from zoo_testing.data_suites import DatasetSuite as DatasetSuite
    from zoo_testing.network_suites import BackboneSuite as BackboneSuite
    from zoo_testing.network_suites import ExportWrapperSuite as ExportWrapperSuite
    from zoo_testing.network_suites import HeadSuite as HeadSuite
    from zoo_testing.network_suites import LossSuite as LossSuite
    from zoo_testing.network_suites import TeacherSuite as TeacherSuite
    from zoo_testing.optimizing_suites import LrSchedulerSuite as LrSchedulerSuite
    from zoo_testing.optimizing_suites import OptimizerSuite as OptimizerSuite

# Imported on use: pytest loads the fixtures beside them in every project, which must not import torch.
_MODULES = {
    "AugmentationSuite": "data_suites",
    "BackboneSuite": "network_suites",
    "ComponentSuite": "component",
    "DatasetSuite": "data_suites",
    "ExportWrapperSuite": "network_suites",
    "HeadSuite": "network_suites",
    "LossSuite": "network_suites",
    "LrSchedulerSuite": "optimizing_suites",
    "OptimizerSuite": "optimizing_suites",
    "TeacherSuite": "network_suites",
}
__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the suites
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
