# SPDX-License-Identifier: MIT
#
# The build of scripts/mutate.py: -DCMAKE_PROJECT_hocket_INCLUDE=tests/mutate/build.cmake.
add_library(hkt_mutants STATIC "${CMAKE_CURRENT_LIST_DIR}/mutants.c")
target_compile_definitions(hkt_mutants PRIVATE _GNU_SOURCE)
target_include_directories(hkt_mutants PRIVATE "${CMAKE_CURRENT_LIST_DIR}/../..")
set_target_properties(hkt_mutants PROPERTIES POSITION_INDEPENDENT_CODE ON
                                             C_VISIBILITY_PRESET hidden)
link_libraries(hkt_mutants)
add_compile_options(
    "$<$<COMPILE_LANGUAGE:C>:SHELL:-include \"${CMAKE_CURRENT_LIST_DIR}/mutants.h\">")
