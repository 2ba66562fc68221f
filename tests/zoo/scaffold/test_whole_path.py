"""Every kind scaffolded, built, installed, tested, trained, exported, published, uninstalled, and asked for."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv

import pytest

from zoo.scaffold.plugin import EXAMPLES


@pytest.mark.slow
def test_a_scaffolded_plugin_goes_all_the_way_and_is_asked_for_when_gone(tmp_path, hub, hub_environment):
    folder = tmp_path / "venv"
    venv.create(folder, with_pip=False)
    python = folder / "bin/python"
    (site,) = folder.glob("lib/python*/site-packages")
    # A .pth line, not a copy: torch alone is gigabytes. The line below makes .pth files of that folder count too.
    here = sysconfig.get_paths()["purelib"]
    (site / "heavy.pth").write_text(f"import site; site.addsitedir({here!r})\n", encoding="utf-8")
    environment = {**os.environ, **hub_environment, "OMP_NUM_THREADS": "1"}

    def run(*words, check=0, cwd=tmp_path):
        done = subprocess.run(
            [str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == check, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    kinds = [word for kind in EXAMPLES for word in ("--kind", kind)]
    run(python, "-m", "zoo", "new", "plugin", "lite0", *kinds)
    project = tmp_path / "plugzoo-lite0"
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, project)
    (wheel,) = tmp_path.glob("*.whl")
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--no-deps", "--no-index", wheel)

    # Of the wheel, not of the sources beside the tests.
    (project / "plugzoo_lite0").rename(tmp_path / "sources")
    run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project)
    run(python, "-m", "zoo", "plugins", "check", "plugzoo-lite0")
    recipe = project / "lite0.yaml"
    run(python, "-m", "zoo", "check", recipe)
    run(python, "-m", "zoo", "train", recipe, "-o", "run", "trainer.max_steps=20", "card.license=apache-2.0")
    run(python, "-m", "zoo", "export", "--simplify", "--run", "run", "card.license=apache-2.0")
    run(python, "-m", "zoo", "push", "--run", "run", "--repo", "org/lite0", "card.license=apache-2.0")
    assert "org/lite0" in hub.repos
    card = (tmp_path / "run/artifact/README.md").read_text(encoding="utf-8")
    assert "plugzoo-lite0 0.1.0" in card

    run(*pip, "uninstall", "-y", "plugzoo-lite0")
    line = "plugin 'lite0' of plugzoo-lite0 0.1.0 is not installed; pip install plugzoo-lite0==0.1.0"
    for words in (["eval", "--run", "run"], ["export", "--run", "run"], ["train", "--resume", "--run", "run"]):
        wanted = run(python, "-m", "zoo", *words, check=4).stderr
        # It was installed from a file here, and from an index elsewhere.
        assert "plugin 'lite0' of plugzoo-lite0 0.1.0 is not installed; pip install " in wanted
    run(python, "-m", "zoo", "pull", "org/lite0", "-o", "model")
    assert line in run(python, "-m", "zoo", "eval", "--model", "model", check=4).stderr
