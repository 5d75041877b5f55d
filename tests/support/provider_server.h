// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/file.h"
#include "base/subprocess.h"

namespace kernelwright::testing {

// tests/provider_server/server.py on a free port of 127.0.0.1, for as long as the object lives.
// Throws when it does not start.
class ProviderServer {
 public:
  // `steps`: a JSON list of what to answer. With `key`, requests that bring another are refused.
  explicit ProviderServer(const std::string& steps, const std::string& key = "");

  std::string url() const;  // "http://127.0.0.1:PORT/v1"
  int port() const { return port_; }
  nlohmann::json stats() const;

 private:
  base::TempDir folder_;
  base::ChildProcess process_;
  int port_ = 0;
};

}  // namespace kernelwright::testing
