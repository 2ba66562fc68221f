#!/usr/bin/env bash
# Exports the latest run of a recipe in a container: docker/to_onnx.bash RECIPE [options of zoo export ...]
# Options by environment are listed in docs/docker.md; DRY_RUN=1 prints the command.
set -euo pipefail
root=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=docker/common.bash
source "$root/docker/common.bash"

(($#)) || fail 2 "which recipe? docker/to_onnx.bash RECIPE"
recipe=$1
shift

take_arguments "$@"
find_run "$recipe"
need_docker
set_common_options
add_more_options
conclude docker run "${options[@]}" "$train_image" zoo export --simplify --run "$run" "${arguments[@]}"
