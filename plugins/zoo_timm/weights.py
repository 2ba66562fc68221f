"""Where a timm model's pretrained weights come from: a file, the Hub's cache or the Hub."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import huggingface_hub
import timm
from huggingface_hub import constants

from zoo_core.api import ComponentError, RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from timm.models import PretrainedCfg

_FILENAME = "model.safetensors"
# Seconds: enough for a Hub on another continent, and a short wait where there is no network.
_HUB_TIMEOUT = 5.0
NO_FILE_HINT = "give true, false, auto or the path of a file of weights"
_HINT = "give pretrained: PATH for a file of these weights, or pretrained: false for random ones"


class PretrainedWeightsWarning(UserWarning):
    """A model starts from random weights, because its pretrained weights are not available."""


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights whose parameters have timm's names, and its provenance."""

    path: Path
    provenance: dict[str, str]


def weights_from_file(path: Path, name: str, config: PretrainedCfg) -> WeightsFile:
    """Return the file ``path`` if it holds the weights of the timm model ``name``.

    ``path`` is a safetensors file, or a torch checkpoint with nothing but tensors and plain values. Its parameters need
    the names of the model's. Those of the classifier may be missing, additional or of another shape: it is not used.

    Raises:
        ComponentError: there is no such file, it cannot be read, or parameters are missing or unknown.
    """
    if not path.is_file():
        raise ComponentError(
            f"pretrained: there is no file {str(path)!r}",
            hint=NO_FILE_HINT,
        )
    _check_parameter_names(path, name, config)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return WeightsFile(
        path, {"weights": str(path), "sha256": sha256, "license": "unknown", "reason": "the recipe names this file"}
    )


def weights_from_hub(config: PretrainedCfg) -> WeightsFile:
    """Return timm's weights from the cache of the Hub or, if it does not have them, from the Hub.

    A Hub that does not answer within five seconds counts as unreachable.

    Raises:
        ComponentError: the Hub has no weights of this model.
        RemoteError: they are not in the cache, and the Hub is unreachable or refuses.
    """
    repo_id = config.hf_hub_id
    if not repo_id:
        hint = (
            f"download {config.url} and give its path as pretrained"
            if config.url
            else "give pretrained: false or a PATH"
        )
        raise ComponentError(f"the Hub has no weights of timm's {config.architecture}", hint=hint)
    cached = huggingface_hub.try_to_load_from_cache(repo_id, _FILENAME)
    if isinstance(cached, str):
        return _hub_weights(repo_id, cached, "found in the cache of the Hub", config)
    if constants.HF_HUB_OFFLINE:
        raise RemoteError(f"{repo_id} is not in the cache, and HF_HUB_OFFLINE forbids to download it", hint=_HINT)
    url = huggingface_hub.hf_hub_url(repo_id, _FILENAME)
    try:
        _call_within(_HUB_TIMEOUT, lambda: huggingface_hub.get_hf_file_metadata(url, timeout=_HUB_TIMEOUT))
        path = huggingface_hub.hf_hub_download(repo_id, _FILENAME)
    except Exception as error:  # of the Hub's client, or of the HTTP library that it uses
        raise RemoteError(
            f"{repo_id} is not in the cache, and {constants.ENDPOINT} did not give it: {_first_line(error)}",
            hint=_HINT,
        ) from error
    return _hub_weights(repo_id, path, f"downloaded from {constants.ENDPOINT}", config)


def _check_parameter_names(path: Path, name: str, config: PretrainedCfg) -> None:
    try:
        found = set(timm.models.load_state_dict(str(path), weights_only=True))
    except Exception as error:  # pickle, zip and safetensors raise errors of different types
        raise ComponentError(
            f"pretrained: {path} cannot be read: {_first_line(error)}",
            hint="give a .safetensors file, or a checkpoint of torch with nothing but tensors in it",
        ) from error
    classifiers = (config.classifier,) if isinstance(config.classifier, str) else config.classifier or ()
    unused = tuple(f"{classifier}." for classifier in classifiers)
    expected = set(timm.create_model(name).state_dict())
    differing = {"missing": expected - found, "unknown": found - expected}
    problems = [
        f"{len(names)} {what} ({_abbreviated(names)})"
        for what, keys in differing.items()
        if (names := sorted(key for key in keys if not key.startswith(unused)))
    ]
    if problems:
        raise ComponentError(
            f"pretrained: {path} holds no weights of timm's {name}: {' and '.join(problems)}",
            hint=f"its names have to be those of timm.create_model({name!r}).state_dict()",
        )


def _hub_weights(repo_id: str, path: str, reason: str, config: PretrainedCfg) -> WeightsFile:
    # The cache keeps a file as snapshots/COMMIT/FILENAME.
    revision = Path(path).parent.name
    return WeightsFile(
        Path(path),
        {"weights": repo_id, "revision": revision, "license": config.license or "unknown", "reason": reason},
    )


def _call_within(seconds: float, call: Callable[[], Any]) -> None:
    """Call ``call``, but wait no longer than ``seconds``: the timeout of an HTTP client does not limit DNS look-ups."""
    errors: list[BaseException] = []

    def call_and_keep_error() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
            errors.append(error)

    thread = threading.Thread(target=call_and_keep_error, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"no answer within {seconds:g} seconds")
    if errors:
        raise errors[0]


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _abbreviated(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")  # noqa: PLR2004 - three show the pattern
