// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "mcp/server.h"

namespace kernelwright::mcp {

// Cuts a byte stream into lines of at most `limit` bytes.
class LineReader {
 public:
  explicit LineReader(size_t limit) : limit_(limit) {}
  // A line without its end; `too_long` instead of one that passed the limit, which is skipped.
  struct Line {
    std::string text;
    bool too_long = false;
  };
  // Takes what was read; calls `line` for every whole line, empty ones left out.
  void feed(const char* bytes, size_t count, const std::function<void(Line)>& line);

 private:
  size_t limit_;
  std::string pending_;
  bool skipping_ = false;
};

// Serves one client over two descriptors, one message a line, until `in` ends or `interrupted()`
// says so. Whatever comes in, it goes on.
void serve_lines(Server& server, int in, int out, const std::function<bool()>& interrupted);

}  // namespace kernelwright::mcp
