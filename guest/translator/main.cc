// calf-translate: the ahead-of-time translator of WASM modules to C. See guest/README.md.
#include <cstdio>
#include <string>
#include <vector>

#include "inspect.h"
#include "wasm_module.h"

namespace {

using namespace calf::translator;

void run(const std::vector<std::string>& arguments) {
  if (arguments.size() >= 2 && arguments[0] == "inspect") {
    Module module = read_module(arguments[1], read_file(arguments[1]));
    inspect(module, {arguments.begin() + 2, arguments.end()});
    return;
  }
  fail(std::string("usage:\n  calf-translate inspect MODULE.wasm WHAT …\n") + kInspectHelp);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run({argv + 1, argv + argc});
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "calf-translate: %s\n", error.what());
    return 1;
  }
}
