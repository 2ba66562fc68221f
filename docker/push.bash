#!/usr/bin/env bash
# Publishes the latest run of a recipe on the Hugging Face Hub: docker/push.bash RECIPE [options of zoo push ...]
# The token is HF_TOKEN's or that of a login. Options by environment are listed in docs/docker.md; DRY_RUN=1 prints
# the command.
set -euo pipefail
root=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=docker/common.bash
source "$root/docker/common.bash"

(($#)) || fail 2 "which recipe? docker/push.bash RECIPE --repo ORG/NAME"
recipe=$1
shift

take_arguments "$@"
find_run "$recipe"
need_docker
set_common_options
add_hub_options
add_more_options
conclude docker run "${options[@]}" "$train_image" zoo push --run "$run" "${arguments[@]}"
