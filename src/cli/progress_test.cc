#include "cli/progress.h"

#include <gtest/gtest.h>

namespace calf::cli {
namespace {

std::string text_of(std::FILE* stream) {
  std::rewind(stream);
  std::string text(1000, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), stream));
  std::fclose(stream);
  return text;
}

TEST(Progress, says_nothing_about_quick_work_and_a_line_now_and_then_about_long) {
  std::FILE* stream = std::tmpfile();
  Progress progress("saving", nullptr, false, stream);
  const auto begin = Progress::Clock::now();
  for (int second = 0; second <= 5; ++second) {
    EXPECT_TRUE(
        progress.report(second * 100'000'000, 1'000'000'000, begin + std::chrono::seconds(second)));
  }
  EXPECT_EQ(text_of(stream),
            "calf: saving: 200.0 MB of 1.0 GB (20 %)\ncalf: saving: 400.0 MB of 1.0 GB (40 %)\n");
}

TEST(Progress, is_silent_when_told_so) {
  std::FILE* stream = std::tmpfile();
  Progress progress("saving", nullptr, true, stream);
  EXPECT_TRUE(progress.report(1, 2, Progress::Clock::now() + std::chrono::hours(1)));
  EXPECT_EQ(text_of(stream), "");
}

TEST(Progress, writes_sizes_for_people) {
  EXPECT_EQ(bytes_text(0), "0 bytes");
  EXPECT_EQ(bytes_text(999), "999 bytes");
  EXPECT_EQ(bytes_text(1000), "1.0 kB");
  EXPECT_EQ(bytes_text(999'960), "1.0 MB");
  EXPECT_EQ(bytes_text(12'345'678), "12.3 MB");
  EXPECT_EQ(bytes_text(UINT64_MAX), "18446744.1 TB");
}

}  // namespace
}  // namespace calf::cli
