#!/usr/bin/env bash
# Builds images without a Docker engine: by buildah, on a base that debootstrap makes.
#
#   docker/images.sh gateway [training]
#
# BASE      image to build on; by default Debian with Python from its packages
# EXTRAS    of the package, instead of those that the Dockerfile names
# PIP_CONF  a pip.conf to build with, where packages come from a mirror
# MOUNTS    folders that it names, such as "/wheels /certificates"
set -euo pipefail
cd "$(dirname "$0")/.."

export BUILDAH_ISOLATION=chroot
DEBIAN=bookworm
PACKAGES=ca-certificates,python3,python3-venv
base=${BASE:-localhost/onegauge/base}

make_base() {
    local root container
    root=$(mktemp -d)
    debootstrap --variant=minbase --include="$PACKAGES" "$DEBIAN" "$root" >&2
    rm -rf "$root"/var/{cache/apt,lib/apt/lists,log}/* "$root"/usr/share/{doc,info,locale,man}/*
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$root" / >&2
    buildah commit --quiet --rm "$container" "$base" >&2
    rm -rf "$root"
}

build() {
    local options=(--build-arg "BASE=$base" --format docker --file "docker/$1.Dockerfile")
    [ -z "${EXTRAS:-}" ] || options+=(--build-arg "EXTRAS=$EXTRAS")
    [ -z "${PIP_CONF:-}" ] || options+=(--volume "$PIP_CONF:/etc/pip.conf:ro")
    for folder in ${MOUNTS:-}; do options+=(--volume "$folder:$folder:ro"); done
    buildah build-using-dockerfile "${options[@]}" --tag "localhost/onegauge/$1" .
}

if [ -z "${BASE:-}" ] && ! buildah inspect --type image "$base" >/dev/null 2>&1; then
    make_base
fi
for image in "$@"; do build "$image"; done
