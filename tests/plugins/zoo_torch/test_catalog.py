from __future__ import annotations

import inspect
import subprocess
import sys
from ast import literal_eval

import torch


def test_every_optimizer_and_scheduler_of_torch_is_listed_without_importing_it():
    code = "import sys; from zoo_torch.catalog import *; print(optimizers(), lr_schedulers(), 'torch' in sys.modules)"
    optimizers, schedulers, imported = subprocess.run(
        [sys.executable, "-c", code.replace("(), ", "(), '|', ")], capture_output=True, text=True, check=True
    ).stdout.split("|")
    classes = {name for name, one in vars(torch.optim).items() if inspect.isclass(one)}
    assert set(literal_eval(optimizers)) == classes - {"Optimizer"}
    assert {"StepLR", "OneCycleLR", "ReduceLROnPlateau"} <= set(literal_eval(schedulers))
    # They take functions or other schedulers, and no recipe holds these.
    assert not {"LRScheduler", "LambdaLR", "SequentialLR"} & set(literal_eval(schedulers))
    assert imported.strip() == "False"
