// calf-translate: the ahead-of-time translator of WASM modules to C. See guest/README.md.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "compile.h"
#include "emit_image.h"
#include "hooks.h"
#include "inspect.h"
#include "link.h"
#include "wasm_module.h"

namespace {

using namespace calf::translator;

constexpr char kUsage[] =
    "usage:\n"
    "  calf-translate image --image=FILE.wasm --prefix=pg --sources=DIR --headers=DIR\n"
    "                       [--modules=DIR --module-path=/pglite/lib/postgresql] [--hooks=FILE] "
    "[--supplies=FILE]\n"
    "                       [--shards=N] [--hot=FILE]\n"
    "  calf-translate compile --sources=DIR --library=FILE --cache=DIR --compiler=CC --archiver=AR "
    "[--jobs=N]\n"
    "                       --include=HEADER … --flag=FLAG … [--profile=FILE.profdata]\n"
    "  calf-translate inspect MODULE.wasm WHAT …, where WHAT is one of\n";

// --name=value arguments.
class Arguments {
 public:
  explicit Arguments(const std::vector<std::string>& words) {
    for (const std::string& word : words) {
      size_t equals = word.find('=');
      if (!word.starts_with("--") || equals == std::string::npos) fail("what is " + word + "?");
      values_[word.substr(2, equals - 2)].push_back(word.substr(equals + 1));
    }
  }
  std::string one(const std::string& name) const {
    auto at = values_.find(name);
    if (at == values_.end()) fail("--" + name + " is missing");
    return at->second.back();
  }
  std::string one(const std::string& name, const std::string& otherwise) const {
    return values_.contains(name) ? one(name) : otherwise;
  }
  std::vector<std::string> all(const std::string& name) const {
    auto at = values_.find(name);
    return at == values_.end() ? std::vector<std::string>{} : at->second;
  }

 private:
  std::map<std::string, std::vector<std::string>> values_;
};

// One on each line.
std::set<std::string> read_symbols(const std::string& file) {
  std::ifstream in(file);
  if (!in) fail("cannot open " + file);
  std::set<std::string> symbols;
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) symbols.insert(line);
  return symbols;
}

void translate_image(const Arguments& arguments) {
  Module image = read_module(arguments.one("image"), read_file(arguments.one("image")));
  Hooks hooks;
  if (std::string file = arguments.one("hooks", ""); !file.empty())
    hooks = resolve_hooks(file, image);
  Supplies supplies;
  if (std::string file = arguments.one("supplies", ""); !file.empty())
    supplies = read_supplies(file);
  Linker linker({arguments.one("prefix"), &hooks, &supplies}, std::move(image));
  if (std::string directory = arguments.one("modules", ""); !directory.empty()) {
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      std::string name = entry.path().filename().string();
      if (!name.ends_with(".so")) continue;
      linker.add_side_module(arguments.one("module-path") + '/' + name,
                             read_module(name, read_file(entry.path().string())));
    }
  }
  linker.link();
  EmitOptions options;
  options.sources = arguments.one("sources");
  options.headers = arguments.one("headers");
  options.shards = static_cast<uint32_t>(std::stoul(arguments.one("shards", "48")));
  if (std::string file = arguments.one("hot", ""); !file.empty()) options.hot = read_symbols(file);
  emit_image(linker, hooks, options);
  size_t missing = 0;
  for (const auto& linked : linker.modules()) missing += !linked->missing.empty();
  std::printf("translated %s and %zu side modules (%zu of them lack imports), %zu table entries\n",
              arguments.one("image").c_str(), linker.modules().size() - 1, missing,
              linker.table().size());
}

void compile_image(const Arguments& arguments) {
  CompileOptions options;
  options.sources = arguments.one("sources");
  options.library = arguments.one("library");
  options.cache = arguments.one("cache");
  options.compiler = arguments.one("compiler");
  options.archiver = arguments.one("archiver");
  options.jobs = static_cast<unsigned>(std::max(1ul, std::stoul(arguments.one("jobs", "2"))));
  options.includes = arguments.all("include");
  options.flags = arguments.all("flag");
  options.profile = arguments.one("profile", "");
  compile_sources(options);
}

void run(const std::vector<std::string>& words) {
  std::string command = words.empty() ? "" : words[0];
  if (command == "image") return translate_image(Arguments({words.begin() + 1, words.end()}));
  if (command == "compile") return compile_image(Arguments({words.begin() + 1, words.end()}));
  if (command == "inspect" && words.size() >= 2) {
    Module module = read_module(words[1], read_file(words[1]));
    return inspect(module, {words.begin() + 2, words.end()});
  }
  fail(std::string(kUsage) + kInspectHelp);
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
