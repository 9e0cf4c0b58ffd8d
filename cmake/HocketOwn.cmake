# SPDX-License-Identifier: MIT
#
# How our own code is compiled: the libraries, the tests, the benchmarks and the
# examples. Nothing of this reaches those who link the library.

# A comma is what one types after -D, a semicolon is what CMake calls a list.
string(REPLACE "," ";" hocket_sanitizers "${HOCKET_SANITIZE}")

if(hocket_sanitizers)
    list(JOIN hocket_sanitizers "," joined)
    # Directory-wide: a sanitizer has to see every object of a program.
    add_compile_options(-fsanitize=${joined} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
    add_link_options(-fsanitize=${joined})
endif()

if(HOCKET_FUZZ)
    # Where it has been, and a call before every load: see tests/fuzz/scribble.h.
    add_compile_options(-fsanitize=fuzzer-no-link -fsanitize-coverage=trace-loads)
    add_compile_definitions(HOCKET_FUZZ)
endif()

if(HOCKET_COVERAGE)
    add_compile_options(--coverage -O0 -g)
    # Threads count too; without this, gcov's counters lose updates.
    add_compile_options($<$<COMPILE_LANG_AND_ID:C,GNU>:-fprofile-update=atomic>)
    add_link_options(--coverage)
endif()

# --- Hardening ---------------------------------------------------------------
#
# Checked copies and stacks, and tables of addresses that nobody can write to once the program
# runs. Only for our own builds and with optimisation, without which there are no checked
# copies; a sanitizer checks more, and does not go together with them. A submit with its result
# takes 641 instructions; checked stacks add 20, checked copies 2. A fork with its join takes 141,
# and nothing is added (callgrind, x86-64). -fcf-protection would add 15 and 2, for what the
# kernel does not enforce in programs yet: it is left out.
# scripts/check_hardening.py reads in what was built whether it is there.
set(hocket_hardened OFF)
if(HOCKET_HARDEN AND NOT hocket_sanitizers AND NOT HOCKET_COVERAGE)
    set(hocket_hardened ON)
endif()

function(hocket_harden target)
    set(optimised "$<CONFIG:Release,RelWithDebInfo,MinSizeRel>")
    target_compile_options(
        ${target} PRIVATE "$<${optimised}:-U_FORTIFY_SOURCE>" "$<${optimised}:-D_FORTIFY_SOURCE=2>"
                          -fstack-protector-strong)
    target_link_options(${target} PRIVATE "LINKER:-z,relro" "LINKER:-z,now"
                        "LINKER:-z,noexecstack")
endfunction()

# --- The same bytes from the same sources ------------------------------------
#
# Wherever the folder is, and whenever: files are named from the root, archives bear no times.
# scripts/check_reproducible builds the libraries twice and compares.
function(hocket_same_bytes target)
    if(hocket_IS_TOP_LEVEL AND NOT hocket_sanitizers AND NOT HOCKET_COVERAGE)
        target_compile_options(
            ${target}
            PRIVATE "$<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:-ffile-prefix-map=${hocket_SOURCE_DIR}/=>"
                    -Werror=date-time)
    endif()
endfunction()
if(PROJECT_IS_TOP_LEVEL)
    set(CMAKE_C_ARCHIVE_CREATE "<CMAKE_AR> qcD <TARGET> <LINK_FLAGS> <OBJECTS>")
    set(CMAKE_C_ARCHIVE_FINISH "<CMAKE_RANLIB> -D <TARGET>")
endif()

# hocket_own(TARGET): the language, the warnings and the include root of one of
# our targets. Private headers are named from the root: "futures/state.h".
function(hocket_own target)
    set_target_properties(
        ${target}
        PROPERTIES C_STANDARD 11
                   C_STANDARD_REQUIRED ON
                   C_EXTENSIONS OFF)
    # With strict C11 the C library hides POSIX unless asked; no source defines this itself.
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
    if(hocket_IS_TOP_LEVEL)
        target_compile_options(
            ${target}
            PRIVATE -Wall
                    -Wextra
                    -Wpedantic
                    -Wconversion
                    -Wshadow
                    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
                    $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
                    $<$<BOOL:${HOCKET_WERROR}>:-Werror>)
    endif()
    if(hocket_hardened)
        hocket_harden(${target})
    endif()
    target_include_directories(
        ${target} PRIVATE "$<BUILD_INTERFACE:${hocket_SOURCE_DIR}>"
                          "$<BUILD_INTERFACE:${hocket_SOURCE_DIR}/include>")
endfunction()

# --- jemalloc ----------------------------------------------------------------
#
# The libraries never link it. Our own programs do, unless a sanitizer needs to
# see every allocation.

if(NOT HOCKET_JEMALLOC MATCHES "^(AUTO|ON|OFF)$")
    message(FATAL_ERROR "HOCKET_JEMALLOC is '${HOCKET_JEMALLOC}'; use AUTO, ON or OFF")
endif()
set(hocket_links_jemalloc OFF)
if(hocket_sanitizers)
    if(HOCKET_JEMALLOC STREQUAL "ON")
        message(FATAL_ERROR "HOCKET_JEMALLOC=ON with HOCKET_SANITIZE=${HOCKET_SANITIZE}: "
                            "a sanitizer cannot see jemalloc's blocks; use AUTO or OFF")
    endif()
elseif(NOT HOCKET_JEMALLOC STREQUAL "OFF")
    find_package(Jemalloc QUIET MODULE)
    if(Jemalloc_FOUND)
        set(hocket_links_jemalloc ON)
    elseif(HOCKET_JEMALLOC STREQUAL "ON")
        message(FATAL_ERROR "HOCKET_JEMALLOC=ON, but jemalloc was not found; install it "
                            "(Debian: libjemalloc-dev) or use AUTO")
    endif()
endif()

# What a folder's programs are linked with; tests/ changes it for itself.
set(hocket_program_library hocket::hocket)

# hocket_program(NAME SOURCE...): one of our programs, linked with the static
# library and, where it may be, with jemalloc.
function(hocket_program name)
    add_executable(${name} ${ARGN})
    hocket_own(${name})
    target_link_libraries(${name} PRIVATE ${hocket_program_library})
    if(hocket_links_jemalloc)
        target_link_libraries(${name} PRIVATE hocket::jemalloc)
    endif()
endfunction()
