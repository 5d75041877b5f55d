// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <optional>

#include "mcp/http.h"

namespace kernelwright::mcp {
namespace {

bool is_loopback_name(const std::string& name) {
  return name == "127.0.0.1" || name == "localhost" || name == "::1" || name == "[::1]";
}

std::optional<int> port_of(const std::string& text) {
  if (text.empty() || text.size() > 5 ||
      !std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); }))
    return std::nullopt;
  const int port = std::stoi(text);
  return port <= 65535 ? std::optional(port) : std::nullopt;
}

}  // namespace

Result<HttpOptions> parse_http_address(const std::string& text) {
  HttpOptions options;
  const size_t colon = text.rfind(':');
  options.host = colon == std::string::npos ? "" : text.substr(0, colon);
  if (options.host.empty()) options.host = "127.0.0.1";
  const auto port = port_of(colon == std::string::npos ? text : text.substr(colon + 1));
  if (!port)
    return fail(ErrorKind::kUsage,
                fmt::format("--http: expected an address such as 127.0.0.1:8000, got '{}'", text));
  if (!is_loopback_name(options.host))
    return fail(
        ErrorKind::kUsage,
        fmt::format("--http: {} is not a loopback address; kernelwright runs what its clients "
                    "send and serves this machine only",
                    options.host));
  if (options.host == "[::1]") options.host = "::1";
  options.port = *port;
  return options;
}

bool is_loopback_host(const std::string& host) {
  if (!host.empty() && host[0] == '[') {
    const size_t end = host.find(']');
    if (end == std::string::npos || !is_loopback_name(host.substr(0, end + 1))) return false;
    return end + 1 == host.size() || (host[end + 1] == ':' && port_of(host.substr(end + 2)));
  }
  const size_t colon = host.find(':');
  if (colon != std::string::npos && !port_of(host.substr(colon + 1))) return false;
  return is_loopback_name(host.substr(0, colon));
}

bool is_loopback_origin(const std::string& origin) {
  for (const std::string scheme : {"http://", "https://"})
    if (origin.rfind(scheme, 0) == 0) return is_loopback_host(origin.substr(scheme.size()));
  return false;
}

}  // namespace kernelwright::mcp
