// Against the values that AWS and RFCs publish.
#include <gtest/gtest.h>

#include "blob/aws_signature.h"
#include "blob/azure_signature.h"

namespace calf::blob {
namespace {

const AwsKeys kSuiteKeys{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};
const AwsKeys kS3Keys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};

std::string signature_of(const std::string& authorization) {
  return authorization.substr(authorization.rfind('=') + 1);
}

AwsSigning suite(const std::string& method, Query query) {
  return {.method = method,
          .query = std::move(query),
          .headers = {{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}},
          .payload_sha256_hex = hex(sha256("")),
          .region = "us-east-1",
          .service = "service",
          .amazon_time = "20150830T123600Z"};
}

AwsSigning s3(const std::string& method, const std::string& path, Query query, Headers extra,
              const std::string& payload) {
  const std::string digest = hex(sha256(payload));
  Headers headers{{"host", "examplebucket.s3.amazonaws.com"},
                  {"x-amz-content-sha256", digest},
                  {"x-amz-date", "20130524T000000Z"}};
  headers.insert(headers.end(), extra.begin(), extra.end());
  return {.method = method,
          .path = path,
          .query = std::move(query),
          .headers = headers,
          .payload_sha256_hex = digest,
          .region = "us-east-1",
          .service = "s3",
          .amazon_time = "20130524T000000Z"};
}

TEST(AwsSignature, agrees_with_the_version_4_test_suite) {
  EXPECT_EQ(aws_authorization(suite("GET", {}), kSuiteKeys),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
            "SignedHeaders=host;x-amz-date, "
            "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  EXPECT_EQ(signature_of(aws_authorization(suite("POST", {}), kSuiteKeys)),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
  EXPECT_EQ(signature_of(aws_authorization(
                suite("GET", {{"Param2", "value2"}, {"Param1", "value1"}}), kSuiteKeys)),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
}

TEST(AwsSignature, agrees_with_the_examples_of_the_s3_reference) {
  EXPECT_EQ(signature_of(aws_authorization(s3("GET", "/test.txt", {}, {{"range", "bytes=0-9"}}, ""),
                                           kS3Keys)),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  EXPECT_EQ(signature_of(aws_authorization(s3("PUT", "/test%24file.text", {},
                                              {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                               {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                                              "Welcome to Amazon S3."),
                                           kS3Keys)),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
  EXPECT_EQ(signature_of(aws_authorization(s3("GET", "/", {{"lifecycle", ""}}, {}, ""), kS3Keys)),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  EXPECT_EQ(signature_of(aws_authorization(
                s3("GET", "/", {{"max-keys", "2"}, {"prefix", "J"}}, {}, ""), kS3Keys)),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(AzureSignature, puts_together_what_the_reference_shows) {
  const AzureSigning signing{
      .method = "GET",
      .account = "myaccount",
      .path = "/mycontainer",
      .query = {{"timeout", "20"}, {"restype", "container"}, {"comp", "metadata"}},
      .headers = {{"x-ms-version", "2015-02-21"}, {"x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"}}};
  EXPECT_EQ(azure_string_to_sign(signing),
            "GET\n\n\n\n\n\n\n\n\n\n\n\n"
            "x-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
            "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20");
}

TEST(Encoding, agrees_with_rfc_4231_and_rfc_4648) {
  EXPECT_EQ(hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(base64("foobar") + base64("foob") + base64(""), "Zm9vYmFyZm9vYg==");
  EXPECT_EQ(*from_base64("Zm9vYg=="), "foob");
  EXPECT_FALSE(from_base64("Zm9vY").has_value());
  EXPECT_FALSE(from_base64("****").has_value());
}

TEST(Encoding, percent_encodes_as_rfc_3986) {
  EXPECT_EQ(percent_encode("a b/\xc3\xa4~"), "a%20b%2F%C3%A4~");
  EXPECT_EQ(percent_encode("a/b+", Slash::kKeep), "a/b%2B");
  EXPECT_EQ(percent_decode("a%20b%2F%zz%4"), "a b/%zz%4");
  EXPECT_EQ(canonical_query({{"b", "2"}, {"a", "x y"}, {"a", "1"}}), "a=1&a=x%20y&b=2");
}

TEST(Encoding, knows_the_services_times) {
  EXPECT_EQ(amazon_time(1369353600), "20130524T000000Z");
  EXPECT_EQ(http_time(1369353600), "Fri, 24 May 2013 00:00:00 GMT");
  EXPECT_EQ(*parse_iso_time("2013-05-24T00:00:00.123Z"), 1369353600);
  EXPECT_FALSE(parse_iso_time("soon").has_value());
}

}  // namespace
}  // namespace calf::blob
