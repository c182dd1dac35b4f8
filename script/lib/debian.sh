# shellcheck shell=bash
# Debian only: the engine's packages, from trixie beside whatever release the machine runs.

policy=/usr/sbin/policy-rc.d

is_debian_root() {
    [[ $(id -u) == 0 && -r /etc/os-release ]] &&
        (
            # shellcheck source=/dev/null
            . /etc/os-release
            [[ " ${ID:-} ${ID_LIKE:-} " == *" debian "* ]]
        )
}

# shellcheck disable=SC2016
apt_parser='
    function put() { if (types ~ /deb/ && uri != "") print uri, key; types = uri = key = "" }
    FNR == 1 { put() }
    /^[[:space:]]*#/ { next }
    FILENAME ~ /\.sources$/ {
        if ($0 ~ /^[[:space:]]*$/) put()
        else if (tolower($1) == "types:") types = $0
        else if (tolower($1) == "uris:") uri = $2
        else if (tolower($1) == "signed-by:") key = $2
        next
    }
    $1 == "deb" {
        key = ""
        if (match($0, /signed-by=[^] ]+/)) key = substr($0, RSTART + 10, RLENGTH - 10)
        sub(/\[[^]]*\]/, "")
        print $2, key
    }
    END { put() }
'

# The machine's own apt sources as "URI SIGNED-BY" lines, both notations: its mirror is the one that
# is known to answer from here.
apt_sources() { find /etc/apt \( -name '*.sources' -o -name '*.list' \) -exec awk "$apt_parser" {} +; }

# Security and update archives carry no full release.
debian_source() { apt_sources | grep -E '/debian/? ' | head -n 1; }

debian_mirror() {
    local source
    source=$(debian_source)
    echo "${source%% *}"
}

# Pinned at 100: nothing else on the machine moves to trixie.
add_trixie() {
    local source mirror key
    source=$(debian_source)
    mirror=${source%% *} key=${source#* }
    [[ -n $mirror ]] || return 1
    printf 'Types: deb\nURIs: %s\nSuites: trixie\nComponents: main\n' "$mirror" \
        >/etc/apt/sources.list.d/deployer-trixie.sources
    [[ -z $key ]] || echo "Signed-By: $key" >>/etc/apt/sources.list.d/deployer-trixie.sources
    printf 'Package: *\nPin: release n=trixie\nPin-Priority: 100\n' \
        >/etc/apt/preferences.d/deployer-trixie
}

# The packages start a system-wide dockerd when they are installed; ours is to be the only one.
forbid_autostart() {
    # A saved file that is already there is from a run that was killed: it is the true one.
    [[ ! -e $policy || -e $policy.before-deployer ]] || mv "$policy" "$policy.before-deployer"
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
}

restore_autostart() {
    rm -f "$policy"
    [[ ! -e $policy.before-deployer ]] || mv "$policy.before-deployer" "$policy"
}

missing_packages() {
    command -v dockerd >/dev/null || echo docker.io iptables
    command -v docker >/dev/null || echo docker-cli
    docker buildx version >/dev/null 2>&1 || echo docker-buildx
    docker compose version >/dev/null 2>&1 || echo docker-compose
    command -v docker-registry >/dev/null || echo docker-registry
}

apt_install() {
    trap restore_autostart EXIT
    forbid_autostart
    apt-get -q update
    DEBIAN_FRONTEND=noninteractive apt-get -qy -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends -t trixie "$@"
    # Not started now, and not at the next boot either.
    systemctl disable docker.service docker.socket docker-registry.service containerd.service \
        >/dev/null 2>&1 || true
}

# install_packages NAME...
install_packages() {
    local packages=("$@")
    ((${#packages[@]})) || return 0
    grep -q 'VERSION_CODENAME=trixie' /etc/os-release || add_trixie ||
        die "The apt sources of this machine name no Debian mirror." \
            "Install yourself, then run this again: ${packages[*]}"
    step "install ${packages[*]}" apt_install "${packages[@]}"
}

install_engine_packages() {
    local packages
    read -ra packages <<<"$(missing_packages | tr '\n' ' ')"
    # The engine is wanted for images next, and two runs of apt cost more than one.
    command -v mmdebstrap >/dev/null || packages+=(mmdebstrap)
    install_packages "${packages[@]}"
}

install_standin_packages() {
    command -v mmdebstrap >/dev/null || install_packages mmdebstrap
}

# need_command COMMAND [PACKAGE]: something that a test or a benchmark calls, and its package on Debian.
need_command() {
    ! command -v "$1" >/dev/null || return 0
    is_debian_root || die "There is no $1 on this machine." "Install it, then run this again."
    install_packages "${2:-$1}"
}
