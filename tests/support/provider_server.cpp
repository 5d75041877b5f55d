// SPDX-License-Identifier: Apache-2.0
#include "support/provider_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/shared_memory.h"

namespace kernelwright::testing {
namespace {

template <class T>
T must(base::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().text());
  return std::move(*result);
}

// Until the other side ends.
std::string read_all(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = ::read(fd, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  return text;
}

}  // namespace

ProviderServer::ProviderServer(const std::string& steps, const std::string& key,
                               const std::string& certificate)
    : folder_(must(base::TempDir::create("provider"))),
      scheme_(certificate.empty() ? "http" : "https") {
  const auto script = folder_.path() / "script.json";
  if (!base::write_file_atomic(script, steps)) throw std::runtime_error("no script");
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  const base::UniqueFd read_end(fds[0]);
  base::UniqueFd write_end(fds[1]);
  base::ProcessSpec spec;
  spec.argv = {"python3", KW_SOURCE_DIR "/tests/provider_server/server.py", script.string(),
               "--port-fd", "3"};
  if (!key.empty()) spec.argv.insert(spec.argv.end(), {"--key", key});
  if (!certificate.empty()) spec.argv.insert(spec.argv.end(), {"--certificate", certificate});
  spec.inherit_fds = {{write_end.get(), 3}};
  spec.log_path = (folder_.path() / "log").string();
  process_ = must(base::ChildProcess::spawn(spec));
  write_end = base::UniqueFd();
  const std::string port = read_all(read_end.get());
  if (port.empty()) {
    const auto log = base::read_file(spec.log_path);
    throw std::runtime_error("the provider server did not start: " + (log ? *log : ""));
  }
  port_ = std::stoi(port);
}

std::string ProviderServer::url() const {
  return fmt::format("{}://127.0.0.1:{}/v1", scheme_, port_);
}

nlohmann::json ProviderServer::stats() const {
  const base::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port_));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("the provider server does not answer");
  const std::string request = "GET /stats HTTP/1.0\r\n\r\n";
  if (::write(socket.get(), request.data(), request.size()) < 0)
    throw std::runtime_error("the provider server does not listen");
  const std::string answer = read_all(socket.get());
  return nlohmann::json::parse(answer.substr(answer.find("\r\n\r\n") + 4));
}

void write_certificate(const std::string& path) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
  X509* x509 = certificate.get();
  X509_set_version(x509, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
  X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
  X509_set_pubkey(x509, key.get());
  X509_NAME* name = X509_get_subject_name(x509);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("127.0.0.1"), -1, -1, 0);
  X509_set_issuer_name(x509, name);
  X509_EXTENSION* names =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
  X509_add_ext(x509, names, -1);
  X509_EXTENSION_free(names);
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr || X509_sign(x509, key.get(), EVP_sha256()) == 0)
    throw std::runtime_error("no certificate");
  PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  PEM_write_X509(file, x509);
  std::fclose(file);
}

}  // namespace kernelwright::testing
