#!/bin/sh
# docs.sh write|check MAGIC8 DOC: the man page and the completions from the program's own table, or a check that they are not stale
set -eu
how=$1 program=$2 doc=$3 bad=0
for pair in man:magic8.1.scd bash:completions/magic8.bash zsh:completions/_magic8 fish:completions/magic8.fish; do
    kind=${pair%%:*} file=$doc/${pair#*:}
    if [ "$how" = write ]; then
        mkdir -p "${file%/*}"
        "$program" docs "$kind" >"$file"
    elif ! "$program" docs "$kind" | cmp -s - "$file"; then
        echo "$file is stale: ninja docs"
        bad=1
    fi
done
exit $bad
