# calf_module(NAME SOURCES … DEPENDS … TESTS … LIBRARIES …): one static library a module, calf_NAME.
# Its DEPENDS are its dependency list: what is not named there cannot be linked. Every x_test.cc of TESTS goes into one
# GoogleTest binary, NAME_test.
function(calf_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;TESTS;LIBRARIES" ${ARGN})
  if(ARG_SOURCES)
    add_library(calf_${name} STATIC ${ARG_SOURCES})
    set(scope PUBLIC)
  else()
    add_library(calf_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(calf_${name} ${scope} ${PROJECT_SOURCE_DIR}/src)
  if(ARG_SOURCES)
    target_compile_options(calf_${name} PRIVATE -Wall -Wextra -Wshadow -Werror=return-type -Wno-unused-parameter)
  endif()
  foreach(dependency IN LISTS ARG_DEPENDS)
    target_link_libraries(calf_${name} ${scope} calf_${dependency})
  endforeach()
  target_link_libraries(calf_${name} ${scope} ${ARG_LIBRARIES})
  if(ARG_TESTS AND CALF_BUILD_TESTS)
    add_executable(${name}_test ${ARG_TESTS})
    # The standard library before the modules: an instance of one of its templates is not to be taken from a module's
    # object, which may need what this test does not have (the image).
    target_link_libraries(${name}_test PRIVATE stdc++ calf_${name} gtest gmock gtest_main Threads::Threads)
    add_test(NAME ${name} COMMAND ${name}_test)
  endif()
endfunction()
