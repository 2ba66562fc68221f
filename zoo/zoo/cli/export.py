"""``zoo export``: run folder to artifact folder."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.options import (
    json_option,
    load_of_run,
    open_run_where_started,
    overrides_argument,
    run_option,
    versions_option,
)

if TYPE_CHECKING:
    from zoo.onnx_export.run import VerifiedExport


def precisions(_context: click.Context, _parameter: click.Parameter, value: str | None) -> list[str] | None:
    """Read ``fp32,fp16``."""
    from zoo.artifacts.layout import PRECISIONS

    names = None if value is None else [name.strip() for name in value.split(",")]
    wrong = [name for name in names or [] if name not in PRECISIONS]
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r} is none of {', '.join(PRECISIONS)}")
    return names


@click.command(
    epilog="KEY=VALUE changes the recipe: onnx.options.opset_version=17. A check that fails leaves an older artifact.",
)
@run_option
@click.option(
    "--precision", metavar="LIST", callback=precisions,
    help="Precisions to write: fp32 (always), fp16, int8. [default: onnx.precision.files of the recipe]",
)  # fmt: skip
@click.option("--simplify/--no-simplify", help="Simplify the graph by onnxsim, and compare it with torch again.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write the graph alone, to FILE, and leave the artifact folder as it is.",
)  # fmt: skip
@click.option("-n", "--dry-run", is_flag=True, help="Export and verify, but write nothing.")
@versions_option
@json_option
@overrides_argument
def command(
    run_name: str | None,
    precision: list[str] | None,
    simplify: bool,
    output: Path | None,
    dry_run: bool,
    strict: bool,
    as_json: bool,
    overrides: tuple[str, ...],
) -> None:
    """Export a trained model to ONNX, and prove that the file computes what the model does.

    From image files, and in batches of several sizes, the file has to give the embeddings of the model that
    'zoo eval' evaluates. Only a file that does is written, into the run's artifact folder with all else that
    'zoo push' publishes. When a check fails, an older artifact stays as it is.

    Smaller files, of other precisions, are compared with it on the validation data, and written beside it where they
    lose no more than the recipe's budget, onnx.precision, allows.
    """
    from zoo.artifacts.layout import PRECISIONS
    from zoo.cli.output import open_registry, print_json, say, warn
    from zoo.cli.precision_table import print_precisions

    if output and precision and len(precision) > 1:
        raise click.UsageError(f"--output is one file, so --precision is one of {', '.join(PRECISIONS)}")
    here = Path.cwd()
    run = open_run_where_started(run_name)
    if output and Path.cwd() != here:
        output = here / output
    registry = open_registry()
    # What was trained has been checked; its data need not be there any more.
    loaded = load_of_run(run, overrides, registry=registry if overrides else None, installed=registry, strict=strict)

    from zoo.onnx_export.artifact import Exported, export_artifact, write_graph
    from zoo.onnx_export.precision import make_precisions
    from zoo.onnx_export.run import export_run

    if not as_json:
        say(f"exporting {run.best}")
    if output or dry_run:
        verified = export_run(run, loaded, registry, simplify=simplify)
        alone = (precision or [PRECISIONS[0]])[0]
        smaller = make_precisions(verified, registry, [alone] if output else precision)
        graph = smaller.graph(alone, verified) if output else verified.graph
        files = write_graph(graph, output) if output and not dry_run else []
        done = Exported(verified, smaller, tuple(files), (*verified.warnings, *smaller.warnings))
    else:
        done = export_artifact(run, loaded, registry, simplify=simplify, precisions=precision)
    for warning in done.warnings:
        warn(warning)
    if as_json:
        written = [str(path) for path in done.written]
        print_json({"run": str(run.path), "written": written, "export": done.report})
    else:
        click.echo(_summary(done.verified, output or run.artifact.onnx, written=not dry_run))
        print_precisions(done.report["precisions"])
    if done.written and not output and not as_json:
        model = shlex.quote(str(run.artifact.path))
        say(f"next: zoo predict --model {model} --gallery FOLDER IMAGES, or: zoo push --run {run.typed}")
    if precision and done.precisions.left_out:
        # Asked for by name, and not there.
        raise click.exceptions.Exit(1)


def _summary(verified: VerifiedExport, target: Path, *, written: bool) -> str:
    report = verified.report
    nodes: dict[str, Any] = report["nodes"]
    differences = ", ".join(f"{batch['max_abs_diff']:.1e} at {batch['size']}" for batch in report["batches"])
    files = report["files"]
    from_files = f"{files['max_abs_diff']:.1e} in {files['size']} files"
    simplified = f", {nodes['simplified']} simplified" if report["simplified"] else ""
    rows = {
        "graph": f"{target}{'' if written else ' (not written: --dry-run)'}",
        "size": f"{report['bytes'] / 1e6:.2f} MB, opset {report['opset']}",
        "nodes": f"{nodes['exported']}{simplified}",
        "verified": f"largest difference from the evaluated model {from_files}, {differences} images "
        f"(allowed {report['tolerance']:.0e})",
        "cost": f"{report['params'] / 1e6:.2f} M parameters, {report['flops'] / 1e6:.1f} MFLOPs an image",
        "input": f"{verified.pixels.name} {report['preprocess']['dtype']} {report['preprocess']['layout']}",
        "output": f"{report['embedding_dim']} numbers{', length 1' if report['normalized'] else ''}",
    }
    width = max(map(len, rows))
    return "\n".join(f"{name.ljust(width)}  {text}" for name, text in rows.items())
