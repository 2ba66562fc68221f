#!/usr/bin/env bash
# Builds both images and uses them from end to end, by the scripts of docker/ and the double of docker in engine/.
# Needs root, debootstrap, buildah and a package index; some 15 GB and minutes. Prints times and sizes, and stops at the
# first thing that is not as it should be.
#   BASE_IMAGE     an image to build on [a Debian by debootstrap, with this host's certificates]
#   PIP_CONF       a pip.conf for the builds, which no image keeps [/etc/pip.conf, where there is one]
#   WHEELS         a folder of wheels that the builds see as /wheels
#   TORCH_VERSION  [the newest]
#   STORAGE        a folder that keeps images and caches, so that a second run builds in seconds [a new one, removed]
#   STORAGE_DRIVER [overlay]; vfs works everywhere, and copies each layer whole
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(cd -- "$here/../.." && pwd)
work=$(mktemp -d)
storage=${STORAGE:-$work/storage}
mkdir -p "$storage/tmp"
cat >"$work/storage.conf" <<END
[storage]
driver = "${STORAGE_DRIVER:-overlay}"
graphroot = "$storage/images"
runroot = "$work/containers"
END
# None of the host's images is seen, and caches of builds lie in TMPDIR.
export CONTAINERS_STORAGE_CONF=$work/storage.conf TMPDIR=$storage/tmp
unset STORAGE_DRIVER
export PATH=$here/engine:$PATH TRAIN_IMAGE=zoo-test-train INFER_IMAGE=zoo-test-infer
export DATA_DIR=$work/data RUNS_DIR=$work/runs HOME=$work/home XDG_CACHE_HOME=$work/cache HF_HOME=$work/cache/huggingface
unset HF_TOKEN HF_ENDPOINT

finish() {
    local code=$?
    [[ $code == 0 ]] || tail -n 40 "$work/log" >&2
    buildah rm --all >/dev/null || true
    rm -rf "$work"
    exit "$code"
}
trap finish EXIT

# step NAME COMMAND ...: run it, and print how long it took.
step() {
    local name=$1 start=${EPOCHREALTIME/./} end code
    shift
    # Its own shell, in no condition: otherwise bash goes on after what fails within a function.
    set +e
    (set -e; "$@") >"$work/log" 2>&1
    code=$?
    set -e
    end=${EPOCHREALTIME/./}
    [[ $code == 0 ]] || { echo "FAILED $name" >&2; exit 1; }
    printf '%-60s %7.1f s\n' "$name" "$(((end - start) / 100000))e-1"
}

# gives CODE COMMAND ...: it has to end with this exit code.
gives() {
    local expected=$1 code=0
    shift
    "$@" || code=$?
    [[ $code == "$expected" ]] || { echo "exit code $code instead of $expected: $*"; return 1; }
}

