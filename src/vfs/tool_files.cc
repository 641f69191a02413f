#include "vfs/tool_files.h"

#include <fstream>
#include <iterator>

namespace calf::vfs {

Result<std::string> read_tool_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(file), {});
  if (!file) return fail(ErrorCode::kIo, "reading " + path.string() + " failed");
  return bytes;
}

Result<void> write_tool_file(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::path partial = path;
  partial += ".partial";
  std::ofstream file(partial, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) return fail(ErrorCode::kIo, "writing " + partial.string() + " failed");
  std::error_code error;
  std::filesystem::rename(partial, path, error);
  if (error) return fail(Error::from_errno("renaming to " + path.string(), error.value()));
  return {};
}

}  // namespace calf::vfs
