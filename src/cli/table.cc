#include "cli/table.h"

#include <algorithm>
#include <array>

namespace calf::cli {
namespace {

// Columns whose values psql aligns to the right: int8, int2, int4, oid, xid, cid, float4, float8,
// money, numeric, xid8.
bool is_numeric(std::uint32_t type_oid) {
  constexpr std::array<std::uint32_t, 11> kOids = {20,  21,  23,  26,   28,  29,
                                                   700, 701, 790, 1700, 5069};
  return std::find(kOids.begin(), kOids.end(), type_oid) != kOids.end();
}

// The code point at the front of `text` and its length; {-1, 1} for a byte that begins none.
std::pair<long, std::size_t> code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return {byte(0), 1};
  const std::size_t size = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : byte(0) >= 0xc2 ? 2 : 0;
  if (size == 0 || byte(0) > 0xf4 || text.size() < size) return {-1, 1};
  long value = byte(0) & (0x7f >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {-1, 1};
    value = value << 6 | (byte(i) & 0x3f);
  }
  return {value, size};
}

// Wide and zero-width characters, coarsely, without depending on the process's locale.
std::size_t width_of(long code) {
  const auto within = [code](long first, long last) { return code >= first && code <= last; };
  if (code == 0x200b || within(0x300, 0x36f) || within(0x200c, 0x200f) || within(0xfe00, 0xfe0f) ||
      within(0x20d0, 0x20ff)) {
    return 0;
  }
  const bool wide = within(0x1100, 0x115f) || within(0x2e80, 0x303e) || within(0x3041, 0xa4cf) ||
                    within(0xac00, 0xd7a3) || within(0xf900, 0xfaff) || within(0xfe30, 0xfe6f) ||
                    within(0xff00, 0xff60) || within(0xffe0, 0xffe6) || within(0x1f300, 0x1f64f) ||
                    within(0x1f900, 0x1f9ff) || within(0x20000, 0x3fffd);
  return wide ? 2 : 1;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (true) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return lines;
    text.remove_prefix(end + 1);
  }
}

std::size_t widest_line(std::string_view text) {
  std::size_t width = 0;
  for (std::string_view line : lines_of(text)) width = std::max(width, display_width(line));
  return width;
}

// Control characters as psql shows them: \r, \t up to the next stop of eight, \x01.
std::string printable(std::string_view text) {
  std::string out;
  std::size_t line_start = 0;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\t') {
      out.append(8 - display_width(std::string_view(out).substr(line_start)) % 8, ' ');
    } else if (c == '\r') {
      out += "\\r";
    } else if (c != '\n' && (byte < 0x20 || byte == 0x7f)) {
      constexpr char kDigits[] = "0123456789ABCDEF";
      out += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    } else {
      out += c;
      if (c == '\n') line_start = out.size();
    }
  }
  return out;
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos && text != "\\.") {
    return std::string(text);
  }
  std::string out = "\"";
  for (char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const auto [code, size] = code_point(text);
    width += width_of(code);
    text.remove_prefix(size);
  }
  return width;
}

TablePrinter::TablePrinter(TableOptions options, std::vector<pgwire::ColumnDescription> columns,
                           Write write)
    : options_(std::move(options)), columns_(std::move(columns)), write_(std::move(write)) {
  if (options_.format == TableFormat::kAligned || options_.tuples_only) return;
  std::vector<std::optional<std::string_view>> names;
  for (const auto& column : columns_) names.emplace_back(column.name);
  write_delimited(names);
}

void TablePrinter::row(std::span<const std::optional<std::string_view>> values) {
  ++row_count_;
  if (options_.format != TableFormat::kAligned) {
    write_delimited(values);
    return;
  }
  Row& row = rows_.emplace_back();
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    row.push_back(i < values.size() && values[i] ? printable(*values[i]) : std::string());
  }
}

void TablePrinter::finish() {
  if (options_.format == TableFormat::kAligned) write_aligned();
  if (options_.format != TableFormat::kCsv && !options_.tuples_only) write_row_count();
  if (options_.format == TableFormat::kAligned) write_("\n");
}

void TablePrinter::write_delimited(std::span<const std::optional<std::string_view>> values) {
  const bool csv = options_.format == TableFormat::kCsv;
  std::string out;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += csv ? "," : options_.field_separator;
    if (values[i]) out += csv ? csv_field(*values[i]) : std::string(*values[i]);
  }
  write_(out + "\n");
}

std::vector<std::size_t> TablePrinter::column_widths() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    widths.push_back(widest_line(columns_[i].name));  // without a header, too, as psql
    for (const Row& row : rows_) widths.back() = std::max(widths.back(), widest_line(row[i]));
  }
  return widths;
}

void TablePrinter::write_aligned() const {
  const std::vector<std::size_t> widths = column_widths();
  std::string out;
  if (!options_.tuples_only) write_header(widths, out);
  for (const Row& row : rows_) {
    write_row(row, widths, out);
    if (out.size() < 65536) continue;
    write_(out);
    out.clear();
  }
  write_(out);
}

void TablePrinter::write_header(const std::vector<std::size_t>& widths, std::string& out) const {
  std::size_t height = 1;
  for (const auto& column : columns_) height = std::max(height, lines_of(column.name).size());
  for (std::size_t line = 0; line < height && !columns_.empty(); ++line) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const auto lines = lines_of(columns_[i].name);
      const std::string_view text = line < lines.size() ? lines[line] : std::string_view();
      const std::size_t space = widths[i] - display_width(text);
      if (i > 0) out += '|';
      out += ' ';
      out.append(space / 2, ' ').append(text).append(space - space / 2, ' ');
      out += line + 1 < lines.size() ? '+' : ' ';
    }
    out += '\n';
  }
  if (widths.empty()) out += "--";
  for (std::size_t i = 0; i < widths.size(); ++i) {
    if (i > 0) out += '+';
    out.append(widths[i] + 2, '-');
  }
  out += '\n';
}

// A value of several lines goes on below itself, with a '+' where its line goes on.
void TablePrinter::write_row(const Row& row, const std::vector<std::size_t>& widths,
                             std::string& out) const {
  std::size_t height = 1;
  for (const std::string& value : row) height = std::max(height, lines_of(value).size());
  for (std::size_t line = 0; line < height && !row.empty(); ++line) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const auto lines = lines_of(row[i]);
      const std::string_view text = line < lines.size() ? lines[line] : std::string_view();
      const bool goes_on = line + 1 < lines.size();
      const bool last = i + 1 == row.size();
      const std::size_t space = widths[i] - display_width(text);
      if (i > 0) out += '|';
      out += ' ';
      if (is_numeric(columns_[i].type_oid) && (!last || line < lines.size()))
        out.append(space, ' ');
      out += text;
      if (!is_numeric(columns_[i].type_oid) && (!last || goes_on)) out.append(space, ' ');
      if (goes_on) {
        out += '+';
      } else if (!last) {
        out += ' ';
      }
    }
    out += '\n';
  }
}

void TablePrinter::write_row_count() const {
  write_("(" + std::to_string(row_count_) + (row_count_ == 1 ? " row)\n" : " rows)\n"));
}

}  // namespace calf::cli