make_base() {
    debootstrap --variant=minbase --include=python3,python3-venv,python3-pip bookworm "$work/base"
    rm -rf "$work"/base/var/cache/apt/archives/*.deb "$work"/base/var/lib/apt/lists/*
    mkdir -p "$work/base/etc/ssl/certs"
    cp /etc/ssl/certs/ca-certificates.crt "$work/base/etc/ssl/certs/"
    local container
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$work/base" /
    buildah commit --quiet --rm "$container" localhost/zoo-test-base
    rm -rf "$work/base"
}

build() {
    "$1/docker/build.bash" "$2" --secret "id=pip.conf,src=$work/pip.conf" >"$work/build" 2>&1 || { cat "$work/build"; return 1; }
}

rebuild() {
    mkdir "$work/checkout"
    cp -a "$root"/{LICENSE,README.md,configs,core,docker,plugins,pyproject.toml,zoo,.dockerignore} "$work/checkout"
    echo "# $EPOCHREALTIME" >>"$work/checkout/zoo/zoo/atomic.py"
    build "$work/checkout" inference
    # Dependencies come from the cache, and the wheel does not.
    grep -A1 -- 'pip install --requirement' "$work/build" | grep -- '--> Using cache'
    grep 'Successfully installed plugzoo' "$work/build"
}

size() {
    buildah images --format '{{.Size}}' "$1" | sed -n 1p
}

light() {
    docker run "$@" "$INFER_IMAGE" zoo doctor | tee "$work/doctor"
    grep -E 'torch +not installed' "$work/doctor"
}

full() {
    docker run "$TRAIN_IMAGE" zoo doctor | tee "$work/doctor"
    grep -E 'train +installed' "$work/doctor"
    docker run "$TRAIN_IMAGE" tensorboard --version
}

contents() {
    local image
    for image in "$TRAIN_IMAGE" "$INFER_IMAGE"; do
        docker run "$image" grep '"name": "plugzoo"' /usr/share/zoo/sbom.cdx.json
        gives 1 docker run "$image" grep -r "$secret" /etc /root /home /opt/zoo/bin /run /tmp /usr/share /var /workspace
        gives 1 grep "$secret" <(buildah inspect "localhost/$image")
        # Nothing that a build leaves behind.
        docker run "$image" find /cache /home /root /tmp /workspace /var/cache/apt /var/lib/apt/lists -type f -size +10k >"$work/left"
        [[ ! -s $work/left ]] || { cat "$work/left"; return 1; }
        buildah inspect "localhost/$image" | grep 'org.opencontainers.image.version": "[0-9]'
    done
}

draw() {
    mkdir -p "$DATA_DIR"
    docker run --mount "type=bind,source=$DATA_DIR,target=/data/Dataset" --mount "type=bind,source=$here,target=/tests,readonly" \
        "$TRAIN_IMAGE" python /tests/pictures.py /data/Dataset
}

# The image has fonts for the names of classes in any script, and puts Arabic in order.
scripts() {
    local name
    for name in 北京 서울 東京カード قاهرة กรุงเทพ दिल्ली; do
        mkdir -p "$work/preview/scripts/$name"
        find "$DATA_DIR" -name '*.png' | sort | sed -n 1,2p | xargs cp -t "$work/preview/scripts/$name"
    done
    docker run --mount "type=bind,source=$work/preview,target=/workspace" --mount "type=bind,source=$here,target=/tests,readonly" \
        "$TRAIN_IMAGE" zoo data preview --cfg /tests/tiny.yaml data.train.options.root=scripts -o scripts.png 2>&1 | tee "$work/answer"
    grep 'written: scripts.png (6 of 6 classes)' "$work/answer"
    gives 1 grep 'no installed font' "$work/answer"
}

# All below the mounted folders belongs to the ids, and the data still to root.
owned() {
    local strangers
    strangers=$(find "$RUNS_DIR" "$XDG_CACHE_HOME" ! -uid 1234 -o ! -gid 2345)
    [[ -z $strangers ]] || { echo "not 1234:2345: $strangers"; return 1; }
    [[ -z $(find "$DATA_DIR" ! -uid 0) ]]
}

train() {
    # Elsewhere the caller is who writes; here root calls for somebody else, whose folders these are.
    install -d -o 1234 -g 2345 "$RUNS_DIR" "$XDG_CACHE_HOME" "$XDG_CACHE_HOME/zoo" "$HF_HOME" "$HF_HOME/hub"
    bash "$root/docker/train.bash" "$here/tiny.yaml" 'card.summary=two words' "$@"
    [[ -f $(echo "$RUNS_DIR"/tiny/*/checkpoints/best.ckpt) ]]
    grep 'summary: two words' "$RUNS_DIR"/tiny/*/recipe.yaml
    owned
}

# As docker/compose.yaml starts it: nobody, and runs that it can only read.
tensorboard() {
    # shellcheck disable=SC2016 # the container's shell expands it
    docker run --env USER_ID=65534 --env GROUP_ID=65534 --mount "type=bind,source=$RUNS_DIR,target=/workspace/runs,readonly" \
        "$TRAIN_IMAGE" timeout 60 bash -c '
            tensorboard --logdir runs --bind_all --port 16006 &
            until python -c "import urllib.request as u; print(u.urlopen(\"http://localhost:16006/data/runs\").read())"; do
                sleep 1
            done
            kill $!' | grep 'tiny/.*/tensorboard'
}

