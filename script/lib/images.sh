# shellcheck shell=bash
# The base images that the project's Dockerfiles start from: pulled, or else built from Debian packages.

: "${home:?from daemons.sh}" "${here:?from the calling script}"

base_images=(node:20-alpine nginx:alpine python:3.13-slim haproxy:3.0-alpine)

missing_images() {
    local image
    for image in "${base_images[@]}"; do
        docker image inspect "$image" >/dev/null 2>&1 || echo "$image"
    done
}

# Where a stand-in can be built a silent registry must not hold everybody up; elsewhere a slow line may.
pull_limit() { if is_debian_root; then echo 20; else echo 900; fi; }

limited() {
    if command -v timeout >/dev/null; then timeout "$@"; else shift && "$@"; fi
}

# Failures are no error yet: what is still missing afterwards decides.
pull_images() {
    local image
    for image in "$@"; do
        limited "$(pull_limit)" docker pull -q "$image" >"$pull_log" 2>&1 || true &
    done
    wait
}

make_rootfs() {
    rm -f "$home/rootfs.part.tar"
    # Its programs run from the temporary folder, and /tmp is mounted noexec on many servers.
    TMPDIR=$home mmdebstrap --mode=root --variant=minbase --include=ca-certificates trixie \
        "$home/rootfs.part.tar" "$(debian_mirror)"
    mv "$home/rootfs.part.tar" "$home/rootfs.tar"
}

import_rootfs() { docker import "$home/rootfs.tar" deployer-standin:rootfs; }

# build_standins TARGET...
build_standins() {
    local context=$home/standin
    rm -rf "$context"
    mkdir -p "$context/certs"
    cp "$here"/standin/* "$context"
    find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$context/certs" \;
    cd "$context" || return
    docker buildx bake --progress plain --load -f bake.hcl "$@"
}

standins() {
    local images=("$@")
    install_standin_packages
    if ! docker image inspect deployer-standin:rootfs >/dev/null 2>&1; then
        [[ -s $home/rootfs.tar ]] || step "bootstrap a Debian for stand-ins" make_rootfs
        step "import it" import_rootfs
    fi
    step "build stand-ins for ${images[*]}" build_standins "${images[@]%%:*}"
}

ensure_images() {
    local missing=()
    mkdir -p "$home"
    pull_log=$home/pull.log
    read -ra missing <<<"$(missing_images | tr '\n' ' ')"
    ((${#missing[@]})) || return 0
    step "pull ${missing[*]}" pull_images "${missing[@]}"
    read -ra missing <<<"$(missing_images | tr '\n' ' ')"
    ((${#missing[@]})) || return 0
    is_debian_root ||
        die "These images cannot be pulled: ${missing[*]}: $(tail -n 1 "$pull_log")" \
            "Check the network and the registry login, then run this again."
    standins "${missing[@]}"
}
