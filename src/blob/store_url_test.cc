#include "blob/store_url.h"

#include <gtest/gtest.h>

namespace calf::blob {
namespace {

TEST(StoreUrl, names_buckets_with_their_parameters) {
  const auto parsed = parse_store_url(
      "s3://my-bucket/a/b?region=eu-west-1&endpoint=http%3A%2F%2Flocalhost:9000&path_style=false");
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  const auto& s3 = std::get<S3Options>(*parsed);
  EXPECT_EQ(s3.bucket, "my-bucket");
  EXPECT_EQ(s3.prefix, "a/b/");
  EXPECT_EQ(s3.region, "eu-west-1");
  EXPECT_EQ(s3.endpoint, "http://localhost:9000");
  EXPECT_EQ(s3.path_style, false);
}

TEST(StoreUrl, names_containers_folders_and_memory) {
  const auto azure = parse_store_url("azure://account/box/dbs/");
  EXPECT_EQ(std::get<AzureOptions>(*azure).access.account, "account");
  EXPECT_EQ(std::get<AzureOptions>(*azure).container, "box");
  EXPECT_EQ(std::get<AzureOptions>(*azure).prefix, "dbs/");
  EXPECT_EQ(std::get<FolderOptions>(*parse_store_url("file:///a/b")).path, "/a/b");
  EXPECT_EQ(std::get<FolderOptions>(*parse_store_url("./data")).path, "./data");
  EXPECT_TRUE(std::holds_alternative<MemoryOptions>(*parse_store_url("memory:")));
}

TEST(StoreUrl, refuses_what_it_does_not_understand) {
  for (const char* url : {"", "ftp://x", "s3://bucket?reigon=x", "s3://b/x?path_style=maybe",
                          "azure://a/c?key=secret"}) {
    EXPECT_FALSE(parse_store_url(url).has_value()) << url;
  }
  EXPECT_FALSE(open_store(S3Options{.bucket = "No_Bucket"}).has_value());
  EXPECT_FALSE(open_store(S3Options{.bucket = "bucket", .endpoint = "localhost:1"}).has_value());
}

}  // namespace
}  // namespace calf::blob
