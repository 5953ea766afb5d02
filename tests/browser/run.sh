#!/bin/sh
# run.sh [NAME...]: the page's tests (units, page, variants, zoo, and the ball's: ball_units, ball; all when none is named). Prints "ok page/NAME", "not ok page/NAME: why", "skip page/NAME: why".
#   LAB_COMMAND  the server (build/examples/lab, or lab in that folder); --port N and a variant's options are added
#   ORACLE=1     Gradio itself behind proxy.mjs instead          PAGE_PORTS  first of eight ports that are free (18340)
#   MAGIC8       the program whose ball is tried (build/app/magic8); it needs the default models
#   ONLY         one test          SHOTS  a folder to keep pictures in
set -u
here=$(cd -P -- "$(dirname -- "$0")" && pwd)
root=$(cd -P -- "$here/../.." && pwd)
oracle=${ORACLE-}
CACHE=$(sh "$root/tests/clients/setup.sh" ${oracle:+oracle}) || { echo 'not ok page/setup: what the tests need cannot be had'; exit 0; }
export CACHE
[ $# -gt 0 ] || set -- units page variants zoo ball_units ball
port=${PAGE_PORTS:-18340}
logs=$(mktemp -d)
lab=$root/build/examples/lab
[ ! -d "$lab" ] || lab=$lab/lab
pids=
stop() {
    trap - EXIT
    [ -z "$pids" ] || { kill $pids; wait $pids; } 2>/dev/null
    rm -rf "$logs"
}
trap stop EXIT
trap 'exit 1' INT TERM HUP

run() { # NAME COMMAND...
    name=$1
    shift
    "$@" >"$logs/$name" 2>&1 &
    pids="$pids $!"
}
start() { # NAME OPTION...: sets the variable NAME to its address
    name=$1 variant=$(echo "$1" | tr A-Z a-z)
    shift
    if [ -n "$oracle" ]; then
        GRADIO_TEMP_DIR=$logs/tmp run "$name" "$CACHE/oracle/bin/python" "$root/tests/clients/oracle/lab.py" "$((port + 4))" "$variant"
        run "$name.proxy" node "$here/proxy.mjs" "$port" "http://127.0.0.1:$((port + 4))" "$logs/sine.mp3"
    else
        run "$name" ${LAB_COMMAND:-$lab} --port "$port" "$@"
    fi
    export "$name=http://127.0.0.1:$port"
    port=$((port + 1))
}
answers() { # ADDRESS
    for _ in $(seq 300); do
        ! curl -sf -o /dev/null "$1/" || return 0
        sleep 0.2
    done
    return 1
}
case " $* " in *' page '* | *' variants '* | *' zoo '*)
    [ -z "$oracle" ] || ffmpeg -v error -f lavfi -i sine=frequency=440:sample_rate=22050:duration=6 -ac 1 -b:a 48k -write_xing 0 "$logs/sine.mp3"
    start LAB
    start AUTH --auth admin:secret --auth-message 'Say the word'
    start IFACE --app iface
    start FULL --app full
    for address in $LAB $AUTH $IFACE $FULL; do
        answers "$address" || { tail -n 5 "$logs"/[A-Z]* >&2; echo "not ok page/start: the server does not answer"; exit 0; }
    done ;;
esac
case " $* " in *' ball '*)
    BALL=http://127.0.0.1:$((port + 10))
    run ball "${MAGIC8:-$root/build/app/magic8}" serve --port $((port + 10))
    answers "$BALL" || { tail -n 5 "$logs/ball" >&2; echo 'not ok ball/start: magic8 serve does not answer'; } ;;
esac
for script; do
    case $script in
    ball) PLAYWRIGHT=$CACHE/node node "$here/ball.mjs" "$BALL" ${ONLY:+--only "$ONLY"} ${SHOTS:+--shots "$SHOTS"} ;;
    ball_units) node "$here/ball_units.mjs" ;;
    units) node "$here/units.mjs" "$root/tests/data/gradio" ;;
    *) node "$here/$script.mjs" ${ONLY:+--only "$ONLY"} ${SHOTS:+--shots "$SHOTS"} ;;
    esac | grep -v '^#'
done
exit 0
