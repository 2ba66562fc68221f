"""A training that ends in a chosen way at a chosen place, in processes of its own; imported there by name."""

from __future__ import annotations

import os
import resource
import signal
import sys

EVENTS = {"SIGTERM": 143, "SIGHUP": 129, "SIGINT": 130, "SIGKILL": -9, "full disk": 1}
PLACES = ("start", "mid-epoch", "last step of an epoch", "validation", "checkpoint writing", "end")


def train(arguments, *, log, event=None, place=None, on_rank=0, rank=0, world_size=1, port=0):
    """Run `zoo train` in this process; end it by `event` at `place` on one rank."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    if world_size > 1:
        os.environ.update(
            LOCAL_RANK=str(rank),
            NODE_RANK="0",
            MASTER_ADDR="127.0.0.1",
            MASTER_PORT=str(port),
            WORLD_SIZE=str(world_size),
        )
    import torch
    from lightning.pytorch.utilities import rank_zero_only

    from zoo.cli.main import cli

    torch.set_num_threads(1)
    # As in a shell, whatever started the tests.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rank_zero_only.rank = rank
    if event and rank == on_rank:
        _at(place, lambda: _happen(event))
    sys.argv = ["zoo", *map(str, arguments)]
    cli(sys.argv[1:], prog_name="zoo")


def _happen(event):
    if event == "full disk":
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
    else:
        os.kill(os.getpid(), getattr(signal, event))


def _at(place, happen):
    from zoo.runs.checksum import HashingWriter
    from zoo.training.checkpoints import KeepLast
    from zoo.training.module import EmbeddingTraining

    calls = {"writing": 0}

    def here(module, index):
        last = module.trainer.num_training_batches - 1
        return (module.current_epoch, index) == {
            "start": (0, 0),
            "mid-epoch": (1, 1),
            "last step of an epoch": (1, last),
        }[place]

    def before(owner, name, wanted):
        original = getattr(owner, name)

        def wrapped(self, *arguments, **options):
            if wanted(self, *arguments):
                happen()
            return original(self, *arguments, **options)

        setattr(owner, name, wrapped)

    def third(*_):
        calls["writing"] += 1
        return calls["writing"] == 3

    if place == "validation":
        wanted = lambda module, *_: module.current_epoch == 1 and not module.trainer.sanity_checking  # noqa: E731
        before(EmbeddingTraining, "validation_step", wanted)
    elif place == "checkpoint writing":
        before(HashingWriter, "finish", third)
    elif place == "end":
        before(KeepLast, "on_train_end", lambda *_: True)
    else:
        before(EmbeddingTraining, "training_step", lambda module, _batch, index: here(module, index))
