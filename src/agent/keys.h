// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/model_spec.h"
#include "base/result.h"

namespace kernelwright::agent {

// The variables that may hold a key. Children never inherit them (base/subprocess.h).
inline constexpr const char* kKeyVariables[] = {"ANTHROPIC_API_KEY", "OPENAI_API_KEY",
                                                "KERNELWRIGHT_API_KEY"};

// Keys of model providers: from the environment, else from a file that only its owner may read. A
// value goes into one request's header and nowhere else.
class KeyRing {
 public:
  // `key_file`: lines NAME=VALUE with the names above, # comments; empty: none. kUsage when others
  // may read it (mode 600 is expected), when it is no regular file of ours, or when a line is off.
  static Result<KeyRing> load(const std::string& key_file);

  bool has(const std::string& variable) const { return keys_.contains(variable); }
  // Where a key came from, for doctor: the variable or the file. Empty: there is none.
  std::string source(const std::string& variable) const;
  // Empty when the server needs none. kEnvironment when a required key is missing, or when a key
  // would travel over plain http to another machine.
  Result<std::string> key_for(const ModelSpec& spec) const;
  // Writes [key] over every key in a text: a server may say back what it was sent.
  void redact(std::string& text) const;

 private:
  struct Key {
    std::string value;
    std::string source;
  };
  std::map<std::string, Key> keys_;
};

}  // namespace kernelwright::agent
