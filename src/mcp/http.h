// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "mcp/server.h"

namespace kernelwright::mcp {

struct HttpOptions {
  std::string host;  // a loopback address
  int port = 0;      // 0: any
  std::string token;
};

// "127.0.0.1:8000", "localhost:0", "[::1]:8000", ":8000" or "8000". kUsage when it is no address,
// or not a loopback one.
Result<HttpOptions> parse_http_address(const std::string& text);

// A header's origin or host names this machine by a loopback name.
bool is_loopback_origin(const std::string& origin);  // "http://localhost:3000"
bool is_loopback_host(const std::string& host);      // "127.0.0.1:8000"

// Serves MCP's streamable HTTP on POST /mcp until `interrupted()`. Every request needs the bearer
// token and, where it names an origin, a loopback one. `listening` hears the port. kEnvironment:
// the address cannot be had, or this build has no HTTP server.
Status serve_http(Server& server, const HttpOptions& options,
                  const std::function<void(int port)>& listening,
                  const std::function<bool()>& interrupted);

}  // namespace kernelwright::mcp
