#include <gtest/gtest.h>

#include <map>

#include "blob/aws_credentials.h"
#include "blob/azure_credentials.h"
#include "blob/host_file.h"
#include "blob/testing/http_server.h"

namespace calf::blob {
namespace {

using testing::HttpServer;
using testing::Reply;
using testing::Request;
using Variables = std::map<std::string, std::string>;

Environment environment_of(Variables variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

std::shared_ptr<HttpClient> client() {
  return *HttpClient::create({.connect_timeout_ms = 500});
}

Limits limits() {
  return Limits::within(20'000);
}

class Credentials : public ::testing::Test {
 protected:
  void SetUp() override {
    home_ = std::filesystem::temp_directory_path() / random_name("calf-home-");
    std::filesystem::create_directories(home_ / ".aws");
  }
  void TearDown() override { std::filesystem::remove_all(home_); }

  void write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(write_file(home_ / name, text));
  }
  // "id/secret/token" or the error.
  std::string keys(Variables variables, std::optional<AwsKeys> configured = {},
                   const std::string& profile = {}) {
    variables.emplace("HOME", home_.string());
    variables.emplace("AWS_EC2_METADATA_DISABLED", "true");
    AwsCredentials credentials({.configured = std::move(configured),
                                .profile = profile,
                                .region = "eu-central-1",
                                .environment = environment_of(std::move(variables)),
                                .http = client()});
    const auto found = credentials.keys(limits());
    if (!found) return "error: " + found.error().message;
    return found->access_key_id + "/" + found->secret_access_key + "/" + found->session_token;
  }

  std::filesystem::path home_;
};

const char* const kDocument =
    R"({"AccessKeyId":"id","SecretAccessKey":"se","Token":"to","Expiration":"2099-01-01T00:00:00Z"})";

TEST_F(Credentials, come_in_the_order_of_the_sdks) {
  write(".aws/credentials", "[default]\naws_access_key_id = file\naws_secret_access_key=f\n");
  const Variables environment{{"AWS_ACCESS_KEY_ID", "env"}, {"AWS_SECRET_ACCESS_KEY", "e"}};
  EXPECT_EQ(keys(environment, AwsKeys{"config", "c", ""}), "config/c/");
  EXPECT_EQ(keys(environment), "env/e/");
  EXPECT_EQ(keys({}), "file/f/");
}

TEST_F(Credentials, are_refused_by_halves) {
  EXPECT_NE(keys({{"AWS_ACCESS_KEY_ID", "env"}}).find("must be set together"), std::string::npos);
}

TEST_F(Credentials, read_profiles_of_both_files) {
  write(".aws/credentials",
        "# keys\n[default]\naws_access_key_id=a\naws_secret_access_key=b\n\n"
        "[work]\naws_access_key_id = w\naws_secret_access_key = x\naws_session_token = y\n");
  write(".aws/config",
        "[default]\nregion=us-west-2\n[profile work]\nregion = eu-west-3\ns3 =\n  x = y\n"
        "[profile role]\nrole_arn = arn:x\nsource_profile = default\n");
  EXPECT_EQ(keys({{"AWS_PROFILE", "work"}}), "w/x/y");
  EXPECT_EQ(keys({}, {}, "work"), "w/x/y");
  EXPECT_NE(keys({}, {}, "typo").find("no AWS profile \"typo\""), std::string::npos);
  EXPECT_NE(keys({}, {}, "role").find("role_arn"), std::string::npos);
  EXPECT_EQ(profile_region(environment_of({{"HOME", home_.string()}}), "work"), "eu-west-3");
}

TEST_F(Credentials, say_what_could_be_set) {
  EXPECT_NE(keys({}).find("there are no AWS credentials"), std::string::npos);
}

TEST_F(Credentials, come_from_a_web_identity) {
  write("token", "web-token\n");
  HttpServer sts([](const Request&) -> Reply {
    return {
        .body =
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
            "<AccessKeyId>wi</AccessKeyId><SecretAccessKey>ws</SecretAccessKey>"
            "<SessionToken>wt</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
            "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"};
  });
  EXPECT_EQ(keys({{"AWS_WEB_IDENTITY_TOKEN_FILE", (home_ / "token").string()},
                  {"AWS_ROLE_ARN", "arn:aws:iam::1:role/r"},
                  {"AWS_ENDPOINT_URL_STS", sts.url()}}),
            "wi/ws/wt");
  const std::string body = sts.requests().at(0).body;
  EXPECT_NE(body.find("WebIdentityToken=web-token"), std::string::npos);
  EXPECT_NE(body.find("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"), std::string::npos);
}

TEST_F(Credentials, come_from_the_container) {
  HttpServer ecs([](const Request&) -> Reply { return {.body = kDocument}; });
  EXPECT_EQ(keys({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", ecs.url() + "/creds"},
                  {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc"}}),
            "id/se/to");
  EXPECT_EQ(ecs.requests().at(0).headers.at("authorization"), "Basic abc");
  EXPECT_NE(keys({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/creds"}})
                .find("must be https"),
            std::string::npos);
}

TEST_F(Credentials, come_from_the_instance_by_imds_v2) {
  HttpServer imds([](const Request& request) -> Reply {
    if (request.method == "PUT") return {.body = "session"};
    if (request.headers.count("x-aws-ec2-metadata-token") == 0) return {.status = 401};
    return {.body = request.target.ends_with("/") ? "my-role" : kDocument};
  });
  EXPECT_EQ(keys({{"AWS_EC2_METADATA_DISABLED", "false"},
                  {"AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.url()}}),
            "id/se/to");
  const auto requests = imds.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].target, "/latest/api/token");
  EXPECT_EQ(requests[2].target, "/latest/meta-data/iam/security-credentials/my-role");
}

TEST_F(Credentials, are_renewed_before_they_expire) {
  int given = 0;
  bool broken = false;
  HttpServer ecs([&](const Request&) -> Reply {
    if (broken) return {.status = 400};
    // The first pair is in its last minutes.
    const std::string end = given == 0
                                ? amazon_time(os::SystemClock().realtime_ns() / 1'000'000'000 + 4)
                                : "20990101T000000Z";
    const std::string iso = end.substr(0, 4) + "-" + end.substr(4, 2) + "-" + end.substr(6, 5) +
                            ":" + end.substr(11, 2) + ":" + end.substr(13);
    return {.body = R"({"AccessKeyId":"k)" + std::to_string(++given) +
                    R"(","SecretAccessKey":"s","Token":"t","Expiration":")" + iso + "\"}"};
  });
  AwsCredentials credentials(
      {.environment = environment_of({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", ecs.url()}}),
       .http = client()});
  EXPECT_EQ(credentials.keys(limits())->access_key_id, "k1");
  broken = true;
  EXPECT_EQ(credentials.keys(limits())->access_key_id, "k1");  // still valid
  broken = false;
  limits().sleep_ms(5'000);
  EXPECT_EQ(credentials.keys(limits())->access_key_id, "k2");
  EXPECT_EQ(credentials.keys(limits())->access_key_id, "k2");
  EXPECT_EQ(given, 2);
}

TEST(AzureAccounts, are_found_in_connection_strings) {
  const auto account = resolve_azure_account(
      {.connection_string = "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=Zm9vYg==;"
                            "EndpointSuffix=core.windows.net"},
      environment_of({}));
  ASSERT_TRUE(account) << account.error().to_string();
  EXPECT_EQ(account->account, "shop");
  EXPECT_EQ(account->endpoint, "https://shop.blob.core.windows.net");
  EXPECT_EQ(std::get<AzureSharedKey>(account->credential).key, "foob");
}

TEST(AzureAccounts, take_keys_signatures_or_an_identity) {
  const auto sas =
      resolve_azure_account({.account = "a", .sas = "?sv=2021&sig=a%2Bb%3D"}, environment_of({}));
  EXPECT_EQ(std::get<AzureSas>(sas->credential).query.at(1).second, "a+b=");
  const auto variables =
      environment_of({{"AZURE_STORAGE_ACCOUNT", "env"}, {"AZURE_STORAGE_KEY", "Zm9v"}});
  EXPECT_EQ(resolve_azure_account({}, variables)->account, "env");
  const auto identity =
      resolve_azure_account({.account = "x", .use_managed_identity = true}, variables);
  EXPECT_TRUE(std::holds_alternative<AzureIdentity>(identity->credential));
  const auto bad = resolve_azure_account({.account = "x", .key = "sec ret"}, environment_of({}));
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().to_string().find("sec ret"), std::string::npos);
  EXPECT_FALSE(resolve_azure_account({}, environment_of({})).has_value());
}

TEST(AzureTokens, come_from_the_machine) {
  HttpServer imds([](const Request&) -> Reply {
    return {.body = R"({"access_token":"tok","expires_on":"4070908800"})"};
  });
  AzureTokens tokens(environment_of({{"AZURE_POD_IDENTITY_AUTHORITY_HOST", imds.url()},
                                     {"AZURE_CLIENT_ID", "c1"}}),
                     client());
  EXPECT_EQ(*tokens.token(limits()), "tok");
  EXPECT_EQ(*tokens.token(limits()), "tok");
  ASSERT_EQ(imds.requests().size(), 1u);
  EXPECT_EQ(imds.requests()[0].headers.at("metadata"), "true");
  EXPECT_NE(imds.requests()[0].target.find("resource=https%3A%2F%2Fstorage.azure.com"),
            std::string::npos);
  EXPECT_NE(imds.requests()[0].target.find("client_id=c1"), std::string::npos);
}

TEST(AzureTokens, come_from_app_service_or_a_workload_identity) {
  HttpServer server([](const Request& request) -> Reply {
    return {.body = request.method == "POST"
                        ? R"({"access_token":"wl","expires_in":3600})"
                        : R"({"access_token":"app","expires_on":"4070908800"})"};
  });
  AzureTokens app(
      environment_of({{"IDENTITY_ENDPOINT", server.url() + "/msi"}, {"IDENTITY_HEADER", "hdr"}}),
      client());
  EXPECT_EQ(*app.token(limits()), "app");
  EXPECT_EQ(server.requests()[0].headers.at("x-identity-header"), "hdr");
  const auto file = std::filesystem::temp_directory_path() / random_name("calf-token-");
  ASSERT_TRUE(write_file(file, "assertion"));
  AzureTokens workload(environment_of({{"AZURE_FEDERATED_TOKEN_FILE", file.string()},
                                       {"AZURE_TENANT_ID", "tenant"},
                                       {"AZURE_CLIENT_ID", "client"},
                                       {"AZURE_AUTHORITY_HOST", server.url() + "/"}}),
                       client());
  EXPECT_EQ(*workload.token(limits()), "wl");
  EXPECT_EQ(server.requests()[1].target, "/tenant/oauth2/v2.0/token");
  EXPECT_NE(server.requests()[1].body.find("client_assertion=assertion"), std::string::npos);
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace calf::blob
