# Sourced by ./run and ./test: what both need to set up a Debian machine. Words go to standard error.

say() { printf '%s: %s\n' "$me" "$*" >&2; }
die() { say "$*"; exit 1; }

# What the program is built from, and what it fetches models with.
build_packages='gcc libc6-dev meson ninja-build pkgconf libjansson-dev libcurl4-openssl-dev libavformat-dev libavcodec-dev
    libavutil-dev libswresample-dev libpcre2-dev libutf8proc-dev libespeak-ng-dev libssl-dev libzip-dev zlib1g-dev python3-pip ca-certificates'

# need PACKAGE...: installs those that are missing; asks nothing, and needs no network when none is.
need() {
    if ! command -v dpkg >/dev/null; then
        say 'this is not Debian: I install nothing, and hope that these are here:' $*
        return 0
    fi
    missing=
    for package; do
        dpkg -s "$package" 2>/dev/null | grep -q '^Status: .* installed$' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    as_root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "as root, install:$missing"
        as_root=sudo
    fi
    say "installing$missing"
    { $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing; } </dev/null >&2 ||
        die "apt-get could not install$missing"
}

# build FOLDER 'TARGET...' MESON-OPTION...: sets FOLDER up once (again when it was set up here with other options) and builds
# the targets; no targets are all of them. What meson and ninja say is shown only when they fail.
build() {
    folder=$1 targets=$2
    shift 2
    if [ ! -f "$folder/build.ninja" ] || { [ -f "$folder.options" ] && [ "$*" != "$(cat "$folder.options")" ]; }; then
        say "setting up $folder"
        wipe=
        [ ! -f "$folder/meson-private/coredata.dat" ] || wipe=--wipe
        meson setup $wipe "$folder" "$root" "$@" >"$folder.log" 2>&1 </dev/null || { cat "$folder.log" >&2; return 1; }
        printf '%s\n' "$*" >"$folder.options"
    fi
    ninja -C "$folder" -n $targets 2>/dev/null | grep -q 'no work to do' || say "building $folder"
    ninja -C "$folder" $targets >"$folder.log" 2>&1 </dev/null || { sed -n '/^FAILED/,$p' "$folder.log" | tail -n 60 >&2; return 1; }
}
