"""Who is to blame: a built component, and where the recipe names it."""

from __future__ import annotations

import random
import sys
import traceback
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from zoo_core.errors import ComponentError, UnreadableSample, ZooError
from zoo_core.registry import describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo_core.errors import Location
    from zoo_core.registry import Component

_PICK_A_GENERATOR = "take random numbers from the generator or the seed that zoo passes, never from a global one"


@dataclass(frozen=True)
class Subject:
    """A component that is checked; its faults name it, its distribution with the version, and the recipe's line."""

    component: Component
    location: Location | None = None

    def fault(self, message: str, hint: str | None = None) -> ComponentError:
        """Return the error of a promise that was not kept."""
        return ComponentError(f"{self.component}: {message}", hint=hint, location=self.location)

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Turn whatever the component raises, an attempt to exit too, into a fault with the line that raised.

        Raises:
            ComponentError: it failed, or moved a global random state.
        """
        before = _global_random_states()
        try:
            with redirect_stdout(sys.stderr):
                yield
        except (UnreadableSample, KeyboardInterrupt):
            raise
        except ZooError as error:
            raise self.fault(f"{what} failed: {error.problems[0].message}", error.problems[0].hint) from error
        except BaseException as error:
            raise self.fault(f"{what} failed{_place(error)}: {describe(error)}") from error
        for library, state in _global_random_states().items():
            if state != before[library]:
                raise self.fault(f"{what} took random numbers from the global state of {library}", _PICK_A_GENERATOR)


def _global_random_states() -> dict[str, object]:
    state = np.random.get_state(legacy=False)["state"]  # noqa: NPY002 - to see whether a component uses it
    return {"random": random.getstate(), "numpy.random": (state["key"].tobytes(), state["pos"])}


def _place(error: BaseException) -> str:
    """Return the line that raised: of the deepest file that is the plugin's, not that of a library below it."""
    here = Path(__file__).parent
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent != here]
    libraries = tuple(str(Path(module.__file__ or "").parent) for module in (torch, np))
    own = [frame for frame in frames if not frame.filename.startswith(libraries)]
    return f" at {own[-1].filename}:{own[-1].lineno}" if own else ""


@contextmanager
def untouched_random_states() -> Iterator[None]:
    """Give back the global random states of torch, numpy and ``random`` as they were."""
    plain, legacy = random.getstate(), np.random.get_state(legacy=True)  # noqa: NPY002 - to give it back
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(plain)
        np.random.set_state(legacy)  # noqa: NPY002 - as above
