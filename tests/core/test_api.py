from __future__ import annotations

import inspect
import pydoc
import subprocess
import sys
from typing import Protocol

import zoo_core.api
import zoo_core.capabilities
import zoo_core.contracts

PROTOCOLS = [
    name
    for module in (zoo_core.contracts, zoo_core.capabilities)
    for name, value in vars(module).items()
    if inspect.isclass(value) and issubclass(value, Protocol) and value.__module__ == module.__name__
]


def test_help_shows_every_protocol_with_its_members_and_types():
    page = pydoc.plain(pydoc.render_doc(zoo_core.api))
    assert len(PROTOCOLS) > 20
    for name in PROTOCOLS:
        assert f"class {name}(" in page
    # A method, an attribute and a property, each with its type.
    assert "stream_slices(self, first: 'int', last: 'int', slices: 'int'" in page
    assert "'blocks': 'tuple[int, int] | None'" in page
    assert "the memory they take, in a few words: a ``str``" in page


def test_every_name_of_the_contract_is_there_and_no_other():
    assert {*PROTOCOLS, "FeatureLevel", "Preprocessing", "Sample"} <= set(zoo_core.api.__all__)
    assert all(getattr(zoo_core.api, name) is not None for name in zoo_core.api.__all__)
    assert not hasattr(zoo_core.api, "TYPE_CHECKING_ONLY")


def test_a_manifest_that_imports_it_stays_light():
    code = "import sys, zoo_core.api; print(sorted({'numpy', 'torch', 'pydantic', 'PIL'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
