#!/bin/sh
# run.sh [NAME...]: starts the server under test in its variants, runs the scripts (python_client, wire, ...; all but soak when none is
# named) against them, and stops everything again. Prints "ok NAME", "not ok NAME: why", "skip NAME: why".
#   LAB_COMMAND  the server (build/examples/lab, or lab in that folder); --port N and a variant's options are added
#   ORACLE=1     Gradio itself instead: the tests that name a difference are skipped
#   LAB_PORTS    first of four ports that are free (18080)
#   SOAK_S       seconds of soak (60)          ONLY  run only tests whose names contain this word
set -u
here=$(cd -P -- "$(dirname -- "$0")" && pwd)
root=$(cd -P -- "$here/../.." && pwd)
oracle=${ORACLE-}
cache=$(sh "$here/setup.sh" ${oracle:+oracle}) || { echo 'not ok clients/setup: what the tests need cannot be had'; exit 0; }
all='python_client wire curl js_client security mix streams frontend'
[ $# -gt 0 ] || set -- $all
port=${LAB_PORTS:-18080}
logs=$(mktemp -d)
lab=$root/build/examples/lab
[ ! -d "$lab" ] || lab=$lab/lab
pids=
stop() {
    trap - EXIT
    [ -z "$pids" ] || {
        kill $pids 2>/dev/null
        (sleep 15 && kill -9 $pids) >/dev/null 2>&1 &
        for pid in $pids; do wait "$pid" 2>/dev/null; done
        kill $! 2>/dev/null
    }
    rm -rf "$logs"
}
trap stop EXIT
trap 'exit 1' INT TERM HUP

start() { # NAME OPTION...: sets the variable NAME to its address and NAME_PID to its process
    name=$1
    shift
    if [ -n "$oracle" ]; then
        variant=$(echo "$name" | tr A-Z a-z)
        GRADIO_TEMP_DIR=$logs/tmp "$cache/oracle/bin/python" "$here/oracle/lab.py" "$port" "$variant" >"$logs/$name" 2>&1 &
    else
        ${LAB_COMMAND:-$lab} --port "$port" "$@" >"$logs/$name" 2>&1 &
    fi
    pids="$pids $!"
    export "$name=http://127.0.0.1:$port" "${name}_PID=$!" "${name}_LOG=$logs/$name"
    port=$((port + 1))
}
start LAB
start AUTH --auth admin:secret --auth-message 'Say the word'
start IFACE --app iface
start FULL --app full
PYTHONPATH=$here python3 -B -c 'import kit
for name in ("LAB", "AUTH", "IFACE", "FULL"): kit.wait(name)' 2>/dev/null || {
    tail -n 5 "$logs"/* >&2
    echo 'not ok clients/start: the server does not answer'
    exit 0
}
export CACHE=$cache NODE_PATH=$cache/node/node_modules

for script; do
    began=$(date +%s)
    case $script in
    python_client) "$cache/python/bin/python" "$here/$script.py" ${ONLY:+"$ONLY"} ;;
    js_client | frontend) node "$here/$script.mjs" ${ONLY:+"$ONLY"} ;;
    curl) sh "$here/curl.sh" ${ONLY:+"$ONLY"} ;;
    soak) python3 -B "$here/soak.py" "${SOAK_S:-60}" ;;
    *) python3 -B "$here/$script.py" ${ONLY:+"$ONLY"} ;;
    esac </dev/null 2>"$logs/err" || { echo "not ok clients/$script: exit status $?: $(tail -n 1 "$logs/err")"; }
    [ ! -s "$logs/err" ] || [ -z "${MAGIC8_VERBOSE-}" ] || tail -n 20 "$logs/err" >&2
    echo "$script: $(($(date +%s) - began)) s" >&2
    for name in LAB AUTH IFACE FULL; do
        eval "pid=\$${name}_PID"
        kill -0 "$pid" 2>/dev/null || { echo "not ok clients/alive: the server ($name) ended in $script: $(tail -n 3 "$logs/$name")"; exit 0; }
    done
done
