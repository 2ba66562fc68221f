# shellcheck shell=bash
# What the scripts beside this file share. They source it; on its own it does nothing.
# shellcheck disable=SC2034 # the names that it sets are used there
runs=${RUNS_DIR:-$PWD/runs}
train_image=${TRAIN_IMAGE:-zoo-train}
infer_image=${INFER_IMAGE:-zoo-infer}

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    sed -n '2,${/^#/!q; s/^# //p}' "$0"
    exit
fi

# fail CODE MESSAGE: one line, and zoo's exit codes: 2 usage, 4 something is not there.
fail() {
    echo "error: $2" >&2
    exit "$1"
}

dry_run() {
    [[ ${DRY_RUN:-0} != 0 ]]
}

# Run the command in this process's place; with DRY_RUN=1 print it, quoted for a shell.
conclude() {
    dry_run || exec "$@"
    local word line=
    for word; do
        [[ $word =~ ^[A-Za-z0-9_@%+=:,./-]+$ ]] || word=${word@Q}
        line+=" $word"
    done
    echo "${line# }"
}

need_docker() {
    ! dry_run || return 0
    command -v docker >/dev/null || fail 4 "docker is not on PATH; install Docker Engine, or see the command by DRY_RUN=1"
    local answer
    answer=$(docker info 2>&1 >/dev/null) \
        || fail 4 "docker does not answer: ${answer%%$'\n'*}; does its daemon run, and are you in the group docker?"
}

# bind SOURCE TARGET [,readonly]: add a bind mount to the options. Unlike --volume it takes colons.
bind() {
    [[ $1 != *[,\"]* ]] || fail 2 "$1: docker cannot mount a path with a comma or a quote"
    options+=(--mount "type=bind,source=$1,target=$2${3:-}")
}

# bind_own SOURCE TARGET: the same for a folder that is written to. It is made here: docker would make it root's.
bind_own() {
    dry_run || mkdir -p -- "$1" || fail 1 "$1 cannot be made"
    bind "$(realpath -m -- "$1")" "$2"
}

# What each container gets: the caller's ids, runs, recipes, data and caches.
set_common_options() {
    options=(
        --rm --init --stop-timeout 60
        --shm-size "${SHM_SIZE:-8g}"
        --env "USER_ID=${USER_ID:-$(id -u)}" --env "GROUP_ID=${GROUP_ID:-$(id -g)}"
    )
    [[ ! -t 0 || ! -t 1 ]] || options+=(--interactive --tty)
    [[ -z ${CPUSET:-} ]] || options+=(--cpuset-cpus "$CPUSET")
    local name
    for name in "${!ZOO_RECIPE__@}"; do
        options+=(--env "$name")
    done

    local cache=${XDG_CACHE_HOME:-$HOME/.cache}
    hugging_face=${HF_HOME:-$cache/huggingface}
    bind_own "$runs" /workspace/runs
    bind_own "$cache/zoo" /cache/zoo
    bind_own "${HF_HUB_CACHE:-$hugging_face/hub}" /cache/huggingface/hub
    # Recipes here are found by name, as by zoo itself.
    [[ ! -d configs ]] || bind "$(realpath configs)" /workspace/configs ,readonly
    if [[ -n ${DATA_DIR:-} ]]; then
        [[ -d $DATA_DIR ]] || fail 2 "DATA_DIR=$DATA_DIR: no such folder"
        bind "$(realpath -- "$DATA_DIR")" /data/Dataset ,readonly
    elif [[ -d /data/Dataset ]]; then
        bind /data/Dataset /data/Dataset ,readonly
    fi
}

# The Hub's settings by name, so that no value stands on a command line; a stored login as a file.
add_hub_options() {
    local name
    for name in HF_TOKEN HF_ENDPOINT HF_HUB_OFFLINE; do
        [[ -z ${!name:-} ]] || options+=(--env "$name")
    done
    local file=${HF_TOKEN_PATH:-$hugging_face/token}
    if [[ -z ${HF_TOKEN:-} && -f $file ]]; then
        bind "$(realpath -- "$file")" /run/secrets/hf_token ,readonly
        options+=(--env HF_TOKEN_PATH=/run/secrets/hf_token)
    fi
}

# GPUS: all, none, or what else `docker run --gpus` takes; unset: all, where there are any.
add_gpu_options() {
    if [[ -z ${GPUS:-} ]]; then
        GPUS=none
        [[ "$(nvidia-smi --list-gpus 2>/dev/null)" != GPU* ]] || GPUS=all
    fi
    [[ $GPUS != none ]] || return 0
    options+=(--gpus "$GPUS")
    ! dry_run || return 0
    ! command -v nvidia-container-runtime-hook >/dev/null || return 0
    [[ "$(docker info --format '{{json .Runtimes}}' 2>/dev/null)" == *nvidia* ]] \
        || fail 4 "docker has no nvidia runtime; install the NVIDIA Container Toolkit, or train on the CPU with GPUS=none"
}

# Set `run` to the newest run of recipe $1, as the container sees it.
find_run() {
    local name folder newest=
    name=$(basename -- "$1")
    name=${name%.yaml}
    name=${name%.yml}
    for folder in "$runs/$name"/*/; do
        [[ ! -f $folder/recipe.yaml ]] || newest=$folder
    done
    [[ -n $newest ]] || fail 2 "there is no run of $name below $runs; train one by docker/train.bash, or set RUNS_DIR"
    run=runs/$name/$(basename -- "$newest")
}
