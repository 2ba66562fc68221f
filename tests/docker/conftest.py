from __future__ import annotations

import json
import os
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

DOCKER = Path(__file__).parents[2] / "docker"
BASH = shutil.which("bash")
# All that the scripts call, so that a test decides whether there is a docker, a GPU or a runtime.
TOOLS = ("bash", "basename", "dirname", "env", "git", "head", "id", "mkdir", "realpath", "sed", "xargs", "printf")
# It keeps what it is called with; `docker info` answers as an engine does, unless the test wants it otherwise.
FAKE_DOCKER = """\
#!/usr/bin/env bash
if [[ $1 == info ]]; then
    [[ -z ${FAKE_DOWN:-} ]] || { echo "Cannot connect to the Docker daemon."$'\\n'"Is it running?" >&2; exit 1; }
    echo "${FAKE_RUNTIMES:-{\\}}"
    exit
fi
{ printf '%s\\0' "$@"; printf '\\n\\0'; } >>"$FAKE_RECORD"
exit "${FAKE_EXIT:-0}"
"""


class Caller:
    """Someone at a shell, in a folder and a home of their own."""

    def __init__(self, folder):
        self.bin, self.home, self.cwd = folder / "bin", folder / "home", folder / "some where"
        for made in (self.bin, self.home, self.cwd):
            made.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.record = folder / "record"
        self.add_program("docker", FAKE_DOCKER)

    def add_program(self, name, text):
        (self.bin / name).write_text(text, encoding="utf-8")
        (self.bin / name).chmod(0o755)

    def add_gpu(self):
        self.add_program("nvidia-smi", "#!/usr/bin/env bash\necho 'GPU 0: Some GPU (UUID: GPU-1)'\n")

    def run(self, script, *arguments, cwd=None, env=None, terminal=None):
        """Call a script of docker/ with these arguments and no environment but this."""
        settings = {"PATH": str(self.bin), "HOME": str(self.home), "FAKE_RECORD": str(self.record)}
        return subprocess.run(
            [BASH, script if os.sep in script else DOCKER / script, *arguments],
            cwd=cwd or self.cwd,
            env={**settings, **(env or {})},
            stdin=terminal,
            stdout=terminal or subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    def recorded(self):
        """Return each call of docker so far."""
        words = self.record.read_text(encoding="utf-8").split("\0")[:-1] if self.record.exists() else []
        calls = [[]]
        for word in words:
            if word == "\n":
                calls.append([])
            else:
                calls[-1].append(word)
        return [Call(call) for call in calls[:-1]]

    def call(self, script, *arguments, **options):
        """Run a script that calls docker once, and return the call."""
        result = self.run(script, *arguments, **options)
        assert result.returncode == 0, result.stderr
        (call,) = self.recorded()
        return call


class Call(list):
    """The arguments of a call of docker, such as `docker run`."""

    @property
    def options(self):
        return self[1 : self.index(self.image)]

    @property
    def image(self):
        return next(word for word in self if word.startswith("zoo-"))

    @property
    def command(self):
        return self[self.index(self.image) + 1 :]

    def values(self, option):
        return [value for name, value in pairwise(self.options) if name == option]

    @property
    def mounts(self):
        """Return {target: (source, read only)}."""
        found = {}
        for mount in self.values("--mount"):
            kind, source, target, *rest = mount.split(",")
            assert kind == "type=bind"
            found[target.removeprefix("target=")] = (Path(source.removeprefix("source=")), rest == ["readonly"])
        return found

    def host_path(self, path):
        """Return where a path in the container, as zoo is given it, lies on the host."""
        seen = Path("/workspace", path)
        target = next(str(parent) for parent in [seen, *seen.parents] if str(parent) in self.mounts)
        return self.mounts[target][0] / seen.relative_to(target)


@pytest.fixture
def caller(tmp_path):
    return Caller(tmp_path)


@pytest.fixture
def make_run(caller):
    """Make what a training leaves behind, as far as the scripts look."""

    def make(name="tiny", time="2026-01-02_03-04-05", root=None):
        folder = (root or caller.cwd / "runs") / name / time
        folder.mkdir(parents=True)
        (folder / "recipe.yaml").write_text(json.dumps({}), encoding="utf-8")
        return folder

    return make
