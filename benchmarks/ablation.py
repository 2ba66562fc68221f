"""What each part of the recipe is worth: short trainings that differ in one thing, as a table.

    python benchmarks/ablation.py --work WORK                            # synthetic documents alone
    python benchmarks/ablation.py --work WORK --pool IMAGES --photos PHOTOS --write docs/ablation.md

``--pool`` is a folder of flat images, ``--photos`` what ``benchmarks/photographs.py`` made of those held out; with them
every model is judged on photographs of real documents it has never seen, and real training data are compared too.
Trainings that are already in WORK are not repeated. With fewer samples than by default the models are no better than
untrained ones, and the table says nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

RECIPE = "lcnet050_cosface_96"
METRICS = ("tpr_at_fpr_1e-4", "tpr_at_fpr_1e-3", "tpr_at_fpr_1e-2", "auc", "rank1")


@dataclass(frozen=True)
class Variant:
    """One row: what differs from the first row, as overrides of the recipe."""

    group: str
    name: str
    overrides: tuple[str, ...] = ()


def option(part: str, **values: object) -> tuple[str, ...]:
    """Overrides of the options of a component of the recipe."""
    return tuple(f"{part}.options.{key}={json.dumps(value)}" for key, value in values.items())


def without(*parts: str) -> tuple[str, ...]:
    """Leave parts of the augmentation out."""
    return option("data.augmentation", **dict.fromkeys(parts, 0))


def head(name: str) -> tuple[str, ...]:
    """Another head of the same length."""
    return (f"model.head.name=embedding/{name}", *option("model.head", embed_dim=128))


def loss(name: str, **values: object) -> tuple[str, ...]:
    """Another loss of the same scale and contrast."""
    return (f"model.loss.name=margin/{name}", *option("model.loss", s=64, contrast=3, **values))


VARIANTS = (
    Variant("recipe", "as it ships"),
    Variant("margin", "ArcFace, 0.5", loss("arcface", m=0.5)),
    Variant("margin", "none (softmax)", loss("softmax")),
    Variant("margin", "CosFace, 0.2", option("model.loss", m=0.2)),
    Variant("margin", "no warm-up", option("model.loss", warmup=0)),
    Variant("contrast", "none", option("model.loss", contrast=0)),
    Variant("contrast", "none, one capture of a sample", (*option("model.loss", contrast=0), "data.captures=1")),
    Variant("contrast", "a third", option("model.loss", contrast=1)),
    Variant("contrast", "scale 20", option("model.loss", contrast_s=20)),
    Variant("averaged weights", "none", ("ema=null",)),
    Variant("head", "flatten, LayerNorm", head("flatten_ln")),
    Variant("head", "mean, LayerNorm", head("gap_ln")),
    Variant("head", "squeeze, LayerNorm", head("squeeze_ln")),
    Variant("head", "squeeze, Layer- and BatchNorm", head("squeeze_lbn")),
    Variant("augmentation", "none", option("data.augmentation", strength=0)),
    Variant("augmentation", "half", option("data.augmentation", strength=0.5)),
    Variant("augmentation", "no colour", without("colour")),
    Variant("augmentation", "no light", without("light")),
    Variant("augmentation", "no blur", without("blur")),
    Variant("augmentation", "no noise, reduction, JPEG", without("noise", "reduction", "jpeg")),
    Variant("classes", "100 templates", option("data.train", templates=100)),
    Variant("classes", "500 templates", option("data.train", templates=500)),
)


def real(pool: Path) -> tuple[Variant, ...]:
    """Return the rows that train on real images."""
    instances = (
        "data.train.name=images/instances",
        *option("data.train", root=str(pool.resolve()), split="train", merge_duplicates=True),
    )
    templates = {"split": "train", "templates": 2000, "samples_per_template": 16}
    also = json.dumps([{"name": "documents/synthetic", "share": 0.5, "options": templates}])
    views = option("data.train", views=True)
    return (
        Variant("data", "real images", instances),
        Variant("data", "real images in 24 views", (*instances, *views)),
        Variant("data", "half real, half synthetic", (*instances, f"data.train_also={also}")),
        Variant("data", "half real in 24 views", (*instances, *views, f"data.train_also={also}")),
    )


def measure(variant: Variant, work: Path, shared: tuple[str, ...]) -> dict[str, float]:
    """Train and evaluate one variant, unless that was done before."""
    run = work / f"{variant.group}-{variant.name}".replace(" ", "_").replace(",", "")
    metrics = run / "evaluation" / "metrics.json"
    if not metrics.is_file():
        print(f"{variant.group}: {variant.name}", file=sys.stderr)
        command = ["zoo", "train", "--cfg", RECIPE, "--output", str(run), *shared, *variant.overrides]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - the list above
    figures: dict[str, float] = json.loads(metrics.read_text(encoding="utf-8"))["metrics"]
    return figures


def table(rows: list[tuple[Variant, dict[str, float]]], shown: str) -> str:
    """Lay the results out as a page, with the command that makes it."""
    lines = [
        "# What each part is worth",
        "",
        f"Short trainings of `{RECIPE}` from random weights, each differing from the first row in one thing, made by",
        "",
        f"    {shown}",
        "",
        "Every row is one training: small differences are chance.",
        "",
        "| part | | TPR@1e-4 | TPR@1e-3 | TPR@1e-2 | AUC | rank-1 |",
        "|---|---|---|---|---|---|---|",
    ]
    for variant, figures in rows:
        values = " | ".join(f"{figures[key]:.3f}" for key in METRICS)
        lines.append(f"| {variant.group} | {variant.name} | {values} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train all variants and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--pool", type=Path, help="folder of flat images, one document each")
    parser.add_argument("--photos", type=Path, help="what benchmarks/photographs.py made of the pool")
    parser.add_argument("--samples", type=int, default=50_000, help="samples that each training shows, twice")
    parser.add_argument("--only", help="a group of rows")
    parser.add_argument("--write", type=Path, help="write the table as a page")
    arguments = parser.parse_args()
    shared: tuple[str, ...] = (
        "model.backbone.options.pretrained=false",
        f"data.samples_per_epoch={arguments.samples}",
        "trainer.max_epochs=1",
    )
    if arguments.photos:
        photos = option("data.valid", root=str(arguments.photos.resolve()))
        shared += ("data.valid.name=images/folder", *photos, "data.valid_captures=0")
    variants = VARIANTS + (real(arguments.pool) if arguments.pool else ())
    chosen = [variant for variant in variants if arguments.only in {None, variant.group}]
    rows = [(variant, measure(variant, arguments.work, shared)) for variant in chosen]
    given = " --pool IMAGES --photos PHOTOS" if arguments.pool else ""
    page = table(rows, f"python benchmarks/ablation.py --work WORK{given} --samples {arguments.samples}")
    if arguments.write:
        arguments.write.write_text(page, encoding="utf-8")
    print(json.dumps({"schema": 1, "rows": [{"group": v.group, "name": v.name, **f} for v, f in rows]}, indent=1))


if __name__ == "__main__":
    main()
