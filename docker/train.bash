#!/usr/bin/env bash
# Trains in a container: docker/train.bash RECIPE [key=value ...] [options of zoo train ...]
# RECIPE is a name or a file; with --resume its latest run goes on. Options by environment are listed in docs/docker.md;
# DRY_RUN=1 prints the command.
set -euo pipefail
root=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=docker/common.bash
source "$root/docker/common.bash"

(($#)) || fail 2 "which recipe? docker/train.bash RECIPE [key=value ...]"
recipe=$1
shift

need_docker
set_common_options
take_arguments "$@"
add_hub_options
add_gpu_options

# A file's folder is mounted, so that it can extend its neighbours.
if [[ $recipe == */* || $recipe == *.yaml || $recipe == *.yml ]]; then
    [[ -f $recipe ]] || fail 2 "$recipe: no such recipe file"
    bind "$(realpath -- "$(dirname -- "$recipe")")" /workspace/recipes ,readonly
    recipe=recipes/$(basename -- "$recipe")
fi

command=(zoo train --cfg "$recipe" "${arguments[@]}")
if [[ " $* " == *" --resume "* ]]; then
    find_run "$recipe"
    command=(zoo train --run "$run" "${arguments[@]}")
elif [[ -n $run ]]; then
    fail 2 "--run names a run to --resume; a new one goes to --output DIR"
fi
if ((${NNODES:-1} > 1)); then
    [[ -n ${RDZV_ENDPOINT:-} ]] || fail 2 "NNODES=$NNODES needs RDZV_ENDPOINT=HOST:PORT, the same on all nodes"
    processes=gpu
    [[ $GPUS != none ]] || processes=1
    options+=(--network host)
    [[ -z ${NODE_ADDR:-} ]] || address=(--local-addr "$NODE_ADDR")
    command=(
        torchrun --nnodes "$NNODES" --nproc-per-node "$processes"
        --rdzv-backend c10d --rdzv-endpoint "$RDZV_ENDPOINT" --rdzv-id "${RDZV_ID:-zoo}"
        ${address[@]+"${address[@]}"}
        --no-python -- "${command[@]}" "trainer.num_nodes=$NNODES"
    )
fi
add_more_options
conclude docker run "${options[@]}" "$train_image" "${command[@]}"
