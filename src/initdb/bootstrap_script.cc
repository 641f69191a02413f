#include <array>
#include <utility>

#include "initdb/scripts.h"
#include "initdb/text.h"

namespace calf::initdb {
namespace {

// Facts about the image: 32-bit pointers, so that 8-byte values are passed by reference.
constexpr std::string_view kNameDataLength = "64";
constexpr std::string_view kSizeOfPointer = "4";
constexpr std::string_view kAlignOfPointer = "i";
constexpr std::string_view kFloat8ByValue = "false";
constexpr std::string_view kBuiltinProvider = "b";
constexpr std::string_view kNull = "_null_";

using Word = std::pair<std::string_view, std::string>;

std::string quoted(std::string_view text) {
  return "'" + escape_quotes(text) + "'";
}

std::array<Word, 11> placeholders(const ClusterFacts& facts) {
  return {Word{"NAMEDATALEN", kNameDataLength},
          Word{"SIZEOF_POINTER", kSizeOfPointer},
          Word{"ALIGNOF_POINTER", kAlignOfPointer},
          Word{"FLOAT8PASSBYVAL", kFloat8ByValue},
          Word{"POSTGRES", quoted(facts.superuser)},
          Word{"ENCODING", std::to_string(facts.encoding)},
          Word{"LC_COLLATE", quoted(facts.collate)},
          Word{"LC_CTYPE", quoted(facts.character_type)},
          Word{"DATLOCALE", quoted(facts.locale)},
          Word{"ICU_RULES", std::string(kNull)},
          Word{"LOCALE_PROVIDER", std::string(kBuiltinProvider)}};
}

bool may_start_placeholder(char c) {
  return c >= 'A' && c <= 'Z';
}

// Placeholders are whole words, so a value that looks like one (a superuser named ENCODING) stays
// as it is.
void append_row(std::string& out, std::string_view row, const std::array<Word, 11>& words) {
  while (!row.empty()) {
    const size_t end = std::min(row.find(' '), row.size());
    std::string_view word = row.substr(0, end);
    if (!word.empty() && may_start_placeholder(word.front())) {
      for (const auto& [name, value] : words) {
        if (word == name) word = value;
      }
    }
    out += word;
    if (end == row.size()) return;
    out += ' ';
    row.remove_prefix(end + 1);
  }
}

}  // namespace

Result<std::string> bootstrap_script(std::string_view bki, const ClusterFacts& facts) {
  const std::string header = "# PostgreSQL " + std::string(kMajorVersion) + "\n";
  if (!bki.starts_with(header)) {
    return fail(ErrorCode::kDataCorrupted,
                "postgres.bki does not belong to PostgreSQL " + std::string(kMajorVersion));
  }
  const auto words = placeholders(facts);
  std::string result;
  result.reserve(bki.size() + 4096);
  for_each_line(bki, [&](std::string_view line) {
    if (line.starts_with("insert ")) {
      append_row(result, line, words);
    } else {
      result += line;
    }
  });
  return result;
}

}  // namespace calf::initdb
