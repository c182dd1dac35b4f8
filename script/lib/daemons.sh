# shellcheck shell=bash
# A private dockerd and registry with all their state below $home.

home=${DEPLOYER_ENGINE_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/deployer-engine}
socket=$home/docker.sock

# runs PIDFILE: the pid file outlives kill -9 and reboots, and its number may be somebody else's by now.
runs() {
    local pid
    pid=$(cat "$1" 2>/dev/null) || return 1
    [[ -n $pid && -r /proc/$pid/cmdline ]] || return 1
    [[ $(tr '\0' ' ' <"/proc/$pid/cmdline") == *"$home"* ]]
}

forget_dead() {
    local file
    for file in "$home"/dockerd.pid "$home"/exec/containerd/containerd.pid "$home"/registry.pid; do
        runs "$file" || rm -f "$file"
    done
}

# launch PIDFILE LOG COMMAND...: survives this shell; fd 9 is the lock, which must not live on in a daemon.
launch() {
    local pidfile=$1 log=$2
    shift 2
    setsid nohup "$@" >>"$log" 2>&1 </dev/null 9>&- &
    [[ $pidfile == - ]] || echo $! >"$pidfile"
}

# wait_until SECONDS COMMAND...
wait_until() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || return 1
        sleep 0.1
    done
}

answers() { docker ${1:+-H "$1"} version --format '{{.Server.Version}}' 2>/dev/null; }

start_dockerd() {
    mkdir -p "$home"
    forget_dead
    # Its own configuration file: the system's daemon.json is for the system's engine.
    echo '{}' >"$home/daemon.json"
    launch - "$home/dockerd.log" dockerd --config-file "$home/daemon.json" --data-root "$home/data" \
        --exec-root "$home/exec" --pidfile "$home/dockerd.pid" --host "unix://$socket"
    wait_until 60 answers "unix://$socket" && return
    tail -n 20 "$home/dockerd.log"
    return 1
}

# stop PIDFILE SECONDS
stop() {
    local pid
    runs "$1" || return 0
    pid=$(cat "$1")
    kill "$pid"
    wait_until "$2" gone "$pid" || kill -KILL "$pid"
    rm -f "$1"
}

gone() { ! kill -0 "$1" 2>/dev/null; }

taken() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

registry_port() { cat "$home/registry.port" 2>/dev/null || echo 5000; }

choose_port() {
    local port
    mkdir -p "$home"
    port=$(registry_port)
    while taken "$port"; do port=$((port + 1)); done
    echo "$port" >"$home/registry.port"
}

# By bash alone: a fresh Debian has no curl.
registry_answers() {
    local line
    line=$(
        exec 3<>"/dev/tcp/127.0.0.1/$(registry_port)"
        printf 'GET /v2/ HTTP/1.0\r\n\r\n' >&3
        read -rt 2 line <&3 && echo "$line"
    ) 2>/dev/null
    [[ $line == *" 200 "* ]]
}

registry_config() {
    # Deletion is on because tests make images disappear.
    printf '%s\n' 'version: 0.1' 'log: {level: warn}' "http: {addr: 127.0.0.1:$(registry_port)}" \
        "storage: {filesystem: {rootdirectory: $home/registry}, delete: {enabled: true}}"
}

start_registry_binary() {
    choose_port
    registry_config >"$home/registry.yml"
    launch "$home/registry.pid" "$home/registry.log" docker-registry serve "$home/registry.yml"
    wait_until 15 registry_answers && runs "$home/registry.pid" && return
    tail -n 20 "$home/registry.log"
    return 1
}

start_registry_container() {
    docker rm -f deployer-registry >/dev/null 2>&1 || true
    choose_port
    docker run -d --name deployer-registry -e REGISTRY_STORAGE_DELETE_ENABLED=true \
        -p "127.0.0.1:$(registry_port):5000" registry:2
    touch "$home/registry.container"
    wait_until 15 registry_answers && return
    docker logs --tail 20 deployer-registry
    return 1
}

registry_runs() {
    if [[ -e $home/registry.container ]]; then
        [[ $(docker inspect -f '{{.State.Running}}' deployer-registry 2>/dev/null) == true ]] && registry_answers
    else
        runs "$home/registry.pid" && registry_answers
    fi
}

start_registry() {
    forget_dead
    if command -v docker-registry >/dev/null; then
        rm -f "$home/registry.container"
        start_registry_binary
    else
        start_registry_container
    fi
}

stop_registry() {
    stop "$home/registry.pid" 10
    [[ -e $home/registry.container ]] || return 0
    docker rm -fv deployer-registry >/dev/null 2>&1 || true
    rm -f "$home/registry.container"
}

# Leftover mounts (network namespaces, overlays of a killed engine) would make rm fail halfway.
purge() {
    local mount
    awk -v home="$home/" 'index($2, home) == 1 { print $2 }' /proc/mounts | sort -r |
        while read -r mount; do umount -l "$mount"; done
    rm -rf "$home"
}
