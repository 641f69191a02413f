# Installs the pinned packages into the cache unless they are there. PACKAGES = …/node_modules/@electric-sql to have,
# SOURCE = the directory of package.json and package-lock.json. Runs as a script; appears by one rename, so that
# interrupted and concurrent builds leave nothing half installed.
if(EXISTS ${PACKAGES}/pglite/dist/pglite.wasm)
  return()
endif()
find_program(NPM npm REQUIRED)
cmake_path(GET PACKAGES PARENT_PATH node_modules)
cmake_path(GET node_modules PARENT_PATH home)
string(RANDOM LENGTH 8 suffix)
set(fresh ${home}.${suffix})
file(MAKE_DIRECTORY ${fresh})
file(COPY ${SOURCE}/package.json ${SOURCE}/package-lock.json DESTINATION ${fresh})
execute_process(COMMAND ${NPM} ci --ignore-scripts --no-audit --no-fund WORKING_DIRECTORY ${fresh} RESULT_VARIABLE failed)
if(failed)
  file(REMOVE_RECURSE ${fresh})
  message(FATAL_ERROR "npm ci failed; offline? CALF_NODE_MODULES can name an installed node_modules instead")
endif()
file(RENAME ${fresh} ${home} RESULT outcome)
if(NOT EXISTS ${PACKAGES}/pglite/dist/pglite.wasm)
  message(FATAL_ERROR "cannot install the packages into ${home}: ${outcome}")
endif()
file(REMOVE_RECURSE ${fresh}) # left over when another build was faster
