# SPDX-License-Identifier: MIT
#
# cmake --build BUILD --target docs: the API site in BUILD/docs/html. Doxygen
# is optional: without it there is no such target, and nothing else is missing.

find_package(Doxygen QUIET)
if(DOXYGEN_FOUND)
    add_custom_target(
        docs
        COMMAND "${PROJECT_SOURCE_DIR}/scripts/docs" "${PROJECT_BINARY_DIR}/docs"
        WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
        COMMENT "Doxygen: ${PROJECT_BINARY_DIR}/docs/html/index.html"
        VERBATIM)
endif()
