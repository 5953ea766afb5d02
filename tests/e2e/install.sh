#!/bin/sh
# install.sh BUILD: what a stranger has after `meson install`: headers, libraries and a pkg-config file that the examples and the
# README's program compile with. Where MAGIC8_TEST_MODELS holds a model, the program is run as well.
set -u
build=$1
cd "$(dirname -- "$0")/../.." || exit 1
there=$(mktemp -d)
trap 'rm -rf "$there"' EXIT
if DESTDIR=$there meson install -C "$build" --no-rebuild >"$there/log" 2>&1; then echo "ok meson install"
else
    cat "$there/log"
    echo "not ok meson install: exit status $?"
    exit 0
fi
pc=$(find "$there" -name magic8.pc)
prefix=$(sed -n 's/^prefix=//p' "$pc")
export PKG_CONFIG_PATH="${pc%/*}"
cflags=$(pkg-config --define-variable=prefix="$there$prefix" --cflags magic8) &&
    libs=$(pkg-config --define-variable=prefix="$there$prefix" --libs magic8) || { echo "not ok pkg-config"; exit 0; }

mkdir "$there/src"
cp examples/*.c "$there/src"
sed -n '/^    #include <m8\/audio.h>/,/^    }/s/^    //p' README.md >"$there/src/readme.c"
[ "$(wc -l <"$there/src/readme.c")" = 12 ] || echo "not ok readme: the program has $(wc -l <"$there/src/readme.c") lines, not 12"
for source in "$there"/src/*.c; do
    name=$(basename "$source" .c)
    lto=-fno-lto # one is linked with gcc's link-time optimisation, which takes its time
    case $name in readme) lto= ;; *) [ "$(wc -l <"$source")" -le 40 ] || echo "not ok $name: longer than 40 lines" ;; esac
    for cc in gcc clang-14; do
        command -v $cc >/dev/null || { echo "skip $name $cc: there is no $cc"; continue; }
        # warnings of the stranger's own file count; the libraries were compiled with their own flags
        if $cc -std=c17 -Wall -Wextra -Wno-unused-parameter -Werror -c "$source" $cflags -o "$there/$name.o" 2>&1 &&
            $cc $lto "$there/$name.o" $libs -o "$there/$name-$cc" 2>&1; then echo "ok $name $cc"
        else echo "not ok $name $cc: it does not compile against the installed library"
        fi
    done
done

if [ -e "${MAGIC8_TEST_MODELS-}/whisper-base" ]; then
    heard=$(timeout 120 "$there/readme-gcc" "$MAGIC8_TEST_MODELS/whisper-base" tests/data/audio/jfk.wav 2>&1)
    case $heard in
    *'ask not what your country can do for you'*) echo "ok readme heard" ;;
    *) echo "not ok readme heard: $heard" ;;
    esac
else
    echo "skip readme heard: whisper-base is not there"
fi
