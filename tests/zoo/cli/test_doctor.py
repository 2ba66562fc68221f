from __future__ import annotations

import json
import re

from click.testing import CliRunner

from zoo.cli import doctor
from zoo.cli.main import cli

SECTIONS = ["system", "versions", "extras", "devices", "plugins", "hub", "folder"]


def test_the_report_covers_code_machine_plugins_and_hub_and_shows_no_secret(zoo, tmp_path):
    environment = {
        "HF_HOME": str(tmp_path / "hf"),
        "HF_ENDPOINT": "http://user:secret@localhost:1",
        "HF_TOKEN": "hf_secret",
    }
    done = zoo("doctor", "--json", check=0, env=environment)
    assert "secret" not in done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == 1
    assert list(document)[1:] == SECTIONS
    assert document["versions"]["plugzoo"]
    assert document["devices"]["torch"]
    assert "CPUExecutionProvider" in document["devices"]["onnxruntime"]
    assert document["plugins"]["timm"].startswith("plugzoo ")
    assert document["hub"]["HF_HOME"] == environment["HF_HOME"]
    assert document["hub"]["HF_ENDPOINT"] == "http://localhost:1"
    assert "found" in document["hub"].values()
    assert document["folder"]["current"] == str(tmp_path)
    assert document["folder"]["writable"] == "yes"


def test_a_failed_plugin_is_told(add_distribution):
    add_distribution("zoo-broken", "2.0", broken="import not_installed_lib")
    text = CliRunner().invoke(cli, ["doctor"]).stdout
    assert re.search(r"^  broken \(zoo-broken 2.0\)  failed: No module named 'not_installed_lib'; ", text, re.MULTILINE)


def test_strict_discovery_does_not_stop_the_report(add_distribution, monkeypatch):
    add_distribution("zoo-broken", "2.0", broken="import not_installed_lib")
    monkeypatch.setenv("ZOO_PLUGINS_STRICT", "1")
    assert doctor.plugins()["error"].startswith("plugin broken (zoo-broken 2.0) skipped")


def test_a_missing_extra_says_the_pip_line(monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name in {"torch", "timm"} else object())
    assert doctor.extras() == {
        "heic": "installed",
        "shards": "installed",
        "train": "missing torch, timm; get it by pip install 'plugzoo[train]'",
    }


def test_a_library_that_cannot_be_imported_is_told(monkeypatch):
    def broken():
        message = "libcudart.so.12: cannot open\nshared object"
        raise OSError(message)

    def missing():
        raise ModuleNotFoundError

    monkeypatch.setattr(doctor, "torch_devices", broken)
    monkeypatch.setattr(doctor, "onnxruntime_providers", missing)
    assert doctor.devices() == {
        "torch": "broken: OSError: libcudart.so.12: cannot open shared object",
        "onnxruntime": "not installed",
    }


def test_markdown_is_for_bug_reports():
    done = CliRunner().invoke(cli, ["doctor", "--markdown"])
    assert [line[4:] for line in done.stdout.splitlines() if line.startswith("### ")] == SECTIONS
    assert "- plugzoo: " in done.stdout
