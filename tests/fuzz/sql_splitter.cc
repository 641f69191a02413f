// Scripts: the splitter loses nothing that is not white space or a comment, and errors and tables
// print whatever the text.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "cli/report_text.h"
#include "cli/sql_splitter.h"
#include "cli/table.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  calf::cli::SqlSplitter splitter;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    splitter.feed_line(rest.substr(0, end));
    while (splitter.next()) {
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  (void)splitter.take_rest();
  const std::uint32_t position = size > 0 ? data[0] : 0;
  (void)calf::cli::report_text({.severity = "ERROR", .position = position}, text);
  calf::cli::TablePrinter table({}, {{.name = std::string(text)}}, [](std::string_view) {});
  table.row(std::vector<std::optional<std::string_view>>{text});
  table.finish();
  return 0;
}
