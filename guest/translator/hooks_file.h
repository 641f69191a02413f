// The hooks file as text: entries with their lines, split into words. What the words mean is known
// in hooks.cc.
#pragma once

#include <string>
#include <vector>

namespace calf::translator {

struct HookLine {
  int number = 0;  // in the file, from 1
  std::vector<std::string> words;
  std::string text;  // as written, for messages
};

struct HookEntry {
  std::string kind;  // function, global, offset, constant
  std::string name;
  int line = 0;
  std::vector<HookLine> lines;  // the indented lines below it
};

// Throws TranslateError with the line's number for a line that is no entry and below none, and for
// an unclosed quote.
std::vector<HookEntry> parse_hooks_file(const std::string& path);

}  // namespace calf::translator
