"""The scripts of docker/, with a docker that keeps what it is called with."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
HOSTNAMES = """\
#!/usr/bin/env bash
[[ $* == "show hostnames node[3-4]" ]] && echo node3 && echo node4
"""
CALLS = [
    ("train.bash", "tiny", "trainer.max_epochs=1"),
    ("to_onnx.bash", "tiny", "--no-simplify"),
    ("push.bash", "tiny", "--repo", "me/tiny"),
    ("build.bash", "training"),
]
SCRIPTS = pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])


def one_line_error(result, code):
    assert result.returncode == code
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line


class TestAllScripts:
    @SCRIPTS
    def test_a_dry_run_prints_what_a_run_does_and_touches_nothing(self, caller, make_run, call):
        make_run()
        before = sorted(caller.home.parent.rglob("*"))
        dry = caller.run(*call, "k=a b", "k=$HOME", "k='q'", env={"DRY_RUN": "1", "CPUSET": "0-31"})

        assert dry.returncode == 0, dry.stderr
        assert sorted(caller.home.parent.rglob("*")) == before
        (line,) = dry.stdout.splitlines()
        assert shlex.split(line) == ["docker", *caller.call(*call, "k=a b", "k=$HOME", "k='q'", env={"CPUSET": "0-31"})]

    @SCRIPTS
    def test_a_dry_run_needs_no_docker(self, caller, make_run, call):
        make_run()
        (caller.bin / "docker").unlink()

        assert caller.run(*call, env={"DRY_RUN": "1"}).stdout.startswith("docker ")

    @SCRIPTS
    def test_a_missing_docker_is_said_in_a_line(self, caller, make_run, call):
        make_run()
        (caller.bin / "docker").unlink()

        assert "docker is not on PATH" in one_line_error(caller.run(*call), 4)

    @SCRIPTS
    def test_a_docker_without_its_daemon_is_said_in_a_line(self, caller, make_run, call):
        make_run()

        line = one_line_error(caller.run(*call, env={"FAKE_DOWN": "1"}), 4)

        assert "docker does not answer: Cannot connect to the Docker daemon.;" in line
        assert caller.recorded() == []

    @SCRIPTS
    def test_the_exit_code_is_dockers(self, caller, make_run, call):
        make_run()

        assert caller.run(*call, env={"FAKE_EXIT": "130"}).returncode == 130

    @SCRIPTS
    def test_help_is_the_head_of_the_script(self, caller, call):
        shown = caller.run(call[0], "--help").stdout

        assert f"docker/{call[0]}" in shown
        assert "#" not in shown

    @pytest.mark.parametrize("script", ["train.bash", "to_onnx.bash", "push.bash"])
    def test_a_recipe_has_to_be_named(self, caller, script):
        assert f"docker/{script} RECIPE" in one_line_error(caller.run(script), 2)


class TestContainers:
    def test_runs_are_written_where_the_caller_is(self, caller):
        call = caller.call("train.bash", "tiny")

        assert call.mounts["/workspace/runs"] == (caller.cwd / "runs", False)
        # What docker makes itself is root's.
        assert (caller.cwd / "runs").is_dir()

    def test_a_relative_script_and_folder(self, caller, tmp_path):
        (tmp_path / "checkout").symlink_to(ROOT)

        call = caller.call("../checkout/docker/train.bash", "tiny", env={"RUNS_DIR": "../of all"})

        assert call.mounts["/workspace/runs"] == (tmp_path / "of all", False)

    def test_files_belong_to_the_caller(self, caller):
        call = caller.call("train.bash", "tiny")

        assert call.values("--env") == [f"USER_ID={os.getuid()}", f"GROUP_ID={os.getgid()}"]

    def test_ids_can_be_others(self, caller):
        call = caller.call("train.bash", "tiny", env={"USER_ID": "1234", "GROUP_ID": "2345"})

        assert call.values("--env") == ["USER_ID=1234", "GROUP_ID=2345"]

    def test_data_are_mounted_read_only(self, caller, tmp_path):
        (tmp_path / "my: cards").mkdir()

        call = caller.call("train.bash", "tiny", env={"DATA_DIR": "../my: cards"})

        assert call.mounts["/data/Dataset"] == (tmp_path / "my: cards", True)

    def test_data_that_are_not_there_are_an_error(self, caller):
        assert "DATA_DIR=cards: no such folder" in one_line_error(
            caller.run("train.bash", "tiny", env={"DATA_DIR": "cards"}), 2
        )

    def test_a_folder_that_docker_cannot_mount_is_an_error(self, caller):
        assert "comma" in one_line_error(caller.run("train.bash", "tiny", env={"RUNS_DIR": "a,b", "DRY_RUN": "1"}), 2)

    def test_a_folder_that_cannot_be_made_is_an_error(self, caller):
        (caller.cwd / "runs").write_text("a file")

        result = caller.run("train.bash", "tiny")

        assert result.returncode == 1
        assert result.stderr.splitlines()[-1] == f"error: {caller.cwd}/runs cannot be made"

    def test_caches_are_shared_with_the_host(self, caller):
        mounts = caller.call("train.bash", "tiny").mounts

        assert mounts["/cache/zoo"] == (caller.home / ".cache/zoo", False)
        assert mounts["/cache/huggingface/hub"] == (caller.home / ".cache/huggingface/hub", False)

    def test_caches_may_lie_elsewhere(self, caller, tmp_path):
        mounts = caller.call(
            "train.bash", "tiny", env={"XDG_CACHE_HOME": f"{tmp_path}/c", "HF_HOME": f"{tmp_path}/hf"}
        ).mounts

        assert mounts["/cache/zoo"][0] == tmp_path / "c/zoo"
        assert mounts["/cache/huggingface/hub"][0] == tmp_path / "hf/hub"

    def test_the_seeds_memory_and_processors_are_options(self, caller):
        call = caller.call("train.bash", "tiny", env={"SHM_SIZE": "64g", "CPUSET": "0-31"})

        assert call.values("--shm-size") == ["64g"]
        assert call.values("--cpuset-cpus") == ["0-31"]

    def test_without_a_terminal_none_is_asked_for(self, caller):
        assert not {"--interactive", "--tty", "-it"} & set(caller.call("train.bash", "tiny").options)

    def test_a_terminal_is_handed_over(self, caller):
        ours, theirs = pty.openpty()

        result = caller.run("train.bash", "tiny", terminal=theirs)

        os.close(theirs)
        os.close(ours)
        assert result.returncode == 0
        assert {"--interactive", "--tty"} < set(caller.recorded()[0])

    def test_recipes_of_this_folder_are_found_by_name(self, caller):
        (caller.cwd / "configs").mkdir()

        assert caller.call("train.bash", "mine").mounts["/workspace/configs"] == (caller.cwd / "configs", True)

    def test_recipes_of_another_folder_are_found_by_name(self, caller, tmp_path):
        (tmp_path / "our recipes").mkdir()

        mounts = caller.call("train.bash", "mine", env={"CONFIGS_DIR": "../our recipes"}).mounts

        assert mounts["/workspace/configs"] == (tmp_path / "our recipes", True)

    def test_recipes_that_are_not_there_are_an_error(self, caller):
        line = one_line_error(caller.run("train.bash", "mine", env={"CONFIGS_DIR": "ours"}), 2)

        assert "CONFIGS_DIR=ours: no such folder" in line

    def test_from_anywhere_the_checkouts_recipes_lie_over_the_images(self, caller):
        mounts = caller.call("train.bash", "mine").mounts

        assert mounts["/usr/share/zoo/configs"] == (ROOT / "configs", True)
        assert "/workspace/configs" not in mounts

    def test_the_checkouts_source_is_an_option(self, caller):
        call = caller.call("train.bash", "tiny", env={"LIVE_SOURCE": "1"})

        assert call.mounts["/source"] == (ROOT, True)
        assert "PYTHONPATH=/source/core:/source/zoo:/source/plugins" in call.values("--env")

    def test_the_source_is_the_images_else(self, caller):
        assert "/source" not in caller.call("train.bash", "tiny", env={"LIVE_SOURCE": "0"}).mounts

    @pytest.mark.parametrize("call", CALLS[:3], ids=lambda call: call[0])
    def test_more_options_of_docker(self, caller, make_run, call):
        make_run()
        more = """ --mount 'type=bind,source=/my cards,target=/cards'  --env "A=b $HOME `id`" --env B= """

        options = caller.call(*call, env={"ZOO_DOCKER_ARGS": more}).options

        assert options[-6:] == [
            *("--mount", "type=bind,source=/my cards,target=/cards"),
            *("--env", "A=b $HOME `id`", "--env", "B="),
        ]

    def test_an_open_quote_is_an_error(self, caller):
        line = one_line_error(caller.run("train.bash", "tiny", env={"ZOO_DOCKER_ARGS": "--env 'A=b"}), 2)

        assert "ZOO_DOCKER_ARGS: a quote is not closed in --env 'A=b" in line
        assert caller.recorded() == []

    def test_the_environments_part_of_a_recipe_goes_along(self, caller):
        assert "ZOO_RECIPE__SEED" in caller.call("train.bash", "x", env={"ZOO_RECIPE__SEED": "7"}).values("--env")

    def test_compose_mounts_at_the_same_places(self, caller):
        for folder in ("configs", "cards"):
            (caller.cwd / folder).mkdir()
        mounts = caller.call("train.bash", "tiny", env={"DATA_DIR": "cards"}).mounts
        compose = yaml.safe_load((ROOT / "docker/compose.yaml").read_text(encoding="utf-8"))

        for volume in compose["services"]["train"]["volumes"]:
            target, read_only = re.fullmatch(r"(?:\$\{.*?\}|\w+):([^:]+)(:ro)?", volume).groups()
            below = {only for path, (_, only) in mounts.items() if f"{path}/".startswith(f"{target}/")}
            assert below == {bool(read_only)}, target


class TestTraining:
    def test_the_command_as_it_was_typed(self, caller):
        call = caller.call("train.bash", "tiny", "data.train.options.root=/data/Dataset/my cards", "", "k=\n")

        assert call.image == "zoo-train"
        assert call.command == [
            *("zoo", "train", "--cfg", "tiny"),
            *("data.train.options.root=/data/Dataset/my cards", "", "k=\n"),
        ]

    def test_a_recipes_file_is_mounted_with_its_neighbours(self, caller, tmp_path):
        (tmp_path / "my recipe.yaml").write_text("extends: base.yaml\n")

        call = caller.call("train.bash", "../my recipe.yaml")

        assert call.mounts["/workspace/recipes"] == (tmp_path, True)
        assert call.command == ["zoo", "train", "--cfg", "recipes/my recipe.yaml"]

    def test_a_recipes_file_that_is_not_there_is_an_error(self, caller):
        assert "tiny.yaml: no such recipe" in one_line_error(caller.run("train.bash", "tiny.yaml"), 2)

    def test_the_newest_run_goes_on(self, caller, make_run):
        make_run(time="2026-01-02_03-04-05")
        make_run(time="2026-01-02_03-04-06")

        call = caller.call("train.bash", "tiny", "--resume", "--max-time", "5m")

        # zoo takes the one that was trained last.
        run = ("--run", "runs/tiny")
        assert call.command == ["zoo", "train", *run, "--resume", "--max-time", "5m"]

    @pytest.mark.parametrize("words", [["-o", "{}"], ["-o{}"], ["--output", "{}"], ["--output={}"]])
    @pytest.mark.parametrize("folder", ["../my runs/one", "/{tmp}/my runs/one/"])
    def test_a_run_in_a_folder_of_this_host_stays(self, caller, tmp_path, words, folder):
        words = [word.format(folder.format(tmp=tmp_path)) for word in words]

        call = caller.call("train.bash", "tiny", "seed=1", *words, "--max-time", "5m")

        assert call.mounts[f"/workspace/host{tmp_path}/my runs"] == (tmp_path / "my runs", False)
        # What docker makes itself is root's.
        assert (tmp_path / "my runs").is_dir()
        option = "--output" if words[0].startswith("--") else "-o"
        assert call.command[4:] == ["seed=1", option, f"host{tmp_path}/my runs/one", "--max-time", "5m"]

    @pytest.mark.parametrize("folder", ["../my runs/one", "runs/tiny/mine", "../some where/runs/mine"])
    def test_a_run_is_seen_at_one_place_when_it_starts_and_when_it_goes_on(self, caller, make_run, folder):
        make_run()
        assert caller.run("train.bash", "tiny", "-o", folder).returncode == 0
        (caller.cwd / folder).mkdir(parents=True)
        (caller.cwd / folder / "recipe.yaml").write_text("{}")
        assert caller.run("train.bash", "tiny", "--resume", "--run", folder).returncode == 0
        assert caller.run("to_onnx.bash", "tiny", "--run", folder, "-o", f"{folder}/one.onnx").returncode == 0

        start, resumed, exported = caller.recorded()
        seen = start.command[start.command.index("-o") + 1]
        assert start.mounts == resumed.mounts
        assert resumed.command == ["zoo", "train", "--run", seen, "--resume"]
        assert exported.command == ["zoo", "export", "--simplify", "--run", seen, "-o", f"{seen}/one.onnx"]
        for call in (start, exported):
            assert (call.host_path(seen)).samefile(caller.cwd / folder)

    def test_folders_of_the_same_name_are_not_confused(self, caller, make_run, tmp_path):
        run = make_run(root=tmp_path / "a")

        call = caller.call("to_onnx.bash", "tiny", "--run", str(run), "-o", "../b/2026-01-02_03-04-05")

        assert call.host_path(call.command[4]) == run
        assert call.host_path(call.command[6]) == tmp_path / "b/2026-01-02_03-04-05"

    @pytest.mark.parametrize("words", [["-o"], ["--output="], ["seed=1", "--run", ""]])
    def test_an_option_without_its_folder_is_an_error(self, caller, words):
        assert "needs a folder" in one_line_error(caller.run("train.bash", "tiny", *words), 2)
        assert caller.recorded() == []

    def test_a_run_of_another_folder_goes_on(self, caller, make_run, tmp_path):
        run = make_run(root=tmp_path / "elsewhere")

        call = caller.call("train.bash", "tiny", "--resume", "--run", str(run))

        assert call.mounts[f"/workspace/host{run.parent}"] == (run.parent, False)
        assert call.command == ["zoo", "train", "--run", f"host{run}", "--resume"]

    def test_a_run_without_resume_is_an_error(self, caller, make_run):
        run = make_run()

        assert "--run names a run to --resume" in one_line_error(caller.run("train.bash", "tiny", f"--run={run}"), 2)

    def test_gpus_are_used_where_there_are_some(self, caller):
        caller.add_gpu()

        call = caller.call("train.bash", "tiny", env={"FAKE_RUNTIMES": '{"nvidia":{},"runc":{}}'})

        assert call.values("--gpus") == ["all"]

    def test_without_gpus_it_trains_on_the_cpu(self, caller):
        assert "--gpus" not in caller.call("train.bash", "tiny").options

    @pytest.mark.parametrize("gpus", ["none", '"device=0,1"'])
    def test_gpus_can_be_chosen(self, caller, gpus):
        caller.add_gpu()
        (caller.bin / "nvidia-container-runtime-hook").symlink_to("/bin/true")

        call = caller.call("train.bash", "tiny", env={"GPUS": gpus})

        assert call.values("--gpus") == ([] if gpus == "none" else [gpus])

    def test_a_missing_nvidia_runtime_is_said_in_a_line(self, caller):
        caller.add_gpu()

        line = one_line_error(caller.run("train.bash", "tiny", env={"FAKE_RUNTIMES": '{"runc":{}}'}), 4)

        assert "no nvidia runtime" in line
        assert caller.recorded() == []

    def test_several_nodes_meet_by_torchrun(self, caller):
        from torch.distributed.run import parse_args

        caller.add_gpu()
        nodes = {"NNODES": "2", "RDZV_ENDPOINT": "first:29500", "RDZV_ID": "42", "FAKE_RUNTIMES": '{"nvidia":{}}'}

        call = caller.call("train.bash", "tiny", "seed=1", env=nodes)

        assert call.values("--network") == ["host"]
        assert call.command[0] == "torchrun"
        understood = parse_args(call.command[1:])
        assert (understood.nnodes, understood.nproc_per_node, understood.rdzv_id) == ("2", "gpu", "42")
        assert (understood.rdzv_backend, understood.rdzv_endpoint) == ("c10d", "first:29500")
        assert understood.no_python
        assert [understood.training_script, *understood.training_script_args] == [
            *("zoo", "train", "--cfg", "tiny", "seed=1", "trainer.num_nodes=2")
        ]

    def test_several_nodes_resume_a_run(self, caller, make_run):
        from torch.distributed.run import parse_args

        make_run()
        call = caller.call("train.bash", "tiny", "--resume", env={"NNODES": "2", "RDZV_ENDPOINT": "first:29500"})

        # Without two dashes before the program, torchrun takes --run for an abbreviation of --run-path.
        understood = parse_args(call.command[1:])
        assert understood.training_script == "zoo"
        assert "--run" in understood.training_script_args

    def test_several_nodes_need_a_place_to_meet(self, caller):
        assert "RDZV_ENDPOINT" in one_line_error(caller.run("train.bash", "tiny", env={"NNODES": "2"}), 2)

    def test_slurm_starts_one_container_a_node(self, caller):
        caller.add_program("scontrol", HOSTNAMES)
        caller.add_program("srun", '#!/usr/bin/env bash\nexec "$@"\n')
        slurm = {
            "SLURMD_NODENAME": "node4",
            "SLURM_NNODES": "2",
            "SLURM_JOB_NODELIST": "node[3-4]",
            "SLURM_JOB_ID": "77",
        }

        call = caller.call("slurm.sbatch", "tiny", "k=a b", env={**slurm, "SLURM_SUBMIT_DIR": str(ROOT)})

        assert call.command[call.command.index("--rdzv-endpoint") + 1] == "node3:29500"
        assert call.command[call.command.index("--rdzv-id") + 1] == "77"
        assert call.command[call.command.index("--local-addr") + 1] == "node4"
        assert call.command[call.command.index("zoo") :][2:5] == ["--cfg", "tiny", "k=a b"]
        assert call.command[-1] == "trainer.num_nodes=2"


class TestSecrets:
    @pytest.mark.parametrize("dry", ["0", "1"])
    @pytest.mark.parametrize("script", ["train.bash", "push.bash"])
    def test_a_token_goes_by_name(self, caller, make_run, script, dry):
        make_run()

        result = caller.run(script, "tiny", env={"HF_TOKEN": "hf_secret", "DRY_RUN": dry})

        assert result.returncode == 0
        (words,) = [shlex.split(result.stdout)] if dry == "1" else caller.recorded()
        assert words[words.index("HF_TOKEN") - 1] == "--env"
        assert "hf_secret" not in result.stdout + result.stderr + " ".join(words)

    def test_a_stored_login_is_mounted_as_a_file(self, caller, make_run):
        make_run()
        token = caller.home / ".cache/huggingface/token"
        token.parent.mkdir(parents=True)
        token.write_text("hf_secret")

        call = caller.call("push.bash", "tiny")

        assert call.mounts["/run/secrets/hf_token"] == (token, True)
        assert "HF_TOKEN_PATH=/run/secrets/hf_token" in call.values("--env")
        # The folder that holds it is not: only its caches are.
        assert token.parent not in [source for source, _ in call.mounts.values()]

    def test_an_export_gets_no_token(self, caller, make_run):
        make_run()

        assert "HF_TOKEN" not in caller.call("to_onnx.bash", "tiny", env={"HF_TOKEN": "hf_secret"})


class TestExportAndPush:
    @pytest.mark.parametrize(
        ("script", "command"), [("to_onnx.bash", ["zoo", "export", "--simplify"]), ("push.bash", ["zoo", "push"])]
    )
    @pytest.mark.parametrize("recipe", ["tiny", "some/where/tiny.yaml"])
    def test_a_run_of_the_recipe_which_one_is_zoos_to_say(self, caller, make_run, script, command, recipe):
        make_run()
        make_run("other", time="2027-01-01_00-00-00")

        call = caller.call(script, recipe, "k=a b")

        assert call.image == "zoo-train"
        assert call.command == [*command, "--run", "runs/tiny", "k=a b"]
        assert "--gpus" not in call.options

    @pytest.mark.parametrize("words", [[], ["--run", "good"], ["--run=tiny/old"], ["--run", "runs/tiny"]])
    def test_zoo_finds_the_run_that_it_would_find_on_the_host(self, caller, zoo, words):
        """The latest by its record, not by its name; a tag; a name below runs/."""
        for name, hour in (("zzz", 1), ("old", 2), ("aaa", 3)):
            folder = caller.cwd / "runs/tiny" / name
            folder.mkdir(parents=True)
            (folder / "recipe.yaml").write_text("{}")
            (folder / "record.json").write_text(json.dumps({"created": f"2026-01-01T0{hour}:00:00+00:00"}))
        zoo("runs", "tag", "runs/tiny/old", "good", check=0, cwd=caller.cwd)

        call = caller.call("to_onnx.bash", "tiny", *words)

        named = call.command[call.command.index("--run") + 1]
        shown = json.loads(zoo("runs", "show", named, "--json", check=0, cwd=caller.cwd).stdout)
        assert shown["run"]["path"] == f"runs/tiny/{'old' if 'good' in words or '--run=tiny/old' in words else 'aaa'}"

    @pytest.mark.parametrize("script", ["to_onnx.bash", "push.bash"])
    def test_a_run_that_is_named(self, caller, make_run, tmp_path, script):
        make_run()
        run = make_run(root=tmp_path / "elsewhere")

        call = caller.call(script, "tiny", "--run", str(run), "k=v")

        assert call.mounts[f"/workspace/host{run.parent}"] == (run.parent, False)
        assert call.command[-3:] == ["--run", f"host{run}", "k=v"]

    @pytest.mark.parametrize("script", ["to_onnx.bash", "push.bash"])
    def test_a_named_folder_that_holds_no_run_is_an_error(self, caller, tmp_path, script):
        assert "not a run folder" in one_line_error(caller.run(script, "tiny", "--run", str(tmp_path)), 2)

    @pytest.mark.parametrize("script", ["to_onnx.bash", "push.bash"])
    def test_a_recipe_without_a_run_is_an_error(self, caller, script):
        # One that has not begun yet holds no recipe.
        (caller.cwd / "runs/tiny/2026-01-02_03-04-07").mkdir(parents=True)

        assert f"no run of tiny below {caller.cwd}/runs" in one_line_error(caller.run(script, "tiny"), 2)


class TestBuild:
    def test_both_images(self, caller):
        assert caller.run("build.bash", "--no-cache", "--label", "a=b c").returncode == 0

        light, training = caller.recorded()
        for call, target, image in ((light, "inference", "zoo-infer"), (training, "training", "zoo-train")):
            assert call[0] == "build"
            assert call[call.index("--target") + 1] == target
            assert call[call.index("--tag") + 1] == image
            assert call[call.index("--file") + 1] == str(ROOT / "docker/Dockerfile")
            assert call[-4:] == ["--no-cache", "--label", "a=b c", str(ROOT)]

    def test_the_second_is_not_built_where_the_first_fails(self, caller):
        assert caller.run("build.bash", env={"FAKE_EXIT": "3"}).returncode == 3
        assert len(caller.recorded()) == 1

    def test_what_they_are_built_on_can_be_chosen(self, caller):
        from zoo import __version__

        chosen = {"BASE_IMAGE": "debian/mine", "TORCH_VERSION": "2.9.1", "TRAIN_IMAGE": "zoo-mine:1"}
        call = caller.call("build.bash", "training", env=chosen)

        given = [value for name, value in pairwise(call) if name == "--build-arg"]
        assert {"BASE_IMAGE=debian/mine", "TORCH_VERSION=2.9.1", f"VERSION={__version__}"} <= set(given)
        assert call[call.index("--tag") + 1] == "zoo-mine:1"
