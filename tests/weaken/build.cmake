# SPDX-License-Identifier: MIT
#
# The build of scripts/weaken_orders.py: -DCMAKE_PROJECT_hocket_INCLUDE=tests/weaken/build.cmake
# puts shim/stdatomic.h before the compiler's, in the library and in what includes its headers.
# Comes before the sanitizers' flags, so that places.c has none.
include_directories(SYSTEM BEFORE "${CMAKE_CURRENT_LIST_DIR}/shim")
# A weaker order for who wins a compare-and-swap than for who loses it is what is asked for.
add_compile_options(-Wno-invalid-memory-model)
add_library(hkt_places STATIC "${CMAKE_CURRENT_LIST_DIR}/places.c")
target_compile_definitions(hkt_places PRIVATE _GNU_SOURCE)
set_target_properties(hkt_places PROPERTIES POSITION_INDEPENDENT_CODE ON
                                            C_VISIBILITY_PRESET hidden)
link_libraries(hkt_places ${CMAKE_DL_LIBS})
