"""The entrypoint alone, without a container; as root beside a copy of /etc/passwd, so that the host keeps its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

ENTRYPOINT = Path(__file__).parents[2] / "docker/entrypoint.bash"
OTHERS = {"USER_ID": "1234", "GROUP_ID": "2345"}
# A mount namespace of its own: what it mounts is not there for anybody else.
PRIVATE = """\
mount --bind passwd /etc/passwd && mount --bind group /etc/group && exec "$@"
"""
# Not this process's own: the folder of its Python may be closed to others.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def has_namespaces():
    test = ["unshare", "--mount", "mount", "--bind", "/etc/passwd", "/etc/passwd"]
    return os.geteuid() == 0 and subprocess.run(test, capture_output=True, check=False).returncode == 0


as_root = pytest.mark.skipif(
    not shutil.which("gosu") or not shutil.which("unshare") or not has_namespaces(),
    reason="becoming another user needs root, gosu and a mount namespace",
)


@pytest.fixture
def folder():
    """A folder that anybody can reach and write; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture
def command(folder):
    """Give the words that start the entrypoint with a command."""
    for name in ("passwd", "group"):
        shutil.copy(f"/etc/{name}", folder / name)
    # A copy, as the checkout may be closed to others.
    entrypoint = shutil.copy(ENTRYPOINT, folder / ENTRYPOINT.name)

    def words(*arguments, private=False):
        prefix = ["unshare", "--mount", "bash", "-c", PRIVATE, "bash"] if private else []
        return [*prefix, str(entrypoint), *arguments]

    return words


@pytest.fixture
def run(command, folder):
    def run(*arguments, ids=None, private=False, user=None):
        return subprocess.run(
            command(*arguments, private=private),
            env={"PATH": PATH, "HOME": str(folder), "USER": "zoo", **(ids or {})},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            user=user,
        )

    return run


def test_without_ids_it_just_runs(run):
    result = run("bash", "-c", 'echo "$1"; id -u; exit 7', "bash", "a  b")

    assert result.stdout == f"a  b\n{os.getuid()}\n"
    assert result.returncode == 7


def test_the_callers_own_ids_need_no_root(run):
    result = run("id", "-u", ids={"USER_ID": str(os.getuid()), "GROUP_ID": str(os.getgid())})

    assert (result.returncode, result.stdout) == (0, f"{os.getuid()}\n")


def test_a_command_that_starts_with_a_dash_is_no_option_of_the_shell(run):
    assert run("--help").returncode == 127


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ({"USER_ID": "1234"}, "belong together"),
        ({"GROUP_ID": "2345"}, "belong together"),
        ({"USER_ID": "me", "GROUP_ID": "2345"}, "not 'me'"),
        ({"USER_ID": "1234", "GROUP_ID": "-1"}, "not '-1'"),
        ({"USER_ID": "0:0", "GROUP_ID": "1"}, "not '0:0'"),
        ({"USER_ID": "1\n2", "GROUP_ID": "1"}, "numbers"),
        ({"USER_ID": "010", "GROUP_ID": "1"}, "not '010'"),
    ],
)
def test_wrong_ids_are_said_and_nothing_runs(run, folder, ids, message):
    result = run("touch", str(folder / "ran"), ids=ids)

    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert not (folder / "ran").exists()


def test_only_root_becomes_another(run):
    result = run("true", ids=OTHERS, user=65534 if os.getuid() == 0 else None)

    assert result.returncode == 2
    assert "only root can become 1234:2345" in result.stderr


@as_root
class TestAsRoot:
    def test_files_belong_to_the_ids(self, run, folder):
        theirs = folder / "theirs"
        theirs.write_text("")

        result = run("bash", "-c", "echo hello > mine", ids=OTHERS, private=True)

        assert result.returncode == 0, result.stderr
        assert ((folder / "mine").stat().st_uid, (folder / "mine").stat().st_gid) == (1234, 2345)
        # What was there before keeps its owner.
        assert theirs.stat().st_uid == 0

    def test_user_group_name_and_home(self, run, folder):
        result = run("bash", "-c", 'id -u; id -g; id -G; echo "$USER $HOME"', ids=OTHERS, private=True)

        assert result.stdout == f"1234\n2345\n2345\nzoo {folder}\n"

    def test_the_user_is_known_by_name_once(self, run, folder):
        for _ in range(2):
            assert run("id", "-un", ids=OTHERS, private=True).stdout == "zoo\n"

        assert (folder / "passwd").read_text().count("zoo:") == 1
        assert (folder / "group").read_text().count("zoo:") == 1

    def test_a_user_of_the_image_keeps_its_name_and_gets_a_home_to_write(self, run, folder):
        ids = {"USER_ID": "33", "GROUP_ID": "33"}

        result = run("bash", "-c", "id -un; echo $HOME; touch $HOME/file", ids=ids, private=True)

        assert (result.returncode, result.stdout) == (0, f"www-data\n{folder}\n")

    def test_a_system_that_cannot_be_written_does_without_the_name(self, folder, command):
        read_only = 'mount -o bind,ro passwd /etc/passwd && exec "$@"'
        words = ["unshare", "--mount", "bash", "-c", read_only, "bash", *command("id", "-u")]

        result = subprocess.run(
            words, cwd=folder, env={**os.environ, **OTHERS}, capture_output=True, text=True, check=False
        )

        assert (result.returncode, result.stdout) == (0, "1234\n")

    def test_the_exit_code_is_the_commands(self, run):
        assert run("bash", "-c", "exit 130", ids=OTHERS, private=True).returncode == 130
        assert run("nonesuch", ids=OTHERS, private=True).returncode == 127

    @pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
    def test_a_signal_reaches_the_command(self, command, folder, name):
        process = subprocess.Popen(
            command("bash", "-c", f"trap 'exit 42' {name}; echo ready; while :; do sleep 0.05; done", private=True),
            cwd=folder,
            env={**os.environ, **OTHERS},
            stdout=subprocess.PIPE,
            text=True,
            # Bash leaves ignored what was ignored when it began, as SIGINT is for what runs in the background.
            preexec_fn=lambda: signal.signal(getattr(signal, name), signal.SIG_DFL),  # noqa: PLW1509 - no thread here
        )
        assert process.stdout.readline() == "ready\n"

        process.send_signal(getattr(signal, name))

        assert process.wait(timeout=30) == 42
