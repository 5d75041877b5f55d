// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/provider.h"
#include "base/result.h"

namespace kernelwright::agent {

struct HttpPost {
  std::string url;
  std::vector<std::string> headers;  // "Name: value"; may hold a key: never logged
  std::string body;
  double connect_s = 15;  // until a connection stands
  double idle_s = 300;    // without a byte
  double total_s = 1800;  // for all of it
};

// What became of a POST. Redirects are not followed: a key would follow them.
struct HttpOutcome {
  enum class End {
    kDone,      // the server ended its answer, whatever the status
    kStopped,   // the sink wanted no more
    kTimedOut,  // `problem` says which bound
    kCancelled,
    kBroken,     // the connection broke after the request went out
    kUnreached,  // no connection: the server saw nothing
    kUntrusted,  // its certificate does not hold
  } end = End::kDone;
  int status = 0;             // 0: no answer began
  std::string content_type;   // without parameters, lower case
  double retry_after_s = -1;  // from Retry-After or retry-after-ms; -1: not said
  std::string problem;
};

// Called with each piece of the body, after the headers; false ends the transfer.
using HttpSink = std::function<bool(const HttpOutcome& head, std::string_view bytes)>;

// Sends one request through libcurl: TLS verified against the system's certificates (or
// SSL_CERT_FILE), proxies from http_proxy, HTTPS_PROXY, ALL_PROXY and NO_PROXY (never for
// loopback). libcurl is opened on the first call, so that a program without agents starts without
// it; kEnvironment when it is missing.
Result<HttpOutcome> http_post(const HttpPost& post, const HttpSink& sink,
                              const CancelToken& cancel);

// Seconds to wait by a Retry-After header: a number, or an HTTP date seen from `now` (Unix time).
// -1: neither.
double parse_retry_after(std::string_view value, int64_t now);

}  // namespace kernelwright::agent
