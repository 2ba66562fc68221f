"""The command ``zoo``: a static table of commands, and how their errors are shown."""

from __future__ import annotations

import io
import os
import sys
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from zoo import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Static, so that neither --help nor completion imports a command; the module's `command` is the click command.
COMMANDS = {
    "recipes": ("zoo.cli.recipes", "List the recipes that 'zoo train' finds by name."),
    "new": ("zoo.cli.new", "Begin a plugin or a recipe from files that work."),
    "data": ("zoo.cli.data", "Look at a recipe's data, and check it, before training."),
    "check": ("zoo.cli.check", "Run one real batch through a recipe before training."),
    "train": ("zoo.cli.train", "Train a model from a recipe."),
    "runs": ("zoo.cli.runs", "List, show, compare, name and delete runs."),
    "eval": ("zoo.cli.eval", "Measure a model: verification, identification, pictures."),
    "compare": ("zoo.cli.compare", "Say which of several models is better on the same data."),
    "export": ("zoo.cli.export", "Export a trained model to ONNX and verify the file."),
    "push": ("zoo.cli.push", "Publish an exported model on the Hugging Face Hub."),
    "pull": ("zoo.cli.pull", "Download a published model."),
    "verify": ("zoo.cli.verify", "Make a published model's figures again, and say which hold."),
    "predict": ("zoo.cli.predict", "Name images by comparing them with a gallery."),
    "calibrate": ("zoo.cli.calibrate", "Find a threshold on pictures of your own."),
    "embed": ("zoo.cli.embed", "Turn images into embeddings, for programs."),
    "bench": ("zoo.cli.bench", "Measure how fast an exported model is, and its memory."),
    "list": ("zoo.cli.list", "List the components that plugins provide."),
    "show": ("zoo.cli.show", "Show a component, its options and where it comes from."),
    "plugins": ("zoo.cli.plugins", "List and check the installed plugins."),
    "config": ("zoo.cli.config", "Show and check recipes, or write their JSON Schema."),
    "doctor": ("zoo.cli.doctor", "Report versions, devices and what is missing."),
    "completion": ("zoo.cli.completion", "Print the completion script of a shell."),
}
INTERRUPTED = 130


class CommandTable(click.Group):
    """A group that imports a command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table, which is the order of work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command called ``cmd_name``; a wrong name gets the nearest right one."""
        if cmd_name in COMMANDS:
            module, _ = COMMANDS[cmd_name]
            command: click.Command = import_module(module).command
            return command
        if not ctx.resilient_parsing and not cmd_name.startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(cmd_name, COMMANDS, n=1)
            ctx.fail(f"no such command {cmd_name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Write the table into the help text without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands and the options of ``zoo`` itself."""
        from click.shell_completion import CompletionItem

        items = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        return items + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run the command; show an expected error as one line per problem and exit with its code."""
        # The command's own parser has not run yet, and it may be what fails.
        as_json = "--json" in ctx.args
        name = next(iter(ctx._protected_args), "")  # noqa: SLF001 - click has no public name for it
        try:
            with warnings.catch_warnings():
                warnings.showwarning = show_warning
                return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001 - what is not expected is raised again
            ctx.exit(show_error(error, f"zoo {name}", as_json=as_json, verbose=ctx.params["verbose"]))


def show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning as a line for users, who have no use for its location in the code."""
    from zoo.cli.output import warn

    # Those of libraries are often broken into lines.
    warn(" ".join(str(message).splitlines()))


def _override_hint(command: click.Command, option: str) -> str:
    """Say how ``--epochs`` or ``--trainer.max_epochs`` is written, where the command takes KEY=VALUE."""
    if not any(parameter.name == "overrides" for parameter in command.params):
        return ""
    from zoo.recipes.loading import recipe_keys

    wanted = option.lstrip("-").replace("-", "_")
    keys = [".".join(path) for path in recipe_keys(None)]
    near = [wanted] if "." in wanted else [key for key in keys if key.endswith((f".{wanted}", f"_{wanted}"))]
    return f"; the recipe's values are set without dashes: {near[0] if near else 'trainer.max_epochs'}=VALUE"


def show_error(error: Exception, command: str, *, as_json: bool, verbose: bool) -> int:
    """Print ``error`` on stderr and return the exit code; one that nobody expected is raised again."""
    from zoo.atomic import DISK_FULL
    from zoo.cli.output import report_problems
    from zoo_core.errors import Problem, ZooError
    from zoo_core.extras import naming_missing_extras

    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        hint = _override_hint(error.ctx.command, error.option_name)
        error = click.UsageError(error.format_message().rstrip(".") + hint, ctx=error.ctx) if hint else error
    if isinstance(error, click.ClickException):
        if as_json:
            report_problems("usage", [Problem(error.format_message())], as_json=True)
        else:
            error.show()
        return error.exit_code
    full = isinstance(error, OSError) and error.errno in DISK_FULL
    if isinstance(error, OSError) and (full or error.filename is not None):
        source = f"{error.filename}: " if error.filename is not None else ""  # a pipe has none
        problem = Problem(f"{source}{error.strerror}", hint="make room, or write elsewhere" if full else None)
        report_problems("error", [problem], as_json=as_json)
        return 1
    try:
        with naming_missing_extras(command):
            raise error
    except ZooError as expected:
        if verbose:
            import traceback

            traceback.print_exception(error)
        report_problems(expected.code, expected.problems, as_json=as_json)
        return expected.exit_code


@click.command(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, "-V", "--version", prog_name="zoo", message="%(prog)s %(version)s")
def cli(verbose: bool) -> None:
    """Train, export, publish and use image-embedding models made of plugins."""


def main() -> None:
    """Run the command line of this process."""
    # Before torch starts its threads: where they wait by spinning they take the cores from the loader's processes
    # (measured on two cores with one of them busy: 28 images/s instead of 122).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        # A terminal may lack a character, such as one that speaks Latin-1: an escape is better than no output.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    cli(prog_name="zoo", obj=_document_stream() if "--json" in sys.argv else None)


def _document_stream() -> BinaryIO:
    """Return stdout for the one JSON document, and send all else that is written there to stderr.

    Plugins print, and so do libraries below Python.
    """
    sys.stdout.flush()
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return stream
