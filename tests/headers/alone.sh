#!/bin/sh
# Every public header compiles alone, twice included, as C17 and as C++17, with every warning an error.
set -u
cd "$(dirname -- "$0")/../.." || exit 1
for header in include/m8/*.h; do
    name=${header##*/}
    for std in c17 c++17; do
        case $std in
        c17) compiler=gcc language=c ;;
        *) compiler=g++ language=c++ ;;
        esac
        if printf '#include <m8/%s>\n#include <m8/%s>\n' "$name" "$name" |
            $compiler -std=$std -x $language -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only - 2>&1; then echo "ok $name $std"
        else echo "not ok $name $std: it does not compile alone"
        fi
    done
done
