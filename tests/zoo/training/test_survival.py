"""Whatever ends a training, the resumed one ends with the weights of one that nothing ended."""

from __future__ import annotations

import json
import multiprocessing
import socket
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
import dying

# Frequent checkpoints between validations, too.
OPTIONS = ("trainer.max_epochs=3", "checkpoint.every_steps=2", "trainer.log_every_n_steps=1")
PRELOADED = [
    "lightning.pytorch",
    "timm",
    "zoo.training.run",
    "zoo.training.plan",
    "zoo.evaluation.run",
    "zoo.cli.train",
]


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


@pytest.fixture(scope="module")
def home(tmp_path_factory, tiny_recipe_text):
    folder = tmp_path_factory.mktemp("survival")
    (folder / "tiny.yaml").write_text(tiny_recipe_text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def launch(processes, home):
    """Run `zoo train` on as many ranks, and return their exit codes."""

    def run(*arguments, ranks=1, **options):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        started = [
            processes.Process(
                target=dying.train,
                args=(("train", *arguments),),
                kwargs={"log": home / "log.txt", "rank": rank, "world_size": ranks, "port": port, **options},
            )
            for rank in range(ranks)
        ]
        for process in started:
            process.start()
        for process in started:
            process.join(timeout=240)
            process.kill()
        return [process.exitcode for process in started]

    return run


def devices(ranks):
    return (f"trainer.devices={ranks}", *(("trainer.strategy=ddp",) if ranks > 1 else ()))


@pytest.fixture(scope="module")
def whole(launch, home):
    """Train on as many ranks without an end before the end, and return the folder."""
    found = {}

    def of(ranks):
        if ranks not in found:
            found[ranks] = home / f"whole-{ranks}"
            codes = launch(
                "--cfg", home / "tiny.yaml", "--output", found[ranks], *OPTIONS, *devices(ranks), ranks=ranks
            )
            assert codes == [0] * ranks, (home / "log.txt").read_text()
        return found[ranks]

    return of


def weights(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def check(event, place, ranks, *, launch, whole, home):
    reference = whole(ranks)
    folder = home / f"{event} {place} {ranks}".replace(" ", "-")
    (home / "log.txt").unlink(missing_ok=True)
    options = {"ranks": ranks, "event": event, "place": place}
    codes = launch("--cfg", home / "tiny.yaml", "--output", folder, *OPTIONS, *devices(ranks), **options)
    log = (home / "log.txt").read_text()
    assert codes[0] == dying.EVENTS[event], log
    # At the end, a rank that no signal has reached has nothing more to do.
    assert 0 not in codes or place == "end", log
    assert "Traceback" not in log
    if event not in {"SIGKILL", "full disk"}:
        assert f"resume: zoo train --resume --run {folder}" in log
    baseline = (folder / "evaluation" / "untrained.json").read_bytes()
    record = json.loads((folder / "record.json").read_text())

    codes = launch("--resume", "--run", folder, ranks=ranks)
    assert codes == [0] * ranks, (home / "log.txt").read_text()

    expected, found = weights(reference), weights(folder)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert (folder / "evaluation" / "untrained.json").read_bytes() == baseline
    assert baseline == (reference / "evaluation" / "untrained.json").read_bytes()
    resumed = json.loads((folder / "record.json").read_text())
    # Of a training that was at its end, nothing is left to resume.
    assert len(resumed.pop("resumes", [])) == (place != "end")
    assert resumed == record
    best = [json.loads((one / "evaluation" / "metrics.json").read_text()) for one in (reference, folder)]
    assert best[0]["metrics"] == best[1]["metrics"]


def test_sigterm_within_an_epoch_saves_and_resumes_to_the_same_weights(launch, whole, home):
    check("SIGTERM", "mid-epoch", 1, launch=launch, whole=whole, home=home)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("place", dying.PLACES)
@pytest.mark.parametrize("event", dying.EVENTS)
def test_a_resumed_run_ends_as_one_that_nothing_ended(event, place, ranks, launch, whole, home):
    if (event, place) == ("SIGTERM", "mid-epoch") and ranks == 1:
        pytest.skip("the test above runs this case, also without -m slow")
    check(event, place, ranks, launch=launch, whole=whole, home=home)
