#include "net/tls_context.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "net/socket_transport.h"
#include "net/tls_bio.h"
#include "net/tls_certificate.h"

namespace calf::net {
namespace {

// A client and a server of one TLS connection, stepped in turn on one thread.
struct Connection {
  explicit Connection(TlsContext& server_context, std::string_view alpn = {}) {
    std::array<int, 2> fds{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds.data()), 0);
    handshake = server_context.accept(make_socket_transport(fds[0])).value();
    clear = make_socket_transport(fds[1]);
    context.reset(SSL_CTX_new(TLS_client_method()));
    client.reset(SSL_new(context.get()));
    if (!alpn.empty()) {
      const std::string list = std::string(1, static_cast<char>(alpn.size())) + std::string(alpn);
      SSL_set_alpn_protos(client.get(), reinterpret_cast<const unsigned char*>(list.data()),
                          static_cast<unsigned>(list.size()));
    }
    BIO* bio = make_transport_bio(*clear);
    SSL_set_bio(client.get(), bio, bio);
  }

  bool shake() {
    for (int i = 0; i < 20; ++i) {
      const bool connected = SSL_connect(client.get()) == 1;
      const IoResult result = handshake->step();
      if (result.closed()) return false;
      if (connected && result.done()) {
        server = handshake->into_transport();
        return true;
      }
    }
    return false;
  }

  std::unique_ptr<TlsHandshake> handshake;
  std::unique_ptr<Transport> server;
  std::unique_ptr<Transport> clear;
  SslContextPtr context;
  SslPtr client;
};

TEST(Tls, carries_bytes_over_a_self_signed_certificate) {
  const auto context = TlsContext::self_signed().value();
  EXPECT_EQ(context->fingerprint().size(), 32u * 3 - 1);
  Connection connection(*context, "postgresql");
  ASSERT_TRUE(connection.shake());
  EXPECT_TRUE(connection.handshake->alpn_postgresql());
  EXPECT_EQ(connection.server->tls()->version, "TLSv1.3");
  EXPECT_GE(connection.server->tls()->bits, 128);
  std::array<std::byte, 3> buffer{};
  EXPECT_EQ(connection.server->read_some(buffer).state, IoState::kWouldBlockRead);
  ASSERT_EQ(SSL_write(connection.client.get(), "hello", 5), 5);
  EXPECT_EQ(connection.server->read_some(buffer).bytes, 3u);
  EXPECT_TRUE(connection.server->has_buffered_input());
  EXPECT_EQ(connection.server->read_some(buffer).bytes, 2u);
  EXPECT_FALSE(connection.server->has_buffered_input());
  EXPECT_TRUE(connection.server->write_some(buffer).done());
  EXPECT_EQ(SSL_read(connection.client.get(), buffer.data(), 3), 3);
  connection.server->shutdown();
  EXPECT_EQ(SSL_read(connection.client.get(), buffer.data(), 3), 0);
  EXPECT_EQ(SSL_get_error(connection.client.get(), 0), SSL_ERROR_ZERO_RETURN);
}

TEST(Tls, writes_go_on_after_the_socket_was_full) {
  const auto context = TlsContext::self_signed().value();
  Connection connection(*context);
  ASSERT_TRUE(connection.shake());
  EXPECT_FALSE(connection.handshake->alpn_postgresql());
  constexpr std::size_t kTotal = 4 << 20;
  const std::vector<std::byte> bytes(kTotal, std::byte{42});
  std::vector<std::byte> buffer(100000);
  std::size_t sent = 0;
  std::size_t got = 0;
  bool blocked = false;
  while (got < kTotal) {
    IoResult result = IoResult::moved(0);
    while (sent < kTotal && result.done()) {
      const std::vector<std::byte> moved(bytes.begin() + static_cast<std::ptrdiff_t>(sent),
                                         bytes.end());
      result = connection.server->write_some(moved);
      ASSERT_FALSE(result.closed());
      sent += result.bytes;
    }
    blocked = blocked || result.would_block();
    std::size_t n = 0;
    while (SSL_read_ex(connection.client.get(), buffer.data(), buffer.size(), &n) == 1) got += n;
  }
  EXPECT_TRUE(blocked);
}

TEST(Tls, a_part_of_a_record_is_no_buffered_input) {
  const auto context = TlsContext::self_signed().value();
  Connection connection(*context);
  ASSERT_TRUE(connection.shake());
  // The client's record goes through a buffer, so that it can be handed over in two parts.
  BIO* record = BIO_new(BIO_s_mem());
  SSL_set0_wbio(connection.client.get(), record);
  ASSERT_EQ(SSL_write(connection.client.get(), "hello", 5), 5);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(record, &bytes);
  const auto sealed = std::as_bytes(std::span(bytes, static_cast<std::size_t>(size)));
  connection.clear->write_some(sealed.first(10));
  std::array<std::byte, 10> buffer{};
  EXPECT_EQ(connection.server->read_some(buffer).state, IoState::kWouldBlockRead);
  EXPECT_FALSE(connection.server->has_buffered_input());
  connection.clear->write_some(sealed.subspan(10));
  EXPECT_EQ(connection.server->read_some(buffer).bytes, 5u);
  EXPECT_FALSE(connection.server->has_buffered_input());
}

TEST(Tls, a_client_that_does_not_speak_tls_fails_the_handshake) {
  const auto context = TlsContext::self_signed().value();
  Connection connection(*context);
  const std::string_view text = "GET / HTTP/1.0\r\n\r\n";
  connection.clear->write_some(std::as_bytes(std::span(text.data(), text.size())));
  EXPECT_TRUE(connection.handshake->step().closed());
  EXPECT_FALSE(connection.handshake->failure().empty());
}

TEST(Tls, another_alpn_protocol_fails_the_handshake) {
  const auto context = TlsContext::self_signed().value();
  Connection connection(*context, "h2");
  EXPECT_FALSE(connection.shake());
}

TEST(Tls, a_connection_that_breaks_is_an_error_not_a_clean_end) {
  const auto context = TlsContext::self_signed().value();
  Connection connection(*context);
  ASSERT_TRUE(connection.shake());
  connection.clear->shutdown();
  std::array<std::byte, 3> buffer{};
  EXPECT_EQ(connection.server->read_some(buffer).state, IoState::kError);
  EXPECT_TRUE(connection.server->write_some(buffer).closed());
}

TEST(TlsFiles, says_what_is_wrong_with_them) {
  const auto directory = std::filesystem::path(testing::TempDir());
  const TlsFiles files{.certificate = directory / "calf.crt", .key = directory / "calf.key"};
  std::filesystem::remove(files.key);
  EXPECT_EQ(TlsContext::from_files(files).error().code, ErrorCode::kNotFound);
  std::ofstream(files.key) << "no key";
  std::ofstream(files.certificate) << "no certificate";
  ASSERT_EQ(::chmod(files.key.c_str(), 0644), 0);
  EXPECT_EQ(TlsContext::from_files(files).error().code, ErrorCode::kPermissionDenied);
  ASSERT_EQ(::chmod(files.key.c_str(), 0600), 0);
  EXPECT_EQ(TlsContext::from_files(files).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace calf::net
