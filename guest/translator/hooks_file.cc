#include "hooks_file.h"

#include <fstream>

#include "wasm_module.h"

namespace calf::translator {
namespace {

char unescape(char c) {
  return c == 'n' ? '\n' : c == 't' ? '\t' : c;
}

// Words are separated by blanks; "…" is one word with \n, \t, \" and \\; # starts a comment.
std::vector<std::string> split(const std::string& text, const std::string& where) {
  std::vector<std::string> words;
  for (size_t at = 0; at < text.size();) {
    if (isspace(static_cast<unsigned char>(text[at]))) {
      ++at;
    } else if (text[at] == '#') {
      break;
    } else if (text[at] == '"') {
      std::string word;
      for (++at; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\' && at + 1 < text.size())
          word += unescape(text[++at]);
        else
          word += text[at];
      }
      if (at == text.size()) fail(where + ": a quote is not closed");
      ++at;
      words.push_back(word);
    } else {
      size_t end = at;
      while (end < text.size() && !isspace(static_cast<unsigned char>(text[end]))) ++end;
      words.push_back(text.substr(at, end - at));
      at = end;
    }
  }
  return words;
}

}  // namespace

std::vector<HookEntry> parse_hooks_file(const std::string& path) {
  std::ifstream in(path);
  if (!in) fail("cannot read " + path);
  std::vector<HookEntry> entries;
  int number = 0;
  for (std::string text; std::getline(in, text);) {
    std::string where = path + ':' + std::to_string(++number);
    std::vector<std::string> words = split(text, where);
    if (words.empty()) continue;
    if (isspace(static_cast<unsigned char>(text[0]))) {
      if (entries.empty()) fail(where + ": an indented line needs an entry above it");
      entries.back().lines.push_back({number, words, text.substr(text.find_first_not_of(" \t"))});
      continue;
    }
    if (words.size() != 2)
      fail(where + ": expected 'function NAME', 'global NAME', 'offset NAME' or 'constant NAME'");
    entries.push_back({words[0], words[1], number, {}});
  }
  return entries;
}

}  // namespace calf::translator
