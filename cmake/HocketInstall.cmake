# SPDX-License-Identifier: MIT
#
# Installation: libraries, headers, CMake package and hocket.pc, as components
# runtime (the shared library) and dev (the rest).

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/hocket")

install(
    TARGETS ${hocket_libraries}
    EXPORT hocketTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
            COMPONENT runtime
            NAMELINK_COMPONENT dev)
install(
    DIRECTORY include/hocket
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    COMPONENT dev
    FILES_MATCHING
    PATTERN "*.h")

# The package, in the install tree and in the build tree alike.
install(
    EXPORT hocketTargets
    NAMESPACE hocket::
    DESTINATION ${package_dir}
    COMPONENT dev)
export(
    EXPORT hocketTargets
    NAMESPACE hocket::
    FILE "${PROJECT_BINARY_DIR}/hocketTargets.cmake")
configure_package_config_file(cmake/hocketConfig.cmake.in hocketConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
# Before 1.0 a minor version may break: 0.2 does not serve who asked for 0.1.
write_basic_package_version_file(hocketConfigVersion.cmake COMPATIBILITY SameMinorVersion)
configure_file(cmake/FindJemalloc.cmake FindJemalloc.cmake COPYONLY)
install(
    FILES "${PROJECT_BINARY_DIR}/hocketConfig.cmake"
          "${PROJECT_BINARY_DIR}/hocketConfigVersion.cmake"
          "${PROJECT_BINARY_DIR}/FindJemalloc.cmake"
    DESTINATION ${package_dir}
    COMPONENT dev)

# Relative to where hocket.pc lies, so that an install tree may be moved, and
# --prefix and DESTDIR need no second thought. An absolute folder (as Nix sets
# it) stays as it is.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    set(HOCKET_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
else()
    file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
    string(REGEX REPLACE "/$" "" up "${up}")
    set(HOCKET_PC_PREFIX "\${pcfiledir}/${up}")
endif()
foreach(dir LIBDIR INCLUDEDIR)
    if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
        set(HOCKET_PC_${dir} "${CMAKE_INSTALL_${dir}}")
    else()
        set(HOCKET_PC_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
    endif()
endforeach()
configure_file(cmake/hocket.pc.in hocket.pc @ONLY)
install(
    FILES "${PROJECT_BINARY_DIR}/hocket.pc"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig"
    COMPONENT dev)
if(EXISTS "${PROJECT_SOURCE_DIR}/LICENSE")
    install(
        FILES LICENSE
        DESTINATION ${CMAKE_INSTALL_DOCDIR}
        COMPONENT dev)
endif()
