#include "initdb/encoding.h"

#include <gtest/gtest.h>

namespace calf::initdb {
namespace {

TEST(ServerEncoding, ignores_case_and_punctuation) {
  EXPECT_EQ(server_encoding("UTF8"), 6);
  EXPECT_EQ(server_encoding("utf-8"), 6);
  EXPECT_EQ(server_encoding("ISO_8859-1"), 8);
  EXPECT_EQ(server_encoding("SQL_ASCII"), 0);
  EXPECT_EQ(server_encoding("KOI8U"), 34);
}

TEST(ServerEncoding, refuses_client_only_and_unknown_encodings) {
  EXPECT_FALSE(server_encoding("SJIS"));
  EXPECT_FALSE(server_encoding("GB18030"));
  EXPECT_FALSE(server_encoding(""));
}

}  // namespace
}  // namespace calf::initdb