read_only() {
    local mount="type=bind,source=$DATA_DIR,target=/data/Dataset,readonly"
    gives 1 docker run --mount "$mount" "$TRAIN_IMAGE" touch /data/Dataset/file 2>&1 | tee "$work/answer"
    grep 'Read-only file system' "$work/answer"
}

export_graph() {
    bash "$root/docker/to_onnx.bash" tiny
    [[ -s $(echo "$RUNS_DIR"/tiny/*/artifact/onnx/model.onnx) ]]
    owned
}

exit_codes() {
    gives 2 bash "$root/docker/train.bash" nonesuch
    gives 3 bash "$root/docker/train.bash" "$here/tiny.yaml" model.head.options.embed_dim=-1
    gives 127 docker run "$TRAIN_IMAGE" nonesuch
    gives 127 docker run --env USER_ID=1234 --env GROUP_ID=2345 "$TRAIN_IMAGE" nonesuch
}

# Ctrl-C keeps the last step, and the training goes on from there.
interrupt() {
    bash "$root/docker/train.bash" "$here/tiny.yaml" trainer.max_epochs=100000 data.loader.num_workers=0 &
    local caller=$! process
    until compgen -G "$RUNS_DIR/tiny/*/recipe.yaml" >/dev/null; do
        kill -0 "$caller"
        sleep 0.5
    done
    sleep 5
    process=$(pgrep --uid 1234 --oldest --full 'zoo train')
    kill -INT "$process"
    gives 130 wait "$caller"
    [[ -f $(echo "$RUNS_DIR"/tiny/*/checkpoints/last.ckpt) ]]
    bash "$root/docker/train.bash" tiny --resume --max-time 5s
    owned
}

two_nodes() {
    local node nodes=()
    for node in 1 2; do
        NNODES=2 RDZV_ENDPOINT=localhost:29517 NODE_ADDR=localhost bash "$root/docker/train.bash" "$here/tiny.yaml" &
        nodes+=($!)
    done
    for node in "${nodes[@]}"; do
        wait "$node"
    done
    # Two trained, one wrote.
    [[ $(compgen -G "$RUNS_DIR/tiny/*" | wc -l) == 1 ]]
    grep '"images_per_step": 32' "$RUNS_DIR"/tiny/*/record.json
    owned
}

# From the folder above a checkout: a recipe of the caller's own, which extends one of the checkout's that was edited.
parent_folder() {
    local project=$work/projects/PROJECT
    mkdir -p "$project" "$work/projects/configs"
    cp -a "$root"/{configs,core,docker,plugins,pyproject.toml,zoo} "$project"
    cp "$here/tiny.yaml" "$work/projects/configs/mine.yaml"
    printf '\nseed: 77\n' >>"$project/configs/lcnet050_cosface_96.yaml"
    cd "$work/projects"
    install -d -o 1234 -g 2345 "kept here"
    bash PROJECT/docker/train.bash mine -o "kept here/one"
    grep 'seed: 77' "$work/projects/kept here/one/recipe.yaml"
    [[ -f "kept here/one/checkpoints/best.ckpt" ]]
    [[ -z $(find "kept here" ! -uid 1234 -o ! -gid 2345) ]]
    bash PROJECT/docker/to_onnx.bash mine --run "kept here/one"
    [[ -s "kept here/one/artifact/onnx/model.onnx" ]]
}

# Source that no image has, a mount and a variable of the caller's.
live_source() {
    local project=$work/projects/PROJECT
    echo 'print("live source at work")' >>"$project/zoo/zoo/__init__.py"
    cd "$work/projects"
    export ZOO_DOCKER_ARGS="--env 'ZOO_RECIPE__card__summary=of the caller'
        --mount 'type=bind,source=$DATA_DIR,target=/my scans,readonly'"
    LIVE_SOURCE=1 bash PROJECT/docker/train.bash mine -o "kept here/two" 'data.train.options.root="/my scans"' | tee "$work/answer"
    grep 'live source at work' "$work/answer"
    grep 'summary: of the caller' "kept here/two/recipe.yaml"
}

# As Apptainer runs it: by nobody known, with a cache and the current folder of their own.
without_ids() {
    install -d -o 1234 -g 2345 "$work/own" "$work/own/cache"
    docker run --user 1234:2345 --mount "type=bind,source=$work/own/cache,target=/cache" \
        --mount "type=bind,source=$work/own,target=/workspace" --mount "type=bind,source=$DATA_DIR,target=/data/Dataset,readonly" \
        --mount "type=bind,source=$here,target=/tests,readonly" "$TRAIN_IMAGE" zoo train --cfg /tests/tiny.yaml
    [[ -f $(echo "$work/own/runs/tiny"/*/checkpoints/best.ckpt) ]]
    [[ -z $(find "$work/own" ! -uid 1234 -o ! -gid 2345) ]]
}

# The double of the Hub, for some minutes.
serve_hub() {
    docker run --mount "type=bind,source=$root/tests/zoo/publish,target=/hub,readonly" "$TRAIN_IMAGE" \
        timeout 120 python -u /hub/hub_double.py --port 0 >"$work/address" 2>/dev/null &
    local server=$!
    until HF_ENDPOINT=$(grep -o -m1 'http://[0-9.:]*' "$work/address"); do
        kill -0 "$server"
        sleep 0.5
    done
    export HF_ENDPOINT HF_TOKEN=hf_double
}

publish() {
    bash "$root/docker/push.bash" tiny --repo tester/tiny
}

predict() {
    local card
    card=$(find "$DATA_DIR" -name '*.png' | sort | sed -n 1p)
    docker run --env HF_ENDPOINT --env HF_TOKEN --env USER_ID=1234 --env GROUP_ID=2345 \
        --mount "type=bind,source=$DATA_DIR,target=/data,readonly" "$INFER_IMAGE" \
        zoo predict --model tester/tiny --gallery /data --threshold -1 "/data${card#"$DATA_DIR"}" | tee "$work/answer"
    grep "$(basename "$(dirname "$card")")" "$work/answer"
    docker run --env HF_ENDPOINT --env HF_TOKEN "$INFER_IMAGE" zoo pull tester/tiny
}

cd "$work"
mkdir "$HOME"
# No layer may hold this file; a comment in it tells.
secret=password-of-the-package-index
conf=${PIP_CONF:-/etc/pip.conf}
{
    [[ ! -f $conf ]] || cat "$conf"
    printf '\n# %s\n' "$secret"
} >"$work/pip.conf"
if [[ -z ${BASE_IMAGE:-} ]]; then
    buildah inspect localhost/zoo-test-base >/dev/null 2>&1 || step "base by debootstrap" make_base
    export BASE_IMAGE=localhost/zoo-test-base
fi
step "docker/build.bash inference" build "$root" inference
step "docker/build.bash training" build "$root" training
step "docker/build.bash inference after a change of code" rebuild
printf '%-60s %s\n' "size of the base" "$(size "$BASE_IMAGE")"
printf '%-60s %s\n' "size of the inference image" "$(size "localhost/$INFER_IMAGE")" "size of the training image" "$(size "localhost/$TRAIN_IMAGE")"

step "contents: SBOM, labels, no leftovers" contents
step "zoo doctor, inference" light
step "zoo doctor, inference, as 1234:2345" light --env USER_ID=1234 --env GROUP_ID=2345
step "zoo doctor and tensorboard, training" full
step "draw a data set" draw
step "zoo data preview, names in six scripts" scripts

# From here on the scripts are called as if by another user.
export USER_ID=1234 GROUP_ID=2345
step "docker/train.bash as 1234:2345, data read-only, owners" train
step "from the folder above: own and edited recipes, -o, --run" parent_folder
step "live source, more options of docker run" live_source
step "without ids, as Apptainer runs it" without_ids
step "data cannot be written" read_only
step "TensorBoard shows the run" tensorboard
step "docker/to_onnx.bash, owners" export_graph
serve_hub
step "docker/push.bash to a Hub on this host" publish
step "zoo predict and zoo pull, inference image" predict
step "exit codes" exit_codes
rm -rf "$RUNS_DIR"/tiny
step "Ctrl-C, then --resume" interrupt
rm -rf "$RUNS_DIR"/tiny
step "two nodes by torchrun" two_nodes
echo "all is as it should be"
