"""``zoo push``: publish an exported model."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.options import json_option, open_run, overrides_argument, run_option

if TYPE_CHECKING:
    from zoo.publish.plan import Plan
    from zoo.publish.push import Pushed


@click.command("push", epilog="KEY=VALUE changes the recipe's card and hub sections: card.license=apache-2.0")
@run_option
@click.option("--repo", metavar="ORG/NAME", help="Where to [default: the recipe's hub.repo_id, or your own RECIPE].")
@click.option("--private/--public", default=None, help="Visibility of a new repository [default: private].")
@click.option("--revision", default="main", show_default=True, metavar="BRANCH", help="Branch; a new one is made.")
@click.option("--create-pr", is_flag=True, help="Open a pull request instead of changing the branch.")
@click.option("--tag", metavar="NAME", help="Tag the commit; a tag that exists is refused.")
@click.option("--prune", is_flag=True, help="Remove what others have added to the repository, too.")
@click.option("--no-eval", is_flag=True, help="Publish without an evaluation.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what changes, files and card, and send nothing.")
@json_option
@overrides_argument
def command(
    run_name: str | None,
    repo: str | None,
    private: bool | None,
    revision: str,
    create_pr: bool,
    tag: str | None,
    prune: bool,
    no_eval: bool,
    dry_run: bool,
    as_json: bool,
    overrides: tuple[str, ...],
) -> None:
    """Publish an exported run on the Hugging Face Hub, with a model card, as one commit."""
    from zoo.cli.output import open_registry, print_json, say
    from zoo.publish.plan import Target
    from zoo.publish.publication import publish

    target = Target(repo, private, revision, create_pr, tag, prune)
    done = publish(open_run(run_name), overrides, open_registry(), target, evaluated=not no_eval, dry_run=dry_run)
    if dry_run:
        show(done, as_json=as_json)
        return
    document = {**described(done.plan), "url": done.url, "commit": done.commit, "pull_request": done.pull_request}
    if as_json:
        print_json(document)
        return
    if done.commit is None:
        say("nothing has changed: no commit was made")
    else:
        revision = f" --revision {shlex.quote(done.revision)}" if done.revision else ""
        say(f"{summary(done.plan)} in commit {done.commit}; next: zoo pull {done.plan.repo_id}{revision}")
    click.echo(done.pull_request or done.url)


def summary(plan: Plan) -> str:
    """Return how many files change, and in which way: ``3 files (1 new, 1 changed, 1 gone)``."""
    counts = Counter(plan.status[file.name] for file in plan.sent) + Counter(gone=len(plan.removed))
    kinds = ", ".join(f"{counts[kind]} {kind}" for kind in ("new", "changed", "gone") if counts[kind])
    total = counts.total()
    return f"{total} file{'' if total == 1 else 's'}" + (f" ({kinds})" if kinds else "")


def described(plan: Plan) -> dict[str, Any]:
    """Return the plan as plain values."""
    return {
        "repo_id": plan.repo_id,
        "private": plan.private,
        "revision": plan.revision,
        "new": not plan.exists,
        "tag": plan.tag,
        "files": [
            {"name": file.name, "status": plan.status[file.name], "size": file.size, "sha256": file.sha256}
            for file in plan.files
        ],
        "removed": list(plan.removed),
        "card_diff": plan.card_diff,
    }


def show(planned: Pushed, *, as_json: bool) -> None:
    """Print what a push would do."""
    from zoo.cli.output import print_columns, print_json, say

    plan = planned.plan
    if as_json:
        print_json({**described(plan), "card": plan.card})
        return
    kind = f"{'private' if plan.private else 'public'}, {'exists' if plan.exists else 'new'}"
    where = "a pull request" if plan.create_pr else f"branch {plan.revision}"
    click.echo(f"{planned.url} ({kind}), {where}{f', tag {plan.tag}' if plan.tag else ''}\n")
    rows = [[plan.status[file.name], file.name, f"{file.size:,}", file.sha256] for file in plan.files]
    print_columns(rows + [["gone", name, "", ""] for name in plan.removed])
    click.echo(f"\n{plan.card if plan.remote_card is None else plan.card_diff or 'README.md stays as it is'}")
    say(f"dry run: nothing was sent; a push sends {summary(plan)}")
