"""``zoo push``: publish an exported model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zoo.cli.options import json_option, open_run, overrides_argument, run_option

if TYPE_CHECKING:
    from zoo.publish.push import Plan, Pushed


@click.command("push", epilog="KEY=VALUE changes the recipe's card and hub sections: card.license=apache-2.0")
@run_option
@click.option("--repo", metavar="ORG/NAME", help="Where to [default: the recipe's hub.repo_id, or your own RECIPE].")
@click.option("--private/--public", default=None, help="Visibility of a new repository [default: private].")
@click.option("--revision", default="main", show_default=True, metavar="BRANCH", help="Branch; a new one is made.")
@click.option("--create-pr", is_flag=True, help="Open a pull request instead of changing the branch.")
@click.option("--no-eval", is_flag=True, help="Publish without an evaluation.")
@click.option("-n", "--dry-run", is_flag=True, help="Show files and card, send nothing.")
@json_option
@overrides_argument
def command(
    run_name: str | None,
    repo: str | None,
    private: bool | None,
    revision: str,
    create_pr: bool,
    no_eval: bool,
    dry_run: bool,
    as_json: bool,
    overrides: tuple[str, ...],
) -> None:
    """Publish an exported run on the Hugging Face Hub, with a model card, as one commit."""
    from zoo.cli.output import open_registry, print_json, say
    from zoo.publish.publication import publish
    from zoo.publish.push import Target

    target = Target(repo, private, revision, create_pr)
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
        say(f"{len(done.plan.files)} files in commit {done.commit}; next: zoo pull {done.plan.repo_id}")
    click.echo(done.pull_request or done.url)


def described(plan: Plan) -> dict[str, Any]:
    """Return the plan as plain values."""
    return {
        "repo_id": plan.repo_id,
        "private": plan.private,
        "revision": plan.revision,
        "new": not plan.exists,
        "files": [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in plan.files],
        "removed": list(plan.removed),
    }


def show(planned: Pushed, *, as_json: bool) -> None:
    """Print what a push would do."""
    from zoo.cli.output import print_columns, print_json, say

    plan = planned.plan
    if as_json:
        print_json({**described(plan), "card": plan.card})
        return
    kind = f"{'private' if plan.private else 'public'}, {'exists' if plan.exists else 'new'}"
    click.echo(f"{planned.url} ({kind}), branch {plan.revision}\n")
    print_columns([[file.name, f"{file.size:,}", file.sha256] for file in plan.files])
    print_columns([[name, "removed"] for name in plan.removed])
    click.echo(f"\n{plan.card}")
    say("dry run: nothing was sent")
