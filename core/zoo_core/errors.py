"""Every error that zoo expects: what is wrong, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from zoo_core.escaping import escaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Self


@dataclass(frozen=True, slots=True)
class Location:
    """Where a value of a recipe stands: a file (or ``<command line>``), 1-based line and column, and the dotted key."""

    file: str
    line: int | None = None
    column: int | None = None
    key: str = ""

    def __str__(self) -> str:
        text = self.file
        if self.line is not None:
            text += f":{self.line}"
            if self.column is not None:
                text += f":{self.column}"
        return f"{text}: {self.key}" if self.key else text


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, with its location and a hint where there is one."""

    message: str
    location: Location | None = None
    hint: str | None = None

    def __str__(self) -> str:
        text = self.message if self.location is None else f"{self.location}: {self.message}"
        return escaped(f"{text}; {self.hint}" if self.hint else text)


class ZooError(Exception):
    """An expected failure: shown as one line per problem, without a traceback, with its own exit code."""

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None, location: Location | None = None) -> None:
        if message.startswith("Caught ") and "Original Traceback" in message:
            # torch's loader makes a worker's error anew from the text of its traceback; the end of it is ours.
            message = message.rpartition(f"{type(self).__name__}: ")[2].strip()
        super().__init__(message)
        self.problems: tuple[Problem, ...] = (Problem(message, location, hint),)

    def with_problems(self, problems: Iterable[Problem]) -> Self:
        """Take these problems in place of the one that the message makes, and return the error."""
        self.problems = tuple(problems)
        return self

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class RunError(ZooError):
    """A training, evaluation or export failed, a parity check included."""

    exit_code = 1
    code = "run"


class UnreadableSample(RunError):  # noqa: N818 - it says what a sample is
    """One sample of a data set cannot be read: training replaces it with another, validation skips it.

    Args:
        source: the file, or the member of an archive, that cannot be read.
        reason: what is wrong with it, in a few words.
        samples: how many samples of the data set are lost with it.
        share: instead of ``samples``, where their number is unknown: at most this share, 0..1, of the data set.
    """

    code = "sample"

    def __init__(self, source: str, reason: str, *, samples: int = 1, share: float = 0.0) -> None:
        super().__init__(f"{source}: cannot be read as an image ({reason})", hint="repair the file or remove it")
        self.source = source
        self.reason = reason
        self.samples = samples
        self.share = share

    def __reduce__(self) -> tuple[Callable[..., UnreadableSample], tuple[object, ...], dict[str, object]]:
        return type(self), (self.source, self.reason), {"samples": self.samples, "share": self.share}


class UsageError(ZooError):
    """The command was called wrongly."""

    exit_code = 2
    code = "usage"


class RecipeError(ZooError):
    """A recipe is wrong; carries all its problems at once."""

    exit_code = 3
    code = "recipe"

    def __init__(self, problems: Sequence[Problem]) -> None:
        if not problems:
            msg = "RecipeError needs at least one problem"
            raise ValueError(msg)
        super().__init__(problems[0].message)
        self.problems = tuple(problems)


class ComponentError(ZooError):
    """A component, a plugin or an optional dependency is not available."""

    exit_code = 4
    code = "component"


class RemoteError(ZooError):
    """The Hub refused, could not be reached, or holds something else than asked for."""

    exit_code = 5
    code = "remote"
