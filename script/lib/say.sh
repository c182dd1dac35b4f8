# shellcheck shell=bash
# One look for all scripts: a line per long step with its time, colour only on a terminal.
# Everything goes to stderr, because stdout belongs to results such as `script/engine env`.

# shellcheck disable=SC2034
if [[ -t 2 && -z ${NO_COLOR:-} ]]; then
    red=$'\e[31m' green=$'\e[32m' dim=$'\e[2m' plain=$'\e[0m'
else
    red='' green='' dim='' plain=''
fi

# Tenths of a second; whole seconds on a bash that is older than 5.
tenths() {
    if [[ -n ${EPOCHREALTIME:-} ]]; then
        echo $((${EPOCHREALTIME/[.,]/} / 100000))
    else
        echo $((SECONDS * 10))
    fi
}

# since START: the time that passed, for people.
since() {
    local t=$(($(tenths) - $1))
    echo "$((t / 10)).$((t % 10)) s"
}

say() { printf '%s\n' "$*" >&2; }

# die WHAT-HAPPENED WHAT-TO-DO-NEXT
die() {
    say "${red}${1}${plain}"
    [[ $# -lt 2 ]] || say "  $2"
    exit 1
}

# step WHAT COMMAND...: the command's output appears only when it fails, and then the script ends.
# Never call it in a condition: bash would ignore errors inside the command.
step() {
    local what=$1 log start code=0
    shift
    log=$(mktemp)
    start=$(tenths)
    printf '%s … ' "$what" >&2
    set +e
    (
        set -e
        "$@"
    ) >"$log" 2>&1
    code=$?
    set -e
    if ((code == 0)); then
        say "${dim}$(since "$start")${plain}"
        rm -f "$log"
        return
    fi
    say "${red}failed${plain} after $(since "$start")"
    tail -n 40 "$log" >&2
    rm -f "$log"
    exit "$code"
}
