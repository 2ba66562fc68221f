from __future__ import annotations

import pytest

from zoo.publish.card import snippets

_PRINTED: dict[tuple[object, ...], list[str]] = {}


@pytest.fixture(autouse=True)
def _run_each_example_once(monkeypatch):
    """Run the examples of cards that are alike once: each takes a process of its own, in each of many tests."""

    def run(codes, files, repo_id, revision):
        files = tuple(files)
        key = (*codes, repo_id, revision, *((file.name, file.sha256) for file in files))
        if key not in _PRINTED:
            _PRINTED[key] = snippets.run_snippets(codes, files, repo_id, revision)
        return list(_PRINTED[key])

    monkeypatch.setattr("zoo.publish.card.usage.run_snippets", run)
