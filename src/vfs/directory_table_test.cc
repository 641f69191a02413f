#include "vfs/directory_table.h"

#include <gtest/gtest.h>

namespace calf::vfs {
namespace {

TEST(DirectoryTable, finds_inserts_and_erases) {
  DirectoryTable table;
  EXPECT_EQ(table.find("a"), kNoNode);
  for (NodeId i = 1; i <= 5000; ++i) table.insert(std::to_string(i), i);
  for (NodeId i = 1; i <= 5000; i += 2) table.erase(std::to_string(i));
  EXPECT_EQ(table.size(), 2500u);
  EXPECT_EQ(table.find("4999"), kNoNode);
  EXPECT_EQ(table.find("5000"), 5000u);
  table.replace("5000", 7);
  EXPECT_EQ(table.find("5000"), 7u);
}

TEST(DirectoryTable, stays_small_while_names_come_and_go) {
  DirectoryTable table;
  for (NodeId i = 1; i <= 100'000; ++i) {
    table.insert("temporary" + std::to_string(i), i);
    table.erase("temporary" + std::to_string(i));
  }
  size_t visited = 0;
  table.each_after(0, [&](const DirectoryTable::Entry&) { return ++visited > 0; });
  EXPECT_EQ(visited, 0u);
  EXPECT_TRUE(table.empty());
}

TEST(DirectoryTable, listing_order_survives_removals) {
  DirectoryTable table;
  for (NodeId i = 1; i <= 100; ++i) table.insert(std::to_string(i), i);
  uint64_t cookie = 0;
  table.each_after(0, [&](const DirectoryTable::Entry& entry) {
    cookie = entry.cookie;
    return entry.node < 50;
  });
  for (NodeId i = 1; i <= 50; ++i) table.erase(std::to_string(i));
  for (NodeId i = 101; i <= 300; ++i) table.insert(std::to_string(i), i);  // rebuilds
  NodeId expected = 51;
  table.each_after(cookie,
                   [&](const DirectoryTable::Entry& entry) { return entry.node == expected++; });
  EXPECT_EQ(expected, 301u);
}

}  // namespace
}  // namespace calf::vfs
