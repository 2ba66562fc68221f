"""The options and arguments of commands that read images: which images, and how fast."""

from __future__ import annotations

import os
import select
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from zoo_core.image_files import Skipped

Item = TypeVar("Item")
Command = TypeVar("Command", bound="Callable[..., Any]")
_BLOCK = 2**16

images_argument = click.argument("images", nargs=-1, required=True)
null_option = click.option("-0", "--null", is_flag=True, help="Names on stdin end with a NUL, as of find -print0.")
model_option = click.option(
    "--model", required=True, metavar="DIR|ORG/NAME|FILE.onnx", help="A folder, a model on the Hub, or a file."
)
precision_option = click.option(
    "--precision", help="Which of the model's files: fp32, fp16 or int8, if it has them. [default: fp32]"
)
revision_option = click.option("--revision", help="Branch, tag or commit of a model on the Hub.")


def speed_options(command: Command) -> Command:
    """Add the options that change how fast images are embedded, and not what comes of them."""
    for option in (
        click.option("--threads", type=click.IntRange(1), help="CPU threads per image of the model. [default: 1]"),
        click.option("--provider", "providers", multiple=True, help="Hardware: cpu, cuda, ...; several by preference."),
        click.option(
            "--batch-size",
            type=click.IntRange(1),
            default=32,
            show_default=True,
            help="Images per batch; the CPU takes them one by one.",
        ),
        click.option("--workers", type=click.IntRange(1), help="Threads that read images. [default: one per core]"),
    ):
        command = option(command)
    return command


def find_images(images: tuple[str, ...], *, null: bool, left_out: list[Skipped]) -> Iterator[Path | None]:
    """Find the images that the arguments name, as they are found; ``-`` stands for the names on stdin."""
    from zoo.inference.queries import find_queries

    return find_queries(images, _names_on_stdin(b"\0" if null else b"\n"), left_out.append)


def warn_of(left_out: list[Skipped]) -> None:
    """Warn of files below the folders that were not read."""
    from zoo.cli.output import warn
    from zoo_core.image_files import tally

    if left_out:
        warn(f"left out below the folders: {tally(left_out)}")


def tracked(items: Iterable[Item], name: str, total: int | None = None, *, shown: bool = True) -> Iterable[Item]:
    """Show on stderr, when it is a terminal, how far ``items`` are.

    Args:
        items: what is worked on.
        name: what they are.
        total: how many there are, if that is known.
        shown: whether each is also a row on stdout, which on a terminal says enough.
    """
    if not sys.stderr.isatty() or (shown and sys.stdout.isatty()):
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, name, total=total, console=Console(stderr=True), transient=True)


def _names_on_stdin(end: bytes) -> Iterator[str | None]:
    """Yield the names on stdin, each as soon as it is there; None before a wait for more."""
    stdin, rest = sys.stdin.fileno(), b""
    while True:
        # Windows can look ahead on sockets alone.
        if sys.platform != "win32" and not select.select([stdin], [], [], 0)[0]:
            yield None
        block = os.read(stdin, _BLOCK)
        *names, rest = (rest + block).split(end)
        yield from (os.fsdecode(name) for name in names if name)
        if not block:
            break
    if rest:
        yield os.fsdecode(rest)
