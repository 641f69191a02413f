# find_package(calf): the targets calf::calf (shared) and calf::calf_static.
get_filename_component(calf_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
get_filename_component(calf_libraries "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)

if(NOT TARGET calf::calf)
  add_library(calf::calf SHARED IMPORTED)
  set_target_properties(calf::calf PROPERTIES
    IMPORTED_LOCATION "${calf_libraries}/libcalf.so"
    IMPORTED_SONAME libcalf.so.0
    INTERFACE_INCLUDE_DIRECTORIES "${calf_prefix}/include")
  add_library(calf::calf_static STATIC IMPORTED)
  set_target_properties(calf::calf_static PROPERTIES
    IMPORTED_LOCATION "${calf_libraries}/libcalf.a"
    INTERFACE_INCLUDE_DIRECTORIES "${calf_prefix}/include"
    INTERFACE_LINK_LIBRARIES "stdc++;m;pthread")
endif()
