# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What the scripts share; sourced, not run. Expects to stand in the root.

say() {
    printf '\n==> %s\n' "$*"
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# test_job_count: how many tests may run at once. One more than processors, as many wait for
# threads and processes of theirs.
test_job_count() {
    echo $(($(job_count) + 1))
}

# job_count: how many compilers may run at once.
job_count() {
    nproc 2>/dev/null || echo 2
}

# has_package NAME: a Debian package is installed.
has_package() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "must install packages, but you are not root and there is no sudo.
Ask somebody who is to run: apt-get install $missing"
    fi
}

# need PROBE PACKAGE ...: adds PACKAGE to $missing when the probe fails. A probe
# looks for the thing, not for the package: it may have come from elsewhere.
need() {
    if ! probe "$1"; then
        missing="$missing $2"
    fi
}

probe() {
    case "$1" in
    command:*) command -v "${1#command:}" >/dev/null ;;
    pc:*) command -v pkg-config >/dev/null && pkg-config --exists "${1#pc:}" ;;
    header:*) printf '#include <%s>\n' "${1#header:}" | cc -E -x c - >/dev/null 2>&1 ;;
    file:*) [ -e "${1#file:}" ] ;;
    package:*) has_package "${1#package:}" ;;
    *) die "unknown probe $1" ;;
    esac
}

# What each purpose needs, as PROBE PACKAGE lines.
needs_of() {
    case "$1" in
    build)
        cat <<'LIST'
command:cc gcc
header:stdlib.h libc6-dev
command:cmake cmake
command:ninja ninja-build
command:pkg-config pkg-config
pc:zlib zlib1g-dev
pc:libdeflate libdeflate-dev
pc:libisal libisal-dev
pc:jansson libjansson-dev
pc:jemalloc libjemalloc-dev
LIST
        ;;
    test)
        cat <<'LIST'
command:c++ g++
command:python3 python3
command:mawk mawk
pc:cunit libcunit1-dev
LIST
        ;;
    check)
        cat <<'LIST'
command:clang clang
command:clang-tidy-14 clang-tidy-14
command:clang-format-14 clang-format-14
package:libclang-rt-14-dev libclang-rt-14-dev
command:doxygen doxygen
command:dot graphviz
command:valgrind valgrind
command:shellcheck shellcheck
command:cppcheck cppcheck
command:spin spin
command:tcc tcc
file:/usr/include/relacy/relacy.hpp relacy-dev
file:/usr/share/doxygen-awesome-css/doxygen-awesome.css doxygen-awesome-css
LIST
        ;;
    coverage)
        cat <<'LIST'
command:gcovr gcovr
LIST
        ;;
    bench)
        cat <<'LIST'
command:c++ g++
command:python3 python3
command:javac default-jdk-headless
pc:absl_synchronization libabsl-dev
pc:apr-1 libapr1-dev
pc:apr-util-1 libaprutil1-dev
pc:ck libck-dev
pc:glib-2.0 libglib2.0-dev
pc:tbb libtbb-dev
header:nsync.h libnsync-dev
package:libboost-dev libboost-dev
package:libboost-thread-dev libboost-thread-dev
LIST
        ;;
    peers)
        cat <<'LIST'
command:clang clang
command:gnuplot gnuplot-nox
header:uv.h libuv1-dev
package:libomp-dev libomp-dev
LIST
        ;;
    esac
}

# install_what_is_missing PURPOSE...: asks apt once, for everything together, and
# only when something is missing; needs no network otherwise.
install_what_is_missing() {
    say "Looking for what is needed to: $*"
    find_missing "$@"
    if [ -z "$missing" ]; then
        echo "everything is there"
        return
    fi
    if ! command -v apt-get >/dev/null; then
        die "missing, under Debian's names:$missing
This machine has no apt-get: install the equivalents with its own package manager,
then run this again. zlib, CUnit (tests), CMake >= 3.25, a C11 compiler and Ninja are
required; libdeflate, ISA-L, jansson and jemalloc make the examples faster or richer."
    fi
    say "Installing:$missing"
    as_root apt-get update -q
    # shellcheck disable=SC2086 # A list of words.
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends $missing </dev/null
    find_missing "$@"
    [ -z "$missing" ] || die "still missing after the installation:$missing"
}

find_missing() {
    missing=
    for purpose in "$@"; do
        while read -r probe package; do
            need "$probe" "$package"
        done <<LIST
$(needs_of "$purpose")
LIST
    done
}

# configure BUILD-FOLDER OPTION...
configure() {
    build_folder=$1
    shift
    say "Configuring $build_folder"
    if ! cmake -S . -B "$build_folder" -G Ninja "$@" </dev/null >"$build_folder.log" 2>&1; then
        cat "$build_folder.log" >&2
        die "cmake failed; its output is above and in $build_folder.log"
    fi
    rm -f "$build_folder.log"
}

build() {
    say "Building $*"
    build_folder=$1
    shift
    cmake --build "$build_folder" --parallel "$(job_count)" "$@" </dev/null
}
