#!/bin/sh
# run.sh BUILD NAME: runs one fuzz target for MAGIC8_FUZZ_S seconds, first on its seeds, then on what it makes of them.
set -u
build=$1 name=$2
here=$(dirname -- "$0")
grown=$build/corpus/$name log=$build/fuzz_$name.log
mkdir -p "$grown" "$build/found"
seeds=$here/corpus/$name
[ -d "$seeds" ] || seeds=
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export ASAN_SYMBOLIZER_PATH=/usr/bin/llvm-symbolizer-14
if timeout $((${MAGIC8_FUZZ_S:-30} + 240)) "$build/tests/fuzz/fuzz_$name" -max_total_time="${MAGIC8_FUZZ_S:-30}" -timeout=20 -rss_limit_mb=2500 -verbosity=1 \
    -artifact_prefix="$build/found/$name-" "$grown" $seeds >"$log" 2>&1 </dev/null; then
    runs=$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log")
    if [ "${runs:-0}" -gt 1 ]; then echo "ok $name: $runs runs"
    else echo "not ok $name: it ran nothing"
    fi
else
    tail -n 60 "$log"
    echo "not ok $name: the input is $(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)"
fi
