# shellcheck shell=bash
# What the scripts beside this file share. They source it; on its own it does nothing.
# shellcheck disable=SC2034,SC2154 # the names that it sets are used there, and `root` is set there
runs=${RUNS_DIR:-$PWD/runs}
train_image=${TRAIN_IMAGE:-zoo-train}
infer_image=${INFER_IMAGE:-zoo-infer}
options=()

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

# Recipes are found by name as by zoo itself: those of the caller's folder, then the checkout's, which lie over the
# image's copies, so that an edited one is never the image's.
bind_recipes() {
    local own=${CONFIGS_DIR:-configs}
    [[ -z ${CONFIGS_DIR:-} || -d $own ]] || fail 2 "CONFIGS_DIR=$own: no such folder"
    [[ ! -d $own ]] || bind "$(realpath -- "$own")" /workspace/configs ,readonly
    [[ ! -d $root/configs ]] || bind "$root/configs" /usr/share/zoo/configs ,readonly
}

# LIVE_SOURCE=1: the checkout's packages instead of the image's, to try a change without a build.
add_source() {
    [[ ${LIVE_SOURCE:-0} != 0 ]] || return 0
    bind "$root" /source ,readonly
    options+=(--env PYTHONPATH=/source/core:/source/zoo:/source/plugins --env PYTHONDONTWRITEBYTECODE=1)
}

# ZOO_DOCKER_ARGS: more options of docker run, last, so that they prevail; in quotes as for a shell, which expands nothing.
add_more_options() {
    local words more
    words=$(xargs -r -n 1 printf '%s\n' <<<"${ZOO_DOCKER_ARGS:-}" 2>/dev/null) \
        || fail 2 "ZOO_DOCKER_ARGS: a quote is not closed in $ZOO_DOCKER_ARGS"
    [[ -n $words ]] || return 0
    mapfile -t more <<<"$words"
    options+=("${more[@]}")
}

# What each container gets: the caller's ids, runs, recipes, data and caches.
set_common_options() {
    options+=(
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
    bind_recipes
    if [[ -n ${DATA_DIR:-} ]]; then
        [[ -d $DATA_DIR ]] || fail 2 "DATA_DIR=$DATA_DIR: no such folder"
        bind "$(realpath -- "$DATA_DIR")" /data/Dataset ,readonly
    elif [[ -d /data/Dataset ]]; then
        bind /data/Dataset /data/Dataset ,readonly
    fi
    add_source
}

# Set `arguments` to these words for zoo. The folder that -o, --output or --run names is this host's, and mounted, as
# what is written elsewhere is gone with the container. With --run `run` is that folder, or a tag.
take_arguments() {
    arguments=() run=
    while (($#)); do
        case $1 in
            -o | --output | --run)
                (($# > 1)) || fail 2 "$1 needs a folder"
                take_folder "$1" "$2"
                shift
                ;;
            --output=* | --run=*) take_folder "${1%%=*}" "${1#*=}" ;;
            -o?*) take_folder -o "${1#-o}" ;;
            *) arguments+=("$1") ;;
        esac
        shift
    done
}

# take_folder OPTION FOLDER: see take_arguments. What is no folder here is a run's tag, or its name below runs/.
take_folder() {
    [[ -n $2 ]] || fail 2 "$1 needs a folder"
    if [[ $1 != --run ]]; then
        mount_folder "$2" bind_own
        arguments+=("$1" "$mounted")
    elif has_runs "$2"; then
        mount_folder "$2" bind
        run=$mounted
    else
        # A tag has no slash.
        [[ $2 != */* || ! -d $2 || -d $runs/$2 ]] || fail 2 "$2: not a run folder (it holds no recipe.yaml)"
        run=$2
    fi
}

# mount_folder FOLDER BIND: set `mounted` to FOLDER as the container sees it, always at the same place: below runs/ where
# it lies there, else below host/ by its path. BIND mounts what holds it.
mount_folder() {
    local folder below
    folder=$(realpath -m -- "$1")
    below=$(realpath -m -- "$runs")/
    if [[ $folder == "$below"* ]]; then
        mounted=runs/${folder#"$below"}
    else
        mounted=host$folder
        "$2" "$(dirname -- "$folder")" "/workspace/$(dirname -- "$mounted")"
    fi
}

# has_runs FOLDER: is it a run, or a folder of runs?
has_runs() {
    local recipe
    for recipe in "$1"/recipe.yaml "$1"/*/recipe.yaml "$1"/*/*/recipe.yaml; do
        [[ ! -f $recipe ]] || return 0
    done
    return 1
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

# Unless --run named one, set `run` to the folder of recipe $1's runs: zoo takes the one that was trained last.
find_run() {
    [[ -z $run ]] || return 0
    local name
    name=$(basename -- "$1")
    name=${name%.yaml}
    name=${name%.yml}
    has_runs "$runs/$name" || fail 2 "there is no run of $name below $runs; train one by docker/train.bash, or set RUNS_DIR"
    run=runs/$name
}
