from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import zoo

FUNCTIONS = ("bench", "calibrate", "compare", "evaluate", "export", "pull", "push", "train", "verify")
USER = """\
import zoo

run = zoo.train("lcnet050_cosface_96", overrides={"seed": 1, "ema": None}, max_time="15m")
reveal_type(run)
reveal_type(run.metrics)
reveal_type(zoo.evaluate(run)["rank1"])
artifact = zoo.export(run, simplify=True)
reveal_type(artifact.onnx)
reveal_type(zoo.push(artifact, "ORG/NAME", dry_run=True).plan.card)
reveal_type(zoo.pull("ORG/NAME"))
zoo.train(3)
zoo.train("a", max_tme="15m")
zoo.nonsense
"""
REVEALED = [
    "zoo.api.results.Run",
    "dict[str, float]",
    "float",
    "pathlib.Path",
    "str",
    "zoo.api.results.Artifact",
]
FOLLOWED = """\
[mypy]
follow_imports = silent
[mypy-torch.*,lightning.*,numpy.*,onnx.*,timm.*,matplotlib.*,pydantic.*,huggingface_hub.*,PIL.*,rich.*,click.*,yaml.*]
follow_imports = skip
ignore_missing_imports = True
"""


def new_modules(code):
    """What code imports that bare Python does not: names of modules."""
    script = f"import sys; before = set(sys.modules); {code}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_zoo_imports_nothing_else():
    assert set(new_modules("import zoo; dir(zoo); zoo.__version__")) <= {"zoo", "__future__"}


def test_a_function_is_found_without_what_it_needs():
    code = f"import zoo; [getattr(zoo, name) for name in {FUNCTIONS}]"
    loaded = {name.partition(".")[0] for name in new_modules(code)}
    assert (
        loaded & {"torch", "lightning", "numpy", "onnx", "onnxruntime", "pydantic", "huggingface_hub", "PIL"} == set()
    )


def test_every_name_is_there_listed_and_told():
    assert sorted(zoo.__all__) == list(zoo.__all__)
    assert set(zoo.__all__) <= set(dir(zoo))
    assert set(zoo.__all__) == set(zoo._HOMES)
    for name in zoo.__all__:
        assert inspect.getdoc(getattr(zoo, name))
    with pytest.raises(AttributeError, match="module 'zoo' has no attribute 'nonsense'"):
        zoo.nonsense  # noqa: B018 - the access is the test


def test_no_room_takes_the_place_of_a_function():
    """A subpackage of a function's name would replace it once imported."""
    code = "import zoo, zoo.cli.train, zoo.cli.export, zoo.onnx_export.cost, zoo.publish.pull, zoo.publish.push"
    script = f"{code}; print(*(type(getattr(zoo, name)).__name__ for name in {FUNCTIONS}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["function"] * len(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_option_has_a_keyword_and_is_told(name):
    function = getattr(zoo, name)
    parameters = inspect.signature(function).parameters.values()
    positional = [one.name for one in parameters if one.kind is not inspect.Parameter.KEYWORD_ONLY]
    expected = {
        "push": ["artifact", "repo_id"],
        "bench": ["model"],
        "verify": ["model"],
        "calibrate": ["model", "data"],
        "pull": ["repo_id"],
        "train": ["recipe"],
        "evaluate": ["model"],
        "compare": ["models"],
    }.get(name, ["run"])
    assert positional == expected
    for one in parameters:
        assert f"\n    {one.name}: " in inspect.getdoc(function)
    assert "\nRaises:\n" in inspect.getdoc(function)


def test_type_checkers_see_the_real_signatures(tmp_path):
    (tmp_path / "user.py").write_text(USER, encoding="utf-8")
    (tmp_path / "mypy.ini").write_text(FOLLOWED, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", "cache", "user.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert [line.split('"')[1] for line in lines if "Revealed type" in line] == REVEALED
    errors = [line.partition(" error: ")[::2] for line in lines if " error: " in line]
    assert [place for place, _ in errors] == ["user.py:11:", "user.py:12:", "user.py:13:"], done.stdout
    assert '"train" has incompatible type "int"' in errors[0][1]
    assert 'Unexpected keyword argument "max_tme"' in errors[1][1]
    assert 'has no attribute "nonsense"' in errors[2][1]
