# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What the scripts that compare with peers share; sourced after lib.sh, not run.

# bench_options FOLDER OPTION...: sets $build_dir, $output and $arguments for the
# programs of bench/FOLDER, and $results, where they leave their tables.
bench_options() {
    bench_folder=$1
    build_dir=build/bench
    output=
    arguments=
    status=0
    shift
    while [ $# -gt 0 ]; do
        case "$1" in
        --build-dir | --output | --rounds | --min-ms | --calm)
            [ $# -ge 2 ] || die "$1 needs a value"
            case "$1" in
            --build-dir) build_dir=$2 ;;
            --output) output=$2 ;;
            *) arguments="$arguments $1=$2" ;;
            esac
            shift
            ;;
        --quick | --strict) arguments="$arguments $1" ;;
        -h | --help)
            sed -n '4,/^[^#]/s/^# \{0,1\}//p' "$0"
            exit 0
            ;;
        *) die "unknown option '$1'; --help lists them" ;;
        esac
        shift
    done
    output=${output:-$build_dir}
    results=$build_dir/bench/$bench_folder
}

# bench_build TARGET...
bench_build() {
    mkdir -p "$(dirname "$build_dir")" "$output"
    configure "$build_dir" -DCMAKE_BUILD_TYPE=Release -DHOCKET_TESTS=OFF -DHOCKET_EXAMPLES=OFF
    build "$build_dir" --target "$@"
}

# Sets $python: the distribution's own, which was built with care; another one may come
# first in PATH.
find_python() {
    python=/usr/bin/python3
    [ -x "$python" ] || python=$(command -v python3)
    # shellcheck disable=SC2034 # For the page.
    python_version=$("$python" --version)
}

# measure PROGRAM OPTION...: leaves $results/PROGRAM.csv and .md; on a wrong result
# sets $status to 1.
measure() {
    program=$1
    shift
    say "Measuring with $program"
    # shellcheck disable=SC2086 # A list of words.
    "$results/$program" $arguments --csv="$results/$program.csv" \
        --markdown="$results/$program.md" "$@" </dev/null || status=1
}

# bench_publish PAGE: shows $output/PAGE.md, and ends.
bench_publish() {
    cat "$output/$1.md"
    say "Results: $output/$1.md and $output/$1.csv"
    [ "$status" = 0 ] || die "a wrong result, or with --strict a missed target; see above"
}
