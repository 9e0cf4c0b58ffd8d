# SPDX-License-Identifier: MIT
#
# Finds jemalloc and defines hocket::jemalloc.
#
# Linking it replaces malloc in the whole program, so the decision belongs to
# whoever builds the program: libhocket never links it by itself. The module is
# installed beside the package's configuration, because applications ask for
# the same target: find_package(hocket COMPONENTS jemalloc).

find_package(PkgConfig QUIET)
if(PKG_CONFIG_FOUND)
    pkg_check_modules(PC_JEMALLOC QUIET jemalloc)
endif()

find_path(Jemalloc_INCLUDE_DIR jemalloc/jemalloc.h HINTS ${PC_JEMALLOC_INCLUDE_DIRS})
find_library(Jemalloc_LIBRARY jemalloc HINTS ${PC_JEMALLOC_LIBRARY_DIRS})
mark_as_advanced(Jemalloc_INCLUDE_DIR Jemalloc_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
    Jemalloc
    REQUIRED_VARS Jemalloc_LIBRARY Jemalloc_INCLUDE_DIR
    VERSION_VAR PC_JEMALLOC_VERSION)

if(Jemalloc_FOUND AND NOT TARGET hocket::jemalloc)
    # GLOBAL, so that a project that added this one as a subdirectory sees it.
    add_library(hocket::jemalloc UNKNOWN IMPORTED GLOBAL)
    set_target_properties(
        hocket::jemalloc
        PROPERTIES IMPORTED_LOCATION "${Jemalloc_LIBRARY}"
                   INTERFACE_INCLUDE_DIRECTORIES "${Jemalloc_INCLUDE_DIR}")
endif()
