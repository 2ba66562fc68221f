"""``zoo doctor``: what a bug report needs, and what is missing."""

from __future__ import annotations

import os
import platform
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import click

from zoo.cli.options import json_option
from zoo_core.extras import EXTRAS, pip_line

Facts = dict[str, str]
# What the plain install needs beside what `zoo_core.provenance` records of a model.
ALSO = ("huggingface-hub", "safetensors", "click", "pluggy", "pyyaml", "rich")


@click.command("doctor")
@click.option("--markdown", is_flag=True, help="Print Markdown, for a bug report.")
@json_option
def command(*, markdown: bool, as_json: bool) -> None:
    """Report versions, devices, plugins, and what is missing. Nothing secret is shown."""
    from zoo.cli.output import print_columns, print_json

    sections = examine()
    if as_json:
        print_json(sections)
        return
    for title, facts in sections.items():
        if markdown:
            lines = [f"- {name}: {value}" for name, value in facts.items()]
            click.echo("\n".join([f"### {title}", "", *lines, ""]))
        else:
            click.echo(title)
            print_columns([["", name, value] for name, value in facts.items()])


def examine() -> dict[str, Facts]:
    """Return all findings by section."""
    from zoo_core.provenance import DISTRIBUTIONS, cpu_model, installed_versions

    system = {
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "processor": f"{cpu_model()}, {os.cpu_count()} cores",
    }
    return {
        "system": system,
        "versions": installed_versions((*DISTRIBUTIONS, *ALSO)),
        "extras": extras(),
        "devices": devices(),
        "plugins": plugins(),
        "hub": hub(),
        "folder": folder(),
    }


def extras() -> Facts:
    """Return which extras are complete, and how to get those that are not."""
    findings = {}
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if find_spec(module) is None]
        findings[extra] = f"missing {', '.join(missing)}; get it by {pip_line(extra)}" if missing else "installed"
    return findings


def devices() -> Facts:
    """Return what torch and onnxruntime can compute on."""
    findings = {}
    for library, ask in {"torch": torch_devices, "onnxruntime": onnxruntime_providers}.items():
        try:
            findings[library] = ", ".join(ask())
        except ModuleNotFoundError:
            findings[library] = "not installed"
        # A wrong driver or a broken library raises anything, and telling that is what this command is for.
        except Exception as error:  # noqa: BLE001 - see above
            findings[library] = f"broken: {type(error).__name__}: {' '.join(str(error).split())}"
    return findings


def torch_devices() -> list[str]:
    """Return the names of torch's devices."""
    import torch

    if torch.cuda.is_available():
        return [f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(torch.cuda.device_count())]
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return [str(accelerator)] if accelerator else ["cpu"]


def onnxruntime_providers() -> list[str]:
    """Return onnxruntime's execution providers."""
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def plugins() -> Facts:
    """Return each plugin with its distribution, or why it failed."""
    from zoo_core.discovery import discover
    from zoo_core.errors import ZooError

    try:
        registry = discover()
    except ZooError as error:
        return {"error": str(error)}
    findings = {plugin.id: str(plugin.provenance) for plugin in registry.plugins}
    for failure in registry.failures:
        findings[f"{failure.id} ({failure.provenance})"] = f"failed: {failure.reason}"
    return findings | {name: f"left out by {variable}" for name, variable in registry.disabled.items()}


def hub() -> Facts:
    """Return where the Hub is and where its files go; of the token, only whether there is one."""
    try:
        from huggingface_hub import constants, get_token
    except ModuleNotFoundError:
        return {"huggingface-hub": "not installed"}
    endpoint = urlsplit(constants.ENDPOINT)
    # An address may carry a password.
    address = endpoint._replace(netloc=endpoint.netloc.rpartition("@")[2]).geturl()
    return {
        "HF_ENDPOINT": address,
        "HF_HOME": constants.HF_HOME,
        "cache": constants.HF_HUB_CACHE,
        "offline": "yes" if constants.HF_HUB_OFFLINE else "no",
        "token": "found" if get_token() else "none; get one by hf auth login",
    }


def folder() -> Facts:
    """Return whether runs can be written here."""
    import shutil

    here = Path.cwd()
    writable = os.access(here, os.W_OK)
    free = shutil.disk_usage(here).free
    return {
        "current": str(here),
        "writable": "yes" if writable else "no: runs are written to ./runs",
        "free": f"{free / 1e9:.1f} GB",
    }
