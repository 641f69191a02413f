#include "pgwire/scram.h"

#include <gtest/gtest.h>

namespace calf::pgwire {
namespace {

// RFC 7677, section 3, with the empty user name that PostgreSQL's clients send: computed with
// Python's hmac and hashlib.
constexpr std::string_view kNonce = "rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view kServerFirst =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

TEST(ScramClient, proves_the_password_and_checks_the_server) {
  ScramClient client("pencil", std::string(kNonce));
  EXPECT_EQ(client.first(), "n,,n=,r=rOprNGfwEbeRWgbNEkqO");
  const auto proof = client.final(kServerFirst);
  ASSERT_TRUE(proof.has_value());
  EXPECT_EQ(*proof,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=qvT2SWdEH5Q06albL+"
            "hjSYuUhCG7VndFyzIb7CK4n9k=");
  EXPECT_TRUE(client.verify("v=3HO6Qt1M4MKJrmlKaoOqLAI0/0TV0HZe7J9H3MBtSOg=").has_value());
  EXPECT_FALSE(client.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").has_value());
}

TEST(ScramClient, refuses_what_does_not_continue_its_nonce_or_is_malformed) {
  for (std::string_view message :
       {"", "r=", "r=other,s=YQ==,i=4096", "r=rOprNGfwEbeRWgbNEkqO,s=YQ==,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=?,i=4096", "r=rOprNGfwEbeRWgbNEkqOx,s=YQ==,i=0",
        "r=rOprNGfwEbeRWgbNEkqOx,s=YQ==,i=999999999", "e=other-error"}) {
    ScramClient client("pencil", std::string(kNonce));
    EXPECT_FALSE(client.final(message).has_value()) << message;
    EXPECT_FALSE(client.verify("v=").has_value());
  }
}

TEST(ScramVerifier, is_the_one_that_postgres_stores) {
  EXPECT_EQ(
      scram_verifier("pencil", "0123456789abcdef"),
      "SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$nQpbZ77WudtqufPwikHXGRt6g2QJ4zns8bZLw273DRM=:"
      "jn2amWP1q1h+jgjy0YTO14S6/F02SV7taipOeB7ef20=");
  EXPECT_NE(scram_verifier("pencil"), scram_verifier("pencil"));
}

TEST(ScramClient, nonces_differ) {
  EXPECT_NE(ScramClient::random_nonce(), ScramClient::random_nonce());
}

}  // namespace
}  // namespace calf::pgwire
