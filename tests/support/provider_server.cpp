// SPDX-License-Identifier: Apache-2.0
#include "support/provider_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/socket.h>
#include <unistd.h>

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

ProviderServer::ProviderServer(const std::string& steps, const std::string& key)
    : folder_(must(base::TempDir::create("provider"))) {
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
  return fmt::format("http://127.0.0.1:{}/v1", port_);
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

}  // namespace kernelwright::testing
