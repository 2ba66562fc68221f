from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from zoo import __version__
from zoo.cli.main import COMMANDS, cli
from zoo_core.errors import ComponentError, Location, Problem, RecipeError, RemoteError, RunError, UsageError

HEAVY = {"torch", "timm", "lightning", "onnx", "onnxruntime", "huggingface_hub", "pydantic", "numpy", "rich", "PIL"}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["list"], ["list", "heads", "--json"], ["plugins"], ["completion", "bash"]],
    ids=" ".join,
)
def test_light_commands_import_nothing_heavy(arguments):
    # By sys.modules: -X importtime does not show what import_module brings in.
    script = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr))\n"
        "from zoo.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout
    modules = {name.partition(".")[0] for name in done.stderr.split()}
    assert "click" in modules
    assert modules & HEAVY == set()


def test_completion_imports_nothing_heavy_nor_any_command():
    script = (
        "import atexit, os, sys\n"
        "os.environ |= {'_ZOO_COMPLETE': 'bash_complete', 'COMP_WORDS': 'zoo ', 'COMP_CWORD': '1'}\n"
        "atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr))\n"
        "from zoo.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert [line.removeprefix("plain,") for line in done.stdout.split()] == list(COMMANDS)
    modules = set(done.stderr.split())
    assert {name.partition(".")[0] for name in modules} & HEAVY == set()
    assert {name for name in modules if name.startswith("zoo.cli.")} == {"zoo.cli.main"}


def test_help_names_every_command_once(zoo):
    lines = zoo("--help", check=0).stdout.splitlines()
    rows = lines[lines.index("Commands:") + 1 :]
    assert [row.split()[0] for row in rows] == list(COMMANDS)
    assert zoo("-h", check=0).stdout.splitlines() == lines


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_opens_nothing(zoo, name):
    done = zoo(name, "--help", check=0)
    assert done.stdout.startswith(f"Usage: zoo {name}")
    assert done.stderr == ""


def test_the_version_is_told(zoo):
    assert zoo("--version", check=0).stdout == f"zoo {__version__}\n"


def test_the_module_runs_too():
    done = subprocess.run([sys.executable, "-m", "zoo", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"zoo {__version__}\n"


def test_a_wrong_command_gets_the_right_one(zoo):
    done = zoo("trian", check=2)
    assert "no such command 'trian'; did you mean 'train'?" in done.stderr
    assert done.stdout == ""


def test_a_usage_error_can_be_json(zoo):
    done = zoo("list", "--json", "--nonsense", check=2)
    error = json.loads(done.stderr)["error"]
    assert error["code"] == "usage"
    assert "--nonsense" in error["message"]


@pytest.fixture
def failing(monkeypatch):
    """Run `zoo fail ...`, whose body raises what it is given."""

    def run(error, *arguments, verbose=False):
        @click.command("fail")
        @click.option("--json", is_flag=True)
        def command(**_):
            raise error

        monkeypatch.setitem(COMMANDS, "fail", ("failing_command", "Fail."))
        monkeypatch.setitem(sys.modules, "failing_command", SimpleNamespace(command=command))
        return CliRunner().invoke(cli, [*(["-v"] if verbose else []), "fail", *arguments])

    return run


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (RunError("it broke"), 1, "error: it broke"),
        (UsageError("which?", hint="say which"), 2, "error: which?; say which"),
        (
            RecipeError([Problem("bad", Location("r.yaml", 2, 3, "a.b")), Problem("worse", hint="try")]),
            3,
            "error: r.yaml:2:3: a.b: bad\nerror: worse; try",
        ),
        (ComponentError("gone"), 4, "error: gone"),
        (RemoteError("offline"), 5, "error: offline"),
        (PermissionError(13, "Permission denied", "runs"), 1, "error: runs: Permission denied"),
        (OSError(28, "No space left on device"), 1, "error: No space left on device; make room, or write elsewhere"),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            4,
            "error: zoo fail needs torch, which is not installed; get it by pip install 'plugzoo[train]'",
        ),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_an_expected_error_is_a_line_a_problem_with_its_own_exit_code(failing, error, code, line):
    done = failing(error)
    assert (done.exit_code, done.stderr, done.stdout) == (code, line + "\n", "")


def test_errors_are_json_where_the_product_is(failing):
    place = Location("r.yaml", 2, 3, "a.b")
    done = failing(RecipeError([Problem("bad", place, "try"), Problem("worse")]), "--json")
    assert json.loads(done.stderr) == {
        "schema": 1,
        "error": {
            "code": "recipe",
            "message": "r.yaml:2:3: a.b: bad; try\nworse",
            "locations": [
                {"file": "r.yaml", "line": 2, "column": 3, "key": "a.b", "message": "bad", "hint": "try"},
            ],
        },
    }


def test_verbose_shows_the_traceback_too(failing):
    done = failing(RunError("it broke"), verbose=True)
    assert done.exit_code == 1
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("error: it broke\n")
    assert "Traceback" not in failing(RunError("it broke")).stderr


@pytest.mark.parametrize("bug", [ZeroDivisionError("a bug"), OSError("a bug"), TimeoutError(110, "timed out")])
def test_an_unexpected_error_keeps_its_traceback(failing, bug):
    assert failing(bug).exception is bug


# By Python's own rules: here a warning is an error.
@pytest.mark.filterwarnings("default")
def test_a_warning_is_a_line_for_users(monkeypatch):
    import warnings

    @click.command("warn")
    def command():
        warnings.warn("look out", stacklevel=1)

    monkeypatch.setitem(COMMANDS, "warn", ("warning_command", "Warn."))
    monkeypatch.setitem(sys.modules, "warning_command", SimpleNamespace(command=command))
    assert CliRunner().invoke(cli, ["warn"]).stderr == "warning: look out\n"


def test_a_reader_that_goes_away_is_no_traceback():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as broken:
        done = subprocess.run([sys.executable, "-m", "zoo", "list"], stdout=broken, stderr=subprocess.PIPE, check=False)
    assert done.stderr == b""
    assert done.returncode == 1
