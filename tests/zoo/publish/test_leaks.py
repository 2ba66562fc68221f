"""Train where everything has a secret name, publish, and look for the names in all that arrived."""

from __future__ import annotations

import getpass
import io
import json
import re
import socket
import subprocess

import numpy as np
import pytest
from PIL import Image

from zoo.artifacts.manifest import write_manifest
from zoo.publish.facts import gather
from zoo.recipes.loading import load_run_recipe
from zoo_core.errors import RunError

PLACES = ("folder", "data", "class", "file", "user", "home", "variable", "remote", "branch")
SECRETS = {place: f"zzq{place}zzq" for place in PLACES}
RECIPE = """\
data:
  train: {name: images/folder, options: {root: ROOT}}
  valid: {name: images/folder, options: {root: "${data.train.options.root}"}}
"""


@pytest.fixture
def workplace(tmp_path, tiny_recipe_text):
    """A folder, a checkout and data whose every name is secret."""
    folder = tmp_path / SECRETS["folder"]
    data = folder / SECRETS["data"]
    for label in range(6):
        for number in range(4):
            picture = np.random.default_rng([label, number % 2]).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            path = data / f"{SECRETS['class']}{label}" / f"{SECRETS['file']}{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(picture).resize((48, 48), Image.Resampling.BILINEAR)
            image.rotate(3 * number).save(path)
    text = re.sub(r"  (train|valid): .*\n", "", tiny_recipe_text).replace("card: {license: apache-2.0}\n", "")
    own = RECIPE.replace("ROOT", str(data)).replace("data:\n", "")
    (folder / "tiny.yaml").write_text(text.replace("data:\n", f"data:\n{own}"), encoding="utf-8")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x.x"]
    for arguments in (
        ["init", "-q", "-b", SECRETS["branch"]],
        ["remote", "add", "origin", f"https://{SECRETS['remote']}:pw@example.org/x.git"],
        ["commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run([*git, *arguments], cwd=folder, check=True)
    return folder


def published_bytes(hub):
    """Return all that arrived: bodies and addresses of requests, files, and what pictures carry in compressed texts."""
    blobs = [blob.content for repo in hub.repos.values() for blob in repo.files.values()]
    texts = [json.dumps(Image.open(io.BytesIO(blob)).info, default=str) for blob in blobs if blob[:4] == b"\x89PNG"]
    sent = [request.body for request in hub.log]
    addresses = [f"{request.path} {request.query}" for request in hub.log]
    return b"\n".join([*blobs, *sent, *(text.encode() for text in [*texts, *addresses])])


def test_nothing_private_is_published(zoo, workplace, hub, hub_double, hub_environment, tmp_path):
    environment = {
        **hub_environment,
        "HOME": str(tmp_path / SECRETS["home"]),
        "USER": SECRETS["user"],
        "LOGNAME": SECRETS["user"],
        "HOSTNAME": SECRETS["user"],
        "SECRET": SECRETS["variable"],
    }
    for arguments in (
        ("train", "--cfg", "tiny.yaml", "trainer.max_epochs=1"),
        ("eval",),
        ("export", "--simplify"),
        ("push", "--repo", "org/tiny", "card.license=mit"),
    ):
        zoo(*arguments, cwd=workplace, env=environment, check=0)
    found = published_bytes(hub)
    assert b"<own data>" in found
    assert len(hub.repos["org/tiny"].files) > 10
    secrets = [*SECRETS.values(), str(tmp_path), hub_double.TOKEN]
    secrets += [word for word in (socket.gethostname(), getpass.getuser()) if len(word) > 5]
    assert [word for word in secrets if word.encode() in found] == []
    # The run's own files keep the paths, which resuming needs.
    (run,) = (workplace / "runs/tiny").iterdir()
    assert SECRETS["data"] in (run / "recipe.yaml").read_text()
    # The figures name the data by their content and counts.
    metrics = json.loads((run / "artifact/eval/metrics.json").read_text())
    assert metrics["protocol"]["images"] > 0
    assert re.fullmatch(r"[0-9a-f]{12}", metrics["protocol"]["digest"])

    # What was published trains again when the data are named, and says so in one line where they are not.
    recipe = run / "artifact/recipe.yaml"
    refused = zoo("train", "--cfg", recipe, cwd=workplace, env=environment, check=3)
    line = next(line for line in refused.stderr.splitlines() if "<own data>" in line)
    assert "set data.train.options.root=..., data.valid.options.root=..." in line
    elsewhere = [f"data.{part}.options.root={workplace / SECRETS['data']}" for part in ("train", "valid")]
    zoo("config", "check", "--cfg", recipe, *elsewhere, cwd=workplace, env=environment, check=0)


@pytest.mark.parametrize("name", ["onnx/export.json", "assets/roc.png"])
def test_a_file_with_a_path_of_this_machine_is_refused(exported, name):
    path = exported.artifact.path / name
    if name.endswith(".json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "more": str(exported.path.absolute())}))
    else:
        path.write_bytes(path.read_bytes() + str(exported.path.absolute()).encode())
    write_manifest(exported.artifact.path)
    with pytest.raises(RunError, match=rf"{name}: holds what is private: "):
        gather(exported, load_run_recipe(exported))


def test_an_artifact_with_the_runs_own_recipe_is_exported_again(exported):
    exported.artifact.recipe.write_text(exported.recipe.read_text())
    write_manifest(exported.artifact.path)
    with pytest.raises(RunError, match="is not the published form of the recipe that was exported; export it again"):
        gather(exported, load_run_recipe(exported))
