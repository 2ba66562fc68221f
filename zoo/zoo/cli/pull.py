"""``zoo pull``: download a published model."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from zoo.cli.options import json_option


@click.command("pull")
@click.argument("repo_id", metavar="ORG/NAME")
@click.option("--revision", metavar="REVISION", help="Branch, tag or commit.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="A new folder [default: the Hub's cache]."
)
@json_option
def command(repo_id: str, revision: str | None, output: Path | None, as_json: bool) -> None:
    """Download a published model, check it, and print its folder."""
    from zoo.cli.output import print_json, say
    from zoo.publish.pull import pull

    path = pull(repo_id, revision=revision, output=output)
    if as_json:
        print_json({"repo_id": repo_id, "path": str(path)})
        return
    click.echo(str(path))
    model = shlex.quote(str(path if output else repo_id))
    if revision and not output:
        model += f" --revision {shlex.quote(revision)}"
    say(f"next: zoo predict --model {model} --gallery FOLDER IMAGES")
