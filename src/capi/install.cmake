# What `make install` puts under its prefix: the program, the library both ways, headers, and how other builds find them.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

configure_file(calf.pc.in ${CMAKE_CURRENT_BINARY_DIR}/calf.pc @ONLY)
write_basic_package_version_file(
  ${CMAKE_CURRENT_BINARY_DIR}/calf-config-version.cmake VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(TARGETS calf RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS calf_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${CMAKE_BINARY_DIR}/libcalf.a DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/calf DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/calf.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES calf-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/calf-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/calf)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/NOTICE ${PROJECT_SOURCE_DIR}/README.md
              ${PROJECT_SOURCE_DIR}/docs/embedding.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
