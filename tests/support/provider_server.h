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
  // With `certificate`, it speaks https; stats() is then out of reach.
  explicit ProviderServer(const std::string& steps, const std::string& key = "",
                          const std::string& certificate = "");

  std::string url() const;  // "http://127.0.0.1:PORT/v1", or https
  int port() const { return port_; }
  nlohmann::json stats() const;

 private:
  base::TempDir folder_;
  base::ChildProcess process_;
  std::string scheme_;
  int port_ = 0;
};

// Writes a new key and a certificate for 127.0.0.1 that it has signed itself, in one PEM file.
void write_certificate(const std::string& path);

}  // namespace kernelwright::testing
