#!/bin/sh
# setup.sh [oracle]: what the tests with real clients need, installed once into a folder outside the tree; prints that folder.
# Quiet and quick when all is there. With `oracle` also Gradio itself, which the tests are tried on (ORACLE=1 tests/clients/run.sh).
#   python/    a virtual environment with gradio_client        node/node_modules/    @gradio/client and playwright-core
#   oracle/    a virtual environment with gradio               frontend/             the front-end, out of the wheel of gradio
set -u
here=$(cd -P -- "$(dirname -- "$0")" && pwd)
root=$(cd -P -- "$here/../.." && pwd)
me=clients
. "$root/tools/setup.sh"
gradio=6.31.0 gradio_client=2.7.2 npm_client=2.7.0 playwright=1.65.1
client_packages='chromium python3 python3-venv curl ffmpeg fonts-dejavu-core'
command -v npm >/dev/null || client_packages="$client_packages nodejs npm"
cache=${MAGIC8_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/magic8-test}
mkdir -p "$cache" || die "$cache cannot be made"

# once NAME STAMP COMMAND...: runs the command, which fills $cache/NAME.part, unless NAME is there with this stamp.
once() {
    name=$1 stamp=$2
    shift 2
    [ "$(cat "$cache/$name/.stamp" 2>/dev/null)" != "$stamp" ] || return 0
    say "installing $name ($stamp)"
    rm -rf "${cache:?}/$name"
    "$@" "$cache/$name" >"$cache/$name.log" 2>&1 </dev/null || { tail -n 20 "$cache/$name.log" >&2; die "$name could not be installed"; }
    printf '%s\n' "$stamp" >"$cache/$name/.stamp"
}
python_env() { # REQUIREMENT FOLDER: a virtual environment keeps its path, so it is made in place
    python3 -m venv "$2" && "$2/bin/pip" install --disable-pip-version-check -q -c "$here/constraints.txt" "$1"
}
node_env() {
    mkdir -p "$1" && cd "$1" && echo '{"private": true}' >package.json &&
        npm install --no-audit --no-fund --ignore-scripts --save-exact "@gradio/client@$npm_client" "playwright-core@$playwright"
}
front_end() {
    mkdir -p "$1" && cd "$1" && "$cache/python/bin/pip" download --disable-pip-version-check -q --no-deps -d . "gradio==$gradio" &&
        python3 - <<'END' && rm -f gradio-*.whl
import glob, shutil, zipfile
inside = "gradio/templates/frontend/"
with zipfile.ZipFile(glob.glob("gradio-*.whl")[0]) as z:
    z.extractall(".", [n for n in z.namelist() if n.startswith(inside)])
for path in glob.glob(inside + "*"):
    shutil.move(path, ".")
shutil.rmtree("gradio")
END
}

need $client_packages
once python "gradio_client $gradio_client" python_env "gradio_client==$gradio_client"
once node "@gradio/client $npm_client, playwright-core $playwright" node_env
once frontend "gradio $gradio" front_end
case ${1-} in oracle) once oracle "gradio $gradio" python_env "gradio==$gradio" ;; esac
printf '%s\n' "$cache"
