from __future__ import annotations

import pytest

from zoo_core.errors import ComponentError
from zoo_core.extras import naming_missing_extras


@pytest.mark.parametrize("module", ["torch", "torch.nn", "onnx"])
def test_a_missing_module_of_an_extra_is_named_with_the_pip_line(module):
    message = "no"
    with pytest.raises(ComponentError) as caught, naming_missing_extras("zoo train"):
        raise ModuleNotFoundError(message, name=module)
    name = module.partition(".")[0]
    assert str(caught.value) == (
        f"zoo train needs {name}, which is not installed; get it by pip install 'plugzoo[train]'"
    )
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("module", ["zoo.cli.nothing", None])
def test_any_other_missing_module_is_left_alone(module):
    message = "no"
    with pytest.raises(ModuleNotFoundError), naming_missing_extras("zoo train"):
        raise ModuleNotFoundError(message, name=module)
