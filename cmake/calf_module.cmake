# Reads headers of libraries, and the standard library's usual ones, once for all sources of the target. Each source
# still includes what it uses: presets without CALF_PRECOMPILE compile it alone.
function(calf_precompile target)
  if(CALF_PRECOMPILE)
    target_precompile_headers(${target} PRIVATE <algorithm> <chrono> <functional> <map> <memory> <mutex> <optional> <span>
      <string> <string_view> <thread> <unordered_map> <vector> <tl/expected.hpp> <spdlog/fmt/fmt.h> ${ARGN})
  endif()
endfunction()

# calf_start_order(TARGET): what a start runs lies together in the program (guest/profile/README.md). A page fault brings
# sixteen pages, which are mostly of use then.
include(CheckLinkerFlag)
function(calf_start_order target)
  set(order ${PROJECT_SOURCE_DIR}/guest/profile/start_order.txt)
  check_linker_flag(CXX -Wl,--symbol-ordering-file=${order} CALF_LINKER_ORDERS_SYMBOLS) # lld does
  if(CALF_LINKER_ORDERS_SYMBOLS)
    target_link_options(${target} PRIVATE -Wl,--symbol-ordering-file=${order} -Wl,--no-warn-symbol-ordering)
    set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${order})
  endif()
endfunction()

# calf_module(NAME SOURCES … DEPENDS … TESTS … LIBRARIES … HEADERS …): one static library a module, calf_NAME.
# Its DEPENDS are its dependency list: what is not named there cannot be linked. Every x_test.cc of TESTS goes into one
# GoogleTest binary, NAME_test. HEADERS are libraries' large ones that most of its sources need.
function(calf_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;TESTS;LIBRARIES;HEADERS" ${ARGN})
  # For fewer sources it takes longer than it saves.
  set(few_sources 5)
  set(few_tests 2)
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
  list(LENGTH ARG_SOURCES sources)
  if(sources GREATER few_sources)
    calf_precompile(calf_${name} ${ARG_HEADERS})
  endif()
  if(ARG_TESTS AND CALF_BUILD_TESTS)
    add_executable(${name}_test ${ARG_TESTS})
    # The standard library before the modules: an instance of one of its templates is not to be taken from a module's
    # object, which may need what this test does not have (the image).
    target_link_libraries(${name}_test PRIVATE stdc++ calf_${name} gtest gmock gtest_main Threads::Threads)
    list(LENGTH ARG_TESTS tests)
    if(tests GREATER few_tests)
      calf_precompile(${name}_test <gmock/gmock.h> <gtest/gtest.h>)
    endif()
    add_test(NAME ${name} COMMAND ${name}_test)
  endif()
endfunction()
