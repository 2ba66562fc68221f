"""``zoo embed``: turn images into embeddings, for programs."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.image_options import (
    images_argument,
    model_option,
    null_option,
    precision_option,
    revision_option,
    speed_options,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zoo.inference.prediction import Embedded, Unreadable
    from zoo_core.errors import ZooError
    from zoo_core.image_files import Skipped


@click.command("embed")
@model_option
@precision_option
@click.option("--npz", metavar="OUT.npz", type=click.Path(path_type=Path), help="Write numpy's arrays to a file.")
@click.option("--jsonl", "form", flag_value="jsonl", help="Print a line of JSON for each image. [default]")
@click.option("--csv", "form", flag_value="csv", help="Print CSV: path, error, then a column for each number.")
@speed_options
@null_option
@revision_option
@images_argument
def command(
    model: str,
    precision: str | None,
    npz: Path | None,
    form: str | None,
    workers: int | None,
    batch_size: int,
    providers: tuple[str, ...],
    threads: int | None,
    revision: str | None,
    images: tuple[str, ...],
    *,
    null: bool,
) -> None:
    """Turn IMAGES into embeddings of unit length, whose scalar product is their similarity.

    IMAGES are files, folders, quoted patterns such as 'scans/**/*.jpg', or - for their names on stdin, one per line.
    Rows are printed as they come. An .npz file holds "paths" and "embeddings" (float32 [N, D]); it is written at the
    end, all or nothing, without the images that cannot be read.
    """
    from zoo.api.loading import load
    from zoo.cli.image_options import find_images, tracked, warn_of
    from zoo.cli.output import report_problems, say
    from zoo.inference.embedding_file import write_embeddings
    from zoo.inference.prediction import embed_files
    from zoo.models.model import Speed

    if npz and form:
        msg = f"give --npz or --{form}, not both"
        raise click.UsageError(msg)
    opened = load(model, precision=precision, providers=providers or None, threads=threads, revision=revision)
    left_out: list[Skipped] = []
    paths = find_images(images, null=null, left_out=left_out)
    lost: list[ZooError] = []

    def unreadable(error: ZooError) -> None:
        lost.append(error)
        report_problems(error.code, error.problems, as_json=False)

    with closing(embed_files(paths, opened, speed=Speed(batch_size, workers))) as found:
        if npz:
            count = write_embeddings(npz, tracked(found, "images", shown=False), opened.embedding_dim, unreadable)
            say(f"{npz}: {count:,} embeddings")
        else:
            lost += _print(tracked(found, "images"), form or "jsonl", opened.embedding_dim)
    warn_of(left_out)
    if lost:
        raise click.exceptions.Exit(1)


def _print(found: Iterable[Embedded | Unreadable], form: str, dim: int) -> list[ZooError]:
    """Print embeddings as they come; return what could not be read."""
    from zoo.cli.output import print_csv_line, print_json_line, say
    from zoo.inference.prediction import Unreadable

    if form == "csv":
        print_csv_line(["path", "error", *(f"e{number}" for number in range(dim))])
    count, lost = 0, []
    for one in found:
        count += 1
        error = str(one.error) if isinstance(one, Unreadable) else ""
        lost += [one.error] if isinstance(one, Unreadable) else []
        # The shortest decimals that read back as the same float32.
        numbers = [] if isinstance(one, Unreadable) else [float(str(number)) for number in one.embedding]
        if form == "csv":
            print_csv_line([str(one.path), error, *numbers])
        else:
            print_json_line({"path": str(one.path), **({"error": error} if error else {"embedding": numbers})})
    if lost:
        say(f"error: {len(lost):,} of {count:,} pictures cannot be read: see the rows with an error")
    return lost
