from __future__ import annotations

from pathlib import Path

import pytest

from zoo_core.discovery import discover
from zoo_core.errors import RunError, UsageError
from zoo_core.events import notify

HEADER = "from zoo_core.api import UsageError, hookimpl\nZOO_API = 1\nheard = []\n@hookimpl\n"


@pytest.fixture
def listening(add_distribution):
    def install(**bodies):
        for name, body in bodies.items():
            add_distribution(f"zoo-{name}", **{name: HEADER + body})
        registry = discover({"ZOO_ONLY_PLUGINS": ",".join(bodies)})
        assert not registry.failures
        return registry

    return install


def test_each_plugin_hears_only_what_it_asked_for(listening):
    registry = listening(
        a="def zoo_exported(artifact):\n    heard.append(artifact)\n",
        b="def zoo_run_finished(metrics):\n    heard.append(metrics)\n",
    )
    notify(registry, "zoo_exported", artifact=Path("x"))
    notify(registry, "zoo_run_finished", run=Path("r"), metrics={"auc": 1.0})
    assert [plugin.manifest.heard for plugin in registry.plugins] == [[Path("x")], [{"auc": 1.0}]]


@pytest.mark.parametrize("failure", ["raise RuntimeError('boom')", "raise SystemExit(1)"])
def test_a_listener_that_fails_is_warned_about_and_the_others_still_hear(listening, failure):
    registry = listening(
        a=f"def zoo_exported(artifact):\n    {failure}\n",
        b="def zoo_exported(artifact):\n    heard.append(artifact)\n",
    )
    with pytest.warns(UserWarning, match=r"plugin a \(zoo-a 1.0\) failed in zoo_exported: "):
        notify(registry, "zoo_exported", artifact=Path("x"))
    assert registry.plugins[1].manifest.heard == [Path("x")]


def test_a_plugin_can_stop_a_push(listening):
    registry = listening(a="def zoo_before_push(repo_id):\n    raise ValueError('not on a Friday')\n")
    with pytest.raises(RunError, match=r"plugin a \(zoo-a 1.0\) stopped the push: not on a Friday"):
        notify(registry, "zoo_before_push", artifact=Path("x"), repo_id="org/name")


def test_a_plugin_can_stop_a_push_in_its_own_words(listening):
    registry = listening(a="def zoo_before_push(repo_id):\n    raise UsageError('which org?')\n")
    with pytest.raises(UsageError, match="which org"):
        notify(registry, "zoo_before_push", artifact=Path("x"), repo_id="org/name")
