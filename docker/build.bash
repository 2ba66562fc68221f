#!/usr/bin/env bash
# Builds the images: docker/build.bash [training | inference] [options of docker build ...]
#   BASE_IMAGE     a Debian or Ubuntu with Python 3.11 or newer [the Dockerfile's]
#   TORCH_VERSION  such as 2.9.1 [the newest that pip finds]
#   TRAIN_IMAGE, INFER_IMAGE  their names [zoo-train, zoo-infer];  DRY_RUN=1 prints the commands
set -euo pipefail
root=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=docker/common.bash
source "$root/docker/common.bash"

targets=(inference training)
if [[ ${1:-} == training || ${1:-} == inference ]]; then
    targets=("$1")
    shift
fi

arguments=(--build-arg "VERSION=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$root/zoo/zoo/__init__.py")")
if revision=$(git -C "$root" describe --always --dirty --abbrev=40 --match '' 2>/dev/null); then
    arguments+=(--build-arg "REVISION=$revision")
fi
for name in BASE_IMAGE TORCH_VERSION; do
    [[ -z ${!name:-} ]] || arguments+=(--build-arg "$name=${!name}")
done

need_docker
export DOCKER_BUILDKIT=1
for target in "${targets[@]}"; do
    image=$train_image
    [[ $target == training ]] || image=$infer_image
    (conclude docker build --file "$root/docker/Dockerfile" --target "$target" --tag "$image" "${arguments[@]}" "$@" "$root")
done
